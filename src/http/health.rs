//! Probes: is the process up, can it serve, and what is the matter if not (design 10).
//!
//! All dependencies are asked at once, each with a short deadline, so that a probe never hangs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::ports::PortError;
use serde::Serialize;
use serde_json::Value;

use super::HttpState;
use super::error::Failure;

/// What a dependency that answers is called.
const OK: &str = "ok";

/// The process runs.
pub async fn live() -> &'static str {
    "OK"
}

/// The node can serve: it has its store and is not about to leave.
///
/// # Errors
/// 503 otherwise.
pub async fn health(State(state): State<HttpState>) -> Result<&'static str, Failure> {
    if state.orchestrator.is_leaving() {
        return Err(Failure::Draining);
    }
    let away = |_| Failure::Port(PortError::unavailable("store", "no answer to a probe"));
    tokio::time::timeout(state.settings.probe_timeout, state.ledger.ping()).await.map_err(away)??;
    Ok("OK")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    ready: bool,
    draining: bool,
    dependencies: BTreeMap<&'static str, String>,
    last_webhook: Option<Value>,
}

/// Each dependency by name, with `ok` or what is wrong; 503 unless all are well and the node stays.
pub async fn ready(State(state): State<HttpState>) -> Response {
    let limit = state.settings.probe_timeout;
    let (store, coordination, blobs, livekit) = tokio::join!(
        probe("store", limit, state.ledger.ping()),
        probe("coordination", limit, state.coordination.standing(&state.node)),
        probe("blobs", limit, state.blobs.ping()),
        probe("livekit", limit, state.media_server.ping()),
    );
    let dependencies = BTreeMap::from([
        ("store", store),
        ("coordination", coordination),
        ("blobs", blobs),
        ("livekit", livekit),
    ]);
    let draining = state.orchestrator.is_leaving();
    let ready = !draining && dependencies.values().all(|standing| standing == OK);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let last_webhook = state.last_webhook.shown();
    (status, Json(Readiness { ready, draining, dependencies, last_webhook })).into_response()
}

/// Anybody may ask, so what a dependency said, with its address, is for the log.
async fn probe<T, E: Display>(
    name: &'static str,
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> String {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(_)) => OK.to_owned(),
        Ok(Err(error)) => {
            tracing::debug!(dependency = name, %error, "a probe failed");
            "unavailable".to_owned()
        }
        Err(_) => format!("no answer within {} ms", limit.as_millis()),
    }
}
