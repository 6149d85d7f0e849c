//! The counterexamples that a model once found to earlier rules (R) and the holes that it does not show (H),
//! each told as a story whose end is asserted. The table at the end names those told elsewhere or not here.

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus::{Active, Complete};
use reelkeeper_actors::recording::event::Source;
use reelkeeper_actors::recording::ledger::{Cause, Phase};

use crate::story::{Story, looked_into_room, seen, start, start_until, started, stop, stopped};

const ACTIVE: Option<RecordingStatus> = Some(RecordingStatus::Active);

fn told(story: &Story, words: &str) -> bool {
    story.told.iter().any(|line| line.contains(words))
}

#[test]
fn h4_a_start_makes_way_for_what_an_old_process_still_records() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[])).then(10, started("u1", Active));
    story.then(2_000, seen("u7", Active, ACTIVE, Source::Call));
    assert_eq!(story.state.durable.unsettled[0].cause, Cause::Held);
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE)).then(3_010, stopped("u1", Complete));
    story.then(4_000, start_until("second", 24_000)).then(4_010, looked_into_room("u2", &[("u7", Active)]));
    assert!(told(&story, "ANSWER second refused: the room is already being recorded"), "{}", story.tell());
    assert!(!told(&story, "START u2") && !told(&story, "STOP EG_7"), "{}", story.tell());
    let held = story.state.durable.current.as_ref().expect("the old process's recording holds the room");
    assert_eq!((held.track.uid.as_str(), story.state.durable.phase), ("u7", Phase::Active));
}
