//! What LiveKit shows: answers, listings and webhooks, in any order, doubled, delayed or lost.

use super::super::egress::{EgressInfo, EgressStatus, LeaveReason};
use super::super::event::{Sighting, Source, UnheldRecording};
use super::super::ledger::{Cause, Current, Owed, Phase, Track};
use super::super::rules::Rule;
use super::super::{RecordingStatus, Timestamp};
use super::draft::Draft;
use crate::ids::{EgressId, RecordingId, Uid};

const NS_PER_MS: i64 = 1_000_000;

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
        let document = self.owed_status(&uid).or(sighting.document);
        match (document, status.is_terminal(), sighting.source) {
            // Late truth, or the end of a recording that no row holds.
            (Some(shown), true, _) => {
                if shown != status && shown.may_become(status) {
                    self.name_room(&sighting.room_name);
                    self.take_up_ended(&uid, info, shown);
                }
            }
            // Over, and neither row nor document knows it: nothing to be done.
            (None, true, _) => {}
            // Called over, and it runs: nobody waits for it any more.
            (Some(shown), false, Source::Recorder) if shown.is_terminal() => {
                self.name_room(&sighting.room_name);
                self.take_up_running(&uid, info, shown);
            }
            // An old webhook of a recording that is over, or LiveKit's list of the dead.
            (Some(shown), false, _) if shown.is_terminal() => {}
            (_, false, Source::Webhook) => {
                self.effects.push(super::super::effect::Effect::Identify { egress: info.egress.clone() });
            }
            (document, false, Source::Call | Source::Recorder) => {
                self.name_room(&sighting.room_name);
                self.adopt(&uid, info, document);
            }
        }
    }

    /// What a document is about to show: whoever read it may have read it before.
    fn owed_status(&self, uid: &Uid) -> Option<RecordingStatus> {
        let pending = self.state.durable.pending.iter().rev();
        let mut owed = pending.filter_map(|pending| match &pending.effect {
            Owed::Project { recording, .. } if recording.recording_id.uid == *uid => Some(recording.status),
            _ => None,
        });
        owed.next()
    }

    fn name_room(&mut self, name: &str) {
        if self.state.durable.room_name.is_empty() {
            name.clone_into(&mut self.state.durable.room_name);
        }
    }

    fn take_up_ended(&mut self, uid: &Uid, info: &EgressInfo, shown: RecordingStatus) {
        let mut track = self.track_for(uid, Some(shown));
        track.see(info, self.policy);
        self.unsettle(track, Cause::Ended);
        self.show_seen(uid);
        self.judge_needless_file(uid);
    }

    /// Lost, called failed and forgotten, and its recorder sits in the room: it is stopped, and its file kept.
    fn take_up_running(&mut self, uid: &Uid, info: &EgressInfo, shown: RecordingStatus) {
        if !self.policy.keeps(Rule::StopLostLife) || !self.can_hold_one_more() {
            return;
        }
        let mut track = self.track_for(uid, Some(shown));
        track.see(info, self.policy);
        track.recorder_seen = true;
        self.unsettle(track, Cause::Lost);
        self.owe_stop(uid);
    }

    /// A document shows a recording that is not over. If no row holds it, an older process began it, or the
    /// original did: it is taken up, and what LiveKit shows decides.
    pub(super) fn unheld(&mut self, found: &UnheldRecording) {
        let recording = &found.recording;
        let uid = &recording.recording_id.uid;
        let owed = self.state.durable.pending.iter();
        let is_owed = owed.filter_map(|p| p.effect.recording()).any(|id| *id == recording.recording_id);
        if self.track(uid).is_some() || is_owed || !self.policy.keeps(Rule::TakeUpDocuments) {
            return;
        }
        let Some(info) = EgressInfo::of_document(recording, found.updated_at) else { return };
        if !self.can_hold_one_more() {
            // A janitor finds it again.
            return;
        }
        self.name_room(&recording.room_name);
        let mut track = self.track_for(uid, Some(recording.status));
        track.see(&info, self.policy);
        track.ran = recording.status != RecordingStatus::Starting;
        if recording.status == RecordingStatus::Ending {
            self.unsettle(track, Cause::Stopped);
        } else {
            self.hold(track, &info);
        }
        self.look_now(uid);
    }

    /// A janitor found it stale: it is stopped, and its room is free with the stop.
    pub(super) fn found_stale(&mut self, recording: &RecordingId, updated_at: i64) {
        let uid = &recording.uid;
        let starts = matches!(self.state.durable.phase, Phase::Starting | Phase::Uncertain);
        if self.is_current(uid) && starts {
            // A start is judged by its deadline alone.
            return;
        }
        let Some(track) = self.track(uid).filter(|track| track.egress.as_ref() == Some(&recording.egress))
        else {
            return;
        };
        let newest = track.seen.as_ref().map_or(0, |info| info.updated_at).max(updated_at);
        let silent = self.at.since(Timestamp(newest / NS_PER_MS)) >= self.policy.stale_after;
        let stopped = track.stop.is_some_and(|stop| stop.answered);
        if track.is_over() || newest == 0 || !silent || stopped || track.is_uploading() {
            // What uploads is silent; the upload limit judges it.
            return;
        }
        if self.is_current(uid) && self.state.durable.phase == Phase::Active {
            self.state.durable.phase = Phase::Stopping;
            let at = self.at;
            if let Some(current) = &mut self.state.durable.current {
                current.stopping_since = Some(at);
            }
            self.look_anew(uid);
        }
        self.owe_stop(uid);
        if let Some(stop) = self.track_mut(uid).and_then(|track| track.stop.as_mut()) {
            stop.stale = true;
        }
    }

    /// A janitor found nothing behind it: it is looked at, and what the looks show decides.
    pub(super) fn found_orphan(&mut self, uid: &Uid) {
        if self.is_current(uid) {
            self.look_now(uid);
        }
    }

    /// Attaches to an egress that runs in our form and that nobody here issued.
    pub(super) fn adopt(&mut self, uid: &Uid, info: &EgressInfo, document: Option<RecordingStatus>) {
        let track = self.track_for(uid, document);
        self.hold(track, info);
        self.tracked_seen(uid, info);
    }

    /// Holds a track that nobody here issued: it holds the room if that is free. One that only starts has as
    /// long as a start of ours.
    pub(super) fn hold(&mut self, track: Track, info: &EgressInfo) {
        if self.state.durable.phase != Phase::Idle {
            return self.unsettle(track, Cause::Held);
        }
        let starts = !track.ran;
        self.state.durable.phase = if starts { Phase::Starting } else { Phase::Active };
        self.state.durable.current = Some(Current {
            track,
            command: None,
            begun_by: None,
            deadline: starts.then(|| self.at.plus(self.policy.start_timeout)),
            layout: info.layout,
            encoding: info.encoding.clone(),
            stopping_since: None,
        });
    }

    fn track_for(&self, uid: &Uid, shown: Option<RecordingStatus>) -> Track {
        Track { shown, ..Track::unseen(uid.clone(), self.fresh.secrets.clone(), self.at) }
    }

    /// A view of an egress that the row holds.
    pub(super) fn tracked_seen(&mut self, uid: &Uid, info: &EgressInfo) {
        if let Some(strikes) = self.state.memory.strikes.get_mut(uid) {
            strikes.is_shown();
        }
        if self.state.memory.may_send.as_ref() == Some(uid) {
            // It runs already, whoever started it: it must not be started again.
            self.state.memory.may_send = None;
            self.state.memory.retry_start = None;
        }
        let policy = self.policy;
        let Some(track) = self.track_mut(uid) else { return };
        if !track.see(info, policy) {
            return;
        }
        if self.is_current(uid) {
            self.current_seen(uid, info);
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

    /// LiveKit says that the hidden participant left.
    pub(super) fn recorder_left(&mut self, egress: &EgressId, reason: LeaveReason) {
        let at = self.at;
        let Some(uid) = self.uid_with(egress) else { return };
        if let Some(track) = self.track_mut(&uid) {
            (track.recorder_seen, track.left) = (true, Some(reason));
        }
        self.state.memory.strikes.entry(uid.clone()).or_default().recorder_left(at);
        self.look_now(&uid);
        if self.is_current(&uid) && self.state.durable.phase == Phase::Stopping {
            self.recorder_left_stopping(&uid);
        }
    }

    pub(super) fn uid_with(&self, egress: &EgressId) -> Option<Uid> {
        let row = &self.state.durable;
        let current = row.current.as_ref().map(|current| &current.track);
        let unsettled = row.unsettled.iter().map(|unsettled| &unsettled.track);
        let mut tracks = current.into_iter().chain(unsettled);
        tracks.find(|track| track.egress.as_ref() == Some(egress)).map(|track| track.uid.clone())
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
