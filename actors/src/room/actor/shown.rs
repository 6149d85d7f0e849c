//! What a room actor shows: to tests and operators, and in the log.

use super::{RoomActorState, Standing};
use crate::ids::{EgressId, RecordingId, Uid};
use crate::recording::RecordingStatus;
use crate::recording::event::Happening;
use crate::recording::ledger::{Cause, RoomState, State, Track};
use crate::recording::lifecycle::Decision;
use crate::room::Observed;

impl RoomActorState {
    pub(super) fn observe(&self) -> Observed {
        let standing = match self.standing {
            Standing::Loading => "loading",
            Standing::Ready => "ready",
            Standing::Committing(_) | Standing::Verifying(_) | Standing::Flushing => "committing",
            Standing::Removing => "removing",
            Standing::Leaving | Standing::LeavingToOwner => "leaving",
        };
        Observed {
            room: self.room.clone(),
            standing,
            phase: self.state.durable.phase,
            state: self.state.durable.clone(),
            waiting: self.replies.len(),
        }
    }
}

fn is_lost(room: &RoomState, uid: &Uid) -> bool {
    room.unsettled.iter().any(|unsettled| unsettled.track.uid == *uid && unsettled.cause == Cause::Lost)
}

/// What the document of a recording showed before a decision: the row may know nothing of it any more.
fn shown_before(before: &State, what: &Happening, track: &Track) -> Option<RecordingStatus> {
    let held = before.durable.tracks().find(|t| t.uid == track.uid);
    match (held, what) {
        (Some(held), _) => held.shown,
        (None, Happening::EgressSeen(seen)) if track.egress.as_ref() == Some(&seen.info.egress) => {
            seen.document
        }
        _ => None,
    }
}

/// Counts what a decision about something says of recordings.
pub(super) fn count_change(before: &State, what: &Happening, decision: &Decision) {
    for unsettled in &decision.state.durable.unsettled {
        if unsettled.cause == Cause::Lost && !is_lost(&before.durable, &unsettled.track.uid) {
            metrics::counter!("reelkeeper_lost_total").increment(1);
        }
    }
    for track in decision.state.durable.tracks() {
        let shown = shown_before(before, what, track);
        let Some(now) = track.shown.filter(|now| shown != Some(*now) && now.is_terminal()) else { continue };
        metrics::counter!("reelkeeper_recordings_total", "status" => now.name()).increment(1);
        let corrected = shown.filter(|shown| shown.is_terminal());
        if let Some(before) = corrected {
            let (from, to) = (before.name(), now.name());
            metrics::counter!("reelkeeper_corrections_total", "from" => from, "to" => to).increment(1);
        }
        let was_lost = is_lost(&before.durable, &track.uid) || corrected.is_some_and(|was| !was.has_file());
        if was_lost && now.has_file() {
            metrics::counter!("reelkeeper_recovered_total").increment(1);
        }
    }
}

/// Says what becomes of the room's recorder, once per change.
pub(super) fn log_change(before: &State, decision: &Decision) {
    let (old, new) = (&before.durable, &decision.state.durable);
    if old.phase == new.phase {
        return;
    }
    let track = new.current.as_ref().or(old.current.as_ref()).map(|current| &current.track);
    let egress = track.and_then(|track| track.egress.as_ref());
    let recording = track.and_then(|track| {
        Some(RecordingId::new(before.room.clone(), track.egress.clone()?, track.uid.clone()).to_string())
    });
    tracing::info!(
        room.id = %before.room,
        recording.id = recording,
        egress.id = egress.map(EgressId::as_str),
        from = old.phase.name(),
        to = new.phase.name(),
        "recorder changes phase"
    );
}
