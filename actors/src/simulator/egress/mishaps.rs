//! What befalls egress workers, and LiveKit's memory of them.
//!
//! - a worker is killed: its egress is listed with its last status for ever, and its recorder is dropped when
//!   LiveKit notices;
//! - a worker loses its connection to the room: LiveKit drops its recorder in the same way, while the worker
//!   records on; later the recorder is back, or the worker gives up, ends its recording and uploads;
//! - LiveKit forgets every egress, as after a flush of its Redis: workers run on, hear StopEgress and send their
//!   webhooks. What a worker reports next is stored again, by id and in the list of all, but never again under
//!   its room, since only the first report writes that list (LiveKit 1.13.5).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Recorder, Stage};
use crate::ids::EgressId;
use crate::simulator::rooms::NewParticipant;
use crate::simulator::views::{DisconnectReason, EgressView};
use crate::simulator::{Due, World};

/// What a worker does that lost its connection to the room, in milliseconds from the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOff {
    /// It records on, and its recorder is in the room again.
    Returns {
        /// When.
        after_ms: u64,
    },
    /// It records on, then ends its recording and uploads.
    GivesUp {
        /// When.
        after_ms: u64,
    },
}

impl World {
    /// Every egress that was ever started, as its worker knows it, whatever LiveKit remembers.
    #[must_use]
    pub fn started_egresses(&self) -> Vec<EgressView> {
        self.egresses.values().map(|egress| egress.view.clone()).collect()
    }

    /// The egresses whose worker records or is about to, whatever LiveKit lists.
    #[must_use]
    pub fn running_egresses(&self) -> Vec<EgressView> {
        let runs = |stage| matches!(stage, Stage::Starting | Stage::Recording);
        self.egresses.values().filter(|egress| runs(egress.stage)).map(|e| e.view.clone()).collect()
    }

    /// The egresses whose worker uploads.
    #[must_use]
    pub fn uploading_egresses(&self) -> Vec<EgressId> {
        let uploads = |stage| matches!(stage, Stage::Uploading | Stage::Writing);
        let uploading = self.egresses.values().filter(|egress| uploads(egress.stage));
        uploading.map(|egress| egress.view.egress.clone()).collect()
    }

    /// When a worker stopped recording, in nanoseconds since 1970; none if it has not.
    #[must_use]
    pub fn recorded_until(&self, egress: &EgressId) -> Option<i64> {
        let found = self.egresses.get(egress)?;
        let until = if found.cut_at == 0 { found.view.ended_at } else { found.cut_at };
        (until > 0).then_some(until)
    }

    /// The egresses whose worker was killed.
    #[must_use]
    pub fn dead_egresses(&self) -> Vec<EgressId> {
        let dead = self.egresses.values().filter(|egress| egress.stage == Stage::Dead);
        dead.map(|egress| egress.view.egress.clone()).collect()
    }

    /// Kills the worker of an egress, without a word to anybody. False if it has none.
    pub fn kill_worker(&mut self, egress: &EgressId) -> bool {
        let Some(found) = self.egresses.get_mut(egress).filter(|e| e.holds_worker()) else { return false };
        found.stage = Stage::Dead;
        if found.recorder == Recorder::Present {
            let due = Due::RecorderLeaves(egress.clone(), DisconnectReason::ConnectionTimeout);
            self.schedule(self.timing.drop_dead, due);
        }
        true
    }

    /// Kills every worker. Which egresses had one.
    pub fn kill_all_workers(&mut self) -> Vec<EgressId> {
        let running = self.egresses.values().filter(|egress| egress.holds_worker());
        let killed: Vec<_> = running.map(|egress| egress.view.egress.clone()).collect();
        for egress in &killed {
            self.kill_worker(egress);
        }
        killed
    }

    /// Cuts the worker of an egress off from its room. False if no recorder of it is there, or it does not
    /// record.
    pub fn cut_off(&mut self, egress: &EgressId, then: CutOff) -> bool {
        let recording = self.egresses.get_mut(egress).filter(|e| e.stage == Stage::Recording);
        let Some(found) = recording.filter(|e| e.recorder == Recorder::Present) else { return false };
        found.recorder = Recorder::CutOff;
        self.schedule(self.timing.drop_dead, Due::RecorderIsMissed(egress.clone()));
        let (after_ms, due) = match then {
            CutOff::Returns { after_ms } => (after_ms, Due::RecorderReturns(egress.clone())),
            CutOff::GivesUp { after_ms } => (after_ms, Due::WorkerGivesUp(egress.clone())),
        };
        self.schedule(Duration::from_millis(after_ms), due);
        true
    }

    /// Cuts every worker that records off from its room. Which.
    pub fn cut_all_off(&mut self, then: CutOff) -> Vec<EgressId> {
        let all: Vec<_> = self.egresses.keys().cloned().collect();
        all.into_iter().filter(|egress| self.cut_off(egress, then)).collect()
    }

    /// LiveKit forgets every egress.
    pub fn forget_egresses(&mut self) {
        for egress in self.egresses.values_mut() {
            (egress.forgotten, egress.listed_in_room) = (true, false);
        }
    }

    /// LiveKit noticed that a recorder does not answer.
    pub(in crate::simulator) fn recorder_is_missed(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get(egress) else { return };
        let room = found.view.room().clone();
        if found.recorder == Recorder::CutOff {
            self.leave(&room, egress.as_str(), DisconnectReason::ConnectionTimeout);
        }
    }

    /// A worker that was cut off reaches its room again, if that is still there.
    pub(in crate::simulator) fn recorder_returns(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get_mut(egress) else { return };
        if found.stage != Stage::Recording {
            return;
        }
        let was_missed = match found.recorder {
            Recorder::CutOff => false,
            Recorder::Dropped => true,
            Recorder::Coming | Recorder::Present | Recorder::Gone => return,
        };
        found.recorder = Recorder::Present;
        let (room, sid) = (found.view.room().clone(), found.view.room_sid.clone());
        let same_meeting = self.rooms.get(&room).is_some_and(|room| room.is(&sid));
        if !same_meeting || (was_missed && self.join(&room, NewParticipant::recorder(egress)).is_err()) {
            self.worker_gives_up(egress);
        }
    }

    /// A worker ends its recording though nobody asked it to.
    pub(in crate::simulator) fn worker_gives_up(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get_mut(egress).filter(|e| e.stage == Stage::Recording) else {
            return;
        };
        let in_room = found.recorder == Recorder::CutOff;
        found.recorder = Recorder::Gone;
        let room = found.view.room().clone();
        if in_room {
            self.leave(&room, egress.as_str(), DisconnectReason::ConnectionTimeout);
        }
        self.source_closed(egress);
    }
}
