//! `serve`: the service.

use crate::config::Flags;

use super::{Failure, start, until_signal};

/// Runs the service until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// All faults of the configuration at once, or why the service could not start or had to stop.
pub async fn run(flags: Flags) -> Result<(), Failure> {
    let signal = until_signal()?;
    start(&flags).await?.run(signal).await?;
    Ok(())
}
