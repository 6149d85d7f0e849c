//! What looks at our own uids prove: life, loss, and the end of a recording that shows none.

use super::super::RecordingStatus;
use super::super::egress::{EgressStatus, LeaveReason};
use super::super::event::{Evidence, Listed, Presence};
use super::super::ledger::{Cause, Phase, Track, Unsettled};
use super::super::policy;
use super::super::reconcile::{File, FileVerdict};
use super::super::rules::Rule;
use super::draft::Draft;
use crate::ids::Uid;

/// What the document of a recording says whose egress is gone.
const LOST: &str = "the egress vanished while recording, and there is no file";
/// What it says of one that uploaded for too long.
const NEVER_ENDED: &str = "LiveKit showed no end within the upload limit, and there is no file";
/// What it says of one that was found stale.
const STALE: &str = "LiveKit said nothing new of the egress for too long, and nobody was in the room";

impl Draft<'_> {
    /// A look at one of our uids came back.
    pub(super) fn looked(&mut self, uid: &Uid, evidence: &Evidence) {
        if self.track(uid).is_none() {
            return;
        }
        let (at, policy) = (self.at, self.policy);
        self.state.memory.strikes.entry(uid.clone()).or_default().take_in(evidence, at, policy);
        match &evidence.listed {
            Listed::Found(info) => self.tracked_seen(uid, info),
            Listed::Absent => self.never_seen(uid),
            Listed::Doubtful | Listed::Unknown => {}
        }
        self.recorder_looked(uid, evidence.recorder);
        self.judge_label(uid);
        self.judge_file(uid);
        if self.is_proof_near(uid) {
            self.look_within(uid, policy::STRIKE_GAP);
        }
        self.stop_waiters_looked(uid);
    }

    /// Whether one look more, soon, may prove what the last one showed.
    fn is_proof_near(&self, uid: &Uid) -> bool {
        let Some(track) = self.track(uid).filter(|track| track.ran && !track.is_over()) else { return false };
        let strikes = self.strikes(uid);
        let leave_is_near = strikes.is_suspicious() && (track.recorder_seen || strikes.is_missed());
        match self.unsettled(uid) {
            None => leave_is_near,
            Some(unsettled) if unsettled.cause == Cause::Held => leave_is_near,
            Some(_) => {
                let waits = track.shown.is_none_or(|shown| !shown.is_terminal());
                waits && strikes.is_file_near(self.policy)
            }
        }
    }

    fn recorder_looked(&mut self, uid: &Uid, recorder: Presence) {
        let Some(track) = self.track_mut(uid).filter(|track| track.egress.is_some()) else { return };
        match recorder {
            Presence::Present => {
                (track.recorder_seen, track.left) = (true, None);
                self.shows_life(uid);
            }
            Presence::RoomEmpty if track.ran && track.recorder_seen => {
                // The meeting is over, so its recorder finished, whatever webhook was lost.
                track.left.get_or_insert(LeaveReason::Clean);
            }
            Presence::RoomEmpty | Presence::Absent | Presence::Unknown => {}
        }
        self.judge_recorder(uid);
    }

    /// A lost uid whose recorder is in the room is not wanted any more, and runs.
    fn shows_life(&mut self, uid: &Uid) {
        let lost = self.unsettled(uid).is_some_and(|unsettled| unsettled.cause == Cause::Lost);
        let owed = self.track(uid).is_some_and(|track| track.stop.is_some());
        if lost && !owed && self.policy.keeps(Rule::StopLostLife) {
            let at = self.at;
            if let Some(unsettled) = self.unsettled_mut(uid) {
                // What it recorded is still to be uploaded, and has its time from now.
                unsettled.since = at;
            }
            self.owe_stop(uid);
        }
    }

    /// What it means that the recorder is not in the room.
    fn judge_recorder(&mut self, uid: &Uid) {
        let Some(track) = self.track(uid).filter(|track| track.ran && !track.is_over()) else { return };
        let expected = track.is_uploading() || track.stop.is_some_and(|stop| stop.answered);
        let has_left = self.strikes(uid).is_away() && track.recorder_seen && expected;
        let lost = self.is_lost(uid);
        if self.is_current(uid) {
            match self.state.durable.phase {
                Phase::Active if lost => self.lose(uid),
                Phase::Stopping if lost || has_left => self.recorder_left_stopping(uid),
                _ => {}
            }
            return;
        }
        let at = self.at;
        let Some(unsettled) = self.unsettled_mut(uid) else { return };
        if lost && unsettled.cause == Cause::Held {
            (unsettled.cause, unsettled.since) = (Cause::Lost, at);
            self.show_ending(uid);
        } else if lost {
            // Nobody is left who could be stopped.
            unsettled.track.left.get_or_insert(LeaveReason::Lost);
        }
    }

    /// Whether it was seen to record, and its recorder is gone by two looks. One that was never seen in the
    /// room may be hidden from us: it is missed for longer, unless LiveKit does not know the egress either.
    fn is_lost(&self, uid: &Uid) -> bool {
        let Some(track) = self.track(uid).filter(|track| track.ran) else { return false };
        let strikes = self.strikes(uid);
        let known = track.recorder_seen || track.left.is_some() || strikes.is_unlisted(self.policy);
        if known {
            self.policy.keeps(Rule::LossFreesRoom) && strikes.is_away_for(self.policy.strike_gap())
        } else {
            self.policy.keeps(Rule::LossWithoutSighting) && strikes.is_away_for(self.policy.stale_after)
        }
    }

    /// The room is free; the label waits until the file is judged.
    fn lose(&mut self, uid: &Uid) {
        self.show_ending(uid);
        self.retire(Cause::Lost);
    }

    /// The recorder left after a stop: the room is free, and the upload may go on.
    pub(super) fn recorder_left_stopping(&mut self, uid: &Uid) {
        if self.policy.keeps(Rule::RecorderLeftFrees) {
            self.show_ending(uid);
            self.retire(Cause::Stopped);
        }
    }

    /// How a recording ended that shows no end itself: by its file, or for want of one.
    fn judge_label(&mut self, uid: &Uid) {
        let Some(unsettled) = self.unsettled(uid).filter(|unsettled| !unsettled.track.is_over()) else {
            return;
        };
        let (strikes, track) = (self.strikes(uid), &unsettled.track);
        let away = strikes.is_away() || !self.policy.keeps(Rule::RecorderProvesLife);
        let overdue = self.is_past_upload_limit(unsettled);
        let lost = unsettled.cause == Cause::Lost || self.is_lost(uid);
        let shows_nothing = strikes.is_unlisted(self.policy) || (lost && !track.is_ending());
        if track.egress.is_none() || !away || !(overdue || shows_nothing) {
            return;
        }
        let uploading = track.is_uploading() && self.policy.keeps(Rule::CleanLeaveUploads);
        match strikes.file(self.policy) {
            FileVerdict::There(file) => self.complete_by_file(uid, file),
            FileVerdict::NotThere if overdue || (track.ran && !uploading) => self.give_label(uid),
            FileVerdict::Open if track.ran && !self.policy.keeps(Rule::FileFirst) => self.give_label(uid),
            FileVerdict::NotThere | FileVerdict::Open => {}
        }
    }

    fn is_past_upload_limit(&self, unsettled: &Unsettled) -> bool {
        let limit = unsettled.since.plus(self.policy.upload_limit);
        limit <= self.at && self.policy.keeps(Rule::UploadLimit)
    }

    /// There is no end and no file. Before the upload limit the uid is kept, since a worker that only lost
    /// its connection may still upload.
    fn give_label(&mut self, uid: &Uid) {
        let Some(unsettled) = self.unsettled(uid) else { return };
        let overdue = self.is_past_upload_limit(unsettled);
        let stale = unsettled.track.stop.is_some_and(|stop| stop.stale);
        let (status, reason) = match (stale, unsettled.cause) {
            (true, _) => (RecordingStatus::Aborted, STALE),
            (false, Cause::Lost) => (RecordingStatus::Failed, LOST),
            (false, _) => (RecordingStatus::Failed, NEVER_ENDED),
        };
        let open = unsettled.track.shown.is_some_and(|shown| !shown.is_terminal());
        if open && !unsettled.deleted {
            self.show_verdict(uid, status, reason);
        }
        if let Some(unsettled) = self.unsettled_mut(uid) {
            unsettled.file_judged = overdue;
        }
    }

    /// LiveKit shows no end, but the file is there: complete, with the file's figures.
    fn complete_by_file(&mut self, uid: &Uid, file: File) {
        let room_name = self.state.durable.room_name.clone();
        let Some(unsettled) = self.unsettled_mut(uid) else { return };
        unsettled.file_judged = true;
        let deleted = unsettled.deleted;
        let Some(mut recording) = unsettled.track.recording(&room_name) else { return };
        if deleted {
            return self.owe_removal_of(recording);
        }
        recording.status = RecordingStatus::Complete;
        #[allow(clippy::cast_precision_loss, reason = "sizes and times stay far below 2^53")]
        let (size, modified) = (file.size as f64, file.modified as f64);
        recording.size = Some(size);
        recording.end_date = Some(modified);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
        let seconds = file.duration.map(|ms| ms as f64 / 1_000.0);
        recording.duration = seconds.or(recording.duration);
        self.show(uid, recording);
    }
}

impl Track {
    fn is_ending(&self) -> bool {
        self.seen.as_ref().is_some_and(|info| info.status == EgressStatus::Ending)
    }

    /// Whether it finished in order, as far as anybody saw: what follows is the upload.
    pub(super) fn is_uploading(&self) -> bool {
        self.is_ending() || self.left == Some(LeaveReason::Clean)
    }
}
