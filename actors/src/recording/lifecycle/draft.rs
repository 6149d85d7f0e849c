//! The decision under construction: the state so far, the effects so far, and the steps that many
//! decisions share (answering, owing, showing, scheduling).

use std::time::Duration;

use super::super::effect::{Answer, Effect, Refusal};
use super::super::event::{Event, Fresh};
use super::super::ledger::{
    Cause, Current, Owed, Pending, Phase, Retry, State, StopOwed, Track, Unsettled, Waiting, Wants,
};
use super::super::notice::{Notice, place, worth_telling};
use super::super::policy::{self, Policy};
use super::super::reconcile::Strikes;
use super::super::rules::Rule;
use super::super::signal::Signal;
use super::super::{AccessSecrets, Recording, RecordingStatus, Timestamp, invariants};
use super::{Commit, Decision};
use crate::ids::{CommandId, RecordingId, Uid};

/// How long an answer that is already true waits for the document to show it.
const SHOW_GRACE: Duration = Duration::from_millis(500);

/// A decision under construction.
pub(super) struct Draft<'a> {
    pub(super) at: Timestamp,
    pub(super) fresh: &'a Fresh,
    pub(super) policy: &'a Policy,
    pub(super) state: State,
    pub(super) effects: Vec<Effect>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &State, event: &'a Event, policy: &'a Policy) -> Self {
        Self { at: event.at, fresh: &event.fresh, policy, state: state.clone(), effects: Vec::new() }
    }

    /// Settles what can be settled, plans the looks, and says what must be committed.
    pub(super) fn finish(mut self, before: &State) -> Decision {
        self.answer_interrupted_stops();
        self.forget_settled();
        self.plan_looks();
        self.plan_stops();
        invariants::check(&self.state);
        let commit = self.commit_since(before);
        Decision { state: self.state, effects: self.effects, commit }
    }

    fn commit_since(&self, before: &State) -> Commit {
        let (old, new) = (&before.durable, &self.state.durable);
        if old == new {
            return Commit::Nothing;
        }
        let only_done = old.effects_numbered == new.effects_numbered
            && old.phase == new.phase
            && old.current == new.current
            && old.unsettled == new.unsettled
            && old.begun == new.begun
            && old.room_name == new.room_name;
        if only_done { Commit::Soon } else { Commit::Before }
    }

    /// Answers a request that waits, or one that was just made.
    pub(super) fn answer(&mut self, command: &CommandId, answer: Answer) {
        self.keep_answer(command, &answer);
        self.state.memory.waiting.retain(|waiting| waiting.command != *command);
        self.effects.push(Effect::Answer { command: command.clone(), answer });
    }

    /// Refuses a request.
    pub(super) fn refuse(&mut self, command: &CommandId, refusal: Refusal) {
        self.answer(command, Answer::Refused(refusal));
    }

    /// Answers once what is pending for this recording is carried out, so that a client who looks next
    /// finds what it was told.
    pub(super) fn answer_after(&mut self, command: &CommandId, recording: &RecordingId, answer: Answer) {
        let pending = self.state.durable.pending.iter().rev();
        let mut shown = pending.filter(|p| !matches!(p.effect, Owed::Notify(_)));
        let last = shown.find(|p| p.effect.recording() == Some(recording));
        let last = last.filter(|_| self.policy.keeps(Rule::AnswerAfterProjection));
        let Some(number) = last.map(|pending| pending.number) else {
            return self.answer(command, answer);
        };
        self.keep_answer(command, &answer);
        let earliest = self.at.plus(SHOW_GRACE);
        let waiting = &mut self.state.memory.waiting;
        let deadline = waiting.iter().find(|w| w.command == *command).map_or(earliest, |w| w.deadline);
        waiting.retain(|w| w.command != *command);
        let wants = Wants::Effect { number, answer };
        waiting.push(Waiting { command: command.clone(), deadline: deadline.max(earliest), wants });
    }

    /// The requests that wait for the current start.
    pub(super) fn start_waiters(&self) -> Vec<CommandId> {
        self.waiters(|wants| *wants == Wants::Start)
    }

    pub(super) fn waiters(&self, wanted: impl Fn(&Wants) -> bool) -> Vec<CommandId> {
        let waiting = self.state.memory.waiting.iter();
        waiting.filter(|w| wanted(&w.wants)).map(|w| w.command.clone()).collect()
    }

    /// Owes an effect: committed with this decision, carried out at least once, in order per recording.
    pub(super) fn owe(&mut self, effect: Owed) {
        let row = &mut self.state.durable;
        row.effects_numbered += 1;
        row.pending.push(Pending { number: row.effects_numbered, effect });
        self.carry_what_may_go();
    }

    /// Begins every pending effect that nobody has begun and that waits for no earlier one.
    pub(super) fn carry_what_may_go(&mut self) {
        let pending = &self.state.durable.pending;
        let begun = &self.state.memory.effects;
        let waits =
            |index: usize| pending[..index].iter().any(|p| pending[index].effect.waits_for(&p.effect));
        let free = (0..pending.len()).filter(|&i| !begun.contains_key(&pending[i].number) && !waits(i));
        for Pending { number, effect } in free.map(|index| pending[index].clone()).collect::<Vec<_>>() {
            self.carry(number, effect);
        }
    }

    pub(super) fn carry(&mut self, number: u64, owed: Owed) {
        self.state.memory.effects.entry(number).or_default().due = None;
        self.effects.push(Effect::Carry { number, owed });
    }

    /// Brings the document of a track up to `recording`, if its status may become that.
    pub(super) fn show(&mut self, uid: &Uid, recording: Recording) {
        let Some(track) = self.track_mut(uid) else { return };
        let updated_at = track.seen.as_ref().map_or(0, |info| info.updated_at);
        let secrets = track.shown.is_none().then(|| track.secrets.clone());
        let corrects = track.shown.is_some_and(RecordingStatus::is_terminal);
        if corrects && !self.policy.keeps(Rule::LateTruth) {
            return;
        }
        let policy = self.policy;
        let Some(track) = self.track_mut(uid) else { return };
        let moves_back = track.shown.is_some_and(|shown| !shown.may_become(recording.status));
        if moves_back && policy.keeps(Rule::ForwardOnly) {
            return;
        }
        let before = track.shown.replace(recording.status);
        let (told, signal) = (self.notices(uid, before, &recording), Signal::of(&recording));
        let status = recording.status;
        self.owe(Owed::Project { recording: Box::new(recording), updated_at, secrets });
        for notice in told {
            self.owe(Owed::Notify(Box::new(notice)));
        }
        // Of a start the clients were told before there was a recording.
        if before != Some(status) && status != RecordingStatus::Starting {
            self.effects.push(Effect::Signal(signal));
        }
    }

    /// The notices that a change of a document is worth. What is first found after its start was given up gets
    /// none: whoever asked for it knows (design 5).
    fn notices(&self, uid: &Uid, before: Option<RecordingStatus>, recording: &Recording) -> Vec<Notice> {
        let given_up =
            self.unsettled(uid).is_some_and(|u| matches!(u.cause, Cause::TimedOut | Cause::Refused));
        if before.is_none() && given_up && !recording.status.has_file() {
            return Vec::new();
        }
        let created_at = self.at;
        let told = worth_telling(before, recording).into_iter();
        let numbered = told.map(|(event, recording)| {
            let number = place(recording.status);
            Notice { number, event, created_at, recording }
        });
        numbered.collect()
    }

    /// Shows what LiveKit last said, if the document does not show that status yet.
    pub(super) fn show_seen(&mut self, uid: &Uid) {
        let room_name = self.state.durable.room_name.clone();
        let Some(track) = self.track_mut(uid) else { return };
        let Some(recording) = track.recording(&room_name) else { return };
        if track.shown != Some(recording.status) {
            self.show(uid, recording);
        }
    }

    /// Shows a recording as ending that has left the room and shows no end.
    pub(super) fn show_ending(&mut self, uid: &Uid) {
        let room_name = self.state.durable.room_name.clone();
        let Some(track) = self.track(uid).filter(|track| track.shown.is_some() && track.ran) else { return };
        let Some(mut recording) = track.recording(&room_name) else { return };
        if track.shown != Some(RecordingStatus::Ending) {
            recording.status = RecordingStatus::Ending;
            self.show(uid, recording);
        }
    }

    /// Shows a failure that is our own verdict.
    pub(super) fn show_failed(&mut self, uid: &Uid, reason: &str) {
        self.show_verdict(uid, RecordingStatus::Failed, reason);
    }

    /// Shows an end that is our own verdict.
    pub(super) fn show_verdict(&mut self, uid: &Uid, status: RecordingStatus, reason: &str) {
        let room_name = self.state.durable.room_name.clone();
        let at = self.at;
        let Some(track) = self.track_mut(uid) else { return };
        let Some(mut recording) = track.recording(&room_name) else { return };
        recording.status = status;
        recording.error.get_or_insert_with(|| reason.to_owned());
        #[allow(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
        recording.end_date.get_or_insert(at.0 as f64);
        self.show(uid, recording);
    }

    pub(super) fn track(&self, uid: &Uid) -> Option<&Track> {
        let row = &self.state.durable;
        let current = row.current.as_ref().map(|current| &current.track);
        let unsettled = row.unsettled.iter().map(|unsettled| &unsettled.track);
        current.into_iter().chain(unsettled).find(|track| track.uid == *uid)
    }

    pub(super) fn track_mut(&mut self, uid: &Uid) -> Option<&mut Track> {
        let row = &mut self.state.durable;
        let current = row.current.as_mut().map(|current| &mut current.track);
        let unsettled = row.unsettled.iter_mut().map(|unsettled| &mut unsettled.track);
        current.into_iter().chain(unsettled).find(|track| track.uid == *uid)
    }

    pub(super) fn current(&self) -> Option<&Current> {
        self.state.durable.current.as_ref()
    }

    pub(super) fn is_current(&self, uid: &Uid) -> bool {
        self.current().is_some_and(|current| current.track.uid == *uid)
    }

    /// Frees the room: the current uid becomes unsettled. A uid whose StartEgress was never sent by this
    /// very actor is simply forgotten, since nothing can run under it.
    pub(super) fn retire(&mut self, cause: Cause) {
        self.state.durable.phase = Phase::Idle;
        let memory = &mut self.state.memory;
        memory.retry_start = None;
        memory.start_tries = 0;
        let unsent = memory.may_send.take();
        let Some(current) = self.state.durable.current.take() else { return };
        if unsent.as_ref() == Some(&current.track.uid) {
            return;
        }
        self.state.memory.looks.remove(&current.track.uid);
        self.unsettle(current.track, cause);
    }

    pub(super) fn unsettle(&mut self, track: Track, cause: Cause) {
        self.state.durable.unsettled.push(Unsettled {
            track,
            since: self.at,
            cause,
            deleted: false,
            file_judged: false,
            file_missed: false,
            empty_lists: 0,
        });
    }

    /// Owes a stop and sends it at once if the egress is known.
    pub(super) fn owe_stop(&mut self, uid: &Uid) {
        let at = self.at;
        let Some(track) = self.track_mut(uid) else { return };
        track.stop.get_or_insert(StopOwed { since: at, answered: false, stale: false });
        self.send_stop(uid);
    }

    /// Sends an owed stop, and plans its repetition.
    pub(super) fn send_stop(&mut self, uid: &Uid) {
        let Some(egress) = self.track(uid).and_then(|track| track.egress.clone()) else { return };
        let tries = self.state.memory.stops.get(uid).map_or(0, |retry| retry.tries);
        let due = self.at.plus(policy::back_off(policy::STOP_RETRY, tries));
        self.state.memory.stops.insert(uid.clone(), Retry { due, tries: tries + 1 });
        self.effects.push(Effect::StopEgress { uid: uid.clone(), egress });
    }

    /// Plans the next look at a uid by the phase that it enters now.
    pub(super) fn look_anew(&mut self, uid: &Uid) {
        self.state.memory.looks.remove(uid);
    }

    /// Looks at a uid as soon as the next tick.
    pub(super) fn look_now(&mut self, uid: &Uid) {
        self.look_within(uid, Duration::ZERO);
    }

    /// Looks at a uid after this time at the latest.
    pub(super) fn look_within(&mut self, uid: &Uid, latest: Duration) {
        let latest = self.at.plus(latest);
        let look = self.state.memory.looks.entry(uid.clone());
        let look = look.or_insert(Retry { due: latest, tries: 0 });
        look.due = look.due.min(latest);
    }

    /// What looks at a uid have shown so far.
    pub(super) fn strikes(&self, uid: &Uid) -> Strikes {
        self.state.memory.strikes.get(uid).copied().unwrap_or_default()
    }
}

impl Track {
    /// A uid of which nothing is known yet.
    pub(super) fn unseen(uid: Uid, secrets: AccessSecrets, call_ends: Timestamp) -> Self {
        Self {
            uid,
            egress: None,
            secrets,
            call_ends,
            seen: None,
            ran: false,
            recorder_seen: false,
            left: None,
            shown: None,
            stop: None,
        }
    }

    /// The recording as LiveKit last showed it; none before it showed anything.
    pub(super) fn recording(&self, room_name: &str) -> Option<Recording> {
        self.seen.as_ref().map(|info| info.to_recording(&self.uid, room_name))
    }

    /// Takes a view of the egress over if it is not older than the one we have. Returns whether it is news.
    pub(super) fn see(&mut self, info: &super::super::egress::EgressInfo, policy: &Policy) -> bool {
        self.egress.get_or_insert_with(|| info.egress.clone());
        let newer = self.seen.as_ref().is_none_or(|seen| {
            let (old, new) = (seen.status.recorded_as(), info.status.recorded_as());
            let forward = old != new && old.may_become(new) && !old.is_terminal();
            let forward = forward || !policy.keeps(Rule::ForwardOnly);
            forward || (old == new && info.updated_at >= seen.updated_at && **seen != *info)
        });
        if newer {
            self.ran |= info.status == super::super::egress::EgressStatus::Active;
            self.seen = Some(Box::new(info.clone()));
        }
        newer
    }

    pub(super) fn is_over(&self) -> bool {
        self.seen.as_ref().is_some_and(|info| info.status.is_terminal())
    }
}
