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
#[path = "model/rooms.rs"]
mod rooms;
#[path = "model/runs.rs"]
mod runs;
#[path = "model/steps.rs"]
mod steps;
#[path = "model/story.rs"]
mod story;
#[path = "model/times.rs"]
mod times;
#[path = "model/world.rs"]
mod world;
