//! `/internal-api/v1/auth` and `/users`: logging in and one's own account (contract `access.md` 4).

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::claims::TokenUse;
use reelkeeper_actors::access::user::{User, UserRole};
use serde::Serialize;
use tracing::Instrument as _;

use super::HttpState;
use super::auth::{self, Credentials};
use super::body::ParsedBody;
use super::error::{AccessFailure, Failure};
use super::passwords::Compared;
use super::request::ClientAddress;
use super::validation::access::{Login, login as login_request, password_change};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    message: &'static str,
    access_token: String,
    refresh_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refreshed {
    message: &'static str,
    access_token: String,
}

/// An answer with nothing to show.
#[derive(Serialize)]
pub(super) struct Message {
    pub(super) message: &'static str,
}

#[derive(Serialize)]
struct Profile {
    username: String,
    roles: Vec<UserRole>,
}

/// Logs a user in, if not too many tried in vain.
///
/// # Errors
/// 404 for a wrong username or password, 422, 429, 503.
pub async fn login(
    State(state): State<HttpState>,
    ClientAddress(address): ClientAddress,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let login = login_request(&body)?;
    if !state.settings.guess_limits {
        return Ok(Json(log_in(&state, login).await?).into_response());
    }
    // Whoever goes away meanwhile, or is sent away at the deadline, was not wrong: it goes on until that is known.
    let outcome = tokio::spawn(async move { limited_login(&state, address, login).await }.in_current_span());
    outcome.await.map_err(|_| Failure::Panicked)
}

async fn limited_login(state: &HttpState, address: Option<IpAddr>, login: Login) -> Response {
    let attempt = match state.login_limits.begin(address, &login.username).await {
        Ok(attempt) => attempt,
        Err(too_many) => return too_many.into_response(),
    };
    let outcome = log_in(state, login).await;
    if !matches!(outcome, Err(Failure::Access(AccessFailure::WrongLogin))) {
        state.login_limits.forgive(&attempt).await;
    }
    (attempt.headers(), outcome.map(Json)).into_response()
}

async fn log_in(state: &HttpState, login: Login) -> Result<LoggedIn, Failure> {
    let stored = state.accounts.user(&login.username).await?;
    let hash = stored.as_ref().map(|user| user.password_hash.clone());
    let compared = state.passwords.compare(login.password, hash).await?;
    let user = stored.filter(|_| compared == Compared::Same).ok_or(AccessFailure::WrongLogin)?;
    let now = state.clock.now();
    Ok(LoggedIn {
        message: "Login succeeded",
        access_token: state.tokens.of_user(&user, TokenUse::Access, now)?,
        refresh_token: state.tokens.of_user(&user, TokenUse::Refresh, now)?,
    })
}

/// Says goodbye. Tokens end by themselves, or with a change of the password.
pub async fn logout() -> Response {
    Json(Message { message: "Logout successful" }).into_response()
}

/// Gives a new access token for a refresh token.
///
/// # Errors
/// 400, 403, 503.
pub async fn refresh(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    let user = auth::refreshed_user(&state, &credentials).await?;
    let access_token = state.tokens.of_user(&user, TokenUse::Access, state.clock.now())?;
    Ok(Json(Refreshed { message: "Token refreshed", access_token }).into_response())
}

/// Shows the own account.
///
/// # Errors
/// 401, 403, 503.
pub async fn profile(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    let User { username, roles, .. } = auth::user(&state, &credentials, UserRole::User).await?;
    Ok(Json(Profile { username, roles }).into_response())
}

/// Changes the own password. Every token issued under the old one ends.
///
/// # Errors
/// 400 for another current password, 401, 403, 422, 503.
pub async fn change_password(
    State(state): State<HttpState>,
    credentials: Credentials,
    Extension(ParsedBody(body)): Extension<ParsedBody>,
) -> Result<Response, Failure> {
    let user = auth::user(&state, &credentials, UserRole::User).await?;
    let wanted = password_change(&body)?;
    let hash = user.password_hash;
    if state.passwords.compare(wanted.current, Some(hash.clone())).await? == Compared::Other {
        return Err(AccessFailure::WrongPassword.into());
    }
    let new = state.passwords.hash(wanted.new).await?;
    if !state.accounts.change_password(&user.username, &hash, &new).await? {
        // Somebody else changed it meanwhile.
        return Err(AccessFailure::WrongPassword.into());
    }
    Ok(Json(Message { message: "Password changed successfully" }).into_response())
}
