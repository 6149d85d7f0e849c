//! Trouble with LiveKit while the service lives: answers lost, calls that hang, refusals, outages.

use std::time::Duration;

use serde_json::json;

use crate::livekit::{Point, recording_of};
use crate::stage::{Setup, Stage};
use crate::truth;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_records_once() {
    // Also when no webhook tells of it: it is found by its uid.
    for webhooks in [true, false] {
        let stage = Stage::open(Setup { webhooks, ..Setup::default() }).await;
        let room = stage.room("lost answer").await;
        stage.livekit.fault(json!({ "method": "StartEgress", "does": "answer_lost" }));
        let recording = stage.started(&room).await;
        let egresses = stage.livekit.egresses(&room);
        assert_eq!(egresses.iter().map(recording_of).collect::<Vec<_>>(), [recording]);
        truth::holds(&stage, std::slice::from_ref(&room)).await;
        truth::room_is_usable(&stage, &room).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_hangs_is_refused_in_time_and_stopped_when_it_comes() {
    let stage = Stage::open(Setup::default()).await;
    let room = stage.room("hangs").await;
    stage.livekit.hold("StartEgress", 1, Point::Work);
    let refused = stage.start(&room).await.expect("an answer");
    assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "{refused:?}");
    assert!(refused.message().contains("timed out while starting"), "{refused:?}");

    // At once, while the first call still hangs.
    let recording = stage.started(&room).await;
    assert_eq!(stage.livekit.held().len(), 1);
    stage.livekit.release();
    until("the late one is stopped", SOON, async || {
        let egresses = stage.livekit.egresses(&room);
        match egresses.iter().filter(|egress| egress.status.is_terminal()).count() {
            1 => Ok(()),
            _ => Err(format!("{egresses:?}")),
        }
    })
    .await;
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    let live: Vec<_> = stage.livekit.live(&room).iter().map(recording_of).collect();
    assert_eq!(live, [recording], "the wanted one runs on");
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_at_first_records_under_a_fresh_uid() {
    let stage = Stage::open(Setup::default()).await;
    let room = stage.room("refused").await;
    let refusal = json!({ "error": { "code": "unavailable", "msg": "no response from servers" } });
    stage.livekit.fault(json!({ "method": "StartEgress", "does": refusal, "times": 2 }));
    stage.started(&room).await;
    let starts = stage.livekit.methods().iter().filter(|method| *method == "StartEgress").count();
    assert_eq!((starts, stage.livekit.egresses(&room).len()), (3, 1));
    truth::holds(&stage, std::slice::from_ref(&room)).await;
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn livekit_away_during_a_recording_loses_nothing() {
    let stage = Stage::open(Setup::default()).await;
    let (room, ended) = (stage.room("runs on").await, stage.room("ends meanwhile").await);
    let (recording, other) = (stage.started(&room).await, stage.started(&ended).await);
    // Nothing that LiveKit tells meanwhile arrives either.
    for webhook in ["egress_updated", "egress_ended", "participant_left"] {
        stage.livekit.fault(json!({ "webhook": webhook, "does": "lost", "times": null }));
    }
    stage.to_livekit.cut();
    stage.livekit.end_room(&ended);
    until("the recording has ended", SOON, async || match stage.livekit.live(&ended).as_slice() {
        [] => Ok(()),
        live => Err(format!("{live:?}")),
    })
    .await;
    let refused = stage.stop(&recording).await.expect("an answer");
    assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "{refused:?}");
    assert_eq!(stage.api().get(&other).await.expect("an answer").status, 200);

    stage.livekit.clear_faults();
    stage.to_livekit.lead_to(stage.livekit.address());
    stage.livekit.add_room(&ended);
    truth::holds(&stage, &[room.clone(), ended.clone()]).await;
    assert!(stage.livekit.live(&room).is_empty(), "the stop was to be carried out");
    for room in [room, ended] {
        truth::room_is_usable(&stage, &room).await;
    }
}
