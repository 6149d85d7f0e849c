//! Requests under idempotency keys: the node dies at every call that a start or a stop makes, and whoever
//! asks again is told the same, of the same egress. And histories of chance in which every request has a key
//! and comes again.

use async_trait::async_trait;
use reelkeeper_actors::ids::CommandId;
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::orchestrator::KeyedRequest;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::keys::{IdempotencyKeys, KeptCommand, Operation, ScopedKey};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::effect::{Answer as Kept, Refusal};
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};

use crate::node::Run;
use crate::plan::{Moment, Plan, Step, StoreCall};
use crate::stage::{Answer, Asked, Told};
use crate::{play, usual};

/// More calls to ports than a start or a stop makes until it is answered and all is written.
const CALLS_MAX: u32 = 40;
/// Histories of chance unless the environment says otherwise.
const HISTORIES: u64 = 100;
const STORY_ENDS: u64 = 180_000;
/// How much later the same request comes again, in milliseconds.
const AGAIN_AFTER: [u64; 6] = [0, 40, 900, 4_000, 19_500, 70_000];

/// The request under a key, as the HTTP face makes it.
pub fn request(room: &Room, what: &Asked, key: u64) -> KeyedRequest {
    let (operation, digest) = match what {
        Asked::Start => (Operation::Start, room.room_id.to_string()),
        Asked::Stop(id) => (Operation::Stop, id.to_string()),
        Asked::Delete(_) | Asked::Erase(_) => unreachable!("a deletion has no key"),
    };
    let (caller, key) = ("caller".to_owned(), key.to_string());
    KeyedRequest { key: ScopedKey { caller, room: room.room_id.clone(), operation, key }, digest }
}

#[async_trait]
impl IdempotencyKeys for Run {
    async fn find(&self, key: &ScopedKey) -> Result<Option<KeptCommand>, PortError> {
        self.store(StoreCall::FindKey, &key.key, self.around().backing.store.find(key)).await
    }

    async fn enter(
        &self,
        key: &ScopedKey,
        new: &KeptCommand,
        oldest: Timestamp,
    ) -> Result<KeptCommand, PortError> {
        self.store(StoreCall::EnterKey, &key.key, self.around().backing.store.enter(key, new, oldest)).await
    }

    async fn keep(&self, command: &CommandId, answer: &Kept) -> Result<bool, PortError> {
        self.store(StoreCall::KeepAnswer, command.as_str(), self.around().backing.store.keep(command, answer))
            .await
    }

    async fn answer_of(&self, command: &CommandId) -> Result<Option<Kept>, PortError> {
        self.store(StoreCall::RecallAnswer, command.as_str(), self.around().backing.store.answer_of(command))
            .await
    }

    async fn forget_older(&self, oldest: Timestamp, limit: usize) -> Result<usize, PortError> {
        self.store(StoreCall::ForgetKeys, "", self.around().backing.store.forget_older(oldest, limit)).await
    }
}

/// Whether whoever asks again must be told the same.
fn is_kept(told: &Told) -> bool {
    match (&told.what, &told.answer) {
        (_, Answer::Recording(_)) => true,
        (Asked::Start, Answer::Refused(refusal)) => {
            matches!(refusal, Refusal::TimedOutStarting | Refusal::StartFailed { .. })
        }
        (_, Answer::Refused(refusal)) => {
            matches!(refusal, Refusal::StillStarting | Refusal::StopFailed { .. } | Refusal::StopOwed)
        }
        _ => false,
    }
}

/// Names the keys under which two answers were given that differ though they are kept.
pub fn contradictions(all: &[Told]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, told) in all.iter().enumerate().filter(|(_, told)| told.key.is_some() && is_kept(told)) {
        let same = |other: &&Told| {
            (other.key, &other.room, &other.what) == (told.key, &told.room, &told.what) && is_kept(other)
        };
        // A stop that was promised may be carried out by the time that somebody asks again.
        let promised = told.answer == Answer::Refused(Refusal::StopOwed);
        // Asked at once at two nodes, one may have looked for an answer before the other gave it, and begin anew.
        let stopped = matches!(told.answer, Answer::Refused(Refusal::StartFailed { .. }));
        let kept = |other: &&Told| {
            let at_once = stopped && other.asked <= told.answered;
            (promised || at_once) && matches!(other.answer, Answer::Recording(_))
        };
        let others =
            all[index + 1..].iter().filter(same).filter(|other| other.answer != told.answer && !kept(other));
        found.extend(others.map(|other| format!("{told}\n  but then {other}")));
    }
    found
}

/// Plays a story in one room that must keep every promise.
fn tell(steps: &[(u64, Step)]) -> (Vec<Told>, Vec<String>) {
    let mut steps = steps.to_vec();
    steps.push((STORY_ENDS, Step::Join { room: 0 }));
    let timing = reelkeeper_actors::simulator::clock::Timing::default();
    let outcome = play(&Plan::written(timing, steps), true);
    let timeline = outcome.timeline.join("\n");
    assert!(outcome.broken.is_empty(), "{:#?}\n{timeline}", outcome.broken);
    (outcome.told, outcome.timeline)
}

fn of_key(told: &[Told]) -> Vec<&Told> {
    told.iter().filter(|told| told.key.is_some()).collect()
}

/// How often LiveKit was asked for an egress while the story lasted.
fn starts_sent(timeline: &[String]) -> usize {
    let story = timeline.iter().take_while(|line| !line.contains("all is well from now on"));
    let is_sent = |line: &&String| line.contains("  StartEgress ") && !line.contains(": ");
    let asked = story.clone().filter(is_sent).count();
    asked - story.filter(|line| line.contains("node dies before StartEgress")).count()
}

/// Every call before which, or after which, the node dies, and for how long it is down: until the deadline
/// of what was under way is near, and until it is over.
fn deaths() -> impl Iterator<Item = Step> {
    let moments = [Moment::Before, Moment::After];
    let calls = (1..CALLS_MAX).flat_map(move |calls| moments.map(|moment| (calls, moment)));
    calls.flat_map(|(calls, moment)| {
        [500, 40_000].map(|down_ms| Step::Crash { calls, moment, down_ms, skew_ms: 0 })
    })
}

#[test]
fn a_start_is_carried_out_once_whenever_the_node_dies() {
    for death in deaths() {
        let start = || Step::StartOnce { room: 0, key: 1 };
        let mut steps = vec![(900, death.clone())];
        steps.extend([1_000, 1_010, 1_700, 3_000, 15_000, 60_000, 90_000].map(|at| (at, start())));
        let (told, timeline) = tell(&steps);
        let told = of_key(&told);
        let shown = || format!("{death:?}\n{}", timeline.join("\n"));
        assert!(starts_sent(&timeline) <= 1, "{}", shown());
        let last = told.iter().rfind(|told| told.answer != Answer::Nothing);
        assert!(last.is_some_and(|told| is_kept(told)), "{last:?}\n{}", shown());
    }
}

#[test]
fn a_stop_is_carried_out_once_whenever_the_node_dies() {
    for death in deaths() {
        let stop = || Step::StopOnce { room: 0, pick: 0, key: 1 };
        let mut steps = vec![(1_000, Step::Start { room: 0 }), (4_900, death.clone())];
        steps.extend([5_000, 5_010, 5_700, 7_000, 15_000, 60_000, 90_000].map(|at| (at, stop())));
        let (told, timeline) = tell(&steps);
        let told = of_key(&told);
        let shown = || format!("{death:?}\n{}", timeline.join("\n"));
        let last = told.iter().rfind(|told| told.answer != Answer::Nothing);
        assert!(last.is_some_and(|told| is_kept(told)), "{last:?}\n{}", shown());
    }
}

/// A request is overtaken by its own repeat, and gets to the room only when that has come and gone.
#[test]
fn a_request_that_its_repeat_overtook_begins_nothing() {
    let asked = What::Call {
        method: Method::ListParticipants,
        scope: None,
        does: CallTrouble::DelayAnswer { ms: 8_000 },
    };
    let slow = Step::LiveKit(Fault { what: asked, room: None, skip: 0, times: Some(1), chance: 1.0 });
    let start = || Step::StartOnce { room: 0, key: 1 };
    let steps = [
        (900, slow),
        (1_000, start()),
        (1_100, start()),
        (3_000, Step::Stop { room: 0, pick: 0 }),
        (20_000, start()),
    ];
    let (told, timeline) = tell(&steps);
    let timeline_shown = timeline.join("\n");
    assert_eq!(starts_sent(&timeline), 1, "{timeline_shown}");
    let told = of_key(&told);
    assert!(told.len() == 3 && told.iter().all(|told| is_kept(told)), "{told:#?}\n{timeline_shown}");
}

/// The same history, but every start and stop has a key and comes again.
pub fn with_keys(mut plan: Plan) -> Plan {
    let mut again = Vec::new();
    for (index, (at, step)) in plan.steps.iter_mut().enumerate() {
        let key = index as u64;
        *step = match step.clone() {
            Step::Start { room } => Step::StartOnce { room, key },
            Step::Stop { room, pick } => Step::StopOnce { room, pick, key },
            _ => continue,
        };
        let pauses = AGAIN_AFTER.iter().cycle().skip(index).step_by(3).take(2);
        again.extend(pauses.map(|pause| (*at + pause, step.clone())));
    }
    plan.steps.extend(again);
    plan.steps.sort_by_key(|(at, _)| *at);
    plan
}

#[test]
fn whatever_happens_a_key_has_one_answer() {
    for seed in usual(HISTORIES) {
        let plan = with_keys(Plan::of(seed));
        let outcome = play(&plan, false);
        if outcome.broken.is_empty() {
            continue;
        }
        let told = play(&plan, true);
        panic!("{}\nREELKEEPER_SEED={seed} breaks {:#?}", told.timeline.join("\n"), told.broken);
    }
}
