//! Cross-origin requests (contract `access.md` 7): one allowed origin, `*` by default, with credentials.
//!
//! Written by hand, since the usual layers refuse the contract's pair of `*` and credentials. It is
//! harmless: browsers send no cookies to `*`, and we use none.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;

/// Methods that a page may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// Answers preflights with 204 and adds the headers to every other answer.
pub async fn allow(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        preflight(request.headers())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    // A value that is no header is a configuration fault, reported at start-up; here it lets nobody in.
    if let Ok(origin) = HeaderValue::try_from(state.settings.cors_origin.as_str()) {
        if origin != "*" {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

fn preflight(request: &HeaderMap) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}
