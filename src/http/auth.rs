//! Who may call (contract `access.md` 1).
//!
//! Owns where credentials stand in a request and how each is proven. A route lists what it accepts; those
//! that are not there are skipped, the first success wins, else the last failure is told. What a caller may
//! do is [`reelkeeper_actors::access`]'s. Never logs a credential.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use reelkeeper_actors::access::{Caller, Denied};
use subtle::ConstantTimeEq;

use super::HttpState;
use super::error::Failure;

/// Carries the API key.
const API_KEY: &str = "x-api-key";

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
/// For routes that see and delete recordings, or see one room.
pub const KEY_ADMIN_MEMBER: &[Credential] = &[Credential::ApiKey, Credential::Admin, Credential::Member];

/// The credentials that a request shows, not looked at yet.
#[derive(Clone, Default)]
pub struct Credentials {
    api_key: Option<HeaderValue>,
}

impl<S: Send + Sync> FromRequestParts<S> for Credentials {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let api_key = parts.headers.get(API_KEY).filter(|value| !value.is_empty()).cloned();
        Ok(Self { api_key })
    }
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
    let mut denied = Denied::NothingPresent;
    for credential in accepted {
        let checked = match credential {
            Credential::ApiKey => api_key(state, credentials).await?,
            Credential::Admin | Credential::Member => None,
        };
        match checked {
            None => {}
            Some(Ok(caller)) => return Ok(caller),
            Some(Err(reason)) => denied = reason,
        }
    }
    Err(denied.into())
}

/// None if there is no key in the request.
async fn api_key(
    state: &HttpState,
    credentials: &Credentials,
) -> Result<Option<Result<Caller, Denied>>, Failure> {
    let Some(sent) = &credentials.api_key else { return Ok(None) };
    let keys = state.catalog.api_keys().await?;
    if keys.is_empty() {
        return Ok(Some(Err(Denied::NoApiKeyConfigured)));
    }
    // Every key is compared, and each in constant time, so that the time taken tells nothing but their lengths.
    let matching = keys.iter().filter(|key| bool::from(key.key.as_bytes().ct_eq(sent.as_bytes()))).count();
    Ok(Some(if matching == 0 { Err(Denied::WrongApiKey) } else { Ok(Caller::ApiKey) }))
}
