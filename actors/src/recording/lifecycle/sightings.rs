//! What LiveKit shows: answers, listings and webhooks, in any order, doubled, delayed or lost.

use super::super::egress::{EgressInfo, EgressStatus, LeaveReason};
use super::super::event::{Evidence, FileEvidence, Listed, Sighting, Source};
use super::super::ledger::{Cause, Current, Look, Phase, Track};
use super::super::reconcile::{Verdict, judge};
use super::super::{RecordingStatus, Timestamp, policy};
use super::draft::Draft;
use crate::ids::{EgressId, Uid};

impl Draft<'_> {
    /// The uid of an egress if it is ours: one that the row knows by id, or a room composite in this room
    /// whose path has our form.
    pub(super) fn uid_of(&self, info: &EgressInfo) -> Option<Uid> {
        if info.room != self.state.room {
            return None;
        }
        if let Some(uid) = self.uid_with(&info.egress) {
            return Some(uid);
        }
        self.policy.files.uid_of(&info.room, info.filepath.as_deref()?)
    }

    /// A webhook, or LiveKit's answer about an egress that the row did not know.
    pub(super) fn sighted(&mut self, sighting: &Sighting) {
        let info = &sighting.info;
        let Some(uid) = self.uid_of(info) else { return };
        if self.track(&uid).is_some() {
            return self.tracked_seen(&uid, info);
        }
        let status = info.status.recorded_as();
        match (sighting.document, status.is_terminal(), sighting.source) {
            // Late truth, or the end of a recording that no row holds.
            (Some(shown), true, _) => {
                if shown != status && shown.may_become(status) {
                    self.name_room(&sighting.room_name);
                    self.take_up_ended(&uid, info, shown);
                }
            }
            // Over, and neither row nor document knows it: nothing to be done.
            (None, true, _) => {}
            // An old webhook of a recording that is over.
            (Some(shown), false, _) if shown.is_terminal() => {}
            (_, false, Source::Webhook) => {
                self.effects.push(super::super::effect::Effect::Identify { egress: info.egress.clone() });
            }
            (document, false, Source::Call) => {
                self.name_room(&sighting.room_name);
                self.adopt(&uid, info, document);
            }
        }
    }

    fn name_room(&mut self, name: &str) {
        if self.state.durable.room_name.is_empty() {
            name.clone_into(&mut self.state.durable.room_name);
        }
    }

    fn take_up_ended(&mut self, uid: &Uid, info: &EgressInfo, shown: RecordingStatus) {
        let mut track = self.track_for(uid, Some(shown));
        track.see(info);
        self.unsettle(track, Cause::Ended);
        self.show_seen(uid);
    }

    /// Attaches to an egress that runs in our form and that nobody here issued.
    pub(super) fn adopt(&mut self, uid: &Uid, info: &EgressInfo, document: Option<RecordingStatus>) {
        let track = self.track_for(uid, document);
        if self.state.durable.phase != Phase::Idle {
            self.unsettle(track, Cause::Held);
            return self.tracked_seen(uid, info);
        }
        self.state.durable.phase = Phase::Starting;
        self.state.durable.current = Some(Current {
            track,
            command: None,
            deadline: None,
            layout: info.layout,
            encoding: info.encoding.clone(),
            stopping_since: None,
        });
        self.tracked_seen(uid, info);
    }

    fn track_for(&self, uid: &Uid, shown: Option<RecordingStatus>) -> Track {
        Track { shown, ..Track::unseen(uid.clone(), self.fresh.secrets.clone(), self.at) }
    }

    /// A view of an egress that the row holds.
    pub(super) fn tracked_seen(&mut self, uid: &Uid, info: &EgressInfo) {
        if let Some(look) = self.state.memory.looks.get_mut(uid) {
            (look.missed_since, look.file) = (None, None);
        }
        if self.state.memory.may_send.as_ref() == Some(uid) {
            // It runs already, whoever started it: it must not be started again.
            self.state.memory.may_send = None;
            self.state.memory.retry_start = None;
        }
        let first = self.track(uid).is_some_and(|track| track.egress.is_none());
        let Some(track) = self.track_mut(uid) else { return };
        if !track.see(info) {
            return;
        }
        if self.is_current(uid) {
            self.current_seen(uid, info);
            let owed = self.track(uid).is_some_and(|track| track.stop.is_some() && track.shown_live());
            if first && owed {
                self.send_stop(uid);
            }
        } else {
            self.unsettled_seen(uid, info);
        }
    }

    fn current_seen(&mut self, uid: &Uid, info: &EgressInfo) {
        match (info.status, self.state.durable.phase) {
            (EgressStatus::Active, Phase::Starting | Phase::Uncertain) => self.now_active(uid),
            (EgressStatus::Starting | EgressStatus::Active, _) => self.show_seen(uid),
            (EgressStatus::Ending, phase) => {
                self.show_seen(uid);
                if phase != Phase::Stopping {
                    self.now_ending(uid, info);
                }
            }
            (
                EgressStatus::Complete
                | EgressStatus::Failed
                | EgressStatus::Aborted
                | EgressStatus::LimitReached,
                _,
            ) => {
                self.show_seen(uid);
                self.now_over(uid, info);
            }
        }
    }

    fn now_ending(&mut self, uid: &Uid, info: &EgressInfo) {
        self.fail_start_waiters(uid, info);
        self.look_anew(uid);
        self.state.durable.phase = Phase::Stopping;
        self.state.memory.may_send = None;
        if let Some(current) = self.state.durable.current.as_mut() {
            (current.command, current.deadline) = (None, None);
            current.stopping_since.get_or_insert(self.at);
        }
    }

    /// Over: the room is free at once; the uid stays until its file is judged.
    fn now_over(&mut self, uid: &Uid, info: &EgressInfo) {
        self.fail_start_waiters(uid, info);
        self.state.memory.may_send = None;
        self.retire(Cause::Ended);
        self.judge_needless_file(uid);
        self.stop_waiters_see_end(&info.egress);
    }

    /// The hidden participant left while the room records, starts, or is idle.
    pub(super) fn recorder_left(&mut self, egress: &EgressId, reason: LeaveReason) {
        let Some(uid) = self.uid_with(egress) else { return };
        if let Some(track) = self.track_mut(&uid) {
            track.left = Some(reason);
        }
        self.look_now(&uid);
    }

    /// The hidden participant left after a stop: the room is free, and the upload may go on.
    pub(super) fn recorder_left_stopping(&mut self, egress: &EgressId, reason: LeaveReason) {
        self.recorder_left(egress, reason);
        if self.uid_with(egress).is_some_and(|uid| self.is_current(&uid)) {
            self.retire(Cause::Stopped);
        }
    }

    pub(super) fn uid_with(&self, egress: &EgressId) -> Option<Uid> {
        let row = &self.state.durable;
        let current = row.current.as_ref().map(|current| &current.track);
        let unsettled = row.unsettled.iter().map(|unsettled| &unsettled.track);
        let mut tracks = current.into_iter().chain(unsettled);
        tracks.find(|track| track.egress.as_ref() == Some(egress)).map(|track| track.uid.clone())
    }

    /// A look at one of our uids came back.
    pub(super) fn looked(&mut self, uid: &Uid, evidence: &Evidence) {
        if self.judges_only_file(uid) {
            return self.judge_file(uid, evidence.file);
        }
        let at = self.at;
        let Some(egress_known) = self.track(uid).map(|track| track.egress.is_some()) else { return };
        let look = self.state.memory.looks.entry(uid.clone()).or_insert(Look::at(at));
        if !egress_known && evidence.listed == Listed::Absent {
            return self.never_seen(uid);
        }
        let verdict = judge(look, evidence, at);
        match verdict {
            Verdict::Shown(info) => self.tracked_seen(uid, &info),
            Verdict::Wait => {}
            Verdict::Missed => look.due = at.plus(policy::STRIKE_GAP),
            Verdict::Missing => self.missing(uid),
            Verdict::FileComplete { size, modified } => self.complete_by_file(uid, size, modified),
        }
        self.stop_waiters_looked(uid);
    }

    /// LiveKit forgot it, no recorder is in the room, and there is no file.
    fn missing(&mut self, uid: &Uid) {
        if self.is_current(uid) && !matches!(self.state.durable.phase, Phase::Active | Phase::Stopping) {
            // A start is judged by its deadline alone.
            return;
        }
        self.show_failed(uid, "LiveKit no longer knows the egress and there is no file");
        if self.is_current(uid) {
            self.retire(Cause::Ended);
        }
        self.state.durable.unsettled.retain(|unsettled| unsettled.track.uid != *uid);
    }

    /// LiveKit forgot it, but its file is there: complete, with the file's figures.
    fn complete_by_file(&mut self, uid: &Uid, size: u64, modified: i64) {
        let room_name = self.state.durable.room_name.clone();
        let recording = self.track(uid).and_then(|track| track.recording(&room_name));
        if let Some(mut recording) = recording {
            recording.status = RecordingStatus::Complete;
            #[allow(clippy::cast_precision_loss, reason = "sizes and times stay far below 2^53")]
            let (size, modified) = (size as f64, modified as f64);
            recording.size = Some(size);
            recording.end_date = Some(modified);
            self.show(uid, recording);
        }
        if self.is_current(uid) {
            self.retire(Cause::Ended);
        }
        self.state.durable.unsettled.retain(|unsettled| unsettled.track.uid != *uid);
    }

    pub(super) fn judges_only_file(&self, uid: &Uid) -> bool {
        let mut unsettled = self.state.durable.unsettled.iter();
        unsettled.any(|u| u.track.uid == *uid && u.track.is_over() && !u.file_judged)
    }

    fn judge_file(&mut self, uid: &Uid, file: FileEvidence) {
        let there = match file {
            FileEvidence::Unknown => return,
            FileEvidence::There { size, .. } => size > 0,
            FileEvidence::NotThere => false,
        };
        self.file_judged(uid, there);
    }
}

impl Track {
    /// Whether, by its newest view, it can still be stopped.
    pub(super) fn shown_live(&self) -> bool {
        self.seen
            .as_ref()
            .is_none_or(|info| matches!(info.status, EgressStatus::Starting | EgressStatus::Active))
    }
}

impl Look {
    pub(super) fn at(due: Timestamp) -> Self {
        Self { due, tries: 0, missed_since: None, file: None }
    }
}
