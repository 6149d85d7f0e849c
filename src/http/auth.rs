//! Who may call (contract `access.md` 1).
//!
//! Owns the order in which credentials are tried. A route lists what it accepts; those that are not there
//! are skipped, the first success wins, else the last failure is told. Never logs a credential.

use axum::http::HeaderMap;
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::HttpState;
use super::error::{Failure, Unauthenticated};

/// Carries the API key.
const API_KEY: &str = "x-api-key";

/// A kind of credential that a route may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The header `x-api-key`.
    ApiKey,
}

/// For routes that take the API key alone.
pub const API_KEY_ONLY: &[Credential] = &[Credential::ApiKey];

/// Who calls, as far as it matters to what they may do and see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Holds the API key: may do everything.
    ApiKey {
        /// Of the key; tells keys apart and gives none away.
        digest: [u8; 32],
    },
}

impl Caller {
    /// Whoever holds this key.
    #[must_use]
    pub fn of_api_key(key: &str) -> Self {
        Self::ApiKey { digest: Sha256::digest(key).into() }
    }

    /// A name that stays the same as long as the credential does.
    #[must_use]
    pub fn name(self) -> String {
        let Self::ApiKey { digest } = self;
        format!("api-key:{:x}", Output::<Sha256>::from(digest))
    }
}

/// Finds out who calls.
///
/// # Errors
/// 401 when nothing acceptable is there or nothing there is right; 503 when that cannot be found out.
pub async fn authenticate(
    state: &HttpState,
    headers: &HeaderMap,
    accepted: &[Credential],
) -> Result<Caller, Failure> {
    let mut failure = Failure::Unauthenticated(Unauthenticated::NothingPresent);
    for credential in accepted {
        let checked = match credential {
            Credential::ApiKey => api_key(state, headers).await,
        };
        match checked {
            None => {}
            Some(Ok(caller)) => return Ok(caller),
            Some(Err(reason)) => failure = reason,
        }
    }
    Err(failure)
}

/// None if there is no key in the request.
async fn api_key(state: &HttpState, headers: &HeaderMap) -> Option<Result<Caller, Failure>> {
    let sent = headers.get(API_KEY).filter(|value| !value.is_empty())?;
    let keys = match state.catalog.api_keys().await {
        Ok(keys) => keys,
        Err(error) => return Some(Err(error.into())),
    };
    if keys.is_empty() {
        return Some(Err(Failure::Unauthenticated(Unauthenticated::NoApiKeyConfigured)));
    }
    // Every key is compared, and each in constant time, so that the time taken tells nothing but their lengths.
    let matching = keys.iter().filter(|key| bool::from(key.key.as_bytes().ct_eq(sent.as_bytes())));
    match matching.last() {
        None => Some(Err(Failure::Unauthenticated(Unauthenticated::WrongApiKey))),
        Some(key) => Some(Ok(Caller::of_api_key(&key.key))),
    }
}
