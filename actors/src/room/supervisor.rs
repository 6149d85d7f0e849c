//! The supervisor of the room actors of one node.
//!
//! Owns which actor serves which room: activates on demand, lets idle ones go, restarts fallen ones with
//! back-off and a cap. All messages to room actors pass through here, so none is lost to an actor that
//! leaves. When a room's actor keeps falling, it is put aside for a while and its requests are refused; when
//! too many rooms are put aside at once the fault is not a room's, and the supervisor fails upward.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use super::actor::{RoomActor, Start};
use super::{RoomMessage, Shared};
use crate::ids::RoomId;
use crate::recording::Timestamp;
use crate::recording::policy::back_off;

/// First and longest pause before a fallen actor is started again.
const RESTART: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Falls in a row after which a room is put aside.
const FALLS_MAX: u32 = 8;
/// How long a room is put aside.
const ASIDE: Duration = Duration::from_mins(1);
/// An actor that lived this long has recovered from its earlier falls.
const RECOVERED: Duration = Duration::from_mins(1);
/// Rooms put aside at once that a supervisor bears.
const ASIDE_MAX: usize = 64;

/// What the supervisor is told.
pub enum SupervisorMessage {
    /// Hand this to the room's actor; start one if there is none.
    Deliver {
        /// The room.
        room: RoomId,
        /// What the actor is told.
        message: Box<RoomMessage>,
    },
    /// An idle actor asks to leave.
    Passivate {
        /// Its room.
        room: RoomId,
        /// The actor.
        actor: ActorId,
        /// How many messages it has had; more may be under way.
        delivered: u64,
    },
    /// The pause of a fallen actor is over.
    Restart {
        /// Its room.
        room: RoomId,
    },
    /// Whether a room has an actor, or will have one again by itself.
    IsAwake {
        /// The room.
        room: RoomId,
        /// Told so.
        reply: oneshot::Sender<bool>,
    },
    /// This node's lease had lapsed and is held again: every room is read anew.
    ReadAgain,
    /// How many room actors there are, and how much waits in their mailboxes.
    Count(oneshot::Sender<Actors>),
    /// Makes a room's actor fall, to prove that it is restarted.
    #[cfg(test)]
    Topple {
        /// The room.
        room: RoomId,
    },
}

impl ractor::Message for SupervisorMessage {}

/// The room actors of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actors {
    /// How many there are.
    pub rooms: usize,
    /// Messages that none of them has taken up yet.
    pub waiting: u64,
}

/// Starts, restarts and lets go room actors.
pub(crate) struct Supervisor;

/// The supervisor's state.
pub(crate) struct SupervisorState {
    shared: Arc<Shared>,
    rooms: HashMap<RoomId, Entry>,
}

struct Entry {
    actor: Option<ActorRef<RoomMessage>>,
    delivered: u64,
    /// How many of these the actor has taken up.
    taken: Arc<AtomicU64>,
    started: Timestamp,
    falls: u32,
    aside: bool,
    /// Messages for an actor that is being restarted; bounded by admission.
    held: Vec<RoomMessage>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        shared: Arc<Shared>,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        Ok(SupervisorState { shared, rooms: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Deliver { room, message } => state.deliver(&myself, room, *message).await?,
            SupervisorMessage::Passivate { room, actor, delivered } => {
                state.passivate(&room, actor, delivered);
            }
            SupervisorMessage::Restart { room } => state.restart(&myself, &room).await?,
            SupervisorMessage::IsAwake { room, reply } => {
                let _ = reply.send(state.rooms.contains_key(&room));
            }
            SupervisorMessage::ReadAgain => state.read_again(),
            SupervisorMessage::Count(reply) => {
                let _ = reply.send(state.count());
            }
            #[cfg(test)]
            SupervisorMessage::Topple { room } => {
                if let Some(actor) = state.rooms.get(&room).and_then(|entry| entry.actor.as_ref()) {
                    actor.kill();
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                state.fallen(&myself, cell.get_id(), &error.to_string())
            }
            SupervisionEvent::ActorTerminated(cell, _, _) => {
                state.fallen(&myself, cell.get_id(), "it was stopped")
            }
            _ => Ok(()),
        }
    }
}

impl SupervisorState {
    async fn deliver(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        room: RoomId,
        message: RoomMessage,
    ) -> Result<(), ActorProcessingErr> {
        if !self.rooms.contains_key(&room) {
            let taken = Arc::<AtomicU64>::default();
            let actor = Some(self.spawn(myself, &room, taken.clone()).await?);
            let started = self.shared.world.clock.now();
            let entry =
                Entry { actor, delivered: 0, taken, started, falls: 0, aside: false, held: Vec::new() };
            self.rooms.insert(room.clone(), entry);
        }
        let Some(entry) = self.rooms.get_mut(&room) else { return Ok(()) };
        match &entry.actor {
            Some(actor) => {
                entry.delivered += 1;
                // An actor that has just fallen drops it, and whoever waits is told.
                let _ = actor.cast(message);
            }
            // Dropped: whoever waits is told that the room's recorder failed.
            None if entry.aside => {}
            None => entry.held.push(message),
        }
        Ok(())
    }

    fn count(&self) -> Actors {
        let waiting = self.rooms.values().map(|entry| {
            let held = u64::try_from(entry.held.len()).unwrap_or(u64::MAX);
            entry.delivered.saturating_sub(entry.taken.load(Ordering::Relaxed)).saturating_add(held)
        });
        Actors { rooms: self.rooms.len(), waiting: waiting.sum() }
    }

    fn read_again(&mut self) {
        for entry in self.rooms.values_mut() {
            if let Some(actor) = &entry.actor {
                entry.delivered += 1;
                let _ = actor.cast(RoomMessage::ReadAgain);
            }
        }
    }

    async fn spawn(
        &self,
        myself: &ActorRef<SupervisorMessage>,
        room: &RoomId,
        taken: Arc<AtomicU64>,
    ) -> Result<ActorRef<RoomMessage>, ActorProcessingErr> {
        let (shared, supervisor) = (self.shared.clone(), myself.clone());
        let start = Start { room: room.clone(), shared, supervisor, taken };
        let (actor, _) = Actor::spawn_linked(None, RoomActor, start, myself.get_cell()).await?;
        Ok(actor)
    }

    fn passivate(&mut self, room: &RoomId, id: ActorId, delivered: u64) {
        let Some(entry) = self.rooms.get(room) else { return };
        let Some(actor) = entry.actor.as_ref().filter(|actor| actor.get_id() == id) else { return };
        if entry.delivered == delivered {
            actor.stop(Some("idle".to_owned()));
            self.rooms.remove(room);
        }
    }

    fn fallen(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        id: ActorId,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.shared.world.clock.now();
        let fallen = self
            .rooms
            .iter_mut()
            .find(|(_, entry)| entry.actor.as_ref().is_some_and(|actor| actor.get_id() == id));
        // An actor that left when it was idle is in the list no more.
        let Some((room, entry)) = fallen else { return Ok(()) };
        if now.since(entry.started) >= RECOVERED {
            entry.falls = 0;
        }
        metrics::counter!("reelkeeper_actor_restarts_total").increment(1);
        entry.actor = None;
        entry.falls += 1;
        entry.aside = entry.falls >= FALLS_MAX;
        let pause = if entry.aside { ASIDE } else { back_off(RESTART, entry.falls - 1) };
        tracing::error!(
            room.id = %room, reason, falls = entry.falls, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "room actor fell, starting it again"
        );
        if entry.aside {
            entry.held.clear();
            entry.falls = FALLS_MAX - 1;
        }
        let (myself, room) = (myself.clone(), room.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = myself.cast(SupervisorMessage::Restart { room });
        });
        let aside = self.rooms.values().filter(|entry| entry.aside).count();
        if aside > ASIDE_MAX {
            return Err(format!("{aside} rooms keep failing").into());
        }
        Ok(())
    }

    async fn restart(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        room: &RoomId,
    ) -> Result<(), ActorProcessingErr> {
        let taken = Arc::<AtomicU64>::default();
        let actor = self.spawn(myself, room, taken.clone()).await?;
        let started = self.shared.world.clock.now();
        let Some(entry) = self.rooms.get_mut(room) else { return Ok(()) };
        // What the one before it had not taken up was dropped with it.
        (entry.delivered, entry.taken) = (0, taken);
        for message in std::mem::take(&mut entry.held) {
            entry.delivered += 1;
            let _ = actor.cast(message);
        }
        (entry.actor, entry.started, entry.aside) = (Some(actor), started, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
