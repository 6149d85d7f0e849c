//! Clients: how a request comes to a node, moves on with its owner, is given up and answered.

use reelkeeper_actors::recording::event::Repeats;

use super::cues::Cue;
use super::nodes::Taken;
use super::promises::Always;
use super::story::Story;
use super::world::{Asks, ClientName, Reply, Stands, UidName, World};

impl Story {
    /// A client's request comes to this node.
    pub fn ask(&self, world: &mut World, at: usize, client: ClientName) {
        let asked = &mut world.clients[usize::from(client)];
        let is_first = asked.stands == Stands::Unasked && !self.asks_elsewhere;
        asked.stands = if is_first { Stands::Here } else { Stands::There };
        let repeats = if is_first { Repeats::Never } else { Repeats::AsSameCommand };
        let asks = asked.asks;
        if asks == Asks::Start {
            world.room_is_empty = false;
        }
        let document = |name: UidName| world.lives[usize::from(name)].document;
        let cue = match asks {
            Asks::Start => Cue::Start(client, repeats),
            Asks::Stop(name) => Cue::Stop(client, name, document(name), repeats),
            Asks::Delete(name) => Cue::Delete(client, name, document(name)),
        };
        if self.tell(world, at, &cue) == Taken::SteppedDown {
            move_on(world, client);
        }
    }

    /// The client's node could not reach the owner in time: it cancels, and only then answers.
    pub fn give_up(world: &mut World, client: ClientName) {
        let asked = &mut world.clients[usize::from(client)];
        asked.kept.get_or_insert(Reply::TimedOut);
        asked.stands = Stands::Told(Reply::TimedOut);
        world.letters.push(client);
    }

    pub fn read_letter(&self, world: &mut World, at: usize, client: ClientName) {
        if self.tell(world, at, &Cue::Cancelled(client)) == Taken::Stored {
            world.letters.retain(|letter| *letter != client);
        }
    }
}

/// A client is told.
pub fn answer(world: &mut World, client: ClientName, reply: Reply) {
    let asked = &mut world.clients[usize::from(client)];
    if !matches!(asked.stands, Stands::Here | Stands::There) {
        return;
    }
    asked.stands = Stands::Told(reply);
    if let (Asks::Start, Reply::Recording(name)) = (asked.asks, reply)
        && !world.lives[usize::from(name)].kit.was_active
    {
        world.broken |= Always::OnlyWhatWasActive.bit();
    }
}

/// A request that waited at a node which is not the owner is asked again, as a command that is carried out once.
pub fn move_on(world: &mut World, client: ClientName) {
    let stands = &mut world.clients[usize::from(client)].stands;
    if matches!(stands, Stands::Here | Stands::There) {
        *stands = Stands::Between;
    }
}
