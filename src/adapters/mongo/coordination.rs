//! Coordination in MongoDB (`store://`): leases of nodes and names in meetings, without Redis.
//!
//! Time is the server's, so that clocks of nodes mean nothing. What is over is told by its time; that MongoDB also
//! removes it, within a minute or so, only saves space.

use std::sync::Arc;
use std::time::Duration;

use ::mongodb::bson::oid::ObjectId;
use ::mongodb::bson::{Bson, Document, doc};
use ::mongodb::options::ReturnDocument;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::meeting::joining::{self, compared};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::coordination::{Coordination, Lease, Member, NAMES_MAX, Standing, Tally};

use super::MongoStore;
use super::failure::is_duplicate;

const LEASES: &str = "reelkeeper_leases";
const NAMES: &str = "reelkeeper_names";
const CAPTIONS: &str = "reelkeeper_captions";
const COUNTS: &str = "reelkeeper_counts";
/// The dependency's name in errors.
const COORDINATION: &str = "coordination";

/// Leases and names in a store.
#[derive(Clone)]
pub struct MongoCoordination {
    store: Arc<MongoStore>,
}

impl MongoCoordination {
    /// In the collections of this store.
    #[must_use]
    pub fn new(store: Arc<MongoStore>) -> Self {
        Self { store }
    }

    /// Runs a call; its failures are those of coordination.
    async fn run<T>(
        &self,
        subject: &(dyn std::fmt::Display + Sync),
        call: impl Future<Output = ::mongodb::error::Result<T>>,
    ) -> Result<T, PortError> {
        let done = self.store.run(subject, call).await;
        done.map_err(|error| PortError { dependency: COORDINATION, ..error })
    }

    /// Names that are taken in a room, in the form in which they are compared.
    async fn taken(&self, room: &RoomId) -> Result<std::collections::BTreeSet<String>, PortError> {
        let names = self.store.agreed(NAMES);
        let live = doc! {"room": room.as_str(), "$expr": {"$gt": ["$endsAt", "$$NOW"]}};
        let found = names.find(live).projection(doc! {"name": 1}).max_time(self.store.deadline);
        let found: Vec<Document> = self.run(room, async { found.await?.try_collect().await }).await?;
        Ok(found.iter().filter_map(|name| name.get_str("name").map(str::to_owned).ok()).collect())
    }

    /// Takes a name if it is free. Returns whether it was.
    async fn take(&self, room: &RoomId, name: &str, ttl: Duration) -> Result<bool, PortError> {
        let names = self.store.agreed(NAMES);
        let ours = ObjectId::new();
        let is_free = doc! {"$lte": [{"$ifNull": ["$endsAt", "$$NOW"]}, "$$NOW"]};
        let unless_taken = |new: Bson, field: &str| doc! {"$cond": [is_free.clone(), new, field]};
        let take = vec![doc! {"$set": {
            "room": room.as_str(),
            "name": {"$literal": compared(name)},
            "by": unless_taken(ours.into(), "$by"),
            "endsAt": unless_taken(later(ttl).into(), "$endsAt"),
        }}];
        let take = names.find_one_and_update(doc! {"_id": id_of(room, name)}, take).upsert(true);
        let take = take.return_document(ReturnDocument::After);
        let take = async {
            match take.await {
                // Two that make it at once: one of them is told so.
                Err(error) if is_duplicate(&error) => Ok(None),
                taken => taken,
            }
        };
        let taken = self.run(room, take).await?;
        Ok(taken.is_some_and(|name| name.get_object_id("by").is_ok_and(|by| by == ours)))
    }
}

/// A name's id: one for each room and name, letter case aside.
fn id_of(room: &RoomId, name: &str) -> String {
    format!("{room}:{}", compared(name))
}

/// A task's lease lies beside those of nodes.
fn task_id(task: &str) -> String {
    format!("task:{task}")
}

/// The server's time and a duration.
fn later(ttl: Duration) -> Document {
    doc! {"$add": ["$$NOW", i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)]}
}

#[async_trait]
impl Coordination for MongoCoordination {
    async fn renew_at(&self, node: &NodeId, address: &str, ttl: Duration) -> Result<(), PortError> {
        let leases = self.store.agreed(LEASES);
        let lease = doc! {"$set": {"endsAt": later(ttl), "address": {"$literal": address}}};
        let renew = leases.update_one(doc! {"_id": node.as_str()}, vec![lease]);
        self.run(node, async { renew.upsert(true).await }).await.map(drop)
    }

    async fn nodes(&self) -> Result<Vec<Lease>, PortError> {
        let leases = self.store.agreed(LEASES);
        let living = doc! {"address": {"$exists": true}, "$expr": {"$gt": ["$endsAt", "$$NOW"]}};
        let shown = doc! {"address": 1, "left": {"$subtract": ["$endsAt", "$$NOW"]}};
        let found = leases.find(living).projection(shown).max_time(self.store.deadline);
        let found: Vec<Document> = self.run(&"nodes", async { found.await?.try_collect().await }).await?;
        let read = found.iter().filter_map(|lease| {
            let node = NodeId::from_trusted(lease.get_str("_id").ok()?);
            let member = Member { node, address: lease.get_str("address").ok()?.to_owned() };
            let left = u64::try_from(lease.get_i64("left").ok()?).unwrap_or_default();
            Some(Lease { member, left: Duration::from_millis(left) })
        });
        Ok(read.collect())
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        let leases = self.store.agreed(LEASES);
        // Its own lease first: what is missing then ends by itself.
        self.run(node, async { leases.delete_one(doc! {"_id": node.as_str()}).await }).await?;
        let tasks = doc! {"_id": {"$gte": task_id(""), "$lt": "task;"}, "by": node.as_str()};
        self.run(node, async { leases.delete_many(tasks).await }).await.map(drop)
    }

    async fn succeed(&self, place: &str, node: &NodeId, ttl: Duration) -> Result<(), PortError> {
        let leases = self.store.agreed(LEASES);
        let take = vec![doc! {"$set": {"by": node.as_str(), "endsAt": later(ttl)}}];
        let take = leases.find_one_and_update(doc! {"_id": format!("place:{place}")}, take).upsert(true);
        let take = take.return_document(ReturnDocument::Before);
        let before = self.run(node, async { take.await }).await?;
        match before.as_ref().and_then(|before| before.get_str("by").ok()) {
            Some(before) if before != node.as_str() => self.leave(&NodeId::from_trusted(before)).await,
            _ => Ok(()),
        }
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError> {
        let leases = self.store.agreed(LEASES);
        let live = doc! {"_id": node.as_str(), "$expr": {"$gt": ["$endsAt", "$$NOW"]}};
        let found = self.run(node, async { leases.find_one(live).await }).await?;
        Ok(if found.is_some() { Standing::Alive } else { Standing::Gone })
    }

    async fn reserve_name(
        &self,
        room: &RoomId,
        wanted: &str,
        ttl: Duration,
    ) -> Result<Option<String>, PortError> {
        let mut taken = self.taken(room).await?;
        let deadline = tokio::time::Instant::now() + self.store.deadline;
        while taken.len() < NAMES_MAX && tokio::time::Instant::now() < deadline {
            let name = joining::free_name(wanted, |name| taken.contains(name));
            if self.take(room, &name, ttl).await? {
                return Ok(Some(name));
            }
            // Somebody was faster.
            taken.insert(compared(&name));
        }
        if taken.len() >= NAMES_MAX {
            return Ok(None);
        }
        let detail = format_args!("{room}: no name was free within {:?}", self.store.deadline);
        Err(PortError::unavailable(COORDINATION, detail))
    }

    async fn free_name(&self, room: &RoomId, name: &str) -> Result<(), PortError> {
        let names = self.store.agreed(NAMES);
        self.run(room, async { names.delete_one(doc! {"_id": id_of(room, name)}).await }).await.map(drop)
    }

    async fn free_names(&self, room: &RoomId) -> Result<(), PortError> {
        let names = self.store.agreed(NAMES);
        self.run(room, async { names.delete_many(doc! {"room": room.as_str()}).await }).await.map(drop)
    }

    async fn want_captions(&self, room: &RoomId, identity: &str, ttl: Duration) -> Result<(), PortError> {
        let captions = self.store.agreed(CAPTIONS);
        let want = vec![doc! {"$set": {"room": room.as_str(), "endsAt": later(ttl)}}];
        let want = captions.update_one(doc! {"_id": format!("{room}:{identity}")}, want).upsert(true);
        self.run(room, async { want.await }).await.map(drop)
    }

    async fn decline_captions(&self, room: &RoomId, identity: &str) -> Result<bool, PortError> {
        let captions = self.store.agreed(CAPTIONS);
        let theirs = doc! {"_id": format!("{room}:{identity}")};
        let declined = self.run(room, async { captions.delete_one(theirs).await }).await?;
        Ok(declined.deleted_count > 0)
    }

    async fn are_captions_wanted(&self, room: &RoomId) -> Result<bool, PortError> {
        let captions = self.store.agreed(CAPTIONS);
        let live = doc! {"room": room.as_str(), "$expr": {"$gt": ["$endsAt", "$$NOW"]}};
        Ok(self.run(room, async { captions.find_one(live).await }).await?.is_some())
    }

    async fn forget_captions(&self, room: &RoomId) -> Result<(), PortError> {
        let captions = self.store.agreed(CAPTIONS);
        self.run(room, async { captions.delete_many(doc! {"room": room.as_str()}).await }).await.map(drop)
    }

    async fn take_task(&self, task: &str, node: &NodeId, ttl: Duration) -> Result<bool, PortError> {
        let leases = self.store.agreed(LEASES);
        let is_free = doc! {"$or": [
            {"$lte": [{"$ifNull": ["$endsAt", "$$NOW"]}, "$$NOW"]},
            {"$eq": ["$by", node.as_str()]},
        ]};
        let unless_taken = |new: Bson, field: &str| doc! {"$cond": [is_free.clone(), new, field]};
        // Both fields are read as they were, whatever the order.
        let take = vec![doc! {"$set": {
            "by": unless_taken(node.as_str().into(), "$by"),
            "endsAt": unless_taken(later(ttl).into(), "$endsAt"),
        }}];
        let take = leases.find_one_and_update(doc! {"_id": task_id(task)}, take).upsert(true);
        let take = take.return_document(ReturnDocument::After);
        let take = async {
            match take.await {
                Err(error) if is_duplicate(&error) => Ok(None),
                taken => taken,
            }
        };
        let taken = self.run(&task, take).await?;
        Ok(taken.is_some_and(|lease| lease.get_str("by").is_ok_and(|by| by == node.as_str())))
    }

    async fn add_to_count(&self, name: &str, lasts: Duration) -> Result<Tally, PortError> {
        let counts = self.store.agreed(COUNTS);
        let is_over = doc! {"$lte": [{"$ifNull": ["$endsAt", "$$NOW"]}, "$$NOW"]};
        let add = vec![
            doc! {"$set": {
                "count": {"$cond": [is_over.clone(), 1, {"$add": ["$count", 1]}]},
                "endsAt": {"$cond": [is_over, later(lasts), "$endsAt"]},
            }},
            doc! {"$set": {"left": {"$subtract": ["$endsAt", "$$NOW"]}}},
        ];
        let add = || {
            let add = counts.find_one_and_update(doc! {"_id": name}, add.clone()).upsert(true);
            add.return_document(ReturnDocument::After).into_future()
        };
        let add = async {
            match add().await {
                // Somebody made it at the same moment.
                Err(error) if is_duplicate(&error) => add().await,
                counted => counted,
            }
        };
        let counted = self.run(&"count", add).await?.unwrap_or_default();
        let left = counted.get_i64("left").ok().and_then(|left| u64::try_from(left).ok());
        let count = counted.get_i32("count").ok().and_then(|count| u32::try_from(count).ok());
        Ok(Tally { count: count.unwrap_or(1), ends_in: Duration::from_millis(left.unwrap_or_default()) })
    }

    async fn take_from_count(&self, name: &str) -> Result<(), PortError> {
        let counts = self.store.agreed(COUNTS);
        let take = counts.update_one(doc! {"_id": name, "count": {"$gt": 0}}, doc! {"$inc": {"count": -1}});
        self.run(&"count", async { take.await }).await.map(drop)
    }
}
