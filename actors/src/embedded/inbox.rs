//! An inbox in memory, for a process that is alone and for nodes that share one in tests.

use std::collections::{BTreeMap, BTreeSet};
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

/// Those without an answer, the oldest first.
fn open(letters: &BTreeMap<u64, Kept>) -> impl Iterator<Item = &Waiting> {
    letters.values().filter(|(_, answer)| answer.is_none()).map(|(letter, _)| letter)
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

    async fn letters(
        &self,
        owner: &NodeId,
        except: &BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Waiting>, PortError> {
        let kept = lock(&self.letters);
        let open = open(&kept.1).filter(|letter| letter.owner == *owner && !except.contains(&letter.id));
        Ok(open.take(limit).cloned().collect())
    }

    async fn addressees(&self) -> Result<BTreeSet<NodeId>, PortError> {
        Ok(open(&lock(&self.letters).1).map(|letter| letter.owner.clone()).collect())
    }

    async fn count_letters(&self) -> Result<u64, PortError> {
        Ok(open(&lock(&self.letters).1).map(|_| 1).sum())
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
