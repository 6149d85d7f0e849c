//! `/metrics`: what this node counts, for Prometheus.
//!
//! Counters are kept where things happen, by the facade of the crate `metrics`; what only has a present value is
//! asked for here. Dependencies are asked like by a probe, each with a short deadline.

use std::future::Future;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics::gauge;

use super::HttpState;
use crate::telemetry::metrics::recorder;

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Shows everything that is counted.
pub async fn show(State(state): State<HttpState>) -> Response {
    let recorder = recorder();
    let limit = state.settings.probe_timeout;
    let (store, coordination, blobs, livekit, letters, outbox, actors) = tokio::join!(
        answers(limit, state.ledger.ping()),
        answers(limit, state.coordination.standing(&state.node)),
        answers(limit, state.blobs.ping()),
        answers(limit, state.media_server.ping()),
        answers(limit, state.orchestrator.open_letters()),
        answers(limit, state.outbox.depth()),
        state.orchestrator.actors(),
    );
    for (dependency, up) in [
        ("store", store.is_some()),
        ("coordination", coordination.is_some()),
        ("blobs", blobs.is_some()),
        ("livekit", livekit.is_some()),
    ] {
        gauge!("reelkeeper_dependency_up", "dependency" => dependency).set(f64::from(u8::from(up)));
    }
    let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let many = |count: usize| number(u64::try_from(count).unwrap_or(u64::MAX));
    gauge!("reelkeeper_room_actors").set(many(actors.rooms));
    gauge!("reelkeeper_mailbox_messages").set(number(actors.waiting));
    gauge!("reelkeeper_requests_under_way").set(many(state.orchestrator.under_way()));
    gauge!("reelkeeper_rooms_owned").set(many(state.orchestrator.rooms_owned()));
    gauge!("reelkeeper_recordings_live").set(many(state.orchestrator.live_recordings()));
    gauge!("reelkeeper_lease_held").set(f64::from(u8::from(state.orchestrator.holds_lease())));
    if let Some(letters) = letters {
        gauge!("reelkeeper_inbox_letters").set(number(letters));
    }
    if let Some(depth) = outbox {
        let age = depth.oldest.map_or(Duration::ZERO, |oldest| state.clock.now().since(oldest));
        gauge!("reelkeeper_outbox_oldest_seconds").set(age.as_secs_f64());
        gauge!("reelkeeper_outbox_waiting").set(number(depth.waiting));
        gauge!("reelkeeper_outbox_dead").set(number(depth.dead));
    }
    ([(header::CONTENT_TYPE, TEXT)], recorder.render()).into_response()
}

/// What is answered in time.
async fn answers<T, E>(limit: Duration, answer: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(limit, answer).await.ok()?.ok()
}
