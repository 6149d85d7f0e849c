//! How a stop goes on, and what its requests are told.

use super::super::effect::{Answer, Refusal};
use super::super::egress::{CallError, EgressInfo, StopClass, classify_stop};
use super::super::ledger::{Waiting, Wants};
use super::draft::Draft;
use crate::ids::{CommandId, EgressId, RecordingId, Uid};

impl Draft<'_> {
    /// StopEgress came back.
    pub(super) fn stop_answered(&mut self, egress: &EgressId, result: &Result<EgressInfo, CallError>) {
        let error = match result {
            Ok(info) => return self.stop_accepted(egress, info),
            Err(error) => error,
        };
        match classify_stop(error) {
            StopClass::AskById => {
                self.mark_asked(egress);
                if let Some(uid) = self.uid_with(egress) {
                    self.look_now(&uid);
                }
                self.answer_if_over(egress);
            }
            StopClass::Refused => {
                for command in self.stop_waiters(egress) {
                    self.refuse(&command, Refusal::StopFailed { reason: error.to_string() });
                }
            }
            // The stop stays owed and is repeated; its requests wait until their deadline.
            StopClass::Unknown => self.mark_asked(egress),
        }
    }

    fn stop_accepted(&mut self, egress: &EgressId, info: &EgressInfo) {
        let waiters = self.stop_waiters(egress);
        let Some(uid) = self.uid_with(egress) else {
            // Settled meanwhile, by a webhook that overtook this answer.
            return self.answer_stopped(&waiters, self.uid_of(info), info);
        };
        if let Some(stop) = self.track_mut(&uid).and_then(|track| track.stop.as_mut()) {
            stop.answered = true;
        }
        // Kept from being told "already stopped" by the very end that this stop brought about.
        let waiting = std::mem::take(&mut self.state.memory.waiting);
        let (kept, others) = waiting.into_iter().partition(|waiting| waiters.contains(&waiting.command));
        self.state.memory.waiting = others;
        self.tracked_seen(&uid, info);
        self.state.memory.waiting.extend::<Vec<Waiting>>(kept);
        self.answer_stopped(&waiters, Some(uid), info);
    }

    fn answer_stopped(&mut self, commands: &[CommandId], uid: Option<Uid>, info: &EgressInfo) {
        let Some(uid) = uid else {
            for command in commands {
                self.refuse(command, Refusal::AlreadyStopped);
            }
            return;
        };
        let room_name = self.state.durable.room_name.clone();
        let recording = info.to_recording(&uid, &room_name);
        for command in commands {
            let answer = Answer::Recording(Box::new(recording.clone()));
            self.answer_after(command, &recording.recording_id, answer);
        }
    }

    /// The egress was seen to be over. Requests whose own call still runs wait for its answer; the others
    /// came too late.
    pub(super) fn stop_waiters_see_end(&mut self, egress: &EgressId) {
        let late =
            self.waiters(|wants| matches!(wants, Wants::Stop { egress: e, asked: true } if e == egress));
        let uid = self.uid_with(egress);
        for command in late {
            let answer = Answer::Refused(Refusal::AlreadyStopped);
            match &uid {
                Some(uid) => {
                    let id = RecordingId::new(self.state.room.clone(), egress.clone(), uid.clone());
                    self.answer_after(&command, &id, answer);
                }
                None => self.answer(&command, answer),
            }
        }
    }

    /// A look came back: a request that waited for it may be answered now.
    pub(super) fn stop_waiters_looked(&mut self, uid: &Uid) {
        if let Some(egress) = self.track(uid).and_then(|track| track.egress.clone()) {
            self.answer_if_over(&egress);
        }
    }

    fn answer_if_over(&mut self, egress: &EgressId) {
        let uid = self.uid_with(egress);
        let over =
            uid.as_ref().and_then(|uid| self.track(uid)).is_none_or(super::super::ledger::Track::is_over);
        if over {
            self.stop_waiters_see_end(egress);
        }
    }

    /// The deadline of a request for a stop: true is what LiveKit showed, or that the stop is owed.
    pub(super) fn stop_overdue(&mut self, command: &CommandId, egress: &EgressId) {
        let uid = self.uid_with(egress);
        let track = uid.as_ref().and_then(|uid| self.track(uid));
        let refusal = match track {
            None => Refusal::AlreadyStopped,
            Some(track) if !track.shown_live() => Refusal::AlreadyStopped,
            Some(_) => Refusal::StopOwed,
        };
        self.refuse(command, refusal);
    }

    fn mark_asked(&mut self, wanted: &EgressId) {
        for waiting in &mut self.state.memory.waiting {
            if let Wants::Stop { egress, asked } = &mut waiting.wants {
                *asked |= egress == wanted;
            }
        }
    }

    fn stop_waiters(&self, wanted: &EgressId) -> Vec<CommandId> {
        self.waiters(
            |wants| matches!(wants, Wants::Stop { egress, .. } | Wants::End { egress } if egress == wanted),
        )
    }
}
