//! Who waits for an answer in this process, and what may be said when the store does not answer.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::ids::CommandId;
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Effect, Refusal};
use crate::recording::event::Happening;
use crate::recording::ledger::{State, Wants};
use crate::recording::lifecycle::Decision;

/// A request whose answer is owed by this process.
struct Reply {
    deadline: Timestamp,
    is_start: bool,
    /// Whether the decision that the request asked for is committed.
    begun: bool,
    sender: oneshot::Sender<Answer>,
}

/// The requests that wait.
#[derive(Default)]
pub(super) struct Replies {
    waiting: BTreeMap<CommandId, Reply>,
}

impl Replies {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn add(
        &mut self,
        command: CommandId,
        deadline: Timestamp,
        what: &Happening,
        sender: oneshot::Sender<Answer>,
    ) {
        let is_start = matches!(what, Happening::StartRequested(_));
        self.waiting.insert(command, Reply { deadline, is_start, begun: false, sender });
    }

    /// The decision that this request asked for is committed, or needs no commit.
    pub(super) fn begun(&mut self, command: &CommandId) {
        if let Some(reply) = self.waiting.get_mut(command) {
            reply.begun = true;
        }
    }

    /// Answers a request. A client that went away is owed nothing.
    pub(super) fn answer(&mut self, command: &CommandId, answer: Answer) {
        if let Some(reply) = self.waiting.remove(command) {
            let _ = reply.sender.send(answer);
        }
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.waiting.values().map(|reply| reply.deadline).min()
    }

    /// The store does not answer and these requests can wait no longer (design 4). An answer that is
    /// committed and only waits for its document is true and goes out. If the decision whose commit is under
    /// way says "it records", neither that nor the opposite is known to be true, and the request is dropped
    /// without an answer.
    pub(super) fn give_up_overdue(
        &mut self,
        now: Timestamp,
        committed: &State,
        uncommitted: Option<&Decision>,
    ) {
        let overdue = self.waiting.iter().filter(|(_, reply)| reply.deadline <= now);
        let overdue: Vec<CommandId> = overdue.map(|(command, _)| command.clone()).collect();
        for command in overdue {
            let Some(reply) = self.waiting.remove(&command) else { continue };
            let answer = match decided(committed, &command) {
                // The file or the document may still be there.
                None | Some(Answer::Deleted) => None,
                Some(answer) => Some(answer.clone()),
            };
            if answer.is_none() && uncommitted.is_some_and(|decision| says_it_records(decision, &command)) {
                continue;
            }
            let refusal = match (reply.is_start, reply.begun) {
                (true, true) => Refusal::TimedOutStarting,
                _ => Refusal::Unavailable { dependency: "store" },
            };
            let _ = reply.sender.send(answer.unwrap_or(Answer::Refused(refusal)));
        }
    }

    /// Somebody else decides for this room now, or the row cannot be read: what these requests asked for is
    /// not known to be carried out or not. They are dropped without an answer.
    pub(super) fn drop_begun(&mut self) {
        self.waiting.retain(|_, reply| !reply.begun);
    }
}

/// The answer that waits only for what is pending to be carried out.
fn decided<'a>(state: &'a State, wanted: &CommandId) -> Option<&'a Answer> {
    let waiting = state.memory.waiting.iter().find(|waiting| waiting.command == *wanted)?;
    match &waiting.wants {
        Wants::Effect { answer, .. } => Some(answer),
        Wants::Start | Wants::Stop { .. } => None,
    }
}

fn says_it_records(decision: &Decision, wanted: &CommandId) -> bool {
    let at_once = decision.effects.iter().any(|effect| {
        matches!(effect, Effect::Answer { command, answer: Answer::Recording(_) } if command == wanted)
    });
    at_once || matches!(decided(&decision.state, wanted), Some(Answer::Recording(_)))
}
