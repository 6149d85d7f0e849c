//! Runs.
use std::time::Instant;

use stateright::{Checker, Model};

use super::story::Story;
use super::world::Budget;

#[test]
fn first() {
    let story = Story::new(2, 1, Budget { crashes: 1, steals: 1, ..Budget::default() });
    let begun = Instant::now();
    let checker = story.checker().threads(2).spawn_bfs().join();
    println!("{} states, depth {}, {:?} {:?}", checker.unique_state_count(), checker.max_depth(), begun.elapsed(), checker.model().rooms.counts());
    for (name, path) in checker.discoveries() {
        println!("== {name}: {:#?}", path.into_actions());
    }
}
