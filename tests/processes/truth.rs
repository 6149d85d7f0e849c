//! What must be true once nothing is under way any more: of the rooms, and of everything clients were told.

use std::collections::BTreeMap;
use std::time::Duration;

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::ledger::{Cause, Phase, RoomState, Unsettled};
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::log::CallOutcome;
use reelkeeper_actors::simulator::views::EgressView;

use crate::livekit::recording_of;
use crate::stage::{Stage, Told};
use crate::wait::until;

/// How long a room may take to come to rest.
const REST: Duration = Duration::from_secs(30);

/// Waits until the rooms are at rest, and compares what is there with what happened.
pub async fn holds(stage: &Stage, rooms: &[RoomId]) {
    for room in rooms {
        until(&format!("room '{room}' is at rest"), REST, async || at_rest(stage, room).await).await;
    }
    each_uid_was_started_once(stage);
    for told in stage.told() {
        was_true(stage, &told).await;
    }
    for room in rooms {
        for egress in stage.livekit.egresses(room) {
            is_kept(stage, &egress).await;
        }
    }
}

/// That a room still works: one that is free can be recorded; one that records says so and can be stopped.
pub async fn room_is_usable(stage: &Stage, room: &RoomId) {
    if let Some(running) = stage.livekit.live(room).first() {
        let answer = stage.start(room).await.expect("an answer");
        assert_eq!(answer.status, 409, "a second start in '{room}': {answer:?}");
        stage.stopped(&recording_of(running)).await;
        holds(stage, std::slice::from_ref(room)).await;
    }
    let recording = stage.started(room).await;
    stage.stopped(&recording).await;
    holds(stage, std::slice::from_ref(room)).await;
    assert!(stage.has_file(&recording), "file of '{recording}'");
}

/// Nothing is owed, and row, documents and LiveKit tell the same story.
async fn at_rest(stage: &Stage, room: &RoomId) -> Result<(), String> {
    if let Some(call) = stage.livekit.calls().iter().find(|call| call.outcome == CallOutcome::Waiting) {
        return Err(format!("LiveKit works on {call:?}"));
    }
    let row = stage.row(room);
    if let Some(row) = &row {
        row_at_rest(row).map_err(|why| format!("{why} in {row:?}"))?;
    }
    let current = row.as_ref().and_then(|row| row.current.as_ref());
    let current = current.and_then(|current| current.track.egress.clone());
    for egress in stage.livekit.egresses(room) {
        let id = recording_of(&egress);
        let is_current = current.as_ref() == Some(&egress.egress);
        let is_over = egress.status.is_terminal() || stage.livekit.is_dead(&egress.egress);
        if is_over == is_current {
            return Err(format!("egress {} is {:?}, current is {current:?}", egress.egress, egress.status));
        }
        let status = status_of(stage, &id).await?;
        let expected: &[Option<&str>] = match egress.status.recorded_as().name() {
            _ if deletion(stage, &id) != Deletion::Never => continue,
            _ if stage.livekit.is_dead(&egress.egress) => &[Some("failed")],
            "active" => &[Some("active")],
            // One that never recorded may have no document, or one that says why a start was refused.
            "aborted" | "failed" => &[None, Some("aborted"), Some("failed")],
            "complete" => &[Some("complete")],
            other => return Err(format!("egress {} is {other}", egress.egress)),
        };
        if !expected.contains(&status.as_deref()) {
            return Err(format!("egress {} is {:?}, its document {status:?}", egress.egress, egress.status));
        }
    }
    Ok(())
}

/// A uid that LiveKit never showed stays for ten minutes, and a lost one until the upload limit, should it
/// upload after all: they block nothing, and are at rest.
fn row_at_rest(row: &RoomState) -> Result<(), &'static str> {
    match row.phase {
        Phase::Idle | Phase::Active => {}
        Phase::Starting | Phase::Stopping | Phase::Uncertain => return Err("something is under way"),
    }
    if !row.pending.is_empty() {
        return Err("effects are owed");
    }
    if row.unsettled.iter().any(|unsettled| unsettled.track.egress.is_some() && !is_given_up(unsettled)) {
        return Err("a known egress is unsettled");
    }
    Ok(())
}

fn is_given_up(unsettled: &Unsettled) -> bool {
    unsettled.cause == Cause::Lost && unsettled.track.shown == Some(RecordingStatus::Failed)
}

/// At most one StartEgress for each uid, on pain of two egresses that write one file.
fn each_uid_was_started_once(stage: &Stage) {
    let mut starts = BTreeMap::<String, usize>::new();
    for call in stage.livekit.calls().into_iter().filter(|call| call.method == Method::StartEgress) {
        *starts.entry(call.path.expect("a recording has a file")).or_default() += 1;
    }
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
}

/// What a client was told is true now.
async fn was_true(stage: &Stage, told: &Told) {
    match told {
        Told::Start(room, Some(answer)) if answer.status == 201 => {
            let id = answer.recording();
            let egresses = stage.livekit.egresses(room);
            let egress = egresses.iter().find(|egress| egress.egress == id.egress);
            // A LiveKit that was replaced knows nothing of earlier ones.
            assert!(egress.is_none_or(|egress| egress.started_at > 0), "'{id}' never ran: {egress:?}");
            let shown = status_of(stage, &id).await.expect("an answer");
            let never_deleted = deletion(stage, &id) == Deletion::Never;
            assert!(shown.is_some() || !never_deleted, "'{id}' was answered with 201 and is gone");
        }
        Told::Start(_, Some(answer)) if answer.status == 503 => {
            assert!(answer.retry_after.is_some(), "{answer:?}");
        }
        Told::Stop(id, Some(answer)) if answer.status == 202 => {
            let live = stage.livekit.live(&id.room);
            assert!(live.iter().all(|egress| egress.egress != id.egress), "'{id}' was stopped: {live:?}");
        }
        Told::Delete(id, _) => is_deleted_whole(stage, id).await,
        Told::Start(..) | Told::Stop(..) => {}
    }
}

/// A deletion that was answered is done; one that was not is done or not, but never half.
async fn is_deleted_whole(stage: &Stage, id: &RecordingId) {
    let (document, file) = (status_of(stage, id).await.expect("an answer"), stage.has_file(id));
    match deletion(stage, id) {
        Deletion::Answered => {
            assert!(document.is_none() && !file, "'{id}' is back: {document:?}, file: {file}");
        }
        Deletion::Unanswered => {
            let whole = match document.as_deref() {
                None => !file,
                Some("complete") => file,
                // Never recorded, or never uploaded.
                Some(_) => true,
            };
            assert!(whole, "'{id}' is half there: {document:?}, file: {file}");
        }
        Deletion::Never => {}
    }
}

/// A recording that LiveKit made can be fetched, unless a client deleted it.
async fn is_kept(stage: &Stage, egress: &EgressView) {
    let id = recording_of(egress);
    if !egress.status.recorded_as().has_file() || deletion(stage, &id) != Deletion::Never {
        return;
    }
    let (status, content) = stage.api().media(&id).await.expect("an answer");
    assert_eq!(status, 200, "media of '{id}'");
    let written = std::fs::read(stage.file(&id)).expect("the file is there");
    assert!(content == written && !content.is_empty(), "media of '{id}' has {} bytes", content.len());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletion {
    Never,
    Unanswered,
    Answered,
}

fn deletion(stage: &Stage, id: &RecordingId) -> Deletion {
    let mut deletion = Deletion::Never;
    for told in stage.told() {
        match told {
            Told::Delete(of, Some(answer)) if of == *id && answer.status == 200 => return Deletion::Answered,
            // A 503 says that it will be carried out, a 404 after an unanswered one that it was.
            Told::Delete(of, answer) if of == *id && answer.as_ref().is_none_or(|a| a.status != 409) => {
                deletion = Deletion::Unanswered;
            }
            _ => {}
        }
    }
    deletion
}

/// What the service says of a recording; none if it knows none.
async fn status_of(stage: &Stage, id: &RecordingId) -> Result<Option<String>, String> {
    let answer = stage.api().get(id).await.ok_or("no answer")?;
    match answer.status {
        200 => Ok(answer.body["status"].as_str().map(str::to_owned)),
        404 => Ok(None),
        _ => Err(format!("{answer:?}")),
    }
}
