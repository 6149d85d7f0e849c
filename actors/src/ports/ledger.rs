//! The ledger: one fenced row per room, the durable state of its room actor (design 3).

use async_trait::async_trait;

use super::PortError;
use crate::ids::{ClaimId, RoomId};
use crate::recording::ledger::Row;

/// What a write expects to find. Any difference refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// No row for this room.
    Absent,
    /// A row with exactly this claim and revision.
    At {
        /// The claim that the row must carry.
        claim: ClaimId,
        /// The revision that the row must carry.
        revision: u64,
    },
}

/// How a conditional write ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It is stored and survives a crash of the process, and of the machine if the adapter is durable.
    Stored,
    /// The row was not as expected; nothing was changed. Holds what is there now.
    Refused(Option<Box<Row>>),
}

/// Stores room rows.
///
/// Demands: a write is atomic and compares claim and revision with what is stored at that moment; a
/// `Stored` answer is durable; after an error the write may or may not have been applied; every call ends
/// within a bounded time. Rows are small (under 1 MiB).
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The room's row, if there is one.
    ///
    /// # Errors
    /// When the store is away, or the row cannot be read.
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError>;

    /// Replaces, or makes, the room's row if it is as expected. Claiming a room is a write with a new claim.
    ///
    /// # Errors
    /// When the store is away; the write may have been applied all the same.
    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError>;

    /// Removes the room's row if it carries this claim and revision.
    ///
    /// # Errors
    /// When the store is away; the row may have been removed all the same.
    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError>;

    /// Up to `limit` rows in the order of their room ids, beginning after `after`.
    ///
    /// # Errors
    /// When the store is away. A row that cannot be read is left out and logged.
    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError>;

    /// Cheap proof that the store answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), PortError>;
}
