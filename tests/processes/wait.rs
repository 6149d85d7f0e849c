//! Waiting for a condition, always with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until the condition holds; the error of a look says what is still missing.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(missing) => {
                assert!(Instant::now() < deadline, "{what}: not within {limit:?}, {missing}");
                sleep(PAUSE).await;
            }
        }
    }
}
