//! SIGKILL between the decision that tells an application of a recording and the delivery: every notice comes, the
//! same as before if it came already, in order, signed.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng as _;
use reelkeeper_actors::ids::RecordingId;
use tokio::time::sleep;

use crate::process::API_KEY;
use crate::receiver::{Received, Receiver, signature};
use crate::seed::chance;
use crate::stage::{Setup, Stage};
use crate::truth;
use crate::wait::until;

/// A delivery under way when the process died is tried again after this.
const TIMEOUT: &str = "1s";
/// The first pauses of the contract are 300 ms and twice as much each time.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
const ROUNDS: usize = 10;
/// From a stop until the kill: the decisions of an end, and their deliveries, fall into it.
const MOMENTS: std::ops::Range<Duration> = Duration::from_millis(0)..Duration::from_millis(250);

/// What every recording here is told by; `ending` only if LiveKit showed it while somebody looked.
const ALL: [&str; 4] = [
    "recordingStarted starting",
    "recordingUpdated active",
    "recordingUpdated ending",
    "recordingEnded complete",
];

async fn open(receiver: &Receiver) -> Stage {
    let [enabled, url] = receiver.settings();
    Stage::open(Setup::with(&[enabled, url, ("REELKEEPER_WEBHOOKS_TIMEOUT", TIMEOUT)])).await
}

/// Everything that was told of a recording, once its end was taken.
async fn told(receiver: &Receiver, recording: &RecordingId) -> Vec<Received> {
    until(&format!("the end of '{recording}' is told"), TOLD_WITHIN, async || {
        let about = receiver.about(&recording.to_string());
        let ended = about.iter().any(|told| told.word() == ALL[3] && told.answered == 200);
        if ended { Ok(about) } else { Err(format!("{:?}", words(&about))) }
    })
    .await
}

fn words(told: &[Received]) -> Vec<String> {
    told.iter().map(|told| format!("{} {}", told.word(), told.answered)).collect()
}

/// Each notice is signed, comes again only as it was, and after those before it were taken.
fn are_in_order(told: &[Received]) {
    let mut first: BTreeMap<&str, &Received> = BTreeMap::new();
    let mut taken: Vec<&str> = Vec::new();
    for notice in told {
        assert_eq!(notice.signature, signature(API_KEY, &notice.timestamp, &notice.text));
        let same = first.entry(&notice.id).or_insert(notice);
        assert_eq!((&same.text, &same.timestamp), (&notice.text, &notice.timestamp), "it came otherwise");
        let place = ALL.iter().position(|word| *word == notice.word()).expect("a word of a recording");
        let before = ALL[..place].iter().filter(|word| **word != ALL[2]);
        assert!(before.clone().all(|word| taken.contains(word)), "overtaken: {:?}", words(told));
        if notice.answered == 200 {
            taken.push(ALL[place]);
        }
    }
    assert!([ALL[0], ALL[1], ALL[3]].iter().all(|word| taken.contains(word)), "{:?}", words(told));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_took_before_a_kill_is_told_after_it() {
    // Hangs, so that nothing after the first notice has ever been sent when the process dies.
    let receiver = Receiver::run(&[0]).await;
    let mut stage = open(&receiver).await;
    let room = stage.room("told later").await;
    let recording = stage.started(&room).await;
    stage.stopped(&recording).await;
    stage.shows(&recording, &["active", "ending"], "complete", Duration::from_secs(10)).await;
    until("the first notice has come", TOLD_WITHIN, async || {
        if receiver.all().is_empty() { Err("nothing came".to_owned()) } else { Ok(()) }
    })
    .await;
    stage.kill().await;
    stage.run().await;
    let told = told(&receiver, &recording).await;
    assert!(told.len() >= 5, "the first one came twice: {:?}", words(&told));
    are_in_order(&told);
    truth::holds(&stage, &[room]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_of_an_end_lose_no_notice() {
    let mut chance = chance("kills while notices are sent");
    let receiver = Receiver::run(&[]).await;
    let mut stage = open(&receiver).await;
    let room = stage.room("told often").await;
    for _ in 0..ROUNDS {
        let recording = stage.started_within(Duration::from_secs(10), &room).await;
        stage.stopped(&recording).await;
        sleep(chance.random_range(MOMENTS)).await;
        stage.kill().await;
        stage.run().await;
        are_in_order(&told(&receiver, &recording).await);
    }
    truth::holds(&stage, &[room]).await;
}
