//! The third ring: the service as a process against the real LiveKit server, and the simulated LiveKit
//! against the real one. [`full.rs`](../full.rs) beside it is a test binary of its own.
//!
//! Every test has services of its own, on free ports and with scratch data in a temporary folder. Read
//! [`stack`] for what is real and what stands in; the tests are in [`recording`], [`starting`] and
//! [`likeness`].

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod film;
mod likeness;
mod meeting;
mod recording;
mod service;
mod stack;
mod starting;
