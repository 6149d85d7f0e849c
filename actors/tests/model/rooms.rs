//! The production states that actors and rows can be in, each kept once, and what `transition` decides in them.
//!
//! Owns the calls of `transition`: each is made once per (state, cue) and remembered.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use reelkeeper_actors::recording::AccessSecrets;
use reelkeeper_actors::recording::egress::LeaveReason;
use reelkeeper_actors::recording::event::{Event, Fresh};
use reelkeeper_actors::recording::ledger::{Phase, RoomState, State, Wants};
use reelkeeper_actors::recording::lifecycle::{Commit, transition};
use reelkeeper_actors::recording::policy::Policy;

use super::cues::{Carried, Cue, Deed, Due, carried, client_name, deed, room, uid, uid_name};
use super::digest;
use super::times::{NOW, canonical, lose_patience, make_due};
use super::world::{Actor, ClientName, RowName, StateName, Time, UidName};

/// What is known of all states so far.
pub struct Rooms {
    policy: Policy,
    rows: RwLock<Shelf<RoomState, RowView>>,
    states: RwLock<Shelf<State, StateView>>,
    decided: RwLock<HashMap<Question, Arc<Decided>>>,
}

/// What a decision depends on: the state, what happens, the uid to use next, and the time.
type Question = (StateName, Cue, UidName, Time);

/// Values that are kept once each.
struct Shelf<T, V> {
    /// By digest.
    names: HashMap<u64, Vec<u32>>,
    kept: Vec<(Arc<T>, Arc<V>)>,
}

/// What a row says, as far as steps and properties ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowView {
    pub current: Option<CurrentView>,
    pub held: Vec<UidName>,
    /// Those whose egress it knows by id.
    pub known: Vec<UidName>,
    pub shows: Vec<UidName>,
    pub is_settled: bool,
}

/// What holds the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentView {
    pub uid: UidName,
    pub phase: Phase,
    pub by: Option<ClientName>,
    pub is_stopped: bool,
}

/// What an actor has begun or armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateView {
    pub row: RowName,
    pub saw: Arc<RowView>,
    pub has_deadline: bool,
    /// The uid for which it has sent no StartEgress yet.
    pub may_send: Option<UidName>,
    pub looks_into_room: Option<UidName>,
    pub retries_start: bool,
    pub looks: Vec<UidName>,
    pub unsettled: Vec<UidName>,
    pub stops: Vec<UidName>,
    pub carries: Vec<(u64, Carried)>,
    pub waiting: Vec<ClientName>,
    /// Requests that have a timer of their own.
    pub timed: Vec<ClientName>,
    pub is_fresh: bool,
}

/// A decision in the model's words.
#[derive(Debug)]
pub struct Decided {
    pub state: StateName,
    pub row: RowName,
    pub commit: Commit,
    pub deeds: Vec<Deed>,
}

impl Rooms {
    pub fn new(policy: Policy) -> Self {
        let rows = RwLock::new(Shelf { names: HashMap::new(), kept: Vec::new() });
        let states = RwLock::new(Shelf { names: HashMap::new(), kept: Vec::new() });
        Self { policy, rows, states, decided: RwLock::default() }
    }

    /// How many decisions `transition` was asked for.
    pub fn decisions(&self) -> usize {
        read(&self.decided).len()
    }

    pub fn row(&self, name: RowName) -> Arc<RowView> {
        read(&self.rows).kept[name as usize].1.clone()
    }

    pub fn view(&self, name: StateName) -> Arc<StateView> {
        read(&self.states).kept[name as usize].1.clone()
    }

    /// A room that nobody ever asked anything of.
    pub fn fresh(&self) -> StateName {
        self.state_named(State::fresh(room()))
    }

    /// An actor that has just read this row.
    pub fn loaded(&self, row: RowName) -> StateName {
        let durable = RoomState::clone(&read(&self.rows).kept[row as usize].0);
        self.state_named(State { durable, ..State::fresh(room()) })
    }

    /// Decides, as production does.
    pub fn decide(&self, actor: &Actor, cue: &Cue, fresh: UidName) -> Arc<Decided> {
        let (state, time) = (actor.state, actor.time);
        let key = (state, cue.clone(), fresh, time);
        if let Some(decided) = read(&self.decided).get(&key) {
            return decided.clone();
        }
        let mut before = State::clone(&read(&self.states).kept[state as usize].0);
        if time == Time::After {
            make_due(&mut before, Due::Deadline, &self.policy);
        }
        match cue {
            Cue::Due(due) => make_due(&mut before, *due, &self.policy),
            Cue::Looked(name, look) => lose_patience(&mut before, *name, look.patience, &self.policy),
            _ => {}
        }
        let secrets = AccessSecrets { public: String::new(), private: String::new() };
        let fresh = Fresh { uid: uid(fresh), secrets };
        let event = Event { at: NOW, fresh, what: cue.happening(&self.policy) };
        let decision = transition(&before, &event, &self.policy);
        let deeds = decision.effects.iter().filter_map(deed).collect();
        let state = self.state_named(canonical(decision.state, &self.policy));
        let row = self.view(state).row;
        let decided = Arc::new(Decided { state, row, commit: decision.commit, deeds });
        write(&self.decided).insert(key, decided.clone());
        decided
    }

    fn state_named(&self, state: State) -> StateName {
        let digest = digest::of_state(&state, &self.policy);
        if let Some(name) = read(&self.states).find(digest, &state) {
            return name;
        }
        let row = self.row_named(&state.durable);
        let view = self.look_at(&state, row);
        write(&self.states).keep(digest, state, view)
    }

    fn row_named(&self, row: &RoomState) -> RowName {
        let digest = digest::of_row(row);
        if let Some(name) = read(&self.rows).find(digest, row) {
            return name;
        }
        let held = row.tracks().map(|track| uid_name(&track.uid)).collect();
        let known = row.tracks().filter(|track| track.egress.is_some());
        let shows = row.pending.iter().filter_map(|pending| pending.effect.recording());
        let view = RowView {
            current: row.current.as_ref().map(|current| CurrentView {
                uid: uid_name(&current.track.uid),
                phase: row.phase,
                by: current.begun_by.as_ref().map(client_name),
                is_stopped: current.track.stop.is_some(),
            }),
            held,
            known: known.map(|track| uid_name(&track.uid)).collect(),
            shows: shows.map(|id| uid_name(&id.uid)).collect(),
            is_settled: row.is_settled(),
        };
        write(&self.rows).keep(digest, row.clone(), view)
    }

    fn look_at(&self, state: &State, row: RowName) -> StateView {
        let (durable, memory) = (&state.durable, &state.memory);
        let begun = |number: &u64| memory.effects.contains_key(number);
        let carries = durable.pending.iter().filter(|pending| begun(&pending.number));
        let owed = durable.tracks().filter(|track| {
            let left = track.left.is_some_and(|left| matches!(left, LeaveReason::Clean | LeaveReason::Lost));
            track.stop.is_some() && track.egress.is_some() && !left
        });
        let owed: Vec<UidName> = owed.map(|track| uid_name(&track.uid)).collect();
        let waits_for_phase = matches!(durable.phase, Phase::Starting | Phase::Uncertain);
        let timed = memory.waiting.iter().filter(|waiting| waiting.wants != Wants::Start || !waits_for_phase);
        StateView {
            row,
            saw: self.row(row),
            has_deadline: waits_for_phase && durable.current.as_ref().is_some_and(|c| c.deadline.is_some()),
            may_send: memory.may_send.as_ref().map(uid_name),
            looks_into_room: memory.may_send.as_ref().filter(|_| memory.retry_start.is_none()).map(uid_name),
            retries_start: memory.retry_start.is_some(),
            looks: memory.looks.keys().map(uid_name).collect(),
            unsettled: durable.unsettled.iter().map(|unsettled| uid_name(&unsettled.track.uid)).collect(),
            stops: memory.stops.keys().map(uid_name).filter(|name| owed.contains(name)).collect(),
            carries: carries.filter_map(|p| Some((p.number, carried(&p.effect)?))).collect(),
            waiting: memory.waiting.iter().map(|waiting| client_name(&waiting.command)).collect(),
            timed: timed.map(|waiting| client_name(&waiting.command)).collect(),
            is_fresh: *state == State::fresh(room()),
        }
    }
}

impl<T: PartialEq, V> Shelf<T, V> {
    fn find(&self, digest: u64, value: &T) -> Option<u32> {
        let alike = self.names.get(&digest)?;
        alike.iter().copied().find(|name| *self.kept[*name as usize].0 == *value)
    }

    fn keep(&mut self, digest: u64, value: T, view: V) -> u32 {
        if let Some(name) = self.find(digest, &value) {
            return name;
        }
        let name = u32::try_from(self.kept.len()).expect("fewer states than numbers");
        self.kept.push((Arc::new(value), Arc::new(view)));
        self.names.entry(digest).or_default().push(name);
        name
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
