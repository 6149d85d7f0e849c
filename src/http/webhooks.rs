//! `/internal-api/v1/config/webhooks/test`: whether a receiver takes outgoing webhooks (contract `access.md` 6).

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::ports::outbox::Letter;
use serde_json::json;

use super::HttpState;
use super::auth::{Credentials, user};
use super::body::ParsedBody;
use super::error::Failure;
use super::users::Message;
use super::validation::settings::webhook_test;

/// The event of a test.
const TEST: &str = "testEvent";

/// Sends a signed test to a receiver, once.
///
/// # Errors
/// 400 if it was not taken, or there is no API key to sign with; 401, 403, 422.
pub async fn test(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let url = webhook_test(&body)?;
    let now = state.clock.now();
    let content = json!({
        "event": TEST,
        "creationDate": now.0,
        "data": {"message": "This is a test webhook event"},
    });
    let letter = Letter {
        id: format!("{TEST}.{}", now.0),
        subject: TEST.to_owned(),
        number: 0,
        event: TEST.to_owned(),
        created_at: now,
        body: content.to_string(),
    };
    match state.webhook_sender.send_to(&url, &letter).await {
        Ok(()) => Ok(Json(Message { message: "Webhook URL is valid" }).into_response()),
        Err(error) => Err(Failure::WebhookTest(error.to_string())),
    }
}
