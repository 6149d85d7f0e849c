//! Who lives, and whose rooms are to be taken over.
//!
//! Owns this node's renewals and the watch over the others' leases. A node that is gone loses its rooms at once: each
//! living one takes those that rendezvous hashing gives it, and a little later whatever is left. That only spreads the
//! work; who owns a room its row decides.

use std::collections::BTreeSet;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::ids::{NodeId, RoomId};
use crate::orchestrator::Orchestrator;
use crate::ports::PortError;
use crate::ports::coordination::{Member, Standing};
use crate::room::commit::bounded;

/// Between two looks at the leases of all nodes.
const WATCH: Duration = Duration::from_secs(1);
/// Between two looks at who is suspect.
const SUSPECT: Duration = Duration::from_millis(100);
/// Pause after a renewal that failed.
const RENEW_AGAIN: Duration = Duration::from_millis(500);
/// How long rooms are left to the node that hashing names.
const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// Rows read at once.
const PAGE: usize = 256;

/// How a node takes part.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long its lease lasts; renewed at a third.
    pub lease: Duration,
    /// Where other nodes can speak to it; empty if nowhere.
    pub address: String,
    /// Between two looks into the inbox.
    pub inbox: Duration,
}

/// A node that takes part, as long as this lives. It keeps its lease until it gives it up.
pub struct Membership {
    members: watch::Receiver<Vec<Member>>,
    _tasks: [AbortOnDropHandle<()>; 4],
}

impl Membership {
    /// Begins to renew the lease, to watch the others and to read the inbox.
    #[must_use]
    pub fn begin(orchestrator: &Orchestrator, terms: Terms) -> Self {
        let (tell, members) = watch::channel(Vec::new());
        let inbox = terms.inbox;
        let tasks = [
            tokio::spawn(keep_lease(orchestrator.clone(), terms)),
            tokio::spawn(watch_others(orchestrator.clone(), tell)),
            tokio::spawn(watch_suspects(orchestrator.clone(), members.clone())),
            tokio::spawn(orchestrator.clone().read_inbox(inbox)),
        ];
        Self { members, _tasks: tasks.map(AbortOnDropHandle::new) }
    }

    /// The nodes that live, as they come and go.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Vec<Member>> {
        self.members.clone()
    }
}

async fn keep_lease(orchestrator: Orchestrator, terms: Terms) {
    let shared = orchestrator.shared().clone();
    let (world, lease) = (&shared.world, &shared.world.cluster.lease);
    let mut failed = false;
    loop {
        let begun = lease.begin_renewal();
        let renewed =
            bounded(&shared, world.coordination.renew_at(&world.node, &terms.address, terms.lease)).await;
        match renewed {
            Ok(()) => {
                // Also a renewal that did not fail may have been late: the node was suspended, or the answer was.
                if lease.renewed(begun) {
                    tracing::warn!("this node holds its lease again, every room is read anew");
                    orchestrator.read_all_again();
                }
                failed = false;
                tokio::time::sleep(terms.lease / 3).await;
            }
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "lease could not be renewed; this node stops acting when it ends");
                }
                failed = true;
                tokio::time::sleep(RENEW_AGAIN.min(terms.lease / 3)).await;
            }
        }
    }
}

async fn watch_others(orchestrator: Orchestrator, tell: watch::Sender<Vec<Member>>) {
    let shared = orchestrator.shared().clone();
    let world = &shared.world;
    let mut known = BTreeSet::new();
    loop {
        if let Ok(leases) = bounded(&shared, world.coordination.nodes()).await {
            let members = leases.into_iter().map(|lease| lease.member).collect();
            known = look_at(&orchestrator, known, members, &tell).await;
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// Takes over from nodes that refuse connections, by itself: coordination may keep the other watch waiting.
async fn watch_suspects(orchestrator: Orchestrator, members: watch::Receiver<Vec<Member>>) {
    let cluster = &orchestrator.shared().world.cluster;
    let mut suspected = BTreeSet::new();
    loop {
        tokio::time::sleep(SUSPECT).await;
        if !cluster.lease.is_held() {
            // Whoever is cut off from the others is the last to say who is dead.
            continue;
        }
        let suspects: BTreeSet<NodeId> = cluster.peers.suspects().into_iter().collect();
        for node in suspects.difference(&suspected) {
            tracing::warn!(peer.id = %node, "node refuses connections, its rooms are taken over");
            let mut living: BTreeSet<NodeId> =
                members.borrow().iter().map(|member| member.node.clone()).collect();
            living.remove(node);
            tokio::spawn(take_over(orchestrator.clone(), node.clone(), living));
        }
        suspected = suspects;
    }
}

/// Compares the nodes that hold a lease with those that held one before. Returns whom to watch from now on.
async fn look_at(
    orchestrator: &Orchestrator,
    known: BTreeSet<NodeId>,
    mut members: Vec<Member>,
    tell: &watch::Sender<Vec<Member>>,
) -> BTreeSet<NodeId> {
    let shared = orchestrator.shared();
    let world = &shared.world;
    members.sort();
    let living: BTreeSet<NodeId> = members.iter().map(|member| member.node.clone()).collect();
    let mut watched = living.clone();
    for node in known.difference(&living).filter(|node| **node != world.node) {
        // A lease that is missing because all were lost says nothing of its node.
        match bounded(shared, world.coordination.standing(node)).await {
            Ok(Standing::Gone) => {
                tracing::warn!(peer.id = %node, "node is gone, its rooms are taken over");
                tokio::spawn(take_over(orchestrator.clone(), node.clone(), living.clone()));
            }
            Ok(Standing::Alive) | Err(_) => drop(watched.insert(node.clone())),
        }
    }
    tell.send_if_modified(|before| {
        let differs = *before != members;
        *before = members;
        differs
    });
    watched
}

/// Claims the rooms of a node that is gone: first those that hashing gives to this one, then what is left.
async fn take_over(orchestrator: Orchestrator, gone: NodeId, living: BTreeSet<NodeId>) {
    let us = orchestrator.shared().world.node.clone();
    let is_ours = |room: &RoomId| hinted(room, &living) == Some(&us);
    for only_hinted in [true, false] {
        match take_rows(&orchestrator, &gone, |room| !only_hinted || is_ours(room)).await {
            Ok(0) => {}
            Ok(rooms) => tracing::info!(peer.id = %gone, rooms, "took rooms over"),
            Err(error) => {
                tracing::warn!(peer.id = %gone, %error, "not every room is taken over, the janitors go on");
                return;
            }
        }
        if only_hinted {
            tokio::time::sleep(OTHERS_FIRST).await;
        }
    }
}

async fn take_rows(
    orchestrator: &Orchestrator,
    gone: &NodeId,
    wanted: impl Fn(&RoomId) -> bool,
) -> Result<usize, PortError> {
    let shared = orchestrator.shared();
    let (mut after, mut taken) = (None, 0);
    loop {
        let rows = bounded(shared, shared.world.ledger.rows(after.as_ref(), PAGE)).await?;
        for row in rows.iter().filter(|row| row.owner == *gone && wanted(&row.room)) {
            orchestrator.wake(&row.room);
            taken += 1;
        }
        if rows.len() < PAGE {
            return Ok(taken);
        }
        after = rows.last().map(|row| row.room.clone());
    }
}

/// The node whom a room is best asked of: whichever lives, the others' rooms stay where they are.
#[must_use]
pub fn hinted<'a>(room: &RoomId, living: &'a BTreeSet<NodeId>) -> Option<&'a NodeId> {
    living.iter().max_by_key(|node| Sha256::digest(format!("{room}/{node}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_leaves_moves_only_its_own_rooms() {
        let nodes = |names: &[&str]| names.iter().map(|name| NodeId::from_trusted(*name)).collect();
        let (three, two): (BTreeSet<_>, BTreeSet<_>) = (nodes(&["a", "b", "c"]), nodes(&["a", "b"]));
        let rooms = (0..300).map(|room| RoomId::from_trusted(format!("room-{room}")));
        let (mut shares, mut moved) = (std::collections::BTreeMap::<_, usize>::new(), 0);
        for room in rooms {
            let (before, after) = (hinted(&room, &three).unwrap(), hinted(&room, &two).unwrap());
            *shares.entry(before.clone()).or_default() += 1;
            moved += usize::from(before != after);
            assert!(before == after || before.as_str() == "c", "{room} moved from {before}");
        }
        assert!(shares.values().all(|share| (60..140).contains(share)), "{shares:?}");
        assert_eq!(moved, shares[&NodeId::from_trusted("c")]);
        assert_eq!(hinted(&RoomId::from_trusted("room"), &BTreeSet::new()), None);
    }
}
