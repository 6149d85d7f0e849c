//! The room actor itself: a queue of events, one decision at a time.
//!
//! Owns the sequence decide, commit, carry out, answer. While a commit is under way further events wait in
//! the queue; the actor keeps handling messages all the time.

mod owner;
mod shown;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::shown::{count_change, log_change};
use super::commit::{self, Claim, Committed, Found, Header, Removed};
use super::replies::{Ownership, Replies};
use super::supervisor::SupervisorMessage;
use super::{RoomMessage, Shared, Taken, Told, effects, meet};
use crate::ids::{ClaimId, CommandId, RoomId};
use crate::ports::clock::{fresh_claim, fresh_secrets, fresh_uid};
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Effect, Refusal};
use crate::recording::event::{Event, Fresh, Happening};
use crate::recording::ledger::State;
use crate::recording::lifecycle::{Commit, Decision, next_wake, transition};
use crate::recording::rules::Rule;

/// How long a row may lag behind pending effects that were carried out.
const FLUSH_AFTER: std::time::Duration = std::time::Duration::from_millis(250);

/// What the actor tells itself.
pub enum Own {
    /// The row is read and claimed.
    Loaded(Box<LoadedRow>),
    /// A commit ended.
    Committed(CommitEnd),
    /// Whether the claim still stood when an answer was to be given from memory.
    Verified(Claim),
    /// Whether a claim that was doubted still stood.
    Doubted(ClaimId, Claim),
    /// The row of an idle room was to be removed.
    Removed(RemovalEnd),
    /// An effect came back.
    Outcome {
        /// The claim under which it was begun; of a stale one only evidence counts.
        generation: u64,
        /// What it brought.
        what: Happening,
    },
    /// Something is due.
    Wake,
    /// The row lags behind.
    Flush,
    /// An effect found that the room has another owner.
    ReadAgain,
}

/// See [`Own::Loaded`].
pub struct LoadedRow(Found);
/// See [`Own::Committed`].
pub struct CommitEnd(Committed);
/// See [`Own::Removed`].
pub struct RemovalEnd(Removed);

/// One actor per room, local to its node.
pub(super) struct RoomActor;

/// What the actor is made with.
pub(super) struct Start {
    pub(super) room: RoomId,
    pub(super) shared: Arc<Shared>,
    pub(super) supervisor: ActorRef<SupervisorMessage>,
    /// Counts the messages of the supervisor that the actor has taken up.
    pub(super) taken: Arc<AtomicU64>,
}

/// Something to decide about, and who wants to know that it is stored.
struct Input {
    what: Happening,
    command: Option<CommandId>,
    stored: Option<oneshot::Sender<Taken>>,
}

impl Input {
    /// Whether these are news that rest on what LiveKit or a document said before, and whoever read that has given up:
    /// they lie in the inbox, or come again. Others say nothing that could be over by now.
    fn is_out_of_date(&self) -> bool {
        let given_up = self.stored.as_ref().is_some_and(oneshot::Sender::is_closed);
        let rests = matches!(
            self.what,
            Happening::Unheld(_) | Happening::EgressSeen(_) | Happening::FoundStale { .. }
        );
        given_up && rests
    }
}

/// A decision whose commit is under way.
struct Undecided {
    decision: Decision,
    input: Input,
}

/// What the actor is busy with.
enum Standing {
    Loading,
    Ready,
    /// This decision takes effect when it is stored.
    Committing(Box<Undecided>),
    /// This decision answers from memory, so the claim is looked at first.
    Verifying(Box<Undecided>),
    /// The row catches up with effects that were carried out.
    Flushing,
    Removing,
    /// The supervisor was asked to let this actor go.
    Leaving,
    /// The same, since another node owns the room.
    LeavingToOwner,
}

/// The actor's state.
pub(super) struct RoomActorState {
    room: RoomId,
    shared: Arc<Shared>,
    supervisor: ActorRef<SupervisorMessage>,
    myself: ActorRef<RoomMessage>,
    state: State,
    header: Header,
    /// When the row was last known to be ours, and when the store was last asked about it.
    ours_at: Instant,
    asked_at: Instant,
    standing: Standing,
    queue: VecDeque<Input>,
    replies: Replies,
    generation: u64,
    /// Whether the row lags behind pending effects that were carried out.
    lags: bool,
    /// Messages from the supervisor so far; an actor leaves only when none is under way.
    taken: Arc<AtomicU64>,
    wake: Option<(Timestamp, AbortHandle)>,
    flush: Option<AbortHandle>,
    flush_due: bool,
    /// Whether the row is to be read and claimed anew before anything else is decided.
    read_again: bool,
    /// Starts that were told 503 before that could be stored: the deadline in the row stands for it, unless somebody who
    /// took this node for dead has adopted them since.
    timed_out: Vec<CommandId>,
}

impl Actor for RoomActor {
    type Msg = RoomMessage;
    type State = RoomActorState;
    type Arguments = Start;

    async fn pre_start(
        &self,
        myself: ActorRef<RoomMessage>,
        start: Start,
    ) -> Result<RoomActorState, ActorProcessingErr> {
        let header = Header { claim: fresh_claim(&*start.shared.world.entropy), epoch: 1, revision: None };
        let mut actor = RoomActorState {
            state: State::fresh(start.room.clone()),
            room: start.room,
            shared: start.shared,
            supervisor: start.supervisor,
            myself,
            header,
            ours_at: Instant::now(),
            asked_at: Instant::now(),
            standing: Standing::Loading,
            queue: VecDeque::new(),
            replies: Replies::default(),
            generation: 0,
            lags: false,
            taken: start.taken,
            wake: None,
            flush: None,
            flush_due: false,
            read_again: false,
            timed_out: Vec::new(),
        };
        actor.load();
        Ok(actor)
    }

    async fn handle(
        &self,
        _myself: ActorRef<RoomMessage>,
        message: RoomMessage,
        actor: &mut RoomActorState,
    ) -> Result<(), ActorProcessingErr> {
        actor.receive(message);
        actor.advance();
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<RoomMessage>,
        actor: &mut RoomActorState,
    ) -> Result<(), ActorProcessingErr> {
        actor.disarm();
        Ok(())
    }
}

impl RoomActorState {
    fn receive(&mut self, message: RoomMessage) {
        if !matches!(message, RoomMessage::Own(_)) {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        let was_leaving = matches!(self.standing, Standing::Leaving | Standing::LeavingToOwner);
        match message {
            RoomMessage::Request { reply, .. }
                if self.replies.len() >= self.shared.world.limits.commands_per_room =>
            {
                let _ = reply.send(Told::Answer(Answer::Refused(Refusal::Overloaded)));
            }
            RoomMessage::Request { command, deadline, what, reply } => {
                self.replies.add(command.clone(), deadline, &what, reply);
                self.queue.push_back(Input { what, command: Some(command), stored: None });
            }
            RoomMessage::News { what, stored } => {
                self.queue.push_back(Input { what, command: None, stored: Some(stored) });
            }
            // Somebody found the row to be a dead node's: what this actor holds of it may be a claim that was taken from it.
            RoomMessage::TakeUp if self.may_be_mistaken() => self.doubt_claim(),
            RoomMessage::TakeUp => {}
            RoomMessage::ReadAgain => self.read_again = true,
            RoomMessage::Observe(reply) => {
                let _ = reply.send(self.observe());
            }
            RoomMessage::Own(own) => self.receive_own(own),
        }
        match self.standing {
            _ if !was_leaving => {}
            // The supervisor had already sent this when it was asked; it will keep the actor.
            Standing::Leaving => self.standing = Standing::Ready,
            // The same, and by now the room may be nobody's.
            Standing::LeavingToOwner => self.load(),
            _ => {}
        }
    }

    fn receive_own(&mut self, own: Own) {
        match own {
            Own::Loaded(loaded) => self.loaded(loaded.0),
            Own::Committed(end) => self.committed(end.0),
            Own::Verified(claim) => self.verified(claim),
            Own::Doubted(claim, Claim::Gone) if claim == self.header.claim => {
                self.read_again |= self.may_be_mistaken();
            }
            Own::Doubted(..) => {}
            Own::Removed(end) => self.removed(&end.0),
            Own::Outcome { generation, what } => {
                if generation == self.generation || is_evidence(&what) {
                    self.queue.push_back(Input { what, command: None, stored: None });
                }
            }
            Own::Wake => {
                self.wake = None;
                let due = next_wake(&self.state, &self.shared.world.policy);
                if due.is_some_and(|due| due <= self.shared.world.clock.now()) {
                    self.queue.push_back(Input { what: Happening::Tick, command: None, stored: None });
                }
            }
            Own::Flush => (self.flush, self.flush_due) = (None, true),
            Own::ReadAgain => self.read_again = true,
        }
    }

    /// Goes on as far as possible: decides what is queued, then tidies up, then plans the next wake.
    fn advance(&mut self) {
        if self.read_again && matches!(self.standing, Standing::Ready) {
            self.read_again = false;
            self.load();
        }
        while matches!(self.standing, Standing::Ready) && self.may_act() {
            let Some(input) = self.queue.pop_front() else { break };
            if !input.is_out_of_date() {
                self.decide(input);
            }
        }
        if matches!(self.standing, Standing::Ready) && self.may_act() {
            self.replies.part_with_overdue(self.shared.world.clock.now(), &self.state);
            self.tidy_up();
        } else {
            self.give_up_overdue();
        }
        self.arm_wake();
    }

    fn decide(&mut self, input: Input) {
        let world = &self.shared.world;
        let event = Event {
            at: world.clock.now(),
            fresh: Fresh { uid: fresh_uid(&*world.entropy), secrets: fresh_secrets(&*world.entropy) },
            what: input.what.clone(),
        };
        let decision = transition(&self.state, &event, &world.policy);
        log_change(&self.state, &decision);
        match decision.commit {
            Commit::Before if !world.policy.keeps(Rule::CommitBeforeEffect) => {
                self.lags = true;
                self.take_effect(decision, input);
            }
            Commit::Nothing if self.rests_on_memory(&decision) => self.verify(decision, input),
            Commit::Nothing => self.take_effect(decision, input),
            Commit::Soon => {
                self.lags = true;
                self.take_effect(decision, input);
            }
            Commit::Before => {
                self.send_commit(decision.state.durable.clone());
                self.standing = Standing::Committing(Box::new(Undecided { decision, input }));
            }
        }
    }

    fn take_effect(&mut self, decision: Decision, input: Input) {
        let recorded = self.state.durable.current.is_some();
        count_change(&self.state, &input.what, &decision);
        self.state = decision.state;
        self.shared.live.is_now(&self.room, &self.state.durable);
        if recorded && self.state.durable.current.is_none() {
            meet::let_go(&self.shared, &self.room);
        }
        if let Some(command) = &input.command {
            self.replies.begun(command);
        }
        if let Some(stored) = input.stored {
            let _ = stored.send(Taken::Stored);
        }
        for effect in decision.effects {
            match effect {
                Effect::Answer { command, answer } => self.replies.answer(&command, &answer),
                effect => {
                    if matches!(&effect, Effect::Look { uid, .. } if self.state.is_current(uid)) {
                        meet::keep(&self.shared, &self.room);
                    }
                    let begun = (self.generation, self.header.claim.clone());
                    effects::run(&self.shared, &self.room, effect, self.myself.clone(), begun);
                }
            }
        }
    }

    fn committed(&mut self, end: Committed) {
        match (std::mem::replace(&mut self.standing, Standing::Ready), end) {
            (Standing::Committing(undecided), Committed::Stored(header)) => {
                self.is_ours(header);
                self.timed_out.clear();
                self.take_effect(undecided.decision, undecided.input);
            }
            (_, Committed::Stored(header)) => self.is_ours(header),
            (standing, Committed::Fenced) => {
                commit::count_fenced();
                tracing::warn!(room.id = %self.room, "room was claimed by somebody else, stepping down");
                if let Standing::Committing(undecided) = standing {
                    // Not decided yet as far as the row goes: it is decided anew on what the row says.
                    self.queue.push_front(undecided.input);
                }
                // Whoever decides now found it in the row, and may have carried it out.
                self.replies.begun_move_to(&self.shared.world.node);
                self.load();
            }
        }
    }

    fn send_commit(&mut self, state: crate::recording::ledger::RoomState) {
        self.asked_at = Instant::now();
        let (shared, room, myself) = (self.shared.clone(), self.room.clone(), self.myself.clone());
        let header = self.header.clone();
        tokio::spawn(async move {
            let end = commit::commit(&shared, &room, &header, state).await;
            let _ = myself.cast(RoomMessage::Own(Own::Committed(CommitEnd(end))));
        });
    }

    /// Nothing is queued: the row catches up, an idle row is removed, an idle actor leaves.
    fn tidy_up(&mut self) {
        // Whoever waits while nothing is owed waits for word of an earlier life of its command.
        let nothing_waits = self.state.memory.waiting.is_empty();
        if self.header.revision.is_some() && self.state.durable.is_settled() && nothing_waits {
            self.standing = Standing::Removing;
            let (shared, room, myself) = (self.shared.clone(), self.room.clone(), self.myself.clone());
            let header = self.header.clone();
            tokio::spawn(async move {
                let end = commit::remove(&shared, &room, &header).await;
                let _ = myself.cast(RoomMessage::Own(Own::Removed(RemovalEnd(end))));
            });
        } else if self.lags {
            self.flush();
        } else if self.header.revision.is_none() && self.replies.len() == 0 {
            self.ask_to_leave(Standing::Leaving);
        }
    }

    /// Lets the row catch up, after a pause in which further news may be stored with it.
    fn flush(&mut self) {
        if std::mem::take(&mut self.flush_due) {
            self.send_commit(self.state.durable.clone());
            self.standing = Standing::Flushing;
        } else if self.flush.is_none() {
            let myself = self.myself.clone();
            let timer = tokio::spawn(async move {
                tokio::time::sleep(FLUSH_AFTER).await;
                let _ = myself.cast(RoomMessage::Own(Own::Flush));
            });
            self.flush = Some(timer.abort_handle());
        }
    }

    fn removed(&mut self, end: &Removed) {
        self.standing = Standing::Ready;
        match end {
            Removed::Gone => {
                let claim = fresh_claim(&*self.shared.world.entropy);
                self.header = Header { claim, epoch: 1, revision: None };
                self.lags = false;
            }
            // The row says what it is now.
            Removed::Unclear => self.load(),
        }
    }

    /// The store keeps us waiting: requests whose deadline passed are told what is known to be true.
    fn give_up_overdue(&mut self) {
        let uncommitted = match &self.standing {
            Standing::Committing(undecided) => Some(&undecided.decision),
            _ => None,
        };
        let world = &self.shared.world;
        let lease = &world.cluster.lease;
        let ownership = match (lease.is_held() && !self.read_again, lease.is_endless()) {
            (false, _) => Ownership::Doubtful,
            (true, true) => Ownership::Sole,
            (true, false) => Ownership::Certain,
        };
        let us = (&world.node, ownership);
        let timed_out = self.replies.give_up_overdue(world.clock.now(), &self.state, uncommitted, us);
        self.timed_out.extend(timed_out);
    }

    fn arm_wake(&mut self) {
        let idle = matches!(self.standing, Standing::Ready | Standing::Leaving | Standing::LeavingToOwner);
        let busy = !idle || !self.may_act();
        let due = if busy {
            self.replies.next_giving_up()
        } else {
            let due = next_wake(&self.state, &self.shared.world.policy);
            due.into_iter().chain(self.replies.next_parting()).min()
        };
        if self.wake.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, timer)) = self.wake.take() {
            timer.abort();
        }
        let Some(due) = due else { return };
        let pause = due.since(self.shared.world.clock.now());
        let myself = self.myself.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = myself.cast(RoomMessage::Own(Own::Wake));
        });
        self.wake = Some((due, timer.abort_handle()));
    }

    fn disarm(&mut self) {
        let wake = self.wake.take().map(|(_, timer)| timer);
        for timer in wake.into_iter().chain(self.flush.take()) {
            timer.abort();
        }
    }
}

/// What LiveKit showed is true whoever asked; everything else belongs to the claim under which it was begun.
fn is_evidence(what: &Happening) -> bool {
    matches!(
        what,
        Happening::StartAnswered { result: Ok(_), .. }
            | Happening::StopAnswered { result: Ok(_), .. }
            | Happening::EgressSeen(_)
    )
}
