//! Uids that hold no room and may not be forgotten yet (design 3).

use std::time::Duration;

use super::super::egress::EgressInfo;
use super::super::ledger::{Cause, Owed, Unsettled};
use super::super::reconcile::FileVerdict;
use super::super::rules::Rule;
use super::super::{FILE_MISSING, Recording, RecordingStatus, Timestamp, policy};
use super::draft::Draft;
use super::starting::TIMED_OUT;
use crate::ids::Uid;

impl Draft<'_> {
    /// News of an unsettled uid: stopped if it runs unwanted, shown if it is worth showing.
    pub(super) fn unsettled_seen(&mut self, uid: &Uid, info: &EgressInfo) {
        let Some(unsettled) = self.unsettled(uid) else { return };
        let (cause, deleted) = (unsettled.cause, unsettled.deleted);
        let status = info.status.recorded_as();
        if !deleted {
            self.label(uid, cause, status);
        }
        if status.is_terminal() {
            self.judge_needless_file(uid);
            self.stop_waiters_see_end(&info.egress);
        } else if status != RecordingStatus::Ending
            && (cause.is_stopped_when_listed() || deleted)
            && self.policy.keeps(Rule::StopUnwanted)
        {
            self.owe_stop(uid);
        }
    }

    fn label(&mut self, uid: &Uid, cause: Cause, status: RecordingStatus) {
        match cause {
            Cause::Held | Cause::Stopped | Cause::Ended => self.show_seen(uid),
            // Listed as ACTIVE for ever; only what is further on is news.
            Cause::Lost if !matches!(status, RecordingStatus::Starting | RecordingStatus::Active) => {
                self.show_seen(uid);
            }
            Cause::Lost => {}
            // The client was told that it did not work; only a file changes that.
            Cause::TimedOut | Cause::Refused => {
                let shown = self.track(uid).and_then(|track| track.shown);
                if status.has_file() {
                    self.show_seen(uid);
                } else if shown.is_none() {
                    self.show_failed(uid, TIMED_OUT);
                }
            }
        }
    }

    pub(super) fn unsettled(&self, uid: &Uid) -> Option<&Unsettled> {
        self.state.durable.unsettled.iter().find(|unsettled| unsettled.track.uid == *uid)
    }

    pub(super) fn unsettled_mut(&mut self, uid: &Uid) -> Option<&mut Unsettled> {
        self.state.durable.unsettled.iter_mut().find(|unsettled| unsettled.track.uid == *uid)
    }

    /// An end without a file leaves nothing to judge; an end with one is looked at soon.
    pub(super) fn judge_needless_file(&mut self, uid: &Uid) {
        let verifies = self.policy.keeps(Rule::VerifyFile);
        let Some(unsettled) = self.unsettled_mut(uid) else { return };
        let has_file = unsettled.track.seen.as_ref().is_some_and(|info| info.status.recorded_as().has_file());
        unsettled.file_judged = unsettled.track.is_over() && !(has_file && verifies);
        if has_file {
            // What earlier looks missed was not uploaded yet.
            self.state.memory.strikes.remove(uid);
            self.look_now(uid);
        }
    }

    /// LiveKit said that the file is there: the store has the last word. A file that is missing is said in
    /// the document, and looked for until the upload limit, since the error goes when the file turns up.
    pub(super) fn judge_file(&mut self, uid: &Uid) {
        let room_name = self.state.durable.room_name.clone();
        let (strikes, policy) = (self.strikes(uid), self.policy);
        let Some(unsettled) = self.unsettled(uid).filter(|u| u.track.is_over() && !u.file_judged) else {
            return;
        };
        let (deleted, missed) = (unsettled.deleted, unsettled.file_missed);
        let overdue = unsettled.since.plus(policy.upload_limit) <= self.at;
        let Some(mut recording) = unsettled.track.recording(&room_name) else { return };
        let not_there = strikes.file(policy) == FileVerdict::NotThere;
        if strikes.has_file() {
            if deleted {
                self.owe_removal_of(recording);
            } else if missed {
                self.show(uid, recording);
            }
        } else if not_there && !deleted && !missed {
            recording.error = Some(FILE_MISSING.to_owned());
            self.show(uid, recording);
        }
        let Some(unsettled) = self.unsettled_mut(uid) else { return };
        unsettled.file_judged = strikes.has_file() || (not_there && overdue);
        unsettled.file_missed |= not_there;
    }

    /// A deleted recording had a file, and it is gone. One that had none may still get it.
    pub(super) fn file_removed(&mut self, number: u64) {
        let pending = self.state.durable.pending.iter().find(|pending| pending.number == number);
        let uid = pending.and_then(|pending| pending.effect.recording()).map(|id| id.uid.clone());
        if let Some(unsettled) = uid.and_then(|uid| self.unsettled_mut(&uid)) {
            unsettled.file_judged |= unsettled.track.is_over();
        }
        self.effect_done(number);
    }

    /// Removes what turned up of a recording that a client deleted.
    pub(super) fn owe_removal_of(&mut self, recording: Recording) {
        let key = self.policy.files.blob_key(&recording);
        self.owe(Owed::Remove { recording: recording.recording_id, key });
    }

    /// A successful look at both lists did not show a uid whose egress was never known.
    pub(super) fn never_seen(&mut self, uid: &Uid) {
        let at = self.at;
        let wait = if self.policy.keeps(Rule::KeepNeverSeen) { policy::NEVER_SEEN } else { Duration::ZERO };
        let Some(unsettled) = self.unsettled_mut(uid).filter(|u| u.track.egress.is_none()) else { return };
        if at >= unsettled.track.call_ends.plus(wait) {
            unsettled.empty_lists += 1;
        }
    }

    /// Makes room for one more uid: the oldest goes that is lost and was called failed. False if all of them
    /// may still bring something.
    pub(super) fn can_hold_one_more(&mut self) -> bool {
        let unsettled = &mut self.state.durable.unsettled;
        if unsettled.len() < policy::UNSETTLED_MAX {
            return true;
        }
        let told =
            |u: &Unsettled| u.cause == Cause::Lost && u.track.shown.is_some_and(RecordingStatus::is_terminal);
        let oldest = unsettled.iter().position(told);
        oldest.map(|index| unsettled.remove(index)).is_some()
    }

    /// Forgets the uids whose end is known, or that are too old to matter.
    pub(super) fn forget_settled(&mut self) {
        let at = self.at;
        self.state.durable.unsettled.retain(|unsettled| !unsettled.is_settled(at));
        let row = &self.state.durable;
        let held = |uid: &Uid| {
            row.current.as_ref().is_some_and(|current| current.track.uid == *uid)
                || row.unsettled.iter().any(|unsettled| unsettled.track.uid == *uid)
        };
        self.state.memory.looks.retain(|uid, _| held(uid));
        self.state.memory.strikes.retain(|uid, _| held(uid));
        self.state.memory.stops.retain(|uid, _| held(uid));
    }
}

impl Unsettled {
    /// Whether the uid may be forgotten (design 3).
    fn is_settled(&self, at: Timestamp) -> bool {
        let never_seen = self.track.egress.is_none() && self.empty_lists >= policy::EMPTY_LISTS;
        self.file_judged || never_seen || at >= self.since.plus(policy::UNSETTLED_AGE)
    }
}
