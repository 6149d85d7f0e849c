//! Nodes: how an actor decides, commits, carries out, answers, and steps down.
//!
//! Owns the model's form of `room/actor.rs` and `room/effects.rs`. A look and the decision that rests on it are one
//! step; calls that change LiveKit, effects, answers of others and crashes are steps of their own.

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus;
use reelkeeper_actors::recording::event::Source;
use reelkeeper_actors::recording::ledger::Phase;
use reelkeeper_actors::recording::lifecycle::Commit;

use super::clients::{answer, move_on};
use super::cues::{CallEnd, Carried, Cue, Deed, Due, Leave, Patience};
use super::livekit::look;
use super::promises::Always;
use super::rooms::Decided;
use super::steps::{Blind, Ends, Finds, Then};
use super::story::{Fencing, Story};
use super::world::{
    Actor, At, Call, Claim, Hook, Kit, Leftover, Life, Node, Recorder, Shown, Stands, Tells, Time, UidName,
    World,
};

/// How a cue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Stored,
    SteppedDown,
}

impl Story {
    /// Something happens to the actor of a node, which is made if there is none.
    pub fn tell(&self, world: &mut World, at: usize, cue: &Cue) -> Taken {
        let fresh_uid = UidName::try_from(world.lives.len()).expect("few uids");
        let absent = || Actor { claim: Claim::Absent, state: self.rooms.fresh(), time: Time::Before };
        let actor = world.nodes[at].actor.get_or_insert_with(absent).clone();
        let decided = self.rooms.decide(&actor, cue, fresh_uid);
        let answers = decided.deeds.iter().any(|deed| matches!(deed, Deed::Answer(..)));
        let may_go_on = match decided.commit {
            Commit::Before => self.write(world, at, &decided),
            // What rests on memory alone is said only while the claim stands.
            Commit::Nothing if answers => actor.claim != Claim::Lost,
            Commit::Nothing | Commit::Soon => true,
        };
        if !may_go_on {
            self.step_down(world, at);
            return Taken::SteppedDown;
        }
        if let Some(actor) = &mut world.nodes[at].actor {
            let (old, new) = (self.rooms.view(actor.state), self.rooms.view(decided.state));
            let goes_on = new.has_deadline && old.saw.current.map(|c| c.by) == new.saw.current.map(|c| c.by);
            if !goes_on {
                actor.time = Time::Before;
            }
            actor.state = decided.state;
        }
        self.note_new_uid(world, &decided, fresh_uid);
        let is_look = matches!(cue, Cue::Due(Due::Look(_)));
        for deed in &decided.deeds {
            match deed {
                // Looks that follow something else are armed, and may come at any time anyway.
                Deed::Look(..) if !is_look => {}
                deed => self.act(world, at, deed),
            }
        }
        Taken::Stored
    }

    /// The conditional write.
    fn write(&self, world: &mut World, at: usize, decided: &Decided) -> bool {
        let Some(actor) = &mut world.nodes[at].actor else { return false };
        let as_expected = match actor.claim {
            Claim::Absent => world.row.is_none(),
            Claim::Stands => world.row.is_some(),
            Claim::Lost => false,
        };
        if !as_expected {
            if self.fencing == Fencing::Checked {
                return false;
            }
            world.broken |= Always::NoStaleWrite.bit();
        }
        if actor.claim == Claim::Absent {
            actor.claim = Claim::Stands;
        }
        world.row = Some(decided.row);
        true
    }

    fn note_new_uid(&self, world: &mut World, decided: &Decided, fresh: UidName) {
        let row = self.rooms.row(decided.row);
        if row.held.contains(&fresh) {
            let by = row.current.filter(|current| current.uid == fresh).and_then(|current| current.by);
            let life = Life { by, calls: 0, kit: Kit::UNSENT, document: None, is_deleted: false };
            world.lives.push(life);
        }
    }

    /// Another node holds the row, or nobody: what waits here moves there, what runs here runs on.
    fn step_down(&self, world: &mut World, at: usize) {
        let node = &mut world.nodes[at];
        let Some(actor) = node.actor.take() else { return };
        let view = self.rooms.view(actor.state);
        node.calls.iter_mut().for_each(|call| call.is_old = true);
        node.leftovers.extend(view.stops.iter().map(|name| Leftover::Stop(*name)));
        node.leftovers.extend(view.carries.iter().filter_map(|(_, carried)| match carried {
            Carried::Update(name, shown) => Some(Leftover::Show(*name, *shown)),
            _ => None,
        }));
        node.leftovers.sort_unstable();
        node.leftovers.dedup();
        for client in &view.waiting {
            move_on(world, *client);
        }
    }

    fn act(&self, world: &mut World, at: usize, deed: &Deed) {
        match deed {
            Deed::SendStart(name) => {
                world.nodes[at].calls.push(Call { uid: *name, is_sent: false, is_old: false });
            }
            // Repeated until it is not owed any more: `Step::Stop`.
            Deed::SendStop(_) => {}
            Deed::Look(name, depth, known) => {
                let look = look(world, *name, (*depth, *known), Patience::Kept, Blind::Neither);
                self.tell(world, at, &Cue::Looked(*name, look));
            }
            Deed::Identify(name) => {
                let life = &world.lives[usize::from(*name)];
                if let Some(status) = life.kit.listed() {
                    self.tell(world, at, &Cue::Seen(*name, status, Source::Call, life.document));
                }
            }
            Deed::Recall(cue) => {
                let kept = cue.client().and_then(|client| world.clients[usize::from(client)].kept);
                self.tell(world, at, &Cue::Recalled(Box::new(cue.clone()), kept));
            }
            Deed::Answer(client, reply) => answer(world, *client, *reply),
        }
    }

    /// A timer fires.
    pub fn fire(&self, world: &mut World, at: usize, due: Due) {
        if due == Due::Deadline {
            self.pass_deadline(world, at);
        }
        self.tell(world, at, &Cue::Due(due));
    }

    /// The deadline of the start at hand passes; whatever comes next comes after it.
    pub fn pass_deadline(&self, world: &mut World, at: usize) {
        let Some(actor) = &mut world.nodes[at].actor else { return };
        actor.time = Time::After;
        if let Some(by) = self.rooms.view(actor.state).saw.current.and_then(|current| current.by) {
            world.clients[usize::from(by)].is_overdue = true;
        }
    }

    /// A look with the patience that its uid needs.
    pub fn look(&self, world: &mut World, at: usize, name: UidName, patience: Patience, blind: Blind) {
        let Some(actor) = &world.nodes[at].actor else { return };
        let decided = self.rooms.decide(actor, &Cue::Due(Due::Look(name)), 0);
        if decided.commit != Commit::Nothing {
            // Something else was due too, such as a deadline, or left over from the decision before.
            self.tell(world, at, &Cue::Due(Due::Look(name)));
            return;
        }
        let looks = decided.deeds.iter().find_map(|deed| match deed {
            Deed::Look(of, depth, known) if *of == name => Some((*depth, *known)),
            _ => None,
        });
        let Some(how) = looks else { return };
        let look = look(world, name, how, patience, blind);
        self.tell(world, at, &Cue::Looked(name, look));
    }

    pub fn look_into_room(&self, world: &mut World, at: usize, blind: Blind) {
        let Some(actor) = &world.nodes[at].actor else { return };
        let view = self.rooms.view(actor.state);
        let Some(uid) = view.looks_into_room else { return };
        let lives = (0..).zip(&world.lives);
        let listed = lives.filter_map(|(name, life)| {
            let status = life.kit.listed().filter(|status| !status.is_terminal())?;
            let is_known = view.saw.held.contains(&name) || life.document.is_some();
            let may_run = match status {
                EgressStatus::Ending => false,
                EgressStatus::Active => life.kit.recorder == Recorder::In,
                _ => !life.kit.is_dead(),
            };
            (is_known || may_run).then_some((name, status, life.document))
        });
        let listed = if blind == Blind::Neither { listed.collect() } else { Vec::new() };
        self.tell(world, at, &Cue::RoomLooked(uid, listed));
    }

    /// A node claims the row and takes it up.
    pub fn claim(&self, world: &mut World, at: usize) {
        let Some(row) = world.row else { return };
        for node in &mut world.nodes {
            if let Some(actor) = node.actor.as_mut().filter(|actor| actor.claim == Claim::Stands) {
                actor.claim = Claim::Lost;
            }
        }
        world.nodes[at].actor =
            Some(Actor { claim: Claim::Stands, state: self.rooms.loaded(row), time: Time::Before });
        self.tell(world, at, &Cue::TakenUp);
    }

    /// A pending effect is carried out, and its outcome reaches the actor or not.
    pub fn carry(&self, world: &mut World, at: usize, number: u64, then: Then) {
        let Some(actor) = world.nodes[at].actor.clone() else { return };
        let view = self.rooms.view(actor.state);
        let Some((_, carried)) = view.carries.iter().find(|(of, _)| *of == number).copied() else { return };
        if matches!(carried, Carried::Insert(..)) && actor.claim == Claim::Lost {
            // A document is made only while the claim stands.
            return self.step_down(world, at);
        }
        let mut done = Cue::Done(number);
        match carried {
            Carried::Insert(name, shown) => {
                let life = &mut world.lives[usize::from(name)];
                if life.is_deleted {
                    world.broken |= Always::DeletedStaysDeleted.bit();
                }
                if life.document.is_none() {
                    life.document = Some(shown);
                } else {
                    update(life, shown);
                }
            }
            Carried::Update(name, shown) => update(&mut world.lives[usize::from(name)], shown),
            Carried::Remove(name) => {
                let life = &mut world.lives[usize::from(name)];
                (life.document, life.is_deleted) = (None, true);
                if std::mem::take(&mut life.kit.has_file) {
                    done = Cue::Removed(number);
                }
            }
            Carried::Keep(client, reply) => {
                world.clients[usize::from(client)].kept.get_or_insert(reply);
            }
        }
        match then {
            Then::Tell => drop(self.tell(world, at, &done)),
            Then::Crash => self.crash(world, at),
        }
    }

    /// Everything that is pending is carried out, one after the other.
    pub fn carry_all(&self, world: &mut World) {
        for at in 0..world.nodes.len() {
            let next = |world: &World| {
                let actor = world.nodes[at].actor.as_ref()?;
                self.rooms.view(actor.state).carries.first().copied()
            };
            while let Some((number, _)) = next(world) {
                self.carry(world, at, number, Then::Tell);
            }
            let Node { leftovers, .. } = world.nodes[at].clone();
            for leftover in leftovers.into_iter().filter(|other| matches!(other, Leftover::Show(..))) {
                self.finish(world, at, leftover);
            }
        }
    }

    pub fn flush(&self, world: &mut World, at: usize) {
        let Some(actor) = world.nodes[at].actor.clone() else { return };
        if actor.claim == Claim::Stands {
            world.row = Some(self.rooms.view(actor.state).row);
        } else {
            self.step_down(world, at);
        }
    }

    /// The row of an idle room goes, and so does an actor without anything.
    pub fn remove(&self, world: &mut World, at: usize) {
        let Some(actor) = world.nodes[at].actor.clone() else { return };
        if actor.claim == Claim::Stands {
            world.row = None;
            world.nodes[at].actor = Some(Actor { claim: Claim::Absent, ..actor });
        } else {
            self.step_down(world, at);
        }
    }

    pub fn crash(&self, world: &mut World, at: usize) {
        world.left.crashes -= 1;
        let node = std::mem::take(&mut world.nodes[at]);
        let Some(actor) = node.actor else { return };
        for client in &self.rooms.view(actor.state).waiting {
            let stands = &mut world.clients[usize::from(*client)].stands;
            *stands = match *stands {
                Stands::Here => Stands::Gone,
                Stands::There => Stands::Between,
                other => other,
            };
        }
    }

    pub fn send_start(world: &mut World, at: usize, name: UidName) {
        let calls = &mut world.nodes[at].calls;
        if let Some(call) = calls.iter_mut().find(|call| call.uid == name && !call.is_sent) {
            call.is_sent = true;
        }
        let life = &mut world.lives[usize::from(name)];
        life.calls += 1;
        if life.calls > 1 {
            world.broken |= Always::OneCallPerUid.bit();
            life.calls = 2;
        }
        if life.kit.at == At::Unsent {
            life.kit.at = At::Called;
        }
    }

    pub fn answer_start(&self, world: &mut World, at: usize, name: UidName, ends: Ends) {
        let left = &mut world.left;
        let kit = &mut world.lives[usize::from(name)].kit;
        let end = match ends {
            // What a call answers is how the egress was when it began.
            Ends::Ok => CallEnd::Ok(EgressStatus::Starting),
            Ends::Lost => {
                left.lost_answers -= 1;
                CallEnd::NoAnswer
            }
            Ends::Refused => {
                left.refusals -= 1;
                kit.at = At::Never;
                CallEnd::Refused
            }
            Ends::Lied => {
                left.lies -= 1;
                CallEnd::Refused
            }
        };
        let calls = &mut world.nodes[at].calls;
        let Some(index) = calls.iter().position(|call| call.uid == name && call.is_sent) else { return };
        let call = calls.remove(index);
        let is_evidence = ends == Ends::Ok;
        let has_actor = world.nodes[at].actor.is_some();
        if has_actor && (is_evidence || !call.is_old) {
            let taken = self.tell(world, at, &Cue::StartAnswered(name, end));
            if taken == Taken::SteppedDown && is_evidence {
                // What was learned is handed to the owner.
                world.hooks.push(Hook { uid: name, tells: Tells::Status(Shown::Starting) });
            }
        }
    }

    /// An owed stop is sent, and answered.
    pub fn stop_now(&self, world: &mut World, at: usize, name: UidName, then: Then) {
        let Some(actor) = world.nodes[at].actor.clone() else { return };
        let decided = self.rooms.decide(&actor, &Cue::Due(Due::Stop(name)), 0);
        if decided.commit != Commit::Nothing || !decided.deeds.contains(&Deed::SendStop(name)) {
            // Something else was due too, such as a deadline: the stop comes with its next repetition.
            self.tell(world, at, &Cue::Due(Due::Stop(name)));
            return;
        }
        let end = self.send_stop(world, name);
        match then {
            Then::Tell => drop(self.tell(world, at, &Cue::StopAnswered(name, end))),
            Then::Crash => self.crash(world, at),
        }
    }

    fn send_stop(&self, world: &mut World, name: UidName) -> CallEnd {
        let row = world.row.map(|row| self.rooms.row(row));
        let current = row.and_then(|row| row.current).filter(|current| current.uid == name);
        let is_live = world.lives[usize::from(name)].kit.is_live();
        if is_live && current.is_some_and(|c| c.phase == Phase::Active && !c.is_stopped) {
            world.broken |= Always::NoStopOfTheCommitted.bit();
        }
        self.stop(world, name)
    }

    pub fn finish(&self, world: &mut World, at: usize, leftover: Leftover) {
        world.nodes[at].leftovers.retain(|other| *other != leftover);
        match leftover {
            Leftover::Show(name, shown) => update(&mut world.lives[usize::from(name)], shown),
            Leftover::Stop(name) => drop(self.send_stop(world, name)),
        }
    }

    /// A webhook arrives; it comes again until it is stored.
    pub fn hook(&self, world: &mut World, at: usize, hook: Hook) -> Taken {
        let life = &world.lives[usize::from(hook.uid)];
        let cue = match hook.tells {
            Tells::LeftCleanly => Cue::Left(hook.uid, Leave::Clean),
            Tells::Lost => Cue::Left(hook.uid, Leave::Lost),
            Tells::Status(shown) => {
                let status = EgressStatus::behind(shown.into());
                Cue::Seen(hook.uid, status, Source::Webhook, life.document)
            }
        };
        self.tell(world, at, &cue)
    }

    /// What the janitors would find of a uid.
    pub fn found(&self, world: &World, name: UidName, life: &Life) -> Option<Finds> {
        let row = world.row.map(|row| self.rooms.row(row));
        if row.as_ref().is_some_and(|row| row.held.contains(&name)) {
            return None;
        }
        let shown: Option<RecordingStatus> = life.document.map(Into::into);
        if shown.is_some_and(|shown| !shown.is_terminal()) {
            let owed = row.is_some_and(|row| row.shows.contains(&name));
            return (!owed).then_some(Finds::Document);
        }
        let status = life.kit.listed().filter(|status| !status.is_terminal())?;
        let is_in = life.kit.recorder == Recorder::In;
        let found = match (shown, status) {
            (Some(_), EgressStatus::Ending) => false,
            (Some(_), _) | (None, EgressStatus::Active) => is_in,
            (None, _) => is_in || !life.kit.is_dead(),
        };
        found.then_some(Finds::Egress)
    }

    pub fn sweep(&self, world: &mut World, at: usize, name: UidName, finds: Finds) {
        let life = &world.lives[usize::from(name)];
        let cue = match (finds, life.document, life.kit.listed()) {
            (Finds::Document, Some(shown), _) => Cue::Unheld(name, shown),
            (Finds::Egress, document, Some(status)) => {
                let is_in = document.is_some() || life.kit.recorder == Recorder::In;
                let source = if is_in { Source::Recorder } else { Source::Call };
                Cue::Seen(name, status, source, document)
            }
            _ => return,
        };
        self.tell(world, at, &cue);
    }
}

fn update(life: &mut Life, shown: Shown) {
    if let Some(document) = &mut life.document {
        let (old, new): (RecordingStatus, RecordingStatus) = ((*document).into(), shown.into());
        if old.may_become(new) {
            *document = shown;
        }
    }
}

impl Node {
    /// Whether nothing is left of it.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.leftovers.is_empty()
    }
}
