//! The catalog: the documents that clients see.
//!
//! Owns what is stored of a recording and which view may replace which; the rules of lists are in [`list`], those of
//! rooms in `meeting/`.

pub mod list;

use async_trait::async_trait;

use self::list::{Page, RecordingQuery, RoomQuery};
use super::PortError;
use crate::ids::{RecordingId, RoomId, Uid};
use crate::meeting::status::{RoomChange, RoomChanged};
use crate::meeting::{Room, RoomStatus};
use crate::recording::event::UnheldRecording;
use crate::recording::{AccessSecrets, Recording, Timestamp};

/// A recording as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecording {
    /// What clients see.
    pub recording: Recording,
    /// What opens it without a login.
    pub secrets: AccessSecrets,
    /// LiveKit's time of the view that was stored last, in nanoseconds since 1970; 0 if not known.
    pub updated_at: i64,
}

impl StoredRecording {
    /// Takes a newer view over if [`Catalog::update_recording`] allows it. Returns whether it did.
    ///
    /// The one place of the rule, for adapters that compare and write in one step of their own.
    pub fn take_over(&mut self, newer: &Recording, updated_at: i64) -> bool {
        let same = self.recording.status == newer.status;
        if !self.recording.status.may_become(newer.status) || (same && updated_at < self.updated_at) {
            return false;
        }
        self.recording.merge(newer);
        self.updated_at = updated_at;
        true
    }
}

impl From<StoredRecording> for UnheldRecording {
    fn from(stored: StoredRecording) -> Self {
        Self { recording: stored.recording, updated_at: stored.updated_at }
    }
}

/// A key that opens the whole API.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key itself. Never logged.
    pub key: String,
    /// When it was made, in milliseconds since 1970.
    pub creation_date: i64,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("creation_date", &self.creation_date).finish_non_exhaustive()
    }
}

/// Which rooms somebody must look after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomsDue {
    /// Those to be deleted before this time.
    ToBeDeletedBefore(Timestamp),
    /// Those in a meeting, as their documents say.
    InMeeting,
}

impl RoomsDue {
    /// Whether it is one of them.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 stay below 2^53 for 285 000 years"
    )]
    pub fn is(self, room: &Room) -> bool {
        match self {
            Self::ToBeDeletedBefore(time) => room.auto_deletion_date.is_some_and(|date| date < time.0 as f64),
            Self::InMeeting => room.status == RoomStatus::ActiveMeeting,
        }
    }
}

/// How much there is (contract `access.md` 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rooms.
    pub rooms: u64,
    /// Rooms in a meeting.
    pub active_rooms: u64,
    /// Recordings.
    pub recordings: u64,
    /// Recordings that are complete.
    pub complete_recordings: u64,
}

/// Stores documents.
///
/// Demands: each call is atomic for one document; what was stored is seen by the next read of any caller;
/// unknown fields of a document survive an update; every call ends within a bounded time. What is stored or
/// removed of a recording is durable no later than a ledger write that is begun after it: the room's row owes
/// it until then.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Stores a new room.
    ///
    /// # Errors
    /// When the store is away, or a room with this id exists.
    async fn insert_room(&self, room: &Room) -> Result<(), PortError>;

    /// A room by its id.
    ///
    /// # Errors
    /// When the store is away, or the document cannot be read.
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError>;

    /// Changes a room by [`Room::changed`], whoever else changes it meanwhile, and touches nothing else of the
    /// document. Returns the room before and after; none if there is no such room.
    ///
    /// # Errors
    /// When the store is away; it may have been changed all the same.
    async fn change_room(&self, room: &RoomId, change: &RoomChange)
    -> Result<Option<RoomChanged>, PortError>;

    /// Removes a room if it still has the status and the end action that were seen. Returns whether it is gone.
    ///
    /// # Errors
    /// When the store is away; it may have been removed all the same.
    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError>;

    /// A page of rooms, like one of recordings.
    ///
    /// # Errors
    /// When the store is away. A document that cannot be read is left out and logged.
    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError>;

    /// Rooms that somebody must look after, at most `limit`, in the order of their ids, beginning after `after`.
    ///
    /// # Errors
    /// When the store is away. A document that cannot be read is left out and logged.
    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError>;

    /// How much there is of everything.
    ///
    /// # Errors
    /// When the store is away.
    async fn counts(&self) -> Result<Counts, PortError>;

    /// Stores a recording unless one with this id is there. Returns whether it was stored.
    ///
    /// # Errors
    /// When the store is away; it may have been stored all the same.
    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError>;

    /// Merges a newer view into a recording that is there: only if its status may become the new one
    /// ([`crate::recording::RecordingStatus::may_become`]) and, with the same status, if `updated_at` is not older. Fields
    /// absent in the new view keep their value ([`Recording::merge`]). Returns the recording as it is
    /// stored now, changed or not; none if there is no such recording.
    ///
    /// # Errors
    /// When the store is away; it may have been stored all the same.
    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError>;

    /// A recording by its id.
    ///
    /// # Errors
    /// When the store is away, or the document cannot be read.
    async fn recording(&self, recording: &RecordingId) -> Result<Option<StoredRecording>, PortError>;

    /// Whether there is a recording of this room under this uid, whatever its egress.
    ///
    /// # Errors
    /// When the store is away.
    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError>;

    /// A page of recordings. Walks an index; what was inserted or removed since the page before neither
    /// repeats nor hides any other.
    ///
    /// # Errors
    /// When the store is away. A document that cannot be read is left out and logged.
    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError>;

    /// Recordings that are not over, at most `limit`, in a fixed order, beginning after `after`.
    ///
    /// # Errors
    /// When the store is away. A document that cannot be read is left out and logged.
    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError>;

    /// Removes a recording. Returns whether it was there.
    ///
    /// # Errors
    /// When the store is away; it may have been removed all the same.
    async fn remove_recording(&self, recording: &RecordingId) -> Result<bool, PortError>;

    /// The API keys, oldest first.
    ///
    /// # Errors
    /// When the store is away.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError>;

    /// Stores an API key if there is none yet. Returns whether it was stored.
    ///
    /// # Errors
    /// When the store is away.
    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError>;

    /// Stores an API key, then removes all that are not younger: at no moment there is none, also if several do
    /// this at once.
    ///
    /// # Errors
    /// When the store is away; it may have been stored all the same, beside the others or instead of them.
    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError>;

    /// Removes every API key. Returns how many there were.
    ///
    /// # Errors
    /// When the store is away; some may have been removed all the same.
    async fn remove_api_keys(&self) -> Result<u64, PortError>;
}
