//! Measures a running service and prints a table; asserts nothing, and is no part of the test run.
//!
//! `cargo bench --bench load` starts the simulated LiveKit and the service as processes of their own, on the
//! loopback address and free ports, in a temporary folder; `-- --help` shows what else it can do. Everything is
//! bounded in count and in time: a measurement begins nothing new after a minute.
//!
//! Processor time is the server's, from `/proc`: it is what a busy machine spoils least. Read [`phases`] next.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are for people")]

mod api;
mod backed;
#[path = "../backends/servers.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the ring of the backends, which uses more of it")]
mod backends;
mod bare;
mod bare_s3;
mod cluster;
mod many;
mod measure;
mod media;
mod options;
mod phases;
mod processes;
mod reads;
mod rooms;
mod seed;
#[path = "../real/stack"]
#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the ring of real services, which uses more of it"
)]
mod stack {
    mod ports;
    mod process;
    mod tools;

    pub use self::ports::free_port;
    pub use self::process::{Process, Program, before, eventually};
    pub use self::tools::Tools;
}
mod starts;
mod table;
mod usage;
mod webhooks;

use std::process::ExitCode;

use clap::Parser as _;

use self::options::Options;

/// Why nothing could be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match (&options.bare, &options.bare_s3) {
        (Some(folder), _) => bare::serve(folder).map_err(Failure::from),
        (_, Some(server)) => bare_s3::serve(server),
        (None, None) => measure(&options),
    };
    if let Err(failure) = outcome {
        eprintln!("not measured: {failure}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options) -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(phases::run(options))
}
