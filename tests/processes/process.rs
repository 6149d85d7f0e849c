//! The service as a real process: started, killed, asked to end, and read.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use crate::livekit;

/// What clients of the service show.
pub const API_KEY: &str = "the-key-of-these-tests";
/// From the start of a process until it listens; only a process that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// One run of the service; killed when dropped.
pub struct Process {
    child: Child,
    address: SocketAddr,
    log: Log,
}

/// Why a run did not come to listen.
#[derive(Debug)]
pub struct NotStarted {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub log: String,
}

/// What a process wrote to standard error.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// All of it so far.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Process {
    /// Runs `serve` on a free port, with its store and files in this folder, and waits until it listens.
    pub async fn start(
        folder: &Path,
        livekit: SocketAddr,
        options: &[(&str, &str)],
    ) -> Result<Self, NotStarted> {
        let mut child = command(folder, livekit, options).spawn().expect("the binary under test runs");
        let log = Log::default();
        let (tell, mut told) = watch::channel(None);
        let reading = tokio::spawn(read(child.stderr.take().expect("it is piped"), log.clone(), tell));
        let listens = tokio::time::timeout(PATIENCE, told.wait_for(Option::is_some)).await;
        let listens = listens.unwrap_or_else(|_| panic!("no word from it, but\n{}", log.text()));
        let Some(address) = listens.ok().and_then(|address| *address) else {
            let status = child.wait().await.expect("a child can be waited for");
            reading.await.expect("reading does not panic");
            return Err(NotStarted { status, log: log.text() });
        };
        Ok(Self { child, address, log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it logs.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// SIGKILL; returns when it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// SIGKILL, not waited for.
    pub fn send_kill(&self) {
        self.send(Signal::KILL);
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.send(Signal::TERM);
    }

    /// SIGSTOP: it does nothing, and its connections stay.
    #[allow(dead_code, reason = "the ring of the cluster uses it")]
    pub fn freeze(&self) {
        self.send(Signal::STOP);
    }

    /// SIGCONT.
    #[allow(dead_code, reason = "the ring of the cluster uses it")]
    pub fn thaw(&self) {
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("a child can be sent a signal");
    }

    /// Waits until it has ended by itself.
    pub async fn ended_within(mut self, limit: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("still there after {limit:?}\n{}", self.log.text()));
        ended.expect("a child can be waited for")
    }
}

fn command(folder: &Path, livekit: SocketAddr, options: &[(&str, &str)]) -> Command {
    let folder = folder.display();
    // Another build, such as the release.
    let built = env!("CARGO_BIN_EXE_reelkeeper").into();
    let mut command = Command::new(std::env::var_os("REELKEEPER_BINARY").unwrap_or(built));
    command
        .arg("serve")
        .args(["--blobs", &format!("file://{folder}/blobs")])
        .args(["--livekit", &format!("http://{livekit}")])
        // What the caller's shell sets must not decide a test.
        .env_clear()
        .env("REELKEEPER_LIVEKIT_API_KEY", livekit::API_KEY)
        .env("REELKEEPER_LIVEKIT_API_SECRET", livekit::API_SECRET)
        .env("REELKEEPER_INITIAL_API_KEY", API_KEY)
        .env("REELKEEPER_LOG_FORMAT", "json")
        .env("REELKEEPER_LISTEN", "127.0.0.1:0")
        .env("REELKEEPER_STORE", format!("sqlite://{folder}/reelkeeper.db"))
        .envs(options.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Reads until the process is gone; says where it listens as soon as it does.
async fn read(stderr: ChildStderr, log: Log, tell: watch::Sender<Option<SocketAddr>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = listening_address(&line) {
            tell.send_replace(Some(address));
        }
        log.push(line);
    }
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "listening" {
        return None;
    }
    line["address"].as_str()?.parse().ok()
}
