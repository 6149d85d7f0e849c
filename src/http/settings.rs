//! `/internal-api/v1/config`: Meet's global configuration, and `/analytics` (contract `access.md` 6).

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::Counts;
use reelkeeper_actors::settings::{Authentication, GlobalSettings, SettingsChange, Webhooks};
use serde::Serialize;

use super::HttpState;
use super::auth::{Credentials, user};
use super::body::ParsedBody;
use super::error::Failure;
use super::users::Message;
use super::validation::settings;

/// The stored configuration. It is made at the start, so that there is none is a fault of the store.
pub(super) async fn stored(state: &HttpState) -> Result<GlobalSettings, Failure> {
    let stored = state.global_settings.settings().await?;
    stored.ok_or_else(|| PortError::corrupt("store", "the global configuration is missing").into())
}

async fn change(
    state: &HttpState,
    change: &SettingsChange,
    message: &'static str,
) -> Result<Response, Failure> {
    match state.global_settings.change_settings(change).await? {
        Some(_) => Ok(Json(Message { message }).into_response()),
        None => Err(PortError::corrupt("store", "the global configuration is missing").into()),
    }
}

/// Shows where outgoing webhooks go.
///
/// # Errors
/// 401, 403, 503.
pub async fn webhooks(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let Webhooks { enabled, url } = stored(&state).await?.webhooks_config;
    Ok(Json(Webhooks { enabled, url }).into_response())
}

/// Changes where outgoing webhooks go.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn set_webhooks(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let wanted = SettingsChange::Webhooks(settings::webhooks(&body)?);
    change(&state, &wanted, "Webhooks configuration updated successfully").await
}

/// Shows who must log in.
///
/// # Errors
/// 503.
pub async fn security(State(state): State<HttpState>) -> Result<Response, Failure> {
    let Authentication { auth_method, auth_mode_to_access_room } =
        stored(&state).await?.security_config.authentication;
    let authentication = Authentication { auth_method, auth_mode_to_access_room };
    Ok(Json(reelkeeper_actors::settings::Security { authentication }).into_response())
}

/// Changes who must log in.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn set_security(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let wanted = SettingsChange::Security(settings::security(&body)?);
    change(&state, &wanted, "Security configuration updated successfully").await
}

/// Shows how rooms look.
///
/// # Errors
/// 503.
pub async fn appearance(State(state): State<HttpState>) -> Result<Response, Failure> {
    Ok(Json(stored(&state).await?.rooms_config).into_response())
}

/// Changes how rooms look.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn set_appearance(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let wanted = SettingsChange::Theme(Box::new(settings::appearance(&body)?));
    change(&state, &wanted, "Rooms appearance configuration updated successfully").await
}

#[derive(Serialize)]
struct Captions {
    enabled: bool,
}

/// Shows whether there are live captions.
pub async fn captions(State(state): State<HttpState>) -> Response {
    Json(Captions { enabled: state.settings.captions }).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Analytics {
    total_rooms: u64,
    active_rooms: u64,
    total_recordings: u64,
    complete_recordings: u64,
}

/// Shows how much there is.
///
/// # Errors
/// 401, 403, 503.
pub async fn analytics(
    State(state): State<HttpState>,
    credentials: Credentials,
) -> Result<Response, Failure> {
    user(&state, &credentials, UserRole::Admin).await?;
    let Counts { rooms, active_rooms, recordings, complete_recordings } = state.catalog.counts().await?;
    let shown =
        Analytics { total_rooms: rooms, active_rooms, total_recordings: recordings, complete_recordings };
    Ok(Json(shown).into_response())
}
