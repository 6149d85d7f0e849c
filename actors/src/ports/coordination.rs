//! Coordination: which nodes live, who sweeps, which names are taken in a meeting and who wants captions in it, what
//! all nodes count together, and what nodes of OpenVidu Meet beside ours are told.
//!
//! One lease per node, never one per room. Leases only say how soon we look; safety rests on the claim in
//! the ledger row (design 7). Names are for people: losing them costs two participants of one name. Meet's lock
//! of a room keeps its nodes from recording what we record, and ours from what they begin to; losing it costs a
//! second egress, which is found.

use std::time::Duration;

use async_trait::async_trait;

use super::PortError;
use crate::ids::{NodeId, RoomId};
use crate::recording::Recording;

/// What is known of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its lease lives, and so do its claims.
    Alive,
    /// It holds no lease: whoever needs one of its rooms may claim it.
    Gone,
}

/// A node that holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Where other nodes can speak to it; empty if nowhere.
    pub address: String,
}

/// A lease of a node, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub member: Member,
    /// How long it lasts if it is not renewed.
    pub left: Duration,
}

/// Who has Meet's lock of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A node of ours.
    Ours,
    /// A node of Meet's.
    Theirs,
}

/// How a count stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many there are, the one just added included.
    pub count: u32,
    /// When the count begins anew.
    pub ends_in: Duration,
}

/// Most counts that a process keeps in its memory; beyond it the ones that end first are dropped.
pub const COUNTS_MAX: usize = 10_000;
/// Most names that are reserved in one room at a time, and most people in it who want captions.
pub const NAMES_MAX: usize = 10_000;

/// Keeps the leases of nodes and tasks, and the names of participants.
///
/// Demands: a lease ends by itself when it is not renewed, and so does a reservation; an error is never read
/// as "gone"; of many who want one name at once each gets another, and of many who want one task one.
#[async_trait]
pub trait Coordination: Send + Sync {
    /// Takes or renews this node's lease for `ttl`, and says at which address other nodes can speak to it; empty
    /// if at none.
    ///
    /// # Errors
    /// When the backend is away; the lease may have been renewed all the same.
    async fn renew_at(&self, node: &NodeId, address: &str, ttl: Duration) -> Result<(), PortError>;

    /// The same for a node that cannot be spoken to.
    ///
    /// # Errors
    /// As above.
    async fn renew(&self, node: &NodeId, ttl: Duration) -> Result<(), PortError> {
        self.renew_at(node, "", ttl).await
    }

    /// The leases of all nodes that hold one.
    ///
    /// # Errors
    /// When the backend is away.
    async fn nodes(&self) -> Result<Vec<Lease>, PortError>;

    /// Gives this node's lease up.
    ///
    /// # Errors
    /// When the backend is away.
    async fn leave(&self, node: &NodeId) -> Result<(), PortError>;

    /// Says that this node runs at a place where only one process can, such as an address that it listens on:
    /// whichever ran there before is gone, and its lease ends. A place is remembered for `ttl` after the last word.
    ///
    /// # Errors
    /// When the backend is away.
    async fn succeed(&self, place: &str, node: &NodeId, ttl: Duration) -> Result<(), PortError>;

    /// Whether a node lives. Of one that gave its lease up, or was succeeded, that is known at once; of others
    /// nobody counts as gone for one lease after the backend lost all leases, since it lost those of the living.
    ///
    /// # Errors
    /// When the backend is away: then nothing is known.
    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError>;

    /// Reserves a display name in a room for `ttl`: the wanted one, or another made of it by
    /// [`crate::meeting::joining::free_name`]; of many alike perhaps not the one with the smallest number. Returns the
    /// reserved one; none if the room has [`NAMES_MAX`].
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

    /// Notes for `ttl` that somebody in a meeting wants captions. Repeatable.
    ///
    /// # Errors
    /// When the backend is away; it may have been noted all the same.
    async fn want_captions(&self, room: &RoomId, identity: &str, ttl: Duration) -> Result<(), PortError>;

    /// Forgets that somebody wants captions. Returns whether they did.
    ///
    /// # Errors
    /// When the backend is away; it may have been forgotten all the same.
    async fn decline_captions(&self, room: &RoomId, identity: &str) -> Result<bool, PortError>;

    /// Whether anybody in a meeting wants captions, also of those whom nodes of Meet know.
    ///
    /// # Errors
    /// When the backend is away.
    async fn are_captions_wanted(&self, room: &RoomId) -> Result<bool, PortError>;

    /// Forgets who wants captions in a meeting.
    ///
    /// # Errors
    /// When the backend is away.
    async fn forget_captions(&self, room: &RoomId) -> Result<(), PortError>;

    /// Takes the lease of a task for `ttl`, or renews it. Returns whether this node has it now. It ends by itself, and at
    /// once if its holder gives its own lease up or is succeeded.
    ///
    /// # Errors
    /// When the backend is away; it may have been taken all the same.
    async fn take_task(&self, task: &str, node: &NodeId, ttl: Duration) -> Result<bool, PortError>;

    /// Adds one to a count that all nodes share; it begins anew so long after its first one.
    ///
    /// # Errors
    /// When the backend is away; it may have been added all the same.
    async fn add_to_count(&self, name: &str, lasts: Duration) -> Result<Tally, PortError>;

    /// Takes one from a count again. Nothing happens if it began anew since.
    ///
    /// # Errors
    /// When the backend is away; it may have been taken all the same.
    async fn take_from_count(&self, name: &str) -> Result<(), PortError>;

    /// Whether nodes of Meet may share this backend. If not, the three calls below have nothing to do.
    fn stands_beside_meet(&self) -> bool {
        false
    }

    /// Takes Meet's lock of a room. One of theirs that is older than `theirs_last` is taken over: whatever it
    /// stood for is in LiveKit's list by then, or never will be. Repeatable; what was lost is written again.
    ///
    /// # Errors
    /// When the backend is away; it may have been taken all the same.
    async fn hold_room(&self, _room: &RoomId, _theirs_last: Duration) -> Result<Held, PortError> {
        Ok(Held::Ours)
    }

    /// Gives Meet's lock of a room back, if it is ours.
    ///
    /// # Errors
    /// When the backend is away.
    async fn free_room(&self, _room: &RoomId) -> Result<(), PortError> {
        Ok(())
    }

    /// Tells Meet's nodes that a recording is active. A hint: nobody waits for it.
    ///
    /// # Errors
    /// When the backend is away.
    async fn announce_active(&self, _recording: &Recording) -> Result<(), PortError> {
        Ok(())
    }
}
