//! What the rooms of this node hold, and the list of all egresses that it is compared with.
//!
//! Owns how often LiveKit is asked for everything, and whether its answer can be believed: a list that misses
//! too much at once decides nothing for a while (design 5). What is too much is `recording/reconcile.rs`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ids::{EgressId, RoomId, Uid};
use crate::ports::media_server::MediaServer;
use crate::recording::egress::{CallError, EgressInfo};
use crate::recording::event::Presence;
use crate::recording::ledger::{Phase, RoomState};
use crate::recording::policy::Policy;
use crate::recording::reconcile::{Live, list_is_wrong};
use crate::recording::rules::Rule;

/// The recordings that the rooms of this node hold: those that are live, and all of which the rows know.
#[derive(Default)]
pub(crate) struct LiveRecordings {
    rooms: StdMutex<BTreeMap<RoomId, Live>>,
    /// What the rows of this node's actors hold. It spares news a look at the row; where it is out of date, the
    /// actor's own look at the row is all that it costs.
    held: StdMutex<BTreeMap<RoomId, Held>>,
    /// Rooms that record, or are about to.
    busy: StdMutex<BTreeSet<RoomId>>,
}

impl LiveRecordings {
    /// How many rooms record.
    pub(crate) fn count(&self) -> usize {
        self.busy().len()
    }

    /// Rooms whose row is held here.
    pub(crate) fn owned(&self) -> usize {
        self.held().len()
    }

    /// A room's state is this from now on.
    pub(super) fn is_now(&self, room: &RoomId, state: &RoomState) {
        if state.current.is_some() {
            self.busy().insert(room.clone());
        } else {
            self.busy().remove(room);
        }
        if state.is_settled() {
            self.held().remove(room);
        } else {
            self.held().insert(room.clone(), Held::of(state));
        }
        let current = state.current.as_ref().filter(|_| state.phase == Phase::Active);
        let Some(egress) = current.and_then(|current| current.track.egress.clone()) else {
            self.rooms().remove(room);
            return;
        };
        let mut rooms = self.rooms();
        if rooms.get(room).is_none_or(|live| live.egress != egress) {
            rooms.insert(room.clone(), Live { egress, recorder: Presence::Unknown });
        }
    }

    /// A look at a room showed its recorder, or did not.
    pub(super) fn saw_recorder(&self, room: &RoomId, egress: &EgressId, recorder: Presence) {
        let mut rooms = self.rooms();
        if let Some(live) = rooms.get_mut(room).filter(|live| live.egress == *egress) {
            live.recorder = recorder;
        }
    }

    /// What a room's row holds; none if no actor of this node holds one.
    pub(super) fn held_in(&self, room: &RoomId) -> Option<Held> {
        self.held().get(room).cloned()
    }

    /// Whether a room records, or is about to.
    pub(super) fn records(&self, room: &RoomId) -> bool {
        self.busy().contains(room)
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<RoomId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<RoomId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Live> {
        self.rooms().values().cloned().collect()
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomId, Live>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uids and egresses that a room's row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    uids: BTreeSet<Uid>,
    egresses: BTreeSet<EgressId>,
}

impl Held {
    pub(super) fn of(state: &RoomState) -> Self {
        Self {
            uids: state.tracks().map(|track| track.uid.clone()).collect(),
            egresses: state.tracks().filter_map(|track| track.egress.clone()).collect(),
        }
    }

    /// Whether the row holds this egress, by its id or by the uid in its path.
    pub(super) fn knows(&self, egress: &EgressId, uid: Option<&Uid>) -> bool {
        self.egresses.contains(egress) || uid.is_some_and(|uid| self.uids.contains(uid))
    }
}

/// The list of all egresses that are not over, shared by the looks that need it: one call at a time, and at
/// most one per interval. A look is served only from a list that was asked for after the look began.
pub(crate) struct ActiveList {
    media_server: Arc<dyn MediaServer>,
    live: Arc<LiveRecordings>,
    policy: Policy,
    interval: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: Option<(Instant, Result<Listing, CallError>)>,
    wrong_since: Option<Instant>,
}

/// One answer of LiveKit.
#[derive(Clone)]
pub(crate) struct Listing {
    /// What it listed.
    pub(crate) egresses: Arc<[EgressInfo]>,
    /// Whether it misses so much that its silence proves nothing.
    pub(crate) is_doubted: bool,
}

impl ActiveList {
    /// The list of this LiveKit, compared with what is held as live, asked for once per interval at most.
    pub(crate) fn new(
        media_server: Arc<dyn MediaServer>,
        live: Arc<LiveRecordings>,
        policy: Policy,
        interval: Duration,
    ) -> Self {
        Self { media_server, live, policy, interval, kept: Mutex::default() }
    }

    pub(crate) async fn get(&self) -> Result<Listing, CallError> {
        let began = Instant::now();
        let mut kept = self.kept.lock().await;
        if let Some((asked, result)) = &kept.last {
            if *asked >= began {
                return result.clone();
            }
            tokio::time::sleep_until(*asked + self.interval).await;
        }
        let asked = Instant::now();
        let answer = self.media_server.active_egresses().await;
        if let Err(error) = &answer {
            tracing::warn!(%error, "list of all egresses failed");
        }
        let result = answer.map(|egresses| kept.judge(&self.live.all(), &self.policy, egresses, asked));
        kept.last = Some((asked, result.clone()));
        result
    }
}

impl Kept {
    fn judge(
        &mut self,
        live: &[Live],
        policy: &Policy,
        egresses: Vec<EgressInfo>,
        asked: Instant,
    ) -> Listing {
        let listed: BTreeSet<EgressId> = egresses.iter().map(|info| info.egress.clone()).collect();
        let is_wrong = list_is_wrong(live, &listed) && policy.keeps(Rule::DoubtWrongList);
        if is_wrong && self.wrong_since.is_none() {
            let (held, listed) = (live.len(), listed.len());
            tracing::warn!(
                held,
                listed,
                "list of all egresses misses too much, nothing is concluded from it"
            );
        }
        self.wrong_since = is_wrong.then(|| self.wrong_since.unwrap_or(asked));
        let doubted_for = self.wrong_since.map(|since| asked.duration_since(since));
        // After that each recording is judged by itself: id, recorder and file.
        let is_doubted = doubted_for.is_some_and(|time| time < policy.stale_after);
        Listing { egresses: egresses.into(), is_doubted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_held_until_nothing_is_left_of_it() {
        let (rooms, room) = (LiveRecordings::default(), RoomId::from_trusted("room-1"));
        assert_eq!(rooms.held_in(&room), None);
        let row = RoomState { phase: Phase::Uncertain, ..RoomState::default() };
        rooms.is_now(&room, &row);
        assert_eq!(rooms.held_in(&room), Some(Held::of(&row)));
        rooms.is_now(&room, &RoomState::default());
        assert_eq!(rooms.held_in(&room), None);
    }
}
