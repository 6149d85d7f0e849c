//! What clients were told is true, comes in time, and stays true.

use std::collections::BTreeMap;
use std::time::Duration;

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::notice::place;
use reelkeeper_actors::room::Limits;
use reelkeeper_actors::simulator::views::EgressView;

use crate::keys;
use crate::lock;
use crate::promises::Promises;
use crate::stage::{Answer, Asked, Told};
use crate::truth::{Truth, recording_of};

/// A start and its deadline, and what the process needs around it.
const START_ANSWERED: Duration = Duration::from_secs(21);
/// Any other request.
const OTHERS_ANSWERED: Duration = Duration::from_secs(11);
/// How much later another node may answer: it waits for the owner's own word at the deadline, and then cancels.
const ELSEWHERE: Duration = Duration::from_secs(6);
/// How long after its end an egress may be the reason for a refused start: a room is free at the latest after
/// the stop timeout (30 s), or once its recorder is missed (20 s until LiveKit says so, then 35 s).
const HOLDS_AFTER_END: Duration = Duration::from_mins(1);
/// How long until a run of the node that died, or that lost its store, is followed by one that takes its rooms
/// up: it is down for 45 s at most, and stores are away for 40 s.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(90);
/// How long a start that another node has adopted holds its room after it was answered 503 here: the cancellation lies in
/// the inbox (design 4), which is swept every 10 s, and the stop takes 30 s at most.
const CANCELLED_WITHIN: Duration = Duration::from_secs(41);
/// How long an answer that is true already waits until its document shows it.
const SHOW_GRACE: Duration = Duration::from_millis(500);
/// The words of an egress that StopEgress ended.
const BY_STOP: &str = "End reason: StopEgress API";

impl Promises {
    pub(super) fn answers_come_in_time(&mut self) {
        let all = lock(&self.stage.told).clone();
        for told in all {
            let limit = if told.what == Asked::Start { START_ANSWERED } else { OTHERS_ANSWERED };
            let limit = if self.stage.plan.nodes > 1 { limit + ELSEWHERE } else { limit };
            let took = told.answered.since(told.asked);
            // Who is frozen answers nobody.
            let in_time = told.answer == Answer::Nothing || took <= limit || self.stage.plan.freezes();
            self.expect("every answer comes in time", in_time, || told.to_string());
        }
    }

    /// At most one egress per room runs, and none whose start was answered with an error or whose stop was
    /// promised.
    pub(super) async fn each_surplus_is_stopped(&mut self) {
        let truth = Truth::now(&self.stage);
        let mut rooms = BTreeMap::<RoomId, Vec<String>>::new();
        for egress in truth.findable(&self.stage.clone()).await {
            if !self.is_original(egress) {
                rooms.entry(egress.room().clone()).or_default().push(egress.egress.to_string());
            }
            let wanted = self.is_wanted(egress, &truth);
            self.expect("after an error whatever starts late is stopped", wanted, || {
                format!("{} runs in {}", egress.egress, egress.room())
            });
            let stop = self.promised_stop(egress);
            self.expect("a promised stop is carried out", stop.is_none(), || {
                let told = stop.map(|told| told.to_string()).unwrap_or_default();
                format!("{} runs though: {told}", egress.egress)
            });
        }
        for (room, running) in rooms {
            self.expect("at most one recording per room", running.len() < 2, || {
                format!("in {room} run {}", running.join(", "))
            });
        }
    }

    pub(super) fn is_original(&self, egress: &EgressView) -> bool {
        lock(&self.stage.originals).iter().any(|id| id.egress == egress.egress)
    }

    /// Whether a start that was answered 201, or not at all, or an old process, can have begun this egress.
    fn is_wanted(&self, egress: &EgressView, truth: &Truth) -> bool {
        let asked_at = truth.asked_at(egress);
        let start_timeout = self.stage.plan.policy().start_timeout;
        let may_return = self.stage.plan.lets_deadlines_return();
        let told = lock(&self.stage.told);
        let mut starts = told.iter().filter(|told| told.what == Asked::Start && told.room == *egress.room());
        let begun = starts.any(|told| match &told.answer {
            Answer::Recording(recording) => recording.recording_id.egress == egress.egress,
            Answer::Nothing => told.asked <= asked_at && asked_at <= told.asked.plus(start_timeout),
            // Whoever asks again learns of it.
            Answer::Refused(Refusal::UnderWay) => told.key.is_some(),
            Answer::Refused(Refusal::TimedOutStarting) if may_return => told.asked <= asked_at,
            Answer::Refused(_) | Answer::Deleted => false,
        });
        begun || self.is_original(egress)
    }

    /// An answer to a stop, or to a deletion, after which the egress may not run on. One that lost its connection is called over,
    /// and is stopped only when it is back.
    fn promised_stop(&self, egress: &EgressView) -> Option<Told> {
        let shaken = lock(&self.stage.shaken).contains(&egress.egress);
        let told = lock(&self.stage.told);
        let promised = told.iter().find(|told| {
            let (Asked::Stop(id) | Asked::Erase(id)) = &told.what else { return false };
            let promises = match &told.answer {
                Answer::Recording(_) => true,
                Answer::Deleted | Answer::Refused(Refusal::AlreadyStopped) => !shaken,
                Answer::Refused(refusal) => {
                    matches!(refusal, Refusal::StopOwed | Refusal::StillStarting | Refusal::StopFailed { .. })
                }
                Answer::Nothing => false,
            };
            id.egress == egress.egress && promises
        });
        promised.cloned()
    }

    /// What was answered is true in the end.
    pub(super) async fn check_answers(&mut self, truth: &Truth) {
        let all = lock(&self.stage.told).clone();
        for told in &all {
            match (&told.what, &told.answer) {
                (Asked::Start, Answer::Recording(_)) => self.check_started(told, truth).await,
                (Asked::Start, Answer::Refused(Refusal::AlreadyRecording)) => {
                    let reason = self.is_taken(told, &all, truth);
                    self.expect("a room that is taken has a reason", reason, || told.to_string());
                }
                (Asked::Delete(id) | Asked::Erase(id), Answer::Deleted) => {
                    let shown = self.stage.shown(id).await;
                    self.expect("deleted stays deleted", shown.is_none(), || {
                        format!("{id} is {shown:?} again")
                    });
                    let left = self.has_file(id).await;
                    self.expect("the file of a deleted recording is gone", !left, || id.to_string());
                }
                _ => {}
            }
            self.check_shown(told);
            self.check_answered(told);
        }
        for egress in &truth.started {
            self.check_undisturbed(egress, &all);
        }
        let differ = keys::contradictions(&all);
        let one = differ.is_empty() || self.stage.plan.lets_deadlines_return();
        self.expect("a key has one answer", one, || differ.join("\n"));
    }

    async fn check_started(&mut self, told: &Told, truth: &Truth) {
        let Answer::Recording(recording) = &told.answer else { return };
        let id = &recording.recording_id;
        let egress = truth.egress(&id.egress);
        let ran_since = egress.and_then(|egress| egress.file.as_ref()).map_or(0, |file| file.started_at);
        let ran = ran_since > 0 && ran_since / 1_000_000 <= told.answered.0;
        self.expect("201 means that it runs", ran, || format!("{told}: LiveKit shows {egress:?}"));
        let shown = self.stage.shown(id).await.is_some() || self.was_deleted(id);
        self.expect("a recording that was answered 201 has its document", shown, || told.to_string());
        let alone = !truth.started.iter().any(|other| {
            let before = truth.asked_at(other) < told.asked && !self.stage.plan.hides_egresses();
            let on = self.recorded_until(other).is_none_or(|until| until > told.answered);
            let shaken = lock(&self.stage.shaken).contains(&other.egress);
            other.room() == &told.room && self.is_original(other) && before && on && !shaken
        });
        // Under a key it may be told of an earlier start.
        let alone = alone || told.key.is_some();
        self.expect("a room that an old process records is not recorded twice", alone, || told.to_string());
    }

    /// When an egress stopped recording; none if it has not.
    fn recorded_until(&self, egress: &EgressView) -> Option<Timestamp> {
        let until = self.stage.around.livekit.live().with(|world| world.recorded_until(&egress.egress));
        until.map(|until| Timestamp(until / 1_000_000))
    }

    /// Whether something was, or was about to be, recorded when a start was refused for its sake.
    fn is_taken(&self, told: &Told, all: &[Told], truth: &Truth) -> bool {
        let start_timeout = self.stage.plan.policy().start_timeout;
        let away = self.stage.plan.longest_silence();
        let waits =
            all.iter().filter(|other| other.what == Asked::Start && other.room == told.room).any(|other| {
                let until = match other.answer {
                    // The node died, or lost the store: the next run takes the start up.
                    Answer::Nothing => other.answered.plus(TAKEN_UP_WITHIN + start_timeout),
                    _ => other.answered,
                };
                !std::ptr::eq(other, told) && other.asked <= told.answered && until >= told.asked
            });
        let records = truth.started.iter().filter(|egress| *egress.room() == told.room).any(|egress| {
            let asked_at = truth.asked_at(egress);
            let over = self.recorded_until(egress).map(|until| until.plus(HOLDS_AFTER_END + away));
            let given_up = all.iter().any(|other| {
                let its_own = other.asked <= asked_at && asked_at <= other.answered && other.key.is_none();
                let timed_out = other.answer == Answer::Refused(Refusal::TimedOutStarting);
                let given_up = timed_out && !self.stage.plan.lets_deadlines_return();
                let held = if self.stage.plan.nodes > 1 { CANCELLED_WITHIN } else { Duration::ZERO };
                given_up && its_own && other.room == told.room && other.answered.plus(held) <= told.asked
            });
            !given_up && asked_at <= told.answered && over.is_none_or(|over| over >= told.asked)
        });
        let left = lock(&self.stage.originals).iter().any(|id| id.room == told.room);
        waits || records || left
    }

    /// A client who looks at once finds what it was told, unless the store kept the document back for longer than
    /// a true answer waits.
    fn check_shown(&mut self, told: &Told) {
        let Answer::Recording(recording) = &told.answer else { return };
        let shown = told.shown.is_some_and(|shown| place(shown) >= place(recording.status));
        let waited = told.kept_back_since.is_some_and(|since| told.answered.since(since) >= SHOW_GRACE);
        // Under a key it may be told what was true long ago.
        // After a deletion nothing is left to find, and the answer of a stop may be longer under way.
        let deleted = self.was_deleted(&recording.recording_id);
        let excused = waited || told.key.is_some() || deleted || self.waited_to_the_end(told);
        self.expect("a client finds what it was told", shown || excused, || {
            format!("{told}, and finds {:?}", told.shown)
        });
    }

    /// Whether an answer came only when it could wait no longer.
    fn waited_to_the_end(&self, told: &Told) -> bool {
        let limit = match told.what {
            Asked::Start => self.stage.plan.policy().start_timeout,
            Asked::Stop(_) | Asked::Delete(_) | Asked::Erase(_) => Limits::default().request_timeout,
        };
        told.answered.since(told.asked) >= limit
    }

    /// A client is left without an answer only by a node that dies, or that cannot store what it decided.
    fn check_answered(&mut self, told: &Told) {
        let waited = self.waited_to_the_end(told);
        let left = told.answer == Answer::Nothing && !told.died;
        self.expect("nobody is left without an answer", !left || waited, || told.to_string());
    }

    /// Nobody stops a recording that works and that nobody asked to stop.
    fn check_undisturbed(&mut self, egress: &EgressView, all: &[Told]) {
        let started = all.iter().any(|told| {
            let by = matches!(&told.answer, Answer::Recording(r) if r.recording_id.egress == egress.egress);
            told.what == Asked::Start && by
        });
        let id = recording_of(egress);
        let asked = all
            .iter()
            .any(|told| matches!(&told.what, Asked::Stop(asked) | Asked::Erase(asked) if *asked == id));
        let shaken = lock(&self.stage.shaken).contains(&egress.egress);
        // An old process's start has as long as one of ours until LiveKit shows that it records.
        let original = self.is_original(egress) && !self.stage.plan.hides_egresses();
        let works = (started || original) && !asked && !shaken;
        if works && self.stage.plan.lies_about_participants() < 2 {
            let stopped = egress.details == BY_STOP && egress.file.as_ref().is_some_and(|f| f.started_at > 0);
            self.expect("a recording that works is not stopped", !stopped, || format!("{egress:?}"));
        }
    }
}
