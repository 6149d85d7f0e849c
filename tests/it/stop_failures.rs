//! Every way in which StopEgress can fail (design 4, second table): what the client is told, that the stop
//! stays owed, and that it is carried out.

use std::time::{Duration, Instant};

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use serde_json::json;

use crate::harness::Reelkeeper;
use crate::livekit::{Act, Method, Scripted, Shows};
use crate::wire::{Reply, eventually};

/// A stop is tried again one, three and seven seconds after it was asked for.
const TIMEOUT: Duration = Duration::from_secs(5);
const SETTINGS: &[(&str, &str)] =
    &[("REELKEEPER_REQUEST_TIMEOUT", "5s"), ("REELKEEPER_LIVEKIT_CALL_TIMEOUT", "500ms")];
const SLACK: Duration = Duration::from_secs(5);

/// A recording that runs, and its egress.
async fn running(service: &Reelkeeper, livekit: &Scripted) -> (String, String, String) {
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    let egress = livekit.egresses(&room)[0].egress_id.clone();
    (room, id, egress)
}

async fn over(service: &Reelkeeper, livekit: &Scripted, id: &str, egress: &str) {
    livekit.change(egress, EgressStatus::EgressFailed);
    service.until(id, "failed").await;
}

/// What a client is told.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// 202: a repetition worked within the deadline.
    Stopped,
    /// 500 at once, with this reason.
    Refused(&'static str),
    /// 503 at the deadline.
    Owed,
}

#[tokio::test]
async fn each_failure_has_its_answer_and_the_stop_is_carried_out() {
    use Act::{Break, Hang, Plain, Twirp};
    use Told::{Owed, Refused, Stopped};
    let mut table = Vec::new();
    let refused = [
        (400, "invalid_argument"),
        (400, "malformed"),
        (404, "bad_route"),
        (409, "already_exists"),
        (403, "permission_denied"),
        (401, "unauthenticated"),
        (400, "out_of_range"),
    ];
    for (status, code) in refused {
        table.push((code, vec![Twirp(status, code, "no right to")], Refused("no right to")));
    }
    table.push(("plain 403", vec![Plain(403, "keep out")], Refused("keep out")));
    let others = [
        // LiveKit still shows it ACTIVE, so its answer proves nothing.
        ("not_found", Twirp(404, "not_found", "no such egress")),
        ("failed_precondition", Twirp(412, "failed_precondition", "cannot be stopped")),
        ("unavailable", Twirp(503, "unavailable", "no response from servers")),
        ("internal", Twirp(500, "internal", "oh")),
        ("deadline_exceeded", Twirp(408, "deadline_exceeded", "request timed out")),
        ("plain 429", Plain(429, "slowly")),
        ("plain 502", Plain(502, "<html>")),
        ("plain 200", Plain(200, "fine")),
        ("broken connection", Break),
        ("no answer", Hang),
    ];
    for (name, act) in others {
        table.push((name, vec![act.clone()], Stopped));
        table.push((name, vec![act; 3], Owed));
    }

    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let checks = table.into_iter().map(async |(name, acts, told)| {
        let (room, id, egress) = running(&service, &livekit).await;
        let failures = acts.len();
        livekit.script(&room, Method::Stop, acts);
        let began = Instant::now();
        let reply = service.stop_recording(&id).await;
        let took = began.elapsed();
        println!("{name}: {told:?} in room '{room}' after {took:?}");
        match told {
            Stopped => assert_eq!(reply.expect(202).field("status"), "ending"),
            Refused(reason) => drop(reply.refused(500, "Recording Error", reason)),
            Owed => {
                reply.refused(503, "Service Unavailable", "will be carried out");
                assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
            }
        }
        eventually("the stop is carried out", async || {
            (livekit.egresses(&room)[0].status() == EgressStatus::EgressEnding).then_some(())
        })
        .await;
        let calls = livekit.calls(&room, Method::Stop);
        assert_eq!(calls.len(), failures + 1, "{calls:?}");
        over(&service, &livekit, &id, &egress).await;
    });
    join_all(checks).await;
    service.finish().await;
}

/// The work is done, but its answer is lost: the next look shows ENDING.
#[tokio::test]
async fn a_stop_whose_answer_is_lost_is_told_at_the_latest_at_the_deadline() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let checks = [Act::Break, Act::Hang, Act::Twirp(500, "internal", "oh")].map(async |act| {
        let (room, id, egress) = running(&service, &livekit).await;
        livekit.script(&room, Method::Stop, [Act::WorkThen(Box::new(act))]);
        let began = Instant::now();
        let reply = service.stop_recording(&id).await;
        assert!(began.elapsed() < TIMEOUT + SLACK);
        // Which of these depends on what is seen first, ENDING or the answer to a repetition.
        assert!([202, 409, 503].contains(&reply.status), "{}", reply.text());
        service.until(&id, "ending").await;
        service.stop_recording(&id).await.refused(409, "Recording Error", "already stopped");
        over(&service, &livekit, &id, &egress).await;
    });
    join_all(checks).await;
    service.finish().await;
}

#[tokio::test]
async fn a_stop_that_races_the_natural_end_says_already_stopped() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_RECONCILE_INTERVAL", "1h")]).await;
    let ends = [
        (EgressStatus::EgressComplete, "complete", 404, "not_found"),
        (EgressStatus::EgressComplete, "complete", 412, "failed_precondition"),
        (EgressStatus::EgressFailed, "failed", 412, "failed_precondition"),
        (EgressStatus::EgressAborted, "aborted", 412, "failed_precondition"),
        (EgressStatus::EgressLimitReached, "limit_reached", 412, "failed_precondition"),
    ];
    let checks = ends.map(async |(status, shown, http, code)| {
        let (room, id, egress) = running(&service, &livekit).await;
        service.write_file(&id, b"a file");
        livekit.script(&room, Method::Stop, [Act::Twirp(http, code, "it is over")]);
        // Nobody tells the service.
        livekit.change(&egress, status);
        service.stop_recording(&id).await.refused(409, "Recording Error", "already stopped");
        assert_eq!(service.recording(&id).await.field("status"), shown);
        service.stop_recording(&id).await.refused(409, "Recording Error", "already stopped");
        service.start_recording(&room).await.expect(201);
        let next = livekit.egresses(&room)[1].egress_id.clone();
        livekit.change(&next, EgressStatus::EgressFailed);
    });
    join_all(checks).await;
    for recording in service.recordings().await {
        let id = recording["recordingId"].as_str().unwrap();
        if recording["status"] == "active" {
            // A stop finds out what a service that does not look by itself cannot know yet.
            service.stop_recording(id).await.refused(409, "Recording Error", "already stopped");
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn what_cannot_be_stopped_is_refused() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let (room, id, egress) = running(&service, &livekit).await;
    let uid = id.split("--").nth(2).unwrap();
    let table = [
        (format!("{room}--EG_nobody--{uid}"), 404, "Recording Error", "EG_nobody"),
        (format!("nowhere--{egress}--{uid}"), 404, "Room Error", "nowhere"),
        ("nonsense".to_owned(), 422, "Unprocessable Entity", "Invalid request"),
    ];
    for (id, status, error, fragment) in table {
        service.stop_recording(&id).await.refused(status, error, fragment);
    }
    assert_eq!(livekit.calls(&room, Method::Stop), []);

    // In another room of ours, whose egress it is not.
    let other = service.room().await;
    let stolen = format!("{other}--{egress}--{uid}");
    service.stop_recording(&stolen).await.refused(404, "Recording Error", &egress);
    assert_eq!(livekit.calls(&room, Method::Stop), []);
    assert_eq!(service.recording(&id).await.json()["status"], json!("active"));

    service.stop_recording(&id).await.expect(202);
    over(&service, &livekit, &id, &egress).await;
    service.finish().await;
}

#[tokio::test]
async fn stops_that_come_together_are_one_stop() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let (room, id, egress) = running(&service, &livekit).await;
    let replies: Vec<Reply> = join_all((0..10).map(|_| service.stop_recording(&id))).await;
    let mut accepted = 0;
    for reply in replies {
        match reply.status {
            202 => accepted += 1,
            _ => drop(reply.refused(409, "Recording Error", "already stopped")),
        }
    }
    assert!(accepted >= 1);
    assert_eq!(livekit.calls(&room, Method::Stop).len(), 1);
    over(&service, &livekit, &id, &egress).await;
    service.finish().await;
}
