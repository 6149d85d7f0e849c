//! One run of a node, as the world sees it: every port goes through here, so that the run can die between
//! any two calls. Whatever of it touches a port after its death unwinds, and nothing of it has any effect.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use reelkeeper_actors::ids::{ClaimId, EgressId, NodeId, RoomId};
use reelkeeper_actors::meeting::joining::RoomOrder;
use reelkeeper_actors::meeting::notice::MeetingNotice;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, ListedBlob};
use reelkeeper_actors::ports::clock::{Clock, fresh_node};
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::ports::media_server::{DataMessage, Dispatch, MediaServer, Participant};
use reelkeeper_actors::ports::notifier::Notifier;
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressOrder};
use reelkeeper_actors::recording::ledger::Row;
use reelkeeper_actors::recording::notice::Notice;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::media_server::Deadlines;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock;
use crate::plan::{Moment, NodeTrouble, StoreCall};
use crate::surroundings::Surroundings;

/// Questions for the time in one instant that nobody has reason to ask.
const SPINS: u32 = 10_000;

/// One run of the node.
pub struct Run {
    around: Arc<Surroundings>,
    /// Which of the nodes it is a run of.
    pub node: usize,
    pub id: NodeId,
    skew_ms: i64,
    dead: AtomicBool,
    death: Notify,
    /// Dies at this call, counted down.
    ends_at: Mutex<Option<(u32, Moment)>>,
    spared: AtomicBool,
    /// It was asked to end, so nobody asks it any more.
    pub leaving: AtomicBool,
    /// Until when it believes that a node lives, whatever the plan says.
    pub believed: Mutex<BTreeMap<NodeId, Instant>>,
    /// How often it asked for the time since the time last changed.
    asked_time: Mutex<(Timestamp, u32)>,
}

/// What unwinds in a run that died.
struct Died;

impl Run {
    pub fn begin(around: Arc<Surroundings>, node: usize, skew_ms: i64) -> Arc<Self> {
        let id = fresh_node(&*around.chance);
        let (dead, death) = (AtomicBool::new(false), Notify::new());
        let (ends_at, asked_time) = (Mutex::new(None), Mutex::default());
        let (spared, leaving, believed) = (AtomicBool::new(false), AtomicBool::new(false), Mutex::default());
        Arc::new(Self {
            around,
            node,
            id,
            skew_ms,
            dead,
            death,
            ends_at,
            spared,
            leaving,
            believed,
            asked_time,
        })
    }

    pub fn around(&self) -> &Surroundings {
        &self.around
    }

    /// It will die so many calls from here on.
    pub fn dies_at(&self, calls: u32, moment: Moment) {
        *lock(&self.ends_at) = Some((calls, moment));
    }

    /// It will not die any more, unless it is dead.
    pub fn is_spared(&self) {
        self.spared.store(true, Ordering::Relaxed);
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Returns once it is dead.
    pub async fn ended(&self) {
        let mut death = std::pin::pin!(self.death.notified());
        death.as_mut().enable();
        if !self.is_dead() {
            death.await;
        }
    }

    /// Whether it does far more in one instant than there can be to do.
    fn spins_at(&self, now: Timestamp) -> bool {
        let mut asked = lock(&self.asked_time);
        *asked = if asked.0 == now { (now, asked.1 + 1) } else { (now, 0) };
        asked.1 > SPINS
    }

    /// It is dead from now on.
    pub fn ends(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.death.notify_waiters();
    }

    fn die(&self) -> ! {
        self.ends();
        resume_unwind(Box::new(Died))
    }

    pub async fn call<T>(&self, name: &str, about: &str, work: impl Future<Output = T>) -> T {
        if self.is_dead() {
            resume_unwind(Box::new(Died));
        }
        let dies = self.counts_down();
        self.around.timeline.tell(|| format!("  {name} {about}"));
        if dies == Some(Moment::Before) {
            self.around.timeline.tell(|| format!("node dies before {name}"));
            self.die();
        }
        let work = async {
            self.around.network.until_thawed(self.node).await;
            let done = work.await;
            self.around.network.until_thawed(self.node).await;
            done
        };
        let done = tokio::select! {
            biased;
            () = self.ended() => resume_unwind(Box::new(Died)),
            done = work => done,
        };
        if dies == Some(Moment::After) && !self.spared.load(Ordering::Relaxed) {
            self.around.timeline.tell(|| format!("node dies after {name}"));
            self.die();
        }
        done
    }

    /// A text for the timeline, made only if it is shown.
    pub fn told(&self, text: impl FnOnce() -> String) -> String {
        if self.around.timeline.is_shown() { text() } else { String::new() }
    }

    fn counts_down(&self) -> Option<Moment> {
        let mut ends_at = lock(&self.ends_at);
        let (left, moment) = (*ends_at)?;
        *ends_at = left.checked_sub(1).map(|left| (left, moment));
        (left == 0 && !self.spared.load(Ordering::Relaxed)).then_some(moment)
    }

    /// A call to a store.
    pub async fn store<T>(
        &self,
        call: StoreCall,
        about: &str,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let work = async {
            if self.around.network.has(self.node, NodeTrouble::NoStore) {
                return Err(PortError::unavailable("store", "not for this node, as the plan says"));
            }
            self.around.backing.call(call, work).await
        };
        self.call(call.name(), about, work).await
    }

    async fn egress_call(
        &self,
        method: Method,
        about: &str,
        work: impl Future<Output = Result<EgressInfo, CallError>>,
    ) -> Result<EgressInfo, CallError> {
        let deadlines = Deadlines::default();
        let (name, patience) = match method {
            Method::StartEgress => ("StartEgress", deadlines.start),
            _ => ("StopEgress", deadlines.other),
        };
        let mut result = self.call(name, about, self.reach(patience, work)).await;
        let mut lies = lock(&self.around.lies);
        if let Some(at) = lies.iter().position(|(of, _)| *of == method) {
            let (_, refusal) = lies.remove(at);
            let status = refusal.status();
            result = Err(CallError::Answered { status, code: Some(refusal.code), message: refusal.message });
        }
        self.around.timeline.tell(|| match &result {
            Ok(info) => format!("  {name} {about}: {} {:?}", info.egress, info.status),
            Err(error) => format!("  {name} {about}: {error}"),
        });
        result
    }

    async fn reach<T>(
        &self,
        patience: std::time::Duration,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        if self.around.network.has(self.node, NodeTrouble::NoLiveKit) {
            return Err(CallError::NotSent("not for this node, as the plan says".to_owned()));
        }
        self.around.reach(patience, work).await
    }

    async fn list<T>(
        &self,
        name: &str,
        about: &str,
        work: impl Future<Output = Result<T, CallError>>,
        count: impl Fn(&T) -> String,
    ) -> Result<T, CallError> {
        let patience = Deadlines::default().other;
        let result = self.call(name, about, self.reach(patience, work)).await;
        self.around.timeline.tell(|| match &result {
            Ok(found) => format!("  {name} {about}: {}", count(found)),
            Err(error) => format!("  {name} {about}: {error}"),
        });
        result
    }
}

impl StoreCall {
    fn name(self) -> &'static str {
        match self {
            Self::LoadRow => "load row",
            Self::WriteRow => "write row",
            Self::RemoveRow => "remove row",
            Self::ListRows => "list rows",
            Self::FindRoom => "find room",
            Self::FindRecording => "find recording",
            Self::ListUnfinished => "list unfinished recordings",
            Self::InsertRecording => "insert recording",
            Self::UpdateRecording => "update recording",
            Self::RemoveRecording => "remove recording",
            Self::HeadFile => "head file",
            Self::RemoveFile => "remove file",
            Self::TakeNotice => "take notice",
            Self::FindKey => "find key",
            Self::EnterKey => "enter key",
            Self::KeepAnswer => "keep answer",
            Self::RecallAnswer => "recall answer",
            Self::ForgetKeys => "forget keys",
            Self::PutLetter => "put letter",
            Self::ReadLetters => "read letters",
            Self::AnswerLetter => "answer letter",
        }
    }
}

fn shown(found: &[EgressInfo]) -> String {
    let shown: Vec<_> = found.iter().map(|info| format!("{} {:?}", info.egress, info.status)).collect();
    shown.join(", ")
}

impl Clock for Run {
    fn now(&self) -> Timestamp {
        if self.is_dead() {
            resume_unwind(Box::new(Died));
        }
        let now = self.around.clock.now();
        if self.spins_at(now) {
            self.around.timeline.fell("it spins: it works and works, and no time passes");
            self.die();
        }
        Timestamp(now.0 + self.skew_ms)
    }
}

#[async_trait]
impl Ledger for Run {
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError> {
        self.store(StoreCall::LoadRow, room.as_str(), self.around.backing.store.load(room)).await
    }

    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError> {
        let uid = row.state.current.as_ref().map_or("", |current| current.track.uid.as_str());
        let about = self.told(|| {
            let (unsettled, pending) = (row.state.unsettled.len(), row.state.pending.len());
            format!("{} {:?} {uid} unsettled {unsettled} pending {pending}", row.room, row.state.phase)
        });
        self.store(StoreCall::WriteRow, &about, self.around.backing.store.write(row, expected)).await
    }

    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError> {
        let work = self.around.backing.store.remove(room, claim, revision);
        self.store(StoreCall::RemoveRow, room.as_str(), work).await
    }

    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError> {
        self.store(StoreCall::ListRows, "", self.around.backing.store.rows(after, limit)).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Notifier for Run {
    async fn take(&self, notice: &Notice) -> Result<(), PortError> {
        let about = self.told(|| format!("{} {}", notice.number, notice.event.name()));
        let work = async {
            self.around.witness.told(notice);
            Ok(())
        };
        self.store(StoreCall::TakeNotice, &about, work).await
    }

    async fn take_meeting(&self, _: &MeetingNotice) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Blobs for Run {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        self.store(StoreCall::HeadFile, key, self.around.backing.blobs.head(key)).await
    }

    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        self.around.backing.blobs.read(key, range).await
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        self.around.backing.blobs.put(key, content).await
    }

    async fn remove(&self, key: &str) -> Result<bool, PortError> {
        self.store(StoreCall::RemoveFile, key, self.around.backing.blobs.remove(key)).await
    }

    async fn list(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, PortError> {
        self.around.backing.blobs.list(folder, after, limit).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl MediaServer for Run {
    async fn start_egress(&self, order: &EgressOrder) -> Result<EgressInfo, CallError> {
        let uid = order.filepath.rsplit("--").next().unwrap_or_default();
        let work = self.around.livekit.start_egress(order);
        self.egress_call(Method::StartEgress, uid, work).await
    }

    async fn stop_egress(&self, egress: &EgressId) -> Result<EgressInfo, CallError> {
        self.egress_call(Method::StopEgress, egress.as_str(), self.around.livekit.stop_egress(egress)).await
    }

    async fn egress(&self, egress: &EgressId) -> Result<Option<EgressInfo>, CallError> {
        let work = self.around.livekit.egress(egress);
        self.list("ask for egress", egress.as_str(), work, |found| shown(found.as_slice())).await
    }

    async fn room_egresses(&self, room: &RoomId) -> Result<Vec<EgressInfo>, CallError> {
        let work = self.around.livekit.room_egresses(room);
        self.list("list egresses of", room.as_str(), work, |found| shown(found)).await
    }

    async fn active_egresses(&self) -> Result<Vec<EgressInfo>, CallError> {
        let work = self.around.livekit.active_egresses();
        self.list("list egresses of all rooms", "", work, |found| shown(found)).await
    }

    async fn participants(&self, room: &RoomId) -> Result<Vec<Participant>, CallError> {
        let work = self.around.livekit.participants(room);
        self.list("list participants of", room.as_str(), work, |found| found.len().to_string()).await
    }

    async fn send_data(&self, message: &DataMessage) -> Result<(), CallError> {
        let work = self.around.livekit.send_data(message);
        self.list("signal", message.topic, work, |()| "sent".to_owned()).await
    }

    async fn participant(&self, room: &RoomId, identity: &str) -> Result<Option<Participant>, CallError> {
        self.around.livekit.participant(room, identity).await
    }

    async fn create_room(&self, order: &RoomOrder) -> Result<(), CallError> {
        self.around.livekit.create_room(order).await
    }

    async fn delete_room(&self, room: &RoomId) -> Result<bool, CallError> {
        self.around.livekit.delete_room(room).await
    }

    async fn existing_rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, CallError> {
        let work = self.around.livekit.existing_rooms(rooms);
        self.list("list rooms", "", work, |found| found.len().to_string()).await
    }

    async fn remove_participant(&self, room: &RoomId, identity: &str) -> Result<bool, CallError> {
        self.around.livekit.remove_participant(room, identity).await
    }

    async fn update_participant(
        &self,
        room: &RoomId,
        identity: &str,
        metadata: &str,
    ) -> Result<bool, CallError> {
        self.around.livekit.update_participant(room, identity, metadata).await
    }

    async fn dispatches(&self, room: &RoomId) -> Result<Vec<Dispatch>, CallError> {
        self.around.livekit.dispatches(room).await
    }

    async fn dispatch(&self, room: &RoomId, agent: &str) -> Result<Dispatch, CallError> {
        self.around.livekit.dispatch(room, agent).await
    }

    async fn call_back(&self, room: &RoomId, dispatch: &str) -> Result<bool, CallError> {
        self.around.livekit.call_back(room, dispatch).await
    }

    async fn ping(&self) -> Result<(), CallError> {
        Ok(())
    }
}
