//! The ring of the backends: what every port demands, over each real server that may stand behind it, and through a
//! line that misbehaves. No service and no LiveKit.
//!
//! Every test has servers of its own, with scratch data. Read [`servers`] for what they are, then [`mongo`].

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests, which show the times that they saw"
)]

mod faults;
mod mongo;
mod objects;
mod plans;
mod proxy;
mod redis;
#[allow(dead_code, reason = "the rings of the service use more of it")]
mod servers;
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
