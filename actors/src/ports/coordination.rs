//! Coordination: which nodes live.
//!
//! One lease per node, never one per room. Leases only say how soon we look; safety rests on the claim in
//! the ledger row (design 7).

use std::time::Duration;

use async_trait::async_trait;

use super::PortError;
use crate::ids::NodeId;

/// What is known of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its lease lives, and so do its claims.
    Alive,
    /// It holds no lease: whoever needs one of its rooms may claim it.
    Gone,
}

/// Keeps node leases.
///
/// Demands: a lease ends by itself when it is not renewed; an error is never read as "gone".
#[async_trait]
pub trait Coordination: Send + Sync {
    /// Takes or renews this node's lease for `ttl`.
    ///
    /// # Errors
    /// When the backend is away; the lease may have been renewed all the same.
    async fn renew(&self, node: &NodeId, ttl: Duration) -> Result<(), PortError>;

    /// Gives this node's lease up.
    ///
    /// # Errors
    /// When the backend is away.
    async fn leave(&self, node: &NodeId) -> Result<(), PortError>;

    /// Whether a node lives.
    ///
    /// # Errors
    /// When the backend is away: then nothing is known.
    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError>;
}
