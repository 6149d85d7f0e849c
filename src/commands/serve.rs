//! `serve`: the service.

use crate::config::Flags;

use super::{Failure, start, until_signal};

/// Runs the service until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// All faults of the configuration at once, or why the service could not start or had to stop.
pub async fn run(flags: Flags) -> Result<(), Failure> {
    let mut signal = Box::pin(until_signal()?);
    let app = tokio::select! {
        app = start(&flags) => app?,
        // A backend may be away, and nobody should have to wait for it to end the process.
        () = &mut signal => return Ok(()),
    };
    app.warn_of_initial_password();
    if app.catalog().api_keys().await?.is_empty() {
        tracing::warn!(
            "there is no API key, so every request is refused: set initial_api_key (MEET_INITIAL_API_KEY) and start again"
        );
    }
    app.run(signal).await?;
    Ok(())
}
