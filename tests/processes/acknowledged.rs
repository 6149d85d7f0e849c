//! SIGKILL between the arrival of LiveKit's webhooks and their commit: nothing was acknowledged that is not
//! stored, so what LiveKit does not repeat is there, and what is not there it repeats.

use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::seed::chance;
use crate::stage::{Setup, Stage};
use crate::truth;
use crate::wait::until;

const ROOMS: usize = 5;
const ROUNDS: u32 = 8;
/// When the webhooks of the ends of rooms come, and are stored, after the rooms ended.
const MOMENTS: std::ops::Range<Duration> = Duration::from_millis(60)..Duration::from_millis(130);
/// LiveKit repeats a webhook after 1, 2, 4 and 8 s.
const REPEATED: Duration = Duration::from_secs(20);

async fn set() -> (Stage, Vec<RoomId>) {
    // The log says which webhooks have arrived.
    let stage = Stage::open(Setup::with(&[("REELKEEPER_LOG", "info,reelkeeper=debug")])).await;
    let names: Vec<_> = (0..ROOMS).map(|number| format!("told {number}")).collect();
    let rooms = join_all(names.iter().map(|name| stage.room(name))).await;
    (stage, rooms)
}

/// Records in all rooms. From then on nobody but a webhook can tell how a recording goes on.
async fn record(stage: &Stage, rooms: &[RoomId]) -> Vec<RecordingId> {
    let recordings = join_all(rooms.iter().map(|room| stage.started(room))).await;
    for method in ["ListEgress", "ListParticipants"] {
        let error = json!({ "error": { "code": "internal", "msg": "not today" } });
        stage.livekit.fault(json!({ "method": method, "does": error, "times": null }));
    }
    recordings
}

/// How each try of the webhooks with this event was answered, for each recording, once LiveKit has done with it.
async fn answers(stage: &Stage, event: &str, recordings: &[RecordingId]) -> Vec<Vec<u16>> {
    let answers = recordings.iter().map(async |recording| {
        until(&format!("{event} of '{recording}' is acknowledged"), REPEATED, async || {
            stage.livekit.answers_to(event, recording).ok_or_else(|| "it is still tried".to_owned())
        })
        .await
    });
    join_all(answers).await
}

/// Each recording is complete, and its room lives again.
async fn are_complete(stage: &Stage, recordings: &[RecordingId]) {
    let shown = recordings.iter().map(async |recording| {
        stage.shows(recording, &["active", "ending"], "complete", Duration::from_secs(5)).await;
    });
    join_all(shown).await;
    stage.livekit.clear_faults();
    for recording in recordings {
        stage.livekit.add_room(&recording.room);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_stored_when_the_service_was_killed_was_not_acknowledged() {
    let (mut stage, rooms) = set().await;
    let recordings = record(&stage, &rooms).await;
    let frozen = stage.freeze_store();
    for room in &rooms {
        stage.livekit.end_room(room);
    }
    let log = stage.process().log();
    // Each is the first of its room's, or its egress's, queue; the others come after its answer.
    let firsts = ["participant_left", "egress_ended"];
    until("the webhooks have arrived", Duration::from_secs(10), async || {
        let text = log.text();
        let came = firsts.map(|event| text.lines().filter(|line| arrives(line, event)).count());
        if came == [ROOMS; 2] { Ok(()) } else { Err(format!("{came:?} of {ROOMS}")) }
    })
    .await;
    stage.kill().await;
    drop(frozen);
    stage.run().await;
    for event in firsts {
        for answers in answers(&stage, event, &recordings).await {
            let told = (answers.first(), answers.last());
            assert_eq!(told, (Some(&0), Some(&200)), "{event}, not stored at the kill: {answers:?}");
        }
    }
    are_complete(&stage, &recordings).await;
    truth::holds(&stage, &rooms).await;
}

/// Whether a line of the service's log says that a webhook has come.
fn arrives(line: &str, event: &str) -> bool {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    (&line["message"], &line["event.name"]) == (&"webhook".into(), &event.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_webhooks_come_lose_none_of_them() {
    let mut chance = chance("kills while webhooks come");
    let (mut stage, rooms) = set().await;
    let (mut before, mut after) = (0, 0);
    for _ in 0..ROUNDS {
        let recordings = record(&stage, &rooms).await;
        for room in &rooms {
            stage.livekit.end_room(room);
        }
        sleep(chance.random_range(MOMENTS)).await;
        stage.kill().await;
        stage.run().await;
        for answers in answers(&stage, "egress_ended", &recordings).await {
            assert_eq!(answers.last(), Some(&200), "{answers:?}");
            if answers == [200] { before += 1 } else { after += 1 }
        }
        are_complete(&stage, &recordings).await;
    }
    println!("kills while webhooks come: {before} were acknowledged before the kill, {after} after it");
    truth::holds(&stage, &rooms).await;
}
