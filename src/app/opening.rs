//! Opening a backend at start-up.
//!
//! Owns how long one may be away until the process gives up, and what is told of each: what was chosen, which
//! setting chose it, and how soon it answered.

use std::time::Duration;

use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::media_server::MediaServer;
use tokio::time::Instant;

use super::AppError;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One start-up: all its backends share its time.
pub(super) struct Opening {
    began: Instant,
    limit: Duration,
}

impl Opening {
    pub(super) fn begin(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// Opens a backend, and tells of it.
    pub(super) async fn open<T>(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, PortError>,
    ) -> Result<T, AppError> {
        let opened = self.insist(what, async || {
            let asked = Instant::now();
            Ok((attempt().await?, asked.elapsed()))
        });
        let (opened, took) = opened.await?;
        tracing::info!(answered_in_ms = took.as_millis(), "{what}");
        Ok(opened)
    }

    /// Asks something of a backend, again and again while it is away and there is time. `what` says which one, and
    /// what chose it. Only what may help is repeated: a wrong password ends the start at once.
    pub(super) async fn insist<T>(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, PortError>,
    ) -> Result<T, AppError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if !error.kind.is_retryable() || self.began.elapsed() + pause > self.limit {
                return Err(AppError::Backend {
                    what: what.to_owned(),
                    waited: self.began.elapsed(),
                    source: error,
                });
            }
            tracing::warn!(%error, again_in_ms = pause.as_millis(), "{what}: cannot be opened yet");
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

/// Tells how LiveKit stands. It may be away: then nothing can be recorded, and everything else works.
pub(super) async fn tell_of_livekit(what: String, livekit: std::sync::Arc<dyn MediaServer>) {
    let asked = Instant::now();
    match livekit.ping().await {
        Ok(()) => tracing::info!(answered_in_ms = asked.elapsed().as_millis(), "{what}"),
        Err(error) => tracing::warn!(%error, "{what}: nothing can be recorded until it answers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens what fails so often, in this way; how it ended and after which time.
    async fn opened(failures: u32, error: fn() -> PortError) -> (Result<u32, String>, Duration) {
        let opening = Opening::begin(Duration::from_secs(20));
        let mut tries = 0;
        let outcome = opening
            .open("store: somewhere (default)", async || {
                tries += 1;
                if tries > failures { Ok(tries) } else { Err(error()) }
            })
            .await;
        (outcome.map_err(|error| error.to_string()), opening.began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_away_is_waited_for_within_a_bound() {
        let away = || PortError::unavailable("store", "connection refused");
        let wrong = || PortError::misused("store", "the password is wrong");
        assert_eq!(opened(0, away).await, (Ok(1), Duration::ZERO));
        assert_eq!(opened(3, away).await, (Ok(4), Duration::from_millis(250 + 500 + 1000)));
        let (given_up, waited) = opened(u32::MAX, away).await;
        assert_eq!(
            given_up.unwrap_err(),
            "store: somewhere (default): cannot be opened, given up after 17s 750ms: store is unavailable: connection refused"
        );
        assert!(waited < Duration::from_secs(20), "{waited:?}");
        let (refused, waited) = opened(1, wrong).await;
        assert!(
            refused
                .unwrap_err()
                .ends_with("given up at once: store refused the request: the password is wrong")
        );
        assert_eq!(waited, Duration::ZERO, "nothing but the operator can mend it");
    }
}
