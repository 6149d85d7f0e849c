//! The service ring: the whole service in this process, spoken to over HTTP, with everything embedded.
//!
//! What LiveKit does is decided by each test: either the project's own simulated LiveKit (`harness::simulated`)
//! or, as a second opinion that shares no code with it, the scripted one (`livekit::Scripted`), which
//! answers exactly what it is told to. Every test ends with `Reelkeeper::finish`, which fails if anything is
//! left: rows in the ledger, a lease, requests that wait.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests")]

mod accounts;
mod acknowledged;
mod away;
mod backed;
#[path = "../backends/servers.rs"]
#[allow(dead_code, reason = "the ring of the backends uses more of it")]
mod backends;
mod bad_input;
mod bearers;
mod bulk_delete;
mod captions;
mod early_ends;
mod examples;
mod happy;
mod harness;
mod keys;
mod lists;
mod livekit;
mod matrix;
mod media;
mod meeting;
mod members;
mod moderators;
mod news;
mod notices;
mod openapi;
mod races;
mod receiver;
mod restart;
mod rights;
mod rooms;
mod settings;
mod shutdown;
mod signing;
#[path = "../real/stack"]
#[allow(dead_code, unused_imports, reason = "the ring of real services uses more of it")]
mod stack {
    mod ports;
    mod process;
    mod tools;

    pub use self::ports::free_port;
    pub use self::process::{Process, Program, before, eventually};
    pub use self::tools::Tools;
}
mod stage;
mod start_failures;
mod stop_failures;
mod strangers;
mod sweeps;
mod wire;
mod zip;
