//! `demo`: records a simulated room into a file, over the API alone, and proves that the file plays.
//!
//! Owns the steps, what is said about each, and what a signal leaves. The service it speaks to is the whole one, on free ports and a
//! fresh folder; only LiveKit is simulated.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::recording::{FileLayout, Recording, RecordingStatus};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::{self, App};
use crate::config::{Config, Flags, process_env};
use crate::telemetry;

use super::{Failure, dev, until_signal};

/// How long the file may take after the stop.
const UPLOAD: Duration = Duration::from_secs(30);
/// How often the recording is asked for meanwhile.
const POLL: Duration = Duration::from_millis(100);

/// Records a simulated room for some seconds, shows each step, and checks the file.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// How long to record
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Where to keep everything; a fresh folder for temporary files by default
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// What the service logs meanwhile, on standard error
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

/// Runs the demo. Ends without an error only if the file has a video track, a duration above 0 and the size
/// that the recording shows. A signal (SIGINT, SIGTERM) cuts the recording short; a second one gives it up.
///
/// # Errors
/// The step that failed, and why; or that a signal came.
pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let haste = Haste::on_signals()?;
    let node = app::new_node();
    let folder = args.folder.unwrap_or_else(|| std::env::temp_dir().join(format!("reelkeeper-demo-{node}")));
    say(&format!("keeping everything in {}", folder.display()))?;
    let (config, _) = Config::load(&flags(&folder, &args.log), process_env())?;
    let files = config.policy().files;
    telemetry::init(&config.log.filter, config.log.format, &node)?;
    let app = App::start(config, node).await?;
    let api_key = dev::kept_api_key(&app).await?;
    let room = dev::prepare_room(&app).await?.room_id;
    let client = Client { http: reqwest::Client::new(), base: app.base_url(), api_key };
    say(&format!("service listening at {} after {} ms", client.base, began.elapsed().as_millis()))?;
    say(&format!("room '{room}' has two simulated participants"))?;

    let closing = CancellationToken::new();
    let service = tokio::spawn(app.run(closing.clone().cancelled_owned()));
    let shown = tokio::select! {
        shown = record(&client, &room, args.seconds, &haste) => shown,
        () = haste.given_up.cancelled() => Err("the recording was given up".into()),
    };
    closing.cancel();
    service.await??;
    let (recording, media) = shown.map_err(|error| haste.explain(error, &folder))?;
    check(&recording, &media)?;
    say(&format!("file: {}", file_of(&folder, &files, &recording).display()))?;
    if haste.cut_short.is_cancelled() {
        return Err(format!(
            "interrupted; the recording was stopped early and is kept in {}",
            folder.display()
        )
        .into());
    }
    Ok(())
}

/// What signals ask for.
#[derive(Clone, Default)]
struct Haste {
    /// The first one: stop the recording now, and see that its file is there.
    cut_short: CancellationToken,
    /// The second one: wait for nothing more.
    given_up: CancellationToken,
}

impl Haste {
    fn on_signals() -> io::Result<Self> {
        let (haste, first) = (Self::default(), until_signal()?);
        let asked = haste.clone();
        tokio::spawn(async move {
            first.await;
            asked.cut_short.cancel();
            if let Ok(second) = until_signal() {
                second.await;
                asked.given_up.cancel();
            }
        });
        Ok(haste)
    }

    /// Why there is no file, and what is there instead.
    fn explain(&self, error: Failure, folder: &Path) -> Failure {
        if !self.cut_short.is_cancelled() {
            return error;
        }
        format!("interrupted: {error}; what there is lies in {}", folder.display()).into()
    }
}

fn flags(folder: &Path, log: &str) -> Flags {
    let mut flags = Flags { log: Some(log.to_owned()), ..Flags::default() };
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let presets = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("base_path", "/meet".to_owned()),
        ("drain_timeout", "5s".to_owned()),
        ("initial_api_key", String::new()),
        ("data_folder", folder.display().to_string()),
        ("store.url", format!("sqlite://{}", folder.join("reelkeeper.db").display())),
        ("coordination.url", "memory://".to_owned()),
        ("blobs.url", format!("file://{}", folder.join("blobs").display())),
        ("livekit.url", "sim://".to_owned()),
    ];
    for (key, value) in presets {
        flags.preset("demo", key, &value);
    }
    flags
}

fn file_of(folder: &Path, files: &FileLayout, recording: &Recording) -> PathBuf {
    folder.join("blobs").join(files.blob_key(recording))
}

/// The recording from its start to its file.
async fn record(
    client: &Client,
    room: &RoomId,
    seconds: u64,
    haste: &Haste,
) -> Result<(Recording, Bytes), Failure> {
    if haste.cut_short.is_cancelled() {
        return Err("nothing was recorded".into());
    }
    let asked = Instant::now();
    let started: Recording = client.post("recordings", &json!({ "roomId": room })).await?;
    let id = started.recording_id.to_string();
    say(&format!(
        "start answered after {} ms: {} is {}",
        asked.elapsed().as_millis(),
        id,
        started.status.name()
    ))?;
    for second in 1..=seconds {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = haste.cut_short.cancelled() => {
                say("interrupted: stopping the recording; a second signal gives it up")?;
                break;
            }
        }
        let seen: Recording = client.get(&format!("recordings/{id}")).await?;
        say(&format!("recording, {second} of {seconds} s, status {}", seen.status.name()))?;
    }
    let stopped: Recording = client.post(&format!("recordings/{id}/stop"), &json!({})).await?;
    say(&format!("stop answered: status {}", stopped.status.name()))?;
    let complete = client.wait_for_end(&id).await?;
    say(&format!(
        "recording is {}: {} bytes, {} s",
        complete.status.name(),
        complete.size.unwrap_or_default(),
        complete.duration.unwrap_or_default()
    ))?;
    let media = client.media(&id).await?;
    say(&format!("downloaded {} bytes over the API", media.len()))?;
    Ok((complete, media))
}

/// Whether the file is what the recording says, and plays.
fn check(recording: &Recording, media: &Bytes) -> Result<(), Failure> {
    if recording.status != RecordingStatus::Complete {
        return Err(format!("the recording ended as {}", recording.status.name()).into());
    }
    #[allow(clippy::cast_precision_loss, reason = "a file of this size would not fit into memory")]
    let size = media.len() as f64;
    if recording.size != Some(size) {
        return Err(format!("the file has {size} bytes, the recording says {:?}", recording.size).into());
    }
    let file = re_mp4::Mp4::read_bytes(media).map_err(|error| format!("the file is no MP4: {error}"))?;
    let video = file.tracks().values().find(|track| track.kind == Some(re_mp4::TrackKind::Video));
    let video = video.ok_or("the file has no video track")?;
    if video.duration == 0 || video.timescale == 0 {
        return Err("the video track has no duration".into());
    }
    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    let seconds = video.duration as f64 / video.timescale as f64;
    say(&format!("the file plays: video of {}x{}, {seconds:.1} s", video.width, video.height))?;
    Ok(())
}

/// One step on standard output, as it happens.
fn say(step: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "demo: {step}")?;
    out.flush()
}

struct Client {
    http: reqwest::Client,
    base: String,
    api_key: String,
}

impl Client {
    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Recording, Failure> {
        let request = self.http.post(self.url(path)).json(body);
        read(request.header("x-api-key", &self.api_key).send().await?).await
    }

    async fn get(&self, path: &str) -> Result<Recording, Failure> {
        read(self.http.get(self.url(path)).header("x-api-key", &self.api_key).send().await?).await
    }

    async fn wait_for_end(&self, id: &str) -> Result<Recording, Failure> {
        let deadline = Instant::now() + UPLOAD;
        loop {
            let seen = self.get(&format!("recordings/{id}")).await?;
            if seen.status.is_terminal() {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                return Err(
                    format!("recording '{id}' is still {} after {UPLOAD:?}", seen.status.name()).into()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn media(&self, id: &str) -> Result<Bytes, Failure> {
        let request = self.http.get(self.url(&format!("recordings/{id}/media")));
        let response = request.header("x-api-key", &self.api_key).send().await?;
        Ok(response.error_for_status()?.bytes().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }
}

async fn read(response: reqwest::Response) -> Result<Recording, Failure> {
    let (status, url, body) = (response.status(), response.url().clone(), response.text().await?);
    if !status.is_success() {
        return Err(format!("{url} answered {status}: {body}").into());
    }
    serde_json::from_str(&body)
        .map_err(|error| format!("{url} answered something unreadable: {error}").into())
}
