//! Requests that may come again as the same command: what a repeat finds at each point at which the process
//! may have died.

use reelkeeper_actors::ids::Uid;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::effect::{Answer, Refusal};
use reelkeeper_actors::recording::egress::EgressStatus::{self, Active, Complete, Ending, Starting};
use reelkeeper_actors::recording::event::{Attendance, Happening, Recall, Repeats};
use reelkeeper_actors::recording::ledger::Phase;

use crate::story::{
    DEADLINE, Story, found, gone, info, looked_into_room, name_of, start, start_failed, started, stop,
    stop_failed, stopped, summary, twirp, webhook,
};

const SHOWN: Option<RecordingStatus> = Some(RecordingStatus::Active);

/// The same request, which may come again.
fn again(mut what: Happening) -> Happening {
    match &mut what {
        Happening::StartRequested(request) => request.repeats = Repeats::AsSameCommand,
        Happening::StopRequested(request) => request.repeats = Repeats::AsSameCommand,
        other => panic!("{} has no key", name_of(other)),
    }
    what
}

fn keyed_start() -> Happening {
    again(start("start"))
}

fn keyed_stop(at: i64) -> Happening {
    again(stop("stop", "u1", at, SHOWN))
}

/// What was found of the earlier life of a request's command.
fn recalled(request: &Happening, kept: Recall) -> Happening {
    let request = request.repeatable().expect("a request that may come again");
    Happening::Recalled { request, kept }
}

fn unknown_command(request: &Happening) -> Happening {
    recalled(request, Recall::NotAnswered)
}

fn answered(status: EgressStatus) -> Recall {
    let uid = Uid::from_trusted("u1");
    Recall::Answered(Answer::Recording(Box::new(info("u1", status).to_recording(&uid, "Room"))))
}

/// A start whose intent is saved.
fn begun() -> Story {
    let mut story = Story::new();
    story.then(0, keyed_start()).then(1, unknown_command(&keyed_start()));
    story
}

/// A recording that runs, started under a key; its answer is kept.
fn running() -> Story {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[])).then(10, started("u1", Active));
    story
}

#[test]
fn a_start_is_looked_up_begun_once_and_its_answer_kept() {
    let mut story = running();
    story.then(900, keyed_start()).then(901, recalled(&keyed_start(), answered(Active)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn repeats_wait_with_the_first() {
    let mut story = Story::new();
    story.then(0, keyed_start()).then(0, keyed_start()).then(1, unknown_command(&keyed_start()));
    story.then(2, keyed_start()).then(5, looked_into_room("u1", &[])).then(6, keyed_start());
    story.then(7, again(start("another"))).then(8, unknown_command(&again(start("another"))));
    story.then(10, started("u1", Active));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_before_the_intent_leaves_the_start_to_its_repeat() {
    let mut story = Story::new();
    story.then(0, keyed_start()).crash(1).then(50, keyed_start());
    story.then(51, unknown_command(&keyed_start())).then(55, looked_into_room("u1", &[]));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_after_the_intent_lets_the_repeat_wait_for_what_is_found() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[])).crash(50).then(55, keyed_start());
    story.then(60, gone("u1")).then(70, keyed_start()).then(1_060, found("u1", Active));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_until_after_the_deadline_leaves_a_503_for_the_repeat() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[])).crash(DEADLINE + 5_000).then(DEADLINE + 5_010, keyed_start());
    story.then(DEADLINE + 5_011, recalled(&keyed_start(), timed_out()));
    story.then(DEADLINE + 5_020, found("u1", Active));
    insta::assert_snapshot!(story.tell());
}

fn timed_out() -> Recall {
    Recall::Answered(Answer::Refused(Refusal::TimedOutStarting))
}

#[test]
fn a_crash_before_the_answer_is_kept_keeps_it_later_and_tells_the_repeat_meanwhile() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[]));
    story.store_works = false;
    story.then(10, started("u1", Active)).crash(50).then(60, keyed_start());
    story.then(61, Happening::EffectDone { number: 1 }).then(62, Happening::EffectDone { number: 4 });
    story.then(70, keyed_start()).then(71, recalled(&keyed_start(), answered(Active)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_before_the_reply_tells_the_repeat_what_is_kept() {
    let mut story = running();
    story.crash(50).then(60, keyed_start()).then(61, recalled(&keyed_start(), answered(Active)));
    insta::assert_snapshot!(story.tell());
}

/// The repeat comes when the recording is over and the row forgot everything.
#[test]
fn nothing_is_begun_for_a_command_whose_recording_has_come_and_gone() {
    let mut story = Story::new();
    story.then(9_000, keyed_start()).then(9_001, recalled(&keyed_start(), answered(Active)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_refused_start_keeps_its_answer_only_if_it_was_begun() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[]));
    story.then(10, start_failed("u1", twirp("invalid_argument", "no such layout")));
    for attendance in [Attendance::Nobody, Attendance::Unknown] {
        let mut asked = again(start("empty"));
        if let Happening::StartRequested(request) = &mut asked {
            request.attendance = attendance;
        }
        story.then(20, asked.clone()).then(21, unknown_command(&asked));
    }
    story.then(30, start("other")).then(31, again(start("busy")));
    story.then(32, unknown_command(&again(start("busy"))));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_store_that_cannot_say_what_was_answered_lets_nothing_begin() {
    let mut story = Story::new();
    story.then(0, keyed_start()).then(1, recalled(&keyed_start(), Recall::Unknown));
    // The word comes when its request was told that nothing was begun.
    story.then(2, keyed_start()).then(DEADLINE, Happening::Tick);
    story.then(DEADLINE + 1, unknown_command(&keyed_start()));
    insta::assert_snapshot!(story.tell());
}

/// The store was away at the deadline, and the client was told 503 then: that stays the answer.
#[test]
fn what_happens_after_the_deadline_does_not_change_the_answer() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[])).then(10, started("u1", Starting));
    story.then(DEADLINE + 1, webhook("u1", EgressStatus::Failed, SHOWN));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_is_looked_up_and_its_answer_kept() {
    let mut story = running();
    story.then(3_000, keyed_stop(3_000)).then(3_001, unknown_command(&keyed_stop(3_000)));
    story.then(3_005, keyed_stop(3_005)).then(3_010, stopped("u1", Ending));
    story.then(3_500, keyed_stop(3_500)).then(3_501, recalled(&keyed_stop(3_500), answered(Ending)));
    insta::assert_snapshot!(story.tell());
}

/// LiveKit took the stop, and its answer was lost with the process: it refuses the second one, which says
/// nothing about the first.
#[test]
fn a_crash_after_a_stop_answers_its_repeat_when_the_recording_ends() {
    let mut story = running();
    story.then(3_000, keyed_stop(3_000)).then(3_001, unknown_command(&keyed_stop(3_000))).crash(3_100);
    story.then(3_110, keyed_stop(3_110));
    story.then(3_120, stop_failed("u1", twirp("failed_precondition", "cannot be stopped")));
    story.then(3_130, found("u1", Ending));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_after_a_stop_until_the_end_answers_with_the_end() {
    let mut story = running();
    story.then(3_000, keyed_stop(3_000)).then(3_001, unknown_command(&keyed_stop(3_000))).crash(9_000);
    story.then(9_010, keyed_stop(9_010)).then(9_020, found("u1", Complete));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_crash_after_a_stop_until_its_deadline_leaves_a_503_and_the_stop_owed() {
    let mut story = running();
    story.then(3_000, keyed_stop(3_000)).then(3_001, unknown_command(&keyed_stop(3_000))).crash(15_000);
    story.then(15_010, keyed_stop(15_010));
    story.then(15_011, recalled(&keyed_stop(15_010), Recall::Answered(Answer::Refused(Refusal::StopOwed))));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_while_starting_keeps_both_answers() {
    let mut story = begun();
    story.then(5, looked_into_room("u1", &[])).then(10, started("u1", Starting));
    story.then(20, keyed_stop(20)).then(21, unknown_command(&keyed_stop(20)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stop_that_comes_too_late_keeps_nothing() {
    let mut story = running();
    story.then(3_000, webhook("u1", Ending, SHOWN)).then(3_010, keyed_stop(3_010));
    story.then(3_011, unknown_command(&keyed_stop(3_010)));
    insta::assert_snapshot!(story.tell());
}

/// A story that stands in the phase, with a command of each kind begun where it can be.
fn at(phase: Phase) -> Story {
    let mut story = match phase {
        Phase::Idle => Story::new(),
        Phase::Starting | Phase::Uncertain => begun(),
        Phase::Active | Phase::Stopping => running(),
    };
    match phase {
        Phase::Uncertain => drop(story.then(2, looked_into_room("u1", &[])).crash(3)),
        Phase::Stopping => {
            story.then(20, again(stop("first", "u1", 20, SHOWN)));
            story.then(21, unknown_command(&again(stop("first", "u1", 20, SHOWN))));
        }
        Phase::Idle | Phase::Starting | Phase::Active => {}
    }
    assert_eq!(story.state.durable.phase, phase);
    story
}

/// What is found for a request of which no answer is known.
#[test]
fn the_table_of_requests_that_may_come_again() {
    let mut table = Vec::new();
    for phase in Phase::ALL {
        table.push(format!("{phase:?}"));
        let requests = [keyed_start(), again(start("another")), keyed_stop(30)];
        for request in requests {
            let mut story = at(phase);
            let found = [request.clone(), unknown_command(&request)].map(|what| {
                let decision = story.decide(30, what);
                let told = summary(&story.state, &decision);
                story.state = decision.state;
                told
            });
            let name = format!("{} {}", name_of(&request), request.repeatable().unwrap().command());
            table.push(format!("  {name:<26} {} => {}", found[0], found[1]));
        }
    }
    insta::assert_snapshot!(table.join("\n"));
}
