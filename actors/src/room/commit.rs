//! Commits: one fenced write per decision, repeated until the store says how it ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use crate::ids::{ClaimId, NodeId, RoomId};
use crate::ports::PortError;
use crate::ports::clock::{fresh_claim, fresh_decision};
use crate::ports::coordination::Standing;
use crate::ports::ledger::{Expected, Written};
use crate::recording::ledger::{RoomState, Row};
use crate::recording::policy::back_off;
use crate::recording::rules::Rule;

/// First and longest pause between two attempts of a write that got no answer.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The fencing header under which this actor writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) claim: ClaimId,
    pub(super) epoch: u64,
    /// The revision that is stored; none while there is no row.
    pub(super) revision: Option<u64>,
}

/// How a commit ended.
#[derive(Debug)]
pub(super) enum Committed {
    /// Stored, with this header.
    Stored(Header),
    /// Somebody else holds the row now.
    Fenced,
}

/// Whether a row still carries a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It does.
    Stands,
    /// Another one took its place, or the row is gone.
    Gone,
}

/// How the removal of a row ended.
#[derive(Debug)]
pub(super) enum Removed {
    /// There is no row any more.
    Gone,
    /// The row may be there still, or be somebody else's; a row that is kept does no harm.
    Unclear,
}

/// What was found of a room.
#[derive(Debug)]
pub(super) enum Found {
    /// It is ours now, or nobody's yet.
    Ours(Box<Loaded>),
    /// This node owns it, and lives.
    Elsewhere(NodeId),
}

/// A row that was taken up, or the absence of one.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) header: Header,
    /// The state found; none if there was no row.
    pub(super) state: Option<RoomState>,
}

/// What was known of a row before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// This node held it at that moment, or later.
    WasOurs(Instant),
    /// Nothing.
    Unknown,
}

/// Reads the room's row and claims it, unless its owner lives. Whoever took the room from us does, whatever we think of
/// it; else two that take each other for dead would take it from each other for as long as they do. Tries until the
/// store answers; the wait of each request is bounded by its own deadline.
pub(super) async fn load(shared: &Arc<Shared>, room: &RoomId, before: Before) -> Found {
    let mut tries = 0;
    loop {
        match try_load(shared, room, before).await {
            Ok(Some(found)) => return found,
            // Another node was quicker, and its row is read anew; or this one may claim nothing now.
            Ok(None) => {}
            Err(error) => {
                if tries == 0 || !error.kind.is_retryable() {
                    tracing::warn!(room.id = %room, %error, "room cannot be taken up, trying again");
                }
            }
        }
        tokio::time::sleep(back_off(RETRY, tries)).await;
        tries += 1;
    }
}

async fn try_load(shared: &Arc<Shared>, room: &RoomId, before: Before) -> Result<Option<Found>, PortError> {
    let world = &shared.world;
    let claim = fresh_claim(&*world.entropy);
    let Some(found) = bounded(shared, world.ledger.load(room)).await? else {
        let header = Header { claim, epoch: 1, revision: None };
        return Ok(Some(Found::Ours(Box::new(Loaded { header, state: None }))));
    };
    let is_others = found.owner != world.node;
    if is_others {
        if let Before::WasOurs(at) = before {
            world.cluster.peers.believe(&found.owner, at);
            return Ok(Some(Found::Elsewhere(found.owner)));
        }
        let is_suspect = world.cluster.peers.suspects().contains(&found.owner);
        if !is_suspect && bounded(shared, world.coordination.standing(&found.owner)).await? == Standing::Alive
        {
            return Ok(Some(Found::Elsewhere(found.owner)));
        }
        if !world.cluster.lease.is_held() {
            // A node that is cut off from the others is the last to say who is dead.
            return Ok(None);
        }
    }
    let expected = Expected::At { claim: found.claim.clone(), revision: found.revision };
    let row = Row {
        owner: world.node.clone(),
        claim: claim.clone(),
        epoch: found.epoch + 1,
        revision: found.revision + 1,
        decision: fresh_decision(&*world.entropy),
        ..found
    };
    let header = Header { claim, epoch: row.epoch, revision: Some(row.revision) };
    match bounded(shared, world.ledger.write(&row, &expected)).await? {
        Written::Stored => {
            metrics::counter!("reelkeeper_claims_total").increment(1);
            if is_others {
                metrics::counter!("reelkeeper_takeovers_total").increment(1);
            }
            tracing::info!(room.id = %room, epoch = row.epoch, phase = row.state.phase.name(), "room claimed");
            Ok(Some(Found::Ours(Box::new(Loaded { header, state: Some(row.state) }))))
        }
        Written::Refused(_) => {
            count_fenced();
            Ok(None)
        }
    }
}

/// Stores a state under the header; repeats until the store says how it ended. A write that was applied though
/// its answer was lost is recognised by the decision's id.
pub(super) async fn commit(
    shared: &Arc<Shared>,
    room: &RoomId,
    header: &Header,
    state: RoomState,
) -> Committed {
    let world = &shared.world;
    let row = Row {
        room: room.clone(),
        owner: world.node.clone(),
        claim: header.claim.clone(),
        epoch: header.epoch,
        revision: header.revision.map_or(1, |revision| revision + 1),
        decision: fresh_decision(&*world.entropy),
        state,
    };
    let expected = header
        .revision
        .map_or(Expected::Absent, |revision| Expected::At { claim: header.claim.clone(), revision });
    let stored = Header { revision: Some(row.revision), ..header.clone() };
    let mut tries = 0;
    loop {
        match bounded(shared, world.ledger.write(&row, &expected)).await {
            Ok(Written::Stored) => return Committed::Stored(stored),
            Ok(Written::Refused(Some(found)))
                if found.decision == row.decision && world.policy.keeps(Rule::RecogniseOwnCommit) =>
            {
                return Committed::Stored(stored);
            }
            Ok(Written::Refused(_)) => return Committed::Fenced,
            Err(error) => {
                if tries == 0 {
                    tracing::warn!(room.id = %room, %error, "decision cannot be stored, trying again");
                }
                tokio::time::sleep(back_off(RETRY, tries)).await;
                tries += 1;
            }
        }
    }
}

/// Whether the row still carries this claim: an answer that rests on memory alone is true only then. Tries until the
/// store answers.
pub(super) async fn look_at_claim(shared: &Arc<Shared>, room: &RoomId, claim: &ClaimId) -> Claim {
    let mut tries = 0;
    loop {
        match bounded(shared, shared.world.ledger.load(room)).await {
            Ok(Some(row)) if row.claim == *claim => return Claim::Stands,
            Ok(_) => return Claim::Gone,
            Err(error) => {
                if tries == 0 {
                    tracing::warn!(room.id = %room, %error, "claim cannot be checked, trying again");
                }
                tokio::time::sleep(back_off(RETRY, tries)).await;
                tries += 1;
            }
        }
    }
}

/// Removes the row of a room of which nothing is left to do.
pub(super) async fn remove(shared: &Arc<Shared>, room: &RoomId, header: &Header) -> Removed {
    let Some(revision) = header.revision else { return Removed::Gone };
    let removed = bounded(shared, shared.world.ledger.remove(room, &header.claim, revision)).await;
    match removed {
        Ok(Written::Stored | Written::Refused(None)) => Removed::Gone,
        Ok(Written::Refused(Some(_))) => {
            count_fenced();
            Removed::Unclear
        }
        Err(error) => {
            tracing::warn!(room.id = %room, %error, "row of an idle room cannot be removed");
            Removed::Unclear
        }
    }
}

/// Another owner's claim stood in the way.
pub(super) fn count_fenced() {
    metrics::counter!("reelkeeper_fenced_writes_total").increment(1);
}

/// Bounds one call of a store, whatever the adapter does.
pub(crate) async fn bounded<T>(
    shared: &Arc<Shared>,
    call: impl Future<Output = Result<T, PortError>>,
) -> Result<T, PortError> {
    let limit = shared.world.limits.store_timeout;
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(PortError::unavailable("store", format!("no answer within {limit:?}"))),
    }
}
