//! LiveKit as the media server: its Egress, Room and Agent Dispatch APIs, and the webhooks it sends.
//!
//! Owns the translation between LiveKit's protobuf and the words of the core. Never decides what an
//! answer means for a recording and never repeats a call: `recording/` and the room actor do that.
//! Read [`twirp`] next (how a call can end), then [`egress`] and [`webhook`].

pub mod egress;
pub mod rooms;
pub mod tokens;
pub mod twirp;
pub mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use livekit_protocol as proto;
use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::meeting::joining::RoomOrder;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::media_server::{DataMessage, Dispatch, MediaServer, Participant, Receivers};
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressOrder};

use self::tokens::Tokens;
use self::twirp::{Lane, Twirp};
use crate::config::Secret;

const EGRESS: &str = "livekit.Egress";
const ROOMS: &str = "livekit.RoomService";
const AGENTS: &str = "livekit.AgentDispatchService";
/// Pages of one list that are followed. A server of one's own does not page; LiveKit Cloud does.
const PAGES_MAX: usize = 64;
/// No room has this name; asking for it costs LiveKit one look-up.
const PING_ROOM: &str = "reelkeeper-ping";

/// Where LiveKit is, who we are there, and how much we ask of it at once.
#[derive(Debug, Clone)]
pub struct LiveKitOptions {
    /// `ws`, `wss`, `http` or `https`; a path in it is kept.
    pub url: String,
    /// Issuer of our tokens.
    pub api_key: String,
    /// Signs our tokens.
    pub api_secret: Secret,
    /// Deadline of any call but StartEgress.
    pub call_timeout: Duration,
    /// Deadline of StartEgress: the start timeout and 30 s (design 2).
    pub start_call_timeout: Duration,
    /// Calls in flight but StartEgress; further ones wait within their deadline.
    pub calls_in_flight: usize,
    /// StartEgress calls in flight. They may hang for their whole deadline, so they have a budget of their own.
    pub starts_in_flight: usize,
    /// Messages to meetings in flight; further ones wait within their deadline.
    pub signals_in_flight: usize,
}

impl LiveKitOptions {
    /// The defaults for a server.
    #[must_use]
    pub fn new(url: &str, api_key: &str, api_secret: &str) -> Self {
        Self {
            url: url.to_owned(),
            api_key: api_key.to_owned(),
            api_secret: Secret::new(api_secret),
            call_timeout: Duration::from_secs(5),
            start_call_timeout: Duration::from_secs(50),
            calls_in_flight: 256,
            starts_in_flight: 64,
            signals_in_flight: 64,
        }
    }
}

/// Talks to a LiveKit server.
#[derive(Debug)]
pub struct LiveKitServer {
    twirp: Twirp,
    calls: Lane,
    starts: Lane,
    /// Messages to rooms that are not there take LiveKit seconds to refuse: they starve nothing else.
    signals: Lane,
}

impl LiveKitServer {
    /// Prepares the client; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL cannot be used, or TLS cannot be set up.
    pub fn new(options: &LiveKitOptions) -> Result<Self, PortError> {
        let tokens = Tokens::new(&options.api_key, options.api_secret.clone());
        let twirp = Twirp::new(&options.url, tokens, options.call_timeout)
            .map_err(|problem| PortError::misused("livekit", problem))?;
        Ok(Self {
            twirp,
            calls: Lane::new(options.calls_in_flight, options.call_timeout, options.call_timeout),
            signals: Lane::new(options.signals_in_flight, options.call_timeout, options.call_timeout),
            starts: Lane::new(options.starts_in_flight, options.call_timeout, options.start_call_timeout),
        })
    }

    async fn has_room(&self, name: &str) -> Result<bool, CallError> {
        let request = proto::ListRoomsRequest { names: vec![name.to_owned()] };
        let found: proto::ListRoomsResponse =
            self.twirp.call(&self.calls, ROOMS, "ListRooms", tokens::list_rooms(), &request).await?;
        Ok(found.rooms.iter().any(|room| room.name == name))
    }

    async fn list(&self, mut request: proto::ListEgressRequest) -> Result<Vec<proto::EgressInfo>, CallError> {
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: proto::ListEgressResponse =
                self.twirp.call(&self.calls, EGRESS, "ListEgress", tokens::record(), &request).await?;
            items.extend(page.items);
            match page.next_page_token {
                Some(next) if !next.token.is_empty() => request.page_token = Some(next),
                _ => return Ok(items),
            }
        }
        Err(CallError::NoAnswer(format!("the list of egresses has more than {PAGES_MAX} pages")))
    }

    async fn list_in_time(
        &self,
        request: proto::ListEgressRequest,
    ) -> Result<Vec<proto::EgressInfo>, CallError> {
        let whole = self.calls.deadline();
        tokio::time::timeout(whole, self.list(request)).await.unwrap_or_else(|_| {
            Err(CallError::NoAnswer(format!("the list was not complete within {whole:?}")))
        })
    }
}

/// What LiveKit does not find was not there.
fn was_there<T>(answer: Result<T, CallError>) -> Result<bool, CallError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("not_found") => Ok(false),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl MediaServer for LiveKitServer {
    async fn start_egress(&self, order: &EgressOrder) -> Result<EgressInfo, CallError> {
        let request = egress::request(order);
        let started: proto::EgressInfo = self
            .twirp
            .call(&self.starts, EGRESS, "StartRoomCompositeEgress", tokens::record(), &request)
            .await?;
        egress::answered(started)
    }

    async fn stop_egress(&self, egress: &EgressId) -> Result<EgressInfo, CallError> {
        let request = proto::StopEgressRequest { egress_id: egress.as_str().to_owned() };
        let stopped: proto::EgressInfo =
            self.twirp.call(&self.calls, EGRESS, "StopEgress", tokens::record(), &request).await?;
        egress::answered(stopped)
    }

    async fn egress(&self, egress: &EgressId) -> Result<Option<EgressInfo>, CallError> {
        let request =
            proto::ListEgressRequest { egress_id: egress.as_str().to_owned(), ..Default::default() };
        let items = match self.list_in_time(request).await {
            Err(error) if error.code() == Some("not_found") => return Ok(None),
            other => other?,
        };
        if items.is_empty() {
            return Ok(None);
        }
        match items.into_iter().find(|item| item.egress_id == egress.as_str()) {
            Some(found) => egress::answered(found).map(Some),
            None => Err(CallError::NoAnswer(format!("asked for egress {egress}, LiveKit listed others"))),
        }
    }

    async fn room_egresses(&self, room: &RoomId) -> Result<Vec<EgressInfo>, CallError> {
        let request = proto::ListEgressRequest { room_name: room.as_str().to_owned(), ..Default::default() };
        let mut items = self.list_in_time(request).await?;
        items.retain(|item| item.room_name == room.as_str());
        egress::listed(items)
    }

    async fn active_egresses(&self) -> Result<Vec<EgressInfo>, CallError> {
        let request = proto::ListEgressRequest { active: true, ..Default::default() };
        egress::listed(self.list_in_time(request).await?)
    }

    async fn participants(&self, room: &RoomId) -> Result<Vec<Participant>, CallError> {
        let request = proto::ListParticipantsRequest { room: room.as_str().to_owned() };
        let answer: Result<proto::ListParticipantsResponse, CallError> =
            self.twirp.call(&self.calls, ROOMS, "ListParticipants", tokens::administer(room), &request).await;
        match answer {
            Ok(list) => Ok(list.participants.into_iter().map(rooms::participant).collect()),
            Err(error) if error.code() == Some("not_found") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn send_data(&self, message: &DataMessage) -> Result<(), CallError> {
        let (sids, identities) = match message.to.clone() {
            Receivers::Everybody => (Vec::new(), Vec::new()),
            Receivers::Sids(sids) => (sids, Vec::new()),
            Receivers::Identities(identities) => (Vec::new(), identities),
        };
        #[allow(deprecated, reason = "the contract names some receivers by sid")]
        let request = proto::SendDataRequest {
            room: message.room.as_str().to_owned(),
            data: message.payload.clone().into_bytes(),
            kind: proto::data_packet::Kind::Reliable.into(),
            destination_sids: sids,
            destination_identities: identities,
            topic: Some(message.topic.to_owned()),
            nonce: uuid::Uuid::new_v4().as_bytes().to_vec(),
        };
        let grant = tokens::administer(&message.room);
        let _: proto::SendDataResponse =
            self.twirp.call(&self.signals, ROOMS, "SendData", grant, &request).await?;
        Ok(())
    }

    async fn participant(&self, room: &RoomId, identity: &str) -> Result<Option<Participant>, CallError> {
        let request = rooms::somebody(room, identity);
        let answer: Result<proto::ParticipantInfo, CallError> =
            self.twirp.call(&self.calls, ROOMS, "GetParticipant", tokens::administer(room), &request).await;
        match answer {
            Ok(found) => Ok(Some(rooms::participant(found))),
            Err(error) if error.code() == Some("not_found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_room(&self, order: &RoomOrder) -> Result<(), CallError> {
        // LiveKit's CreateRoom would write options and metadata of a room that is there anew.
        if self.has_room(order.room.as_str()).await? {
            return Ok(());
        }
        let request = rooms::request(order);
        let _: proto::Room =
            self.twirp.call(&self.calls, ROOMS, "CreateRoom", tokens::create_rooms(), &request).await?;
        Ok(())
    }

    async fn delete_room(&self, room: &RoomId) -> Result<bool, CallError> {
        let request = proto::DeleteRoomRequest { room: room.as_str().to_owned() };
        let answer: Result<proto::DeleteRoomResponse, CallError> =
            self.twirp.call(&self.calls, ROOMS, "DeleteRoom", tokens::create_rooms(), &request).await;
        was_there(answer)
    }

    async fn existing_rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, CallError> {
        let names = rooms.iter().map(|room| room.as_str().to_owned()).collect();
        let request = proto::ListRoomsRequest { names };
        let found: proto::ListRoomsResponse =
            self.twirp.call(&self.calls, ROOMS, "ListRooms", tokens::list_rooms(), &request).await?;
        Ok(found.rooms.into_iter().map(|room| RoomId::from_trusted(room.name)).collect())
    }

    async fn remove_participant(&self, room: &RoomId, identity: &str) -> Result<bool, CallError> {
        let request = rooms::somebody(room, identity);
        let grant = tokens::administer(room);
        let answer: Result<proto::RemoveParticipantResponse, CallError> =
            self.twirp.call(&self.calls, ROOMS, "RemoveParticipant", grant, &request).await;
        was_there(answer)
    }

    async fn update_participant(
        &self,
        room: &RoomId,
        identity: &str,
        metadata: &str,
    ) -> Result<bool, CallError> {
        let request = proto::UpdateParticipantRequest {
            room: room.as_str().to_owned(),
            identity: identity.to_owned(),
            metadata: metadata.to_owned(),
            ..Default::default()
        };
        let grant = tokens::administer(room);
        let answer: Result<proto::ParticipantInfo, CallError> =
            self.twirp.call(&self.calls, ROOMS, "UpdateParticipant", grant, &request).await;
        was_there(answer)
    }

    async fn dispatches(&self, room: &RoomId) -> Result<Vec<Dispatch>, CallError> {
        let request =
            proto::ListAgentDispatchRequest { room: room.as_str().to_owned(), ..Default::default() };
        let found: proto::ListAgentDispatchResponse =
            self.twirp.call(&self.calls, AGENTS, "ListDispatch", tokens::administer(room), &request).await?;
        Ok(found.agent_dispatches.into_iter().map(rooms::dispatch).collect())
    }

    async fn dispatch(&self, room: &RoomId, agent: &str) -> Result<Dispatch, CallError> {
        let request = proto::CreateAgentDispatchRequest {
            room: room.as_str().to_owned(),
            agent_name: agent.to_owned(),
            ..Default::default()
        };
        let sent: proto::AgentDispatch = self
            .twirp
            .call(&self.calls, AGENTS, "CreateDispatch", tokens::administer(room), &request)
            .await?;
        Ok(rooms::dispatch(sent))
    }

    async fn call_back(&self, room: &RoomId, dispatch: &str) -> Result<bool, CallError> {
        let request = proto::DeleteAgentDispatchRequest {
            room: room.as_str().to_owned(),
            dispatch_id: dispatch.to_owned(),
        };
        let grant = tokens::administer(room);
        let answer: Result<proto::AgentDispatch, CallError> =
            self.twirp.call(&self.calls, AGENTS, "DeleteDispatch", grant, &request).await;
        was_there(answer)
    }

    async fn ping(&self) -> Result<(), CallError> {
        self.has_room(PING_ROOM).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
