//! The outbox in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::ports::PortError;
use crate::ports::outbox::{DELIVERIES_MAX, Delivery, Letter, LetterState, Outbox, OutboxDepth};
use crate::recording::Timestamp;

pub(super) type Letters = BTreeMap<String, Kept>;

/// A letter, and when it was delivered.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    delivery: Delivery,
    delivered_at: Timestamp,
}

fn waiting(letters: &Letters) -> impl Iterator<Item = &Delivery> {
    letters.values().map(|kept| &kept.delivery).filter(|delivery| delivery.state == LetterState::Waiting)
}

/// The first waiting letter about each subject.
fn first_of_each(letters: &Letters) -> Vec<&Delivery> {
    let mut in_order: Vec<&Delivery> = waiting(letters).collect();
    in_order.sort_by_key(|delivery| (&delivery.letter.subject, delivery.letter.number));
    let mut subjects = BTreeSet::new();
    in_order.retain(|delivery| subjects.insert(&delivery.letter.subject));
    in_order
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn put(&self, letter: &Letter) -> Result<bool, PortError> {
        let mut letters = lock(&self.letters);
        if letters.contains_key(&letter.id) {
            return Ok(false);
        }
        let delivery = Delivery {
            letter: letter.clone(),
            state: LetterState::Waiting,
            tries: 0,
            due: letter.created_at,
            last_error: String::new(),
        };
        letters.insert(letter.id.clone(), Kept { delivery, delivered_at: Timestamp::default() });
        Ok(true)
    }

    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let mut letters = lock(&self.letters);
        let mut due = first_of_each(&letters);
        due.retain(|delivery| delivery.due <= now);
        due.sort_by_key(|delivery| delivery.due);
        due.truncate(limit.min(DELIVERIES_MAX));
        let ids: Vec<String> = due.into_iter().map(|delivery| delivery.letter.id.clone()).collect();
        let mut leased = Vec::new();
        for id in ids {
            if let Some(kept) = letters.get_mut(&id) {
                kept.delivery.tries += 1;
                kept.delivery.due = until;
                leased.push(kept.delivery.clone());
            }
        }
        Ok(leased)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, PortError> {
        Ok(first_of_each(&lock(&self.letters)).iter().map(|delivery| delivery.due).min())
    }

    async fn delivered(&self, id: &str, at: Timestamp) -> Result<(), PortError> {
        if let Some(kept) = lock(&self.letters).get_mut(id) {
            kept.delivery.state = LetterState::Delivered;
            kept.delivered_at = at;
        }
        Ok(())
    }

    async fn failed(&self, id: &str, due: Option<Timestamp>, error: &str) -> Result<(), PortError> {
        let mut letters = lock(&self.letters);
        let Some(kept) = letters.get_mut(id).filter(|kept| kept.delivery.state == LetterState::Waiting)
        else {
            return Ok(());
        };
        error.clone_into(&mut kept.delivery.last_error);
        match due {
            Some(due) => kept.delivery.due = due,
            None => kept.delivery.state = LetterState::Dead,
        }
        Ok(())
    }

    async fn letters(
        &self,
        state: LetterState,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let letters = lock(&self.letters);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = letters.range::<str, _>((from, Bound::Unbounded)).map(|(_, kept)| &kept.delivery);
        let found = behind.filter(|delivery| delivery.state == state);
        Ok(found.take(limit.min(DELIVERIES_MAX)).cloned().collect())
    }

    async fn replay(&self, id: &str, due: Timestamp) -> Result<bool, PortError> {
        let mut letters = lock(&self.letters);
        let dead = letters.get_mut(id).filter(|kept| kept.delivery.state == LetterState::Dead);
        let Some(kept) = dead else { return Ok(false) };
        (kept.delivery.state, kept.delivery.tries, kept.delivery.due) = (LetterState::Waiting, 0, due);
        Ok(true)
    }

    async fn drop_letter(&self, id: &str, at: Timestamp) -> Result<bool, PortError> {
        let mut letters = lock(&self.letters);
        let open = letters.get_mut(id).filter(|kept| kept.delivery.state != LetterState::Delivered);
        let Some(kept) = open else { return Ok(false) };
        kept.delivery.state = LetterState::Delivered;
        kept.delivered_at = at;
        Ok(true)
    }

    async fn depth(&self) -> Result<OutboxDepth, PortError> {
        let letters = lock(&self.letters);
        let dead = letters.values().filter(|kept| kept.delivery.state == LetterState::Dead).count();
        Ok(OutboxDepth {
            waiting: waiting(&letters).count() as u64,
            dead: dead as u64,
            oldest: waiting(&letters).map(|delivery| delivery.letter.created_at).min(),
        })
    }

    async fn purge(&self, delivered: Timestamp, dead: Timestamp, limit: usize) -> Result<usize, PortError> {
        let mut letters = lock(&self.letters);
        let is_old = |kept: &Kept| match kept.delivery.state {
            LetterState::Waiting => false,
            LetterState::Delivered => kept.delivered_at < delivered,
            LetterState::Dead => kept.delivery.letter.created_at < dead,
        };
        let old = letters.iter().filter(|(_, kept)| is_old(kept));
        let old: Vec<String> = old.take(limit).map(|(id, _)| id.clone()).collect();
        for id in &old {
            letters.remove(id);
        }
        Ok(old.len())
    }
}
