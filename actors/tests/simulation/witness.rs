//! Takes down, as it happens, what nobody can see any more at the end: what documents were made to say against
//! what was true at that moment, and the notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use reelkeeper_actors::ids::{EgressId, RecordingId};
use reelkeeper_actors::recording::notice::{Notice, NoticeEvent, place};
use reelkeeper_actors::recording::{FILE_MISSING, Recording, RecordingStatus, Timestamp};
use reelkeeper_actors::simulator::views::EgressView;

use crate::lock;

/// What the document of a start says that was answered 503: it may run all the same, and is stopped.
const TIMED_OUT: &str = "timed out while starting";

/// What was taken down.
#[derive(Default)]
pub struct Witness {
    /// Notices by recording and number.
    pub notices: Mutex<BTreeMap<(RecordingId, u32), Notice>>,
    /// Notices that differ from an earlier one of the same number, or come after one that they precede.
    pub contradictions: Mutex<Vec<Notice>>,
    /// Egresses whose recorder, as the node was told, left in order.
    pub left_in_order: Mutex<BTreeSet<EgressId>>,
    pub verdicts: Mutex<Vec<Verdict>>,
    /// What documents do not show yet, by recording and status, and since when they are to.
    kept_back: Mutex<BTreeMap<(RecordingId, u32), Timestamp>>,
}

/// What a document says of its egress by our own judgement.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub recording: Recording,
    /// Whether its worker records, with its recorder in the room.
    pub records: bool,
    /// Whether its worker uploads, after its recorder left in order, as we were told.
    pub uploads: bool,
    /// Since when its file is there.
    pub file_since: Option<Timestamp>,
    pub at: Timestamp,
}

impl Verdict {
    /// Whether a document is about to say something that LiveKit did not.
    pub fn is_ours(recording: &Recording, egress: Option<&EgressView>) -> bool {
        let by_livekit = egress.is_some_and(|egress| egress.status.recorded_as() == recording.status);
        let error = recording.error.as_deref();
        let gives_up = matches!(recording.status, RecordingStatus::Failed | RecordingStatus::Aborted);
        let by_us = gives_up && !by_livekit && error != Some(TIMED_OUT);
        by_us || error == Some(FILE_MISSING)
    }
}

impl Witness {
    /// A document is to show a status.
    pub fn begins_to_show(&self, recording: &Recording, at: Timestamp) {
        let key = (recording.recording_id.clone(), place(recording.status));
        lock(&self.kept_back).entry(key).or_insert(at);
    }

    /// A document shows a status, as far as anybody was told.
    pub fn shows(&self, recording: &Recording) {
        lock(&self.kept_back).remove(&(recording.recording_id.clone(), place(recording.status)));
    }

    /// Since when a document does not show what it is to show.
    pub fn kept_back_since(&self, id: &RecordingId) -> Option<Timestamp> {
        let kept_back = lock(&self.kept_back);
        kept_back.iter().filter(|((of, _), _)| of == id).map(|(_, since)| *since).min()
    }

    pub fn told(&self, notice: &Notice) {
        let (id, status) = (&notice.recording.recording_id, notice.recording.status);
        let mut notices = lock(&self.notices);
        let of_recording = notices.range((id.clone(), 0)..).take_while(|((of, _), _)| of == id);
        let last = of_recording.map(|((_, number), _)| *number).max();
        match notices.get(&(id.clone(), notice.number)) {
            Some(first) if first.recording.status == status => {}
            None if last.is_none_or(|last| last < notice.number) => {
                notices.insert((id.clone(), notice.number), notice.clone());
            }
            _ => lock(&self.contradictions).push(notice.clone()),
        }
    }

    /// What is wrong with the notices of each recording: the first tells of the start, and each moves on from the
    /// one before. Of one that an old process began the start was told by that; of one whose start was answered
    /// 503 only a correction is told.
    pub fn wrong_notices(&self, originals: &[RecordingId]) -> Vec<String> {
        let mut wrong: Vec<_> =
            lock(&self.contradictions).iter().map(|n| format!("told against the order: {n:?}")).collect();
        let mut before: Option<Notice> = None;
        for ((id, _), notice) in lock(&self.notices).iter() {
            let last = before.take().filter(|last| last.recording.recording_id == *id);
            let follows = match &last {
                None => {
                    let corrects = notice.recording.status.has_file();
                    let starts = notice.event == NoticeEvent::RecordingStarted || originals.contains(id);
                    starts || corrects
                }
                Some(last) => {
                    let (old, new) = (last.recording.status, notice.recording.status);
                    old != new && old.may_become(new)
                }
            };
            if !follows {
                wrong.push(format!("after {last:?} comes {notice:?}"));
            }
            before = Some(notice.clone());
        }
        wrong
    }
}
