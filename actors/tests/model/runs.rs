//! The sets that are explored, and how each is told.

use std::time::Instant;

use stateright::{Checker, Model};

use super::story::Story;
use super::world::Budget;

/// No set of a test run explores more, none of the large ones a hundred times as many.
const MOST: usize = 1_500_000;

/// A set of nodes, starts and faults.
struct Set {
    name: &'static str,
    story: Story,
    /// Fewer states than this mean that the model lost something.
    least: usize,
}

/// Explores a set, says how many states it has, and returns what was broken, with the shortest way there.
fn explore(set: Set, most: usize) -> Vec<String> {
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = set.story.checker().threads(threads).target_state_count(most * 20).spawn_bfs().join();
    let (states, seconds) = (checker.unique_state_count(), begun.elapsed().as_secs_f64());
    let extent = if checker.state_count() < most * 20 { "exhaustive" } else { "bounded" };
    let (actors, rows, decisions) = checker.model().rooms.counts();
    println!(
        "{}: {states} states, {extent}, depth {}, {seconds:.1} s; {actors} states of actors, {rows} rows, {decisions} decisions",
        set.name,
        checker.max_depth(),
    );
    let mut broken = Vec::new();
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        let is_needed = property.expectation == stateright::Expectation::Sometimes;
        match found {
            Some(path) if !is_needed => {
                let steps: Vec<String> =
                    path.into_actions().iter().map(|step| format!("  {step:?}")).collect();
                broken.push(format!("{}, {}:\n{}", set.name, property.name, steps.join("\n")));
            }
            None if is_needed => broken.push(format!("{}: never {}", set.name, property.name)),
            _ => {}
        }
    }
    if states < set.least {
        broken.push(format!("{}: only {states} states", set.name));
    }
    broken
}

fn all_hold(sets: Vec<Set>, most: usize) {
    let broken: Vec<String> = sets.into_iter().flat_map(|set| explore(set, most)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn small() -> Vec<Set> {
    let none = Budget::default();
    let set = |name, story, least| Set { name, story, least };
    vec![
        set("1 node, 1 start", Story::new(1, 1, none), 100),
        set("1 node, 1 start, slow store", Story::new(1, 1, none).with_slow_store(), 500),
        set("2 nodes, 1 start, crash", Story::new(2, 1, Budget { crashes: 1, ..none }), 500),
        set("2 nodes, 1 start, steal", Story::new(2, 1, Budget { steals: 1, ..none }), 10_000),
        set("1 node, 2 starts", Story::new(1, 2, none), 30_000),
    ]
}

#[test]
fn small_sets_keep_every_promise() {
    all_hold(small(), MOST);
}
