//! The properties, as in the research on the protocol: five that always hold, nine that hold once it is quiet.
//!
//! One deviation is known, and named where it counts: [`is_out_of_sight`].

use reelkeeper_actors::recording::egress::EgressStatus;
use stateright::Property;

use super::story::Story;
use super::world::{Asks, At, ClientName, Life, Reply, Shown, Stands, UidName, World};

/// What every step must keep. The step that breaks one leaves its mark in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Always {
    NoStaleWrite,
    OnlyWhatWasActive,
    DeletedStaysDeleted,
    NoStopOfTheCommitted,
    OneCallPerUid,
}

impl Always {
    pub fn bit(self) -> u16 {
        1 << self as u16
    }

    fn holds(self, world: &World) -> bool {
        world.broken & self.bit() == 0
    }
}

/// All fourteen, and two that some state must have: a set in which nothing is recorded, or nothing comes to rest,
/// must not pass for sound.
pub fn properties() -> Vec<Property<Story>> {
    let mut properties = always();
    properties.extend(quiet_rooms());
    properties.extend(quiet_documents());
    properties.push(Property::sometimes("quiet, and recording", |_, world: &World| {
        world.is_quiet && world.lives.iter().any(|life| life.kit.is_live())
    }));
    properties.push(Property::sometimes("quiet, after a recording", |_, world: &World| {
        world.is_quiet && world.row.is_none() && !world.lives.is_empty()
    }));
    properties
}

fn always() -> Vec<Property<Story>> {
    vec![
        Property::always("no stale write is accepted", |_, world| Always::NoStaleWrite.holds(world)),
        Property::always("201 only if it was active", |_, world| Always::OnlyWhatWasActive.holds(world)),
        Property::always("deleted stays deleted", |_, world: &World| {
            let is_back = world.lives.iter().any(|life| life.is_deleted && life.document.is_some());
            Always::DeletedStaysDeleted.holds(world) && !is_back
        }),
        Property::always("no stop of the committed recording", |_, world| {
            Always::NoStopOfTheCommitted.holds(world)
        }),
        Property::always("one StartEgress per uid", |_, world| Always::OneCallPerUid.holds(world)),
    ]
}

/// What runs, once it is quiet.
fn quiet_rooms() -> Vec<Property<Story>> {
    vec![
        Property::always("quiet: at most one egress is live", |story: &Story, world: &World| {
            !world.is_quiet || live(story, world).count() <= 1
        }),
        Property::always("quiet: what is live is held", |story: &Story, world: &World| {
            let row = world.row.map(|row| story.rooms.row(row));
            let is_held = |name: UidName| row.as_ref().is_some_and(|row| row.held.contains(&name));
            !world.is_quiet || live(story, world).all(|(name, _)| is_held(name))
        }),
        Property::always("quiet: nothing dead holds the room", |story: &Story, world: &World| {
            let current = world.row.and_then(|row| story.rooms.row(row).current);
            let is_live = |name: UidName| world.lives[usize::from(name)].kit.is_live();
            !world.is_quiet || current.is_none_or(|current| is_live(current.uid))
        }),
        Property::always("quiet: 503 means that nothing runs", |story: &Story, world: &World| {
            !world.is_quiet || live(story, world).all(|(_, life)| !was_told_503(world, life.by))
        }),
        Property::always("quiet: every client is answered", |_, world: &World| {
            let waits = |stands| matches!(stands, Stands::Here | Stands::There | Stands::Between);
            !world.is_quiet || !world.clients.iter().any(|client| waits(client.stands))
        }),
    ]
}

/// What is shown, once it is quiet.
fn quiet_documents() -> Vec<Property<Story>> {
    vec![
        Property::always("quiet: at most one document is not over", |_, world: &World| {
            let is_open = |life: &&Life| life.document.is_some_and(|shown| shown <= Shown::Ending);
            !world.is_quiet || world.lives.iter().filter(is_open).count() <= 1
        }),
        Property::always("quiet: COMPLETE is not called failed", |_, world: &World| {
            let failed = [Some(Shown::Failed), Some(Shown::Aborted)];
            let is_wrong = |life: &Life| is_complete(life.kit.at) && failed.contains(&life.document);
            !world.is_quiet || !world.lives.iter().any(is_wrong)
        }),
        Property::always("quiet: 201 and COMPLETE is a complete document", |_, world: &World| {
            let is_shown = |life: &Life| {
                !is_complete(life.kit.at) || life.is_deleted || life.document == Some(Shown::Complete)
            };
            !world.is_quiet || recorded(world).all(is_shown)
        }),
        Property::always("quiet: a dead worker is a failed document", |_, world: &World| {
            let is_failed = |life: &Life| life.document.is_none_or(|shown| shown == Shown::Failed);
            !world.is_quiet || world.lives.iter().all(|life| !life.kit.is_dead() || is_failed(life))
        }),
    ]
}

fn live<'a>(story: &'a Story, world: &'a World) -> impl Iterator<Item = (UidName, &'a Life)> {
    let lives = (0..).zip(&world.lives);
    lives.filter(|(name, life)| life.kit.is_live() && !is_out_of_sight(story, world, *name))
}

/// The deviation: nobody ever learned the egress's id (its answer was lost, and it came up too late for a look), and
/// then LiveKit's store forgot it. Then no list and no question by id shows it until its next change, when it ends.
/// Its recorder sits in the room under the very id, but nobody asks the room whom it does not know.
fn is_out_of_sight(story: &Story, world: &World, name: UidName) -> bool {
    let life = &world.lives[usize::from(name)];
    let row = world.row.map(|row| story.rooms.row(row));
    let is_known = life.document.is_some() || row.is_some_and(|row| row.known.contains(&name));
    life.kit.is_forgotten && !is_known
}

fn is_complete(at: At) -> bool {
    at == At::Is(EgressStatus::Complete)
}

fn was_told_503(world: &World, by: Option<ClientName>) -> bool {
    let stands = by.map(|by| world.clients[usize::from(by)].stands);
    matches!(stands, Some(Stands::Told(Reply::TimedOut | Reply::Unavailable)))
}

fn recorded(world: &World) -> impl Iterator<Item = &Life> {
    let starts = world.clients.iter().filter(|client| client.asks == Asks::Start);
    starts.filter_map(|client| match client.stands {
        Stands::Told(Reply::Recording(name)) => world.lives.get(usize::from(name)),
        _ => None,
    })
}
