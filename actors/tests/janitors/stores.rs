//! A store that fails where a test says so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use reelkeeper_actors::embedded::MemoryStore;
use reelkeeper_actors::ids::{ClaimId, RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::status::{RoomChange, RoomChanged};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{Page, RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::recording::Recording;
use reelkeeper_actors::recording::ledger::Row;

/// What goes wrong.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Nothing is answered.
    pub away: bool,
    /// The rows of these rooms cannot be read.
    pub unreadable: BTreeSet<RoomId>,
    /// Lists of rows that go on, before a list panics; none: no list does.
    pub panics_after: Option<u32>,
}

/// Ledger and catalog in memory, and their trouble.
#[derive(Debug, Default)]
pub struct Stores {
    pub memory: Arc<MemoryStore>,
    trouble: Mutex<Trouble>,
}

impl Stores {
    pub fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> Result<&MemoryStore, PortError> {
        if self.trouble().away {
            return Err(PortError::unavailable("store", "as the test says"));
        }
        Ok(&self.memory)
    }
}

#[async_trait]
impl Ledger for Stores {
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError> {
        if self.trouble().unreadable.contains(room) {
            return Err(PortError::corrupt("store", format_args!("room {room}, as the test says")));
        }
        self.answers()?.load(room).await
    }

    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError> {
        self.answers()?.write(row, expected).await
    }

    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError> {
        self.answers()?.remove(room, claim, revision).await
    }

    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError> {
        let left = self.trouble().panics_after.take();
        assert_ne!(left, Some(0), "the test wants a panic");
        self.trouble().panics_after = left.map(|left| left - 1);
        self.answers()?.rows(after, limit).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ledger::ping(self.answers()?).await
    }
}

#[async_trait]
impl Catalog for Stores {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        self.answers()?.insert_room(room).await
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        self.answers()?.room(room).await
    }

    async fn change_room(
        &self,
        room: &RoomId,
        change: &RoomChange,
    ) -> Result<Option<RoomChanged>, PortError> {
        self.answers()?.change_room(room, change).await
    }

    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError> {
        self.answers()?.remove_room(seen).await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        self.answers()?.rooms(query).await
    }

    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError> {
        self.answers()?.rooms_due(due, after, limit).await
    }

    async fn counts(&self) -> Result<Counts, PortError> {
        self.answers()?.counts().await
    }

    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError> {
        self.answers()?.insert_recording(stored).await
    }

    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError> {
        self.answers()?.update_recording(recording, updated_at).await
    }

    async fn recording(&self, recording: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        self.answers()?.recording(recording).await
    }

    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError> {
        self.answers()?.has_recording(room, uid).await
    }

    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        self.answers()?.recordings(query).await
    }

    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        self.answers()?.unfinished_recordings(after, limit).await
    }

    async fn remove_recording(&self, recording: &RecordingId) -> Result<bool, PortError> {
        self.answers()?.remove_recording(recording).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        self.answers()?.api_keys().await
    }

    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError> {
        self.answers()?.insert_first_api_key(key).await
    }

    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        self.answers()?.replace_api_keys(key).await
    }

    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        self.answers()?.remove_api_keys().await
    }
}
