//! Idempotency keys in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::ids::CommandId;
use crate::ports::PortError;
use crate::ports::keys::{IdempotencyKeys, KeptCommand, ScopedKey};
use crate::recording::Timestamp;
use crate::recording::effect::Answer;

#[derive(Debug, Default)]
pub(super) struct Keys {
    kept: BTreeMap<ScopedKey, KeptCommand>,
    commands: BTreeMap<CommandId, ScopedKey>,
}

impl Keys {
    fn forget(&mut self, key: &ScopedKey) {
        if let Some(kept) = self.kept.remove(key) {
            self.commands.remove(&kept.command);
        }
    }
}

#[async_trait]
impl IdempotencyKeys for MemoryStore {
    async fn find(&self, key: &ScopedKey) -> Result<Option<KeptCommand>, PortError> {
        Ok(lock(&self.keys).kept.get(key).cloned())
    }

    async fn enter(
        &self,
        key: &ScopedKey,
        new: &KeptCommand,
        oldest: Timestamp,
    ) -> Result<KeptCommand, PortError> {
        let mut keys = lock(&self.keys);
        if let Some(kept) = keys.kept.get(key).filter(|kept| kept.entered >= oldest) {
            return Ok(kept.clone());
        }
        keys.forget(key);
        keys.kept.insert(key.clone(), new.clone());
        keys.commands.insert(new.command.clone(), key.clone());
        Ok(new.clone())
    }

    async fn keep(&self, command: &CommandId, answer: &Answer) -> Result<bool, PortError> {
        let mut keys = lock(&self.keys);
        let Some(key) = keys.commands.get(command).cloned() else { return Ok(false) };
        let Some(kept) = keys.kept.get_mut(&key) else { return Ok(false) };
        kept.answer.get_or_insert_with(|| answer.clone());
        Ok(true)
    }

    async fn answer_of(&self, command: &CommandId) -> Result<Option<Answer>, PortError> {
        let keys = lock(&self.keys);
        let kept = keys.commands.get(command).and_then(|key| keys.kept.get(key));
        Ok(kept.and_then(|kept| kept.answer.clone()))
    }

    async fn forget_older(&self, oldest: Timestamp, limit: usize) -> Result<usize, PortError> {
        let mut keys = lock(&self.keys);
        let old = keys.kept.iter().filter(|(_, kept)| kept.entered < oldest);
        let mut old: Vec<_> = old.map(|(key, kept)| (kept.entered, key.clone())).collect();
        old.sort();
        old.truncate(limit);
        for (_, key) in &old {
            keys.forget(key);
        }
        Ok(old.len())
    }
}
