//! From the saved intent to a running recording, or to the reason why not.

use super::super::effect::{Answer, Effect, Refusal};
use super::super::egress::{CallError, EgressInfo, EgressOrder, StartClass, classify_start};
use super::super::event::Sighting;
use super::super::ledger::{Cause, Phase, Track};
use super::super::rules::Rule;
use super::super::signal::Signal;
use super::super::{RecordingStatus, Timestamp, policy};
use super::draft::Draft;
use crate::ids::{RecordingId, Uid};

/// What the document of a start says that got a 503.
pub(super) const TIMED_OUT: &str = "timed out while starting";

impl Draft<'_> {
    /// The room's list before a start: unwanted uids are stopped, what somebody else records is adopted.
    pub(super) fn room_looked(&mut self, uid: &Uid, result: &Result<Vec<Sighting>, CallError>) {
        if !self.is_current(uid) || self.state.memory.may_send.as_ref() != Some(uid) {
            return;
        }
        let Ok(listed) = result else { return self.try_start_again_later() };
        for sighting in listed {
            let info = &sighting.info;
            let Some(found) = self.uid_of(info) else { continue };
            if self.track(&found).is_some() {
                self.tracked_seen(&found, info);
                if self.records_for_others(&found) {
                    return self.yield_to_held(&found);
                }
            } else if !info.status.is_terminal()
                && !sighting.document.is_some_and(RecordingStatus::is_terminal)
            {
                return self.yield_to(&found, sighting);
            }
        }
        self.send_start();
    }

    /// A node of Meet's was faster: the intent, of which nothing was sent, makes way.
    pub(super) fn room_locked(&mut self, uid: &Uid) {
        if !self.is_current(uid) || self.state.memory.may_send.as_ref() != Some(uid) {
            return;
        }
        let waiters = self.start_waiters();
        self.retire(Cause::Refused);
        for command in waiters {
            self.refuse(&command, Refusal::AlreadyRecording);
        }
    }

    pub(super) fn send_start(&mut self) {
        let Some(current) = self.state.durable.current.as_ref() else { return };
        if current.deadline.is_some_and(|deadline| deadline <= self.at) {
            return self.give_up();
        }
        let uid = current.track.uid.clone();
        let order = EgressOrder {
            room: self.state.room.clone(),
            layout: current.layout,
            encoding: current.encoding.clone(),
            filepath: self.policy.files.egress_path(&self.state.room, &uid),
        };
        let first = self.state.memory.start_tries == 0;
        self.state.memory.may_send = None;
        if first {
            let signal = Signal::of_start(&self.state.room, RecordingStatus::Starting);
            self.effects.push(Effect::Signal(signal));
        }
        self.effects.push(Effect::StartEgress { uid, order });
    }

    /// Somebody else records the room: the intent, of which nothing was sent, makes way.
    fn yield_to(&mut self, uid: &Uid, sighting: &Sighting) {
        let waiters = self.start_waiters();
        self.retire(Cause::Refused);
        for command in waiters {
            self.refuse(&command, Refusal::AlreadyRecording);
        }
        self.adopt(uid, &sighting.info, sighting.document);
    }

    /// Whether an old process's recording, found while the room recorded something else, records or is about to. One that
    /// only says so ends when its deadline as the current one passes.
    fn records_for_others(&self, uid: &Uid) -> bool {
        let Some(held) = self.unsettled(uid).filter(|unsettled| unsettled.cause == Cause::Held) else {
            return false;
        };
        // While it starts its recorder is not there yet: one look without it proves nothing then.
        let strikes = self.strikes(uid);
        let missed = held.track.recorder_seen && strikes.is_away();
        let is_away = missed || strikes.is_away_for(self.policy.strike_gap());
        held.track.seen.is_some() && held.track.shown_live() && !is_away
    }

    /// The same as for one that is found only now.
    fn yield_to_held(&mut self, uid: &Uid) {
        let unsettled = &mut self.state.durable.unsettled;
        let Some(index) = unsettled.iter().position(|held| held.track.uid == *uid) else { return };
        let track = unsettled.remove(index).track;
        let Some(info) = track.seen.clone() else { return };
        let waiters = self.start_waiters();
        self.retire(Cause::Refused);
        for command in waiters {
            self.refuse(&command, Refusal::AlreadyRecording);
        }
        self.hold(track, &info);
    }

    pub(super) fn start_answered(&mut self, uid: &Uid, result: &Result<EgressInfo, CallError>) {
        let error = match result {
            Ok(info) => return self.tracked_seen(uid, info),
            // An answer to a call that was never made would be another attempt's.
            Err(error) if self.is_current(uid) && self.state.memory.may_send.is_none() => error,
            Err(_) => return,
        };
        let known = self.track(uid).is_some_and(|track| track.egress.is_some());
        match classify_start(error) {
            // Whatever the answer says, the egress was seen.
            _ if known => {}
            StartClass::Refused => self.refused(uid),
            StartClass::RefusedForGood => {
                let waiters = self.start_waiters();
                self.retire(Cause::Refused);
                for command in waiters {
                    self.refuse(&command, Refusal::StartFailed { reason: error.to_string() });
                }
            }
            StartClass::Unknown if !self.policy.keeps(Rule::NeverRepeatUnknown) => {
                self.state.memory.may_send = Some(uid.clone());
                self.try_start_again_later();
            }
            StartClass::Unknown => {
                self.state.durable.phase = Phase::Uncertain;
                self.look_now(uid);
            }
        }
    }

    /// The start was stopped while its call was under way.
    pub(super) fn stopped_start_answered(&mut self, uid: &Uid, result: &Result<EgressInfo, CallError>) {
        match result {
            Ok(info) => self.tracked_seen(uid, info),
            Err(error) => {
                let known = self.track(uid).is_some_and(|track| track.egress.is_some());
                if self.is_current(uid) && !known && classify_start(error) != StartClass::Unknown {
                    self.retire(Cause::Refused);
                }
            }
        }
    }

    /// The call outlived its start: what it began is told apart by its uid.
    pub(super) fn late_start_answered(&mut self, uid: &Uid, result: &Result<EgressInfo, CallError>) {
        if let Ok(info) = result {
            self.tracked_seen(uid, info);
        }
    }

    /// Refused: again under a fresh uid. The old one is unsettled, since a refusal may be wrong.
    fn refused(&mut self, uid: &Uid) {
        if !self.can_hold_one_more() {
            return;
        }
        if !self.policy.keeps(Rule::FreshUidAfterRefusal) {
            self.state.memory.may_send = Some(uid.clone());
            return self.try_start_again_later();
        }
        let Some(call_ends) = self.current().map(|current| current.track.call_ends) else { return };
        let fresh = self.fresh_track(call_ends);
        let Some(current) = self.state.durable.current.as_mut() else { return };
        debug_assert_eq!(current.track.uid, *uid, "only the current uid is retried");
        let old = std::mem::replace(&mut current.track, fresh);
        if self.policy.keeps(Rule::RefusedStaysUnsettled) {
            self.unsettle(old, Cause::Refused);
        }
        self.state.memory.may_send = Some(self.fresh.uid.clone());
        self.try_start_again_later();
    }

    /// A track under the uid and the secrets that this event brought.
    pub(super) fn fresh_track(&self, call_ends: Timestamp) -> Track {
        Track::unseen(self.fresh.uid.clone(), self.fresh.secrets.clone(), call_ends)
    }

    fn try_start_again_later(&mut self) {
        let memory = &mut self.state.memory;
        let pause = policy::back_off(policy::START_RETRY, memory.start_tries);
        memory.start_tries += 1;
        memory.retry_start = Some(self.at.plus(pause));
    }

    /// It records, in time: the start has worked.
    pub(super) fn now_active(&mut self, uid: &Uid) {
        let late = self.current().and_then(|c| c.deadline).is_some_and(|deadline| deadline <= self.at);
        if late && self.policy.keeps(Rule::StopAfterDeadline) {
            return self.give_up();
        }
        self.state.durable.phase = Phase::Active;
        if let Some(current) = self.state.durable.current.as_mut() {
            (current.command, current.deadline) = (None, None);
        }
        let memory = &mut self.state.memory;
        (memory.may_send, memory.retry_start, memory.start_tries) = (None, None, 0);
        self.look_anew(uid);
        // Soon, so that its recorder was seen before it goes: one that never was is missed for longer.
        self.look_within(uid, policy::START_POLL);
        let waiters = self.start_waiters();
        self.show_seen(uid);
        let room_name = self.state.durable.room_name.clone();
        let Some(recording) = self.track(uid).and_then(|track| track.recording(&room_name)) else { return };
        for command in waiters {
            let answer = Answer::Recording(Box::new(recording.clone()));
            self.answer_after(&command, &recording.recording_id, answer);
        }
    }

    /// The deadline passed: from this commit on the uid is unwanted, and the room can start again.
    pub(super) fn give_up(&mut self) {
        let Some(uid) = self.current().map(|current| current.track.uid.clone()) else { return };
        let waiters = self.start_waiters();
        self.retire(Cause::TimedOut);
        if !self.policy.keeps(Rule::TimedOutStaysUnsettled) {
            self.state.durable.unsettled.retain(|unsettled| unsettled.track.uid != uid);
        }
        let shown = self.track(&uid).and_then(|track| track.shown);
        if shown.is_some() {
            self.show_failed(&uid, TIMED_OUT);
        }
        if self.track(&uid).is_some() && self.policy.keeps(Rule::StopUnwanted) {
            self.owe_stop(&uid);
        }
        let recording = self.track(&uid).and_then(|track| track.recording(""));
        if shown.is_none() && self.track(&uid).is_some() {
            let signal = Signal::of_start(&self.state.room, RecordingStatus::Failed);
            self.effects.push(Effect::Signal(signal));
        }
        for command in waiters {
            let answer = Answer::Refused(Refusal::TimedOutStarting);
            match &recording {
                Some(recording) => self.answer_after(&command, &recording.recording_id, answer),
                None => self.answer(&command, answer),
            }
        }
    }

    /// The start ended before it recorded, or before we saw it record.
    pub(super) fn fail_start_waiters(&mut self, uid: &Uid, info: &EgressInfo) {
        let words = [&info.error, &info.details].into_iter().find(|text| !text.is_empty());
        let reason = words.cloned().unwrap_or_else(|| {
            format!("egress '{}' went to status '{}'", info.egress, info.status.recorded_as().name())
        });
        let id = RecordingId::new(self.state.room.clone(), info.egress.clone(), uid.clone());
        for command in self.start_waiters() {
            let refusal = Refusal::StartFailed { reason: reason.clone() };
            self.answer_after(&command, &id, Answer::Refused(refusal));
        }
    }
}
