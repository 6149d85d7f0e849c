//! An inbox in memory, for a process that is alone and for nodes that share one in tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::ids::NodeId;
use crate::ports::PortError;
use crate::ports::inbox::{Inbox, Waiting};

/// Letters kept at once; the oldest answered ones go first.
const LETTERS_MAX: usize = 10_000;

/// A letter and what it was answered.
type Kept = (Waiting, Option<String>);

/// Letters in memory, by the order in which they came.
#[derive(Debug, Default)]
pub struct MemoryInbox {
    letters: Mutex<(u64, BTreeMap<u64, Kept>)>,
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn put_letter(&self, waiting: &Waiting) -> Result<(), PortError> {
        let mut kept = lock(&self.letters);
        let (count, letters) = &mut *kept;
        if letters.values().any(|(letter, _)| letter.id == waiting.id) {
            return Ok(());
        }
        if letters.len() >= LETTERS_MAX {
            let oldest = letters.iter().find(|(_, (_, answer))| answer.is_some()).map(|(number, _)| *number);
            let full = || PortError::unavailable("store", "the inbox is full");
            letters.remove(&oldest.ok_or_else(full)?);
        }
        *count += 1;
        letters.insert(*count, (waiting.clone(), None));
        Ok(())
    }

    async fn letters(&self, owner: Option<&NodeId>, limit: usize) -> Result<Vec<Waiting>, PortError> {
        let kept = lock(&self.letters);
        let open = kept
            .1
            .values()
            .filter(|(letter, answer)| answer.is_none() && owner.is_none_or(|owner| letter.owner == *owner));
        Ok(open.map(|(letter, _)| letter.clone()).take(limit).collect())
    }

    async fn answer_letter(&self, id: &str, answer: &str) -> Result<(), PortError> {
        let mut kept = lock(&self.letters);
        let found = kept.1.values_mut().find(|(letter, _)| letter.id == id);
        if let Some((_, open @ None)) = found {
            *open = Some(answer.to_owned());
        }
        Ok(())
    }

    async fn letter_answer(&self, id: &str) -> Result<Option<String>, PortError> {
        let kept = lock(&self.letters);
        Ok(kept.1.values().find(|(letter, _)| letter.id == id).and_then(|(_, answer)| answer.clone()))
    }
}
