//! A process of a test: its log, its readiness, its end.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Lines of each log that a failed test shows.
const TAIL: usize = 60;

/// Runs until it is dropped, however the test ends: with the test's thread it dies too.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// How long its log was when it started: an earlier process of its name may have written into it.
    begin: usize,
}

/// What is to be run.
pub struct Program<'a> {
    pub name: &'a str,
    pub path: &'a Path,
    pub args: Vec<String>,
    pub environment: Vec<(&'a str, String)>,
}

impl Process {
    /// Starts it with an empty environment but for `PATH`, `HOME` and what the program wants.
    pub fn start(folder: &Path, program: Program<'_>) -> Self {
        let log = folder.join(format!("{}.log", program.name));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let begin = std::fs::read(&log).unwrap().len();
        let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program.path)
            .args(program.args)
            .env_clear()
            .envs(kept)
            .envs(program.environment.iter().map(|(name, value)| (name, OsStr::new(value))))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.name));
        Self { name: program.name.to_owned(), child, log, begin }
    }

    /// Waits until it says a word.
    pub async fn says(&mut self, word: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(word) {
            self.is_alive();
            assert!(Instant::now() < deadline, "{} did not say '{word}'", self.name);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Fails the test if it has ended.
    pub fn is_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} has ended: {ended:?}", self.name);
    }

    /// What it and those of its name before it wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()[self.begin..]).into_owned()
    }

    /// SIGKILL, and gone when this returns.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it has ended by itself; how.
    pub async fn ends(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} does not end", self.name)).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        rustix::process::kill_process(id.expect("it still runs"), signal).unwrap();
    }

    /// Stops all of its threads. A signal only asks for that: one that had begun to answer may still do so.
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
        let deadline = Instant::now() + PATIENCE;
        while !self.is_stopped() {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
    }

    /// Whether each of its threads is stopped, as the kernel says.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id().expect("it still runs")));
        let is_stopped = |thread: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The name stands in brackets and may hold anything; the state follows.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        };
        threads.unwrap().flatten().all(is_stopped)
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ends().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            eprintln!("--- the end of {}'s log ---\n{tail}\n---", self.name);
        }
    }
}

/// Asks until there is an answer; the test fails if there is none in time.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    before(Instant::now() + PATIENCE, what, ask).await
}

/// The same with a deadline of the test's own.
pub async fn before<T>(deadline: Instant, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {:?}: {what}", begun.elapsed());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
