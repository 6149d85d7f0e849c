//! What each task is for, from the first sign to the end.

use std::time::Duration;

use reelkeeper_actors::janitors::{Counts, Task};
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::ledger::Phase;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::simulator::calls::Method;

use crate::stage::{Stage, counts, recording_id};

/// Owners that hardly ever look by themselves.
fn inattentive() -> Policy {
    Policy { reconcile_interval: Duration::from_hours(24), ..Policy::default() }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_found_where_nothing_is() {
    let stage = Stage::set().await;
    let node = stage.node(Policy::default()).await;
    for task in Task::ALL {
        let (observed, _) = stage.until_passes(&node, task, 2).await;
        assert_eq!((observed.last, observed.tries), (counts(0, 0, 0), 0), "{}", task.name());
    }
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_document_without_a_row_fails_if_livekit_knows_nothing_of_it() {
    let stage = Stage::set().await;
    stage.document(&recording_id("room", "EG_old"), RecordingStatus::Active).await;
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldRecordings, 1).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    let failed = stage.until_shown(&recording_id("room", "EG_old"), RecordingStatus::Failed).await;
    assert!(failed.error.unwrap().contains("vanished"));
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_document_without_a_row_whose_egress_runs_is_adopted_and_can_be_stopped() {
    let stage = Stage::set().await;
    stage.room("room").await;
    let id = stage.egress("room").await;
    stage.document(&id, RecordingStatus::Active).await;
    let node = stage.node(Policy::default()).await;
    stage.until_phase(&node, "room", Phase::Active).await;
    node.orchestrator.stop(&id).await.unwrap();
    let complete = stage.until_shown(&id, RecordingStatus::Complete).await;
    assert!(complete.size.is_some_and(|size| size > 0.0), "{complete:?}");
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_live_egress_that_nobody_holds_is_adopted() {
    let stage = Stage::set().await;
    stage.room("room").await;
    let id = stage.egress("room").await;
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldEgresses, 1).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    stage.until_phase(&node, "room", Phase::Active).await;
    assert_eq!(stage.until_shown(&id, RecordingStatus::Active).await.room_name, "Room");
    // Held now, it is nobody's business but its owner's.
    let (observed, _) = stage.until_passes(&node, Task::UnheldEgresses, 2).await;
    assert_eq!(observed.last, counts(0, 0, 0));
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_live_egress_of_a_room_that_nobody_knows_is_another_applications() {
    let stage = Stage::set().await;
    stage.people("room");
    stage.egress("room").await;
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldEgresses, 1).await;
    assert_eq!(observed.last, counts(0, 1, 0));
    assert_eq!((node.orchestrator.actors().await.rooms, stage.calls(Method::StopEgress)), (0, 0));
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_egress_whose_recording_was_deleted_does_not_come_back() {
    let stage = Stage::set().await;
    stage.room("room").await;
    let id = stage.egress("room").await;
    stage.kill(&id).await;
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldEgresses, 2).await;
    assert_eq!(observed.last, counts(0, 1, 0));
    assert_eq!(node.orchestrator.actors().await.rooms, 0);
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn an_egress_that_is_called_failed_is_stopped_only_if_its_recorder_is_in_the_room() {
    let stage = Stage::set().await;
    stage.room("lives").await;
    stage.room("dead").await;
    let (lives, dead) = (stage.egress("lives").await, stage.egress("dead").await);
    stage.kill(&dead).await;
    for id in [&lives, &dead] {
        stage.document(id, RecordingStatus::Failed).await;
    }
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldEgresses, 1).await;
    assert_eq!(observed.last, counts(1, 1, 0));
    stage.until_shown(&lives, RecordingStatus::Complete).await;
    assert_eq!(stage.shown(&dead).await.status, RecordingStatus::Failed);
    assert_eq!(stage.calls(Method::StopEgress), 1);
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_without_an_actor_is_woken() {
    let stage = Stage::set().await;
    let room = stage.room("room").await;
    let earlier = stage.node(Policy::default()).await;
    let id = earlier.record(&room).await;
    earlier.leave().await;

    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::DueRows, 1).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    stage.until("the actor is there", async || node.orchestrator.actors().await.rooms == 1).await;
    let (observed, _) = stage.until_passes(&node, Task::DueRows, 2).await;
    assert_eq!(observed.last, counts(0, 0, 0));
    node.orchestrator.stop(&id).await.unwrap();
    stage.until_shown(&id, RecordingStatus::Complete).await;
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_recording_is_stopped() {
    let stage = Stage::set().await;
    let room = stage.room("room").await;
    let node = stage.node(inattentive()).await;
    let id = node.record(&room).await;
    // Somebody is there: however long LiveKit says nothing, it is kept.
    let (observed, _) = stage.until_passes(&node, Task::StaleRecordings, 2).await;
    assert_eq!(observed.last, counts(0, 1, 0));
    stage.leave("room");
    let (observed, _) = stage.until_passes(&node, Task::StaleRecordings, 3).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    stage.until_shown(&id, RecordingStatus::Complete).await;
    assert_eq!(stage.calls(Method::StopEgress), 1);
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_recording_that_never_ends_is_aborted_after_the_upload_limit() {
    let stage = Stage::set().await;
    let room = stage.room("room").await;
    let node = stage.node(Policy::default()).await;
    let id = node.record(&room).await;
    stage.refuse(&[Method::StopEgress], None);
    stage.until_passes(&node, Task::StaleRecordings, 1).await;
    stage.leave("room");
    let (observed, _) = stage.until_passes(&node, Task::StaleRecordings, 2).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    stage.until_phase(&node, "room", Phase::Idle).await;
    stage.kill(&id).await;
    let aborted = stage.until_shown(&id, RecordingStatus::Aborted).await;
    assert!(aborted.error.unwrap().contains("nothing new"));
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_room_behind_which_nothing_is_can_record_again() {
    let stage = Stage::set().await;
    let room = stage.room("room").await;
    let (reconcile_interval, stale_after) = (Duration::from_mins(20), Duration::from_hours(2));
    let node = stage.node(Policy { reconcile_interval, stale_after, ..Policy::default() }).await;
    let id = node.record(&room).await;
    let (observed, _) = stage.until_passes(&node, Task::OrphanLocks, 2).await;
    assert_eq!(observed.last, counts(0, 1, 0), "a live recording keeps its room");
    // The owner has just looked when the worker dies and the meeting ends, and no webhook says so.
    tokio::time::sleep(Duration::from_mins(6)).await;
    stage.kill(&id).await;
    assert!(stage.livekit.live().with(|world| world.delete_room(&room.room_id)));
    let (observed, _) = stage.until_passes(&node, Task::OrphanLocks, 3).await;
    assert_eq!(observed.last, counts(1, 0, 0));
    let took = stage.until_phase(&node, "room", Phase::Idle).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    stage.until_shown(&id, RecordingStatus::Failed).await;
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_recording_in_a_room_without_publishers_keeps_its_room() {
    let stage = Stage::set().await;
    let room = stage.room("room").await;
    let policy = Policy { stale_after: Duration::from_hours(2), ..Policy::default() };
    let node = stage.node(policy).await;
    node.record(&room).await;
    stage.leave("room");
    for passes in 2..4 {
        let (observed, _) = stage.until_passes(&node, Task::OrphanLocks, passes).await;
        assert_eq!(observed.last, counts(0, 1, 0));
    }
    stage.until_phase(&node, "room", Phase::Active).await;
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn files_that_nobody_knows_are_reported_and_stay() {
    let stage = Stage::set().await;
    let known = recording_id("room", "EG_1");
    stage.document(&known, RecordingStatus::Complete).await;
    // As old as now is; the clock here is later.
    let files = [
        "room/room--0123456789.mp4",
        "room/room--9876543210.mp4",
        "other/other--9876543210.webm",
        "room/notes.txt",
        "room--9876543210.mp4",
    ];
    for file in files {
        stage.write_file(&format!("openvidu-meet/recordings/{file}")).await;
    }
    let node = stage.node(Policy::default()).await;
    for passes in 1..3 {
        let (observed, _) = stage.until_passes(&node, Task::UnknownFiles, passes).await;
        assert_eq!(observed.last, Counts { found: 2, reported: 2, ..Counts::default() });
    }
    assert_eq!(stage.files().await, files.len(), "nothing is removed");
    node.leave().await;
}
