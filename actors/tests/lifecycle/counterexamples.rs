//! The counterexamples that a model once found to earlier rules (R) and the holes that it does not show (H), as
//! far as they concern one node, each told as a story whose end is asserted.
//!
//! Told elsewhere: R13 and H21's list of all (`simulation/needs.rs`: `ListOfAll`, `history_of_wrong_lists`), H9
//! (`simulation/mutations.rs`: `RecogniseOwnCommit`), H12 (the ring of real processes, `truth.rs`), H17 (`keys.rs`), H18
//! (`tests/it/keys.rs`). Not of one node: R8, R12, H10, H11 (several nodes), H5, H6 (Redis beside old nodes), H19.

use reelkeeper_actors::embedded::MemoryStore;
use reelkeeper_actors::ids::{ClaimId, DecisionId, NodeId};
use reelkeeper_actors::ports::ledger::{Expected, Ledger as _, Written};
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::effect::{Answer, Effect, Refusal};
use reelkeeper_actors::recording::egress::EgressStatus::{Aborted, Active, Complete, LimitReached, Starting};
use reelkeeper_actors::recording::egress::LeaveReason;
use reelkeeper_actors::recording::event::{FileEvidence, Happening, Listed, Presence, Sighting, Source};
use reelkeeper_actors::recording::ledger::{Cause, Owed, Phase, RoomState, Row};
use reelkeeper_actors::recording::lifecycle::Commit;

use crate::story::{
    DEADLINE, Story, delete, file, found, gone, info, looked, looked_into_room, lost, recorder_left, room,
    runs, seen, start, start_failed, start_until, started, stop, stopped, twirp, webhook,
};

const STARTING: Option<RecordingStatus> = Some(RecordingStatus::Starting);
const ACTIVE: Option<RecordingStatus> = Some(RecordingStatus::Active);
const FAILED: Option<RecordingStatus> = Some(RecordingStatus::Failed);

/// A start whose call is under way.
fn called() -> Story {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story
}

/// A recording whose recorder was seen in the room.
fn recording() -> Story {
    let mut story = called();
    story.then(10, started("u1", Active)).then(1_010, runs("u1", Presence::Present, None));
    story
}

#[tokio::test]
async fn r1_a_row_that_was_removed_and_made_again_cannot_be_written_by_an_old_owner() {
    let store = MemoryStore::new();
    let row = |claim: &str, revision| Row {
        room: room(),
        owner: NodeId::from_trusted("node"),
        claim: ClaimId::from_trusted(claim),
        epoch: 1,
        revision,
        decision: DecisionId::from_trusted(format!("{claim}{revision}")),
        state: RoomState::default(),
    };
    let old = ClaimId::from_trusted("old");
    store.write(&row("old", 1), &Expected::Absent).await.unwrap();
    store.remove(&room(), &old, 1).await.unwrap();
    store.write(&row("new", 1), &Expected::Absent).await.unwrap();
    // Epoch and revision are the same again; the claim is not.
    let written = store.write(&row("old", 2), &Expected::At { claim: old, revision: 1 }).await.unwrap();
    assert!(matches!(written, Written::Refused(_)), "{written:?}");
}

#[test]
fn r2_a_start_that_two_lists_did_not_show_is_stopped_when_it_begins_at_last() {
    let mut story = called();
    story.then(10, start_failed("u1", lost())).then(1_010, gone("u1")).then(7_010, gone("u1"));
    story.then(DEADLINE, Happening::Tick).then(DEADLINE + 10, start_until("second", 2 * DEADLINE));
    assert!(told(&story, "start requested => starting"), "the room is free at once: {}", story.tell());
    story.then(DEADLINE + 5_000, seen("u1", Active, None, Source::Call));
    assert!(told(&story, "STOP EG_1"), "{}", story.tell());
}

#[test]
fn r3_an_intent_that_somebody_else_saved_is_looked_for_and_never_sent() {
    let mut story = called();
    story.crash(50).then(60, gone("u1")).then(7_060, gone("u1")).then(DEADLINE, Happening::Tick);
    assert_eq!(story.tell().matches("START u1").count(), 1, "{}", story.tell());
}

#[test]
fn r4_an_ordinary_end_whose_webhook_is_late_is_never_called_failed() {
    let mut story = recording();
    story.then(20_000, recorder_left("u1", LeaveReason::Clean));
    for at in [20_010, 25_020, 31_000, 60_000] {
        story.then(at, runs("u1", Presence::Absent, None));
    }
    assert!(told(&story, "show u1 ending") && !told(&story, "failed"), "{}", story.tell());
}

#[test]
fn r5_late_truth_is_seen_though_its_webhook_is_lost() {
    let mut story = recording();
    story.then(20_000, recorder_left("u1", LeaveReason::Lost));
    story.then(20_010, runs("u1", Presence::Absent, None)).then(25_020, runs("u1", Presence::Absent, None));
    assert!(told(&story, "show u1 failed"), "{}", story.tell());
    // It is still asked for by itself, and answers.
    story.then(40_000, Happening::Tick).then(40_010, found("u1", Complete));
    assert!(told(&story, "look at u1") && told(&story, "show u1 complete"), "{}", story.tell());
}

#[test]
fn r6_a_recorder_that_comes_back_after_it_was_given_up_is_stopped() {
    let mut story = recording();
    story.then(20_000, recorder_left("u1", LeaveReason::Lost));
    story.then(20_010, runs("u1", Presence::Absent, None)).then(25_020, runs("u1", Presence::Absent, None));
    story.then(25_030, start_until("second", 45_000)).then(30_000, runs("u1", Presence::Present, None));
    assert!(told(&story, "STOP EG_1"), "{}", story.tell());
}

#[test]
fn r7_a_503_is_said_only_by_the_commit_that_says_unwanted() {
    let mut story = called();
    let decision = story.decide(DEADLINE, Happening::Tick);
    let says_503 = |effect: &Effect| {
        matches!(effect, Effect::Answer { answer: Answer::Refused(Refusal::TimedOutStarting), .. })
    };
    assert!(decision.effects.iter().any(says_503));
    assert_eq!(decision.commit, Commit::Before, "nothing is said before it is stored");
    assert_eq!(decision.state.durable.unsettled[0].cause, Cause::TimedOut);
}

#[test]
fn r9_what_a_dead_process_began_is_looked_for_without_any_request() {
    let mut story = called();
    story.crash(DEADLINE + 1_000).then(DEADLINE + 1_010, found("u1", Active));
    assert!(told(&story, "taken up =>") && told(&story, "STOP EG_1"), "{}", story.tell());
}

#[test]
fn r10_a_refusal_that_was_none_is_stopped_when_it_shows() {
    let mut story = called();
    story.then(10, start_failed("u1", twirp("unavailable", "no response from servers")));
    story.then(510, Happening::Tick).then(520, looked_into_room("u2", &[])).then(530, started("u2", Active));
    story.then(900, webhook("u1", Active, None)).then(910, seen("u1", Active, None, Source::Call));
    assert!(told(&story, "STOP EG_1") && !told(&story, "STOP EG_2"), "{}", story.tell());
}

#[test]
fn r11_a_projection_that_comes_again_brings_no_deleted_document_back() {
    let mut story = called();
    story.then(10, started("u1", Starting)).then(DEADLINE, Happening::Tick);
    story.store_works = false;
    story.then(DEADLINE + 10, delete("delete", "u1", DEADLINE + 10, FAILED));
    story.store_works = true;
    story.crash(DEADLINE + 20).then(DEADLINE + 30, webhook("u1", Complete, None));
    let after = story.told.iter().skip_while(|line| !line.contains("crash"));
    let shown: Vec<_> = after.filter(|line| line.contains("show u1") || line.contains("insert u1")).collect();
    assert!(shown.is_empty(), "{}", story.tell());
}

#[test]
fn h1_a_201_goes_out_after_the_document_shows_it() {
    let mut story = called();
    story.store_works = false;
    story.then(10, started("u1", Active));
    assert!(!told(&story, "ANSWER"), "{}", story.tell());
    story.then(20, Happening::EffectDone { number: 1 });
    assert!(told(&story, "ANSWER start active"), "{}", story.tell());
}

#[test]
fn h2_a_repeated_projection_shows_the_same_secrets() {
    let secrets = |story: &Story| {
        let owed = story.state.durable.pending.iter().find_map(|pending| match &pending.effect {
            Owed::Project { secrets, .. } => secrets.clone(),
            _ => None,
        });
        owed.expect("the document is owed")
    };
    let mut story = called();
    story.store_works = false;
    story.then(10, started("u1", Active));
    let first = secrets(&story);
    story.crash(50);
    assert_eq!(secrets(&story), first);
}

#[test]
fn h3_the_file_of_what_was_deleted_goes_when_it_comes() {
    let mut story = called();
    story.then(10, started("u1", Starting)).then(DEADLINE, Happening::Tick);
    story.then(21_000, delete("delete", "u1", 21_000, FAILED)).then(22_000, webhook("u1", Complete, None));
    story.then(22_000, Happening::Tick).then(22_010, file("u1", Some(9)));
    assert_eq!(story.tell().matches("remove u1").count(), 2, "{}", story.tell());
    assert!(story.state.durable.is_settled(), "{}", story.tell());
}

#[test]
fn h7_what_other_applications_record_is_neither_counted_nor_stopped() {
    let foreign = |source| {
        let info = reelkeeper_actors::recording::egress::EgressInfo { filepath: None, ..info("u9", Active) };
        Sighting { info, source, room_name: "Room".to_owned(), document: None }
    };
    let mut story = Story::new();
    let listed = Happening::RoomLooked {
        uid: reelkeeper_actors::ids::Uid::from_trusted("u1"),
        result: Ok(vec![foreign(Source::Call)]),
    };
    story.then(0, start("start")).then(5, listed);
    assert!(told(&story, "START u1"), "{}", story.tell());
    story.then(10, started("u1", Active)).then(20, Happening::EgressSeen(foreign(Source::Webhook)));
    assert!(!told(&story, "STOP") && story.state.durable.unsettled.is_empty(), "{}", story.tell());
}

#[test]
fn h13_a_deadline_of_a_wrong_clock_holds_the_room_no_longer_than_a_start() {
    let mut story = called();
    story.crash(-86_400_000).then(-86_400_000 + DEADLINE, Happening::Tick);
    assert_eq!(story.state.durable.phase, Phase::Idle, "{}", story.tell());
}

#[test]
fn h14_what_livekit_forgot_is_judged_by_its_file() {
    let there = FileEvidence::There { size: 9, modified: 7_000, duration: Some(3_000) };
    let mut story = recording();
    for at in [30_000, 35_000, 40_010] {
        story.then(at, looked("u1", Listed::Absent, Presence::Absent, there));
    }
    assert!(told(&story, "show u1 complete") && !told(&story, "failed"), "{}", story.tell());
}

#[test]
fn h15_a_store_that_cannot_say_decides_nothing_and_an_error_goes_with_its_cause() {
    let unknown = || looked("u1", Listed::Unknown, Presence::Unknown, FileEvidence::Unknown);
    let mut story = recording();
    story.then(3_000, webhook("u1", Complete, ACTIVE));
    story.then(3_010, unknown()).then(9_010, unknown()).then(20_010, unknown());
    assert!(!told(&story, "missing") && !story.state.durable.is_settled(), "{}", story.tell());
    story.then(30_000, file("u1", None)).then(36_000, file("u1", None));
    assert!(told(&story, "missing or empty"), "{}", story.tell());
    story.then(60_000, file("u1", Some(9)));
    assert_eq!(story.tell().matches("show u1 complete").count(), 3, "{}", story.tell());
    assert!(story.state.durable.is_settled(), "{}", story.tell());
}

#[test]
fn h16_a_limit_that_was_reached_is_late_truth_too() {
    let mut story = called();
    story.then(10, started("u1", Starting)).then(DEADLINE, Happening::Tick);
    story.then(DEADLINE + 900, webhook("u1", LimitReached, FAILED));
    assert!(told(&story, "show u1 limit_reached"), "{}", story.tell());
}

#[test]
fn h20_a_start_that_is_stopped_while_starting_is_told_at_once() {
    let mut story = called();
    story.then(10, started("u1", Starting)).then(20, stop("stop", "u1", 20, STARTING));
    assert!(
        told(&story, "ANSWER start refused: the recording could not start: it was stopped"),
        "{}",
        story.tell()
    );
    assert!(told(&story, "ANSWER stop refused: the recording is still starting"), "{}", story.tell());
}

#[test]
fn h21_a_live_recording_is_asked_for_by_its_id_once_an_interval() {
    let mut story = recording();
    for at in [2_000, 10_000, 16_000, 16_999] {
        story.then(at, Happening::Tick);
    }
    assert_eq!(story.tell().matches("look at u1").count(), 1, "{}", story.tell());
    story.then(17_000, Happening::Tick);
    assert_eq!(story.tell().matches("look at u1 and its room").count(), 2, "{}", story.tell());
}

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
