//! Whether this node owns the room: its row is read and claimed, or the room is left to whoever has it.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Input, LoadedRow, Own, RoomActorState, Standing, Undecided, is_evidence};
use crate::ids::{ClaimId, NodeId};
use crate::recording::effect::Effect;
use crate::recording::event::Happening;
use crate::recording::ledger::State;
use crate::recording::lifecycle::Decision;
use crate::room::commit::{self, Before, Claim, Found, Header, Loaded};
use crate::room::supervisor::SupervisorMessage;
use crate::room::{RoomMessage, Taken, meet};

impl RoomActorState {
    pub(super) fn load(&mut self) {
        self.standing = Standing::Loading;
        self.generation += 1;
        let (shared, room, myself) = (self.shared.clone(), self.room.clone(), self.myself.clone());
        let before = self.header.revision.map_or(Before::Unknown, |_| Before::WasOurs(self.ours_at));
        self.asked_at = Instant::now();
        tokio::spawn(async move {
            let found = commit::load(&shared, &room, before).await;
            let _ = myself.cast(RoomMessage::Own(Own::Loaded(Box::new(LoadedRow(found)))));
        });
    }

    pub(super) fn loaded(&mut self, found: Found) {
        match found {
            Found::Ours(loaded) => self.begin_with(*loaded),
            Found::Elsewhere(owner) => self.leave_to(&owner),
        }
    }

    fn begin_with(&mut self, loaded: Loaded) {
        // What was begun under an earlier claim is asked for anew, on what the row says.
        self.replies.begun_move_to(&self.shared.world.node);
        self.is_ours(loaded.header);
        self.state = State::fresh(self.room.clone());
        self.standing = Standing::Ready;
        let found = loaded.state.is_some();
        self.state.durable = loaded.state.unwrap_or_default();
        self.shared.live.is_now(&self.room, &self.state.durable);
        if found && self.state.durable.current.is_none() {
            // Whoever had the row before may have died in between.
            meet::let_go(&self.shared, &self.room);
        }
        for command in self.timed_out.drain(..) {
            let what = Happening::Cancelled { command };
            self.queue.push_front(Input { what, command: None, stored: None });
        }
        if found {
            self.queue.push_front(Input { what: Happening::TakenUp, command: None, stored: None });
        }
    }

    /// Another node owns the room: whoever waits is sent there, and what was learned meanwhile is told there.
    fn leave_to(&mut self, owner: &NodeId) {
        self.state = State::fresh(self.room.clone());
        self.lags = false;
        self.shared.live.is_now(&self.room, &self.state.durable);
        self.replies.all_move_to(owner);
        for Input { what, command, stored } in self.queue.drain(..) {
            match stored {
                Some(stored) => drop(stored.send(Taken::Moved(owner.clone()))),
                // A full queue forgets: the owner looks for itself.
                None if command.is_none() && is_evidence(&what) => {
                    let _ = self.shared.learned.try_send((self.room.clone(), what));
                }
                None => {}
            }
        }
        for command in self.timed_out.drain(..) {
            let told = self.shared.learned.try_send((self.room.clone(), Happening::Cancelled { command }));
            if told.is_err() {
                tracing::warn!(room.id = %self.room, "owner is not told that a start was answered 503");
            }
        }
        self.header = Header { revision: None, ..self.header.clone() };
        self.ask_to_leave(Standing::LeavingToOwner);
    }

    pub(super) fn ask_to_leave(&mut self, standing: Standing) {
        self.standing = standing;
        let ask = SupervisorMessage::Passivate {
            room: self.room.clone(),
            actor: self.myself.get_id(),
            delivered: self.taken.load(Ordering::Relaxed),
        };
        let _ = self.supervisor.cast(ask);
    }

    /// Whether another node may have claimed the row that this actor holds.
    pub(super) fn may_be_mistaken(&self) -> bool {
        self.header.revision.is_some() && !self.shared.world.cluster.lease.is_endless()
    }

    /// Whether a decision answers somebody by what is remembered of a row that another node may have claimed.
    pub(super) fn rests_on_memory(&self, decision: &Decision) -> bool {
        let answers = decision.effects.iter().any(|effect| matches!(effect, Effect::Answer { .. }));
        answers && self.may_be_mistaken()
    }

    pub(super) fn verify(&mut self, decision: Decision, input: Input) {
        self.standing = Standing::Verifying(Box::new(Undecided { decision, input }));
        self.asked_at = Instant::now();
        self.look_at_claim(|_, seen| Own::Verified(seen));
    }

    /// Looks whether the claim still stands, and goes on meanwhile.
    pub(super) fn doubt_claim(&self) {
        self.look_at_claim(Own::Doubted);
    }

    fn look_at_claim(&self, tell: fn(ClaimId, Claim) -> Own) {
        let (shared, room, myself) = (self.shared.clone(), self.room.clone(), self.myself.clone());
        let claim = self.header.claim.clone();
        tokio::spawn(async move {
            let seen = commit::look_at_claim(&shared, &room, &claim).await;
            let _ = myself.cast(RoomMessage::Own(tell(claim, seen)));
        });
    }

    /// The store says that the row is ours under this header.
    pub(super) fn is_ours(&mut self, header: Header) {
        (self.header, self.ours_at, self.lags) = (header, self.asked_at, false);
    }

    pub(super) fn verified(&mut self, claim: Claim) {
        match std::mem::replace(&mut self.standing, Standing::Ready) {
            Standing::Verifying(undecided) if claim == Claim::Stands => {
                self.ours_at = self.asked_at;
                self.take_effect(undecided.decision, undecided.input);
            }
            Standing::Verifying(undecided) => {
                commit::count_fenced();
                tracing::warn!(room.id = %self.room, "room was claimed by somebody else, stepping down");
                self.queue.push_front(undecided.input);
                self.replies.begun_move_to(&self.shared.world.node);
                self.load();
            }
            other => self.standing = other,
        }
    }

    /// Whether this node still holds its lease. While it does not, events wait.
    pub(super) fn may_act(&self) -> bool {
        self.shared.world.cluster.lease.is_held()
    }
}
