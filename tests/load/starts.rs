//! Starts and stops, so many rooms at once, beside a LiveKit that takes no time.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::api::{Api, Simulator};
use crate::measure::Measured;
use crate::processes::Stage;
use crate::table::{self, Budget};

/// How many rooms at once, and how often.
const CROWDS: [(usize, usize); 4] = [(1, 64), (16, 8), (64, 4), (256, 2)];
/// Of a start, in ms: processor time on embedded backends and on real ones.
const PROCESSOR_MS: [f64; 2] = [1.5, 2.0];
/// Of a start on embedded backends, in ms: half of the answers, by how many at once.
const ANSWER_MS: [(usize, f64); 2] = [(1, 10.0), (64, 100.0)];
/// Of a start on real backends: commands to Redis.
const COMMANDS: f64 = 6.0;
/// Memory at most, in MB.
const MEMORY_MB: u64 = 60;
/// From a stop until the document shows the end.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures starts and stops.
pub async fn measure(stage: &Stage) -> Result<(), Failure> {
    let Some(simulator) = &stage.simulator else { return Ok(()) };
    let most = CROWDS.iter().map(|crowd| crowd.0).max().unwrap_or_default();
    let rooms = rooms(&stage.api, simulator, most).await?;
    for (at_once, times) in CROWDS {
        let mut redis = 0;
        let (mut starts, mut stops) = (Measured::of(stage.watched), Measured::of(stage.watched));
        for _ in 0..times {
            let api = stage.api.clone();
            let start = move |room: String| {
                let api = api.clone();
                async move { api.start(&room).await }
            };
            let sent = commands(stage).await?;
            let recordings = starts.round(at_once, rooms[..at_once].to_vec(), start).await;
            redis += commands(stage).await?.saturating_sub(sent);
            let api = stage.api.clone();
            let stop = move |recording: String| {
                let api = api.clone();
                async move { api.stop(&recording).await.map(|()| recording) }
            };
            for recording in stops.round(at_once, recordings, stop).await {
                ended(&stage.api, &recording).await?;
            }
        }
        starts.line("start", at_once, budget(stage, at_once)).print();
        stops.line("stop", at_once, Budget::NONE).print();
        if stage.backed.is_some() {
            print_commands(at_once, at_once * times, redis);
        }
    }
    Ok(())
}

fn budget(stage: &Stage, at_once: usize) -> Budget {
    let memory_mb = Some(MEMORY_MB);
    let [embedded, backed] = PROCESSOR_MS;
    if stage.backed.is_some() {
        return Budget { memory_mb, ..Budget::processor(backed) };
    }
    let answer_ms = ANSWER_MS.iter().find(|(crowd, _)| *crowd == at_once).map(|(_, most)| *most);
    Budget { answer_ms, memory_mb, ..Budget::processor(embedded) }
}

#[allow(clippy::cast_precision_loss, reason = "neither is that many")]
fn print_commands(at_once: usize, starts: usize, sent: u64) {
    let each = sent as f64 / starts as f64;
    let verdict = table::verdict(&format!("{COMMANDS} each"), each <= COMMANDS);
    println!(
        "| scripts and messages to Redis for a start | {at_once} | {starts} | | | | {each:.1} each | {verdict} | |"
    );
}

/// Commands that Redis was sent so far, if there is one.
async fn commands(stage: &Stage) -> Result<u64, Failure> {
    match &stage.backed {
        Some(backed) => backed.redis_commands().await,
        None => Ok(0),
    }
}

/// Makes rooms with people in them.
pub async fn rooms(api: &Api, simulator: &Simulator, count: usize) -> Result<Vec<String>, Failure> {
    let mut rooms = Vec::new();
    for number in 0..count {
        let room = api.make_room(&format!("load {number}")).await?;
        simulator.add_room(&room).await?;
        rooms.push(room);
    }
    Ok(rooms)
}

/// Waits until a recording is over, so that its room is free.
pub async fn ended(api: &Api, recording: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + ENDED_WITHIN;
    loop {
        let shown: Value = api.get(&format!("recordings/{recording}")).await?;
        if shown["status"] == "complete" {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("'{recording}' has not ended: {shown}").into());
        }
        sleep(PAUSE).await;
    }
}
