//! The model check: every order of events, crashes and faults of one room, explored with `stateright`.
//!
//! Every decision is production's `transition`; the commit is conditional on the claim, as in the ledger. A state holds
//! the row, the nodes' copies of it, LiveKit, webhooks, documents and clients (`world.rs`). Time has no length: each
//! timer that is armed may fire at any moment (`times.rs`), so what holds here holds for any clock. Four waits are
//! taken to be long enough, and no others: a call is answered, and begins nothing more, within ten minutes of its end;
//! an upload, and a webhook, take less than the upload limit; nothing lives for a day.
//!
//! Each set of faults is explored to its end or to a bound, which its printed line says. `REELKEEPER_MODEL=large`
//! explores those of minutes too, part of a name those that have it.
//!
//! One step are a look and the decision that rests on it, and a claim that is looked at and what follows. Not here:
//! stores that are away or answer late, the outbox, drain, several rooms, nodes of OpenVidu Meet, the janitor of stale
//! recordings, keys of clients. `tests/simulation` plays those.
#![forbid(unsafe_code)]

use self::runs::Quiet;
use self::sets::Need;

#[path = "model/clients.rs"]
mod clients;
#[path = "model/cues.rs"]
mod cues;
#[path = "model/digest.rs"]
mod digest;
#[path = "model/livekit.rs"]
mod livekit;
#[path = "model/nodes.rs"]
mod nodes;
#[path = "model/promises.rs"]
mod promises;
#[path = "model/reach.rs"]
mod reach;
#[path = "model/rooms.rs"]
mod rooms;
#[path = "model/runs.rs"]
mod runs;
#[path = "model/sets.rs"]
mod sets;
#[path = "model/steps.rs"]
mod steps;
#[path = "model/story.rs"]
mod story;
#[path = "model/times.rs"]
mod times;
#[path = "model/world.rs"]
mod world;

/// Says which sets are explored beside the small ones: `large`, or part of a name.
const OPTION: &str = "REELKEEPER_MODEL";

#[test]
fn small_sets_keep_every_promise() {
    runs::all_hold(sets::small(), Quiet::Sought);
}

#[test]
fn large_sets_keep_every_promise_if_asked_for() {
    let Ok(wanted) = std::env::var(OPTION) else { return };
    let sets = sets::large().into_iter().filter(|set| wanted == "large" || set.name.contains(&wanted));
    runs::all_hold(sets.collect(), Quiet::SoughtInSmall);
}

#[test]
fn every_write_needs_its_claim() {
    let broken = runs::first_broken(sets::unfenced());
    assert_eq!(broken.map(|(property, _)| property), Some("no stale write is accepted"));
}

#[test]
fn rules_are_needed() {
    for Need { rule, story } in sets::needs() {
        let broken = runs::first_broken(story);
        assert!(broken.is_some(), "nothing breaks without {rule:?}");
    }
}

/// The one deviation that needs an event of more than an hour ago: LiveKit lists a dead egress for ever, and a webhook
/// about it, unlike a janitor's find, is not asked whether its recorder is there.
#[test]
fn a_webhook_older_than_the_upload_limit_brings_back_what_is_dead_and_deleted() {
    let (property, way) = runs::first_broken(sets::ancient_webhook()).expect("the deviation is still there");
    assert_eq!(property, "deleted stays deleted", "{way}");
}
