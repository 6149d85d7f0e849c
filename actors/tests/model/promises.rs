//! The properties, as in the research on the protocol: four that always hold, ten that hold once it is quiet.

use reelkeeper_actors::recording::egress::EgressStatus;
use stateright::Property;

use super::story::Story;
use super::world::{Asks, At, Reply, Shown, Stands, World};

/// What must hold of every step.
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
}

/// Names of the properties, for who counts them.
pub fn properties() -> Vec<Property<Story>> {
    let mut properties = always();
    properties.extend(quiet());
    properties
}

fn always() -> Vec<Property<Story>> {
    let holds = |world: &World, always: Always| world.broken & always.bit() == 0;
    let _ = holds;
    vec![
        Property::always("no stale write is accepted", |_, w| kept(w, Always::NoStaleWrite)),
        Property::always("201 only if it was active", |_, w| kept(w, Always::OnlyWhatWasActive)),
        Property::always("deleted stays deleted", |_, w: &World| {
            let shown = w.lives.iter().any(|life| life.is_deleted && life.document.is_some());
            kept(w, Always::DeletedStaysDeleted) && !shown
        }),
        Property::always("no stop of the committed recording", |_, w| kept(w, Always::NoStopOfTheCommitted)),
        Property::always("one StartEgress per uid", |_, w| kept(w, Always::OneCallPerUid)),
    ]
}

fn kept(world: &World, always: Always) -> bool {
    world.broken & always.bit() == 0
}

fn quiet() -> Vec<Property<Story>> {
    vec![
        Property::always("quiet: at most one document is not over", |_, w: &World| {
            let open = w.lives.iter().filter(|life| life.document.is_some_and(|d| d <= Shown::Ending));
            !w.is_quiet || open.count() <= 1
        }),
        Property::always("quiet: at most one egress is live", |_, w: &World| {
            !w.is_quiet || w.lives.iter().filter(|life| life.kit.is_live()).count() <= 1
        }),
        Property::always("quiet: what is live is held", |story: &Story, w: &World| {
            let row = w.row.map(|row| story.rooms.row(row));
            let held = |name: u8| row.as_ref().is_some_and(|row| row.held.contains(&name));
            !w.is_quiet || (0..).zip(&w.lives).all(|(name, life)| !life.kit.is_live() || held(name))
        }),
        Property::always("quiet: nothing dead holds the room", |story: &Story, w: &World| {
            let current = w.row.and_then(|row| story.rooms.row(row).current);
            !w.is_quiet || current.is_none_or(|c| w.lives[usize::from(c.uid)].kit.is_live())
        }),
        Property::always("quiet: 503 means that nothing runs", |_, w: &World| {
            !w.is_quiet || w.lives.iter().all(|life| !life.kit.is_live() || !was_told_503(w, life.by))
        }),
        Property::always("quiet: COMPLETE is not called failed", |_, w: &World| {
            let failed = Some(Shown::Failed);
            let wrong = |life: &super::world::Life| {
                is_complete(life.kit.at) && (life.document == failed || life.document == Some(Shown::Aborted))
            };
            !w.is_quiet || !w.lives.iter().any(wrong)
        }),
        Property::always("quiet: 201 and COMPLETE is a complete document", |_, w: &World| {
            !w.is_quiet
                || recorded(w).all(|life| {
                    !is_complete(life.kit.at) || life.is_deleted || life.document == Some(Shown::Complete)
                })
        }),
        Property::always("quiet: a dead worker is a failed document", |_, w: &World| {
            !w.is_quiet
                || w.lives
                    .iter()
                    .all(|life| !life.kit.is_dead || life.document.is_none_or(|shown| shown == Shown::Failed))
        }),
        Property::always("quiet: every client is answered", |_, w: &World| {
            let waits = |stands| matches!(stands, Stands::Here | Stands::There | Stands::Between);
            !w.is_quiet || !w.clients.iter().any(|client| waits(client.stands))
        }),
        // So that a set in which nothing ever comes to rest, or nothing is ever recorded, does not pass for sound.
        Property::sometimes("quiet, and recording", |_, w: &World| {
            w.is_quiet && w.lives.iter().any(|life| life.kit.is_live())
        }),
        Property::sometimes("quiet, after a recording", |_, w: &World| {
            w.is_quiet && w.row.is_none() && !w.lives.is_empty()
        }),
    ]
}

fn is_complete(at: At) -> bool {
    at == At::Is(EgressStatus::Complete)
}

fn was_told_503(world: &World, by: Option<u8>) -> bool {
    let client = by.map(|by| world.clients[usize::from(by)]);
    client.is_some_and(|client| matches!(client.stands, Stands::Told(Reply::TimedOut | Reply::Unavailable)))
}

fn recorded(world: &World) -> impl Iterator<Item = &super::world::Life> {
    let told = world.clients.iter().filter(|client| client.asks == Asks::Start);
    told.filter_map(|client| match client.stands {
        Stands::Told(Reply::Recording(name)) => world.lives.get(usize::from(name)),
        _ => None,
    })
}
