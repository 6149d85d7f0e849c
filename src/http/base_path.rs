//! Where the service appears: the base path, and the public URL before it (contract `access.md` 7).

use std::fmt;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use super::HttpSettings;
use super::proxies::FORWARDED_PROTO;

/// What a client of HTTP/1.0 may leave out.
const UNKNOWN_HOST: &str = "localhost";

/// The path that everything but the webhook endpoint and the probes lies below. Begins and ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasePath(String);

/// Why a text is no base path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("base path '{0}' may hold only letters, digits and any of /-._~")]
pub struct InvalidBasePath(String);

impl BasePath {
    /// Makes a text begin and end with one `/`; an empty one is the root.
    ///
    /// # Errors
    /// When it holds characters that mean something else in a URL or in a route.
    pub fn parse(text: &str) -> Result<Self, InvalidBasePath> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !text.chars().all(allowed) {
            return Err(InvalidBasePath(text.to_owned()));
        }
        let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
            return Err(InvalidBasePath(text.to_owned()));
        }
        Ok(Self(format!("/{}{}", segments.join("/"), if segments.is_empty() { "" } else { "/" })))
    }

    /// A path below this one; `rest` begins with `/`.
    #[must_use]
    pub fn join(&self, rest: &str) -> String {
        format!("{}{rest}", self.without_slash())
    }

    /// As it stands in a URL: nothing at the root, else without the slash at its end.
    #[must_use]
    pub fn without_slash(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

impl Default for BasePath {
    fn default() -> Self {
        Self("/meet/".to_owned())
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no public URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("public URL '{0}' must be http(s)://host, with a port or a path if need be")]
pub struct InvalidBaseUrl(String);

/// The URL under which clients reach the service, without the base path, a default port and a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads a configured URL.
    ///
    /// # Errors
    /// When it is not an absolute http or https URL without query.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let invalid = || InvalidBaseUrl(text.to_owned());
        let uri: Uri = text.trim().parse().map_err(|_| invalid())?;
        let (Some(scheme), Some(authority), None) = (uri.scheme_str(), uri.authority(), uri.query()) else {
            return Err(invalid());
        };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(invalid()),
        };
        if authority.as_str().contains('@') {
            return Err(invalid());
        }
        let port = authority.port_u16().filter(|port| *port != default_port);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let path = uri.path().trim_end_matches('/');
        Ok(Self(format!("{scheme}://{}{port}{path}", authority.host())))
    }
}

/// The public URL with the base path, without a slash at its end: as configured, else as this one request
/// names scheme and host. Nothing is remembered from other requests.
#[must_use]
pub fn public_url(settings: &HttpSettings, headers: &HeaderMap, uri: &Uri) -> String {
    let path = settings.base_path.without_slash();
    if let Some(BaseUrl(url)) = &settings.base_url {
        return format!("{url}{path}");
    }
    // The header is gone by now if nobody whom we believe has said it.
    let scheme = if forwarded_https(headers) { "https" } else { "http" };
    format!("{scheme}://{}{path}", host(headers, uri))
}

fn forwarded_https(headers: &HeaderMap) -> bool {
    let value = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = value.split(',').next().unwrap_or_default();
    first.trim().eq_ignore_ascii_case("https")
}

/// Goes into URLs that clients follow, so what is no plain host is not repeated to them.
fn host(headers: &HeaderMap, uri: &Uri) -> String {
    let header = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = uri.authority().cloned().or_else(|| header?.parse::<Authority>().ok());
    match authority {
        Some(authority) if !authority.as_str().contains('@') => authority.to_string(),
        _ => UNKNOWN_HOST.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_base_path_begins_and_ends_with_a_slash() {
        let cases = [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("meet", "/meet/"),
            ("/meet", "/meet/"),
            ("meet/", "/meet/"),
            ("/a//b/", "/a/b/"),
        ];
        for (text, expected) in cases {
            let path = BasePath::parse(text).unwrap();
            assert_eq!(path.to_string(), expected, "{text:?}");
            assert!(path.join("/health").ends_with("/health"));
            assert!(!path.join("/health").contains("//"), "{text:?}");
        }
        for text in ["/{x}", "/a b", "/a?b", "/..", "/é", "a\\b"] {
            assert!(BasePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_configured_url_loses_default_port_and_slash() {
        let cases = [
            ("https://meet.example.org/", Some("https://meet.example.org")),
            ("https://meet.example.org:443", Some("https://meet.example.org")),
            ("http://meet.example.org:80/", Some("http://meet.example.org")),
            ("http://meet.example.org:8080/", Some("http://meet.example.org:8080")),
            ("http://[::1]:6080/x/", Some("http://[::1]:6080/x")),
            ("ftp://meet.example.org", None),
            ("meet.example.org", None),
            ("https://user@meet.example.org", None),
            ("https://meet.example.org/?x=1", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let parsed = BaseUrl::parse(text).ok().map(|url| url.0);
            assert_eq!(parsed.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn without_a_configured_url_the_request_names_it() {
        let plain = HttpSettings::default();
        let fixed = HttpSettings {
            base_url: Some(BaseUrl::parse("https://m.example.org/").unwrap()),
            base_path: BasePath::parse("/").unwrap(),
            ..HttpSettings::default()
        };
        let cases = [
            (&plain, "host:6080", "", "http://host:6080/meet"),
            (&plain, "host", "http", "http://host/meet"),
            (&plain, "host", "https, http", "https://host/meet"),
            (&plain, "user@evil", "", "http://localhost/meet"),
            (&plain, "<script>", "", "http://localhost/meet"),
            (&fixed, "host", "", "https://m.example.org"),
        ];
        for (settings, host, proto, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
            assert_eq!(public_url(settings, &headers, &Uri::from_static("/x")), expected, "{host:?}");
        }
    }
}
