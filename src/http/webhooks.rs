//! Outgoing webhooks: `/internal-api/v1/config/webhooks/test`, whether a receiver takes them (contract `access.md` 6);
//! `/internal-api/v1/webhooks`, which of them wait or were given up, ours alone.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::ports::outbox::{Delivery, Letter};
use serde::Serialize;
use serde_json::json;

use super::HttpState;
use super::auth::{Credentials, KEY_ADMIN, authenticate, user};
use super::body::ParsedBody;
use super::error::{Failure, WebhookFailure};
use super::request::{PathId, QueryText};
use super::users::Message;
use super::validation::list::deliveries;
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
        Err(error) => Err(WebhookFailure::NotTaken(error.to_string()).into()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deliveries {
    webhooks: Vec<Shown>,
    /// Asked with as `after`, it shows the next ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    event: String,
    creation_date: i64,
    state: &'static str,
    tries: u32,
    due_date: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
}

impl From<Delivery> for Shown {
    fn from(delivery: Delivery) -> Self {
        let Delivery { letter, state, tries, due, last_error } = delivery;
        let (id, event, creation_date) = (letter.id, letter.event, letter.created_at.0);
        Self { id, event, creation_date, state: state.name(), tries, due_date: due.0, last_error }
    }
}

/// Shows a page of those that wait, were given up or delivered.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn list(
    State(state): State<HttpState>,
    credentials: Credentials,
    query: QueryText,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let wanted = deliveries(&query)?;
    let found = state.outbox.letters(wanted.state, wanted.after.as_deref(), wanted.limit).await?;
    let is_full = found.len() == wanted.limit;
    let next = found.last().filter(|_| is_full).map(|last| last.letter.id.clone());
    Ok(Json(Deliveries { webhooks: found.into_iter().map(Shown::from).collect(), next }).into_response())
}

/// Tries one that was given up again, from the beginning.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn replay(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    if !state.outbox.replay(&id, state.clock.now()).await? {
        return Err(WebhookFailure::Unknown(id).into());
    }
    Ok(Json(Message { message: "The webhook will be sent again" }).into_response())
}

/// Gives one up for good.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn drop_one(
    State(state): State<HttpState>,
    credentials: Credentials,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    if !state.outbox.drop_letter(&id, state.clock.now()).await? {
        return Err(WebhookFailure::Unknown(id).into());
    }
    Ok(Json(Message { message: "The webhook is dropped" }).into_response())
}
