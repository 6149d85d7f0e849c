//! The simulated LiveKit, with its real face, in the test's process: it outlives every run of the service.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reelkeeper::simulator::{Control, Simulator, SimulatorConfig};
use reelkeeper_actors::embedded::DirectoryBlobs;
use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId};
use reelkeeper_actors::recording::FileLayout;
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};
use reelkeeper_actors::simulator::log::{CallRecord, HeldCall, Release};
use reelkeeper_actors::simulator::views::EgressView;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::wait::until;

/// Issuer of tokens, the same for every LiveKit here.
pub const API_KEY: &str = "processes";
/// Signs them.
pub const API_SECRET: &str = "a-secret-that-only-these-tests-know";
/// The service's default sub-bucket.
const SUBBUCKET: &str = "openvidu-meet";

/// Where a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Received, nothing done.
    Work,
    /// Done, not answered.
    Answer,
}

/// A simulated LiveKit; gone when dropped.
pub struct LiveKit {
    control: Control,
    address: SocketAddr,
    /// Whose worker was killed. LiveKit lists them with their last status for ever.
    dead: RefCell<BTreeSet<EgressId>>,
    _running: DropGuard,
}

/// Everything as quick as a machine that runs many cases at once allows, in the order of a real server.
pub fn quick() -> Timing {
    let ms = Duration::from_millis;
    Timing {
        accept: ms(10),
        join: ms(40),
        activate: ms(80),
        leave: ms(20),
        upload: ms(60),
        search: ms(300),
        ..Timing::default()
    }
}

impl LiveKit {
    /// Listens on a free port, writes into this folder, and tells whoever is at `told`.
    pub async fn start(blobs: &Path, timing: Timing, told: Option<SocketAddr>) -> Self {
        let blobs = DirectoryBlobs::open(blobs).await.expect("a folder for files");
        let config = SimulatorConfig {
            timing,
            // Several may write into one folder, one after the other: their ids must differ.
            seed: rand::random(),
            ..SimulatorConfig::new(API_KEY, API_SECRET, Arc::new(blobs))
        };
        let simulator = Simulator::bind(config).await.expect("a free port");
        let (control, address) = (simulator.control(), simulator.local_addr());
        if let Some(told) = told {
            control.add_webhook(&format!("http://{told}/livekit/webhook"));
        }
        let closing = CancellationToken::new();
        tokio::spawn(simulator.run(closing.clone().cancelled_owned()));
        Self { control, address, dead: RefCell::default(), _running: closing.drop_guard() }
    }

    /// Sends its webhooks there too.
    #[allow(dead_code, reason = "the ring of the cluster uses it")]
    pub fn tell(&self, told: SocketAddr) {
        self.control.add_webhook(&format!("http://{told}/livekit/webhook"));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a room of ours, with two people who publish.
    pub fn add_room(&self, room: &RoomId) {
        let metadata = json!({ "createdBy": "openviduMeet" }).to_string();
        self.control.add_room(room, &metadata, 2).expect("space for two");
    }

    /// Ends a room: its egress ends by itself.
    pub fn end_room(&self, room: &RoomId) {
        assert!(self.control.live().with(|world| world.delete_room(room)), "there is no room '{room}'");
    }

    /// Kills the worker of a recording, without a word to anybody.
    pub fn kill_worker(&self, recording: &RecordingId) {
        let killed = self.control.live().with(|world| world.kill_worker(&recording.egress));
        assert!(killed, "'{recording}' has no worker");
        self.dead.borrow_mut().insert(recording.egress.clone());
    }

    /// Whether its worker was killed.
    pub fn is_dead(&self, egress: &EgressId) -> bool {
        self.dead.borrow().contains(egress)
    }

    /// Waits until the recorder of a recording is not in its room.
    pub async fn recorder_leaves(&self, recording: &RecordingId) {
        until("the recorder leaves", Duration::from_secs(10), async || {
            let people = self.control.live().with(|world| world.participants(&recording.room));
            let sits = people.iter().any(|person| person.identity == recording.egress.as_str());
            if sits { Err(format!("'{recording}' has a recorder")) } else { Ok(()) }
        })
        .await;
    }

    /// Asks for a fault, in the words of the control door.
    pub fn fault(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).expect("a fault as the control door reads it");
        self.control.live().with(|world| world.add_fault(fault)).expect("space for a fault");
    }

    /// Takes back every fault.
    pub fn clear_faults(&self) {
        self.control.live().with(reelkeeper_actors::simulator::World::clear_faults);
    }

    /// Holds the n-th call of a method from now on.
    pub fn hold(&self, method: &str, nth: u32, point: Point) {
        let does = match point {
            Point::Work => CallTrouble::Hold,
            Point::Answer => CallTrouble::HoldAnswer,
        };
        let method = serde_json::from_value(json!(method)).expect("a method of LiveKit");
        let what = What::Call { method, scope: None, does };
        let fault = Fault { what, room: None, skip: nth - 1, times: Some(1), chance: 1.0 };
        self.control.live().with(|world| world.add_fault(fault)).expect("space for a fault");
    }

    /// The calls that are held now.
    pub fn held(&self) -> Vec<HeldCall> {
        self.control.live().with(|world| world.held())
    }

    /// Waits until a call is held.
    pub async fn until_held(&self) -> HeldCall {
        until("a call is held", Duration::from_secs(15), async || {
            self.held().pop().ok_or_else(|| format!("calls so far: {:?}", self.methods()))
        })
        .await
    }

    /// Lets the held calls go on: their work is done even if the caller is gone.
    pub fn release(&self) {
        self.control.live().with(|world| world.release(None, Release::GoOn));
    }

    /// Breaks the connections of the held calls: work that was not done stays undone.
    pub fn drop_held(&self) {
        self.control.live().with(|world| world.release(None, Release::Drop));
    }

    /// Every call so far, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.control.live().with(|world| world.calls())
    }

    /// Their methods.
    pub fn methods(&self) -> Vec<String> {
        self.calls().iter().map(|call| format!("{:?}", call.method)).collect()
    }

    /// Every egress of a room, listed under it or not.
    pub fn egresses(&self, room: &RoomId) -> Vec<EgressView> {
        let mut egresses = self.control.live().with(|world| world.egresses());
        egresses.retain(|egress| egress.room() == room);
        egresses
    }

    /// Those of them that are neither over nor dead.
    pub fn live(&self, room: &RoomId) -> Vec<EgressView> {
        let mut egresses = self.egresses(room);
        egresses.retain(|egress| !egress.status.is_terminal() && !self.is_dead(&egress.egress));
        egresses
    }

    /// How the webhooks about egresses were answered, each try of each, 0 = not at all.
    pub fn webhook_answers(&self) -> Vec<u16> {
        let sent = self.control.sent().into_iter();
        sent.filter(|webhook| webhook.event.starts_with("egress_")).flat_map(|sent| sent.answers).collect()
    }

    /// How the first webhook with this event about a recording, or its recorder, was answered, each try; none
    /// while it is tried.
    pub fn answers_to(&self, event: &str, recording: &RecordingId) -> Option<Vec<u16>> {
        let mut sent = self.control.sent().into_iter();
        let about = |body: &str| body.contains(recording.egress.as_str());
        sent.find(|sent| sent.event == event && about(&sent.body)).map(|sent| sent.answers)
    }
}

/// The recording that an egress of ours makes.
pub fn recording_of(egress: &EgressView) -> RecordingId {
    let path = egress.order.filepath.as_deref().expect("a recording has a file");
    let uid = FileLayout::new(SUBBUCKET).uid_of(egress.room(), path).expect("a path of our form");
    RecordingId::new(egress.room().clone(), egress.egress.clone(), uid)
}

/// Where the file of a recording lies below the folder of files.
pub fn key_of(recording: &RecordingId) -> String {
    format!("{}.mp4", FileLayout::new(SUBBUCKET).egress_path(&recording.room, &recording.uid))
}
