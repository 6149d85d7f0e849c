//! Letters in the inbox: put there for an owner that cannot be spoken to, and read by whoever is it.
//!
//! Owns the reader. Each letter is carried out by itself, beside the others: one that asks for a start waits as long
//! as LiveKit does, and a stop or a webhook behind it must not (design 7).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Orchestrator;
use crate::cluster::wire::Reply;
use crate::ids::{NodeId, RoomId};
use crate::ports::PortError;
use crate::ports::coordination::Standing;
use crate::ports::inbox::Waiting;
use crate::room::commit::bounded;

/// Letters that are carried out at once.
const LETTERS: usize = 256;
/// Letters of one node that are passed over since they could not be carried out; beyond it all are tried again.
const STAYED_MAX: usize = 1024;
/// Looks into the inbox between two sweeps of letters whose owner is gone.
const LOOKS_PER_SWEEP: u32 = 10;

/// What became of a letter that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// It has an answer.
    Answered,
    /// It waits for another try, or for somebody who can read it.
    Stays,
}

impl Orchestrator {
    pub(super) async fn put(
        &self,
        id: &str,
        room: &RoomId,
        owner: &NodeId,
        letter: String,
    ) -> Result<(), PortError> {
        let waiting = Waiting { id: id.to_owned(), room: room.clone(), owner: owner.clone(), letter };
        let put = bounded(&self.shared, self.shared.world.cluster.inbox.put_letter(&waiting)).await;
        if let Err(error) = &put {
            tracing::warn!(room.id = %room, %error, "letter for the room's owner cannot be stored");
        }
        put
    }

    /// Reads the inbox for as long as it is polled: the letters for this node, and now and then those for nodes that
    /// are gone.
    pub(crate) async fn read_inbox(self, interval: Duration) {
        let us = self.shared.world.node.clone();
        let (mut reader, mut looks) = (Reader::of(self), 0_u32);
        let mut next = Instant::now() + interval;
        loop {
            tokio::select! {
                Some(ended) = reader.carried.join_next_with_id() => {
                    reader.ended(ended.unwrap_or_else(|error| (error.id(), Opened::Stays)));
                }
                () = sleep_until(next) => {
                    looks = looks.wrapping_add(1);
                    let mut read = reader.look(&us).await;
                    if looks.is_multiple_of(LOOKS_PER_SWEEP) && read.is_ok() {
                        read = reader.sweep().await;
                    }
                    if let Err(error) = read {
                        tracing::debug!(%error, "inbox cannot be read");
                    }
                    next = Instant::now() + interval;
                }
            }
        }
    }

    async fn open(&self, waiting: &Waiting) -> Opened {
        let reply = loop {
            match self.receive(waiting.letter.as_bytes()).await {
                Reply::Moved(owner) if owner == self.shared.world.node => {}
                reply => break reply,
            }
        };
        let inbox = &self.shared.world.cluster.inbox;
        let answer = match reply {
            // Somebody else's by now: whoever put it looks for the new owner, and so does the sweep.
            Reply::Moved(owner) => {
                let moved = Waiting { id: format!("{}+", waiting.id), owner, ..waiting.clone() };
                match bounded(&self.shared, inbox.put_letter(&moved)).await {
                    Ok(()) => String::new(),
                    Err(error) => return stays(waiting, &error),
                }
            }
            // Whoever owns the room in another release reads it.
            Reply::NotStored | Reply::Unreadable => return Opened::Stays,
            reply => reply.to_text(),
        };
        match bounded(&self.shared, inbox.answer_letter(&waiting.id, &answer)).await {
            Ok(()) => Opened::Answered,
            Err(error) => stays(waiting, &error),
        }
    }
}

fn stays(waiting: &Waiting, error: &PortError) -> Opened {
    tracing::warn!(room.id = %waiting.room, %error, "letter stays in the inbox");
    Opened::Stays
}

/// Whoever reads the inbox.
struct Reader {
    orchestrator: Orchestrator,
    carried: JoinSet<Opened>,
    /// The letters that are carried out now.
    under_way: HashMap<Id, Waiting>,
    /// Those that could not be, until the others were read.
    stayed: BTreeMap<NodeId, BTreeSet<String>>,
}

impl Reader {
    fn of(orchestrator: Orchestrator) -> Self {
        let (carried, under_way) = (JoinSet::new(), HashMap::new());
        Self { orchestrator, carried, under_way, stayed: BTreeMap::new() }
    }

    /// Begins to carry out what waits for a node, this one or one that is gone.
    async fn look(&mut self, owner: &NodeId) -> Result<(), PortError> {
        let places = LETTERS.saturating_sub(self.under_way.len());
        if places == 0 {
            return Ok(());
        }
        let mut except: BTreeSet<String> =
            self.under_way.values().map(|waiting| waiting.id.clone()).collect();
        except.extend(self.stayed.get(owner).into_iter().flatten().cloned());
        let shared = &self.orchestrator.shared;
        let letters = bounded(shared, shared.world.cluster.inbox.letters(owner, &except, places)).await?;
        if letters.len() < places {
            // Those that stayed hide nobody.
            self.stayed.remove(owner);
        }
        for waiting in letters {
            let (orchestrator, letter) = (self.orchestrator.clone(), waiting.clone());
            let task = self.carried.spawn(async move { orchestrator.open(&letter).await });
            self.under_way.insert(task.id(), waiting);
        }
        Ok(())
    }

    fn ended(&mut self, (task, opened): (Id, Opened)) {
        let Some(waiting) = self.under_way.remove(&task) else { return };
        if opened == Opened::Stays {
            let stayed = self.stayed.entry(waiting.owner).or_default();
            if stayed.len() >= STAYED_MAX {
                stayed.clear();
            }
            stayed.insert(waiting.id);
        }
    }

    /// Letters whose owner is gone are carried out by whoever finds them: the room is nobody's.
    async fn sweep(&mut self) -> Result<(), PortError> {
        let shared = self.orchestrator.shared.clone();
        for owner in bounded(&shared, shared.world.cluster.inbox.addressees()).await? {
            if bounded(&shared, shared.world.coordination.standing(&owner)).await? == Standing::Gone {
                self.look(&owner).await?;
            }
        }
        Ok(())
    }
}
