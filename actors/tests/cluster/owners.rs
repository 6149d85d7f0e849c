//! A room has one owner, whoever is asked, and gets another when that one is gone.

use std::time::Duration;

use reelkeeper_actors::cluster::wire::{Letter, Reply};
use reelkeeper_actors::ids::RecordingId;
use reelkeeper_actors::ports::media_server::MediaServer as _;
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::event::{Happening, Sighting, Source};
use reelkeeper_actors::recording::{RecordingStatus, Timestamp};
use reelkeeper_actors::simulator::calls::Method;
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, Way};

/// Long, and short enough that the call is not given up.
const SLOW: Duration = Duration::from_secs(4);
/// A letter that this release cannot read.
const OF_TOMORROW: &str = r#"{"version":9,"room":"room-1","left_ms":0,"what":{"of_tomorrow":{}}}"#;

#[tokio::test(start_paused = true)]
async fn whichever_node_is_asked_the_owner_answers() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    let room = stage.room("room-1").await;
    let recording = a.start(&room).await.unwrap();
    assert_eq!(stage.owner(&room).await, Some(a.id.clone()));
    assert_eq!(b.start(&room).await, Err(Refusal::AlreadyRecording));
    let stopped = b.stop(&recording.recording_id).await.unwrap();
    assert_eq!(stopped.recording_id, recording.recording_id);
    stage.until_complete(&recording.recording_id).await;
    assert_eq!(b.stop(&recording.recording_id).await, Err(Refusal::AlreadyStopped));
    b.orchestrator.delete(&recording.recording_id).await.unwrap();
    assert_eq!(stage.status(&recording.recording_id).await, None);
    stage.until("nobody owns the room", async || stage.owner(&room).await.is_none()).await;
    let again = b.start(&room).await.unwrap();
    assert_eq!(stage.owner(&room).await, Some(b.id.clone()), "whoever is asked first");
    a.stop(&again.recording_id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_cannot_be_spoken_to_finds_its_letters() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    stage.way_to(&a, Way::Cut);
    let room = stage.room("room-1").await;
    let recording = a.start(&room).await.unwrap();
    let began = Instant::now();
    assert_eq!(b.start(&room).await, Err(Refusal::AlreadyRecording));
    assert_eq!(b.stop(&recording.recording_id).await.unwrap().recording_id, recording.recording_id);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    stage.until_complete(&recording.recording_id).await;
    assert_eq!(stage.letters().await, 0);
}

/// What it cannot read in a letter it may read in the inbox, after it was restarted with another release.
#[tokio::test(start_paused = true)]
async fn an_owner_of_another_release_finds_its_letters() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    stage.way_to(&a, Way::OtherRelease);
    let room = stage.room("room-1").await;
    let recording = a.start(&room).await.unwrap();
    assert_eq!(b.start(&room).await, Err(Refusal::AlreadyRecording));
    assert_eq!(b.stop(&recording.recording_id).await.unwrap().recording_id, recording.recording_id);
    stage.until_complete(&recording.recording_id).await;
    assert_eq!(stage.letters().await, 0);
    assert_eq!(a.orchestrator.receive(OF_TOMORROW.as_bytes()).await, Reply::Unreadable);
    stage.put_letter(&a, &room, "letter-of-tomorrow".to_owned(), OF_TOMORROW).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.letters().await, 1, "it waits for somebody who can read it");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_got_lost_is_asked_for_again() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    let room = stage.room("room-1").await;
    let first = a.start(&room).await.unwrap();
    stage.way_to(&a, Way::LosesAnswers);
    let stopping = tokio::spawn(async move { (b.stop(&first.recording_id).await, b) });
    sleep(Duration::from_secs(2)).await;
    stage.way_to(&a, Way::Open);
    let (stopped, _b) = stopping.await.unwrap();
    assert!(stopped.is_ok(), "the stop was carried out once, and its answer kept: {stopped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_loses_its_rooms_at_once() {
    let stage = Stage::set().await;
    let (mut a, b) = stage.pair().await;
    let rooms = [stage.room("room-1").await, stage.room("room-2").await, stage.room("room-3").await];
    let mut recordings = Vec::new();
    for room in &rooms {
        recordings.push(a.start(room).await.unwrap().recording_id);
    }
    Stage::renews_no_more(&mut a);
    stage.way_to(&a, Way::Silent);
    let began = Instant::now();
    for room in &rooms {
        stage.until("b owns the room", async || stage.owner(room).await == Some(b.id.clone())).await;
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // The old owner runs on unaware: it finds out when it writes, and asks the new one.
    let stopped = a.stop(&recordings[0]).await.unwrap();
    assert_eq!(stopped.recording_id, recordings[0]);
    b.stop(&recordings[1]).await.unwrap();
    for id in &recordings[..2] {
        stage.until_complete(id).await;
    }
    assert_eq!(stage.status(&recordings[2]).await, Some(RecordingStatus::Active));
    assert_eq!(stage.running(&rooms[2]), 1, "it records on untouched");
}

#[tokio::test(start_paused = true)]
async fn a_start_outlives_its_owner() {
    let stage = Stage::set().await;
    let (mut a, b) = stage.pair().await;
    let room = stage.room("room-1").await;
    // The owner is `a`, which holds the room by an unsettled recording.
    let first = a.start(&room).await.unwrap();
    a.stop(&first.recording_id).await.unwrap();
    Stage::renews_no_more(&mut a);
    stage.way_to(&a, Way::Silent);
    let began = Instant::now();
    let second = b.start(&room).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(stage.status(&second.recording_id).await, Some(RecordingStatus::Active));
    assert_eq!(stage.running(&room), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answers_get_lost_is_answered_by_what_was_kept() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    let room = stage.room("room-1").await;
    // `a` owns the room, takes the start, and its answers never arrive; its lease lives on.
    let first = a.start(&room).await.unwrap();
    a.stop(&first.recording_id).await.unwrap();
    stage.way_to(&a, Way::LosesAnswers);
    let started = b.start(&room).await.unwrap();
    assert_eq!(stage.status(&started.recording_id).await, Some(RecordingStatus::Active));
    assert_eq!(stage.running(&room), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_answers_is_cancelled_before_it_is_refused() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    let room = stage.room("room-1").await;
    let first = a.start(&room).await.unwrap();
    a.stop(&first.recording_id).await.unwrap();
    stage.way_to(&a, Way::Silent);
    assert_eq!(b.start(&room).await, Err(Refusal::TimedOutStarting), "nobody knows better");
    stage.until("the letter is read", async || stage.letters().await == 0).await;
    assert_eq!(stage.running(&room), 0);
    b.stop(&first.recording_id).await.unwrap_err();
    a.start(&room).await.unwrap();
}

/// LiveKit takes its time over one room, and what else waits in the inbox is carried out meanwhile.
#[tokio::test(start_paused = true)]
async fn a_slow_letter_in_the_inbox_holds_nobody_up() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    let (slow, other) = (stage.room("room-1").await, stage.room("room-2").await);
    let held = a.start(&slow).await.unwrap();
    let recording = a.start(&other).await.unwrap();
    stage.way_to(&a, Way::Cut);
    stage.slows_down(&slow, Method::StopEgress, SLOW);
    let timed = async |id: &RecordingId| {
        let began = Instant::now();
        b.stop(id).await.unwrap();
        began.elapsed()
    };
    let second = async {
        stage.until("the first stop is read", async || stage.under_way(Method::StopEgress) > 0).await;
        timed(&recording.recording_id).await
    };
    let (slowly, meanwhile) = tokio::join!(timed(&held.recording_id), second);
    assert!(slowly >= SLOW, "{slowly:?}");
    assert!(meanwhile < SLOW / 2, "{meanwhile:?}");
    for recording in [held, recording] {
        stage.until_complete(&recording.recording_id).await;
    }
}

/// A recording was seen to run, and is over and deleted when the letter that says so is read.
#[tokio::test(start_paused = true)]
async fn a_letter_that_lay_for_long_brings_nothing_back() {
    let stage = Stage::set().await;
    let (a, _b) = stage.pair().await;
    let room = stage.room("room-1").await;
    let recording = a.start(&room).await.unwrap();
    let id = recording.recording_id;
    let info = stage.livekit.egress(&id.egress).await.unwrap().unwrap();
    a.stop(&id).await.unwrap();
    stage.until_complete(&id).await;
    for source in [Source::Call, Source::Recorder, Source::Webhook] {
        for document in [None, Some(RecordingStatus::Active), Some(RecordingStatus::Failed)] {
            let (info, room_name) = (info.clone(), room.room_name.clone());
            let seen = Happening::EgressSeen(Sighting { info, source, room_name, document });
            let letter = Letter::write(&room.room_id, &seen, Timestamp(0)).unwrap().to_text();
            stage.put_letter(&a, &room, format!("{source:?} {document:?}"), &letter).await;
        }
    }
    a.orchestrator.delete(&id).await.unwrap();
    stage.until("the letters are read", async || stage.letters().await == 0).await;
    sleep(Duration::from_mins(2)).await;
    assert_eq!(stage.status(&id).await, None);
    assert_eq!(stage.owner(&room).await, None, "nothing holds the room");
    a.start(&room).await.unwrap();
}

/// Letters that nobody here can read stay, and hide none of those behind them.
#[tokio::test(start_paused = true)]
async fn letters_that_stay_hide_nobody() {
    let stage = Stage::set().await;
    let (a, b) = stage.pair().await;
    stage.way_to(&a, Way::Cut);
    let room = stage.room("room-1").await;
    let recording = a.start(&room).await.unwrap();
    for number in 0..600 {
        stage.put_letter(&a, &room, format!("of-tomorrow-{number}"), OF_TOMORROW).await;
    }
    let began = Instant::now();
    b.stop(&recording.recording_id).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(stage.letters().await, 600);
}
