//! The ways in which a recording ends that is not lost, told of or not: all of them are `complete`.

use std::time::Instant;

use crate::meeting::{Meeting, Webhooks};

/// So long between two looks of the service that only webhooks can tell it anything in time.
const NO_POLLING: (&str, &str) = ("REELKEEPER_RECONCILE_INTERVAL", "1h");
/// So short between two looks that what is not told is found soon.
const OFTEN: (&str, &str) = ("REELKEEPER_RECONCILE_INTERVAL", "1s");
/// Long enough to see what the service makes of an egress that has left the room and shows no end.
const SLOW_UPLOAD: &str = "--upload-delay 9s";

#[tokio::test]
async fn a_recording_whose_room_is_deleted_is_complete() {
    let meeting = Meeting::start(Webhooks::Arrive, &[NO_POLLING]).await;
    let id = meeting.node.record(&meeting.room).await;
    let deleted = Instant::now();
    meeting.delete_room().await;
    meeting.node.becomes(&id, "complete").await;
    println!("room deleted: complete after {:.1?}", deleted.elapsed());
    meeting.is_kept(&id).await;
    meeting.node.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn a_slow_upload_after_the_rooms_end_is_ending_and_holds_nobody_up() {
    tokio::join!(uploads_slowly("told", Webhooks::Arrive), uploads_slowly("not told", Webhooks::AreLost),);
}

/// LiveKit lists the egress as ACTIVE until its file is there, and its recorder is gone.
async fn uploads_slowly(name: &str, webhooks: Webhooks) {
    let mut meeting = Meeting::without_worker(webhooks, &[OFTEN]).await;
    meeting.add_worker(SLOW_UPLOAD).await;
    let id = meeting.node.record(&meeting.room).await;
    meeting.node.sees_the_recorder().await;
    let deleted = Instant::now();
    meeting.delete_room().await;
    meeting.meet_again().await;
    meeting.node.becomes(&id, "ending").await;
    let ending = deleted.elapsed();
    meeting.egress_becomes(&id, "EGRESS_ACTIVE").await;
    let next = meeting.node.record(&meeting.room).await;
    let free = deleted.elapsed();
    assert_eq!(meeting.node.statuses_until(&id, "complete").await, ["ending", "complete"]);
    let complete = deleted.elapsed();
    println!(
        "slow upload, {name}: ending after {ending:.1?}, recorded again after {free:.1?}, \
         complete after {complete:.1?}"
    );
    meeting.is_kept(&id).await;
    meeting.node.stop(&next).await.expect(202);
    assert_eq!(meeting.node.statuses_until(&next, "complete").await, ["ending", "complete"]);
    meeting.node.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn a_recording_of_which_no_webhook_tells_is_complete() {
    tokio::join!(stopped_unheard(), closed_unheard());
}

async fn stopped_unheard() {
    let meeting = Meeting::start(Webhooks::AreLost, &[]).await;
    let asked = Instant::now();
    let id = meeting.node.record(&meeting.room).await;
    let started = asked.elapsed();
    let asked = Instant::now();
    meeting.node.stop(&id).await.expect(202);
    assert_eq!(meeting.node.statuses_until(&id, "complete").await, ["ending", "complete"]);
    println!("no webhooks: 201 after {started:.1?}, complete {:.1?} after the stop", asked.elapsed());
    meeting.is_kept(&id).await;
    ends_unheard(meeting).await;
}

/// With the usual interval: what is not told is found by the usual looks.
async fn closed_unheard() {
    let mut meeting = Meeting::start(Webhooks::AreLost, &[]).await;
    let id = meeting.node.record(&meeting.room).await;
    let deleted = Instant::now();
    meeting.delete_room().await;
    meeting.egress_becomes(&id, "EGRESS_COMPLETE").await;
    meeting.node.becomes(&id, "complete").await;
    println!("no webhooks: complete {:.1?} after the room was deleted", deleted.elapsed());
    meeting.is_kept(&id).await;
    // The same room again: nothing of the earlier recording is in its way.
    meeting.meet_again().await;
    let again = meeting.node.record(&meeting.room).await;
    meeting.node.stop(&again).await.expect(202);
    meeting.node.becomes(&again, "complete").await;
    ends_unheard(meeting).await;
}

async fn ends_unheard(meeting: Meeting) {
    assert!(!meeting.node.log().contains("egress_ended"), "a webhook came");
    meeting.node.ends_with_nothing_owed().await;
}

#[tokio::test]
async fn a_recording_that_ends_while_the_service_is_dead_is_complete() {
    tokio::join!(ends_while_dead("room deleted", End::ByItself), ends_while_dead("stopped", End::Stopped));
}

enum End {
    /// The room is deleted while nobody is there to see it.
    ByItself,
    /// A client stops it, and the service dies while it uploads.
    Stopped,
}

async fn ends_while_dead(name: &str, end: End) {
    let mut meeting = Meeting::without_worker(Webhooks::Arrive, &[]).await;
    meeting.add_worker("--upload-delay 2s").await;
    let id = meeting.node.record(&meeting.room).await;
    match end {
        End::ByItself => {
            meeting.node.crash().await;
            meeting.delete_room().await;
        }
        End::Stopped => {
            meeting.node.stop(&id).await.expect(202);
            meeting.node.crash().await;
        }
    }
    meeting.egress_becomes(&id, "EGRESS_COMPLETE").await;
    let restarted = Instant::now();
    meeting.node.restart().await;
    meeting.node.becomes(&id, "complete").await;
    println!("{name} while dead: complete {:.1?} after the restart", restarted.elapsed());
    meeting.is_kept(&id).await;
    meeting.node.ends_with_nothing_owed().await;
}
