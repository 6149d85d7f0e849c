//! What a room actor shows: to tests and operators, and in the log.

use super::{RoomActorState, Standing};
use crate::ids::{EgressId, RecordingId};
use crate::recording::ledger::State;
use crate::recording::lifecycle::Decision;
use crate::room::Observed;

impl RoomActorState {
    pub(super) fn observe(&self) -> Observed {
        let standing = match self.standing {
            Standing::Loading => "loading",
            Standing::Ready => "ready",
            Standing::Committing(_) | Standing::Flushing => "committing",
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
