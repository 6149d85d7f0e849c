//! Real processes: the service is killed, asked to end, doubled and cut off, and the history is checked.
//!
//! The service is the binary, with its store and its files in a temporary folder; LiveKit is the simulated
//! one, with its real face, in the test's process, so that it outlives every run. Owns what a crash must
//! not break (design 3 to 5): a recording that LiveKit made is kept and labelled rightly, no start makes two
//! egresses, no room stays blocked, an answer is true. Measures nothing; see `tests/load`.
//!
//! Read `truth.rs` next, which says what is checked, then `crash.rs`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test shows its seed, and the logs of the runs of a case that failed"
)]

mod acknowledged;
mod api;
mod crash;
mod deletion;
mod demo;
mod forgetting;
mod keys;
mod line;
mod livekit;
mod loss;
mod notices;
mod process;
#[path = "../it/receiver.rs"]
#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "the service ring's own, which says so for all of itself and uses all of it"
)]
mod receiver;
mod seed;
mod shutdown;
mod stage;
mod storm;
mod trouble;
mod truth;
mod uploads;
mod wait;
