//! `POST /livekit/webhook`: LiveKit's own webhooks (contract `recordings.md` 5, design 6).
//!
//! Owns the answer: 200 only once the event is stored, needs not be or cannot be read; 401 for a bad signature; 503 when
//! LiveKit should try again. Whether an event is ours is the orchestrator's decision, never taken here.

use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::media_server::RejectedWebhook;
use reelkeeper_actors::recording::Timestamp;
use serde_json::{Value, json};

use super::error::Failure;
use super::{HttpState, body};

/// What LiveKit told last, rightly signed: shown by `/readyz`, so that an operator sees whether its webhooks arrive.
#[derive(Debug, Default)]
pub struct LastWebhook(Mutex<Option<(String, Timestamp)>>);

impl LastWebhook {
    fn is(&self, event: &str, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((event.to_owned(), at));
    }

    /// Its event, and when it came, in milliseconds since 1970; none if there was none in this run.
    #[must_use]
    pub fn shown(&self) -> Option<Value> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(event, at)| json!({"event": event, "at": at}))
    }
}

/// Takes one event. The answer has no body.
///
/// # Errors
/// See the module.
pub async fn receive(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let bytes: Bytes = body::collect(&headers, body, &state.settings).await?;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let event = match state.webhooks.receive(authorization, &bytes, state.clock.now()) {
        Ok(event) => event,
        Err(RejectedWebhook::Signature(reason)) => return Err(Failure::UnsignedWebhook(reason)),
        Err(unreadable @ RejectedWebhook::Malformed(_)) => {
            // LiveKit's own, and no better when it is sent again.
            tracing::warn!(error = %unreadable, "webhook passed over");
            return Ok(StatusCode::OK);
        }
    };
    state.last_webhook.is(&event.name, state.clock.now());
    tracing::debug!(event.name, event.id, room.id = event.room.as_ref().map(RoomId::as_str), "webhook");
    state.orchestrator.livekit_event(event).await?;
    Ok(StatusCode::OK)
}
