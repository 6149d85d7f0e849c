//! What janitors find and owners then do, and what `gc --dry-run` says of it beforehand.
//!
//! LiveKit's webhooks do not reach these services: they would tell what sweeps are to find.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use reelkeeper::adapters::livekit::{LiveKitOptions, LiveKitServer};
use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::ports::catalog::{Catalog, StoredRecording};
use reelkeeper_actors::ports::media_server::MediaServer;
use reelkeeper_actors::recording::egress::{EgressOrder, EgressStatus};
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::{AccessSecrets, FileLayout, Recording, RecordingStatus};
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};
use reelkeeper_actors::simulator::rooms::{NewParticipant, NewRoom};
use reelkeeper_actors::simulator::views::DisconnectReason;
use tokio::process::Command;

use crate::harness::{LIVEKIT_KEY, LIVEKIT_SECRET, Left, Reelkeeper, Sim, blobs, folder, quick};
use crate::restart::Lasting;
use crate::wire::eventually;

/// Sweeps that come again at once.
const OFTEN: [(&str, &str); 5] = [
    ("REELKEEPER_UNHELD_GC_INTERVAL", "1s"),
    ("REELKEEPER_STALE_GC_INTERVAL", "1s"),
    ("REELKEEPER_STALE_AFTER", "1s"),
    ("REELKEEPER_LOCKS_GC_INTERVAL", "1s"),
    ("REELKEEPER_LOCK_GRACE", "0s"),
];
/// Nobody but `gc` looks.
const NEVER: [(&str, &str); 3] = [
    ("REELKEEPER_UNHELD_GC_INTERVAL", "1h"),
    ("REELKEEPER_STALE_GC_INTERVAL", "1h"),
    ("REELKEEPER_LOCKS_GC_INTERVAL", "1h"),
];
/// Who is in the meetings.
const PERSON: &str = "ann";
/// How long a room of LiveKit's stays without anybody, in seconds.
const STAYS_S: u32 = 10_000;

fn timing() -> Timing {
    Timing { drop_dead: Duration::from_millis(100), ..quick() }
}

async fn deaf(settings: &[(&str, &str)]) -> (Reelkeeper, Sim) {
    let folder = folder();
    let sim = Sim::run(&folder, timing()).await;
    (Reelkeeper::start_in(folder, &sim.url, settings).await, sim)
}

/// Makes a room, with somebody in it who can leave it open.
async fn room(service: &Reelkeeper, sim: &Sim) -> String {
    let room = service.room().await;
    sim.control.live().with(|world| {
        let name = RoomId::from_trusted(&*room);
        let named = NewRoom::named(name.clone());
        let new = NewRoom { empty_timeout: STAYS_S, departure_timeout: STAYS_S, ..named };
        world.create_room(new).unwrap();
        world.join(&name, NewParticipant::person(PERSON)).unwrap();
    });
    room
}

fn leave(sim: &Sim, room: &str) {
    let name = RoomId::from_trusted(room);
    sim.control.live().with(|world| world.leave(&name, PERSON, DisconnectReason::ClientInitiated));
}

/// Begins to record a room past the service, as an older node would, and waits until it records.
async fn egress(sim: &Sim, room: &str) -> RecordingId {
    let livekit = LiveKitServer::new(&LiveKitOptions::new(&sim.url, LIVEKIT_KEY, LIVEKIT_SECRET)).unwrap();
    let (room, uid) = (RoomId::from_trusted(room), Uid::from_trusted("0123456789"));
    let filepath = FileLayout::new("openvidu-meet").egress_path(&room, &uid);
    let order =
        EgressOrder { room: room.clone(), layout: Layout::Grid, encoding: Encoding::default(), filepath };
    let egress = livekit.start_egress(&order).await.unwrap().egress;
    eventually("it records", async || {
        let found = livekit.egress(&egress).await.unwrap();
        found.filter(|info| info.status == EgressStatus::Active).map(drop)
    })
    .await;
    RecordingId::new(room, egress, uid)
}

/// Stores a document as the original would: without a row.
async fn write(catalog: &Arc<dyn Catalog>, id: &RecordingId, status: RecordingStatus) {
    let recording = Recording {
        recording_id: id.clone(),
        room_id: id.room.clone(),
        room_name: "Old Hall".to_owned(),
        status,
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filename: format!("{}--{}.mp4", id.room, id.uid),
        start_date: 1_700_000_000_000.0,
        end_date: None,
        duration: None,
        size: None,
        error_code: None,
        error: None,
        details: None,
    };
    let secrets = AccessSecrets { public: "0123456789".to_owned(), private: "9876543210".to_owned() };
    assert!(catalog.insert_recording(&StoredRecording { recording, secrets, updated_at: 0 }).await.unwrap());
}

fn vanished(room: &str) -> RecordingId {
    RecordingId::new(RoomId::from_trusted(room), EgressId::from_trusted("EG_old"), Uid::from_trusted("old"))
}

/// StopEgress fails from now on, without a word.
fn refuse_stops(sim: &Sim) {
    let what = What::Call { method: Method::StopEgress, scope: None, does: CallTrouble::Cut };
    let fault = Fault { what, room: None, skip: 0, times: None, chance: 1.0 };
    sim.control.live().with(|world| world.add_fault(fault));
}

#[tokio::test]
async fn a_document_without_a_row_fails_if_livekit_knows_nothing_of_it() {
    let (service, sim) = deaf(&OFTEN).await;
    let room = room(&service, &sim).await;
    let id = vanished(&room);
    write(&service.catalog, &id, RecordingStatus::Active).await;
    let failed = service.until(&id.to_string(), "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("vanished"), "{failed}");
    let next = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&next).await.expect(202);
    service.finish_with(Left::Unsettled(1)).await;
}

#[tokio::test]
async fn a_document_without_a_row_whose_egress_runs_is_adopted_and_can_be_stopped() {
    let (service, sim) = deaf(&OFTEN).await;
    let room = room(&service, &sim).await;
    let id = egress(&sim, &room).await;
    write(&service.catalog, &id, RecordingStatus::Active).await;
    eventually("it is held", async || (!service.rows().await.is_empty()).then_some(())).await;
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    service.stop_recording(&id.to_string()).await.expect(202);
    let complete = service.until(&id.to_string(), "complete").await;
    assert_eq!((complete["roomName"].as_str(), complete["duration"].as_f64()), (Some("Old Hall"), Some(4.0)));
    service.finish().await;
}

#[tokio::test]
async fn a_live_egress_that_nobody_holds_is_adopted() {
    let (service, sim) = deaf(&OFTEN).await;
    let room = room(&service, &sim).await;
    let id = egress(&sim, &room).await.to_string();
    let active = eventually("it has a document", async || {
        let reply = service.recording(&id).await;
        (reply.status == 200).then(|| reply.json())
    })
    .await;
    assert_eq!(active["roomName"], "Town Hall");
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn a_stale_recording_is_stopped() {
    let (service, sim) = deaf(&OFTEN).await;
    let room = room(&service, &sim).await;
    let id = service.start_recording(&room).await.expect(201).id();
    leave(&sim, &room);
    service.until(&id, "complete").await;
    assert_eq!(sim.calls(&room, Method::StopEgress).len(), 1);
    service.finish().await;
}

#[tokio::test]
async fn a_stale_recording_that_never_ends_is_aborted_after_the_upload_limit() {
    let limits = [("REELKEEPER_UPLOAD_LIMIT", "3s"), ("REELKEEPER_STOP_TIMEOUT", "1s")];
    let (service, sim) = deaf(&[&OFTEN[..], &limits[..]].concat()).await;
    let room = room(&service, &sim).await;
    let id = service.start_recording(&room).await.expect(201).id();
    refuse_stops(&sim);
    leave(&sim, &room);
    service.until(&id, "ending").await;
    let egress = EgressId::from_trusted(id.split("--").nth(1).unwrap());
    assert!(sim.control.live().with(|world| world.kill_worker(&egress)));
    let aborted = service.until(&id, "aborted").await;
    assert!(aborted["error"].as_str().unwrap().contains("nothing new"), "{aborted}");
    service.finish().await;
}

/// Runs the command with what the service would run with.
async fn gc(store: &str, files: &Path, livekit: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelkeeper"));
    command.args(arguments).env_clear();
    command.env("REELKEEPER_STORE", store).env("REELKEEPER_LIVEKIT", livekit);
    command.env("REELKEEPER_BLOBS", format!("file://{}", files.display()));
    command.env("REELKEEPER_LIVEKIT_API_KEY", LIVEKIT_KEY);
    command.env("REELKEEPER_LIVEKIT_API_SECRET", LIVEKIT_SECRET);
    command.env("REELKEEPER_STALE_AFTER", "1s").env("REELKEEPER_LOCK_GRACE", "0s");
    command.output().await.unwrap()
}

async fn dry_run(store: &str, files: &Path, livekit: &str) -> (bool, String, String) {
    let output = gc(store, files, livekit, &["gc", "--dry-run"]).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn gc_prints_what_a_sweep_would_do_and_changes_nothing() {
    let folder = folder();
    let lasting = Lasting { sim: Sim::run(&folder, timing()).await, folder };
    let service = Reelkeeper::start_in(
        lasting.folder.clone(),
        &lasting.sim.url,
        &[&NEVER[..], &[("REELKEEPER_STORE", lasting.store().as_str())]].concat(),
    )
    .await;
    let sim = &lasting.sim;
    let (stale, orphan) = (room(&service, sim).await, room(&service, sim).await);
    let (unheld, runs) = (room(&service, sim).await, room(&service, sim).await);
    let stale_id = service.start_recording(&stale).await.expect(201).id();
    let orphan_id = service.start_recording(&orphan).await.expect(201).id();
    let runs_id = service.start_recording(&runs).await.expect(201).id();
    write(&service.catalog, &vanished("old-room"), RecordingStatus::Active).await;
    service.stop().await;
    let unheld_id = egress(sim, &unheld).await.to_string();
    leave(sim, &stale);
    let worker = EgressId::from_trusted(orphan_id.split("--").nth(1).unwrap());
    assert!(sim.control.live().with(|world| world.kill_worker(&worker)));
    assert!(sim.control.live().with(|world| world.delete_room(&RoomId::from_trusted(&*orphan))));

    let wanted = [
        format!("unheld_recordings: hand over: room=old-room recording={}", vanished("old-room")),
        format!("unheld_egresses: hand over: room={unheld} recording={unheld_id}"),
        format!("stale_recordings: hand over: room={stale} recording={stale_id}"),
        format!("stale_recordings: keep: room={runs} recording={runs_id}"),
        format!("orphan_locks: hand over: room={orphan} recording={orphan_id}"),
        format!("orphan_locks: keep: room={runs} recording={runs_id}"),
        "nothing was changed".to_owned(),
    ];
    let printed = eventually("LiveKit has been silent for long enough", async || {
        let (success, out, error) = dry_run(&lasting.store(), &blobs(&lasting.folder), &sim.url).await;
        assert!(success, "{error}");
        wanted.iter().all(|line| out.contains(line)).then_some(out)
    })
    .await;
    let sums = printed.lines().filter(|line| line.contains(" found, ")).collect::<Vec<_>>();
    assert_eq!(
        sums,
        [
            "unheld_recordings: 1 found, 1 to be handed over, 0 to be looked at, 0 to be kept, 0 unknown",
            "unheld_egresses: 1 found, 1 to be handed over, 0 to be looked at, 0 to be kept, 0 unknown",
            "stale_recordings: 3 found, 2 to be handed over, 0 to be looked at, 1 to be kept, 0 unknown",
            "orphan_locks: 3 found, 1 to be handed over, 0 to be looked at, 2 to be kept, 0 unknown",
            "room_status: 0 found, 0 to be handed over, 0 to be looked at, 0 to be kept, 0 unknown",
            "expired_rooms: 0 found, 0 to be handed over, 0 to be looked at, 0 to be kept, 0 unknown",
            "unknown_files: 0 found, 0 to be handed over, 0 to be looked at, 0 to be kept, 0 unknown",
        ],
        "{printed}"
    );
    assert_eq!(sim.calls(&stale, Method::StopEgress), Vec::new());
    // The next service does what was said.
    let service = lasting.reelkeeper(&[("REELKEEPER_STALE_AFTER", "1s")]).await;
    service.until(&vanished("old-room").to_string(), "failed").await;
    service.until(&stale_id, "complete").await;
    service.stop().await;
}

#[tokio::test]
async fn gc_works_beside_a_service_and_without_livekit() {
    let lasting = Lasting::begin().await;
    let service = lasting.reelkeeper(&NEVER).await;
    let room = lasting.sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    let (success, out, error) = dry_run(&lasting.store(), &blobs(&lasting.folder), &lasting.sim.url).await;
    assert!(success && error.is_empty(), "{error}");
    let kept = format!("orphan_locks: keep: room={room} recording={id}");
    assert!(out.contains(&kept) && out.contains("its recorder is in the room"), "{out}");

    let (success, out, error) =
        dry_run(&lasting.store(), &blobs(&lasting.folder), "http://127.0.0.1:9").await;
    assert!(!success, "{out}");
    assert!(out.contains("unheld_egresses: not swept, everything is kept: livekit is unavailable"), "{out}");
    assert!(error.contains("could not sweep unheld_egresses"), "{error}");

    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn gc_sweeps_nothing_itself() {
    let output = gc("memory://", Path::new("/nowhere"), "sim://", &["gc"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("reelkeeper gc --dry-run"));
    for (store, livekit, problem) in [
        ("memory://", "http://127.0.0.1:9", "store.url is memory://"),
        ("sqlite:///nowhere/at-all.db", "sim://", ""),
    ] {
        let (success, out, error) = dry_run(store, Path::new("/nowhere"), livekit).await;
        assert!(!success && out.is_empty() && error.contains(problem), "{out}{error}");
    }
}
