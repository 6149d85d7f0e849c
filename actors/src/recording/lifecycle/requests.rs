//! What clients ask for.

use super::super::effect::{Answer, Effect, Refusal};
use super::super::event::{Attendance, DeleteRequest, StartRequest, StopRequest, Unfinished};
use super::super::ledger::{Cause, Current, Owed, Phase, Waiting, Wants};
use super::super::rules::Rule;
use super::super::{RecordingStatus, policy};
use super::draft::Draft;
use crate::ids::{EgressId, RecordingId, Uid};

/// What the document of a recording says that was deleted with its room before it was over.
const DELETED: &str = "its room was deleted";

impl Draft<'_> {
    /// Saves the intent. What follows is `starting.rs`.
    pub(super) fn begin(&mut self, request: &StartRequest) {
        match request.attendance {
            Attendance::Somebody => {}
            Attendance::Nobody => return self.refuse(&request.command, Refusal::NoParticipants),
            Attendance::Unknown => {
                return self.refuse(&request.command, Refusal::Unavailable { dependency: "LiveKit" });
            }
        }
        if request.deadline <= self.at {
            return self.refuse(&request.command, Refusal::Unavailable { dependency: "store" });
        }
        if !self.can_hold_one_more() {
            return self.refuse(&request.command, Refusal::TooManyUnsettled);
        }
        self.state.durable.room_name.clone_from(&request.room_name);
        self.state.durable.phase = Phase::Starting;
        self.state.durable.current = Some(Current {
            track: self.fresh_track(request.deadline.plus(policy::CALL_GRACE)),
            command: Some(request.command.clone()),
            begun_by: Some(request.command.clone()),
            deadline: Some(request.deadline),
            layout: request.layout,
            encoding: request.encoding.clone(),
            stopping_since: None,
        });
        self.state.memory.waiting.push(Waiting {
            command: request.command.clone(),
            deadline: request.deadline,
            wants: Wants::Start,
        });
        self.state.memory.start_tries = 0;
        self.start_is_begun(request);
        self.look_before_start();
    }

    /// Looks into the room; only then, and only this actor, may send StartEgress for the uid.
    pub(super) fn look_before_start(&mut self) {
        let Some(uid) = self.current().map(|current| current.track.uid.clone()) else { return };
        self.state.memory.may_send = Some(uid.clone());
        self.state.memory.retry_start = None;
        if !self.policy.keeps(Rule::LookBeforeStart) {
            return self.send_start();
        }
        let mut known = vec![uid.clone()];
        known.extend(self.state.durable.unsettled.iter().map(|unsettled| unsettled.track.uid.clone()));
        self.effects.push(Effect::LookBeforeStart { uid, known });
    }

    /// A start whose deadline has passed holds the room no longer, even if nobody has said so yet.
    pub(super) fn begin_after_deadline(&mut self, request: &StartRequest) {
        let over = self.current().and_then(|c| c.deadline).is_some_and(|deadline| deadline <= self.at);
        if !over || !self.policy.keeps(Rule::DeadlineFreesRoom) {
            return self.refuse_start(request);
        }
        self.give_up();
        self.begin(request);
    }

    pub(super) fn refuse_start(&mut self, request: &StartRequest) {
        if self.state.durable.phase == Phase::Active
            && let Some(uid) = self.current().map(|current| current.track.uid.clone())
        {
            // Somebody wants the room: if its recorder is dead, that is found out soon.
            self.look_within(&uid, policy::START_POLL);
        }
        self.refuse(&request.command, Refusal::AlreadyRecording);
    }

    pub(super) fn stop_active(&mut self, request: &StopRequest) {
        if self.current_with(&request.recording.egress).is_none() {
            return self.stop_what_is_not_current(request);
        }
        self.wait_for_stop(request);
        self.stop_current();
    }

    /// What records ends, by our decision.
    pub(super) fn stop_current(&mut self) {
        let Some(current) = &mut self.state.durable.current else { return };
        current.stopping_since = Some(self.at);
        let uid = current.track.uid.clone();
        self.state.durable.phase = Phase::Stopping;
        self.look_anew(&uid);
        self.owe_stop(&uid);
    }

    pub(super) fn stop_again(&mut self, request: &StopRequest) {
        let Some(uid) = self.current_with(&request.recording.egress) else {
            return self.stop_what_is_not_current(request);
        };
        let track = self.track(&uid);
        let answered = track.and_then(|track| track.stop).is_some_and(|stop| stop.answered);
        let ending = track.and_then(|track| track.seen.as_ref()).is_some_and(|info| {
            info.status.recorded_as() == RecordingStatus::Ending || info.status.is_terminal()
        });
        if answered || ending {
            return self.refuse(&request.command, Refusal::AlreadyStopped);
        }
        self.wait_for_stop(request);
    }

    /// The stop is remembered and carried out; both requests learn at once how it stands (design 4).
    pub(super) fn stop_while_starting(&mut self, request: &StopRequest) {
        let Some(uid) = self.current_with(&request.recording.egress) else {
            return self.stop_what_is_not_current(request);
        };
        let reason = "it was stopped while starting".to_owned();
        for command in self.start_waiters() {
            self.refuse(&command, Refusal::StartFailed { reason: reason.clone() });
        }
        if let Some(current) = &mut self.state.durable.current {
            current.command = None;
            current.stopping_since = Some(self.at);
        }
        self.state.durable.phase = Phase::Stopping;
        self.state.memory.may_send = None;
        self.look_anew(&uid);
        self.owe_stop(&uid);
        self.stop_is_begun(request);
        self.refuse(&request.command, Refusal::StillStarting);
    }

    pub(super) fn stop_what_is_not_current(&mut self, request: &StopRequest) {
        let egress = &request.recording.egress;
        let held = self.state.durable.unsettled.iter().find(|u| u.track.egress.as_ref() == Some(egress));
        let Some(held) = held else {
            let over = request.document.is_some_and(RecordingStatus::is_terminal);
            let refusal = if over { Refusal::AlreadyStopped } else { Refusal::NotHeld };
            return self.refuse(&request.command, refusal);
        };
        if held.cause.is_unwanted() || held.track.is_over() || held.track.stop.is_some() {
            return self.refuse(&request.command, Refusal::AlreadyStopped);
        }
        let uid = held.track.uid.clone();
        self.wait_for_stop(request);
        self.owe_stop(&uid);
    }

    fn wait_for_stop(&mut self, request: &StopRequest) {
        self.stop_is_begun(request);
        let wants = Wants::Stop { egress: request.recording.egress.clone(), asked: false };
        self.state.memory.waiting.push(Waiting {
            command: request.command.clone(),
            deadline: request.deadline,
            wants,
        });
    }

    fn current_with(&self, egress: &EgressId) -> Option<Uid> {
        let current = self.current()?;
        (current.track.egress.as_ref() == Some(egress)).then(|| current.track.uid.clone())
    }

    /// A delete is a decision: committed first, then the file goes, then the document.
    pub(super) fn delete(&mut self, request: &DeleteRequest) {
        let id = &request.recording;
        let holds_room = self.is_current(&id.uid);
        match request.document {
            None => return self.refuse(&request.command, Refusal::NotFound),
            Some(status) if !status.is_terminal() || holds_room => match request.unfinished {
                Unfinished::Refuse => return self.refuse(&request.command, Refusal::NotStopped),
                Unfinished::Abort => self.abort(id),
            },
            Some(_) => {}
        }
        let removed = |effect: &Owed| matches!(effect, Owed::Remove { recording, .. } if recording == id);
        let pending = &self.state.durable.pending;
        let number = match pending.iter().find(|pending| removed(&pending.effect)) {
            // It is being deleted already: both requests wait for the same.
            Some(pending) => pending.number,
            None if pending.len() >= policy::PENDING_MAX => {
                return self.refuse(&request.command, Refusal::Unavailable { dependency: "store" });
            }
            None => self.owe_removal(request),
        };
        let wants = Wants::Effect { number, answer: Answer::Deleted };
        let (command, deadline) = (request.command.clone(), request.deadline);
        self.state.memory.waiting.push(Waiting { command, deadline, wants });
    }

    /// What records, or is not over yet, is stopped and shown as aborted: its room goes, and all of its recordings.
    fn abort(&mut self, id: &RecordingId) {
        let uid = &id.uid;
        if self.is_current(uid) {
            for command in self.start_waiters() {
                let reason = DELETED.to_owned();
                self.refuse(&command, Refusal::StartFailed { reason });
            }
            self.show_verdict(uid, RecordingStatus::Aborted, DELETED);
            self.retire(Cause::Stopped);
        } else if self.unsettled(uid).is_some_and(|unsettled| !unsettled.track.is_over()) {
            self.show_verdict(uid, RecordingStatus::Aborted, DELETED);
        }
        if self.track(uid).is_some_and(|track| !track.is_over()) {
            self.owe_stop(uid);
        }
        self.stop_waiters_see_end(&id.egress);
    }

    fn owe_removal(&mut self, request: &DeleteRequest) -> u64 {
        let id = &request.recording;
        if let Some(unsettled) = self.state.durable.unsettled.iter_mut().find(|u| u.track.uid == id.uid) {
            unsettled.deleted = self.policy.keeps(Rule::DeletedStaysDeleted);
        }
        self.drop_unbegun_projections(id);
        self.owe(Owed::Remove { recording: id.clone(), key: request.key.clone() });
        self.state.durable.effects_numbered
    }

    /// Projections that nobody has begun would only bring a deleted document back.
    fn drop_unbegun_projections(&mut self, recording: &RecordingId) {
        let begun = &self.state.memory.effects;
        self.state.durable.pending.retain(|pending| {
            let shows = matches!(pending.effect, Owed::Project { .. })
                && pending.effect.recording() == Some(recording);
            !shows || begun.contains_key(&pending.number)
        });
    }
}
