//! The cluster as this node sees it, for whoever runs it.

use std::collections::BTreeMap;

use super::Orchestrator;
use crate::ids::NodeId;
use crate::ports::PortError;
use crate::ports::coordination::Lease;
use crate::room::commit::bounded;

/// Rows read at once.
const PAGE: usize = 256;
/// Most rows that are counted: enough for any cluster, and a bound for the store.
const ROWS_MAX: usize = 100_000;

/// What one node sees of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// The node that looks.
    pub node: NodeId,
    /// Whether it holds its lease; without one it does nothing.
    pub holds_lease: bool,
    /// The nodes that hold a lease.
    pub members: Vec<Lease>,
    /// Nodes that lost their connection and refuse another.
    pub suspects: Vec<NodeId>,
    /// Rooms with a row, by their owners, living or not.
    pub rooms: BTreeMap<NodeId, usize>,
    /// Whether these are all: no more than 100 000 are counted.
    pub all_rooms: bool,
    /// How often these rooms were claimed.
    pub claims: u64,
    /// Letters in the inbox that nobody answered yet.
    pub letters: u64,
}

impl Orchestrator {
    /// Looks at the leases, the rows and the inbox.
    ///
    /// # Errors
    /// When coordination or the store is away.
    pub async fn cluster_view(&self) -> Result<ClusterView, PortError> {
        let (shared, world) = (&self.shared, &self.shared.world);
        let members = bounded(shared, world.coordination.nodes()).await?;
        let (mut rooms, mut claims, mut counted, mut after) = (BTreeMap::new(), 0, 0, None);
        let mut all_rooms = false;
        while counted < ROWS_MAX && !all_rooms {
            let rows = bounded(shared, world.ledger.rows(after.as_ref(), PAGE)).await?;
            for row in &rows {
                *rooms.entry(row.owner.clone()).or_default() += 1;
                claims += row.epoch;
            }
            counted += rows.len();
            all_rooms = rows.len() < PAGE;
            after = rows.last().map(|row| row.room.clone());
        }
        Ok(ClusterView {
            node: world.node.clone(),
            holds_lease: world.cluster.lease.is_held(),
            members,
            suspects: world.cluster.peers.suspects(),
            rooms,
            all_rooms,
            claims,
            letters: self.open_letters().await?,
        })
    }

    /// Letters in the inbox that nobody answered yet.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn open_letters(&self) -> Result<u64, PortError> {
        bounded(&self.shared, self.shared.world.cluster.inbox.count_letters()).await
    }

    /// Requests and webhooks under way on this node.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shared.world.limits.admitted.saturating_sub(self.shared.admission.available_permits())
    }

    /// Recordings that this node's rooms hold as live.
    #[must_use]
    pub fn live_recordings(&self) -> usize {
        self.shared.live.count()
    }

    /// Rooms whose row this node's actors hold.
    #[must_use]
    pub fn rooms_owned(&self) -> usize {
        self.shared.live.owned()
    }

    /// Whether this node holds its lease.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.shared.world.cluster.lease.is_held()
    }
}
