//! Ports for the tests of the router: a small world that can be broken.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use reelkeeper_actors::access::user::User;
use reelkeeper_actors::ids::{ClaimId, EgressId, NodeId, RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::joining::RoomOrder;
use reelkeeper_actors::meeting::status::{RoomChange, RoomChanged};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, ListedBlob};
use reelkeeper_actors::ports::catalog::list::{DocumentId, Listing as _, Page, RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use reelkeeper_actors::ports::clock::{Clock, Entropy};
use reelkeeper_actors::ports::coordination::{Coordination, Lease, Standing, Tally};
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::ports::media_server::{
    DataMessage, Dispatch, IncomingWebhooks, LiveKitEvent, MediaServer, Participant, RejectedWebhook,
};
use reelkeeper_actors::ports::outbox::Letter;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::ports::webhook_sender::{SendError, WebhookSender};
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressOrder};
use reelkeeper_actors::recording::ledger::Row;
use reelkeeper_actors::recording::{Recording, Timestamp};
use reelkeeper_actors::settings::{GlobalSettings, SettingsChange, Webhooks};

/// The time in this world.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Everything behind the ports.
#[derive(Default)]
pub struct World {
    pub rooms: Mutex<Vec<Room>>,
    pub recordings: Mutex<Vec<StoredRecording>>,
    pub api_keys: Mutex<Vec<ApiKey>>,
    pub users: Mutex<Vec<User>>,
    pub blobs: Mutex<Vec<(String, Bytes)>>,
    /// Files end early when read.
    pub blobs_break: AtomicBool,
    /// The store fails every call.
    pub store_is_away: AtomicBool,
    /// The store answers no call.
    pub store_hangs: AtomicBool,
    /// The store does not answer who asks for one recording.
    pub recordings_hang: AtomicBool,
}

impl World {
    async fn store(&self) -> Result<(), PortError> {
        if self.store_hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.store_is_away.load(Ordering::SeqCst) {
            return Err(PortError::unavailable("store", "cut off"));
        }
        Ok(())
    }

    fn blob(&self, key: &str) -> Option<Bytes> {
        let blobs = self.blobs.lock().unwrap();
        blobs.iter().find(|(name, _)| name == key).map(|(_, content)| content.clone())
    }
}

#[async_trait]
impl Catalog for World {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        self.store().await?;
        self.rooms.lock().unwrap().push(room.clone());
        Ok(())
    }
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        self.store().await?;
        Ok(self.rooms.lock().unwrap().iter().find(|stored| stored.room_id == *room).cloned())
    }
    async fn has_recording(&self, _: &RoomId, _: &Uid) -> Result<bool, PortError> {
        unreachable!("the HTTP face knows ids")
    }
    async fn change_room(&self, _: &RoomId, _: &RoomChange) -> Result<Option<RoomChanged>, PortError> {
        self.store().await?;
        Ok(None)
    }
    async fn remove_room(&self, _: &Room) -> Result<bool, PortError> {
        unreachable!("the HTTP face removes no rooms")
    }
    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        self.store().await?;
        let rooms = self.rooms.lock().unwrap();
        Ok(query.page((1..).map(DocumentId::of_insertion).zip(rooms.iter())))
    }
    async fn rooms_due(&self, _: RoomsDue, _: Option<&RoomId>, _: usize) -> Result<Vec<Room>, PortError> {
        unreachable!("the HTTP face sweeps nothing")
    }
    async fn counts(&self) -> Result<Counts, PortError> {
        self.store().await?;
        Ok(Counts::default())
    }
    async fn insert_recording(&self, _: &StoredRecording) -> Result<bool, PortError> {
        unreachable!("the HTTP face writes no recordings")
    }
    async fn update_recording(&self, _: &Recording, _: i64) -> Result<Option<Recording>, PortError> {
        unreachable!("the HTTP face writes no recordings")
    }
    async fn recording(&self, id: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        if self.recordings_hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.store().await?;
        let recordings = self.recordings.lock().unwrap();
        Ok(recordings.iter().find(|stored| stored.recording.recording_id == *id).cloned())
    }
    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        self.store().await?;
        let recordings = self.recordings.lock().unwrap();
        let numbered = (1..).map(DocumentId::of_insertion).zip(recordings.iter());
        Ok(query.page(numbered.map(|(id, stored)| (id, &stored.recording))))
    }
    async fn unfinished_recordings(
        &self,
        _: Option<&RecordingId>,
        _: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        unreachable!("the HTTP face takes nothing up")
    }
    async fn remove_recording(&self, _: &RecordingId) -> Result<bool, PortError> {
        unreachable!("the HTTP face removes no recordings")
    }
    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        self.store().await?;
        Ok(self.api_keys.lock().unwrap().clone())
    }
    async fn insert_first_api_key(&self, _: &ApiKey) -> Result<bool, PortError> {
        unreachable!("the HTTP face makes no first key")
    }
    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        self.store().await?;
        *self.api_keys.lock().unwrap() = vec![key.clone()];
        Ok(())
    }
    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        self.store().await?;
        let removed = std::mem::take(&mut *self.api_keys.lock().unwrap());
        Ok(removed.len() as u64)
    }
}

#[async_trait]
impl Accounts for World {
    async fn user(&self, username: &str) -> Result<Option<User>, PortError> {
        self.store().await?;
        Ok(self.users.lock().unwrap().iter().find(|user| user.username == username).cloned())
    }
    async fn insert_user(&self, _: &User) -> Result<bool, PortError> {
        unreachable!("the HTTP face makes no first user")
    }
    async fn change_password(&self, username: &str, from: &str, to: &str) -> Result<bool, PortError> {
        self.store().await?;
        let mut users = self.users.lock().unwrap();
        let found = users.iter_mut().find(|user| user.username == username && user.password_hash == from);
        Ok(found.map(|user| to.clone_into(&mut user.password_hash)).is_some())
    }
}

#[async_trait]
impl Blobs for World {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        let head = |content: Bytes| BlobHead {
            size: content.len() as u64,
            modified: NOW.0,
            etag: format!("e{}", content.len()),
        };
        Ok(self.blob(key).map(head))
    }
    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        let bounds = |n: &u64| usize::try_from(*n).unwrap();
        let (start, end) = (bounds(range.start()), bounds(range.end()));
        let Some(content) = self.blob(key) else { return Ok(None) };
        if self.blobs_break.load(Ordering::SeqCst) {
            let pieces = [Ok(content.slice(start..end)), Err(PortError::unavailable("blobs", "cut off"))];
            return Ok(Some(stream::iter(pieces).boxed()));
        }
        Ok(Some(stream::iter([Ok(content.slice(start..=end))]).boxed()))
    }
    async fn link(&self, key: &str, lasts: Duration) -> Result<Option<String>, PortError> {
        Ok(Some(format!("https://bucket/{key}?lasts={}", lasts.as_secs())))
    }
    async fn put(&self, _: &str, _: Bytes) -> Result<(), PortError> {
        unreachable!("the HTTP face writes no files")
    }
    async fn remove(&self, _: &str) -> Result<bool, PortError> {
        unreachable!("the HTTP face removes no files")
    }
    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<ListedBlob>, PortError> {
        unreachable!("the HTTP face lists no files")
    }
    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Ledger for World {
    async fn load(&self, _: &RoomId) -> Result<Option<Row>, PortError> {
        unreachable!("the HTTP face reads no rows")
    }
    async fn write(&self, _: &Row, _: &Expected) -> Result<Written, PortError> {
        unreachable!("the HTTP face writes no rows")
    }
    async fn remove(&self, _: &RoomId, _: &ClaimId, _: u64) -> Result<Written, PortError> {
        unreachable!("the HTTP face removes no rows")
    }
    async fn rows(&self, _: Option<&RoomId>, _: usize) -> Result<Vec<Row>, PortError> {
        unreachable!("the HTTP face reads no rows")
    }
    async fn ping(&self) -> Result<(), PortError> {
        self.store().await
    }
}

#[async_trait]
impl Coordination for World {
    async fn nodes(&self) -> Result<Vec<Lease>, PortError> {
        unreachable!("the HTTP face speaks to no node")
    }
    async fn renew_at(&self, _: &NodeId, _: &str, _: Duration) -> Result<(), PortError> {
        unreachable!("the HTTP face renews no lease")
    }
    async fn leave(&self, _: &NodeId) -> Result<(), PortError> {
        unreachable!("the HTTP face gives no lease up")
    }
    async fn succeed(&self, _: &str, _: &NodeId, _: Duration) -> Result<(), PortError> {
        unreachable!("the HTTP face takes no place")
    }
    async fn standing(&self, _: &NodeId) -> Result<Standing, PortError> {
        Ok(Standing::Alive)
    }
    async fn reserve_name(&self, _: &RoomId, _: &str, _: Duration) -> Result<Option<String>, PortError> {
        unreachable!("the HTTP face lets nobody in by itself")
    }
    async fn free_name(&self, _: &RoomId, _: &str) -> Result<(), PortError> {
        unreachable!("the HTTP face frees no name")
    }
    async fn free_names(&self, _: &RoomId) -> Result<(), PortError> {
        unreachable!("the HTTP face frees no name")
    }
    async fn want_captions(&self, _: &RoomId, _: &str, _: Duration) -> Result<(), PortError> {
        unreachable!("the HTTP face sends no agent")
    }
    async fn decline_captions(&self, _: &RoomId, _: &str) -> Result<bool, PortError> {
        unreachable!("the HTTP face sends no agent")
    }
    async fn are_captions_wanted(&self, _: &RoomId) -> Result<bool, PortError> {
        unreachable!("the HTTP face sends no agent")
    }
    async fn forget_captions(&self, _: &RoomId) -> Result<(), PortError> {
        unreachable!("the HTTP face sends no agent")
    }
    async fn take_task(&self, _: &str, _: &NodeId, _: Duration) -> Result<bool, PortError> {
        unreachable!("the HTTP face sweeps nothing")
    }
    async fn add_to_count(&self, _: &str, _: Duration) -> Result<Tally, PortError> {
        Err(PortError::unavailable("coordination", "it counts nothing"))
    }
    async fn take_from_count(&self, _: &str) -> Result<(), PortError> {
        Err(PortError::unavailable("coordination", "it counts nothing"))
    }
}

#[async_trait]
impl MediaServer for World {
    async fn start_egress(&self, _: &EgressOrder) -> Result<EgressInfo, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn stop_egress(&self, _: &EgressId) -> Result<EgressInfo, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn egress(&self, _: &EgressId) -> Result<Option<EgressInfo>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn room_egresses(&self, _: &RoomId) -> Result<Vec<EgressInfo>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn active_egresses(&self) -> Result<Vec<EgressInfo>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn send_data(&self, _: &DataMessage) -> Result<(), CallError> {
        unreachable!("the HTTP face sends nothing")
    }
    async fn participants(&self, _: &RoomId) -> Result<Vec<Participant>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn participant(&self, _: &RoomId, _: &str) -> Result<Option<Participant>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn create_room(&self, _: &RoomOrder) -> Result<(), CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn delete_room(&self, _: &RoomId) -> Result<bool, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn existing_rooms(&self, _: &[RoomId]) -> Result<Vec<RoomId>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn remove_participant(&self, _: &RoomId, _: &str) -> Result<bool, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn update_participant(&self, _: &RoomId, _: &str, _: &str) -> Result<bool, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn dispatches(&self, _: &RoomId) -> Result<Vec<Dispatch>, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn dispatch(&self, _: &RoomId, _: &str) -> Result<Dispatch, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn call_back(&self, _: &RoomId, _: &str) -> Result<bool, CallError> {
        unreachable!("the HTTP face only pings LiveKit")
    }
    async fn ping(&self) -> Result<(), CallError> {
        Ok(())
    }
}

#[async_trait]
impl Settings for World {
    async fn settings(&self) -> Result<Option<GlobalSettings>, PortError> {
        self.store().await?;
        Ok(Some(first_settings()))
    }
    async fn insert_first_settings(&self, _: &GlobalSettings) -> Result<bool, PortError> {
        unreachable!("the HTTP face makes no first settings")
    }
    async fn change_settings(&self, change: &SettingsChange) -> Result<Option<GlobalSettings>, PortError> {
        self.store().await?;
        let mut settings = first_settings();
        settings.change(change);
        Ok(Some(settings))
    }
}

fn first_settings() -> GlobalSettings {
    GlobalSettings::first("meet", Webhooks { enabled: false, url: None })
}

#[async_trait]
impl WebhookSender for World {
    async fn send(&self, _: &Letter) -> Result<(), SendError> {
        unreachable!("the HTTP face delivers nothing")
    }
    async fn send_to(&self, _: &str, _: &Letter) -> Result<(), SendError> {
        Err(SendError("nobody is there".to_owned()))
    }
}

impl IncomingWebhooks for World {
    fn receive(
        &self,
        authorization: Option<&str>,
        _: &[u8],
        _: Timestamp,
    ) -> Result<LiveKitEvent, RejectedWebhook> {
        match authorization {
            Some("malformed") => Err(RejectedWebhook::Malformed("no event".to_owned())),
            Some("panic") => panic!("asked to"),
            _ => Err(RejectedWebhook::Signature("missing".to_owned())),
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        NOW
    }
}

impl Entropy for World {
    fn draw(&self) -> [u8; 16] {
        [7; 16]
    }
}
