//! Who calls (contract `access.md` 1, `recordings.md` 2).
//!
//! Owns where credentials stand in a request and how each is proven. A route lists what it accepts; those
//! that are not there are skipped. What a caller may do, and which failure is told, is decided in
//! [`reelkeeper_actors::access`]. Never logs a credential.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use reelkeeper_actors::access::claims::{TokenUse, read_member, read_user};
use reelkeeper_actors::access::permission::Role;
use reelkeeper_actors::access::user::{User, UserRole, with_role};
use reelkeeper_actors::access::{Caller, Denied, RecordingSecret, Right, first_accepted, secret};
use reelkeeper_actors::ids::RecordingId;
use reelkeeper_actors::meeting::Room;
use sha2::{Digest, Sha256};

use super::HttpState;
use super::error::{AccessFailure, Failure};
use super::request::{ClientAddress, QueryText};

/// Carries the API key.
const API_KEY: &str = "x-api-key";
/// Carry an access token.
const ACCESS_TOKEN: (&str, &str) = ("authorization", "accessToken");
/// Carry a room member's token.
const MEMBER_TOKEN: (&str, &str) = ("x-room-member-token", "roomMemberToken");
/// Carries a refresh token.
const REFRESH_TOKEN: &str = "x-refresh-token";
/// Stands before a token in a header; letter case counts.
const BEARER: &str = "Bearer ";

/// A kind of credential that a route may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The header `x-api-key`.
    ApiKey,
    /// The access token of a user with the role `admin`.
    Admin,
    /// The token of a room's member.
    Member,
}

/// For routes about rooms as a whole.
pub const KEY_ADMIN: &[Credential] = &[Credential::ApiKey, Credential::Admin];
/// For routes that start and stop recordings.
pub const KEY_MEMBER: &[Credential] = &[Credential::ApiKey, Credential::Member];
/// For routes about what happens in a meeting.
pub const MEMBER: &[Credential] = &[Credential::Member];
/// For routes that see and delete recordings, or see one room.
pub const KEY_ADMIN_MEMBER: &[Credential] = &[Credential::ApiKey, Credential::Admin, Credential::Member];

/// The credentials that a request shows, not looked at yet, and where it comes from.
#[derive(Clone, Default)]
pub struct Credentials {
    address: Option<IpAddr>,
    api_key: Option<HeaderValue>,
    access_token: Option<String>,
    member_token: Option<String>,
    refresh_token: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Credentials {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let query = QueryText::from_request_parts(parts, state).await?;
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let headers = &parts.headers;
        let either = |(header, name): (&str, &str)| {
            bearer(headers, header).or_else(|| query.get(name).filter(|token| !token.is_empty()))
        };
        Ok(Self {
            address,
            api_key: headers.get(API_KEY).filter(|value| !value.is_empty()).cloned(),
            access_token: either(ACCESS_TOKEN),
            member_token: either(MEMBER_TOKEN),
            refresh_token: bearer(headers, REFRESH_TOKEN),
        })
    }
}

impl Credentials {
    /// A name of whoever was found to call: it stays the same for as long as they do, tells them from others,
    /// and gives no credential away.
    #[must_use]
    pub fn name_of(&self, caller: &Caller) -> String {
        match caller {
            Caller::ApiKey => {
                let key = self.api_key.as_ref().map_or(&[][..], HeaderValue::as_bytes);
                format!("api-key:{:x}", Sha256::digest(key))
            }
            Caller::Admin => "admin".to_owned(),
            Caller::Member(member) => member.name(),
            Caller::SecretHolder(_) => "secret-holder".to_owned(),
        }
    }
}

fn bearer(headers: &HeaderMap, name: &str) -> Option<String> {
    let token = headers.get(name)?.to_str().ok()?.strip_prefix(BEARER)?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// Finds out who calls.
///
/// # Errors
/// 401 when nothing acceptable is there or nothing there is right, 403 when what is there does not suffice;
/// 503 when that cannot be found out.
pub async fn authenticate(
    state: &HttpState,
    credentials: &Credentials,
    accepted: &[Credential],
) -> Result<Caller, Failure> {
    let mut looked_at = Vec::new();
    for credential in accepted {
        let outcome = match credential {
            Credential::ApiKey => api_key(state, credentials).await?,
            Credential::Admin => {
                let user = access_token(state, credentials, UserRole::Admin).await?;
                user.map(|outcome| outcome.map(|_| Caller::Admin))
            }
            Credential::Member => member_token(state, credentials),
        };
        looked_at.extend(outcome);
        if looked_at.last().is_some_and(Result::is_ok) {
            break;
        }
    }
    Ok(first_accepted(looked_at)?)
}

/// Finds out who wants to see a recording. With a secret nothing but it counts, and for the private one the
/// login of any user.
///
/// # Errors
/// Those of [`authenticate`]; 400 for another secret, 404 for an unknown recording.
pub async fn authenticate_to_see(
    state: &HttpState,
    credentials: &Credentials,
    secret: Option<&str>,
    recording: &RecordingId,
) -> Result<Caller, Failure> {
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
        let caller = authenticate(state, credentials, KEY_ADMIN_MEMBER).await?;
        caller.check_in(Right::Retrieve, &recording.room)?;
        return Ok(caller);
    };
    let stored = state.catalog.recording(recording).await?;
    let stored = stored.ok_or_else(|| Failure::NoRecording(recording.clone()))?;
    let opens = || secret::of_recording(&stored.secrets, secret);
    let which = guessed(state, credentials.address, opens).await?;
    let which = which.ok_or_else(|| AccessFailure::NotOfRecording(recording.clone()))?;
    if which == RecordingSecret::Private {
        user(state, credentials, UserRole::User).await?;
    }
    Ok(Caller::SecretHolder(which))
}

/// The role that a secret opens a room for.
///
/// # Errors
/// 400 for another secret, 429 after too many of them.
pub async fn role_with(
    state: &HttpState,
    address: ClientAddress,
    room: &Room,
    secret: &str,
) -> Result<Role, Failure> {
    let role = guessed(state, address.0, || secret::role_with(room, secret)).await?;
    role.ok_or_else(|| AccessFailure::NotOfRoom(room.room_id.clone()).into())
}

/// What a secret opens, if not too many from this address opened nothing.
async fn guessed<T>(
    state: &HttpState,
    address: Option<IpAddr>,
    opens: impl FnOnce() -> Option<T>,
) -> Result<Option<T>, Failure> {
    if !state.settings.guess_limits {
        return Ok(opens());
    }
    state.secret_limits.admit(address).map_err(AccessFailure::TooManyWrong)?;
    let opened = opens();
    if opened.is_none() {
        state.secret_limits.count(address).await;
    }
    Ok(opened)
}

/// The user whose access token the request shows, if they have this role.
///
/// # Errors
/// 401, 403, 503.
pub async fn user(state: &HttpState, credentials: &Credentials, role: UserRole) -> Result<User, Failure> {
    let outcome = access_token(state, credentials, role).await?;
    Ok(outcome.unwrap_or(Err(Denied::NothingPresent))?)
}

/// The user whose refresh token the request shows.
///
/// # Errors
/// 400 without a token that is good, 403 for an unknown user, 503.
pub async fn refreshed_user(state: &HttpState, credentials: &Credentials) -> Result<User, Failure> {
    let token = credentials.refresh_token.as_deref().ok_or(AccessFailure::NoRefreshToken)?;
    match user_of(state, token, TokenUse::Refresh).await? {
        Err(Denied::BadToken) => Err(AccessFailure::BadRefreshToken.into()),
        outcome => Ok(outcome?),
    }
}

/// None if there is no key in the request.
async fn api_key(
    state: &HttpState,
    credentials: &Credentials,
) -> Result<Option<Result<Caller, Denied>>, Failure> {
    let Some(sent) = &credentials.api_key else { return Ok(None) };
    let keys = state.catalog.api_keys().await?;
    Ok(Some(secret::holder_of_api_key(keys.iter().map(|key| key.key.as_str()), sent.as_bytes())))
}

/// None if there is no access token in the request.
async fn access_token(
    state: &HttpState,
    credentials: &Credentials,
    role: UserRole,
) -> Result<Option<Result<User, Denied>>, Failure> {
    let Some(token) = &credentials.access_token else { return Ok(None) };
    let user = user_of(state, token, TokenUse::Access).await?;
    Ok(Some(user.and_then(|user| with_role(user, role))))
}

async fn user_of(
    state: &HttpState,
    token: &str,
    used_for: TokenUse,
) -> Result<Result<User, Denied>, Failure> {
    let claims = state.tokens.claims(token);
    let token = match claims.and_then(|claims| read_user(&claims, used_for, state.clock.now())) {
        Ok(token) => token,
        Err(denied) => return Ok(Err(denied)),
    };
    Ok(token.stands_for(state.accounts.user(&token.username).await?))
}

/// None if there is no member's token in the request.
fn member_token(state: &HttpState, credentials: &Credentials) -> Option<Result<Caller, Denied>> {
    let claims = state.tokens.claims(credentials.member_token.as_deref()?);
    let member = claims.and_then(|claims| read_member(&claims, state.clock.now()));
    Some(member.map(Caller::Member))
}
