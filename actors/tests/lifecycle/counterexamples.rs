//! The counterexamples that a model once found to earlier rules (R) and the holes that it does not show (H),
//! each told as a story whose end is asserted. The table at the end names those told elsewhere or not here.

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus::{Aborted, Active, Complete, Starting};
use reelkeeper_actors::recording::event::Source;
use reelkeeper_actors::recording::ledger::{Cause, Owed, Phase};

use crate::story::{
    Story, found, looked_into_room, seen, start, start_until, started, stop, stopped, webhook,
};

const STARTING: Option<RecordingStatus> = Some(RecordingStatus::Starting);
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

#[test]
fn h4_an_old_process_s_start_is_looked_at_before_it_is_given_up_by_a_run_that_was_away() {
    let mut story = Story::new();
    story
        .then(0, seen("u7", Starting, STARTING, Source::Call))
        .crash(60_000)
        .then(60_010, found("u7", Active));
    assert!(!told(&story, "STOP"), "{}", story.tell());
    assert_eq!(story.state.durable.phase, Phase::Active);
}

#[test]
fn h8_a_webhook_that_was_read_before_the_end_was_shown_shows_it_no_second_time() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[])).then(10, started("u1", Starting));
    story.store_works = false;
    story.then(20, webhook("u1", Aborted, STARTING)).then(21, webhook("u1", Aborted, STARTING));
    let shown =
        story.state.durable.pending.iter().filter(|p| matches!(p.effect, Owed::Project { .. })).count();
    assert_eq!(shown, 1, "{}", story.tell());
}
