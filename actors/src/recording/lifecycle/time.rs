//! What time brings: deadlines, looks, repetitions. And what a restart brings.

use std::time::Duration;

use super::super::effect::{Depth, Effect, Refusal};
use super::super::ledger::{Attempt, Cause, Phase, Retry, State, Track, Waiting, Wants};
use super::super::policy::{self, Policy};
use super::super::rules::Rule;
use super::super::{Timestamp, effect::Answer};
use super::draft::Draft;
use crate::ids::Uid;

impl Draft<'_> {
    /// Does everything that is due.
    pub(super) fn tick(&mut self) {
        self.check_start_deadline();
        self.check_stop_timeout();
        self.answer_overdue();
        if self.state.memory.retry_start.is_some_and(|due| due <= self.at) {
            self.look_before_start();
        }
        self.repeat_stops();
        self.look_where_due();
        self.repeat_effects();
    }

    pub(super) fn check_start_deadline(&mut self) {
        let waits = matches!(self.state.durable.phase, Phase::Starting | Phase::Uncertain);
        let deadline = self.current().and_then(|current| current.deadline);
        if waits && deadline.is_some_and(|deadline| deadline <= self.at) {
            self.give_up();
        }
    }

    fn check_stop_timeout(&mut self) {
        let since = self.current().and_then(|current| current.stopping_since);
        let over = since.is_some_and(|since| since.plus(self.policy.stop_timeout) <= self.at);
        if self.state.durable.phase == Phase::Stopping && over && self.policy.keeps(Rule::StopTimeoutFrees) {
            if let Some(uid) = self.current().map(|current| current.track.uid.clone()) {
                self.show_ending(&uid);
            }
            self.retire(Cause::Stopped);
        }
    }

    pub(super) fn answer_overdue(&mut self) {
        let at = self.at;
        let overdue = self.state.memory.waiting.iter().filter(|waiting| waiting.deadline <= at);
        let overdue: Vec<Waiting> = overdue.cloned().collect();
        for Waiting { command, wants, .. } in overdue {
            match wants {
                Wants::Start => self.refuse(&command, Refusal::TimedOutStarting),
                Wants::Stop { egress, .. } | Wants::End { egress } => self.stop_overdue(&command, &egress),
                Wants::Recall => self.refuse(&command, Refusal::Unavailable { dependency: "store" }),
                // The file or the document is still there, and will be removed.
                Wants::Effect { answer: Answer::Deleted, number } => {
                    let attempt = self.state.memory.effects.get(&number);
                    // The file goes first.
                    let dependency = attempt.and_then(|attempt| attempt.away).unwrap_or("blobs");
                    self.refuse(&command, Refusal::DeletionOwed { dependency });
                }
                Wants::Effect { answer, .. } => self.answer(&command, answer),
            }
        }
    }

    fn repeat_stops(&mut self) {
        let at = self.at;
        let stops = self.state.memory.stops.iter().filter(|(_, retry)| retry.due <= at);
        let due: Vec<Uid> = stops.map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            let owed = self.track(&uid).is_some_and(Track::stop_is_owed);
            if owed && self.policy.keeps(Rule::StopStaysOwed) {
                self.send_stop(&uid);
            } else {
                self.state.memory.stops.remove(&uid);
            }
        }
    }

    fn look_where_due(&mut self) {
        let at = self.at;
        let looks = self.state.memory.looks.iter().filter(|(_, look)| look.due <= at);
        let due: Vec<Uid> = looks.map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            self.look(&uid);
        }
    }

    fn look(&mut self, uid: &Uid) {
        let tries = self.state.memory.looks.get(uid).map_or(0, |look| look.tries);
        let due = self.at.plus(self.pause_between_looks(uid, tries));
        if let Some(look) = self.state.memory.looks.get_mut(uid) {
            (look.due, look.tries) = (due, tries.saturating_add(1));
        }
        if !is_worth_a_look(&self.state, uid) {
            return;
        }
        let depth = self.depth_of_look(uid);
        if depth != Depth::File && !self.policy.keeps(Rule::PollBesideWebhooks) {
            return;
        }
        let Some(track) = self.track(uid) else { return };
        let files = &self.policy.files;
        let key = match track.recording("") {
            Some(recording) => files.blob_key(&recording),
            None => format!("{}.mp4", files.egress_path(&self.state.room, uid)),
        };
        let egress = track.egress.clone();
        self.effects.push(Effect::Look { uid: uid.clone(), egress, depth, key });
    }

    fn depth_of_look(&self, uid: &Uid) -> Depth {
        let suspicious = self.strikes(uid).is_suspicious();
        match (self.unsettled(uid), self.state.durable.phase) {
            (Some(unsettled), _) if unsettled.track.is_over() => Depth::File,
            (Some(_), _) => Depth::Everything,
            (None, Phase::Active | Phase::Stopping) if suspicious => Depth::Everything,
            (None, Phase::Active | Phase::Stopping) => Depth::Room,
            (None, Phase::Idle | Phase::Starting | Phase::Uncertain) => Depth::Egress,
        }
    }

    fn pause_between_looks(&self, uid: &Uid, tries: u32) -> Duration {
        let Some(unsettled) = self.unsettled(uid) else {
            return match self.state.durable.phase {
                Phase::Starting | Phase::Uncertain | Phase::Stopping => policy::START_POLL,
                Phase::Active | Phase::Idle => self.policy.reconcile_interval,
            };
        };
        let pause = policy::back_off((policy::START_POLL, policy::LOOK_CAP), tries);
        let limit = unsettled.since.plus(self.policy.upload_limit);
        // What the upload limit decides is decided when it passes, not at the next look after it.
        let until_limit = limit.since(self.at);
        if until_limit.is_zero() { pause } else { pause.min(until_limit) }
    }

    fn repeat_effects(&mut self) {
        let at = self.at;
        if !self.policy.keeps(Rule::RepeatEffects) {
            return;
        }
        let due = |attempt: &Attempt| attempt.due.is_some_and(|due| due <= at);
        let effects = &self.state.memory.effects;
        let pending = self.state.durable.pending.iter();
        let pending = pending.filter(|p| effects.get(&p.number).is_some_and(due)).cloned();
        for pending in pending.collect::<Vec<_>>() {
            self.carry(pending.number, pending.effect);
        }
    }

    /// Plans a look at every uid that has none planned.
    pub(super) fn plan_looks(&mut self) {
        let row = &self.state.durable;
        let current = row.current.as_ref().map(|current| &current.track.uid);
        let uids = current.into_iter().chain(row.unsettled.iter().map(|u| &u.track.uid));
        let missing = uids.filter(|uid| !self.state.memory.looks.contains_key(uid));
        for uid in missing.cloned().collect::<Vec<_>>() {
            let due = self.at.plus(self.pause_between_looks(&uid, 0));
            self.state.memory.looks.insert(uid, Retry { due, tries: 0 });
        }
    }

    /// Plans every stop that is owed and that nobody repeats: a recorder that was said to have left may be back.
    pub(super) fn plan_stops(&mut self) {
        if !self.policy.keeps(Rule::StopStaysOwed) {
            return;
        }
        let stops = &self.state.memory.stops;
        let owed = self.state.durable.tracks().filter(|track| track.stop_is_owed());
        let unplanned = owed.map(|track| &track.uid).filter(|uid| !stops.contains_key(uid));
        for uid in unplanned.cloned().collect::<Vec<_>>() {
            self.state.memory.stops.insert(uid, Retry { due: self.at, tries: 0 });
        }
    }

    /// A pending effect is carried out.
    pub(super) fn effect_done(&mut self, number: u64) {
        self.state.memory.effects.remove(&number);
        let pending = &mut self.state.durable.pending;
        let Some(index) = pending.iter().position(|p| p.number == number) else { return };
        pending.remove(index);
        self.carry_what_may_go();
        let waiting = self.state.memory.waiting.clone();
        for Waiting { command, wants, .. } in waiting {
            if let Wants::Effect { number: waits_for, answer } = wants
                && waits_for == number
            {
                self.answer(&command, answer);
            }
        }
    }

    /// A pending effect failed: it stays owed.
    pub(super) fn effect_failed(&mut self, number: u64, dependency: &'static str) {
        let at = self.at;
        let Some(attempt) = self.state.memory.effects.get_mut(&number) else { return };
        attempt.due = Some(at.plus(policy::back_off(policy::EFFECT_RETRY, attempt.tries)));
        attempt.tries = attempt.tries.saturating_add(1);
        attempt.away = Some(dependency);
    }

    /// Takes a row up: everything owed is begun again, everything held is looked at.
    pub(super) fn resume(&mut self) {
        self.wait_again();
        if self.policy.keeps(Rule::RepeatEffects) {
            self.carry_what_may_go();
        }
        let current = self.current().map(|current| current.track.uid.clone());
        let unsettled = self.state.durable.unsettled.iter().map(|u| u.track.uid.clone());
        for uid in unsettled.chain(current).collect::<Vec<_>>() {
            self.state.memory.looks.insert(uid.clone(), Retry { due: self.at, tries: 0 });
            self.state.memory.stops.insert(uid, Retry { due: self.at, tries: 0 });
        }
        self.tick();
    }

    /// Takes up an intent that this actor did not save: StartEgress may have been sent, so it is never
    /// sent again; we look until its deadline.
    pub(super) fn doubt(&mut self) {
        let latest = self.at.plus(self.policy.start_timeout);
        if let Some(current) = self.state.durable.current.as_mut() {
            // A deadline from a clock that went wrong must not hold the room for longer than a start. What an old
            // process began was promised to nobody here: it has its time from now, not from when we died.
            let ours = current.command.is_some();
            current.deadline =
                current.deadline.map(|deadline| if ours { deadline.min(latest) } else { latest });
        }
        let unknown = self.current().is_some_and(|current| current.track.egress.is_none());
        if unknown && !self.policy.keeps(Rule::OnlySaverSends) {
            self.state.durable.phase = Phase::Starting;
            self.resume();
            return self.look_before_start();
        }
        self.state.durable.phase = Phase::Uncertain;
        self.resume();
    }
}

impl Track {
    fn stop_is_owed(&self) -> bool {
        // Nobody can stop what nobody knows; once it shows up, the stop is sent at once.
        self.egress.is_some() && self.stop.is_some() && self.left.is_none() && self.shown_live()
    }
}

/// A start whose call is under way is not looked for before its egress is known: the answer comes first.
fn is_worth_a_look(state: &State, uid: &Uid) -> bool {
    let Some(current) = state.durable.current.as_ref().filter(|current| current.track.uid == *uid) else {
        return true;
    };
    state.durable.phase != Phase::Starting || current.track.egress.is_some()
}

/// When the next tick is due; none if nothing is planned.
#[must_use]
pub fn next_wake(state: &State, policy: &Policy) -> Option<Timestamp> {
    let (row, memory) = (&state.durable, &state.memory);
    let current = row.current.as_ref();
    let deadline = current
        .filter(|_| matches!(row.phase, Phase::Starting | Phase::Uncertain))
        .and_then(|current| current.deadline);
    let stopping = current
        .filter(|_| row.phase == Phase::Stopping)
        .and_then(|current| current.stopping_since)
        .map(|since| since.plus(policy.stop_timeout));
    let ages = row.unsettled.iter().map(|u| u.since.plus(policy::UNSETTLED_AGE));
    let looks = memory.looks.values().map(|look| look.due);
    let stops = memory.stops.values().map(|retry| retry.due);
    let effects = memory.effects.values().filter_map(|attempt| attempt.due);
    let waiting = memory.waiting.iter().map(|waiting| waiting.deadline);
    let single = [deadline, stopping, memory.retry_start];
    single.into_iter().flatten().chain(ages).chain(looks).chain(stops).chain(effects).chain(waiting).min()
}
