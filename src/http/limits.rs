//! How many requests at once and how long each (design 10).
//!
//! Each kind of request has a budget of its own, so that slow readers of media or a flood of starts never
//! silence LiveKit's webhooks and the probes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use super::error::Failure;
use crate::adapters::awaited::Awaited;

/// So many requests at once.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget of `at_once` requests, at least 1.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }
}

/// One request's part of the budget. It lasts until the answer's head; who streams a body keeps a clone in it.
#[derive(Debug, Clone)]
pub struct Permit {
    _held: Arc<OwnedSemaphorePermit>,
}

/// Lets a request in if the budget allows; nobody waits in a queue.
///
/// # Errors
/// 503 when the budget is used up.
pub async fn admit(
    State(Budget(budget)): State<Budget>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let held = budget.try_acquire_owned().map_err(|_| Failure::Busy)?;
    let permit = Permit { _held: Arc::new(held) };
    request.extensions_mut().insert(permit.clone());
    let response = next.run(request).await;
    drop(permit);
    Ok(response)
}

/// How long until the answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Duration);

/// Answers in time, or says that it could not.
///
/// # Errors
/// 503 at the deadline.
pub async fn deadline(
    State(Deadline(after)): State<Deadline>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    within(after, async { Ok(next.run(request).await) }).await
}

/// Carries what changes anything on to its end though the client goes away meanwhile: what was asked for belongs to
/// the room, not to the connection (design 4).
pub async fn see_through(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let run = Awaited::of_this_request().noting(next.run(request));
    let carried_on = tokio::spawn(run.in_current_span()).await;
    carried_on.unwrap_or_else(|_| Failure::Panicked.into_response())
}

/// Bounds a part of a request.
///
/// # Errors
/// What the part fails with, or 503 at the deadline, which names what was waited for.
pub async fn within<T>(
    after: Duration,
    part: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let awaited = Awaited::of_this_request();
    let part = awaited.clone().noting(part);
    let answer = tokio::time::timeout(after, part).await;
    answer.unwrap_or_else(|_| Err(Failure::TooSlow(awaited.dependency())))
}

#[cfg(test)]
impl Permit {
    /// One that belongs to no budget.
    pub(super) fn for_tests() -> Self {
        let held = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a fresh semaphore has a permit");
        Self { _held: Arc::new(held) }
    }
}
