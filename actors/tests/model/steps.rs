//! What can happen next: every step of nodes, LiveKit, webhooks and clients, and every fault that is left.
//!
//! Owns which steps are possible. What they do is in `nodes.rs` (actors) and `livekit.rs`.

use reelkeeper_actors::recording::egress::EgressStatus;

use super::cues::{Due, Patience};
use super::rooms::StateView;
use super::story::{Clocks, Hooks, Story, Timers};
use super::world::{
    Actor, Asks, At, Call, Claim, ClientName, Hook, Leftover, Recorder, Shown, Stands, Time, UidName, World,
};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A client's request comes to the room's actor on this node.
    Ask(usize, ClientName),
    /// A client's node cancels a start whose owner it cannot reach, and answers 503.
    GiveUp(ClientName),
    /// The room's actor reads a cancellation from the inbox.
    ReadLetter(usize, ClientName),
    /// A node claims the row of an owner that is gone.
    Claim(usize),
    /// A timer fires.
    Due(usize, Due),
    /// A start's deadline passes, and its timer does not fire yet.
    PassDeadline(usize),
    /// The actor looks at a uid.
    Look(usize, UidName, Patience, Blind),
    /// The look before a start.
    LookIntoRoom(usize, Blind),
    /// A pending effect is carried out.
    Carry(usize, u64, Then),
    /// The row catches up.
    Flush(usize),
    /// An idle room's row is removed.
    Remove(usize),
    /// A StartEgress reaches LiveKit.
    SendStart(usize, UidName),
    /// It is answered.
    AnswerStart(usize, UidName, Ends),
    /// The actor stops an egress.
    Stop(usize, UidName, Then),
    /// Something goes on that an earlier claim decided.
    Finish(usize, Leftover),
    /// A webhook arrives.
    Hook(usize, Hook, Copies),
    /// A webhook is lost.
    LoseHook(Hook),
    /// The janitors find an egress, or a document, that no row holds.
    Sweep(usize, UidName, Finds),
    /// LiveKit goes on.
    Kit(UidName, Goes),
    /// LiveKit's store forgets.
    ForgetAll,
    /// A node dies, and comes back empty.
    Crash(usize),
    /// A node claims the room of an owner that runs on unaware.
    Steal(usize),
    /// A client asks to stop, or to delete, a recording.
    Want(Asks),
}

/// Which of LiveKit's lists is empty for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blind {
    Neither,
    Egresses,
    Participants,
    Both,
}

/// What follows an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// Its outcome reaches the actor.
    Tell,
    /// The node dies first.
    Crash,
}

/// How a StartEgress ends for who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ends {
    /// With the egress.
    Ok,
    /// Without an answer.
    Lost,
    /// Refused, and that is true.
    Refused,
    /// Refused, and the egress begins all the same.
    Lied,
}

/// Whether a webhook comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Copies {
    Last,
    Another,
}

/// What the janitors find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finds {
    Egress,
    Document,
}

/// What an egress does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goes {
    Begin,
    NeverBegin,
    Activate,
    Fail,
    Leave,
    Complete,
    Die,
    EndCleanly,
    GoAway,
    ComeBack,
}

impl Step {
    /// Whether it is no fault and, but for what clients ask, no wish.
    pub fn is_progress(self) -> bool {
        match self {
            Self::Crash(_) | Self::Steal(_) | Self::ForgetAll | Self::Want(_) => false,
            Self::Look(_, _, _, blind) | Self::LookIntoRoom(_, blind) => blind == Blind::Neither,
            Self::Carry(_, _, then) | Self::Stop(_, _, then) => then == Then::Tell,
            Self::AnswerStart(_, _, ends) => ends == Ends::Ok,
            Self::Hook(_, _, copies) => copies == Copies::Last,
            Self::Kit(_, goes) => !matches!(goes, Goes::Fail | Goes::Die | Goes::EndCleanly | Goes::GoAway),
            _ => true,
        }
    }
}

impl Story {
    /// Every step that is possible, faults included.
    pub fn steps(&self, world: &World, steps: &mut Vec<Step>) {
        self.client_steps(world, steps);
        for at in 0..world.nodes.len() {
            self.node_steps(world, at, steps);
        }
        for hook in &world.hooks {
            steps.push(Step::LoseHook(*hook));
            for at in Self::hosts(world) {
                steps.push(Step::Hook(at, *hook, Copies::Last));
                if world.left.doubles > 0 {
                    steps.push(Step::Hook(at, *hook, Copies::Another));
                }
            }
        }
        for name in 0..world.lives.len() {
            kit_steps(world, name, steps);
        }
        let known = world.lives.iter().any(|life| life.kit.listed().is_some());
        if world.left.flushes > 0 && known {
            steps.push(Step::ForgetAll);
        }
    }

    /// The nodes whose actor takes what comes for the room: those that have one, else any, if there is no row.
    pub fn hosts(world: &World) -> Vec<usize> {
        let nodes = world.nodes.iter().enumerate();
        let mut hosts: Vec<usize> =
            nodes.clone().filter(|(_, node)| node.actor.is_some()).map(|(at, _)| at).collect();
        let nobody_owns = !world
            .nodes
            .iter()
            .any(|node| node.actor.as_ref().is_some_and(|actor| actor.claim == Claim::Stands));
        if world.row.is_none() && nobody_owns {
            hosts.extend(nodes.clone().find(|(_, node)| node.actor.is_none()).map(|(at, _)| at));
        }
        hosts
    }

    fn client_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let mut is_next = true;
        for (name, client) in (0..).zip(&world.clients) {
            let is_unasked_start = client.stands == Stands::Unasked && client.asks == Asks::Start;
            // Starts are alike: the first is asked first.
            if is_unasked_start && !std::mem::replace(&mut is_next, false) {
                continue;
            }
            let may_ask = !client.is_overdue || self.clocks == Clocks::Differ;
            let asks_now = match client.stands {
                Stands::Unasked => true,
                Stands::Between => may_ask,
                _ => false,
            };
            if asks_now {
                steps.extend(Self::hosts(world).into_iter().map(|at| Step::Ask(at, name)));
            }
            if client.stands == Stands::Between && client.asks == Asks::Start {
                steps.push(Step::GiveUp(name));
            }
        }
        for letter in &world.letters {
            steps.extend(Self::hosts(world).into_iter().map(|at| Step::ReadLetter(at, *letter)));
        }
        for (name, life) in (0..).zip(&world.lives) {
            let is_over = |shown: Shown| shown > Shown::Ending;
            if world.left.stops > 0 && life.document.is_some_and(|shown| !is_over(shown)) {
                steps.push(Step::Want(Asks::Stop(name)));
            }
            if world.left.deletes > 0 && life.document.is_some_and(is_over) {
                steps.push(Step::Want(Asks::Delete(name)));
            }
        }
    }

    fn node_steps(&self, world: &World, at: usize, steps: &mut Vec<Step>) {
        let node = &world.nodes[at];
        let owned = world
            .nodes
            .iter()
            .any(|node| node.actor.as_ref().is_some_and(|actor| actor.claim == Claim::Stands));
        if node.actor.is_none() && world.row.is_some() {
            if !owned {
                steps.push(Step::Claim(at));
            } else if world.left.steals > 0 {
                steps.push(Step::Steal(at));
            }
        }
        for call in &node.calls {
            if call.is_sent {
                answers(world, at, call.uid, steps);
            } else {
                steps.push(Step::SendStart(at, call.uid));
            }
        }
        steps.extend(node.leftovers.iter().map(|leftover| Step::Finish(at, *leftover)));
        if world.left.crashes > 0 && (node.actor.is_some() || !node.calls.is_empty()) {
            steps.push(Step::Crash(at));
        }
        if let Some(actor) = &node.actor {
            let view = self.rooms.view(actor.state);
            self.actor_steps(world, at, &view, steps);
            if view.has_deadline && actor.time == Time::Before && self.timers == Timers::Late {
                steps.push(Step::PassDeadline(at));
            }
            let stored = actor.claim != Claim::Absent;
            let may_go = view.saw.is_settled && view.waiting.is_empty();
            if stored && may_go {
                steps.push(Step::Remove(at));
            } else if stored && (actor.claim == Claim::Lost || world.row != Some(view.row)) {
                // An actor that lost its claim writes only if its row lags; whether it does is forgotten.
                steps.push(Step::Flush(at));
            }
        }
        for (name, life) in (0..).zip(&world.lives) {
            if let Some(finds) = self.found(world, name, life)
                && Self::hosts(world).contains(&at)
            {
                steps.push(Step::Sweep(at, name, finds));
            }
        }
    }

    /// The longest wait that may be over for a uid. What goes on is in time: an upload ends before its limit, a call
    /// is answered and begins nothing ten minutes after its end (whoever may still send it sees that its deadline has
    /// passed), and a webhook is not an hour old, unless that is asked for.
    fn patience(&self, world: &World, name: UidName, view: &StateView) -> Patience {
        let kit = &world.lives[usize::from(name)].kit;
        let is_called = world.nodes.iter().any(|node| {
            let sends = |actor: &Actor| self.rooms.view(actor.state).may_send == Some(name);
            node.calls.iter().any(|call| call.uid == name) || node.actor.as_ref().is_some_and(sends)
        });
        let is_told = self.hooks != Hooks::Ancient && world.hooks.iter().any(|hook| hook.uid == name);
        let goes_on = is_called || is_told || kit.is_live() || !kit.is_at_rest();
        if goes_on || !view.unsettled.contains(&name) { Patience::Kept } else { Patience::LimitOver }
    }

    fn actor_steps(&self, world: &World, at: usize, view: &StateView, steps: &mut Vec<Step>) {
        if view.has_deadline {
            steps.push(Step::Due(at, Due::Deadline));
        }
        let current = view.saw.current;
        if current.is_some_and(|c| c.phase == reelkeeper_actors::recording::ledger::Phase::Stopping) {
            steps.push(Step::Due(at, Due::StopTimeout));
        }
        if view.retries_start {
            steps.push(Step::Due(at, Due::RetryStart));
        }
        steps.extend(view.timed.iter().map(|client| Step::Due(at, Due::Answer(*client))));
        let blind = [Blind::Egresses, Blind::Participants, Blind::Both];
        if view.looks_into_room.is_some() {
            steps.push(Step::LookIntoRoom(at, Blind::Neither));
            if world.left.empty_lists > 0 {
                steps.push(Step::LookIntoRoom(at, Blind::Egresses));
            }
        }
        for name in &view.looks {
            let patience = self.patience(world, *name, view);
            steps.push(Step::Look(at, *name, patience, Blind::Neither));
            if patience != Patience::Kept {
                steps.push(Step::Look(at, *name, Patience::Kept, Blind::Neither));
            }
            if world.left.empty_lists > 0 {
                steps.extend(blind.map(|blind| Step::Look(at, *name, Patience::Kept, blind)));
            }
        }
        for name in &view.stops {
            steps.push(Step::Stop(at, *name, Then::Tell));
            if world.left.crashes > 0 {
                steps.push(Step::Stop(at, *name, Then::Crash));
            }
        }
        for (number, _) in &view.carries {
            steps.push(Step::Carry(at, *number, Then::Tell));
            if world.left.crashes > 0 {
                steps.push(Step::Carry(at, *number, Then::Crash));
            }
        }
    }
}

fn answers(world: &World, at: usize, name: UidName, steps: &mut Vec<Step>) {
    let begun = world.lives[usize::from(name)].kit.at;
    if matches!(begun, At::Is(_)) {
        steps.push(Step::AnswerStart(at, name, Ends::Ok));
    }
    if world.left.lost_answers > 0 {
        steps.push(Step::AnswerStart(at, name, Ends::Lost));
    }
    if begun == At::Called {
        if world.left.refusals > 0 {
            steps.push(Step::AnswerStart(at, name, Ends::Refused));
        }
        if world.left.lies > 0 {
            steps.push(Step::AnswerStart(at, name, Ends::Lied));
        }
    }
}

fn kit_steps(world: &World, index: usize, steps: &mut Vec<Step>) {
    let (kit, left) = (&world.lives[index].kit, &world.left);
    let name = UidName::try_from(index).expect("few uids");
    let mut goes = |goes| steps.push(Step::Kit(name, goes));
    if kit.at == At::Called {
        goes(Goes::Begin);
        let waits = |call: &Call| call.uid == name && call.is_sent;
        if !world.nodes.iter().flat_map(|node| &node.calls).any(waits) {
            goes(Goes::NeverBegin);
        }
    }
    let At::Is(status) = kit.at else { return };
    if kit.is_dead() || status.is_terminal() {
        return;
    }
    if left.kills > 0 {
        goes(Goes::Die);
    }
    match (status, kit.recorder) {
        (EgressStatus::Starting, _) => {
            goes(Goes::Activate);
            if left.failures > 0 {
                goes(Goes::Fail);
            }
        }
        (EgressStatus::Active, Recorder::In) => {
            if left.clean_ends > 0 {
                goes(Goes::EndCleanly);
            }
            if left.blips > 0 {
                goes(Goes::GoAway);
            }
        }
        (EgressStatus::Active, Recorder::Away) => goes(Goes::ComeBack),
        (EgressStatus::Ending, Recorder::In | Recorder::Away) => goes(Goes::Leave),
        (EgressStatus::Active | EgressStatus::Ending, Recorder::Left) => goes(Goes::Complete),
        _ => {}
    }
}
