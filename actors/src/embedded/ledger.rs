//! The ledger in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::ids::{ClaimId, RoomId};
use crate::ports::PortError;
use crate::ports::ledger::{Expected, Ledger, Written};
use crate::recording::ledger::Row;

pub(super) type Rows = BTreeMap<RoomId, Row>;

fn refused(found: Option<&Row>) -> Written {
    Written::Refused(found.cloned().map(Box::new))
}

fn carries(row: &Row, claim: &ClaimId, revision: u64) -> bool {
    row.claim == *claim && row.revision == revision
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError> {
        Ok(lock(&self.rows).get(room).cloned())
    }

    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError> {
        let mut rows = lock(&self.rows);
        let found = rows.get(&row.room);
        let as_expected = match (expected, found) {
            (Expected::Absent, None) => true,
            (Expected::At { claim, revision }, Some(found)) => carries(found, claim, *revision),
            (Expected::Absent, Some(_)) | (Expected::At { .. }, None) => false,
        };
        if !as_expected {
            return Ok(refused(found));
        }
        rows.insert(row.room.clone(), row.clone());
        Ok(Written::Stored)
    }

    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError> {
        let mut rows = lock(&self.rows);
        let found = rows.get(room);
        if !found.is_some_and(|found| carries(found, claim, revision)) {
            return Ok(refused(found));
        }
        rows.remove(room);
        Ok(Written::Stored)
    }

    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError> {
        let rows = lock(&self.rows);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(rows.range((from, Bound::Unbounded)).take(limit).map(|(_, row)| row.clone()).collect())
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}
