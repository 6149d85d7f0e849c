//! A LiveKit that forgets: one recording, all of them, or all of them for a moment.

use std::time::Duration;

use futures::future::join_all;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{Setup, Stage};
use crate::truth;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(15);
/// Two looks five seconds apart, and what comes before and after them.
const JUDGED: Duration = Duration::from_secs(25);
/// More than are forgotten one by one.
const MANY: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_livekit_that_forgot_everything_does_not_take_the_file_with_it() {
    let mut stage = Stage::open(Setup::default()).await;
    let room = stage.room("forgotten").await;
    let recording = stage.started(&room).await;
    stage.kill().await;
    stage.livekit.end_room(&room);
    until("the file is written", SOON, async || match stage.livekit.live(&room).as_slice() {
        [] => Ok(()),
        live => Err(format!("{live:?}")),
    })
    .await;
    stage.replace_livekit().await;
    stage.livekit.add_room(&room);
    stage.run().await;
    until("the file tells", JUDGED, async || {
        let shown = stage.api().get(&recording).await.expect("an answer").body;
        if shown["status"] == "complete" { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    let (status, content) = stage.api().media(&recording).await.expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(content, std::fs::read(stage.file(&recording)).expect("it is there"));
    truth::room_is_usable(&stage, &room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_livekit_that_lost_a_recording_frees_the_room_and_the_document_says_so() {
    let mut stage = Stage::open(Setup::default()).await;
    let room = stage.room("gone").await;
    let recording = stage.started(&room).await;
    stage.replace_livekit().await;
    stage.livekit.add_room(&room);
    until("the loss is seen", JUDGED, async || {
        let shown = stage.api().get(&recording).await.expect("an answer").body;
        if shown["status"] == "failed" { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    truth::room_is_usable(&stage, &room).await;
}

async fn many(stage: &Stage) -> (Vec<RoomId>, Vec<RecordingId>) {
    let names: Vec<_> = (0..MANY).map(|number| format!("many {number}")).collect();
    let rooms = join_all(names.iter().map(|name| stage.room(name))).await;
    let recordings = join_all(rooms.iter().map(|room| stage.started(room))).await;
    (rooms, recordings)
}

async fn statuses(stage: &Stage, recordings: &[RecordingId]) -> Vec<String> {
    let shown = recordings.iter().map(|recording| stage.shown(recording));
    let statuses = join_all(shown).await.into_iter().map(|shown| shown["status"].as_str().map(str::to_owned));
    statuses.map(Option::unwrap_or_default).collect()
}

/// A list that misses so much decides nothing for a while; then each recording is judged by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_livekit_that_forgot_many_recordings_is_doubted_for_a_while() {
    const DOUBTED: Duration = Duration::from_secs(9);
    let mut stage = Stage::open(Setup::with(&[("REELKEEPER_STALE_AFTER", "9s")])).await;
    let (rooms, recordings) = many(&stage).await;
    stage.replace_livekit().await;
    let replaced = Instant::now();
    for room in &rooms {
        stage.livekit.add_room(room);
    }
    // One of them was uploaded before all was forgotten.
    let content = b"a film that nobody told of";
    let file = stage.file(&recordings[0]);
    std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("a folder");
    std::fs::write(file, content).expect("a file");

    let judged = ["complete", "failed", "failed", "failed"];
    until("each is judged", DOUBTED + JUDGED, async || {
        let statuses = statuses(&stage, &recordings).await;
        let elapsed = replaced.elapsed();
        if statuses.iter().any(|status| status != "active") {
            assert!(elapsed >= DOUBTED, "{statuses:?} after {elapsed:?}");
        }
        if statuses == judged { Ok(()) } else { Err(format!("{statuses:?}")) }
    })
    .await;
    println!("{MANY} recordings forgotten: judged after {:.1?}", replaced.elapsed());
    let (status, media) = stage.api().media(&recordings[0]).await.expect("an answer");
    assert_eq!((status, &media[..]), (200, &content[..]));
    for room in &rooms {
        truth::room_is_usable(&stage, room).await;
    }
}

/// LiveKit lists nothing for longer than two looks, and then everything again.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_empty_for_a_moment_change_nothing() {
    const MOMENT: Duration = Duration::from_secs(8);
    let alone = async {
        // One recording is too few to doubt a list: its recorder says that it lives.
        let stage = Stage::open(Setup::default()).await;
        let room = stage.room("alone").await;
        let recording = stage.started(&room).await;
        (stage, vec![room], vec![recording])
    };
    let together = async {
        let stage = Stage::open(Setup::default()).await;
        let (rooms, recordings) = many(&stage).await;
        (stage, rooms, recordings)
    };
    let (alone, together) = tokio::join!(alone, together);
    join_all([alone, together].map(async |(stage, rooms, recordings)| {
        stage.livekit.fault(json!({ "method": "ListEgress", "does": "empty_list", "times": null }));
        let emptied = Instant::now();
        until("the moment is over", MOMENT * 2, async || {
            let statuses = statuses(&stage, &recordings).await;
            assert!(statuses.iter().all(|status| status == "active"), "{statuses:?}");
            if emptied.elapsed() >= MOMENT { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
        stage.livekit.clear_faults();
        truth::holds(&stage, &rooms).await;
        for room in &rooms {
            truth::room_is_usable(&stage, room).await;
        }
    }))
    .await;
}
