//! Uids that hold no room and may not be forgotten yet (design 3).

use super::super::egress::EgressInfo;
use super::super::ledger::{Cause, Owed, Unsettled};
use super::super::{RecordingStatus, Timestamp, policy};
use super::draft::Draft;
use super::starting::TIMED_OUT;
use crate::ids::Uid;

/// What the document says when LiveKit reports a file that the store does not have.
const FILE_MISSING: &str = "LiveKit reported the recording complete, but its file is missing or empty";

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
        } else if status != RecordingStatus::Ending && (cause.is_unwanted() || deleted) {
            self.owe_stop(uid);
        }
    }

    fn label(&mut self, uid: &Uid, cause: Cause, status: RecordingStatus) {
        match cause {
            Cause::Held | Cause::Stopped | Cause::Ended => self.show_seen(uid),
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

    fn unsettled(&self, uid: &Uid) -> Option<&Unsettled> {
        self.state.durable.unsettled.iter().find(|unsettled| unsettled.track.uid == *uid)
    }

    /// An end without a file leaves nothing to judge; an end with one is looked at soon.
    pub(super) fn judge_needless_file(&mut self, uid: &Uid) {
        let Some(unsettled) = self.state.durable.unsettled.iter_mut().find(|u| u.track.uid == *uid) else {
            return;
        };
        let has_file = unsettled.track.seen.as_ref().is_some_and(|info| info.status.recorded_as().has_file());
        unsettled.file_judged = unsettled.track.is_over() && !has_file;
        if has_file {
            self.look_now(uid);
        }
    }

    /// The store has said whether the file of an ended recording is there.
    pub(super) fn file_judged(&mut self, uid: &Uid, there: bool) {
        let room_name = self.state.durable.room_name.clone();
        let Some(unsettled) = self.state.durable.unsettled.iter_mut().find(|u| u.track.uid == *uid) else {
            return;
        };
        unsettled.file_judged = true;
        let deleted = unsettled.deleted;
        let Some(mut recording) = unsettled.track.recording(&room_name) else { return };
        if deleted && there {
            let key = self.policy.files.blob_key(&recording);
            self.owe(Owed::Remove { recording: recording.recording_id, key });
        } else if !deleted && !there {
            recording.error.get_or_insert_with(|| FILE_MISSING.to_owned());
            self.show(uid, recording);
        }
    }

    /// A successful look at both lists did not show a uid whose egress was never known.
    pub(super) fn never_seen(&mut self, uid: &Uid) {
        let at = self.at;
        let Some(unsettled) = self.state.durable.unsettled.iter_mut().find(|u| u.track.uid == *uid) else {
            return;
        };
        if at >= unsettled.track.call_ends.plus(policy::NEVER_SEEN) {
            unsettled.empty_lists += 1;
        }
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
        self.state.memory.stops.retain(|uid, _| held(uid));
    }
}

impl Unsettled {
    /// Whether the uid may be forgotten (design 3).
    fn is_settled(&self, at: Timestamp) -> bool {
        let over = self.track.is_over() && self.file_judged;
        let never_seen = self.track.egress.is_none() && self.empty_lists >= policy::EMPTY_LISTS;
        over || never_seen || at >= self.since.plus(policy::UNSETTLED_AGE)
    }
}
