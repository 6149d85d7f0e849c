//! Forgetting: idempotency keys that are older than they are kept.

use std::time::Duration;

use reelkeeper_actors::orchestrator::Orchestrator;

/// How often idempotency keys are looked for that are too old.
const KEYS_SWEPT_EVERY: Duration = Duration::from_mins(10);
/// Keys forgotten in one write: bounds how long others wait for the store.
const KEYS_PAGE: usize = 500;

/// Sweeps idempotency keys that are older than they are kept, page by page. One that is too old counts no more,
/// swept or not.
pub(super) async fn forget_old_keys(orchestrator: Orchestrator) {
    let mut ticks = tokio::time::interval(KEYS_SWEPT_EVERY);
    loop {
        ticks.tick().await;
        loop {
            match orchestrator.forget_old_keys(KEYS_PAGE).await {
                Ok(KEYS_PAGE) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old idempotency keys could not be forgotten");
                    break;
                }
            }
        }
    }
}
