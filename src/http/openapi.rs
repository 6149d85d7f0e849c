//! The OpenAPI document of every route, as JSON and as a page that loads nothing else (contract `access.md` 7).
//!
//! The document is kept by hand in `openapi/document.json`, one place that can be read without Rust. Tests hold
//! it against the router (every route has an entry, and no other), against the core's words, and against every
//! answer that the service ring gets. Here it only learns the base path.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::base_path::BasePath;
use super::media::{is_known, quoted};

const DOCUMENT: &str = include_str!("openapi/document.json");
const PAGE: &str = include_str!("openapi/page.html");
/// Where the document goes in the page.
const PLACE: &str = "{{document}}";
/// A new version of the service is seen after these minutes at the latest.
const CACHING: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// The page brings its own script and style, and may load nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The document of a service below this base path.
#[must_use]
pub fn document(base_path: &BasePath) -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("a test reads the document");
    let base = base_path.without_slash();
    document["servers"][0]["url"] = Value::from(if base.is_empty() { "/" } else { base });
    document
}

/// Something that never changes while the process runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fixed {
    body: Bytes,
    etag: String,
    content: [(HeaderName, HeaderValue); 2],
}

impl Fixed {
    /// The document.
    #[must_use]
    pub fn json(base_path: &BasePath) -> Self {
        Self::new(document(base_path).to_string(), "application/json")
    }

    /// The page that shows the document. It holds a copy, so nothing needs to be fetched.
    #[must_use]
    pub fn page(base_path: &BasePath) -> Self {
        // Inside a script element only its end could be misread.
        let document = document(base_path).to_string().replace('<', "\\u003c");
        Self::new(PAGE.replacen(PLACE, &document, 1), "text/html; charset=utf-8")
    }

    fn new(body: String, content_type: &'static str) -> Self {
        let etag = format!("{:x}", Sha256::digest(&body));
        let content = [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        Self { body: body.into(), etag, content }
    }

    /// All of it, or that the client has it already.
    pub fn answer(self, request: &HeaderMap) -> Response {
        let mut validity = HeaderMap::from_iter([(header::CACHE_CONTROL, CACHING)]);
        validity.extend(HeaderValue::try_from(quoted(&self.etag)).map(|etag| (header::ETAG, etag)));
        if is_known(request, &self.etag) {
            return (StatusCode::NOT_MODIFIED, validity).into_response();
        }
        (validity, self.content, self.body).into_response()
    }
}
