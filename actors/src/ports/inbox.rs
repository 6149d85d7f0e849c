//! The inbox: letters for an owner that cannot be spoken to, in the store that all nodes share (design 7).

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::PortError;
use crate::ids::{NodeId, RoomId};

/// A letter that waits for a room's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Names it for ever; a request's is its command.
    pub id: String,
    /// The room.
    pub room: RoomId,
    /// Whom it was meant for; whoever owns the room by now may take it.
    pub owner: NodeId,
    /// What it says, in the words of [`crate::cluster::wire`].
    pub letter: String,
}

/// Keeps letters until they are answered, and answers for a day.
///
/// Demands: a letter is put once by its id, and durable when the call returns; an answer is seen by the next
/// read of any caller; every call ends within a bounded time.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Puts a letter, unless one with its id is there already.
    ///
    /// # Errors
    /// When the store is away; it may have been put all the same.
    async fn put_letter(&self, waiting: &Waiting) -> Result<(), PortError>;

    /// Letters for a node without an answer, the oldest first, but those named in `except`. At most `limit`.
    ///
    /// # Errors
    /// When the store is away. One that cannot be read is left out and logged.
    async fn letters(
        &self,
        owner: &NodeId,
        except: &BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Waiting>, PortError>;

    /// The nodes that letters without an answer are meant for, each once.
    ///
    /// # Errors
    /// When the store is away.
    async fn addressees(&self) -> Result<BTreeSet<NodeId>, PortError>;

    /// How many letters have no answer yet.
    ///
    /// # Errors
    /// When the store is away.
    async fn count_letters(&self) -> Result<u64, PortError>;

    /// Answers a letter; the first answer stays. Nothing happens if the letter is not there.
    ///
    /// # Errors
    /// When the store is away.
    async fn answer_letter(&self, id: &str, answer: &str) -> Result<(), PortError>;

    /// What a letter was answered; none if it was not yet.
    ///
    /// # Errors
    /// When the store is away.
    async fn letter_answer(&self, id: &str) -> Result<Option<String>, PortError>;
}
