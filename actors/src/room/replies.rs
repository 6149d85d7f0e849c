//! Who waits for an answer in this process, and what may be said when the store does not answer.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Told;
use crate::ids::{CommandId, NodeId};
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Effect, Refusal};
use crate::recording::event::Happening;
use crate::recording::ledger::{State, Wants};
use crate::recording::lifecycle::Decision;

/// Whether nobody else can have decided for the room meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// Nobody can: there is nobody else.
    Sole,
    /// Whoever does takes us for dead, though we hold our lease.
    Certain,
    /// Our lease lapsed, and the row was not read since.
    Doubtful,
}

/// How long after its deadline a request still waits for the store: what is decided at the deadline is told once it is
/// stored.
const STORE_GRACE: Duration = Duration::from_millis(500);

/// A request whose answer is owed by this process. Several may wait for the same command.
struct Reply {
    command: CommandId,
    deadline: Timestamp,
    is_start: bool,
    /// Whether it may have come as a command that another request began.
    repeats: bool,
    /// Whether the decision that the request asked for is committed.
    begun: bool,
    sender: oneshot::Sender<Told>,
}

/// The requests that wait.
#[derive(Default)]
pub(super) struct Replies {
    waiting: Vec<Reply>,
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
        sender: oneshot::Sender<Told>,
    ) {
        let is_start = matches!(what, Happening::StartRequested(_));
        let repeats = what.repeatable().is_some();
        self.waiting.push(Reply { command, deadline, is_start, repeats, begun: false, sender });
    }

    /// The decision that this request asked for is committed, or needs no commit.
    pub(super) fn begun(&mut self, command: &CommandId) {
        for reply in self.waiting.iter_mut().filter(|reply| reply.command == *command) {
            reply.begun = true;
        }
    }

    /// Answers whoever waits for a command. A client that went away is owed nothing.
    pub(super) fn answer(&mut self, command: &CommandId, answer: &Answer) {
        for reply in self.waiting.extract_if(.., |reply| reply.command == *command) {
            let _ = reply.sender.send(Told::Answer(answer.clone()));
        }
    }

    /// When the first of them can wait no longer for a store.
    pub(super) fn next_giving_up(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|reply| reply.deadline.plus(STORE_GRACE)).min()
    }

    /// The earliest deadline of a request that may have to leave before its command is answered.
    pub(super) fn next_parting(&self) -> Option<Timestamp> {
        self.waiting.iter().filter(|reply| reply.repeats).map(|reply| reply.deadline).min()
    }

    /// Requests whose own deadline passed before that of the command that they came as, which goes on.
    pub(super) fn part_with_overdue(&mut self, now: Timestamp, state: &State) {
        let is_over = |reply: &mut Reply| {
            let mut waiting = state.memory.waiting.iter();
            let ends_now = waiting.any(|w| w.command == reply.command && w.deadline <= now);
            reply.repeats && reply.deadline <= now && !ends_now
        };
        for reply in self.waiting.extract_if(.., is_over) {
            let answer = decided(state, &reply.command).cloned();
            let _ = reply.sender.send(Told::Answer(answer.unwrap_or(Answer::Refused(Refusal::UnderWay))));
        }
    }

    /// The store does not answer and these requests can wait no longer (design 4). An answer that is
    /// committed and only waits for its document is true and goes out. If the decision whose commit is under
    /// way says "it records", neither that nor the opposite is known to be true, and the request is dropped
    /// without an answer.
    ///
    /// A start that was begun is told so only while this node holds its lease. Another may have adopted it by now,
    /// so whoever asked cancels it where that one reads it, and then says so. Returns the starts that were told so: should
    /// another own the room all the same, it must be told too.
    pub(super) fn give_up_overdue(
        &mut self,
        now: Timestamp,
        committed: &State,
        uncommitted: Option<&Decision>,
        (us, ownership): (&NodeId, Ownership),
    ) -> Vec<CommandId> {
        let mut timed_out = Vec::new();
        for reply in self.waiting.extract_if(.., |reply| reply.deadline.plus(STORE_GRACE) <= now) {
            let answer = match decided(committed, &reply.command) {
                // The file or the document may still be there.
                None | Some(Answer::Deleted) => None,
                Some(answer) => Some(answer.clone()),
            };
            let records = uncommitted.is_some_and(|decision| says_it_records(decision, &reply.command));
            if answer.is_none() && records {
                continue;
            }
            // Whoever asks again gets what was decided, so this one is told the same.
            let answer = answer.or_else(|| uncommitted.and_then(|decision| kept(decision, &reply.command)));
            let begins = uncommitted.is_some_and(|decision| begins(decision, &reply.command));
            let begun = begins || (reply.begun && !is_looked_up(committed, &reply.command));
            let refusal = match (decided(committed, &reply.command), reply.is_start, begun) {
                (Some(Answer::Deleted), ..) => Refusal::DeletionOwed { dependency: "store" },
                (_, true, true) if answer.is_none() && ownership == Ownership::Doubtful => {
                    let _ = reply.sender.send(Told::Begun(us.clone()));
                    continue;
                }
                // Another owner may have answered it by now, and whoever asks again under its key learns what.
                (_, true, true)
                    if answer.is_none()
                        && ownership == Ownership::Certain
                        && is_keyed(committed, uncommitted, &reply.command) =>
                {
                    Refusal::UnderWay
                }
                (_, true, true) => {
                    timed_out.extend(answer.is_none().then(|| reply.command.clone()));
                    Refusal::TimedOutStarting
                }
                _ if stop_is_owed(committed, &reply.command) => Refusal::StopOwed,
                _ => Refusal::Unavailable { dependency: "store" },
            };
            let _ = reply.sender.send(Told::Answer(answer.unwrap_or(Answer::Refused(refusal))));
        }
        timed_out
    }

    /// Another node owns the room. Its row says what was begun there for these requests.
    pub(super) fn all_move_to(&mut self, owner: &NodeId) {
        for reply in self.waiting.drain(..) {
            let told = if reply.begun { Told::Begun } else { Told::Moved };
            let _ = reply.sender.send(told(owner.clone()));
        }
    }

    /// The row was read and claimed anew, by us: what was begun before for these requests is found in it.
    pub(super) fn begun_move_to(&mut self, owner: &NodeId) {
        for reply in self.waiting.extract_if(.., |reply| reply.begun) {
            let _ = reply.sender.send(Told::Begun(owner.clone()));
        }
    }
}

/// Whether a start may come again.
fn is_keyed(committed: &State, uncommitted: Option<&Decision>, wanted: &CommandId) -> bool {
    let states = [Some(committed), uncommitted.map(|decision| &decision.state)];
    states.into_iter().flatten().any(|state| state.durable.begun.iter().any(|begun| begun.command == *wanted))
}

/// The answer that waits only for what is pending to be carried out.
fn decided<'a>(state: &'a State, wanted: &CommandId) -> Option<&'a Answer> {
    let waiting = state.memory.waiting.iter().find(|waiting| waiting.command == *wanted)?;
    match &waiting.wants {
        Wants::Effect { answer, .. } => Some(answer),
        Wants::Start | Wants::Stop { .. } | Wants::End { .. } | Wants::Recall => None,
    }
}

/// Whether nothing was begun for a command yet, since it may have been answered before.
fn is_looked_up(state: &State, wanted: &CommandId) -> bool {
    let mut waiting = state.memory.waiting.iter();
    waiting.any(|waiting| waiting.command == *wanted && waiting.wants == Wants::Recall)
}

/// Whether a stop is decided, and its end waited for.
fn stop_is_owed(state: &State, wanted: &CommandId) -> bool {
    let mut waiting = state.memory.waiting.iter();
    waiting.any(|waiting| waiting.command == *wanted && matches!(waiting.wants, Wants::Stop { .. }))
}

/// The answer that a decision keeps for a command.
fn kept(decision: &Decision, wanted: &CommandId) -> Option<Answer> {
    decision.state.durable.answer_to_keep(wanted).cloned()
}

fn begins(decision: &Decision, wanted: &CommandId) -> bool {
    decision.state.durable.begun.iter().any(|begun| begun.command == *wanted)
}

fn says_it_records(decision: &Decision, wanted: &CommandId) -> bool {
    let at_once = decision.effects.iter().any(|effect| {
        matches!(effect, Effect::Answer { command, answer: Answer::Recording(_) } if command == wanted)
    });
    at_once || matches!(decided(&decision.state, wanted), Some(Answer::Recording(_)))
}
