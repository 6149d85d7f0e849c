//! LiveKit: what its egresses do, what it shows, and what it answers.

use reelkeeper_actors::recording::effect::Depth;
use reelkeeper_actors::recording::egress::EgressStatus;
use reelkeeper_actors::recording::event::Presence;

use super::cues::{CallEnd, Known, Look, Patience, Seen};
use super::steps::{Blind, Goes};
use super::story::{Hooks, Story};
use super::world::{At, Hook, Kit, Recorder, Tells, UidName, Worker, World};

impl Story {
    /// An egress goes on.
    pub fn go_on(&self, world: &mut World, name: UidName, goes: Goes) {
        let kit = &mut world.lives[usize::from(name)].kit;
        match goes {
            Goes::Begin => self.becomes(world, name, EgressStatus::Starting),
            Goes::NeverBegin => kit.at = At::Never,
            Goes::Activate => {
                (kit.recorder, kit.was_active) = (Recorder::In, true);
                self.becomes(world, name, EgressStatus::Active);
            }
            Goes::Fail => {
                world.left.failures -= 1;
                self.becomes(world, name, EgressStatus::Failed);
            }
            Goes::Leave => {
                kit.recorder = Recorder::Left;
                self.tells(world, name, Tells::LeftCleanly);
            }
            Goes::Complete => {
                kit.has_file = true;
                self.becomes(world, name, EgressStatus::Complete);
            }
            Goes::Die => {
                world.left.kills -= 1;
                kit.worker = Worker::Killed;
                let was = std::mem::replace(&mut kit.recorder, Recorder::Left);
                if was == Recorder::In {
                    self.tells(world, name, Tells::Lost);
                }
            }
            Goes::EndCleanly => {
                world.left.clean_ends -= 1;
                kit.recorder = Recorder::Left;
                world.room_is_empty = true;
                self.tells(world, name, Tells::LeftCleanly);
            }
            Goes::GoAway => {
                world.left.blips -= 1;
                kit.recorder = Recorder::Away;
                self.tells(world, name, Tells::Lost);
            }
            Goes::ComeBack => kit.recorder = Recorder::In,
        }
    }

    fn becomes(&self, world: &mut World, name: UidName, status: EgressStatus) {
        let kit = &mut world.lives[usize::from(name)].kit;
        (kit.at, kit.is_forgotten) = (At::Is(status), false);
        self.tells(world, name, Tells::Status(status.recorded_as().into()));
    }

    fn tells(&self, world: &mut World, name: UidName, tells: Tells) {
        if self.hooks != Hooks::Never {
            world.hooks.push(Hook { uid: name, tells });
        }
    }

    /// Carries a StopEgress out. It goes to the worker, whatever the store has forgotten.
    pub fn stop(&self, world: &mut World, name: UidName) -> CallEnd {
        let kit = &mut world.lives[usize::from(name)].kit;
        let At::Is(status) = kit.at else { return CallEnd::NotFound };
        if status.is_terminal() {
            return CallEnd::FailedPrecondition;
        }
        if kit.is_dead() {
            return CallEnd::NoAnswer;
        }
        match status {
            EgressStatus::Starting => self.becomes(world, name, EgressStatus::Aborted),
            // One whose meeting is over only uploads: it has ended by itself.
            EgressStatus::Active if kit.recorder == Recorder::Left => {}
            EgressStatus::Active => self.becomes(world, name, EgressStatus::Ending),
            _ => {}
        }
        match world.lives[usize::from(name)].kit.at {
            At::Is(now) => CallEnd::Ok(now),
            _ => CallEnd::NotFound,
        }
    }
}

/// What a look shows.
pub fn look(
    world: &World,
    name: UidName,
    (depth, known): (Depth, Known),
    patience: Patience,
    blind: Blind,
) -> Look {
    let kit = &world.lives[usize::from(name)].kit;
    let has_file = Seen::Is(kit.has_file);
    if depth == Depth::File {
        return Look { listed: Seen::Unknown, recorder: Presence::Unknown, has_file, patience };
    }
    let sees_list = matches!(blind, Blind::Neither | Blind::Participants);
    let listed = kit.listed().filter(|_| sees_list);
    let deep = listed.is_none() || matches!(depth, Depth::Room | Depth::Everything);
    let recorder = if deep { recorder(world, *kit, known, blind) } else { Presence::Unknown };
    let asks_store = listed.is_none() || depth == Depth::Everything;
    let has_file = if asks_store { has_file } else { Seen::Unknown };
    Look { listed: Seen::Is(listed), recorder, has_file, patience }
}

fn recorder(world: &World, kit: Kit, known: Known, blind: Blind) -> Presence {
    let sees = matches!(blind, Blind::Neither | Blind::Egresses);
    let is_in = |kit: Kit| sees && kit.recorder == Recorder::In;
    let anybody = world.lives.iter().any(|life| is_in(life.kit));
    let present = if known == Known::ById { is_in(kit) } else { anybody };
    match (present, sees && (anybody || !world.room_is_empty)) {
        (true, _) => Presence::Present,
        (false, true) => Presence::Absent,
        (false, false) => Presence::RoomEmpty,
    }
}
