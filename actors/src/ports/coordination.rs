//! Coordination: which nodes live, and which names are taken in a meeting.
//!
//! One lease per node, never one per room. Leases only say how soon we look; safety rests on the claim in
//! the ledger row (design 7). Names are for people: losing them costs two participants of one name.

use std::time::Duration;

use async_trait::async_trait;

use super::PortError;
use crate::ids::{NodeId, RoomId};

/// What is known of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its lease lives, and so do its claims.
    Alive,
    /// It holds no lease: whoever needs one of its rooms may claim it.
    Gone,
}

/// Most names that are reserved in one room at a time.
pub const NAMES_MAX: usize = 10_000;

/// Keeps node leases and the names of participants.
///
/// Demands: a lease ends by itself when it is not renewed, and so does a reservation; an error is never read
/// as "gone"; of many who want one name at once each gets another.
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

    /// Reserves a display name in a room for `ttl`: the wanted one, or another made of it by
    /// [`crate::meeting::joining::free_name`]. Returns the reserved one; none if the room has [`NAMES_MAX`].
    ///
    /// # Errors
    /// When the backend is away; a name may have been reserved all the same.
    async fn reserve_name(
        &self,
        room: &RoomId,
        wanted: &str,
        ttl: Duration,
    ) -> Result<Option<String>, PortError>;

    /// Gives a name back, whatever its letter case. Nothing happens if it was not reserved.
    ///
    /// # Errors
    /// When the backend is away.
    async fn free_name(&self, room: &RoomId, name: &str) -> Result<(), PortError>;

    /// Gives all names of a room back.
    ///
    /// # Errors
    /// When the backend is away.
    async fn free_names(&self, room: &RoomId) -> Result<(), PortError>;
}
