//! What handlers take from a request besides its body.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::Failure;

/// The id in the path, decoded and not looked at yet.
#[derive(Debug, Clone)]
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(undecodable()),
        }
    }
}

/// Two ids in the path, decoded and not looked at yet.
#[derive(Debug, Clone)]
pub struct PathPair(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathPair {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((first, second))) => Ok(Self(first, second)),
            Err(_) => Err(undecodable()),
        }
    }
}

fn undecodable() -> Failure {
    Failure::Malformed("The path cannot be decoded".to_owned())
}

/// Where a request comes from, as far as it is known: found by [`super::proxies`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// The query of a request. May hold secrets: never logged.
#[derive(Clone, Default)]
pub struct QueryText(String);

impl QueryText {
    /// The last value of this name, decoded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.0.as_bytes());
        pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
    }

    /// Every value of this name, decoded.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.0.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// How often this name stands there.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        form_urlencoded::parse(self.0.as_bytes()).filter(|(key, _)| key == name).count()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryText {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.uri.query().unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
impl QueryText {
    /// What follows the question mark.
    pub(super) fn of(query: &str) -> Self {
        Self(query.to_owned())
    }
}
