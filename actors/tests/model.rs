//! The model check: every order of events, crashes and faults of one room over the production `transition`.
#![forbid(unsafe_code)]

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

/// Says which sets are explored beside the small ones: `large`.
const OPTION: &str = "REELKEEPER_MODEL";

#[test]
fn small_sets_keep_every_promise() {
    runs::all_hold(sets::small());
}

#[test]
fn large_sets_keep_every_promise_if_asked_for() {
    if std::env::var(OPTION).is_ok_and(|wanted| wanted == "large") {
        runs::all_hold(sets::large());
    }
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
