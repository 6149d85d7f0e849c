//! Rooms and who is in them.
//!
//! Owns joining, leaving and the end of a room. A recorder never keeps a room open (LiveKit calls it
//! dependent): when everybody else is gone the room closes after its departure timeout, and that ends
//! the recorder's egress.

use std::time::Duration;

use super::calls::Refusal;
use super::views::{DisconnectReason, ParticipantView, RoomView, TrackKind, TrackView};
use super::webhooks::EventName;
use super::{Due, World};
use crate::ids::{EgressId, RoomId};
use crate::meeting::joining::RoomOrder;
use crate::ports::media_server::{Dispatch, ParticipantKind};

/// Most rooms at a time.
const ROOMS_MAX: usize = 50_000;
/// Most participants of a room, recorders included.
const PARTICIPANTS_MAX: usize = 1_000;

/// A room and who is in it, in the order they came.
#[derive(Debug)]
pub(super) struct Room {
    sid: String,
    metadata: String,
    created_at: i64,
    empty_timeout: u32,
    departure_timeout: u32,
    participants: Vec<ParticipantView>,
    pub(super) agents: Vec<Dispatch>,
}

/// How a room is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Its name.
    pub name: RoomId,
    /// What its creator writes there.
    pub metadata: String,
    /// Seconds that it stays if nobody ever joins; 0 = the server's default.
    pub empty_timeout: u32,
    /// Seconds that it stays after the last one left; 0 = the server's default.
    pub departure_timeout: u32,
}

impl NewRoom {
    /// A room with the server's defaults.
    #[must_use]
    pub fn named(name: RoomId) -> Self {
        Self { name, metadata: String::new(), empty_timeout: 0, departure_timeout: 0 }
    }
}

impl From<&RoomOrder> for NewRoom {
    fn from(order: &RoomOrder) -> Self {
        let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        Self {
            name: order.room.clone(),
            metadata: order.metadata.clone(),
            empty_timeout: seconds(order.empty_timeout),
            departure_timeout: seconds(order.departure_timeout),
        }
    }
}

/// Who is to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewParticipant {
    /// Unique in the room; somebody with the same identity is replaced.
    pub identity: String,
    /// For people.
    pub name: String,
    /// What its token says.
    pub metadata: String,
    /// What it is.
    pub kind: ParticipantKind,
    /// Whether it publishes camera and microphone.
    pub publishes: bool,
}

impl NewParticipant {
    /// A person with camera and microphone.
    #[must_use]
    pub fn person(identity: &str) -> Self {
        let identity = identity.to_owned();
        Self {
            name: identity.clone(),
            identity,
            metadata: String::new(),
            kind: ParticipantKind::Standard,
            publishes: true,
        }
    }

    /// The hidden recorder of an egress.
    pub(super) fn recorder(egress: &EgressId) -> Self {
        Self {
            identity: egress.to_string(),
            name: String::new(),
            metadata: String::new(),
            kind: ParticipantKind::Recorder,
            publishes: false,
        }
    }
}

impl Room {
    fn view(&self, name: &RoomId) -> RoomView {
        let count = |wanted: &dyn Fn(&ParticipantView) -> bool| {
            u32::try_from(self.participants.iter().filter(|p| wanted(p)).count()).unwrap_or(u32::MAX)
        };
        RoomView {
            sid: self.sid.clone(),
            name: name.clone(),
            metadata: self.metadata.clone(),
            created_at: self.created_at,
            empty_timeout: self.empty_timeout,
            departure_timeout: self.departure_timeout,
            participants: count(&|p| !p.hidden),
            publishers: count(&|p| !p.hidden && !p.tracks.is_empty()),
            recording: self.participants.iter().any(|p| p.kind == ParticipantKind::Recorder),
        }
    }

    /// Whether this is the meeting with that sid.
    pub(super) fn is(&self, sid: &str) -> bool {
        self.sid == sid
    }

    fn is_empty(&self) -> bool {
        self.participants.iter().all(|p| p.kind == ParticipantKind::Recorder)
    }
}

impl World {
    /// Makes a room, or shows the one that is there.
    ///
    /// # Errors
    /// When there are too many rooms.
    pub fn create_room(&mut self, new: NewRoom) -> Result<RoomView, Refusal> {
        if let Some(room) = self.rooms.get(&new.name) {
            return Ok(room.view(&new.name));
        }
        if self.rooms.len() >= ROOMS_MAX {
            return Err(Refusal::new("resource_exhausted", "too many rooms"));
        }
        let or_default = |given: u32, default: Duration| match given {
            0 => u32::try_from(default.as_secs()).unwrap_or(u32::MAX),
            seconds => seconds,
        };
        let room = Room {
            sid: self.fresh_id("RM_"),
            metadata: new.metadata,
            created_at: self.now.0,
            empty_timeout: or_default(new.empty_timeout, self.timing.empty_timeout),
            departure_timeout: or_default(new.departure_timeout, self.timing.departure_timeout),
            participants: Vec::new(),
            agents: Vec::new(),
        };
        let view = room.view(&new.name);
        self.look_again(&new.name, &room.sid, room.empty_timeout);
        self.rooms.insert(new.name, room);
        self.announce_room(EventName::RoomStarted, view.clone());
        Ok(view)
    }

    /// All rooms, by name.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomView> {
        self.rooms.iter().map(|(name, room)| room.view(name)).collect()
    }

    /// A room, if it is there.
    #[must_use]
    pub fn room(&self, name: &RoomId) -> Option<RoomView> {
        self.rooms.get(name).map(|room| room.view(name))
    }

    /// Who is in a room, recorders too; empty if there is no such room.
    #[must_use]
    pub fn participants(&self, room: &RoomId) -> Vec<ParticipantView> {
        self.rooms.get(room).map(|room| room.participants.clone()).unwrap_or_default()
    }

    /// Writes a room's metadata anew.
    ///
    /// # Errors
    /// When there is no such room.
    pub fn rewrite_metadata(&mut self, name: &RoomId, metadata: String) -> Result<RoomView, Refusal> {
        let room = self.rooms.get_mut(name).ok_or_else(Refusal::no_such_room)?;
        room.metadata = metadata;
        Ok(room.view(name))
    }

    /// Writes somebody's metadata anew, unless it is empty. None if they are not in the room.
    pub fn rewrite_participant(
        &mut self,
        name: &RoomId,
        identity: &str,
        metadata: String,
    ) -> Option<ParticipantView> {
        let room = self.rooms.get_mut(name)?;
        let participant = room.participants.iter_mut().find(|p| p.identity == identity)?;
        if !metadata.is_empty() {
            participant.metadata = metadata;
        }
        Some(participant.clone())
    }

    /// Lets somebody in; makes the room if need be.
    ///
    /// # Errors
    /// When the room is full or there are too many rooms.
    pub fn join(&mut self, name: &RoomId, new: NewParticipant) -> Result<ParticipantView, Refusal> {
        if self.participants(name).len() >= PARTICIPANTS_MAX {
            return Err(Refusal::new("resource_exhausted", "too many participants"));
        }
        self.create_room(NewRoom::named(name.clone()))?;
        self.leave(name, &new.identity, DisconnectReason::DuplicateIdentity);
        let tracks = if new.publishes {
            [TrackKind::Audio, TrackKind::Video]
                .map(|kind| TrackView { sid: self.fresh_id("TR_"), kind })
                .into()
        } else {
            Vec::new()
        };
        let participant = ParticipantView {
            sid: self.fresh_id("PA_"),
            identity: new.identity,
            name: new.name,
            metadata: new.metadata,
            kind: new.kind,
            hidden: new.kind == ParticipantKind::Recorder,
            joined_at: self.now.0,
            tracks,
            left: None,
        };
        if let Some(room) = self.rooms.get_mut(name) {
            room.participants.push(participant.clone());
        }
        // Whoever joins publishes a moment later.
        let still_silent = ParticipantView { tracks: Vec::new(), ..participant.clone() };
        self.announce_participant(EventName::ParticipantJoined, name, still_silent);
        for track in &participant.tracks {
            self.announce_track(EventName::TrackPublished, name, &participant, track.clone());
        }
        Ok(participant)
    }

    /// Takes somebody out of a room. False if they were not in it.
    pub fn leave(&mut self, name: &RoomId, identity: &str, reason: DisconnectReason) -> bool {
        let Some(room) = self.rooms.get_mut(name) else { return false };
        let Some(at) = room.participants.iter().position(|p| p.identity == identity) else { return false };
        let mut participant = room.participants.remove(at);
        let (empty, sid, timeout) = (room.is_empty(), room.sid.clone(), room.departure_timeout);
        participant.left = Some(reason);
        for track in participant.tracks.clone() {
            self.announce_track(EventName::TrackUnpublished, name, &participant, track);
        }
        let was_recorder = participant.kind == ParticipantKind::Recorder;
        self.announce_participant(EventName::ParticipantLeft, name, participant);
        if was_recorder {
            self.recorder_is_gone(&EgressId::from_trusted(identity));
        } else if empty {
            self.look_again(name, &sid, timeout);
        }
        true
    }

    /// Ends a room. False if there is none.
    pub fn delete_room(&mut self, name: &RoomId) -> bool {
        self.end_room(name, DisconnectReason::RoomDeleted)
    }

    fn end_room(&mut self, name: &RoomId, reason: DisconnectReason) -> bool {
        let Some(room) = self.rooms.get(name) else { return false };
        let mut leaving: Vec<_> = room.participants.iter().map(|p| (p.kind, p.identity.clone())).collect();
        // A real server lets its recorders go first.
        leaving.sort_by_key(|(kind, _)| *kind != ParticipantKind::Recorder);
        let sid = room.sid.clone();
        for (_, identity) in leaving {
            self.leave(name, &identity, reason);
        }
        let Some(room) = self.rooms.remove(name) else { return false };
        self.announce_room(EventName::RoomFinished, room.view(name));
        self.egresses_lose_room(&sid);
        true
    }

    fn look_again(&mut self, room: &RoomId, sid: &str, seconds: u32) {
        let due = Due::RoomMayClose { room: room.clone(), sid: sid.to_owned() };
        self.schedule(Duration::from_secs(u64::from(seconds)), due);
    }

    /// A timeout of a room that was empty when it began has passed. Somebody may have come and gone since;
    /// then another look is due later, and closing a little early does no harm.
    pub(super) fn close_if_empty(&mut self, name: &RoomId, sid: &str) {
        if self.rooms.get(name).is_some_and(|room| room.sid == sid && room.is_empty()) {
            self.end_room(name, DisconnectReason::RoomClosed);
        }
    }
}
