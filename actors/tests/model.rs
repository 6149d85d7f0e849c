//! The model check: every order of events, crashes and faults of one room over the production `transition`.
#![forbid(unsafe_code)]

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

#[test]
fn small_sets_keep_every_promise() {
    runs::all_hold(sets::small());
}

#[test]
fn rules() {
    use reelkeeper_actors::recording::rules::Rule;
    for rule in Rule::ALL {
        for (n, story) in [
            ("everything", sets::with_everything(&[rule])),
            ("hooks", sets::with_hooks(&[rule])),
            ("two", sets::with_two(&[rule])),
        ] {
            println!(
                "{rule:?} {n}: {:?}",
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runs::any(story)))
            );
        }
    }
}
