//! Takes the rules of the lifecycle away, one after the other, to see that the promises need them.
//!
//! Each has a history that breaks a promise without it. A rule that no history needs stands in the second
//! table, with what covers it; where another rule does, a history is told that breaks without both.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use reelkeeper_actors::recording::rules::Rule;

use crate::plan::Plan;
use crate::play;

/// How many other histories are tried when the known one does not notice.
const TRIED: u64 = 400;

/// The seed of a history that breaks a promise without the rule.
const NEEDED: [(Rule, u64); 0] = [];

/// What makes a rule look needless here.
enum Cover {
    /// Other rules, at least one of which would have to go too: the seed of a history that breaks then.
    Rules(&'static [Rule], u64),
    /// Nothing that can happen to one node.
    OneNode(&'static str),
}

const COVERED: [(Rule, Cover); 0] = [];

/// The first promise that a history breaks without some rules.
fn broken_without(without: &[Rule], seed: u64) -> Option<String> {
    let plan = Plan { without: without.to_vec(), ..Plan::of(seed) };
    match catch_unwind(AssertUnwindSafe(|| play(&plan, false))) {
        Ok(outcome) => outcome.broken.first().map(|broken| broken.promise.to_owned()),
        Err(_) => Some("no history falls".to_owned()),
    }
}

fn seed_that_breaks(without: &[Rule], known: Option<u64>) -> Option<(u64, String)> {
    let tried = std::env::var("REELKEEPER_TRIED").ok().and_then(|t| t.parse().ok()).unwrap_or(TRIED);
    known.into_iter().chain(1..=tried).find_map(|seed| Some((seed, broken_without(without, seed)?)))
}

#[test]
fn every_rule_is_needed_or_covered() {
    let mut told = String::new();
    let mut missing = Vec::new();
    for rule in Rule::ALL {
        let known = NEEDED.iter().find(|(of, _)| *of == rule).map(|(_, seed)| *seed);
        match seed_that_breaks(&[rule], known) {
            Some((seed, promise)) => {
                let _ = writeln!(told, "{rule:?}: \"{promise}\", seed {seed}");
            }
            None => missing.push(rule),
        }
    }
    println!("{told}");
    assert!(missing.is_empty(), "{told}\nnobody notices: {missing:?}");
}
