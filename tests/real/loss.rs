//! Egress workers that die while people stay in the room. LiveKit goes on listing their egresses as ACTIVE;
//! only their recorders leave, 20 s later.

use std::time::{Duration, Instant};

use crate::meeting::{Meeting, Webhooks};
use crate::stack::before;

/// From the worker's death until its room is recorded again; LiveKit alone takes 20 s of it.
const FREE_AGAIN: Duration = Duration::from_secs(35);
/// What the ledger keeps of a lost recording goes soon enough for the test.
const UPLOAD_LIMIT: (&str, &str) = ("REELKEEPER_UPLOAD_LIMIT", "5s");
/// For a service that is not told.
const OFTEN: (&str, &str) = ("REELKEEPER_RECONCILE_INTERVAL", "1s");

#[tokio::test]
async fn a_room_whose_worker_was_killed_is_recorded_again_and_the_record_says_what_happened() {
    tokio::join!(
        loses_its_worker("told", Webhooks::Arrive, &[UPLOAD_LIMIT], Process::Lives),
        loses_its_worker("not told", Webhooks::AreLost, &[UPLOAD_LIMIT, OFTEN], Process::Lives),
        loses_its_worker("dead too", Webhooks::Arrive, &[UPLOAD_LIMIT], Process::DiesToo),
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Process {
    Lives,
    /// It is back when LiveKit has said all there is to say.
    DiesToo,
}

async fn loses_its_worker(name: &str, webhooks: Webhooks, options: &[(&'static str, &str)], node: Process) {
    let mut meeting = Meeting::start(webhooks, options).await;
    let lost = meeting.node.record(&meeting.room).await;
    meeting.kill_workers().await;
    let killed = Instant::now();
    meeting.add_worker("").await;
    let early = meeting.node.ask_to_record(&meeting.room).await.message(409);
    assert!(early.contains("already"), "{early}");
    if node == Process::DiesToo {
        meeting.node.crash().await;
    }
    meeting.recorder_leaves(&lost).await;
    let left = killed.elapsed();
    if node == Process::DiesToo {
        meeting.node.restart().await;
    }

    let next = before(killed + FREE_AGAIN, "the room is recorded again", async || {
        let answer = meeting.node.ask_to_record(&meeting.room).await;
        match answer.status {
            409 => None,
            _ => Some(answer.expect(201)["recordingId"].as_str().unwrap().to_owned()),
        }
    })
    .await;
    let free = killed.elapsed();
    let shown = before(killed + FREE_AGAIN, "the record says what happened", async || {
        let shown = meeting.node.get(&format!("recordings/{lost}")).await.expect(200);
        (shown["status"] == "failed").then_some(shown)
    })
    .await;
    println!(
        "worker killed, {name}: recorder gone after {left:.1?}, recorded again after {free:.1?}, \
         failed after {:.1?}",
        killed.elapsed()
    );
    assert!(shown["error"].as_str().is_some_and(|error| error.contains("vanished")), "{shown}");
    assert!(shown["endDate"].as_f64() > shown["startDate"].as_f64(), "{shown}");
    assert_eq!(meeting.node.media(&lost, None).await.status, 409);
    // LiveKit itself never says so.
    meeting.egresses_become(&["EGRESS_ACTIVE", "EGRESS_ACTIVE"]).await;

    meeting.node.stop(&next).await.expect(202);
    meeting.node.becomes(&next, "complete").await;
    meeting.is_kept(&next).await;
    assert_eq!(meeting.node.stop(&lost).await.status, 409);
    meeting.node.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn an_upload_whose_worker_was_killed_holds_nobody_up_and_is_failed_in_the_end() {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[UPLOAD_LIMIT]).await;
    meeting.add_worker("--upload-delay 10m").await;
    let lost = meeting.node.record(&meeting.room).await;
    meeting.node.stop(&lost).await.expect(202);
    meeting.recorder_leaves(&lost).await;
    meeting.kill_workers().await;
    let killed = Instant::now();
    meeting.add_worker("").await;
    let next = meeting.node.record(&meeting.room).await;
    let free = killed.elapsed();
    assert_eq!(meeting.node.statuses_until(&lost, "failed").await, ["ending", "failed"]);
    println!("upload killed: recorded again after {free:.1?}, failed after {:.1?}", killed.elapsed());
    let shown = meeting.node.get(&format!("recordings/{lost}")).await.expect(200);
    assert!(shown["error"].as_str().is_some_and(|error| error.contains("upload limit")), "{shown}");
    meeting.node.stop(&next).await.expect(202);
    meeting.node.becomes(&next, "complete").await;
    meeting.is_kept(&next).await;
    meeting.node.ends_with_nothing_owed().await;
}
