//! What a room actor shows: to tests and operators, and in the log.

use super::{RoomActorState, Standing};
use crate::ids::{EgressId, RecordingId};
use crate::recording::ledger::{Cause, State};
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

/// Counts what a decision says of recordings.
pub(super) fn count_change(before: &State, decision: &Decision) {
    for unsettled in &decision.state.durable.unsettled {
        let uid = &unsettled.track.uid;
        let was_lost = before.durable.unsettled.iter().any(|u| u.track.uid == *uid && u.cause == Cause::Lost);
        if unsettled.cause == Cause::Lost && !was_lost {
            metrics::counter!("reelkeeper_lost_total").increment(1);
        }
    }
    for track in decision.state.durable.tracks() {
        let shown = before.durable.tracks().find(|t| t.uid == track.uid).and_then(|track| track.shown);
        let Some(now) = track.shown.filter(|now| shown != Some(*now) && now.is_terminal()) else { continue };
        metrics::counter!("reelkeeper_recordings_total", "status" => now.name()).increment(1);
        if let Some(before) = shown.filter(|shown| shown.is_terminal()) {
            metrics::counter!("reelkeeper_corrections_total", "from" => before.name()).increment(1);
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
