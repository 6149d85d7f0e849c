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
use crate::ports::coordination::{COUNTS_MAX, Coordination, Lease, Member, NAMES_MAX, Standing, Tally};

/// When each name of a room becomes free by itself, in the form in which names are compared.
type Names = BTreeMap<String, Instant>;

/// Node leases and names in memory.
#[derive(Debug, Default)]
pub struct AloneCoordination {
    /// When each lease ends, and where its node can be spoken to.
    leases: Mutex<BTreeMap<NodeId, (Instant, String)>>,
    names: Mutex<BTreeMap<RoomId, Names>>,
    /// Who in each room wants captions, until when.
    captions: Mutex<BTreeMap<RoomId, BTreeMap<String, Instant>>>,
    /// Who has each task, until when.
    tasks: Mutex<BTreeMap<String, (NodeId, Instant)>>,
    /// How many of each there are, and when the count begins anew.
    counts: Mutex<BTreeMap<String, (u32, Instant)>>,
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

    async fn nodes(&self) -> Result<Vec<Lease>, PortError> {
        let now = Instant::now();
        let leases = lock(&self.leases);
        let living = leases.iter().filter(|(_, (end, _))| *end > now);
        Ok(living
            .map(|(node, (end, address))| Lease {
                member: Member { node: node.clone(), address: address.clone() },
                left: end.duration_since(now),
            })
            .collect())
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        lock(&self.leases).remove(node);
        lock(&self.tasks).retain(|_, (holder, _)| holder != node);
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

    async fn want_captions(&self, room: &RoomId, identity: &str, ttl: Duration) -> Result<(), PortError> {
        let now = Instant::now();
        let mut rooms = lock(&self.captions);
        rooms.retain(|_, wanting| {
            wanting.retain(|_, end| *end > now);
            !wanting.is_empty()
        });
        let wanting = rooms.entry(room.clone()).or_default();
        if wanting.len() < NAMES_MAX {
            wanting.insert(identity.to_owned(), now + ttl);
        }
        Ok(())
    }

    async fn decline_captions(&self, room: &RoomId, identity: &str) -> Result<bool, PortError> {
        let mut rooms = lock(&self.captions);
        let ended = rooms.get_mut(room).and_then(|wanting| wanting.remove(identity));
        Ok(ended.is_some_and(|end| end > Instant::now()))
    }

    async fn are_captions_wanted(&self, room: &RoomId) -> Result<bool, PortError> {
        let now = Instant::now();
        Ok(lock(&self.captions).get(room).is_some_and(|wanting| wanting.values().any(|end| *end > now)))
    }

    async fn forget_captions(&self, room: &RoomId) -> Result<(), PortError> {
        lock(&self.captions).remove(room);
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

    async fn add_to_count(&self, name: &str, lasts: Duration) -> Result<Tally, PortError> {
        let now = Instant::now();
        let mut counts = lock(&self.counts);
        counts.retain(|_, (_, ends)| *ends > now);
        while counts.len() >= COUNTS_MAX && !counts.contains_key(name) {
            let first = counts.iter().min_by_key(|(_, (_, ends))| *ends).map(|(name, _)| name.clone());
            first.and_then(|name| counts.remove(&name));
        }
        let (count, ends) = counts.entry(name.to_owned()).or_insert((0, now + lasts));
        *count = count.saturating_add(1);
        Ok(Tally { count: *count, ends_in: ends.duration_since(now) })
    }

    async fn take_from_count(&self, name: &str) -> Result<(), PortError> {
        if let Some((count, _)) = lock(&self.counts).get_mut(name) {
            *count = count.saturating_sub(1);
        }
        Ok(())
    }
}
