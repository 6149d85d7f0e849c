//! Every way in which StartEgress can fail (design 4, first table): what the client is told, and what
//! LiveKit was asked.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use reelkeeper_actors::simulator::calls::Method as SimMethod;
use reelkeeper_actors::simulator::faults::CallTrouble;
use reelkeeper_actors::simulator::log::Release;
use tokio::sync::Notify;

use crate::harness::{Left, Reelkeeper, simulated};
use crate::livekit::{Act, Method, Scripted, Shows, uid};
use crate::wire::{Reply, eventually};

const SETTINGS: &[(&str, &str)] = &[("REELKEEPER_START_TIMEOUT", "2s")];
/// For many rooms at once, on a busy machine.
const PATIENT: &[(&str, &str)] = &[("REELKEEPER_START_TIMEOUT", "6s")];
const TIMEOUT: Duration = Duration::from_secs(6);
/// How much longer than its deadline an answer may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// 201.
    Runs,
    /// 500 before the deadline, with this reason.
    Failed(&'static str),
    /// 503 at the deadline.
    TimedOut,
}

/// Starts in a fresh room whose LiveKit is scripted so; says what the client was told and how long it took.
async fn start(service: &Reelkeeper, livekit: &Scripted, acts: &[Act]) -> (String, Reply, Duration) {
    let room = service.room().await;
    livekit.people(&room);
    livekit.script(&room, Method::Start, acts.iter().cloned());
    let began = Instant::now();
    let reply = service.start_recording(&room).await;
    (room, reply, began.elapsed())
}

/// Ends the recording of a room as LiveKit would, and waits until the room is free of it.
async fn end(service: &Reelkeeper, livekit: &Scripted, id: &str) {
    service.stop_recording(id).await.expect(202);
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
    service.until(id, "failed").await;
}

fn told(reply: Reply, expected: Told, took: Duration) -> Option<String> {
    match expected {
        Told::Runs => Some(reply.expect(201).id()),
        Told::Failed(reason) => {
            reply.refused(500, "Recording Error", reason);
            assert!(took < TIMEOUT * 3 / 4, "at once, not after {took:?}");
            None
        }
        Told::TimedOut => {
            reply.refused(503, "Recording Error", "timed out while starting");
            assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
            None
        }
    }
}

fn often(act: Act) -> Vec<Act> {
    vec![act; 100]
}

/// A failure: its name, how StartEgress is answered, what the client is told, how often StartEgress may be
/// called.
type StartFailure = (&'static str, Vec<Act>, Told, RangeInclusive<usize>);

fn failures() -> Vec<StartFailure> {
    use Act::{Break, Hang, Plain, Twirp, WorkThen};
    use Told::{Failed, Runs, TimedOut};
    let lost = |act| vec![WorkThen(Box::new(act))];
    let refused = [
        ("unavailable", 503, "unavailable"),
        ("resource_exhausted", 429, "resource_exhausted"),
        ("resource_exhausted under another status", 500, "resource_exhausted"),
    ];
    let mut table = Vec::new();
    for (name, status, code) in refused {
        table.push((name, vec![Twirp(status, code, "not now")], Runs, 2..=2));
        table.push((name, often(Twirp(status, code, "not now")), TimedOut, 2..=6));
    }
    let for_good = [
        (400, "invalid_argument"),
        (400, "malformed"),
        (404, "not_found"),
        (404, "bad_route"),
        (409, "already_exists"),
        (403, "permission_denied"),
        (401, "unauthenticated"),
        (412, "failed_precondition"),
        (400, "out_of_range"),
        (501, "unimplemented"),
        (500, "not_found"),
    ];
    for (status, code) in for_good {
        table.push((code, vec![Twirp(status, code, "never ever")], Failed("never ever"), 1..=1));
    }
    for (name, status) in [("400", 400), ("401", 401), ("403", 403), ("404", 404), ("413", 413)] {
        table.push((name, vec![Plain(status, "no such thing")], Failed("no such thing"), 1..=1));
    }
    let unknown = [
        ("internal", Twirp(500, "internal", "oh")),
        ("unknown", Twirp(500, "unknown", "oh")),
        ("dataloss", Twirp(500, "dataloss", "oh")),
        ("aborted", Twirp(409, "aborted", "oh")),
        ("canceled", Twirp(408, "canceled", "oh")),
        ("deadline_exceeded", Twirp(408, "deadline_exceeded", "oh")),
        ("a code of tomorrow", Twirp(418, "of_tomorrow", "oh")),
        ("plain 408", Plain(408, "oh")),
        ("plain 429", Plain(429, "oh")),
        ("plain 500", Plain(500, "oh")),
        ("plain 502", Plain(502, "<html>")),
        ("plain 503", Plain(503, "")),
        ("plain 200", Plain(200, "hello")),
        ("a redirect", Plain(302, "")),
        ("broken connection", Break),
    ];
    for (name, act) in unknown {
        table.push((name, vec![act.clone()], TimedOut, 1..=1));
        table.push((name, lost(act), Runs, 1..=1));
    }
    table.push(("hangs", vec![Hang], TimedOut, 1..=1));
    table
}

#[tokio::test]
async fn each_failure_has_its_answer_and_is_asked_for_at_most_once_per_uid() {
    let table = failures();
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, PATIENT).await;
    let started = join_all(table.iter().map(|(_, acts, ..)| start(&service, &livekit, acts))).await;
    let again = |room: String, running: Option<String>| {
        let (service, livekit) = (&service, &livekit);
        async move {
            let id = match running {
                Some(id) => id,
                // Whatever it was, the room can start again at once.
                None => service.start_recording(&room).await.expect(201).id(),
            };
            end(service, livekit, &id).await;
        }
    };
    let mut rooms = Vec::new();
    let mut unsettled = 0;
    for ((name, _, expected, calls), (room, reply, took)) in table.into_iter().zip(started) {
        println!("{name}: {expected:?} in room '{room}' after {took:?}");
        let running = told(reply, expected, took);
        let asked = livekit.calls(&room, Method::Start);
        let uids: BTreeSet<_> = asked.iter().map(|call| uid(&call.path)).collect();
        assert_eq!(uids.len(), asked.len(), "at most one StartEgress per uid: {asked:?}");
        assert!(calls.contains(&asked.len()), "{name}: {asked:?}");
        unsettled += asked.len() - usize::from(running.is_some());
        livekit.forget_script_of(&room);
        rooms.push(again(room, running));
    }
    join_all(rooms).await;
    service.finish_with(Left::Unsettled(unsettled)).await;
}

#[tokio::test]
async fn an_egress_that_shows_up_after_the_503_is_stopped() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let release = Arc::new(Notify::new());
    // The egress is there but in no list until the deadline has passed.
    let cases = [
        vec![Act::WorkThen(Box::new(Act::Break))],
        vec![Act::WorkThen(Box::new(Act::Hang))],
        vec![Act::Wait(release.clone())],
    ];
    let cases = cases.iter().map(async |acts| {
        let room = service.room().await;
        let absent = Act::Twirp(500, "internal", "no list");
        livekit.script(&room, Method::Start, acts.iter().cloned());
        livekit.people(&room);
        livekit.newborn(&room, EgressStatus::EgressStarting, "");
        // The look before the start works, those after it do not.
        livekit.script(&room, Method::ListOfRoom, [vec![Act::Work], often(absent)].concat());
        let reply = service.start_recording(&room).await;
        reply.refused(503, "Recording Error", "timed out while starting");
        livekit.forget_script_of(&room);
        release.notify_waiters();

        let late = livekit.egresses(&room).remove(0).egress_id;
        let again = service.start_recording(&room);
        livekit.newborn(&room, EgressStatus::EgressActive, "");
        let again = again.await.expect(201).id();
        assert!(!again.contains(&late), "{again}");
        eventually("the late egress is stopped", async || {
            livekit.calls(&room, Method::Stop).iter().any(|call| call.egress == late).then_some(())
        })
        .await;
        livekit.change(&late, EgressStatus::EgressAborted);
        let path = &livekit.calls(&room, Method::Start)[0].path;
        let late = format!("{room}--{late}--{}", uid(path));
        let failed = service.until(&late, "failed").await;
        assert_eq!(failed["error"], "timed out while starting", "{failed}");
        assert_eq!(service.recording(&again).await.field("status"), "active");
        end(&service, &livekit, &again).await;
    });
    join_all(cases).await;
    service.finish().await;
}

/// The call is still on its way when the client has its 503; LiveKit carries it out later.
#[tokio::test]
async fn a_call_that_is_carried_out_late_leaves_the_room_to_the_next_start() {
    let (service, sim) = simulated(SETTINGS).await;
    let (room, other) = (sim.room(&service).await, sim.room(&service).await);
    sim.trouble(&room, SimMethod::StartEgress, CallTrouble::Hold);
    let (late, unaffected) = tokio::join!(service.start_recording(&room), service.start_recording(&other));
    late.refused(503, "Recording Error", "timed out while starting");
    let ids = [service.start_recording(&room).await.expect(201).id(), unaffected.expect(201).id()];
    sim.control.live().with(|world| assert_eq!(world.release(None, Release::GoOn), 1));
    let stopped = eventually("the late egress is stopped", async || {
        let stops = sim.calls(&room, SimMethod::StopEgress);
        stops.first().and_then(|call| call.egress.clone())
    })
    .await;
    assert!(!ids[0].contains(stopped.as_str()), "{stopped}");
    for id in ids {
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
    }
    assert_eq!(sim.calls(&room, SimMethod::StartEgress).len(), 2);
    service.finish().await;
}

/// Nothing can be started while LiveKit cannot say what it records already.
#[tokio::test]
async fn nothing_is_started_blindly() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let room = service.room().await;
    livekit.people(&room);
    livekit.script(&room, Method::ListOfRoom, often(Act::Plain(500, "")));
    let reply = service.start_recording(&room).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(livekit.calls(&room, Method::Start), []);
    livekit.forget_script_of(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    end(&service, &livekit, &id).await;
    service.finish().await;
}

#[tokio::test]
async fn a_room_without_people_is_refused_and_a_deleted_one_is_unknown() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let room = service.room().await;
    service.start_recording(&room).await.refused(409, "Recording Error", "has no participants");
    service.start_recording("nobody-knows-it").await.refused(
        404,
        "Room Error",
        "'nobody-knows-it' not found",
    );
    assert_eq!(livekit.calls(&room, Method::Start), []);
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    assert_eq!(livekit.calls(&room, Method::Start).len(), 1);
    end(&service, &livekit, &id).await;
    service.finish().await;
}
