//! What handlers take from a request besides its body.

use std::convert::Infallible;

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
            Err(_) => Err(Failure::Malformed("The path cannot be decoded".to_owned())),
        }
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
