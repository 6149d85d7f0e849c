//! One line for each request, at debug, and the span that its other lines stand in.
//!
//! Never holds a query, a header or a body: those may carry secrets.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

/// Tells a client under which id its request is logged.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names a request, runs it and logs how it went.
pub async fn record(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request", request.id = %id, method = %request.method(), route, room.id = Empty, recording.id = Empty
    );
    async {
        let began = Instant::now();
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status, elapsed_ms, "answered");
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

/// Names the room in this request's lines.
pub fn about_room(room: &RoomId) {
    Span::current().record("room.id", display(room));
}

/// Names the recording, and its room, in this request's lines.
pub fn about_recording(recording: &RecordingId) {
    about_room(&recording.room);
    Span::current().record("recording.id", display(recording));
}
