//! The outbox: outgoing webhooks until they are delivered or dead (design 9).

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::PortError;
use crate::recording::Timestamp;

/// Most deliveries that are shown or leased at once.
pub const DELIVERIES_MAX: usize = 1_000;

/// An outgoing webhook as it was decided; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Names it for ever; receivers see it.
    pub id: String,
    /// What it is about, such as a recording's id. Letters about the same are delivered in the order of
    /// their numbers.
    pub subject: String,
    /// Its place among those about the same.
    pub number: u32,
    /// Its event.
    pub event: String,
    /// When it was decided.
    pub created_at: Timestamp,
    /// The whole body, as it is sent and signed.
    pub body: String,
}

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// It is to be delivered.
    Waiting,
    /// Its receiver took it. Remembered for a while, so that it is not taken in again.
    Delivered,
    /// It was given up.
    Dead,
}

impl LetterState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The name as operators see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// A letter and how its delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What is delivered.
    pub letter: Letter,
    /// Where it stands.
    pub state: LetterState,
    /// Attempts so far, one that was begun included.
    pub tries: u32,
    /// When the next attempt may begin.
    pub due: Timestamp,
    /// How the last attempt failed; empty if none did.
    pub last_error: String,
}

/// How full an outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxDepth {
    /// Letters to be delivered.
    pub waiting: u64,
    /// Letters given up.
    pub dead: u64,
    /// When the oldest waiting one was decided.
    pub oldest: Option<Timestamp>,
}

/// Keeps letters.
///
/// Demands: what was put survives a crash, no later than a ledger write that is begun after it; each call is atomic; of the letters about one subject only the
/// waiting one with the lowest number is ever leased; a lease is a due time in the future, so that a letter
/// whose carrier died comes up again by itself.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Puts a letter in, due at once, unless its id is known. Returns whether it was put in.
    ///
    /// # Errors
    /// When the store is away; it may have been put in all the same.
    async fn put(&self, letter: &Letter) -> Result<bool, PortError>;

    /// Leases up to `limit` letters that are due at `now`: counts an attempt for each and makes it due at
    /// `until`. Oldest due first.
    ///
    /// # Errors
    /// When the store is away.
    async fn lease(&self, now: Timestamp, until: Timestamp, limit: usize)
    -> Result<Vec<Delivery>, PortError>;

    /// When the next letter is due; none if no letter waits.
    ///
    /// # Errors
    /// When the store is away.
    async fn next_due(&self) -> Result<Option<Timestamp>, PortError>;

    /// The receiver took it.
    ///
    /// # Errors
    /// When the store is away.
    async fn delivered(&self, id: &str, at: Timestamp) -> Result<(), PortError>;

    /// An attempt failed: it is due again at `due`, or dead if there is no such time.
    ///
    /// # Errors
    /// When the store is away.
    async fn failed(&self, id: &str, due: Option<Timestamp>, error: &str) -> Result<(), PortError>;

    /// Letters in this state, at most `limit`, in the order of their ids, beginning after `after`.
    ///
    /// # Errors
    /// When the store is away.
    async fn letters(
        &self,
        state: LetterState,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError>;

    /// Makes a dead letter wait again, due at `due`, as if it had not been tried. Returns whether it was dead.
    ///
    /// # Errors
    /// When the store is away; it may wait again all the same.
    async fn replay(&self, id: &str, due: Timestamp) -> Result<bool, PortError>;

    /// Takes a letter that waits or is dead for delivered, though it is not: it goes to nobody. Returns whether there
    /// was one.
    ///
    /// # Errors
    /// When the store is away; it may have been dropped all the same.
    async fn drop_letter(&self, id: &str, at: Timestamp) -> Result<bool, PortError>;

    /// How full it is.
    ///
    /// # Errors
    /// When the store is away.
    async fn depth(&self) -> Result<OutboxDepth, PortError>;

    /// Forgets letters that were delivered before `delivered`, and dead ones that were decided before `dead`: at most
    /// `limit` of each. Returns how many.
    ///
    /// # Errors
    /// When the store is away; some may have been forgotten all the same.
    async fn purge(&self, delivered: Timestamp, dead: Timestamp, limit: usize) -> Result<usize, PortError>;
}
