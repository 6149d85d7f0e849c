//! Peers: the other nodes, as far as they can be spoken to.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::ids::NodeId;

/// Why a node did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no way to it, so it was told nothing.
    #[error("node cannot be reached: {0}")]
    Unreachable(String),
    /// It may have been told; what came of it is not known.
    #[error("node gave no answer: {0}")]
    Lost(String),
}

/// Hands letters to other nodes. What is in them is [`crate::cluster::wire`]'s.
///
/// Demands: every call ends within its limit; a letter arrives at most once for each call; calls under way at
/// once are bounded.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Hands a letter to a node and waits for its answer.
    ///
    /// # Errors
    /// See [`PeerError`].
    async fn ask(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError>;

    /// Nodes that are most likely dead though their leases live: a connection to them was reset, and they refuse
    /// another. Whoever acts on it is fenced like anybody else, so being wrong is harmless (design 7).
    fn suspects(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// A node took what was not its own yet at that moment: if it was suspect by then it lives, and is no suspect until
    /// another connection to it is reset.
    fn believe(&self, _node: &NodeId, _since: Instant) {}
}

/// There are no other nodes, or none that can be spoken to.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

#[async_trait]
impl Peers for NoPeers {
    async fn ask(&self, _node: &NodeId, _letter: Vec<u8>, _limit: Duration) -> Result<Vec<u8>, PeerError> {
        Err(PeerError::Unreachable("this node has no cluster address".to_owned()))
    }
}
