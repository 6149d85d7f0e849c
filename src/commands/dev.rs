//! `dev`: the service on this machine with everything embedded and a simulated LiveKit.
//!
//! Owns the room that it prepares and what it prints for whoever tries the API.

use reelkeeper_actors::access::permission::Role;
use reelkeeper_actors::access::secret::room_secret;
use reelkeeper_actors::meeting::Room;
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
pub(super) async fn prepare_room(app: &App) -> Result<Room, Failure> {
    let name = RoomName::clean(ROOM)?;
    let drawn = Drawn {
        now: SystemClock.now(),
        // Always the same id, so that the printed lines stay right after a restart.
        random: [0; 16],
        moderator_secret: fresh_secret(&SystemEntropy),
        speaker_secret: fresh_secret(&SystemEntropy),
    };
    let room = create(NewRoom { name, ..NewRoom::default() }, &drawn);
    let room = if let Some(kept) = app.catalog().room(&room.room_id).await? {
        kept
    } else {
        app.catalog().insert_room(&room).await?;
        room
    };
    if let Some(simulator) = app.simulator() {
        let metadata = json!({ "createdBy": app.name_id() }).to_string();
        let added = simulator.add_room(&room.room_id, &metadata, PEOPLE);
        added.map_err(|refusal| refusal.message)?;
    }
    Ok(room)
}

#[allow(clippy::print_stdout, reason = "this is what the command is for")]
fn announce(base: &str, api_key: &str, room: &Room) {
    let (room, secret) = (&room.room_id, room_secret(room, Role::Moderator).unwrap_or_default());
    println!(
        "
Reelkeeper for development, with a simulated LiveKit. Not for production.

  API        {base}/api/v1, described at {base}/api/v1/docs
  API key    {api_key}
  room       {room}, with {PEOPLE} simulated participants

Record it, look, stop with the recordingId that the first line shows, and fetch the file:

  curl -sX POST {base}/api/v1/recordings -H 'x-api-key: {api_key}' \\
    -H 'content-type: application/json' -d '{{\"roomId\":\"{room}\"}}'
  curl -s {base}/api/v1/recordings -H 'x-api-key: {api_key}'
  curl -sX POST {base}/api/v1/recordings/RECORDING_ID/stop -H 'x-api-key: {api_key}'
  curl -so recording.mp4 {base}/api/v1/recordings/RECORDING_ID/media -H 'x-api-key: {api_key}'

Several in an archive, a link for those who have no key, and away with it:

  curl -so recordings.zip '{base}/api/v1/recordings/download?recordingIds=RECORDING_ID' -H 'x-api-key: {api_key}'
  curl -s {base}/api/v1/recordings/RECORDING_ID/url -H 'x-api-key: {api_key}'
  curl -sX DELETE {base}/api/v1/recordings/RECORDING_ID -H 'x-api-key: {api_key}'

The same as a moderator of the room, who has its secret and no key:

  curl -sX POST {base}/internal-api/v1/rooms/{room}/token -H 'content-type: application/json' \\
    -d '{{\"secret\":\"{secret}\",\"grantJoinMeetingPermission\":true,\"participantName\":\"Ann\"}}'
  curl -s {base}/api/v1/recordings -H 'x-room-member-token: Bearer TOKEN'
"
    );
}
