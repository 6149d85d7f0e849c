//! Starts and stops, so many rooms at once, beside a LiveKit that takes no time.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::api::{Api, Simulator};
use crate::measure::Measured;
use crate::processes::Stage;

/// How many rooms at once, how often, and the budgets of start and stop.
const CROWDS: [(usize, usize, &str); 4] = [
    (1, 64, "10 ms, 1.5 ms CPU"),
    (16, 8, "1.5 ms CPU"),
    (64, 4, "100 ms, 1.5 ms CPU"),
    (256, 2, "1.5 ms CPU"),
];
/// From a stop until the document shows the end.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures starts and stops.
pub async fn measure(stage: &Stage) -> Result<(), Failure> {
    let Some(simulator) = &stage.simulator else { return Ok(()) };
    let most = CROWDS.iter().map(|crowd| crowd.0).max().unwrap_or_default();
    let rooms = rooms(&stage.api, simulator, most).await?;
    for (at_once, times, budget) in CROWDS {
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
        starts.line("start", at_once, budget).print();
        stops.line("stop", at_once, "").print();
        if stage.backed.is_some() {
            println!(
                "| commands to Redis during {} starts | {at_once} | {redis} | | | | | 6 each | |",
                at_once * times
            );
        }
    }
    Ok(())
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
async fn ended(api: &Api, recording: &str) -> Result<(), Failure> {
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
