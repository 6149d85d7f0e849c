//! `POST /livekit/webhook`: LiveKit's own webhooks (contract `recordings.md` 5, design 6).
//!
//! Owns the answer: 200 only once the event is stored, needs not be or cannot be read; 401 for a bad signature; 503 when
//! LiveKit should try again. Whether an event is ours is the orchestrator's decision, never taken here.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::media_server::RejectedWebhook;

use super::error::Failure;
use super::{HttpState, body};

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
    tracing::debug!(event.name, event.id, room.id = event.room.as_ref().map(RoomId::as_str), "webhook");
    state.orchestrator.livekit_event(event).await?;
    Ok(StatusCode::OK)
}
