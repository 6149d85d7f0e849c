//! How a set of nodes, starts and faults is explored, and how it is told.

use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use super::reach;
use super::sets::Set;
use super::story::Story;

/// How far a set is explored at most, in states with their repetitions.
const BOUND: usize = 150_000_000;
/// Sets with fewer states are explored a second time with their edges.
const SMALL: usize = 150_000;

/// Whether it is seen that a quiet state can be reached from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// Of every set.
    Sought,
    /// Of those that are not too large for it.
    SoughtInSmall,
}

/// Explores each set, says how many states it has, and fails with what was broken and the shortest way there.
pub fn all_hold(sets: Vec<Set>, quiet: Quiet) {
    let broken: Vec<String> = sets.into_iter().flat_map(|set| explore(set, quiet)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[allow(clippy::print_stdout, reason = "how much was explored is said where the test runs")]
fn explore(set: Set, quiet: Quiet) -> Vec<String> {
    let Set { name, story, least } = set;
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let finish_when = HasDiscoveries::AnyFailures;
    let checker = story.checker().threads(threads).target_state_count(BOUND).finish_when(finish_when);
    let checker = checker.spawn_bfs().join();
    let (states, all) = (checker.unique_state_count(), checker.state_count());
    let story = checker.model();
    let mut broken = Vec::new();
    for property in story.properties() {
        let found = checker.discovery(property.name);
        let is_needed = matches!(property.expectation, Expectation::Sometimes);
        match found {
            Some(path) if !is_needed => {
                broken.push(format!("{name}, \"{}\":\n{}", property.name, told(&path.into_actions())));
            }
            None if is_needed => broken.push(format!("{name}: never \"{}\"", property.name)),
            _ => {}
        }
    }
    if states < least {
        broken.push(format!("{name}: only {states} states, the model has lost something"));
    }
    let extent = match (broken.is_empty(), all < BOUND) {
        (false, _) => "given up",
        (true, true) => "exhaustive",
        (true, false) => "bounded",
    };
    let reaches = if broken.is_empty() { find_quiet(story, states, &mut broken) } else { String::new() };
    if broken.is_empty() && reaches.is_empty() && quiet == Quiet::Sought {
        broken.push(format!("{name}: too many states to see whether a quiet one can be reached"));
    }
    let (seconds, depth) = (begun.elapsed().as_secs_f64(), checker.max_depth());
    let decisions = story.rooms.decisions();
    println!(
        "{name}: {states} states ({all} with repetitions), {extent}, {depth} steps deep, {decisions} decisions, \
         {seconds:.1} s{reaches}"
    );
    broken
}

fn find_quiet(story: &Story, states: usize, broken: &mut Vec<String>) -> String {
    if states > SMALL {
        return String::new();
    }
    let Some(reach) = reach::explore(story, SMALL) else { return String::new() };
    if let Some(way) = &reach.stuck {
        broken.push(format!("no quiet state can be reached after\n{}", told(way)));
    }
    if reach.states != states {
        broken.push(format!("explored twice, and {} states differ from {states}", reach.states));
    }
    format!("; {} quiet ones, one in reach of each", reach.quiet)
}

/// The first property that breaks, with the shortest way there; none if nothing breaks.
pub fn first_broken(story: Story) -> Option<(&'static str, String)> {
    let finish_when = HasDiscoveries::AnyFailures;
    let checker = story.checker().target_state_count(BOUND).finish_when(finish_when).spawn_bfs().join();
    let properties = checker.model().properties().into_iter();
    let mut must_hold = properties.filter(|property| matches!(property.expectation, Expectation::Always));
    must_hold.find_map(|property| {
        let path = checker.discovery(property.name)?;
        Some((property.name, told(&path.into_actions())))
    })
}

fn told<T: std::fmt::Debug>(steps: &[T]) -> String {
    steps.iter().map(|step| format!("  {step:?}")).collect::<Vec<_>>().join("\n")
}
