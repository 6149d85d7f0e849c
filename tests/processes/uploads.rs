//! Recorders that left in good order, and what then becomes of the file: slow, never, missing, late.

use std::time::Duration;

use futures::future::{join, join_all};
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::simulator::clock::Timing;
use serde_json::json;
use tokio::time::Instant;

use crate::livekit::quick;
use crate::stage::{Setup, Stage};
use crate::truth;
use crate::wait::until;

/// Longer than two looks that prove that a recorder has left.
const SLOW: Duration = Duration::from_secs(8);
const NEVER: Duration = Duration::from_hours(1);
/// Anything that follows at once.
const SOON: Duration = Duration::from_secs(3);
/// From a recorder's leave until its room can be recorded again (design 5).
const FREE: Duration = Duration::from_secs(10);
/// From the upload limit until its verdict is shown: two looks at the file, five seconds apart.
const VERDICT: Duration = Duration::from_secs(8);

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A client stops it: LiveKit says ENDING.
    Stopped,
    /// Its room ends: LiveKit lists it as ACTIVE until it is COMPLETE.
    ByItself,
}

/// What else is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// No webhook comes.
    Deaf,
    /// The service is killed once the recorder has left.
    Killed,
}

const CASES: [(End, Way); 6] = [
    (End::Stopped, Way::Plain),
    (End::Stopped, Way::Deaf),
    (End::Stopped, Way::Killed),
    (End::ByItself, Way::Plain),
    (End::ByItself, Way::Deaf),
    (End::ByItself, Way::Killed),
];

/// A recording whose recorder has just left its room in good order, and whose upload takes so long.
async fn uploading(
    upload: Duration,
    (end, way): (End, Way),
    options: &[(&'static str, &'static str)],
) -> (Stage, RoomId, RecordingId) {
    let timing = Timing { upload, ..quick() };
    let setup = Setup { timing, webhooks: way != Way::Deaf, ..Setup::with(options) };
    let mut stage = Stage::open(setup).await;
    let room = stage.room("uploads").await;
    let recording = stage.started(&room).await;
    if way == Way::Deaf {
        stage.sees_the_recorder(&room).await;
    }
    match end {
        End::Stopped => stage.stopped(&recording).await,
        End::ByItself => stage.livekit.end_room(&room),
    }
    stage.livekit.recorder_leaves(&recording).await;
    if way == Way::Killed {
        stage.kill().await;
        stage.run().await;
    }
    (stage, room, recording)
}

/// The room is free long before the upload is over, and people are in it again.
async fn is_free(stage: &Stage, room: &RoomId, recording: &RecordingId) -> RecordingId {
    stage.shows(recording, &["active"], "ending", FREE).await;
    stage.livekit.add_room(room);
    stage.started_within(SOON, room).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_ending_until_it_is_complete() {
    join_all(CASES.map(async |case| {
        let (stage, room, recording) = uploading(SLOW, case, &[]).await;
        let left = Instant::now();
        let next = is_free(&stage, &room, &recording).await;
        let free = left.elapsed();
        stage.shows(&recording, &["ending"], "complete", SLOW + SOON).await;
        println!("slow upload {case:?}: recorded again {free:.1?}, complete {:.1?} later", left.elapsed());
        stage.stopped(&next).await;
        truth::holds(&stage, &[room]).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_never_ends_is_failed_at_its_limit() {
    const LIMIT: Duration = Duration::from_secs(7);
    join_all(CASES.map(async |case| {
        let (stage, room, recording) = uploading(NEVER, case, &[("REELKEEPER_UPLOAD_LIMIT", "7s")]).await;
        let left = Instant::now();
        is_free(&stage, &room, &recording).await;
        let shown = stage.shows(&recording, &["ending"], "failed", FREE + LIMIT + VERDICT).await;
        println!("upload without end {case:?}: failed {:.1?} after its recorder left", left.elapsed());
        // It began when the recorder was known to have left, so never before this.
        assert!(left.elapsed() + SOON >= LIMIT, "{case:?}: {:?}", left.elapsed());
        let error = shown["error"].as_str().unwrap_or_default();
        assert!(error.contains("no file"), "{case:?}: {shown}");
        assert!(shown["endDate"].as_f64() > shown["startDate"].as_f64(), "{case:?}: {shown}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_ends_after_its_limit_is_complete_after_all() {
    let cases = [End::Stopped, End::ByItself].map(|end| (end, Way::Plain));
    join_all(cases.map(async |case| {
        let options = [("REELKEEPER_UPLOAD_LIMIT", "1s")];
        let (stage, room, recording) = uploading(SLOW * 2, case, &options).await;
        stage.shows(&recording, &["active", "ending"], "failed", FREE + VERDICT).await;
        let complete = stage.shows(&recording, &["failed"], "complete", SLOW * 2).await;
        assert_eq!(complete.get("error"), None, "{case:?}: {complete}");
        let counted = stage.api().metrics().await.expect("an answer");
        assert!(counted.contains("reelkeeper_recovered_total 1"), "{counted}");
        let corrected = r#"reelkeeper_corrections_total{from="failed",to="complete"} 1"#;
        assert!(counted.contains(corrected), "{counted}");
        stage.livekit.add_room(&room);
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        truth::room_is_usable(&stage, &room).await;
    }))
    .await;
}

/// LiveKit says COMPLETE, and there is no file, or an empty one.
async fn complete_without_file(fate: &str, limit: &'static str) -> (Stage, RecordingId) {
    let stage = Stage::open(Setup::with(&[("REELKEEPER_UPLOAD_LIMIT", limit)])).await;
    let room = stage.room("no file").await;
    stage.livekit.fault(json!({ "method": "StartEgress", "does": { "fate": fate } }));
    let recording = stage.started(&room).await;
    stage.stopped(&recording).await;
    stage.shows(&recording, &["active", "ending"], "complete", SOON).await;
    // The room is free whatever becomes of the file.
    let next = stage.started(&room).await;
    stage.stopped(&next).await;
    until("the document says that the file is missing", VERDICT, async || {
        let shown = stage.shown(&recording).await;
        if shown["error"].is_string() { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    is_missed(&stage, &recording).await;
    (stage, recording)
}

async fn is_missed(stage: &Stage, recording: &RecordingId) {
    let shown = stage.shown(recording).await;
    assert_eq!(shown["status"], "complete", "{shown}");
    assert!(shown["error"].is_string(), "{shown}");
    assert_eq!(stage.api().media(recording).await.expect("an answer").0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_said_until_it_turns_up() {
    let cases = [("file_is_lost", false), ("file_is_empty", false), ("file_is_lost", true)];
    join_all(cases.map(async |(fate, killed)| {
        let (mut stage, recording) = complete_without_file(fate, "1h").await;
        if killed {
            stage.kill().await;
            stage.run().await;
            is_missed(&stage, &recording).await;
        }
        let content = b"a film that took its time";
        let file = stage.file(&recording);
        std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder");
        std::fs::write(file, content).expect("a file");
        until("the error goes", Duration::from_secs(20), async || {
            let shown = stage.shown(&recording).await;
            if shown.get("error").is_none() { Ok(()) } else { Err(shown.to_string()) }
        })
        .await;
        let (status, media) = stage.api().media(&recording).await.expect("an answer");
        assert_eq!((status, &media[..]), (200, &content[..]), "{fate}");
        assert_eq!(stage.shown(&recording).await["status"], "complete");
        truth::holds(&stage, std::slice::from_ref(&recording.room)).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_looked_for_until_the_upload_limit_only() {
    let forgotten = async {
        let (stage, recording) = complete_without_file("file_is_lost", "9s").await;
        until("the row is gone", Duration::from_secs(15), async || match stage.row(&recording.room) {
            None => Ok(()),
            Some(row) => Err(format!("{row:?}")),
        })
        .await;
        is_missed(&stage, &recording).await;
    };
    // Nothing is left of what a client deleted meanwhile, once its file can come no more.
    let deleted = async {
        let (stage, recording) = complete_without_file("file_is_lost", "9s").await;
        let answer = stage.delete(&recording).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        truth::holds(&stage, std::slice::from_ref(&recording.room)).await;
    };
    join(forgotten, deleted).await;
}
