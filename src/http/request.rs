//! What handlers take from a request besides its body.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::HttpState;
use super::error::Failure;

/// Only said by a proxy in front of us.
const FORWARDED_FOR: &str = "x-forwarded-for";

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

/// Where a request comes from, as far as it is known.
///
/// Behind a trusted proxy it is what the nearest one says; what stands before that in `X-Forwarded-For` may
/// be the client's own invention.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Option<IpAddr>);

impl FromRequestParts<HttpState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let forwarded = state.settings.trust_proxy.then(|| forwarded_for(&parts.headers)).flatten();
        Ok(Self(forwarded.or(peer)))
    }
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let nearest = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    nearest.rsplit(',').next()?.trim().parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nearest_proxy_is_believed() {
        let cases: [(&[&str], Option<&str>); 6] = [
            (&[], None),
            (&["192.0.2.1"], Some("192.0.2.1")),
            (&["203.0.113.9, 192.0.2.1"], Some("192.0.2.1")),
            (&["203.0.113.9", "192.0.2.1, 2001:db8::1"], Some("2001:db8::1")),
            (&["192.0.2.1, unknown"], None),
            (&["192.0.2.1,"], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(forwarded_for(&headers), expected, "{values:?}");
        }
    }
}
