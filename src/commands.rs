//! The commands of the binary, a file each.
//!
//! Owns what they share: how a service is started from flags, and which signals end it. What a command prints
//! for people goes to standard output; logs go to standard error.

pub mod config;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod gc;
pub mod openapi;
pub mod serve;
pub mod simulator;
pub mod webhooks;

use std::error::Error;

use crate::app::{self, App};
use crate::config::{Config, Flags, process_env};
use crate::telemetry;

/// What a command fails with: said on standard error, exit code 1.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Reads the configuration, begins to log and starts the service.
///
/// # Errors
/// All faults of the configuration at once, or why the service could not start.
async fn start(flags: &Flags) -> Result<App, Failure> {
    let (config, warnings) = Config::load(flags, process_env())?;
    let node = app::new_node();
    telemetry::init(&config.log.filter, config.log.format, &node)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(Box::pin(App::start(config, node)).await?)
}

/// Over when this process is asked to end: SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen for signals.
fn until_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
