//! Stories: what happens to a room, told as data, and what is decided.

use reelkeeper_actors::ids::Uid;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus::{
    Aborted, Active, Complete, Ending, Failed, Starting,
};
use reelkeeper_actors::recording::egress::{CallError, LeaveReason};
use reelkeeper_actors::recording::event::Happening;

use crate::story::{
    DEADLINE, Story, delete, delete_by_force, file, found, gone, looked_into_room, lost, recorder_left,
    start, start_failed, start_until, started, stop, stop_failed, stopped, twirp, webhook,
};

const STARTING: Option<RecordingStatus> = Some(RecordingStatus::Starting);
const ACTIVE: Option<RecordingStatus> = Some(RecordingStatus::Active);
const COMPLETE: Option<RecordingStatus> = Some(RecordingStatus::Complete);

fn recording() -> Story {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(500, webhook("u1", Active, STARTING));
    story
}

#[test]
fn a_recording_from_start_to_file() {
    let mut story = recording();
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE)).then(3_010, stopped("u1", Ending));
    story.then(3_020, recorder_left("u1", LeaveReason::Clean)).then(4_000, webhook("u1", Complete, ACTIVE));
    story.then(4_000, Happening::Tick).then(4_010, file("u1", Some(1000)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_start_makes_way_for_a_node_of_meets_that_was_faster() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, Happening::RoomLocked { uid: Uid::from_trusted("u1") });
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled(), "nothing was sent, so nothing is left");
}

#[test]
fn the_end_overtakes_the_answer_to_the_stop() {
    let mut story = recording();
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE)).then(3_005, webhook("u1", Ending, ACTIVE));
    story.then(3_007, webhook("u1", Complete, ACTIVE)).then(3_010, stopped("u1", Ending));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_start_that_nobody_takes_is_tried_under_fresh_uids_until_its_deadline() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, start_failed("u1", twirp("resource_exhausted", "not enough CPU")));
    story.then(510, Happening::Tick).then(515, looked_into_room("u2", &[]));
    story.then(520, start_failed("u2", CallError::NotSent("connection refused".to_owned())));
    story.then(DEADLINE, Happening::Tick);
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_start_that_livekit_will_never_take_fails_at_once() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, start_failed("u1", twirp("not_found", "requested room does not exist")));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_lost_answer_is_looked_for_and_found() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, start_failed("u1", lost())).then(10, Happening::Tick).then(20, gone("u1"));
    story.then(1_020, Happening::Tick).then(1_030, found("u1", Active));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn what_starts_after_its_deadline_is_stopped_and_the_room_can_start_again_meanwhile() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[])).then(DEADLINE, Happening::Tick);
    story.then(DEADLINE + 100, start_until("second", 2 * DEADLINE));
    story.told.push("the first call comes back at last".to_owned());
    story.then(DEADLINE + 200, started("u1", Starting)).then(DEADLINE + 300, stopped("u1", Ending));
    story.then(DEADLINE + 400, webhook("u1", Aborted, Some(RecordingStatus::Failed)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn late_truth_replaces_a_failure_of_ours() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(DEADLINE, Happening::Tick);
    story.then(DEADLINE + 900, webhook("u1", Complete, Some(RecordingStatus::Failed)));
    story.then(DEADLINE + 900, Happening::Tick).then(DEADLINE + 910, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_after_the_intent_never_sends_it_again() {
    let mut story = Story::new();
    story.then(0, start("start")).crash(50).then(60, gone("u1"));
    story.then(1_060, Happening::Tick).then(1_070, gone("u1")).then(DEADLINE, Happening::Tick);
    insta::assert_snapshot!(story.tell());
    assert!(!story.tell().contains("START"));
}

#[test]
fn a_crash_after_the_call_adopts_what_runs() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[])).crash(50);
    story.then(60, found("u1", Active));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_with_effects_pending_carries_them_out_again() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.store_works = false;
    story.then(10, started("u1", Active));
    story.store_works = true;
    story.crash(50);
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_while_starting_is_remembered() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(20, stop("stop", "u1", 20, STARTING));
    story.then(30, stop_failed("u1", lost())).then(1_030, Happening::Tick);
    story.then(1_040, stopped("u1", Aborted));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_without_an_answer_stays_owed() {
    let mut story = recording();
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE)).then(8_000, stop_failed("u1", lost()));
    story.then(8_000, Happening::Tick).then(8_001, found("u1", Active)).then(13_000, Happening::Tick);
    story.then(33_000, Happening::Tick);
    story.told.push("the room can start again".to_owned());
    story.then(33_001, start_until("second", 60_000));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_that_races_the_natural_end_is_told_so() {
    let mut story = recording();
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE));
    story.then(6_000, stop_failed("u1", twirp("failed_precondition", "cannot be stopped")));
    story.then(6_000, Happening::Tick).then(6_010, found("u1", Complete));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_recording_that_livekit_forgot_is_given_up_after_two_looks_and_the_file() {
    let mut story = recording();
    story.then(15_500, Happening::Tick).then(15_510, gone("u1"));
    story.then(20_510, Happening::Tick).then(20_520, gone("u1"));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn another_nodes_recording_is_adopted() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[("u7", Active)]));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_failure_while_starting_is_told_at_once() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(700, webhook("u1", Failed, STARTING));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_deleted_recording_stays_deleted_and_its_late_file_goes() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(DEADLINE, Happening::Tick);
    story.then(21_000, delete("delete", "u1", 21_000, Some(RecordingStatus::Failed)));
    story.then(22_000, webhook("u1", Complete, None)).then(22_000, Happening::Tick);
    story.then(22_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_missing_file_is_said_in_the_document() {
    let mut story = recording();
    story.then(3_000, webhook("u1", Complete, ACTIVE)).then(3_000, Happening::Tick);
    story.then(3_010, file("u1", None)).then(7_000, Happening::Tick).then(8_010, file("u1", None));
    story.told.push("the file turns up".to_owned());
    story.then(40_000, Happening::Tick).then(40_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn deletes_that_come_together_are_all_answered() {
    let mut story = Story::new();
    story.store_works = false;
    story.then(0, delete("first", "u1", 0, COMPLETE)).then(1, delete("second", "u1", 1, COMPLETE));
    story.then(2, Happening::EffectDone { number: 1 });
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn what_records_is_aborted_when_it_goes_with_its_room_and_its_late_file_goes_too() {
    let mut story = recording();
    story.then(3_000, delete_by_force("delete", "u1", 3_000, ACTIVE));
    story.then(3_010, stopped("u1", Ending)).then(5_000, webhook("u1", Complete, None));
    story.then(5_000, Happening::Tick).then(5_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn the_end_after_a_stop_is_looked_for_at_once() {
    let mut story = recording();
    story.then(3_000, stop("stop", "u1", 3_000, ACTIVE)).then(3_010, stopped("u1", Ending));
    story.then(4_010, Happening::Tick).then(4_020, found("u1", Complete));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_start_whose_deadline_has_passed_holds_the_room_no_longer() {
    let mut story = Story::new();
    story.then(0, start("first")).then(5, looked_into_room("u1", &[]));
    story.then(DEADLINE, start_until("second", 2 * DEADLINE));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_delete_goes_on_after_a_crash() {
    let mut story = Story::new();
    story.store_works = false;
    story.then(0, delete("delete", "u1", 0, COMPLETE));
    story.store_works = true;
    story.crash(50);
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}
