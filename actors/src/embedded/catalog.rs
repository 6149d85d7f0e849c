//! The catalog in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::ids::{RecordingId, RoomId, Uid};
use crate::meeting::Room;
use crate::meeting::RoomStatus;
use crate::meeting::status::{RoomChange, RoomChanged};
use crate::ports::PortError;
use crate::ports::catalog::list::{DocumentId, Listing as _, Page, RecordingQuery, RoomQuery};
use crate::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use crate::recording::{Recording, RecordingStatus};

#[derive(Debug, Default)]
pub(super) struct Documents {
    rooms: BTreeMap<RoomId, InsertedRoom>,
    recordings: BTreeMap<RecordingId, Inserted>,
    /// The contract knows one at most.
    api_key: Option<ApiKey>,
    /// How many documents were ever inserted.
    insertions: u64,
}

/// A room and its place in the order of insertion.
#[derive(Debug)]
struct InsertedRoom {
    number: u64,
    room: Room,
}

/// A recording and its place in the order of insertion.
#[derive(Debug)]
struct Inserted {
    number: u64,
    stored: StoredRecording,
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        let mut documents = lock(&self.documents);
        if documents.rooms.contains_key(&room.room_id) {
            return Err(PortError::misused("store", format_args!("room {} exists", room.room_id)));
        }
        documents.insertions += 1;
        let inserted = InsertedRoom { number: documents.insertions, room: room.clone() };
        documents.rooms.insert(room.room_id.clone(), inserted);
        Ok(())
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        Ok(lock(&self.documents).rooms.get(room).map(|inserted| inserted.room.clone()))
    }

    async fn change_room(
        &self,
        room: &RoomId,
        change: &RoomChange,
    ) -> Result<Option<RoomChanged>, PortError> {
        let mut documents = lock(&self.documents);
        let Some(stored) = documents.rooms.get_mut(room) else { return Ok(None) };
        let before = stored.room.clone();
        stored.room = before.clone().changed(change);
        Ok(Some(RoomChanged { before, after: stored.room.clone() }))
    }

    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError> {
        let mut documents = lock(&self.documents);
        let stored = documents.rooms.get(&seen.room_id);
        if stored.is_some_and(|inserted| inserted.room.standing() != seen.standing()) {
            return Ok(false);
        }
        documents.rooms.remove(&seen.room_id);
        Ok(true)
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        let documents = lock(&self.documents);
        let inserted = documents.rooms.values();
        Ok(query.page(inserted.map(|one| (DocumentId::of_insertion(one.number), &one.room))))
    }

    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError> {
        let documents = lock(&self.documents);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rooms = documents.rooms.range((from, Bound::Unbounded)).map(|(_, inserted)| &inserted.room);
        Ok(rooms.filter(|room| due.is(room)).take(limit).cloned().collect())
    }

    async fn counts(&self) -> Result<Counts, PortError> {
        let documents = lock(&self.documents);
        let rooms = documents.rooms.values().map(|inserted| inserted.room.status);
        let recordings = documents.recordings.values().map(|inserted| inserted.stored.recording.status);
        Ok(Counts {
            rooms: documents.rooms.len() as u64,
            active_rooms: rooms.filter(|status| *status == RoomStatus::ActiveMeeting).count() as u64,
            recordings: documents.recordings.len() as u64,
            complete_recordings: recordings.filter(|status| *status == RecordingStatus::Complete).count()
                as u64,
        })
    }

    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError> {
        let mut documents = lock(&self.documents);
        let id = &stored.recording.recording_id;
        if documents.recordings.contains_key(id) {
            return Ok(false);
        }
        documents.insertions += 1;
        let number = documents.insertions;
        documents.recordings.insert(id.clone(), Inserted { number, stored: stored.clone() });
        Ok(true)
    }

    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError> {
        let mut documents = lock(&self.documents);
        let Some(inserted) = documents.recordings.get_mut(&recording.recording_id) else {
            return Ok(None);
        };
        inserted.stored.take_over(recording, updated_at);
        Ok(Some(inserted.stored.recording.clone()))
    }

    async fn recording(&self, recording: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        Ok(lock(&self.documents).recordings.get(recording).map(|inserted| inserted.stored.clone()))
    }

    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError> {
        let documents = lock(&self.documents);
        Ok(documents.recordings.keys().any(|id| id.room == *room && id.uid == *uid))
    }

    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        let documents = lock(&self.documents);
        let inserted = documents.recordings.values();
        let all = inserted.map(|one| (DocumentId::of_insertion(one.number), &one.stored.recording));
        Ok(query.page(all))
    }

    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        let documents = lock(&self.documents);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let stored =
            documents.recordings.range((from, Bound::Unbounded)).map(|(_, inserted)| &inserted.stored);
        let unfinished = stored.filter(|stored| !stored.recording.status.is_terminal());
        Ok(unfinished.take(limit).cloned().collect())
    }

    async fn remove_recording(&self, recording: &RecordingId) -> Result<bool, PortError> {
        Ok(lock(&self.documents).recordings.remove(recording).is_some())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        Ok(lock(&self.documents).api_key.iter().cloned().collect())
    }

    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError> {
        let mut documents = lock(&self.documents);
        if documents.api_key.is_some() {
            return Ok(false);
        }
        documents.api_key = Some(key.clone());
        Ok(true)
    }

    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        lock(&self.documents).api_key = Some(key.clone());
        Ok(())
    }

    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        Ok(lock(&self.documents).api_key.take().map_or(0, |_| 1))
    }
}
