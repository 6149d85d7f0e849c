//! The calls that were received, and those that are held.
//!
//! Owns the memory of both, bounded. What calls do is [`super::calls`]'.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::World;
use super::calls::{DataMessage, Method, Refusal};
use super::faults::{Fault, FaultId, FaultView};
use crate::ids::{EgressId, RoomId};
use crate::recording::Timestamp;

/// How many calls are remembered.
pub const CALLS_MAX: usize = 10_000;
/// Most calls that wait at a time.
const WAITING_MAX: usize = 1_024;

/// Names a call.
pub type CallId = u64;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Not yet.
    Waiting,
    /// Answered.
    Answered,
    /// Answered with an error.
    Refused(Refusal),
    /// No answer: the connection was broken, or the caller is gone.
    Lost,
}

/// A call that was received.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallRecord {
    /// Names the call; calls are numbered from 1.
    pub id: CallId,
    /// What was asked.
    pub method: Method,
    /// The room that it names, or whose egress it names.
    pub room: Option<RoomId>,
    /// The egress that it names, or made.
    pub egress: Option<EgressId>,
    /// The file path that it names.
    pub path: Option<String>,
    /// The message, for SendData.
    pub data: Option<DataMessage>,
    /// When it came.
    pub at: Timestamp,
    /// Whether its work was done.
    pub worked: bool,
    /// How it ended.
    pub outcome: CallOutcome,
}

/// A call that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldCall {
    /// The call.
    pub call: CallId,
    /// What was asked.
    pub method: Method,
    /// The room that it names, or whose egress it names.
    pub room: Option<RoomId>,
    /// Whether its work was done before it was held.
    pub worked: bool,
}

/// Whether a held call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// It may.
    GoOn,
    /// Its connection is broken; work that was not done stays undone.
    Drop,
}

/// The calls that were received, and those that are held.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    records: VecDeque<CallRecord>,
    last: CallId,
    waiting: usize,
    held: BTreeMap<CallId, HeldCall>,
    released: BTreeMap<CallId, Release>,
}

impl CallLog {
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    pub(super) fn take_down(&mut self, record: impl FnOnce(CallId) -> CallRecord) -> CallId {
        self.last += 1;
        self.waiting += 1;
        if self.records.len() >= CALLS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(record(self.last));
        self.last
    }

    pub(super) fn record(&mut self, id: CallId) -> Option<&mut CallRecord> {
        let first = self.records.front()?.id;
        self.records.get_mut(usize::try_from(id.checked_sub(first)?).ok()?)
    }
}

impl World {
    /// Takes down how a call ended.
    pub fn finish(&mut self, call: CallId, outcome: CallOutcome) {
        self.calls.held.remove(&call);
        self.calls.released.remove(&call);
        self.calls.waiting = self.calls.waiting.saturating_sub(1);
        if let Some(record) = self.calls.record(call) {
            record.outcome = outcome;
        }
    }

    /// The last [`CALLS_MAX`] calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.calls.records.iter().cloned().collect()
    }

    /// Forgets the calls that were received; those that wait are only no longer shown.
    pub fn forget_calls(&mut self) {
        self.calls.records.clear();
    }

    /// Asks for a fault. None when there are [`super::faults::FAULTS_MAX`].
    pub fn add_fault(&mut self, fault: Fault) -> Option<FaultId> {
        self.faults.add(fault)
    }

    /// Takes back a fault; calls that it holds stay held. False if there is none of that name.
    pub fn remove_fault(&mut self, id: FaultId) -> bool {
        self.faults.remove(id)
    }

    /// Takes back every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The faults that are asked for.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultView> {
        self.faults.views()
    }

    /// The calls that are held.
    #[must_use]
    pub fn held(&self) -> Vec<HeldCall> {
        self.calls.held.values().cloned().collect()
    }

    /// Lets a held call go, or all of them. How many were held.
    pub fn release(&mut self, call: Option<CallId>, how: Release) -> usize {
        let all: Vec<_> =
            self.calls.held.keys().copied().filter(|held| call.is_none_or(|call| call == *held)).collect();
        for held in &all {
            self.calls.held.remove(held);
            self.calls.released.insert(*held, how);
        }
        all.len()
    }

    pub(super) fn hold(&mut self, call: CallId) {
        let Some(record) = self.calls.record(call) else { return };
        let held = HeldCall { call, method: record.method, room: record.room.clone(), worked: record.worked };
        self.calls.held.insert(call, held);
    }

    /// How a held call may go on; none while it is held.
    pub(super) fn release_of(&mut self, call: CallId) -> Option<Release> {
        if self.calls.held.contains_key(&call) {
            return None;
        }
        Some(self.calls.released.remove(&call).unwrap_or(Release::GoOn))
    }
}
