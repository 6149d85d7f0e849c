//! The model itself: where it begins, what one step does, and when it is quiet.

use reelkeeper_actors::recording::policy::{Policy, STRIKE_GAP};
use reelkeeper_actors::recording::rules::Rule;
use stateright::{Model, Property};

use super::nodes::Taken;
use super::promises;
use super::rooms::Rooms;
use super::steps::{Copies, Step};
use super::world::{Asks, Budget, Claim, Client, Hook, Life, Node, Stands, World};

/// One set of nodes, starts and faults.
pub struct Story {
    pub rooms: Rooms,
    pub nodes: usize,
    pub starts: usize,
    pub budget: Budget,
    pub hooks: Hooks,
    /// Whether clients ask at another node than the owner.
    pub asks_elsewhere: bool,
    pub fencing: Fencing,
    pub clocks: Clocks,
    pub store: Store,
    pub timers: Timers,
}

/// Whether a start's timer fires as soon as its deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timers {
    Prompt,
    /// Anything may come in between.
    Late,
}

/// When pending effects are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// At once.
    Quick,
    /// At any time; the node may die before it knows.
    Slow,
}

/// Whether all nodes have the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// When a request's deadline has passed on one node, no other begins it.
    Agree,
    /// It may pass on one node and lie ahead on another.
    Differ,
}

/// Whether LiveKit sends webhooks, each of which may be late, lost, doubled and old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    Never,
    /// They arrive within the hour after which a dead egress is forgotten.
    InTime,
    /// They may arrive after that too.
    Ancient,
}

/// Whether writes are conditional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    Checked,
    /// To see that the model notices.
    TakenAway,
}

impl Story {
    pub fn new(nodes: usize, starts: usize, budget: Budget) -> Self {
        Self::without(&[], nodes, starts, budget)
    }

    /// The same with rules taken away.
    pub fn without(rules: &[Rule], nodes: usize, starts: usize, budget: Budget) -> Self {
        let policy = Policy { stale_after: STRIKE_GAP, without: rules.to_vec(), ..Policy::default() };
        let rooms = Rooms::new(policy);
        let (hooks, asks_elsewhere, fencing) = (Hooks::Never, false, Fencing::Checked);
        Self {
            rooms,
            nodes,
            starts,
            budget,
            hooks,
            asks_elsewhere,
            fencing,
            clocks: Clocks::Agree,
            store: Store::Quick,
            timers: Timers::Prompt,
        }
    }

    pub fn with_hooks(self) -> Self {
        Self { hooks: Hooks::InTime, ..self }
    }

    pub fn with_ancient_hooks(self) -> Self {
        Self { hooks: Hooks::Ancient, ..self }
    }

    pub fn asking_elsewhere(self) -> Self {
        Self { asks_elsewhere: true, ..self }
    }

    pub fn with_differing_clocks(self) -> Self {
        Self { clocks: Clocks::Differ, ..self }
    }

    pub fn with_late_timers(self) -> Self {
        Self { timers: Timers::Late, ..self }
    }

    pub fn with_slow_store(self) -> Self {
        Self { store: Store::Slow, ..self }
    }

    pub fn unfenced(self) -> Self {
        Self { fencing: Fencing::TakenAway, ..self }
    }

    pub fn beginning(&self) -> World {
        let start = Client { asks: Asks::Start, stands: Stands::Unasked, is_overdue: false, kept: None };
        World {
            row: None,
            nodes: vec![Node::default(); self.nodes],
            lives: Vec::new(),
            clients: vec![start; self.starts],
            hooks: Vec::new(),
            letters: Vec::new(),
            room_is_empty: false,
            left: self.budget,
            broken: 0,
            is_quiet: true,
        }
    }

    /// What a step leads to.
    pub fn after(&self, before: &World, step: Step) -> World {
        let mut world = before.clone();
        self.go(&mut world, step);
        world.is_quiet = self.is_quiet(&world);
        world
    }

    fn go(&self, world: &mut World, step: Step) {
        self.take(world, step);
        if self.store == Store::Quick {
            self.carry_all(world);
        }
        self.tidy(world);
    }

    fn take(&self, world: &mut World, step: Step) {
        match step {
            Step::Ask(at, client) => self.ask(world, at, client),
            Step::GiveUp(client) => Self::give_up(world, client),
            Step::ReadLetter(at, client) => self.read_letter(world, at, client),
            Step::Claim(at) => self.claim(world, at),
            Step::Steal(at) => {
                world.left.steals -= 1;
                self.claim(world, at);
            }
            Step::Due(at, due) => self.fire(world, at, due),
            Step::PassDeadline(at) => self.pass_deadline(world, at),
            Step::Look(at, name, patience, blind) => {
                world.left.empty_lists -= u8::from(blind != super::steps::Blind::Neither);
                self.look(world, at, name, patience, blind);
            }
            Step::LookIntoRoom(at, blind) => {
                world.left.empty_lists -= u8::from(blind != super::steps::Blind::Neither);
                self.look_into_room(world, at, blind);
            }
            Step::Carry(at, number, then) => self.carry(world, at, number, then),
            Step::Flush(at) => self.flush(world, at),
            Step::Remove(at) => self.remove(world, at),
            Step::SendStart(at, name) => Self::send_start(world, at, name),
            Step::AnswerStart(at, name, ends) => self.answer_start(world, at, name, ends),
            Step::Stop(at, name, then) => self.stop_now(world, at, name, then),
            Step::Finish(at, leftover) => self.finish(world, at, leftover),
            Step::Hook(at, hook, copies) => self.take_hook(world, at, hook, copies),
            Step::LoseHook(hook) => world.hooks.retain(|other| *other != hook),
            Step::Sweep(at, name, finds) => self.sweep(world, at, name, finds),
            Step::Kit(name, goes) => self.go_on(world, name, goes),
            Step::ForgetAll => {
                world.left.flushes -= 1;
                world.lives.iter_mut().for_each(Life::forget);
            }
            Step::Crash(at) => self.crash(world, at),
            Step::Want(asks) => {
                match asks {
                    Asks::Stop(_) => world.left.stops -= 1,
                    _ => world.left.deletes -= 1,
                }
                world.clients.push(Client { asks, stands: Stands::Unasked, is_overdue: false, kept: None });
            }
        }
    }

    fn take_hook(&self, world: &mut World, at: usize, hook: Hook, copies: Copies) {
        world.left.doubles -= u8::from(copies == Copies::Another);
        let taken = self.hook(world, at, hook);
        if copies == Copies::Last && taken == Taken::Stored {
            world.hooks.retain(|other| *other != hook);
        }
    }

    /// Makes equal what is alike.
    fn tidy(&self, world: &mut World) {
        let row_is_gone = world.row.is_none();
        // That a row lags is seen only by who claims it.
        let nobody_reads = world.left.crashes == 0 && world.left.steals == 0;
        for node in &mut world.nodes {
            if let Some(actor) = &mut node.actor {
                if actor.claim == Claim::Absent && self.rooms.view(actor.state).saw.is_settled {
                    let idle = self.rooms.view(actor.state).waiting.is_empty();
                    if idle {
                        node.actor = None;
                    }
                } else if row_is_gone && actor.claim == Claim::Stands {
                    actor.claim = Claim::Lost;
                }
            }
            node.calls.sort_unstable();
            let is_owner = node.actor.as_ref().filter(|actor| actor.claim == Claim::Stands);
            if let Some(actor) = is_owner.filter(|_| nobody_reads) {
                world.row = Some(self.rooms.view(actor.state).row);
            }
        }
        world.nodes.sort_unstable();
        world.hooks.sort_unstable();
        world.hooks.dedup();
        world.letters.sort_unstable();
    }

    /// Whether nobody would do anything any more, but look and find what is known.
    fn is_quiet(&self, world: &World) -> bool {
        let at_rest = world.hooks.is_empty()
            && world.letters.is_empty()
            && world.nodes.iter().all(Node::is_idle)
            && world.lives.iter().all(|life| life.kit.is_at_rest());
        if !at_rest {
            return false;
        }
        let mut steps = Vec::new();
        self.steps(world, &mut steps);
        let mut steps = steps.into_iter().filter(|step| comes_by_itself(world, *step));
        steps.all(|step| {
            let mut next = world.clone();
            self.go(&mut next, step);
            next == *world
        })
    }
}

/// Whether nodes and LiveKit come to a step by themselves: it is neither a fault nor a client's wish.
pub fn comes_by_itself(world: &World, step: Step) -> bool {
    match step {
        Step::Ask(_, client) => world.clients[usize::from(client)].stands != Stands::Unasked,
        step => step.is_progress(),
    }
}

impl Life {
    fn forget(&mut self) {
        self.kit.is_forgotten = self.kit.listed().is_some() || self.kit.is_forgotten;
    }
}

impl Model for Story {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.beginning()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.broken == 0 {
            self.steps(world, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.after(world, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties()
    }
}
