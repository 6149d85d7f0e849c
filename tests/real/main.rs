//! The third ring: the service as a process against the real LiveKit server, and the simulated LiveKit
//! against the real one. [`full.rs`](../full.rs) beside it is a test binary of its own.
//!
//! Every test has services of its own, on free ports and with scratch data in a temporary folder. Read
//! [`stack`] for what is real and what stands in; the tests are in [`recording`], [`starting`], [`ending`],
//! [`loss`] and [`likeness`].

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests, which show the times that they saw"
)]

mod backed;
#[path = "../backends/servers.rs"]
#[allow(dead_code, reason = "the ring of the backends uses more of it")]
mod backends;
mod ending;
mod film;
mod likeness;
mod loss;
mod meeting;
mod node;
mod recording;

mod stack;
mod starting;
