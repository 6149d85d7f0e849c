//! A simulated LiveKit as a port, for deterministic tests of whatever talks to LiveKit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::World;
use super::calls::{Refusal, Reply, Request};
use super::live::LiveWorld;
use super::views::{EgressView, ParticipantView};
use crate::ids::{EgressId, RoomId};
use crate::meeting::joining::RoomOrder;
use crate::ports::blobs::Blobs;
use crate::ports::clock::Clock;
use crate::ports::media_server::{DataMessage, Dispatch, LiveKitEvent, MediaServer, Participant, Receivers};
use crate::recording::egress::{CallError, EgressInfo, EgressOrder};

/// Webhooks that wait for their receiver; more are dropped, as LiveKit drops them.
const QUEUE: usize = 10_000;

/// How long this port waits for an answer before it reports none.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// StartEgress.
    pub start: Duration,
    /// Everything else.
    pub other: Duration,
}

impl Default for Deadlines {
    /// Those of the design: a start may live 30 s longer than its request, which has 20 s.
    fn default() -> Self {
        Self { start: Duration::from_secs(50), other: Duration::from_secs(10) }
    }
}

/// A simulated LiveKit as a port. Dropping it stops its time.
pub struct SimulatedMediaServer {
    live: Arc<LiveWorld>,
    deadlines: Deadlines,
    pump: AbortHandle,
}

impl SimulatedMediaServer {
    /// Puts a world on a clock, inside a tokio runtime. Its webhooks come out of the receiver, in the order
    /// in which LiveKit would send them.
    #[must_use]
    pub fn start(
        world: World,
        clock: Arc<dyn Clock>,
        blobs: Option<Arc<dyn Blobs>>,
    ) -> (Self, mpsc::Receiver<LiveKitEvent>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let live = LiveWorld::new(world, clock);
        let pumped = Arc::clone(&live);
        let pump = tokio::spawn(async move {
            // A receiver that is full or gone loses webhooks, like one that LiveKit gave up on.
            pumped.pump(blobs, |webhook| drop(sender.try_send(webhook.to_domain()))).await;
        });
        (Self { live, deadlines: Deadlines::default(), pump: pump.abort_handle() }, receiver)
    }

    /// The same port with other deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// The world behind it: rooms, participants, faults, calls received.
    #[must_use]
    pub fn live(&self) -> &Arc<LiveWorld> {
        &self.live
    }

    async fn call(&self, request: Request) -> Result<Reply, CallError> {
        let deadline = match request {
            Request::StartEgress(_) => self.deadlines.start,
            _ => self.deadlines.other,
        };
        match tokio::time::timeout(deadline, self.live.call(request)).await {
            Ok(Some(answer)) => answer.map_err(answered),
            Ok(None) => Err(CallError::NoAnswer("connection broken".to_owned())),
            Err(_) => Err(CallError::NoAnswer("deadline passed".to_owned())),
        }
    }

    async fn list(&self, request: Request) -> Result<Vec<EgressView>, CallError> {
        match self.call(request).await? {
            Reply::Egresses(egresses) => Ok(egresses),
            other => Err(unreadable(&other)),
        }
    }
}

impl Drop for SimulatedMediaServer {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

fn answered(refusal: Refusal) -> CallError {
    CallError::Answered { status: refusal.status(), code: Some(refusal.code), message: refusal.message }
}

fn unreadable(reply: &Reply) -> CallError {
    CallError::NoAnswer(format!("unexpected answer {reply:?}"))
}

fn one(reply: &Reply) -> Result<EgressInfo, CallError> {
    match reply {
        Reply::Egress(egress) => Ok(egress.to_domain()),
        other => Err(unreadable(other)),
    }
}

/// What LiveKit does not find was not there.
fn was_there(answer: Result<Reply, CallError>) -> Result<bool, CallError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("not_found") => Ok(false),
        Err(error) => Err(error),
    }
}

fn all(egresses: &[EgressView]) -> Vec<EgressInfo> {
    egresses.iter().map(EgressView::to_domain).collect()
}

#[async_trait]
impl MediaServer for SimulatedMediaServer {
    async fn start_egress(&self, order: &EgressOrder) -> Result<EgressInfo, CallError> {
        one(&self.call(Request::StartEgress(order.into())).await?)
    }

    async fn stop_egress(&self, egress: &EgressId) -> Result<EgressInfo, CallError> {
        one(&self.call(Request::StopEgress(egress.clone())).await?)
    }

    async fn egress(&self, egress: &EgressId) -> Result<Option<EgressInfo>, CallError> {
        let request = Request::ListEgress { egress: Some(egress.clone()), room: None, active: false };
        match self.list(request).await {
            Ok(found) => Ok(found.first().map(EgressView::to_domain)),
            Err(error) if error.code() == Some("not_found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn room_egresses(&self, room: &RoomId) -> Result<Vec<EgressInfo>, CallError> {
        let request = Request::ListEgress { egress: None, room: Some(room.clone()), active: false };
        Ok(all(&self.list(request).await?))
    }

    async fn active_egresses(&self) -> Result<Vec<EgressInfo>, CallError> {
        Ok(all(&self.list(Request::ListEgress { egress: None, room: None, active: true }).await?))
    }

    async fn participants(&self, room: &RoomId) -> Result<Vec<Participant>, CallError> {
        match self.call(Request::ListParticipants(room.clone())).await? {
            Reply::Participants(found) => Ok(found.iter().map(ParticipantView::to_domain).collect()),
            other => Err(unreadable(&other)),
        }
    }

    async fn send_data(&self, message: &DataMessage) -> Result<(), CallError> {
        let message = super::calls::DataMessage {
            room: message.room.clone(),
            topic: message.topic.to_owned(),
            payload: message.payload.clone(),
            to: match message.to.clone() {
                Receivers::Everybody => Vec::new(),
                Receivers::Sids(to) | Receivers::Identities(to) => to,
            },
        };
        self.call(Request::SendData(message)).await.map(drop)
    }

    async fn participant(&self, room: &RoomId, identity: &str) -> Result<Option<Participant>, CallError> {
        match self.call(Request::GetParticipant(room.clone(), identity.to_owned())).await {
            Ok(Reply::Participant(found)) => Ok(Some(found.to_domain())),
            Ok(other) => Err(unreadable(&other)),
            Err(error) if error.code() == Some("not_found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_room(&self, order: &RoomOrder) -> Result<(), CallError> {
        self.call(Request::CreateRoom(order.into())).await.map(drop)
    }

    async fn delete_room(&self, room: &RoomId) -> Result<bool, CallError> {
        was_there(self.call(Request::DeleteRoom(room.clone())).await)
    }

    async fn existing_rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, CallError> {
        match self.call(Request::ListRooms(rooms.to_vec())).await? {
            Reply::Rooms(found) => Ok(found.into_iter().map(|room| room.name).collect()),
            other => Err(unreadable(&other)),
        }
    }

    async fn remove_participant(&self, room: &RoomId, identity: &str) -> Result<bool, CallError> {
        was_there(self.call(Request::RemoveParticipant(room.clone(), identity.to_owned())).await)
    }

    async fn update_participant(
        &self,
        room: &RoomId,
        identity: &str,
        metadata: &str,
    ) -> Result<bool, CallError> {
        let (identity, metadata) = (identity.to_owned(), metadata.to_owned());
        was_there(self.call(Request::UpdateParticipant(room.clone(), identity, metadata)).await)
    }

    async fn dispatches(&self, room: &RoomId) -> Result<Vec<Dispatch>, CallError> {
        match self.call(Request::ListDispatch(room.clone())).await? {
            Reply::Dispatches(found) => Ok(found),
            other => Err(unreadable(&other)),
        }
    }

    async fn dispatch(&self, room: &RoomId, agent: &str) -> Result<Dispatch, CallError> {
        match self.call(Request::CreateDispatch(room.clone(), agent.to_owned())).await? {
            Reply::Dispatch(sent) => Ok(sent),
            other => Err(unreadable(&other)),
        }
    }

    async fn call_back(&self, room: &RoomId, dispatch: &str) -> Result<bool, CallError> {
        was_there(self.call(Request::DeleteDispatch(room.clone(), dispatch.to_owned())).await)
    }

    async fn ping(&self) -> Result<(), CallError> {
        self.call(Request::ListRooms(Vec::new())).await.map(drop)
    }
}
