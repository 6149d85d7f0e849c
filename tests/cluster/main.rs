//! The cluster: several nodes as real processes, on a real MongoDB and Redis, with the simulated LiveKit in the
//! test's process. They are killed, frozen and asked to end, and whichever is left answers.
//!
//! `REELKEEPER_BINARY` names another build to run as nodes, such as the release.
//!
//! Processes, because ractor's registries are one per process. Read `stage.rs`, then `routes.rs` (all live), `deaths.rs`
//! (not all do) and `history.rs` (anything may happen).

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "these are tests")]

#[path = "../processes/api.rs"]
#[allow(dead_code, reason = "the ring of processes uses more of it")]
mod api;
#[path = "../backends/servers.rs"]
#[allow(dead_code, reason = "the ring of the backends uses more of it")]
mod backends;
mod certificates;
mod deaths;
mod history;
#[path = "../processes/livekit.rs"]
#[allow(dead_code, reason = "the ring of processes uses more of it")]
mod livekit;
#[path = "../processes/process.rs"]
#[allow(dead_code, reason = "the ring of processes uses more of it")]
mod process;
#[path = "../backends/proxy.rs"]
mod proxy;
mod routes;
#[path = "../processes/seed.rs"]
mod seed;
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
#[path = "../processes/wait.rs"]
mod wait;
