//! Letters in the inbox: put there for an owner that cannot be spoken to, and read by whoever is it.
//!
//! Owns the reader. Each letter is carried out by itself, beside the others: one that asks for a start waits as long
//! as LiveKit does, and a stop or a webhook behind it must not (design 7).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Orchestrator;
use super::routing::LOOK_AGAIN;
use crate::cluster::wire::Reply;
use crate::ids::{CommandId, NodeId, RoomId};
use crate::ports::PortError;
use crate::ports::coordination::Standing;
use crate::ports::inbox::Waiting;
use crate::recording::effect::{Answer, Refusal};
use crate::room::commit::bounded;

/// Letters that are carried out at once.
const LETTERS: usize = 256;
/// Letters of one node that are passed over since they could not be carried out; beyond it all are tried again.
const STAYED_MAX: usize = 8192;
/// The answer to a letter that lies there again, for the room's next owner.
const PASSED_ON: &str = "";
/// Looks into the inbox between two sweeps of letters whose owner is gone.
const LOOKS_PER_SWEEP: u32 = 10;

/// Begins the ids of letters whose answer nobody waits for any more: it has been promised that they are carried out.
const LATE: &str = "late-";

/// The id of such a letter.
pub(super) fn late(command: &CommandId) -> String {
    format!("{LATE}{command}")
}

/// The id of a letter that is passed on.
fn passed_on(id: &str) -> String {
    format!("{id}+")
}

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

    /// The answer to a letter, also if that was passed on. None: whoever read it could not say.
    pub(super) async fn answer_in_inbox(&self, mut id: String) -> Option<Answer> {
        let inbox = &self.shared.world.cluster.inbox;
        loop {
            match bounded(&self.shared, inbox.letter_answer(&id)).await {
                Ok(Some(reply)) if reply == PASSED_ON => id = passed_on(&id),
                Ok(Some(reply)) => return Reply::read(reply.as_bytes()).answer(),
                Ok(None) | Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Answers a letter, also if that was passed on.
    pub(super) async fn answer_wherever(&self, mut id: String, reply: &str) -> Result<(), PortError> {
        let inbox = &self.shared.world.cluster.inbox;
        loop {
            bounded(&self.shared, inbox.answer_letter(&id, reply)).await?;
            match bounded(&self.shared, inbox.letter_answer(&id)).await? {
                Some(first) if first == PASSED_ON => id = passed_on(&id),
                _ => return Ok(()),
            }
        }
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
                    if let Err(error) = reader.turn(&us, looks).await {
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
                let moved = Waiting { id: passed_on(&waiting.id), owner, ..waiting.clone() };
                match bounded(&self.shared, inbox.put_letter(&moved)).await {
                    Ok(()) => PASSED_ON.to_owned(),
                    Err(error) => return stays(waiting, &error),
                }
            }
            // Whoever owns the room in another release reads it.
            Reply::NotStored | Reply::Unreadable => return Opened::Stays,
            // It was promised, so it is tried until somebody has decided.
            reply if waiting.id.starts_with(LATE) && is_undecided(&reply) => return Opened::Stays,
            reply => reply.to_text(),
        };
        match bounded(&self.shared, inbox.answer_letter(&waiting.id, &answer)).await {
            Ok(()) => Opened::Answered,
            Err(error) => stays(waiting, &error),
        }
    }
}

/// Whether nobody has decided yet about what a letter asks for.
fn is_undecided(reply: &Reply) -> bool {
    match reply {
        Reply::Unavailable { .. } | Reply::Unanswerable => true,
        Reply::Answer(Answer::Refused(refusal)) => {
            matches!(
                refusal,
                Refusal::Overloaded | Refusal::UnderWay | Refusal::Unanswerable | Refusal::Draining
            )
        }
        _ => false,
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
    /// The letters that are carried out now, by their owners and ids.
    under_way: HashMap<Id, (NodeId, String)>,
    /// Those that could not be, until the others were read.
    stayed: BTreeMap<NodeId, BTreeSet<String>>,
}

impl Reader {
    fn of(orchestrator: Orchestrator) -> Self {
        let (carried, under_way) = (JoinSet::new(), HashMap::new());
        Self { orchestrator, carried, under_way, stayed: BTreeMap::new() }
    }

    async fn turn(&mut self, us: &NodeId, looks: u32) -> Result<(), PortError> {
        if !self.orchestrator.holds_lease() {
            // It decides nothing now, and whoever does may read what is for it.
            return Ok(());
        }
        self.look(us).await?;
        if looks.is_multiple_of(LOOKS_PER_SWEEP) { self.sweep().await } else { Ok(()) }
    }

    /// Begins to carry out what waits for a node, this one or one that is gone.
    async fn look(&mut self, owner: &NodeId) -> Result<(), PortError> {
        let places = LETTERS.saturating_sub(self.under_way.len());
        if places == 0 {
            return Ok(());
        }
        let mut except: BTreeSet<String> = self.under_way.values().map(|(_, id)| id.clone()).collect();
        except.extend(self.stayed.get(owner).into_iter().flatten().cloned());
        let shared = &self.orchestrator.shared;
        let letters = bounded(shared, shared.world.cluster.inbox.letters(owner, &except, places)).await?;
        if letters.len() < places {
            // Those that stayed hide nobody.
            self.stayed.remove(owner);
        }
        for waiting in letters {
            let (orchestrator, named) =
                (self.orchestrator.clone(), (waiting.owner.clone(), waiting.id.clone()));
            let task = self.carried.spawn(async move { orchestrator.open(&waiting).await });
            self.under_way.insert(task.id(), named);
        }
        Ok(())
    }

    fn ended(&mut self, (task, opened): (Id, Opened)) {
        let Some((owner, id)) = self.under_way.remove(&task) else { return };
        if opened == Opened::Stays {
            let stayed = self.stayed.entry(owner).or_default();
            if stayed.len() >= STAYED_MAX {
                stayed.clear();
            }
            stayed.insert(id);
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
