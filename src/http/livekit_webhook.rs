//! `POST /livekit/webhook`: LiveKit's own webhooks (contract `recordings.md` 5, design 6).
//!
//! Owns the answer: 200 only once the event is stored or needs not be; 401 for a bad signature; 503 when
//! LiveKit should try again. Whether an event is ours is the orchestrator's decision, never taken here.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::media_server::LiveKitEvent;
use reelkeeper_actors::recording::Timestamp;

use super::error::Failure;
use super::{HttpState, body};

/// Why an incoming webhook is not taken. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejectedWebhook {
    /// The signature is missing, wrong or too old.
    #[error("bad signature: {0}")]
    Signature(String),
    /// Signed, and yet it cannot be read.
    #[error("cannot be read: {0}")]
    Malformed(String),
}

/// Checks and reads incoming webhooks; the LiveKit adapter does.
pub trait IncomingWebhooks: Send + Sync {
    /// Checks the signature over the raw bytes, then reads them.
    ///
    /// # Errors
    /// When the signature is not LiveKit's, or the body cannot be read.
    fn receive(
        &self,
        authorization: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<LiveKitEvent, RejectedWebhook>;
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
    let event = state.webhooks.receive(authorization, &bytes, state.clock.now()).map_err(Failure::Webhook)?;
    tracing::debug!(event.name, event.id, room.id = event.room.as_ref().map(RoomId::as_str), "webhook");
    state.orchestrator.livekit_event(event).await?;
    Ok(StatusCode::OK)
}
