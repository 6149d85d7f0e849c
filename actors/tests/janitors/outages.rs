//! What fails while janitors sweep: one candidate, the store, LiveKit, the janitor itself.

use std::time::Duration;

use reelkeeper_actors::janitors::Task;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::simulator::calls::Method;

use crate::stage::{Stage, counts, recording_id, room_id};

/// How soon after an outage a pass must be through: far below any interval.
const SOON: Duration = Duration::from_secs(40);
/// How long a task's lease lasts.
const TASK_LASTS: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_sweep_reads_page_after_page() {
    let stage = Stage::set().await;
    for number in 0..600 {
        stage.document(&recording_id(&format!("room{number}"), "EG_old"), RecordingStatus::Ending).await;
    }
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldRecordings, 1).await;
    assert_eq!(observed.last, counts(600, 0, 0));
    assert_eq!(node.orchestrator.actors().await.rooms, 600);
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn one_failure_does_not_end_a_sweep() {
    let stage = Stage::set().await;
    for number in 0..35 {
        stage.document(&recording_id(&format!("room{number:02}"), "EG_old"), RecordingStatus::Ending).await;
    }
    stage.stores.trouble().unreadable.insert(room_id("room05"));
    let node = stage.node(Policy::default()).await;
    let (observed, _) = stage.until_passes(&node, Task::UnheldRecordings, 1).await;
    assert_eq!((observed.last, observed.tries), (counts(34, 0, 1), 1));
    stage.stores.trouble().unreadable.clear();
    let (observed, took) = stage.until_passes(&node, Task::UnheldRecordings, 2).await;
    assert_eq!((observed.last, observed.tries), (counts(1, 0, 0), 0));
    assert!(took < SOON, "{took:?}");
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn livekits_trouble_with_one_room_does_not_end_a_sweep() {
    let stage = Stage::set().await;
    let node = stage.node(Policy::default()).await;
    for name in ["one", "two", "three"] {
        let room = stage.room(name).await;
        node.record(&room).await;
    }
    stage.refuse(&[Method::ListParticipants, Method::ListEgress], Some("two"));
    let (observed, _) = stage.until_passes(&node, Task::OrphanLocks, 2).await;
    assert_eq!(observed.last, counts(0, 2, 1));
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_as_soon_as_the_store_is_back() {
    let stage = Stage::set().await;
    stage.document(&recording_id("room", "EG_old"), RecordingStatus::Active).await;
    stage.stores.trouble().away = true;
    let node = stage.node(Policy::default()).await;
    tokio::time::sleep(Duration::from_mins(20)).await;
    // Without files nobody asks the store about any.
    let tasks = Task::ALL.into_iter().filter(|task| *task != Task::UnknownFiles);
    for task in tasks.clone() {
        let observed = node.observe(task).await;
        let waits = task != Task::UnheldEgresses;
        assert_eq!((observed.passes == 0, observed.tries > 5), (waits, waits), "{}", task.name());
    }
    stage.stores.trouble().away = false;
    for task in tasks {
        let (observed, took) = stage.until_passes(&node, task, 1).await;
        assert!(took < SOON && observed.tries == 0, "{} after {took:?}", task.name());
    }
    stage.until_shown(&recording_id("room", "EG_old"), RecordingStatus::Failed).await;
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_as_soon_as_livekit_is_back() {
    let stage = Stage::set().await;
    let node = stage.node(Policy::default()).await;
    for number in 0..12 {
        let room = stage.room(&format!("room{number:02}")).await;
        node.record(&room).await;
    }
    let tasks = [Task::UnheldEgresses, Task::StaleRecordings, Task::OrphanLocks];
    stage.refuse(&[Method::ListParticipants, Method::ListEgress, Method::ListRooms], None);
    tokio::time::sleep(Duration::from_mins(40)).await;
    let mut passes = Vec::new();
    for task in tasks {
        let observed = node.observe(task).await;
        assert!(observed.tries > 5, "{} meets trouble: {observed:?}", task.name());
        passes.push(observed.passes);
    }
    stage.livekit.live().with(reelkeeper_actors::simulator::World::clear_faults);
    for (task, passes) in tasks.into_iter().zip(passes) {
        let (observed, took) = stage.until_passes(&node, task, passes + 1).await;
        let kept = if task == Task::UnheldEgresses { 0 } else { 12 };
        assert_eq!((observed.last, observed.tries), (counts(0, kept, 0), 0), "{}", task.name());
        assert!(took < SOON, "{} after {took:?}", task.name());
    }
    assert_eq!(stage.calls(Method::StopEgress), 0, "nothing was concluded from silence");
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_janitor_that_falls_is_started_again() {
    let stage = Stage::set().await;
    stage.document(&recording_id("room", "EG_old"), RecordingStatus::Active).await;
    // Due rows first, then orphan locks: the second list is that janitor's.
    stage.stores.trouble().panics_after = Some(1);
    let node = stage.node(Policy::default()).await;
    for task in Task::ALL {
        let (_, took) = stage.until_passes(&node, task, 1).await;
        assert!(took < SOON, "{} after {took:?}", task.name());
    }
    assert!(stage.stores.trouble().panics_after.is_none());
    node.leave().await;
}

#[tokio::test(start_paused = true)]
async fn janitors_leave_with_their_node() {
    let stage = Stage::set().await;
    let node = stage.node(Policy::default()).await;
    stage.until_passes(&node, Task::UnheldEgresses, 2).await;
    node.leave().await;
    let asked = stage.calls(Method::ListEgress);
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!(stage.calls(Method::ListEgress), asked);
}

/// Of two nodes one sweeps for both, and the other takes its place: at once if it left, with its lease if it died.
#[tokio::test(start_paused = true)]
async fn one_node_sweeps_for_all() {
    let stage = Stage::set().await;
    let task = Task::OrphanLocks;
    let (first, second) = (stage.node(Policy::default()).await, stage.node(Policy::default()).await);
    stage.until_passes(&first, task, 5).await;
    assert_eq!(second.observe(task).await.passes, 0);
    assert!(first.observe(Task::DueRows).await.passes > 0 && second.observe(Task::DueRows).await.passes > 0);
    first.die().await;
    let (_, took) = stage.until_passes(&second, task, 1).await;
    assert!(took <= TASK_LASTS * 2, "its lease, and the look after it: {took:?}");
    let third = stage.node(Policy::default()).await;
    stage.until_passes(&second, task, 3).await;
    assert_eq!(third.observe(task).await.passes, 0);
    second.leave().await;
    let (_, took) = stage.until_passes(&third, task, 1).await;
    assert!(took <= TASK_LASTS, "{took:?}");
    third.leave().await;
}
