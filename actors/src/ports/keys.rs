//! Idempotency keys: which command a client's key stands for, and what that command was answered.
//!
//! A collection of its own, not part of a room's row: an answer outlives the row. Never holds a credential.

use async_trait::async_trait;

use super::PortError;
use crate::ids::{CommandId, RoomId};
use crate::recording::Timestamp;
use crate::recording::effect::Answer;

/// What a key is good for: the same text of another caller, in another room or for another operation is
/// another key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedKey {
    /// Who sent it: a name that stays the same and gives no credential away.
    pub caller: String,
    /// The room.
    pub room: RoomId,
    /// What was asked for.
    pub operation: Operation,
    /// The client's text: 1 to 255 printable ASCII characters.
    pub key: String,
}

/// What may be asked for under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// To record.
    Start,
    /// To end a recording.
    Stop,
}

impl Operation {
    /// Its name in stores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptCommand {
    /// The command that whoever sends the key asks for.
    pub command: CommandId,
    /// A digest of the request: the key is good for this one only.
    pub request: String,
    /// When it was entered.
    pub entered: Timestamp,
    /// What it was answered; none as long as nothing was begun, or its answer is not decided.
    pub answer: Option<Answer>,
}

/// Keeps keys.
///
/// Demands: each call is atomic for one key; what was stored is durable when the call returns and is seen by
/// the next read of any caller; every call ends within a bounded time. Commands are unique. An answer may be
/// durable later, but no later than a ledger write that is begun after it: the room's row owes it until then.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync {
    /// What is kept under a key, however old.
    ///
    /// # Errors
    /// When the store is away, or what is kept cannot be read.
    async fn find(&self, key: &ScopedKey) -> Result<Option<KeptCommand>, PortError>;

    /// Enters a command under a key unless one is there that was entered at `oldest` or later; an older one is
    /// replaced. Returns what is kept now: `new`, or what was there.
    ///
    /// # Errors
    /// When the store is away; it may have been entered all the same.
    async fn enter(
        &self,
        key: &ScopedKey,
        new: &KeptCommand,
        oldest: Timestamp,
    ) -> Result<KeptCommand, PortError>;

    /// Keeps the answer of a command; a first answer stays. Returns whether the command is there.
    ///
    /// # Errors
    /// When the store is away; it may have been kept all the same.
    async fn keep(&self, command: &CommandId, answer: &Answer) -> Result<bool, PortError>;

    /// The answer of a command, if one is kept.
    ///
    /// # Errors
    /// When the store is away, or what is kept cannot be read.
    async fn answer_of(&self, command: &CommandId) -> Result<Option<Answer>, PortError>;

    /// Forgets up to `limit` keys that were entered before `oldest`, the oldest first. Returns how many.
    ///
    /// # Errors
    /// When the store is away; some may have been forgotten all the same.
    async fn forget_older(&self, oldest: Timestamp, limit: usize) -> Result<usize, PortError>;
}
