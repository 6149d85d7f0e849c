//! Measures one process against the simulated LiveKit and prints; asserts nothing about time.
//!
//! `cargo bench --bench figures`: time from exec until it listens, idle memory, and what a start costs beside
//! LiveKit's own time, which is set to nothing here.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are for people")]

use std::time::{Duration, Instant};

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::clock::Timing;

#[allow(dead_code, reason = "the harness of the process tests, of which this needs a part")]
#[path = "../processes/api.rs"]
mod api;
#[path = "../processes/line.rs"]
#[allow(dead_code, reason = "as above")]
mod line;
#[path = "../processes/livekit.rs"]
#[allow(dead_code, reason = "as above")]
mod livekit;
#[path = "../processes/process.rs"]
#[allow(dead_code, reason = "as above")]
mod process;
#[path = "../processes/stage.rs"]
#[allow(dead_code, reason = "as above")]
mod stage;
#[path = "../processes/wait.rs"]
#[allow(dead_code, reason = "as above")]
mod wait;

use self::livekit::quick;
use self::stage::{Setup, Stage};

const RUNS: usize = 10;
const STARTS: usize = 20;

#[tokio::main]
async fn main() {
    let mut stage = Stage::open(Setup { timing: at_once(), ..Setup::default() }).await;
    let mut listening = Vec::new();
    for _ in 0..RUNS {
        stage.kill().await;
        let begun = Instant::now();
        stage.run().await;
        listening.push(begun.elapsed());
    }
    println!("exec until it listens, median of {RUNS}: {:.1} ms", median_ms(listening));

    let rooms = rooms(&stage).await;
    println!("memory before the first recording: {:.1} MB", resident_mb(&stage));
    let mut starts = Vec::new();
    for room in &rooms {
        let begun = Instant::now();
        let recording = stage.started(room).await;
        starts.push(begun.elapsed());
        stage.stopped(&recording).await;
    }
    println!("memory after {STARTS} recordings: {:.1} MB", resident_mb(&stage));
    println!("a start, median of {STARTS}: {:.1} ms", median_ms(starts));
}

/// LiveKit takes no time of its own.
fn at_once() -> Timing {
    let nothing = Duration::ZERO;
    Timing { accept: nothing, join: nothing, activate: nothing, webhook: nothing, ..quick() }
}

async fn rooms(stage: &Stage) -> Vec<RoomId> {
    let mut rooms = Vec::new();
    for number in 0..STARTS {
        rooms.push(stage.room(&format!("figures {number}")).await);
    }
    rooms
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// What the kernel says the process has in memory.
fn resident_mb(stage: &Stage) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.process().id()));
    let status = status.expect("Linux tells about processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has some");
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes / 1024.0
}
