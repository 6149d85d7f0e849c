//! The lifecycle: `transition(state, event)`, the one place where a room's recorder decides.
//!
//! Owns the table of (phase, event) pairs, written out below without a wildcard and printed by
//! `tests/lifecycle.rs`. Pure: time, ids and answers come inside events. What each pair does is in
//! `lifecycle/`: `requests` (clients), `repeats` (of which, as the same command), `starting`, `sightings`
//! (what LiveKit shows), `looks` (what looks prove), `stopping`, `unsettled`, `time`; `draft` is the decision under construction.

mod draft;
mod looks;
mod repeats;
mod requests;
mod sightings;
mod starting;
mod stopping;
mod time;
mod unsettled;

use super::effect::Effect;
use super::event::{Event, Happening};
use super::ledger::{Phase, State};
use super::policy::Policy;
use draft::Draft;
pub use time::next_wake;

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The state from now on.
    pub state: State,
    /// What is to be done.
    pub effects: Vec<Effect>,
    /// Whether, and how urgently, the state must be committed.
    pub commit: Commit,
}

/// When a decision must be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Commit {
    /// Nothing durable changed.
    Nothing,
    /// Only pending effects were carried out. They can be repeated, so the row may lag behind.
    Soon,
    /// The effects wait until it is stored.
    Before,
}

/// Decides. Same arguments, same decision.
#[must_use]
pub fn transition(state: &State, event: &Event, policy: &Policy) -> Decision {
    let mut draft = Draft::new(state, event, policy);
    draft.answer_overdue_commands();
    match event.what.repeatable() {
        Some(request) => draft.recall(&request),
        None => draft.decide(state.durable.phase, &event.what),
    }
    draft.finish(state)
}

impl Draft<'_> {
    fn decide(&mut self, phase: Phase, what: &Happening) {
        use Happening as H;
        use Phase::{Active, Idle, Starting, Stopping, Uncertain};
        match (phase, what) {
            (Idle, H::StartRequested(request)) => self.begin(request),
            (Starting | Uncertain, H::StartRequested(request)) => self.begin_after_deadline(request),
            (Active | Stopping, H::StartRequested(request)) => self.refuse_start(request),

            (Idle, H::StopRequested(request)) => self.stop_what_is_not_current(request),
            (Starting | Uncertain, H::StopRequested(request)) => self.stop_while_starting(request),
            (Active, H::StopRequested(request)) => self.stop_active(request),
            (Stopping, H::StopRequested(request)) => self.stop_again(request),

            (Idle | Active | Stopping, H::TakenUp) => self.resume(),
            (Starting | Uncertain, H::TakenUp) => self.doubt(),

            (Starting, H::RoomLooked { uid, result }) => self.room_looked(uid, result),
            (Starting, H::RoomLocked { uid }) => self.room_locked(uid),
            (Idle | Active | Stopping | Uncertain, H::RoomLooked { .. } | H::RoomLocked { .. }) => {}

            (Starting, H::StartAnswered { uid, result }) => self.start_answered(uid, result),
            (Stopping, H::StartAnswered { uid, result }) => self.stopped_start_answered(uid, result),
            (Idle | Active | Uncertain, H::StartAnswered { uid, result }) => {
                self.late_start_answered(uid, result);
            }

            (
                Idle | Starting | Active | Stopping | Uncertain,
                H::DeleteRequested(_)
                | H::Recalled { .. }
                | H::Tick
                | H::StopAnswered { .. }
                | H::EgressSeen(_)
                | H::Looked { .. }
                | H::RecorderLeft { .. }
                | H::Cancelled { .. }
                | H::Unheld(_)
                | H::FoundStale { .. }
                | H::FoundOrphan { .. }
                | H::EffectDone { .. }
                | H::FileRemoved { .. }
                | H::EffectFailed { .. },
            ) => self.decide_in_any_phase(what),
        }
    }

    /// What is decided alike in every phase, or where the uid that it is about says more than the phase.
    fn decide_in_any_phase(&mut self, what: &Happening) {
        use Happening as H;
        match what {
            H::DeleteRequested(request) => self.delete(request),
            H::Recalled { request, kept } => self.recalled(request, kept),
            H::Tick => self.tick(),
            H::StopAnswered { egress, result } => self.stop_answered(egress, result),
            H::EgressSeen(sighting) => self.sighted(sighting),
            H::Looked { uid, evidence } => self.looked(uid, evidence),
            H::RecorderLeft { egress, reason } => self.recorder_left(egress, *reason),
            H::Cancelled { command } => self.cancelled(command),
            H::Unheld(found) => self.unheld(found),
            H::FoundStale { recording, updated_at } => self.found_stale(recording, *updated_at),
            H::FoundOrphan { uid } => self.found_orphan(uid),
            H::EffectDone { number } => self.effect_done(*number),
            H::FileRemoved { number } => self.file_removed(*number),
            H::EffectFailed { number, dependency } => self.effect_failed(*number, dependency),
            H::StartRequested(_)
            | H::StopRequested(_)
            | H::TakenUp
            | H::RoomLooked { .. }
            | H::RoomLocked { .. }
            | H::StartAnswered { .. } => {}
        }
    }
}
