//! `dev`: the service on this machine with everything embedded and a simulated LiveKit.
//!
//! Owns the room that it prepares and what it prints for whoever tries the API.

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::creation::{Drawn, NewRoom, create};
use reelkeeper_actors::meeting::names::RoomName;
use reelkeeper_actors::ports::catalog::ApiKey;
use reelkeeper_actors::ports::clock::{Clock, Entropy, SystemClock, SystemEntropy, fresh_secret};
use serde_json::json;

use crate::app::App;
use crate::config::Flags;

use super::{Failure, start, until_signal};

/// Name of the room that is always there.
const ROOM: &str = "dev";
/// Simulated participants in it.
const PEOPLE: u32 = 2;
/// What `dev` decides. It stands above the environment, so that `dev` is the same whatever a shell has set for
/// a service.
pub const PRESETS: &[(&str, &str)] = &[
    ("listen", "127.0.0.1:6080"),
    ("data_folder", "data"),
    ("store.url", "sqlite://data/reelkeeper.db"),
    ("coordination.url", "memory://"),
    ("blobs.url", "file://data/blobs"),
    ("livekit.url", "sim://"),
];

/// Runs the service for trying it out.
///
/// # Errors
/// All faults of the configuration at once, or why the service could not start or had to stop.
pub async fn run(mut flags: Flags) -> Result<(), Failure> {
    for (key, value) in PRESETS {
        flags.preset("dev", key, value);
    }
    let signal = until_signal()?;
    let app = start(&flags).await?;
    let api_key = kept_api_key(&app).await?;
    let room = prepare_room(&app).await?;
    announce(&app.base_url(), &api_key, &room);
    app.run(signal).await?;
    Ok(())
}

/// The API key in the store; generated at the first start unless one is configured.
pub(super) async fn kept_api_key(app: &App) -> Result<String, Failure> {
    let generated = format!("ovmeet-{:032x}", u128::from_le_bytes(SystemEntropy.draw()));
    let fresh = ApiKey { key: generated, creation_date: SystemClock.now().0 };
    app.catalog().insert_first_api_key(&fresh).await?;
    let kept = app.catalog().api_keys().await?;
    Ok(kept.into_iter().next().unwrap_or(fresh).key)
}

/// The room in the catalog, and its LiveKit room with people in it.
pub(super) async fn prepare_room(app: &App) -> Result<RoomId, Failure> {
    let name = RoomName::clean(ROOM)?;
    let drawn = Drawn {
        now: SystemClock.now(),
        // Always the same id, so that the printed lines stay right after a restart.
        random: [0; 16],
        moderator_secret: fresh_secret(&SystemEntropy),
        speaker_secret: fresh_secret(&SystemEntropy),
    };
    let room = create(NewRoom { name, ..NewRoom::default() }, &drawn);
    if app.catalog().room(&room.room_id).await?.is_none() {
        app.catalog().insert_room(&room).await?;
    }
    if let Some(simulator) = app.simulator() {
        let metadata = json!({ "createdBy": app.name_id() }).to_string();
        let added = simulator.add_room(&room.room_id, &metadata, PEOPLE);
        added.map_err(|refusal| refusal.message)?;
    }
    Ok(room.room_id)
}

#[allow(clippy::print_stdout, reason = "this is what the command is for")]
fn announce(base: &str, api_key: &str, room: &RoomId) {
    println!(
        "
Reelkeeper for development, with a simulated LiveKit. Not for production.

  API        {base}/api/v1
  API key    {api_key}
  room       {room}, with {PEOPLE} simulated participants

Record it, look, stop with the recordingId that the first line shows, and fetch the file:

  curl -sX POST {base}/api/v1/recordings -H 'x-api-key: {api_key}' \\
    -H 'content-type: application/json' -d '{{\"roomId\":\"{room}\"}}'
  curl -s {base}/api/v1/recordings -H 'x-api-key: {api_key}'
  curl -sX POST {base}/api/v1/recordings/RECORDING_ID/stop -H 'x-api-key: {api_key}'
  curl -so recording.mp4 {base}/api/v1/recordings/RECORDING_ID/media -H 'x-api-key: {api_key}'
"
    );
}
