//! Requests of which neither success nor failure is known to be true (design 4).
//!
//! Such a request gets no answer: its connection is closed, as if the node had died. The client may repeat it.

use std::panic::resume_unwind;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

/// Marks a response that must not be sent.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered;

/// Closes the connection instead of sending a marked response.
///
/// The server has no way to end a connection from within a request but to unwind its task, which takes down
/// this connection and nothing else. No panic is reported: nothing went wrong here.
pub async fn close(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<Unanswered>().is_some() {
        tracing::warn!("connection closed without an answer: how the request ended is not known");
        resume_unwind(Box::new(Unanswered));
    }
    response
}
