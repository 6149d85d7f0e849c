//! The service and the simulated LiveKit as processes of their own, in a temporary folder; killed when dropped.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failure;
use crate::api::{Api, Simulator};
use crate::backed::Backed;
use crate::options::Options;
use crate::usage::Watched;

/// What clients of our own service show.
const API_KEY: &str = "the-key-of-the-load";
/// From exec until it listens; only a process that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process of ours.
pub struct Running {
    child: Child,
    /// `http://` and where it listens.
    pub origin: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Its process.
    pub fn watched(&self) -> Watched {
        Watched(Some(self.child.id()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// SIGTERM.
    pub fn terminate(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    /// Runs a command and waits until a line of it says where it listens.
    fn start(
        command: &mut Command,
        output: fn(&mut Child) -> Option<Box<dyn Read + Send>>,
        origin_in: fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::null()).spawn()?;
        let read = output(&mut child).ok_or("its output is piped")?;
        let (tell, told) = mpsc::channel();
        // Reads to the end, or the process would wait for somebody to read.
        std::thread::spawn(move || {
            let mut said = Vec::new();
            for line in BufReader::new(read).lines().map_while(Result::ok) {
                if said.len() < 20 {
                    said.push(line.clone());
                }
                if let Some(origin) = origin_in(&line) {
                    let _ = tell.send(Ok(origin));
                }
            }
            let _ = tell.send(Err(said.join("\n")));
        });
        let mut running = Self { child, origin: String::new() };
        running.origin = told.recv_timeout(PATIENCE)?.map_err(|said| format!("it ended\n{said}"))?;
        Ok(running)
    }

    /// The bare loop over what an S3 server has.
    pub fn bare_s3(server: &str) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--bare-s3", server]).stdout(Stdio::piped());
        Self::start(&mut command, standard_output, |line| Some(line.to_owned()))
    }

    /// The bare loop over the files of a folder.
    pub fn bare(folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare").arg(folder).stdout(Stdio::piped());
        Self::start(&mut command, standard_output, |line| Some(line.to_owned()))
    }
}

/// What is measured, and what it needs.
pub struct Stage {
    /// The server, unless it is another's.
    serving: Option<Running>,
    livekit: Option<Running>,
    folder: Option<TempDir>,
    /// What it runs on, if that was started too.
    pub backed: Option<Backed>,
    /// The server's process.
    pub watched: Watched,
    /// A client of it.
    pub api: Api,
    /// Its LiveKit, if it can be controlled.
    pub simulator: Option<Simulator>,
}

impl Stage {
    /// The server that was named, else one of our own on what lies in this folder.
    pub async fn open(
        options: &Options,
        folder: TempDir,
        backed: Option<Backed>,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        if let (Some(base), Some(key)) = (&options.base_url, &options.api_key) {
            return Ok(Self {
                serving: None,
                livekit: None,
                folder: None,
                backed: None,
                watched: Watched(options.pid),
                api: Api::new(base, key)?,
                simulator: options.simulator.as_deref().map(Simulator::new).transpose()?,
            });
        }
        let running = simulator(options, folder.path())?;
        let service = serve(options, folder.path(), &running.origin, backed.as_ref(), settings)?;
        let simulator = Simulator::new(&running.origin)?;
        let webhook = format!("{}/livekit/webhook", service.origin);
        simulator.post("webhooks", &json!({ "url": webhook })).await?;
        Ok(Self {
            watched: service.watched(),
            api: api_of(&service.origin)?,
            simulator: Some(simulator),
            livekit: Some(running),
            serving: Some(service),
            folder: Some(folder),
            backed,
        })
    }

    /// Runs our service anew on the same folder.
    pub fn restart(&mut self, options: &Options) -> Result<(), Failure> {
        let folder = self.folder.as_ref().ok_or("another's server is not restarted")?;
        drop(self.serving.take());
        let livekit = self.livekit.as_ref().map(|running| running.origin.clone()).unwrap_or_default();
        let service = serve(options, folder.path(), &livekit, self.backed.as_ref(), &[])?;
        self.watched = service.watched();
        self.serving = Some(service);
        Ok(())
    }

    /// Where the files of our own service lie.
    pub fn blobs(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("blobs"))
    }
}

/// Runs the simulated LiveKit.
pub fn simulator(options: &Options, folder: &Path) -> Result<Running, Failure> {
    let mut command = ours("simulator");
    command.args([
        "--port",
        "0",
        "--delays",
        "none",
        "--blobs",
        &format!("file://{}/blobs", folder.display()),
    ]);
    command.env("LIVEKIT_API_KEY", &options.livekit_key).env("LIVEKIT_API_SECRET", &options.livekit_secret);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    Running::start(&mut command, standard_output, |line| {
        line.split(' ').find(|word| word.starts_with("http://")).map(str::to_owned)
    })
}

/// Runs the service with these settings beside its backends'.
pub fn serve(
    options: &Options,
    folder: &Path,
    livekit: &str,
    backed: Option<&Backed>,
    settings: &[(&str, &str)],
) -> Result<Running, Failure> {
    let mut command = ours("serve");
    command
        .args(["--listen", "127.0.0.1:0", "--livekit", livekit])
        .env("REELKEEPER_STORE", format!("sqlite://{}/reelkeeper.db", folder.display()))
        .env("REELKEEPER_BLOBS", format!("file://{}/blobs", folder.display()))
        .envs(backed.map(Backed::settings).unwrap_or_default())
        .envs(settings.iter().copied())
        .env("REELKEEPER_LIVEKIT_API_KEY", &options.livekit_key)
        .env("REELKEEPER_LIVEKIT_API_SECRET", &options.livekit_secret)
        .env("REELKEEPER_INITIAL_API_KEY", API_KEY)
        .env("REELKEEPER_LOG_FORMAT", "json")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let errors: fn(&mut Child) -> Option<Box<dyn Read + Send>> = |child| Some(Box::new(child.stderr.take()?));
    Running::start(&mut command, errors, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let address = line["address"].as_str().filter(|_| line["message"] == "listening")?;
        Some(format!("http://{address}"))
    })
}

/// What the caller's shell sets decides nothing.
fn ours(command: &str) -> Command {
    let mut started = Command::new(env!("CARGO_BIN_EXE_reelkeeper"));
    started.arg(command).env_clear();
    started
}

/// A client of our own service.
pub fn api_of(origin: &str) -> Result<Api, Failure> {
    Api::new(&format!("{origin}/meet"), API_KEY)
}

fn standard_output(child: &mut Child) -> Option<Box<dyn Read + Send>> {
    Some(Box::new(child.stdout.take()?))
}
