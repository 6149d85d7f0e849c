//! `/internal-api/v1/api-keys` (contract `access.md` 5): one at a time, and at no moment none in between.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::ports::catalog::ApiKey;
use reelkeeper_actors::ports::clock::Entropy;
use serde::Serialize;

use super::HttpState;
use super::auth::{Credentials, user};
use super::error::Failure;
use super::users::Message;

/// What a generated key begins with.
const PREFIX: &str = "ovmeet-";

/// Never printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    key: String,
    creation_date: i64,
}

impl From<ApiKey> for Shown {
    fn from(ApiKey { key, creation_date }: ApiKey) -> Self {
        Self { key, creation_date }
    }
}

/// Makes a key; the one before ends.
///
/// # Errors
/// 401, 403, 503.
pub async fn create(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let key = generated(&*state.entropy);
    // Younger than all others, whatever the clock of the node that made them said.
    let youngest = state.catalog.api_keys().await?.into_iter().map(|key| key.creation_date).max();
    let creation_date = state.clock.now().0.max(youngest.map_or(0, |youngest| youngest.saturating_add(1)));
    let key = ApiKey { key, creation_date };
    state.catalog.replace_api_keys(&key).await?;
    Ok((StatusCode::CREATED, Json(Shown::from(key))).into_response())
}

/// 32 hex digits, of randomness that nobody can guess.
fn generated(entropy: &dyn Entropy) -> String {
    format!("{PREFIX}{:032x}", u128::from_be_bytes(entropy.draw()))
}

/// Shows the keys.
///
/// # Errors
/// 401, 403, 503.
pub async fn list(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let keys: Vec<Shown> = state.catalog.api_keys().await?.into_iter().map(Shown::from).collect();
    Ok(Json(keys).into_response())
}

/// Removes every key.
///
/// # Errors
/// 401, 403, 503.
pub async fn delete(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    state.catalog.remove_api_keys().await?;
    Ok(Json(Message { message: "API keys deleted successfully" }).into_response())
}
