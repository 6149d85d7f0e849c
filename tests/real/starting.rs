//! Starts that do not simply succeed.

use std::time::{Duration, Instant};

use crate::meeting::{Meeting, Webhooks};
use crate::service::{Service, webhook_url};
use crate::stack::{Stack, Tools, eventually, free_address};

/// Long before any deadline of a start.
const AT_ONCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn nobody_is_there_to_be_recorded() {
    let address = free_address();
    let stack = Stack::start(Tools::of("light"), &webhook_url(address)).await;
    let service = Service::start(&stack, address, &[]).await;
    let room = service.make_room("Empty").await;
    let refused = service.ask_to_record(&room).await.message(409);
    assert!(refused.contains("has no participants"), "{refused}");
    service.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn without_a_worker_a_start_times_out_and_what_starts_late_is_stopped() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[("REELKEEPER_START_TIMEOUT", "3s")]).await;
    let refused = meeting.service.ask_to_record(&meeting.room).await;
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    let reason = refused.message(503);
    assert!(reason.contains("timed out while starting"), "{reason}");

    // LiveKit still looks for a worker for the first start when the second one comes.
    meeting.add_worker("").await;
    let id = meeting.service.record(&meeting.room).await;
    meeting.egresses_become(&["EGRESS_ABORTED", "EGRESS_ACTIVE"]).await;
    meeting.recordings_become(&[("active", ""), ("failed", "timed out while starting")]).await;
    meeting.service.stop(&id).await.expect(202);
    meeting.service.becomes(&id, "complete").await;
    meeting.service.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn workers_without_capacity_let_a_start_time_out_and_the_room_can_start_at_once() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[("REELKEEPER_START_TIMEOUT", "6s")]).await;
    meeting.add_worker("--capacity 0").await;
    let refused = meeting.service.ask_to_record(&meeting.room).await.message(503);
    assert!(refused.contains("timed out while starting"), "{refused}");
    meeting.kill_workers().await;
    meeting.add_worker("").await;
    let id = meeting.service.record(&meeting.room).await;
    meeting.service.stop(&id).await.expect(202);
    meeting.service.becomes(&id, "complete").await;
    // A refusal may be wrong: its uids are kept in sight for a while, and hold nobody up.
    let row = eventually("the room is idle", async || {
        meeting.service.ledger().pop().filter(|row| row["phase"] == "idle")
    })
    .await;
    assert_eq!(row["current"], serde_json::Value::Null, "{row}");
}

#[tokio::test]
async fn an_egress_that_fails_to_start_is_told_at_once_with_its_reason() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[("REELKEEPER_START_TIMEOUT", "5m")]).await;
    meeting.add_worker("--fail unreachable").await;
    let asked = Instant::now();
    let reason = meeting.service.ask_to_record(&meeting.room).await.message(500);
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    assert!(reason.contains("unreachable"), "{reason}");
    meeting.recordings_become(&[("failed", "unreachable")]).await;
    meeting.service.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn a_recording_is_stopped_while_it_starts() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[("REELKEEPER_START_TIMEOUT", "5m")]).await;
    meeting.add_worker("--active-after 10m").await;
    let stop = async {
        let recording = eventually("the recording is starting", async || {
            let recordings = meeting.service.recordings_of(&meeting.room).await;
            recordings.into_iter().find(|recording| recording["status"] == "starting")
        })
        .await;
        meeting.service.stop(recording["recordingId"].as_str().unwrap()).await
    };
    let (started, stopped) = tokio::join!(meeting.service.ask_to_record(&meeting.room), stop);
    assert_eq!(stopped.status, 409);
    let reason = started.message(500);
    assert!(reason.contains("stopped"), "{reason}");
    meeting.egresses_become(&["EGRESS_ABORTED"]).await;
    meeting.recordings_become(&[("aborted", "Stop called before pipeline could start")]).await;
    meeting.service.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn an_egress_that_starts_for_too_long_is_stopped() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[("REELKEEPER_START_TIMEOUT", "2s")]).await;
    meeting.add_worker("--active-after 10m").await;
    let reason = meeting.service.ask_to_record(&meeting.room).await.message(503);
    assert!(reason.contains("timed out while starting"), "{reason}");
    meeting.egresses_become(&["EGRESS_ABORTED"]).await;
    meeting.recordings_become(&[("failed", "timed out while starting")]).await;
    meeting.service.ends_with_nothing_owed().await;
}
