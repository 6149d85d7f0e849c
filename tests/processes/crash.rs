//! SIGKILL at every call to LiveKit that a start or a stop makes.
//!
//! A call, or its answer, is held; the service is killed; what was held goes on, or not; the next run finds
//! the folder. Then there is no second egress, no lost recording, and the room is free or rightly records.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::Timing;
use serde_json::json;

use crate::api::Answer;
use crate::livekit::{Point, quick};
use crate::stage::{Setup, Stage, Told};
use crate::truth;
use crate::wait::until;

/// Cases at once: they wait more than they work.
const AT_ONCE: usize = 8;

/// What is under way when the service is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum During {
    Start,
    Stop,
}

/// What else is the matter, so that further calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nothing.
    Plain,
    /// No webhook comes: the egress is asked for until it records, or has ended.
    Deaf,
    /// No webhook comes, the answer to StartEgress is lost, and the room's list lacks the egress.
    Lost,
    /// The first StartEgress, or StopEgress, comes to nothing.
    Again,
}

/// What becomes of the held call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It goes on while the service is away.
    Before,
    /// It goes on once the next run listens.
    After,
    /// It goes on once the room was recorded anew.
    Late,
    /// It is never worked on.
    Never,
    /// It goes on while the service is away, and the next run is killed at its own first call.
    Twice,
}

/// The n-th call of a method after the start, or the stop, was asked for.
type Call = (During, Way, &'static str, u32);

#[rustfmt::skip]
const CALLS: [Call; 14] = [
    (During::Start, Way::Plain, "ListParticipants", 1),
    (During::Start, Way::Plain, "ListEgress",       1), // the look into the room before
    (During::Start, Way::Plain, "StartEgress",      1),
    (During::Start, Way::Plain, "SendData",         1), // the first signal
    (During::Start, Way::Deaf,  "ListEgress",       2), // by id, first poll
    (During::Start, Way::Deaf,  "ListEgress",       3), // by id, a further poll
    (During::Start, Way::Lost,  "ListEgress",       2), // the uid in the room's list
    (During::Start, Way::Lost,  "ListEgress",       3), // the uid in the list of all
    (During::Start, Way::Again, "ListEgress",       2), // the look before the second attempt
    (During::Start, Way::Again, "StartEgress",      2),
    (During::Stop,  Way::Plain, "StopEgress",       1),
    (During::Stop,  Way::Plain, "SendData",         1),
    (During::Stop,  Way::Deaf,  "ListEgress",       1), // by id, after the stop was answered
    (During::Stop,  Way::Again, "StopEgress",       2),
];

fn cases() -> impl Iterator<Item = (Call, Point, Then)> {
    CALLS.into_iter().flat_map(|call| {
        let (_, _, method, _) = call;
        let late = (method == "StartEgress").then_some((Point::Work, Then::Late));
        // These leave something to look for.
        let twice = matches!(method, "StartEgress" | "StopEgress").then_some((Point::Work, Then::Twice));
        [
            (Point::Work, Then::Before),
            (Point::Work, Then::After),
            (Point::Work, Then::Never),
            (Point::Answer, Then::Before),
        ]
        .into_iter()
        .chain(late)
        .chain(twice)
        .map(move |(point, then)| (call, point, then))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_call_of_a_start_or_a_stop_does_no_harm() {
    let failed: Vec<_> = stream::iter(cases())
        .map(|case| async move {
            let survived = AssertUnwindSafe(survive(case)).catch_unwind().await;
            if survived.is_err() {
                eprintln!("the case above was {case:?}");
            }
            survived.is_err().then_some(case)
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect()
        .await;
    assert!(failed.is_empty(), "{} cases failed, see above: {failed:?}", failed.len());
}

/// The table above names them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_stop_make_no_further_calls() {
    let stage = Stage::open(Setup::default()).await;
    let room = stage.room("calls").await;
    let recording = stage.started(&room).await;
    // Signals come in any order with them; what names another room, or none, is a ping or the janitors' list of all.
    let calls = || {
        let mut calls = stage.livekit.calls();
        calls.retain(|call| call.room.as_ref() == Some(&room) && call.method != Method::SendData);
        calls.iter().map(|call| format!("{:?}", call.method)).collect::<Vec<_>>()
    };
    assert_eq!(calls(), ["ListParticipants", "ListEgress", "StartEgress"]);
    stage.stopped(&recording).await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    assert_eq!(calls()[3..], ["StopEgress"]);
    assert!(stage.livekit.methods().iter().any(|method| method == "SendData"), "no signal was sent");
}

async fn survive((call, point, then): (Call, Point, Then)) {
    let (during, way, method, nth) = call;
    let mut stage = Stage::open(setup(way)).await;
    let room = stage.room("crash").await;
    let stopping = match during {
        During::Start => None,
        During::Stop => Some(stage.started(&room).await),
    };
    hinder(&stage, during, way);
    stage.livekit.hold(method, nth, point);
    let api = stage.api();
    let request = {
        let (room, stopping) = (room.clone(), stopping.clone());
        tokio::spawn(async move {
            match stopping {
                None => Told::Start(room.clone(), api.start(&room).await),
                Some(recording) => Told::Stop(recording.clone(), api.stop(&recording).await),
            }
        })
    };
    stage.livekit.until_held().await;
    stage.kill().await;
    // Mostly nothing; but an egress may be seen to record before its call is answered.
    stage.was_told(request.await.expect("a request does not panic"));

    match then {
        Then::Before | Then::Twice => stage.livekit.release(),
        Then::Never => stage.livekit.drop_held(),
        Then::After | Then::Late => {}
    }
    if then == Then::Twice {
        stage.livekit.hold("ListEgress", 1, Point::Work);
    }
    stage.run().await;
    match then {
        Then::Late => record_anew(&stage, &room).await,
        Then::Twice => {
            stage.livekit.until_held().await;
            stage.kill().await;
            stage.run().await;
        }
        Then::Before | Then::After | Then::Never => {}
    }
    stage.livekit.release();

    truth::holds(&stage, std::slice::from_ref(&room)).await;
    let asked_to_stop = stage.livekit.methods().iter().any(|method| method == "StopEgress");
    if stopping.is_some() && asked_to_stop {
        assert!(stage.livekit.live(&room).is_empty(), "the stop was begun and never carried out");
    }
    stage.livekit.clear_faults();
    truth::room_is_usable(&stage, &room).await;
}

fn setup(way: Way) -> Setup {
    match way {
        Way::Plain | Way::Again => Setup::default(),
        // Long enough for two polls.
        Way::Deaf | Way::Lost => Setup {
            timing: Timing { activate: Duration::from_millis(1500), ..quick() },
            webhooks: false,
            ..Setup::default()
        },
    }
}

fn hinder(stage: &Stage, during: During, way: Way) {
    let refusal = json!({ "error": { "code": "unavailable", "msg": "no response from servers" } });
    match (way, during) {
        (Way::Plain | Way::Deaf, _) => {}
        (Way::Lost, _) => {
            stage.livekit.fault(json!({ "method": "StartEgress", "does": "answer_lost" }));
            stage.livekit.fault(json!({ "method": "StartEgress", "does": "unlisted" }));
        }
        (Way::Again, During::Start) => {
            stage.livekit.fault(json!({ "method": "StartEgress", "does": refusal }));
        }
        (Way::Again, During::Stop) => stage.livekit.fault(json!({ "method": "StopEgress", "does": "cut" })),
    }
}

/// Starts until the room is free of what nobody could find.
async fn record_anew(stage: &Stage, room: &RoomId) {
    until("the room is free", Duration::from_secs(25), async || match stage.start(room).await {
        Some(Answer { status: 201, .. }) => Ok(()),
        Some(answer) if answer.status == 409 => Err(answer.message().to_owned()),
        other => panic!("a start in a room that will be free: {other:?}"),
    })
    .await;
}
