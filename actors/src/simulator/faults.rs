//! Faults, as data.
//!
//! Owns which faults are asked for, when each fires, and the calls that are held. A fault names a method
//! or a webhook event, perhaps a room, which of the matching ones it spares first, how many it hits, and
//! with what chance (drawn from the world's seed). All faults that hit a call apply together.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::calls::{Method, Refusal, Request};
use super::webhooks::EventName;
use crate::ids::RoomId;

/// Most faults at a time.
pub const FAULTS_MAX: usize = 1_000;

/// Names a fault until it is removed.
pub type FaultId = u64;

/// A fault that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What it hits, and what it does to it.
    #[serde(flatten)]
    pub what: What,
    /// Only in this room; for calls, the room that the call names or whose egress it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// How many matching ones it spares first.
    #[serde(default)]
    pub skip: u32,
    /// How many it hits after those; none (`null`) = all.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// The chance that it hits one, from 0 to 1. One that it misses counts as spared, not as hit.
    #[serde(default = "always")]
    pub chance: f64,
}

#[allow(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
fn once() -> Option<u32> {
    Some(1)
}

fn always() -> f64 {
    1.0
}

/// What a fault hits, and what it does to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// Calls.
    Call {
        /// Which.
        method: Method,
        /// For ListEgress: only looks of this kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<ListScope>,
        /// What becomes of them.
        does: CallTrouble,
    },
    /// Webhooks.
    Webhook {
        /// Which.
        webhook: EventName,
        /// What becomes of them.
        does: WebhookTrouble,
    },
}

/// How a ListEgress looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListScope {
    /// For one egress.
    Id,
    /// Under a room.
    Room,
    /// At all there are.
    All,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallTrouble {
    /// Refused, nothing done.
    Error(Refusal),
    /// The work begins later.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The work is done, the answer comes later.
    DelayAnswer {
        /// Milliseconds.
        ms: u64,
    },
    /// Nothing done, no answer until the caller gives up.
    Hang,
    /// The work is done, no answer until the caller gives up.
    HangAnswer,
    /// The connection breaks before the work.
    Cut,
    /// The work is done, the connection breaks instead of an answer.
    AnswerLost,
    /// A list shows nothing.
    EmptyList,
    /// Held before the work until released; the work is done even if the caller is gone by then.
    Hold,
    /// The work is done, the answer held until released.
    HoldAnswer,
    /// StartEgress: the egress goes wrong later.
    Fate(Fate),
    /// StartEgress: the egress is never listed under its room.
    Unlisted,
}

/// What becomes of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookTrouble {
    /// Never sent.
    Lost,
    /// Sent twice.
    Doubled,
    /// Sent later; others of its queue overtake it.
    Delayed {
        /// Milliseconds.
        ms: u64,
    },
    /// Sent after the next one of its queue, or alone when none comes soon.
    Overtaken,
}

/// What becomes of an egress that was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// All is well.
    #[default]
    Good,
    /// Fails instead of becoming ACTIVE.
    FailsToStart {
        /// LiveKit's words.
        error: String,
        /// LiveKit's code, 0 = none.
        code: i32,
    },
    /// Never becomes ACTIVE by itself.
    StaysStarting,
    /// Ends by itself.
    ReachesLimit {
        /// Milliseconds after it became ACTIVE.
        after_ms: u64,
    },
    /// Fails when it should be COMPLETE.
    UploadFails {
        /// LiveKit's words.
        error: String,
    },
    /// COMPLETE, but there is no file.
    FileIsLost,
    /// COMPLETE, but the file has no bytes.
    FileIsEmpty,
    /// COMPLETE, and the file turns up later.
    FileIsLate {
        /// Milliseconds after the COMPLETE.
        after_ms: u64,
    },
}

/// Everything that hit one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CallFaults(Vec<CallTrouble>);

impl CallFaults {
    pub(super) fn add(&mut self, trouble: CallTrouble) {
        self.0.push(trouble);
    }

    pub(super) fn has(&self, trouble: &CallTrouble) -> bool {
        self.0.contains(trouble)
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.0.iter().find_map(|trouble| match trouble {
            CallTrouble::Error(refusal) => Some(refusal),
            _ => None,
        })
    }

    pub(super) fn delay(&self) -> Duration {
        let delays = self.0.iter().filter_map(|trouble| match trouble {
            CallTrouble::Delay { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        });
        delays.sum()
    }

    pub(super) fn delay_answer(&self) -> Duration {
        let delays = self.0.iter().filter_map(|trouble| match trouble {
            CallTrouble::DelayAnswer { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        });
        delays.sum()
    }

    /// What becomes of the egress that the call starts.
    pub(super) fn fate(&self) -> Fate {
        let fate = self.0.iter().rev().find_map(|trouble| match trouble {
            CallTrouble::Fate(fate) => Some(fate.clone()),
            _ => None,
        });
        fate.unwrap_or_default()
    }
}

/// The faults that are asked for.
#[derive(Debug, Default)]
pub(super) struct FaultBook {
    entries: BTreeMap<FaultId, Entry>,
    last: FaultId,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    spared: u32,
    hit: u32,
}

/// A fault and how often it hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultView {
    /// Its name.
    pub id: FaultId,
    /// What was asked for.
    pub fault: Fault,
    /// How many it hit so far.
    pub hit: u32,
}

impl Entry {
    /// Whether it hits one that matches it.
    fn fires(&mut self, rng: &mut StdRng) -> bool {
        if self.spared < self.fault.skip {
            self.spared += 1;
            return false;
        }
        if self.fault.times.is_some_and(|times| self.hit >= times) {
            return false;
        }
        // Drawn only where there is a choice, so that a certain fault leaves later chance as it was.
        if self.fault.chance < 1.0 && !rng.random_bool(self.fault.chance.clamp(0.0, 1.0)) {
            return false;
        }
        self.hit += 1;
        true
    }

    fn in_room(&self, room: Option<&RoomId>) -> bool {
        self.fault.room.is_none() || self.fault.room.as_ref() == room
    }
}

impl FaultBook {
    /// None when there are too many.
    pub(super) fn add(&mut self, fault: Fault) -> Option<FaultId> {
        if self.entries.len() >= FAULTS_MAX {
            return None;
        }
        self.last += 1;
        self.entries.insert(self.last, Entry { fault, spared: 0, hit: 0 });
        Some(self.last)
    }

    pub(super) fn remove(&mut self, id: FaultId) -> bool {
        self.entries.remove(&id).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn views(&self) -> Vec<FaultView> {
        let view = |(id, entry): (&FaultId, &Entry)| FaultView {
            id: *id,
            fault: entry.fault.clone(),
            hit: entry.hit,
        };
        self.entries.iter().map(view).collect()
    }

    /// Everything that hits this call.
    pub(super) fn for_call(
        &mut self,
        request: &Request,
        room: Option<&RoomId>,
        rng: &mut StdRng,
    ) -> CallFaults {
        let mut faults = CallFaults::default();
        for entry in self.entries.values_mut() {
            let What::Call { method, scope, does } = entry.fault.what.clone() else { continue };
            let in_scope = scope.is_none() || scope == request.list_scope();
            if method == request.method() && in_scope && entry.in_room(room) && entry.fires(rng) {
                faults.add(does);
            }
        }
        faults
    }

    /// The first one that hits this webhook; the others do not count it.
    pub(super) fn for_webhook(
        &mut self,
        event: EventName,
        room: &RoomId,
        rng: &mut StdRng,
    ) -> Option<WebhookTrouble> {
        for entry in self.entries.values_mut() {
            let What::Webhook { webhook, does } = entry.fault.what.clone() else { continue };
            if webhook == event && entry.in_room(Some(room)) && entry.fires(rng) {
                return Some(does);
            }
        }
        None
    }
}
