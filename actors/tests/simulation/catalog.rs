//! The catalog as a run of a node sees it.

use async_trait::async_trait;
use reelkeeper_actors::ids::{RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::status::{RoomChange, RoomChanged};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{Page, RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use reelkeeper_actors::recording::Recording;

use crate::node::Run;
use crate::plan::StoreCall;

#[async_trait]
impl Catalog for Run {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        self.around().backing.store.insert_room(room).await
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        self.store(StoreCall::FindRoom, room.as_str(), self.around().backing.store.room(room)).await
    }

    async fn change_room(
        &self,
        room: &RoomId,
        change: &RoomChange,
    ) -> Result<Option<RoomChanged>, PortError> {
        self.around().backing.store.change_room(room, change).await
    }

    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError> {
        self.around().backing.store.remove_room(seen).await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        self.around().backing.store.rooms(query).await
    }

    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError> {
        self.around().backing.store.rooms_due(due, after, limit).await
    }

    async fn counts(&self) -> Result<Counts, PortError> {
        self.around().backing.store.counts().await
    }

    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError> {
        let recording = &stored.recording;
        self.around().take_down(recording).await;
        let about = self.told(|| format!("{} {:?}", recording.recording_id, recording.status));
        let work = self.around().backing.store.insert_recording(stored);
        let inserted = self.store(StoreCall::InsertRecording, &about, work).await?;
        if inserted {
            self.around().witness.shows(recording);
        }
        Ok(inserted)
    }

    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError> {
        self.around().take_down(recording).await;
        let about = self.told(|| format!("{} {:?}", recording.recording_id, recording.status));
        let work = self.around().backing.store.update_recording(recording, updated_at);
        let updated = self.store(StoreCall::UpdateRecording, &about, work).await?;
        self.around().witness.shows(recording);
        Ok(updated)
    }

    async fn recording(&self, id: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        self.store(
            StoreCall::FindRecording,
            &self.told(|| id.to_string()),
            self.around().backing.store.recording(id),
        )
        .await
    }

    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError> {
        self.around().backing.store.has_recording(room, uid).await
    }

    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        self.around().backing.store.recordings(query).await
    }

    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        let work = self.around().backing.store.unfinished_recordings(after, limit);
        self.store(StoreCall::ListUnfinished, "", work).await
    }

    async fn remove_recording(&self, id: &RecordingId) -> Result<bool, PortError> {
        self.store(
            StoreCall::RemoveRecording,
            &self.told(|| id.to_string()),
            self.around().backing.store.remove_recording(id),
        )
        .await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        self.around().backing.store.api_keys().await
    }

    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError> {
        self.around().backing.store.insert_first_api_key(key).await
    }

    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        self.around().backing.store.replace_api_keys(key).await
    }

    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        self.around().backing.store.remove_api_keys().await
    }
}
