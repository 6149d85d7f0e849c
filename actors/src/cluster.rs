//! The cluster: which node owns a room, and how what is asked of another node gets there.
//!
//! Owns the node's lease as its own actors see it ([`lease`]), the form of what nodes say to each other ([`wire`]),
//! who lives and whose rooms are to be taken over ([`membership`]), and the door between nodes ([`gateway`],
//! [`encryption`]). Never
//! decides who owns a room: that is the claim in its row (design 7).

pub mod encryption;
pub mod gateway;
pub mod lease;
pub mod membership;
pub mod wire;

use std::sync::Arc;

use self::lease::OwnLease;
use crate::embedded::MemoryInbox;
use crate::ports::inbox::Inbox;
use crate::ports::peers::{NoPeers, Peers};

/// What a node has of other nodes.
#[derive(Clone)]
pub struct Cluster {
    /// The other nodes.
    pub peers: Arc<dyn Peers>,
    /// Letters for those that cannot be spoken to.
    pub inbox: Arc<dyn Inbox>,
    /// This node's lease.
    pub lease: Arc<OwnLease>,
}

impl Cluster {
    /// There is nobody else.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            peers: Arc::new(NoPeers),
            inbox: Arc::new(MemoryInbox::default()),
            lease: Arc::new(OwnLease::without_end()),
        }
    }
}
