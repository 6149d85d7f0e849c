//! Coordination for a process that is alone (`memory://`).
//!
//! Knows the leases taken in this process and nothing else: every node of another process, and so every
//! earlier run of this one, is gone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::lock;
use crate::ids::NodeId;
use crate::ports::PortError;
use crate::ports::coordination::{Coordination, Standing};

/// Node leases in memory.
#[derive(Debug, Default)]
pub struct AloneCoordination {
    /// When each lease ends.
    leases: Mutex<BTreeMap<NodeId, Instant>>,
}

impl AloneCoordination {
    /// Nobody holds a lease yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Coordination for AloneCoordination {
    async fn renew(&self, node: &NodeId, ttl: Duration) -> Result<(), PortError> {
        let now = Instant::now();
        let mut leases = lock(&self.leases);
        leases.retain(|_, end| *end > now);
        leases.insert(node.clone(), now + ttl);
        Ok(())
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        lock(&self.leases).remove(node);
        Ok(())
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError> {
        let lives = lock(&self.leases).get(node).is_some_and(|end| *end > Instant::now());
        Ok(if lives { Standing::Alive } else { Standing::Gone })
    }
}
