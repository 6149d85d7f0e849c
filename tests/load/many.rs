//! What a node's memory is with many rooms, while they are recorded and afterwards.

use std::time::Duration;

use tokio::time::sleep;

use crate::Failure;
use crate::measure::Measured;
use crate::processes::Stage;
use crate::starts::rooms;
use crate::table::Budget;

/// How many rooms are recorded, one after the other on top of each other.
const STEPS: [usize; 4] = [1_000, 5_000, 10_000, 20_000];
/// Rooms of one round: it ends within its time.
const ROUND: usize = 2_500;
const AT_ONCE: usize = 64;
/// Until a room's actor that has nothing to do has left.
const IDLE: Duration = Duration::from_secs(90);

/// What makes looks rare: a thousand a second would be measured too.
pub const SETTINGS: [(&str, &str); 1] = [("REELKEEPER_RECONCILE_INTERVAL", "30m")];

/// Measures it.
pub async fn measure(stage: &Stage) -> Result<(), Failure> {
    let Some(simulator) = &stage.simulator else { return Ok(()) };
    let mut recordings = Vec::new();
    let before = stage.watched.memory_kb();
    for step in STEPS {
        let mut measured = Measured::of(stage.watched);
        while recordings.len() < step {
            let rooms = rooms(&stage.api, simulator, (step - recordings.len()).min(ROUND)).await?;
            let api = stage.api.clone();
            let start = move |room: String| {
                let api = api.clone();
                async move { api.start(&room).await }
            };
            recordings.extend(measured.round(AT_ONCE, rooms, start).await);
        }
        measured.line(&format!("start, until {step} rooms are recorded"), AT_ONCE, Budget::NONE).print();
        print_each(stage, "recorded", recordings.len(), before);
    }
    let mut measured = Measured::of(stage.watched);
    for some in recordings.chunks(ROUND) {
        let api = stage.api.clone();
        let stop = move |recording: String| {
            let api = api.clone();
            async move { api.stop(&recording).await }
        };
        measured.round(AT_ONCE, some.to_vec(), stop).await;
    }
    measured.line("stop of all of them", AT_ONCE, Budget::NONE).print();
    sleep(IDLE).await;
    print_each(stage, "idle", recordings.len(), before);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "neither is that many")]
fn print_each(stage: &Stage, how: &str, rooms: usize, before: Option<u64>) {
    let Some((now, before)) = stage.watched.memory_kb().zip(before) else { return };
    let each = now.saturating_sub(before) as f64 / rooms as f64;
    println!("| memory, {rooms} rooms {how} | | | | | | | | | {} MB: {each:.1} kB a room |", now / 1024);
}
