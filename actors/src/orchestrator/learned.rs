//! What this node learned of rooms that others own by now: LiveKit's late answers, and starts that were told 503.

use std::sync::{Arc, Weak};

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Orchestrator;
use crate::ids::RoomId;
use crate::ports::PortError;
use crate::recording::event::Happening;
use crate::room::supervisor::SupervisorMessage;
use crate::room::{Shared, news};

/// Owners that are told something at once.
const TOLD_AT_ONCE: usize = 64;

/// Tells owners what this node learned, as long as the node is up.
pub(super) async fn hand_on(
    shared: Weak<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    mut learned: mpsc::Receiver<(RoomId, Happening)>,
) {
    let mut telling = JoinSet::new();
    while let Some((room, what)) = learned.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        while telling.try_join_next().is_some() {}
        if telling.len() >= TOLD_AT_ONCE {
            telling.join_next().await;
        }
        let orchestrator = Orchestrator {
            shared,
            supervisor: supervisor.clone(),
            leaving: Arc::default(),
            draining: Arc::default(),
            requests: tokio_util::task::TaskTracker::new(),
        };
        telling.spawn(async move {
            if let Err(error) = orchestrator.tell_learned(&room, what).await {
                tracing::debug!(room.id = %room, %error, "owner was not told what was learned");
            }
        });
    }
}

impl Orchestrator {
    async fn tell_learned(&self, room: &RoomId, what: Happening) -> Result<(), PortError> {
        match what {
            Happening::StartAnswered { result: Ok(info), .. }
            | Happening::StopAnswered { result: Ok(info), .. } => {
                // It may have waited long, so it is worth as much as a webhook.
                match news::of_egress(&self.shared, info).await? {
                    Some(seen) => self.tell(room, Happening::EgressSeen(seen)).await,
                    None => Ok(()),
                }
            }
            what => self.tell_anew(room, what).await,
        }
    }
}
