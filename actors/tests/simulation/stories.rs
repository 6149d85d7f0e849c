//! Histories that once broke a promise, cut down to what it took.

use std::time::Duration;

use reelkeeper_actors::recording::effect::Refusal as Refused;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, ListScope, What};

use crate::plan::{Left, Moment, NodeTrouble, Pace, Plan, Step, StoreCall, StoreFault, StoreTrouble};
use crate::stage::{Answer, Told};
use crate::{Outcome, play};

const SLOW_TO_RECORD: Duration = Duration::from_secs(9);

const STORY_ENDS: u64 = 180_000;

/// Plays a story in one room; it fails with everything that happened.
fn tell(timing: Timing, steps: &[(u64, Step)]) -> Vec<Told> {
    tell_at(Pace::Usual, timing, steps).told
}

fn tell_at(pace: Pace, timing: Timing, steps: &[(u64, Step)]) -> Outcome {
    let mut steps = steps.to_vec();
    // Until then it goes as the story has it; afterwards all is well.
    let ends = steps.last().map_or(0, |(at, _)| at + 10_000).max(STORY_ENDS);
    steps.push((ends, Step::Join { room: 0 }));
    let plan = Plan { pace, ..Plan::written(timing, steps) };
    let outcome = play(&plan, true);
    assert!(outcome.broken.is_empty(), "{:#?}\n{}", outcome.broken, outcome.timeline.join("\n"));
    outcome
}

#[test]
fn a_stop_that_is_owed_to_an_egress_nobody_knows_keeps_nobody_busy() {
    let dies_with_the_answer = Step::Crash { calls: 5, moment: Moment::Before, down_ms: 45_000, skew_ms: 0 };
    tell(Timing::default(), &[(800, dies_with_the_answer), (1_000, Step::Start { room: 0 })]);
}

#[test]
fn a_stop_is_answered_by_its_deadline_though_livekit_cannot_be_asked() {
    let worked = Refusal::new("internal", "done all the same");
    let lie = Step::Lie { method: Method::StopEgress, refusal: worked };
    let asked =
        What::Call { method: Method::ListEgress, scope: Some(ListScope::Id), does: CallTrouble::HangAnswer };
    let hangs = Step::LiveKit(Fault { what: asked, room: None, skip: 0, times: Some(4), chance: 1.0 });
    let timing = Timing { leave: Duration::from_secs(6), ..Timing::default() };
    let steps = [
        (500, lie),
        (1_000, Step::Start { room: 0 }),
        (4_000, hangs),
        (4_776, Step::Stop { room: 0, pick: 0 }),
    ];
    tell(timing, &steps);
}

#[test]
fn a_start_whose_active_cannot_be_stored_by_its_deadline_is_not_told_503() {
    let timing = Timing { activate: SLOW_TO_RECORD, ..Timing::default() };
    tell(timing, &[(700, Step::Start { room: 0 }), (9_000, Step::StoresAway { ms: 12_000 })]);
}

#[test]
fn a_start_is_not_refused_for_the_sake_of_one_that_is_over() {
    let writes = StoreFault {
        call: Some(StoreCall::WriteRow),
        skip: 0,
        times: 4,
        does: StoreTrouble::Slow { ms: 12_000 },
    };
    let first = 1_000;
    // The first is told 503 by then, and its intent is stored a moment later.
    let second = first + 20_500;
    let steps = [
        (500, Step::Store(writes)),
        (first, Step::Start { room: 0 }),
        (second, Step::Start { room: 0 }),
        (second + 5_000, Step::Stop { room: 0, pick: 0 }),
    ];
    let told = tell(Timing::default(), &steps);
    assert!(matches!(told[0].answer, Answer::Refused(_)), "{}", told[0]);
    assert!(matches!(told[1].answer, Answer::Recording(_)), "{}", told[1]);
}

#[test]
fn what_an_old_process_records_is_adopted_by_its_webhook_though_its_room_was_idle() {
    let outcome =
        tell_at(Pace::Usual, Timing::default(), &[(1_000, Step::Original { room: 0, left: Left::Running })]);
    let adopted = outcome.timeline.iter().position(|line| line.contains("write row room0 Active"));
    let calm = outcome.timeline.iter().position(|line| line.contains("all is well"));
    assert!(adopted.is_some() && adopted < calm, "{}", outcome.timeline.join("\n"));
}

#[test]
fn a_dead_egress_whose_recording_was_deleted_is_not_adopted_though_livekit_lists_it_for_ever() {
    let quick = Timing::default();
    let before_it_records =
        Timing { activate: SLOW_TO_RECORD, join: SLOW_TO_RECORD / 2, ..Timing::default() };
    for timing in [quick, before_it_records] {
        let steps = [
            (1_000, Step::Start { room: 0 }),
            (5_000, Step::KillWorkers { room: 0 }),
            // The upload limit has passed.
            (600_000, Step::Delete { room: 0, pick: 0 }),
            (700_000, Step::Start { room: 0 }),
        ];
        let told = tell_at(Pace::Brisk, timing, &steps).told;
        assert!(matches!(told[1].answer, Answer::Deleted), "{}", told[1]);
        assert!(matches!(told[2].answer, Answer::Recording(_)), "{}", told[2]);
    }
}

#[test]
fn a_stop_is_not_told_already_stopped_because_livekit_did_not_know_it_once() {
    let by_id =
        What::Call { method: Method::ListEgress, scope: Some(ListScope::Id), does: CallTrouble::EmptyList };
    let lies = Step::LiveKit(Fault { what: by_id, room: None, skip: 0, times: Some(4), chance: 1.0 });
    let steps = [
        (500, Step::Deaf),
        (1_000, Step::Original { room: 0, left: Left::Running }),
        (5_000, lies),
        (5_000, Step::Stop { room: 0, pick: 0 }),
    ];
    let told = tell(Timing::default(), &steps);
    assert!(matches!(told[0].answer, Answer::Refused(Refused::StillStarting)), "{}", told[0]);
}

/// Their leases lapsed meanwhile, though the renewals that were late did not fail.
#[test]
fn nodes_that_were_frozen_for_a_moment_go_on_by_themselves() {
    let frozen = |node| Step::Node { node, trouble: NodeTrouble::Frozen, ms: 2_800 };
    let steps = vec![
        (500, Step::Deaf),
        (1_000, Step::Start { room: 0 }),
        // The look that is due at 33 s finds the lease lapsed.
        (30_900, frozen(0)),
        (30_900, frozen(1)),
        (STORY_ENDS, Step::Join { room: 0 }),
    ];
    let lease = Duration::from_secs(3);
    let plan = Plan { nodes: 2, lease, ..Plan::written(Timing::default(), steps) };
    let outcome = play(&plan, true);
    let story = || outcome.timeline.join("\n");
    assert!(outcome.broken.is_empty(), "{:#?}\n{}", outcome.broken, story());
    let soon = |line: &String| {
        let at = line.split_whitespace().next().and_then(|at| at.parse::<f64>().ok());
        line.contains("ask for egress") && at.is_some_and(|at| (33.0..40.0).contains(&at))
    };
    assert!(outcome.timeline.iter().any(soon), "{}", story());
}
