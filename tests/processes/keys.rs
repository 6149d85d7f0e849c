//! SIGKILL while a start or a stop under an `Idempotency-Key` waits: whoever sends it again after the restart
//! is told what became of it, and nothing is begun twice.

use std::time::Duration;

use futures::future::join_all;
use reelkeeper_actors::ids::{RecordingId, RoomId};

use crate::api::Answer;
use crate::livekit::Point;
use crate::stage::{Setup, Stage, Told};
use crate::truth;
use crate::wait::until;

const KEY: &str = "order-7";
/// The deadline counts from the first request and runs on while the service is away: long enough for a restart
/// on a busy machine.
const OPTIONS: [(&str, &str); 1] = [("REELKEEPER_START_TIMEOUT", "15s")];

/// What becomes of the call that is held when the service is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It goes on once the repeat waits.
    GoesOn,
    /// It is never worked on.
    Never,
}

/// Where the start is held, what becomes of it, and what its repeat is told.
#[rustfmt::skip]
const STARTS: [(&str, Point, Then, u16); 6] = [
    // Nothing is begun yet: the repeat begins it.
    ("ListParticipants", Point::Work,   Then::Never,  201),
    // The intent is saved, and nothing was sent, nor ever will be.
    ("ListEgress",       Point::Work,   Then::Never,  503),
    // Sent: it is looked for.
    ("StartEgress",      Point::Work,   Then::GoesOn, 201),
    ("StartEgress",      Point::Work,   Then::Never,  503),
    ("StartEgress",      Point::Answer, Then::GoesOn, 201),
    ("StartEgress",      Point::Answer, Then::Never,  201),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_killed_is_told_to_its_repeat() {
    join_all(STARTS.map(async |case| {
        let (method, point, then, status) = case;
        let mut stage = Stage::open(Setup::with(&OPTIONS)).await;
        let room = stage.room("keys").await;
        kill_during_start(&mut stage, &room, method, point).await;
        stage.run().await;
        let told = repeat_start(&stage, &room, then).await;
        assert_eq!(told.status, status, "{case:?}: {told:?}");
        // Again, and after one more restart.
        is_told(&stage, &room, &told).await;
        stage.kill().await;
        stage.run().await;
        is_told(&stage, &room, &told).await;
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        let egresses = stage.livekit.egresses(&room);
        assert_eq!(egresses.len(), usize::from(status == 201), "{case:?}: {egresses:?}");
        truth::room_is_usable(&stage, &room).await;
    }))
    .await;
}

async fn kill_during_start(stage: &mut Stage, room: &RoomId, method: &str, point: Point) {
    stage.livekit.hold(method, 1, point);
    let (api, asked) = (stage.api(), room.clone());
    let first = tokio::spawn(async move { api.start_once(KEY, &asked).await });
    stage.livekit.until_held().await;
    stage.kill().await;
    let told = first.await.expect("a request does not panic");
    assert!(told.is_none(), "a process that is killed answers nothing: {told:?}");
    stage.was_told(Told::Start(room.clone(), told));
}

async fn repeat_start(stage: &Stage, room: &RoomId, then: Then) -> Answer {
    let goes_on = async {
        match then {
            Then::Never => stage.livekit.drop_held(),
            Then::GoesOn => {
                until("LiveKit is asked what became of it", Duration::from_secs(15), async || {
                    let asked = stage.livekit.methods().iter().rposition(|method| method == "ListEgress");
                    let start = stage.livekit.methods().iter().position(|method| method == "StartEgress");
                    if asked > start { Ok(()) } else { Err(format!("{:?}", stage.livekit.methods())) }
                })
                .await;
                stage.livekit.release();
            }
        }
    };
    let api = stage.api();
    let (told, ()) = tokio::join!(api.start_once(KEY, room), goes_on);
    stage.was_told(Told::Start(room.clone(), told.clone()));
    told.expect("an answer")
}

/// Whoever asks again is told the same.
async fn is_told(stage: &Stage, room: &RoomId, told: &Answer) {
    let again = stage.api().start_once(KEY, room).await.expect("an answer");
    assert_eq!((again.status, &again.body), (told.status, &told.body));
}

/// Where the stop is held.
const STOPS: [Point; 2] = [Point::Work, Point::Answer];

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_killed_is_told_to_its_repeat() {
    join_all(STOPS.map(async |point| {
        let mut stage = Stage::open(Setup::default()).await;
        let room = stage.room("keys").await;
        let recording = stage.started(&room).await;
        stage.livekit.hold("StopEgress", 1, point);
        let (api, asked) = (stage.api(), recording.clone());
        let first = tokio::spawn(async move { api.stop_once(KEY, &asked).await });
        stage.livekit.until_held().await;
        stage.kill().await;
        assert!(first.await.expect("a request does not panic").is_none(), "killed");
        stage.livekit.drop_held();
        stage.run().await;
        let told = repeat_stop(&stage, &recording).await;
        assert_eq!(told.status, 202, "{point:?}: {told:?}");
        assert_eq!(told.recording(), recording);
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        let again = repeat_stop(&stage, &recording).await;
        assert_eq!((again.status, again.body), (told.status, told.body), "{point:?}");
        truth::room_is_usable(&stage, &room).await;
    }))
    .await;
}

async fn repeat_stop(stage: &Stage, recording: &RecordingId) -> Answer {
    let told = stage.api().stop_once(KEY, recording).await;
    stage.was_told(Told::Stop(recording.clone(), told.clone()));
    told.expect("an answer")
}
