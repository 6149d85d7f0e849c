//! The core ring's simulation: the production room actors, front door and supervisor over the simulated
//! LiveKit, on a paused clock.
//!
//! Histories are drawn from seeds (`draw.rs`): requests of clients; calls that are refused, slow, lost or
//! answered falsely; workers that die or lose their connection; lists that lack what is there, once or for
//! long; a LiveKit that is away, or forgets; webhooks that are lost, doubled, late, or never come; files that
//! turn up late; stores that fail; a node that dies between any two calls and comes back with another clock;
//! and recordings that an old process left behind. After each history the promises of the design are checked
//! (`promises.rs`, `answers.rs`, `documents.rs`). A history that breaks one is cut down, and becomes a story with
//! a name (`stories.rs`). Each rule of the lifecycle is taken away to see that somebody notices
//! (`mutations.rs`).
//!
//! The same is played with three to five nodes (`network.rs`, `upkeep.rs`), each of which may be frozen, cut off from the
//! others, from the stores, the leases or LiveKit, or wrongly taken for dead; and once more with requests under keys that
//! come again at other nodes, with nodes that are asked to end, all leases lost, two nodes that cannot speak to each other,
//! and faults of what keeps keys and letters.
//!
//! `REELKEEPER_SEED` = the first seed; `REELKEEPER_HISTORIES` = how many from there on, thousands more if asked.

#[path = "simulation/answers.rs"]
mod answers;
#[path = "simulation/backing.rs"]
mod backing;
#[path = "simulation/catalog.rs"]
mod catalog;
#[path = "simulation/documents.rs"]
mod documents;
#[path = "simulation/draw.rs"]
mod draw;
#[path = "simulation/keys.rs"]
mod keys;
#[path = "simulation/livekit.rs"]
mod livekit;
#[path = "simulation/mutations.rs"]
mod mutations;
#[path = "simulation/needs.rs"]
mod needs;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/original.rs"]
mod original;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/promises.rs"]
mod promises;
#[path = "simulation/stage.rs"]
mod stage;
#[path = "simulation/stories.rs"]
mod stories;
#[path = "simulation/surroundings.rs"]
mod surroundings;
#[path = "simulation/timeline.rs"]
mod timeline;
#[path = "simulation/truth.rs"]
mod truth;
#[path = "simulation/upkeep.rs"]
mod upkeep;
#[path = "simulation/webhooks.rs"]
mod webhooks;
#[path = "simulation/witness.rs"]
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::plan::Plan;
use self::promises::{Broken, Promises};
use self::stage::{Stage, Told};

/// How many histories are played unless the environment says otherwise.
const HISTORIES: u64 = 10_000;
/// The same of several nodes.
const CLUSTER_HISTORIES: u64 = 1_500;
/// Histories that are played at once.
const THREADS: usize = 2;

/// Locks for a moment. A run that dies on purpose may have unwound while it held the lock; what is behind it
/// is whole all the same.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a history.
struct Outcome {
    broken: Vec<Broken>,
    timeline: Vec<String>,
    told: Vec<Told>,
}

/// Plays a history on a paused clock of its own.
fn play(plan: &Plan, shown: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let stage = Stage::set(plan, shown).await;
        let mut promises = Promises::of(stage.clone());
        stage.play(plan).await;
        stage.calm().await;
        promises.check_quiet().await;
        promises.check_rooms().await;
        promises.check_end().await;
        let told = lock(&stage.told).clone();
        stage.ends();
        Outcome { broken: promises.broken(), timeline: stage.around.timeline.lines(), told }
    })
}

/// The smallest part of a history that still breaks the same promise.
fn cut_down(mut plan: Plan, promise: &str) -> Plan {
    let breaks = |plan: &Plan| play(plan, false).broken.iter().any(|broken| broken.promise == promise);
    let mut at = 0;
    while at < plan.steps.len() {
        let mut less = plan.clone();
        less.steps.remove(at);
        if breaks(&less) {
            (plan, at) = (less, 0);
        } else {
            at += 1;
        }
    }
    plan
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Plays the histories of some seeds on two threads. Those that break a promise, and what they break.
fn failing(seeds: Range<u64>, history: fn(u64) -> Plan) -> BTreeMap<u64, Vec<Broken>> {
    let next = Arc::new(AtomicU64::new(seeds.start));
    let threads = [(); THREADS].map(|()| {
        let (next, end) = (next.clone(), seeds.end);
        std::thread::spawn(move || {
            let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
            let played = seeds.take_while(|seed| *seed < end).map(|seed| (seed, play(&history(seed), false)));
            let failing = played.filter(|(_, outcome)| !outcome.broken.is_empty());
            failing.map(|(seed, outcome)| (seed, outcome.broken)).collect::<Vec<_>>()
        })
    });
    threads.into_iter().flat_map(|thread| thread.join().expect("a history can be played")).collect()
}

/// Tells everything about the first history that breaks each promise, and the seeds of the others.
fn tell(failing: &BTreeMap<u64, Vec<Broken>>, history: fn(u64) -> Plan) -> String {
    let mut promises = BTreeMap::<&str, Vec<u64>>::new();
    for (seed, broken) in failing {
        let broken: BTreeSet<_> = broken.iter().map(|broken| broken.promise).collect();
        for promise in broken {
            promises.entry(promise).or_default().push(*seed);
        }
    }
    let mut told = Vec::new();
    for (promise, seeds) in promises {
        told.push(format!("{promise}: {} histories, seeds {seeds:?}", seeds.len()));
        told.push(tell_one(seeds[0], history(seeds[0]), promise));
    }
    told.join("\n\n")
}

fn tell_one(seed: u64, history: Plan, promise: &str) -> String {
    let plan = cut_down(history, promise);
    let steps: Vec<_> = plan.steps.iter().map(|(at, step)| format!("    ({at}, {step:?}),")).collect();
    let story = play(&plan, true);
    let until = story.timeline.iter().position(|line| line.contains("BROKEN")).unwrap_or(0);
    format!(
        "REELKEEPER_SEED={seed} cut down to {} nodes, {} rooms, {:?}:\n{}\n{:#?}\n{}",
        plan.nodes,
        plan.rooms,
        plan.timing,
        steps.join("\n"),
        story.broken,
        story.timeline[..=until].join("\n")
    )
}

/// Plays these histories, which must keep every promise.
fn all_hold(seeds: Range<u64>, history: fn(u64) -> Plan) {
    let failing = failing(seeds, history);
    assert!(failing.is_empty(), "{} histories fail\n{}", failing.len(), tell(&failing, history));
}

/// The histories that are usually played, or those that the environment asks for.
#[allow(clippy::print_stdout, reason = "which were played is said where the test runs")]
fn usual(histories: u64) -> Range<u64> {
    let first = from_environment("REELKEEPER_SEED").unwrap_or(1);
    let histories = from_environment("REELKEEPER_HISTORIES").unwrap_or(histories);
    println!("seeds {first} to {}", first + histories - 1);
    first..first + histories
}

#[test]
fn whatever_happens_the_promises_hold() {
    all_hold(usual(HISTORIES), Plan::of);
}

#[test]
fn whatever_happens_to_several_nodes_the_promises_hold() {
    all_hold(usual(CLUSTER_HISTORIES), Plan::of_cluster);
}

#[test]
fn whatever_happens_between_nodes_the_promises_hold() {
    all_hold(usual(CLUSTER_HISTORIES), Plan::between_nodes);
}

/// Each of these broke a promise, or a check that knew too little, beyond the range that is usually played.
#[test]
fn histories_of_several_nodes_that_broke_a_promise_keep_it() {
    for seed in
        [5066, 6233, 9799, 12713, 25072, 26146, 37198, 41598, 70503, 110_851, 124_511, 139_467, 142_894]
    {
        all_hold(seed..seed + 1, Plan::of_cluster);
    }
}

/// The same of those in which requests come again at other nodes.
#[test]
fn histories_between_nodes_that_broke_a_promise_keep_it() {
    for seed in [2542, 3828, 8330, 10611, 12138, 12204, 24180, 25611] {
        all_hold(seed..seed + 1, Plan::between_nodes);
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 1..=20 {
        let (first, second) = (play(&Plan::of(seed), true), play(&Plan::of(seed), true));
        let differs = first.timeline.iter().zip(&second.timeline).position(|(a, b)| a != b);
        assert_eq!(differs.map(|at| &first.timeline[at]), differs.map(|at| &second.timeline[at]), "{seed}");
        assert_eq!(first.timeline.len(), second.timeline.len(), "seed {seed}");
    }
}
