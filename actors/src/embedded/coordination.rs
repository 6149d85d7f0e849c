//! Coordination for a process that is alone (`memory://`).
//!
//! Knows the leases taken and the names reserved in this process and nothing else: every node of another
//! process, and so every earlier run of this one, is gone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::lock;
use crate::ids::{NodeId, RoomId};
use crate::meeting::joining::{self, compared};
use crate::ports::PortError;
use crate::ports::coordination::{Coordination, Member, NAMES_MAX, Standing};

/// When each name of a room becomes free by itself, in the form in which names are compared.
type Names = BTreeMap<String, Instant>;

/// Node leases and names in memory.
#[derive(Debug, Default)]
pub struct AloneCoordination {
    /// When each lease ends, and where its node can be spoken to.
    leases: Mutex<BTreeMap<NodeId, (Instant, String)>>,
    names: Mutex<BTreeMap<RoomId, Names>>,
    /// Who has each task, until when.
    tasks: Mutex<BTreeMap<String, (NodeId, Instant)>>,
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
    async fn renew_at(&self, node: &NodeId, address: &str, ttl: Duration) -> Result<(), PortError> {
        let now = Instant::now();
        let mut leases = lock(&self.leases);
        leases.retain(|_, (end, _)| *end > now);
        leases.insert(node.clone(), (now + ttl, address.to_owned()));
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<Member>, PortError> {
        let now = Instant::now();
        let leases = lock(&self.leases);
        let living = leases.iter().filter(|(_, (end, _))| *end > now);
        Ok(living
            .map(|(node, (_, address))| Member { node: node.clone(), address: address.clone() })
            .collect())
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        lock(&self.leases).remove(node);
        Ok(())
    }

    async fn succeed(&self, _place: &str, _node: &NodeId, _ttl: Duration) -> Result<(), PortError> {
        // Every other process is gone as it is.
        Ok(())
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError> {
        let lives = lock(&self.leases).get(node).is_some_and(|(end, _)| *end > Instant::now());
        Ok(if lives { Standing::Alive } else { Standing::Gone })
    }

    async fn reserve_name(
        &self,
        room: &RoomId,
        wanted: &str,
        ttl: Duration,
    ) -> Result<Option<String>, PortError> {
        let now = Instant::now();
        let mut rooms = lock(&self.names);
        rooms.retain(|_, names| {
            names.retain(|_, end| *end > now);
            !names.is_empty()
        });
        let names = rooms.entry(room.clone()).or_default();
        if names.len() >= NAMES_MAX {
            return Ok(None);
        }
        let name = joining::free_name(wanted, |name| names.contains_key(name));
        names.insert(compared(&name), now + ttl);
        Ok(Some(name))
    }

    async fn free_name(&self, room: &RoomId, name: &str) -> Result<(), PortError> {
        if let Some(names) = lock(&self.names).get_mut(room) {
            names.remove(&compared(name));
        }
        Ok(())
    }

    async fn free_names(&self, room: &RoomId) -> Result<(), PortError> {
        lock(&self.names).remove(room);
        Ok(())
    }

    async fn take_task(&self, task: &str, node: &NodeId, ttl: Duration) -> Result<bool, PortError> {
        let now = Instant::now();
        let mut tasks = lock(&self.tasks);
        if tasks.get(task).is_some_and(|(holder, end)| holder != node && *end > now) {
            return Ok(false);
        }
        tasks.insert(task.to_owned(), (node.clone(), now + ttl));
        Ok(true)
    }

    async fn give_task_back(&self, task: &str, node: &NodeId) -> Result<(), PortError> {
        let mut tasks = lock(&self.tasks);
        if tasks.get(task).is_some_and(|(holder, _)| holder == node) {
            tasks.remove(task);
        }
        Ok(())
    }
}
