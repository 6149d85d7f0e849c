//! Boots the whole service in this process and, at the end, looks for what it left behind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reelkeeper::app::{App, AppError, new_node};
use reelkeeper::config::{Config, Flags};
use reelkeeper::simulator::webhooks::Retries;
use reelkeeper::simulator::{Control, Simulator, SimulatorConfig};
use reelkeeper_actors::embedded::DirectoryBlobs;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::catalog::{Catalog, StoredRecording};
use reelkeeper_actors::ports::coordination::{Coordination, Standing};
use reelkeeper_actors::ports::ledger::Ledger;
use reelkeeper_actors::ports::outbox::{Outbox, OutboxDepth};
use reelkeeper_actors::recording::ledger::{Phase, Row};
use reelkeeper_actors::recording::{AccessSecrets, Recording};
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};
use reelkeeper_actors::simulator::log::CallRecord;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backed::{self, backed};
use crate::signing::Signature;
use crate::wire::{PATIENCE, Reply, client, eventually, method, try_send};

/// The API key of every service here.
pub const API_KEY: &str = "the-api-key";
/// Issuer of LiveKit's and our tokens.
pub const LIVEKIT_KEY: &str = "livekit-key";
/// Signs both.
pub const LIVEKIT_SECRET: &str = "a-secret-of-at-least-32-characters-000";

/// A service that listens on a free port.
pub struct Reelkeeper {
    pub address: SocketAddr,
    pub folder: Arc<TempDir>,
    pub orchestrator: Orchestrator,
    /// LiveKit, if the service simulates it itself.
    pub simulator: Option<Control>,
    /// What clients see, past the service.
    pub catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn Ledger>,
    outbox: Arc<dyn Outbox>,
    coordination: Arc<dyn Coordination>,
    node: NodeId,
    http: Client,
    closing: CancellationToken,
    running: JoinHandle<Result<(), AppError>>,
    ended: bool,
}

/// What may be left when a service has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// So many uids of which nothing more may ever be heard; their rooms are free.
    Unsettled(usize),
    /// Recordings run on, in so many rooms.
    Running(usize),
}

/// A folder that goes with the last one who holds it.
pub fn folder() -> Arc<TempDir> {
    Arc::new(backed::folder())
}

/// The folder in which files lie.
pub fn blobs(folder: &TempDir) -> PathBuf {
    backed().map_or_else(|| folder.path().join("blobs"), |backed| backed.bucket(folder.path()))
}

fn configuration(folder: &TempDir, livekit: &str, settings: &[(&str, &str)]) -> Config {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let usual = [
        ("REELKEEPER_LISTEN", "127.0.0.1:0".to_owned()),
        ("REELKEEPER_STORE", "memory://".to_owned()),
        ("REELKEEPER_BLOBS", format!("file://{}", blobs(folder).display())),
        ("REELKEEPER_DATA_FOLDER", path("data")),
        ("REELKEEPER_INITIAL_API_KEY", API_KEY.to_owned()),
        ("REELKEEPER_LIVEKIT", livekit.to_owned()),
        ("REELKEEPER_LIVEKIT_API_KEY", LIVEKIT_KEY.to_owned()),
        ("REELKEEPER_LIVEKIT_API_SECRET", LIVEKIT_SECRET.to_owned()),
        ("REELKEEPER_RECONCILE_INTERVAL", "1s".to_owned()),
        ("REELKEEPER_DRAIN_TIMEOUT", "5s".to_owned()),
    ];
    // A test that chooses its store means one that is embedded.
    let chooses = settings.iter().any(|(name, _)| *name == "REELKEEPER_STORE");
    let backends = backed().filter(|_| !chooses).map(|backed| backed.settings(folder.path()));
    let usual = usual.into_iter().chain(backends.into_iter().flatten());
    let usual = usual.map(|(name, value)| (name.to_owned(), value));
    let given = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // The last one of a name counts.
    let (config, _) = Config::load(&Flags::default(), usual.chain(given)).unwrap();
    config
}

/// Shows the log of a test that fails; `RUST_LOG` says how much of it.
fn show_log() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let log = tracing_subscriber::fmt().with_test_writer().with_env_filter(filter);
    // Another test may have been first.
    let _ = log.try_init();
}

impl Reelkeeper {
    /// Starts a service in a folder of its own with this LiveKit and settings.
    pub async fn start(livekit: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_in(folder(), livekit, settings).await
    }

    /// Starts a service in a folder that may hold what an earlier one left.
    pub async fn start_in(folder: Arc<TempDir>, livekit: &str, settings: &[(&str, &str)]) -> Self {
        show_log();
        let node = new_node();
        let app = App::start(configuration(&folder, livekit, settings), node.clone()).await.unwrap();
        let (address, ledger, coordination) = (app.local_addr(), app.ledger(), app.coordination());
        let (catalog, outbox) = (app.catalog(), app.outbox());
        let (orchestrator, simulator) = (app.orchestrator(), app.simulator());
        let closing = CancellationToken::new();
        let running = tokio::spawn(app.run(closing.clone().cancelled_owned()));
        let http = client();
        let ended = false;
        Self {
            address,
            folder,
            orchestrator,
            simulator,
            catalog,
            ledger,
            outbox,
            coordination,
            node,
            http,
            closing,
            running,
            ended,
        }
    }

    /// Tries to start one that cannot; why it cannot.
    pub async fn try_start(folder: &TempDir, livekit: &str, settings: &[(&str, &str)]) -> Result<(), String> {
        let app = App::start(configuration(folder, livekit, settings), new_node()).await;
        app.map(drop).map_err(|error| error.to_string())
    }

    /// A request below the base path, with the API key.
    pub fn request(&self, verb: &str, path: &str) -> RequestBuilder {
        self.bare(verb, &format!("/meet{path}")).header("x-api-key", API_KEY)
    }

    /// A request without anything.
    pub fn bare(&self, verb: &str, path: &str) -> RequestBuilder {
        self.http.request(method(verb), format!("http://{}{path}", self.address))
    }

    /// Sends a request without a body, with the API key.
    pub async fn call(&self, verb: &str, path: &str) -> Reply {
        try_send(self.request(verb, path)).await.unwrap()
    }

    /// Sends JSON, with the API key.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        try_send(self.request("POST", path).json(body)).await.unwrap()
    }

    /// Makes a room and returns its id.
    pub async fn room(&self) -> String {
        self.post("/api/v1/rooms", &json!({"roomName": "Town Hall"})).await.expect(201).field("roomId")
    }

    /// Asks for a recording.
    pub async fn start_recording(&self, room: &str) -> Reply {
        self.post("/api/v1/recordings", &json!({"roomId": room})).await
    }

    /// Asks for the end of a recording.
    pub async fn stop_recording(&self, id: &str) -> Reply {
        self.call("POST", &format!("/api/v1/recordings/{id}/stop")).await
    }

    /// Looks at a recording.
    pub async fn recording(&self, id: &str) -> Reply {
        self.call("GET", &format!("/api/v1/recordings/{id}")).await
    }

    /// Deletes a recording.
    pub async fn delete(&self, id: &str) -> Reply {
        self.call("DELETE", &format!("/api/v1/recordings/{id}")).await
    }

    /// A request for the file of a recording.
    pub fn media(&self, id: &str) -> RequestBuilder {
        self.request("GET", &format!("/api/v1/recordings/{id}/media"))
    }

    /// All recordings, newest first.
    pub async fn recordings(&self) -> Vec<Value> {
        let page = self.call("GET", "/api/v1/recordings?maxItems=100").await.expect(200).json();
        page["recordings"].as_array().unwrap().clone()
    }

    /// Waits until a recording has this status, and returns it.
    pub async fn until(&self, id: &str, status: &str) -> Value {
        eventually(&format!("'{id}' is {status}"), async || {
            let recording = self.recording(id).await.json();
            (recording["status"] == status).then_some(recording)
        })
        .await
    }

    /// Sends a webhook, rightly signed.
    pub async fn tell(&self, event: &Value) -> Reply {
        self.tell_signed(event.to_string().into_bytes(), &Signature::default()).await
    }

    /// Sends one until it is taken, as LiveKit does.
    pub async fn tell_until_taken(&self, event: &Value) {
        eventually("a webhook is taken", async || {
            let reply = self.tell(event).await;
            assert!([200, 503].contains(&reply.status), "{} {}", reply.status, reply.text());
            (reply.status == 200).then_some(())
        })
        .await;
    }

    /// Sends a webhook.
    pub async fn tell_signed(&self, body: Vec<u8>, signature: &Signature) -> Reply {
        let token = signature.of(&body);
        try_send(self.webhook(body).header("authorization", token)).await.unwrap()
    }

    /// A webhook without a signature.
    pub fn webhook(&self, body: Vec<u8>) -> RequestBuilder {
        let request = self.bare("POST", "/livekit/webhook");
        request.header("content-type", "application/webhook+json").body(body)
    }

    /// The file of a recording.
    pub fn file(&self, id: &str) -> PathBuf {
        file(&self.folder, id)
    }

    /// Writes the file of a recording, as a LiveKit egress would.
    pub fn write_file(&self, id: &str, content: &[u8]) {
        let path = self.file(id);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Stores the document of a recording that some earlier process made.
    pub async fn shelve(&self, recording: Recording) {
        let secrets = AccessSecrets { public: "0123456789".to_owned(), private: "abcdefabcd".to_owned() };
        let stored = StoredRecording { recording, secrets, updated_at: 0 };
        assert!(self.catalog.insert_recording(&stored).await.unwrap(), "it is new");
    }

    /// What rooms still owe.
    pub async fn rows(&self) -> Vec<Row> {
        self.ledger.rows(None, 1_000).await.unwrap()
    }

    /// Notices that nobody took yet.
    pub async fn outbox_depth(&self) -> OutboxDepth {
        self.outbox.depth().await.unwrap()
    }

    /// Everything that a request which is refused must leave as it was, once nothing is pending.
    pub async fn everything(&self) -> (Vec<Value>, Vec<Row>) {
        let rows = eventually("nothing is pending", async || {
            let rows = self.rows().await;
            rows.iter().all(|row| row.state.pending.is_empty()).then_some(rows)
        });
        (self.recordings().await, rows.await)
    }

    /// Waits until nothing is under way, then stops the service and looks whether its lease is gone.
    pub async fn finish(self) {
        self.finish_with(Left::Nothing).await;
    }

    /// The same, with exceptions.
    pub async fn finish_with(self, left: Left) {
        let what = format!("what is left is {left:?}");
        eventually(&what, async || self.is_left(left).await.then_some(())).await;
        self.stop().await;
    }

    async fn is_left(&self, left: Left) -> bool {
        let rows = self.rows().await;
        for row in &rows {
            let observed = self.orchestrator.observe(&row.room).await;
            if observed.is_none_or(|observed| observed.waiting > 0) {
                return false;
            }
        }
        let running = rows.iter().filter(|row| row.state.phase == Phase::Active).count();
        let others =
            rows.iter().filter(|row| !matches!(row.state.phase, Phase::Idle | Phase::Active)).count();
        let pending: usize = rows.iter().map(|row| row.state.pending.len()).sum();
        let unsettled: usize = rows.iter().map(|row| row.state.unsettled.len()).sum();
        let expected = match left {
            Left::Nothing => (0, 0),
            Left::Unsettled(uids) => (0, uids),
            Left::Running(rooms) => (rooms, 0),
        };
        let told = self.outbox_depth().await.waiting == 0;
        told && (running, unsettled) == expected
            && (others, pending) == (0, 0)
            && self.actors_are(rows.len()).await
    }

    /// Actors of rooms with nothing left go away by themselves.
    async fn actors_are(&self, rows: usize) -> bool {
        self.orchestrator.actors().await.rooms <= rows
    }

    /// Asks the service to stop, without waiting.
    pub fn ask_to_stop(&self) {
        self.closing.cancel();
    }

    /// Stops the service as SIGTERM would, whatever is under way.
    pub async fn stop(mut self) {
        self.ended = true;
        self.ask_to_stop();
        let stopped = tokio::time::timeout(PATIENCE, &mut self.running).await;
        stopped.expect("it stops in time").unwrap().unwrap();
        assert_eq!(
            self.coordination.standing(&self.node).await.unwrap(),
            Standing::Gone,
            "the lease is gone"
        );
    }
}

impl Drop for Reelkeeper {
    fn drop(&mut self) {
        self.running.abort();
        assert!(self.ended || std::thread::panicking(), "a test must end with Reelkeeper::finish");
    }
}

/// The file of a recording, as the contract lays it out.
pub fn file(folder: &TempDir, id: &str) -> PathBuf {
    let parts: Vec<_> = id.split("--").collect();
    let [room, _, uid] = parts[..] else { panic!("'{id}' is no recording id") };
    let name = format!("{room}--{uid}.mp4");
    blobs(folder).join("openvidu-meet").join("recordings").join(room).join(name)
}

/// A simulated LiveKit beside the service.
pub struct Sim {
    pub control: Control,
    pub url: String,
}

/// How a quick LiveKit behaves.
pub fn quick() -> Timing {
    let ms = Duration::from_millis;
    Timing {
        accept: ms(5),
        join: ms(10),
        activate: ms(40),
        leave: ms(10),
        upload: ms(40),
        search: ms(50),
        refuse: ms(20),
        no_worker: ms(50),
        webhook: ms(2),
        overtake: ms(100),
        ..Timing::default()
    }
}

impl Sim {
    /// Runs a simulated LiveKit that writes into the folder.
    pub async fn run(folder: &TempDir, timing: Timing) -> Self {
        let blobs = Arc::new(DirectoryBlobs::open(blobs(folder)).await.unwrap());
        let retries = Retries { pauses: vec![Duration::from_millis(50); 20] };
        let config = SimulatorConfig::new(LIVEKIT_KEY, LIVEKIT_SECRET, blobs);
        let simulator = Simulator::bind(SimulatorConfig { retries, timing, ..config }).await.unwrap();
        let url = format!("http://{}", simulator.local_addr());
        let control = simulator.control();
        tokio::spawn(simulator.run(std::future::pending()));
        Self { control, url }
    }

    /// Tells this service by webhook.
    pub fn tell(&self, service: &Reelkeeper) {
        self.control.add_webhook(&format!("http://{}/livekit/webhook", service.address));
    }

    /// Puts somebody into a room.
    pub fn people(&self, room: &str) {
        self.control.add_room(&RoomId::from_trusted(room), "", 1).unwrap();
    }

    /// Makes a room with somebody in it.
    pub async fn room(&self, service: &Reelkeeper) -> String {
        let room = service.room().await;
        self.people(&room);
        room
    }

    /// Lets somebody into the meeting of their token, as a browser comes in, and returns their identity.
    pub async fn join(&self, token: &str) -> String {
        let request = client().post(format!("{}/control/join", self.url)).json(&json!({"token": token}));
        try_send(request).await.unwrap().expect(201).field("identity")
    }

    /// Asks for a fault that hits the next such call in a room.
    pub fn trouble(&self, room: &str, method: Method, does: CallTrouble) {
        let what = What::Call { method, scope: None, does };
        let room = Some(RoomId::from_trusted(room));
        let fault = Fault { what, room, skip: 0, times: Some(1), chance: 1.0 };
        assert!(self.control.live().with(|world| world.add_fault(fault)).is_some());
    }

    /// The calls of a method that named a room, or an egress of it.
    pub fn calls(&self, room: &str, method: Method) -> Vec<CallRecord> {
        let calls = self.control.live().with(|world| world.calls());
        let of_room = |call: &CallRecord| call.room.as_ref().is_some_and(|named| named.as_str() == room);
        calls.into_iter().filter(|call| call.method == method && of_room(call)).collect()
    }
}

/// A quick simulated LiveKit, and a service that is told by it.
pub async fn simulated(settings: &[(&str, &str)]) -> (Reelkeeper, Sim) {
    simulated_with(quick(), settings).await
}

/// The same with another timing.
pub async fn simulated_with(timing: Timing, settings: &[(&str, &str)]) -> (Reelkeeper, Sim) {
    let (service, sim) = beside(timing, settings).await;
    sim.tell(&service);
    (service, sim)
}

/// A service with a simulated LiveKit that tells nothing by itself.
pub async fn simulated_silent(settings: &[(&str, &str)]) -> (Reelkeeper, Sim) {
    beside(quick(), settings).await
}

async fn beside(timing: Timing, settings: &[(&str, &str)]) -> (Reelkeeper, Sim) {
    let folder = folder();
    let sim = Sim::run(&folder, timing).await;
    let service = Reelkeeper::start_in(folder, &sim.url, settings).await;
    (service, sim)
}

/// How many bytes a file has.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
