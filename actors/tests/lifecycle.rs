//! The core ring of the lifecycle: the table of every (phase, event) pair, stories told as data, and
//! properties over random histories.

#[path = "lifecycle/story.rs"]
mod story;

#[path = "lifecycle/counterexamples.rs"]
mod counterexamples;
#[path = "lifecycle/keys.rs"]
mod keys;
#[path = "lifecycle/losses.rs"]
mod losses;
#[path = "lifecycle/properties.rs"]
mod properties;
#[path = "lifecycle/stories.rs"]
mod stories;
#[path = "lifecycle/table.rs"]
mod table;
