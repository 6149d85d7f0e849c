//! A folder, a simulated LiveKit and the runs of the service between them, and what clients were told.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::recording::ledger::RoomState;
use reelkeeper_actors::simulator::clock::Timing;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::api::{Answer, Api};
use crate::line::Line;
use crate::livekit::{LiveKit, key_of, quick};
use crate::process::{Log, NotStarted, Process};
use crate::wait::until;

/// Short enough to be waited for, long enough for a busy machine.
pub const START_TIMEOUT_S: u64 = 5;
/// Lines of each run's log that a failed test shows.
const SHOWN: usize = 60;

/// How a stage is set up.
pub struct Setup {
    /// How long things take in LiveKit.
    pub timing: Timing,
    /// Whether LiveKit tells the service anything.
    pub webhooks: bool,
    /// Options of the service beside the usual ones.
    pub options: Vec<(&'static str, String)>,
}

impl Setup {
    /// The usual one, and these options.
    pub fn with(options: &[(&'static str, &str)]) -> Self {
        let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { options, ..Self::default() }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self { timing: quick(), webhooks: true, options: Vec::new() }
    }
}

/// What a client was told; none = no answer.
#[derive(Debug, Clone)]
pub enum Told {
    /// Of a start.
    Start(RoomId, Option<Answer>),
    /// Of a stop.
    Stop(RecordingId, Option<Answer>),
    /// Of a deletion.
    Delete(RecordingId, Option<Answer>),
}

/// Everything that one case needs; gone when dropped.
pub struct Stage {
    folder: TempDir,
    /// LiveKit.
    pub livekit: LiveKit,
    /// From the service to LiveKit.
    pub to_livekit: Line,
    from_livekit: Line,
    setup: Setup,
    process: Option<Process>,
    api: Api,
    told: RefCell<Vec<Told>>,
    logs: Vec<Log>,
}

impl Stage {
    /// Sets everything up; the service listens.
    pub async fn open(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (to_livekit, from_livekit) = (Line::open().await, Line::open().await);
        let told = setup.webhooks.then(|| from_livekit.address());
        let livekit = LiveKit::start(&folder.path().join("blobs"), setup.timing.clone(), told).await;
        to_livekit.lead_to(livekit.address());
        let mut stage = Self {
            api: Api::of(from_livekit.address()),
            folder,
            livekit,
            to_livekit,
            from_livekit,
            setup,
            process: None,
            told: RefCell::default(),
            logs: Vec::new(),
        };
        stage.run().await;
        stage
    }

    /// Runs the service.
    pub async fn run(&mut self) {
        let process =
            self.try_run().await.unwrap_or_else(|failed| panic!("{}\n{}", failed.status, failed.log));
        self.from_livekit.lead_to(process.address());
        self.api.turn_to(process.address());
        self.logs.push(process.log());
        self.process = Some(process);
    }

    /// Runs another process on the same folder, whether the one there runs or not.
    pub async fn try_run(&self) -> Result<Process, NotStarted> {
        let timeout = format!("{START_TIMEOUT_S}s");
        let mut options = vec![
            ("REELKEEPER_START_TIMEOUT", timeout.as_str()),
            ("REELKEEPER_STOP_TIMEOUT", "3s"),
            ("REELKEEPER_RECONCILE_INTERVAL", "1s"),
            ("REELKEEPER_REQUEST_TIMEOUT", "6s"),
        ];
        options.extend(self.setup.options.iter().map(|(name, value)| (*name, value.as_str())));
        Process::start(self.folder.path(), self.to_livekit.address(), &options).await
    }

    /// Kills the service.
    pub async fn kill(&mut self) {
        self.take_process().kill().await;
    }

    /// The process that runs.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Hands the process out, to wait for its end.
    pub fn take_process(&mut self) -> Process {
        self.process.take().expect("it runs")
    }

    /// A client of the process that runs, or ran last.
    pub fn api(&self) -> Api {
        self.api.clone()
    }

    /// Another LiveKit takes the place of the one there, which is gone with all that it knew.
    pub async fn replace_livekit(&mut self) {
        let told = self.setup.webhooks.then(|| self.from_livekit.address());
        self.livekit = LiveKit::start(&self.blobs(), self.setup.timing.clone(), told).await;
        self.to_livekit.lead_to(self.livekit.address());
    }

    /// Makes a room, here and in LiveKit.
    pub async fn room(&self, name: &str) -> RoomId {
        let made = self.api().make_room(name).await.expect("an answer");
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["roomId"].as_str().expect("a room has an id");
        let room = RoomId::clean(id).expect("an id as the service writes it");
        self.livekit.add_room(&room);
        room
    }

    /// Starts a recording; taken down.
    pub async fn start(&self, room: &RoomId) -> Option<Answer> {
        let answer = self.api().start(room).await;
        self.was_told(Told::Start(room.clone(), answer.clone()));
        answer
    }

    /// Stops one; taken down.
    pub async fn stop(&self, recording: &RecordingId) -> Option<Answer> {
        let answer = self.api().stop(recording).await;
        self.was_told(Told::Stop(recording.clone(), answer.clone()));
        answer
    }

    /// Deletes one; taken down.
    pub async fn delete(&self, recording: &RecordingId) -> Option<Answer> {
        let answer = self.api().delete(recording).await;
        self.was_told(Told::Delete(recording.clone(), answer.clone()));
        answer
    }

    /// Starts a recording that must run.
    pub async fn started(&self, room: &RoomId) -> RecordingId {
        let answer = self.start(room).await.expect("an answer");
        assert_eq!(answer.status, 201, "start in '{room}': {answer:?}");
        answer.recording()
    }

    /// Stops one that must run.
    pub async fn stopped(&self, recording: &RecordingId) {
        let answer = self.stop(recording).await.expect("an answer");
        assert_eq!(answer.status, 202, "stop of '{recording}': {answer:?}");
    }

    /// Starts a recording that must run as soon as the room is free, after this time at the latest.
    pub async fn started_within(&self, limit: Duration, room: &RoomId) -> RecordingId {
        let what = format!("room '{room}' is free");
        let answer = until(&what, limit, async || match self.api().start(room).await {
            Some(answer) if answer.status == 409 => Err(answer.message().to_owned()),
            other => Ok(other.expect("an answer")),
        })
        .await;
        self.was_told(Told::Start(room.clone(), Some(answer.clone())));
        assert_eq!(answer.status, 201, "start in '{room}': {answer:?}");
        answer.recording()
    }

    /// Waits until the service has seen the recorder of a room's recording.
    pub async fn sees_the_recorder(&self, room: &RoomId) {
        until("the recorder is seen", Duration::from_secs(5), async || {
            let row = self.row(room).and_then(|row| row.current).expect("it records");
            if row.track.recorder_seen { Ok(()) } else { Err(format!("{row:?}")) }
        })
        .await;
    }

    /// What a recording shows.
    pub async fn shown(&self, recording: &RecordingId) -> Value {
        let answer = self.api().get(recording).await.expect("an answer");
        assert_eq!(answer.status, 200, "'{recording}': {answer:?}");
        answer.body
    }

    /// Waits until a recording shows this status. Meanwhile it may show these, in their order.
    pub async fn shows(
        &self,
        recording: &RecordingId,
        before: &[&str],
        status: &str,
        limit: Duration,
    ) -> Value {
        let mut before = before.iter();
        let mut last = status.to_owned();
        until(&format!("'{recording}' is {status}"), limit, async || {
            let shown = self.shown(recording).await;
            let now = shown["status"].as_str().expect("a recording has a status");
            if now == status {
                return Ok(shown);
            }
            if now != last {
                assert!(before.any(|next| *next == now), "'{recording}' was {last} and is {now}");
                now.clone_into(&mut last);
            }
            Err(format!("it is {now}"))
        })
        .await
    }

    /// Takes down what a client was told.
    pub fn was_told(&self, told: Told) {
        self.told.borrow_mut().push(told);
    }

    /// What clients were told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Lets nobody write into the store until this is dropped.
    pub fn freeze_store(&self) -> Connection {
        let store = Connection::open(self.store()).expect("the store can be opened");
        store.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        store.execute_batch("BEGIN IMMEDIATE").expect("the store can be locked");
        store
    }

    /// The room's row in the ledger.
    pub fn row(&self, room: &RoomId) -> Option<RoomState> {
        let reading = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = Connection::open_with_flags(self.store(), reading).expect("the store can be read");
        let query = "SELECT state FROM reelkeeper_rooms WHERE room = ?1";
        let found = store.query_row(query, [room.as_str()], |row| row.get::<_, String>(0)).optional();
        let state = found.expect("the ledger can be read")?;
        Some(serde_json::from_str(&state).expect("a row as the service writes it"))
    }

    /// Whether the file of a recording is there.
    pub fn has_file(&self, recording: &RecordingId) -> bool {
        self.file(recording).exists()
    }

    /// Where the file of a recording lies.
    pub fn file(&self, recording: &RecordingId) -> PathBuf {
        self.blobs().join(key_of(recording))
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("reelkeeper.db")
    }

    fn blobs(&self) -> PathBuf {
        self.folder.path().join("blobs")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for told in self.told() {
            eprintln!("told: {told:?}");
        }
        for (run, log) in self.logs.iter().enumerate() {
            let text = log.text();
            let lines: Vec<_> = text.lines().collect();
            eprintln!(
                "run {} of the service:\n{}",
                run + 1,
                lines[lines.len().saturating_sub(SHOWN)..].join("\n")
            );
        }
    }
}
