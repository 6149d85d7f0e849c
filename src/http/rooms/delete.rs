//! `DELETE /api/v1/rooms` and `/:roomId`: by a policy for meetings and recordings (contract `rooms.md` 5).

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::deletion::Done;
use reelkeeper_actors::meeting::{AutoDeletionPolicy, Room};
use reelkeeper_actors::orchestrator::RoomDeleted;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::http::HttpState;
use crate::http::access_log::about_room;
use crate::http::auth::{Credentials, KEY_ADMIN, authenticate};
use crate::http::base_path::public_url;
use crate::http::error::Failure;
use crate::http::request::{PathId, QueryText};
use crate::http::validation::room::{bulk_deletion, room_deletion};

/// Deletions of one request that are under way at once.
const AT_ONCE: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    success_code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<Room>,
}

impl Told {
    fn of(id: &RoomId, deleted: RoomDeleted, base: &str) -> Self {
        let RoomDeleted { done, room } = deleted;
        let room = room.map(|room| room.as_shown(base));
        Self { success_code: done.name(), message: words(id, done), room }
    }
}

fn words(id: &RoomId, done: Done) -> String {
    let what = match done {
        Done::RoomDeleted => "deleted successfully",
        Done::RoomWithActiveMeetingDeleted => "deleted: its meeting was ended",
        Done::RoomWithActiveMeetingScheduledToBeDeleted => "will be deleted when its meeting ends",
        Done::RoomAndRecordingsDeleted => "and its recordings deleted successfully",
        Done::RoomClosed => "closed instead of deleted, since it has recordings",
        Done::RoomWithActiveMeetingAndRecordingsDeleted => {
            "and its recordings deleted: its meeting was ended"
        }
        Done::RoomWithActiveMeetingClosed => {
            "closed instead of deleted, since it has recordings: its meeting was ended"
        }
        Done::RoomWithActiveMeetingAndRecordingsScheduledToBeDeleted => {
            "and its recordings will be deleted when its meeting ends"
        }
        Done::RoomWithActiveMeetingScheduledToBeClosed => {
            "will be closed when its meeting ends, since it has recordings"
        }
    };
    format!("Room '{id}' {what}")
}

/// Deletes a room, or decides what becomes of it at the end of its meeting.
///
/// # Errors
/// 401, 403, 404, 409 by the policy, 422, 503.
pub async fn delete(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    PathId(id): PathId,
    query: QueryText,
) -> Result<Response, Failure> {
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let (id, policy) = room_deletion(&id, &query)?;
    about_room(&id);
    let deleted = state.orchestrator.delete_room(&id, policy).await;
    let deleted = deleted.map_err(|refusal| Failure::of_room(id.clone(), refusal))?;
    let status = if deleted.done.is_scheduled() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let told = Told::of(&id, deleted, &public_url(&state.settings, &headers, &uri));
    Ok((status, Json(told)).into_response())
}

#[derive(Serialize)]
struct TellsAll {
    message: String,
    successful: Vec<ToldOfOne>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<NotDeleted>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldOfOne {
    room_id: RoomId,
    #[serde(flatten)]
    told: Told,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotDeleted {
    room_id: RoomId,
    error: &'static str,
    message: String,
}

/// Deletes rooms by one policy; each for itself, so that one failure stops no other.
///
/// # Errors
/// 400 with what was done and what not; 401, 403, 422.
pub async fn bulk_delete(
    State(state): State<HttpState>,
    credentials: Credentials,
    headers: HeaderMap,
    uri: Uri,
    query: QueryText,
) -> Result<Response, Failure> {
    let deadline = Instant::now() + state.settings.request_timeout;
    authenticate(&state, &credentials, KEY_ADMIN).await?;
    let (ids, policy) = bulk_deletion(&query)?;
    let base = public_url(&state.settings, &headers, &uri);
    let mut through = deletions(&state, &ids, policy, deadline).await;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for room_id in ids {
        match through.remove(&room_id).unwrap_or(Err(Failure::TooSlow(None))) {
            Ok(deleted) => {
                let told = Told::of(&room_id, deleted, &base);
                successful.push(ToldOfOne { room_id, told });
            }
            Err(failure) => {
                let (error, message) = failure.named_among_others();
                failed.push(NotDeleted { room_id, error, message });
            }
        }
    }
    let (status, message) = match failed.len() {
        0 => (StatusCode::OK, "All rooms successfully processed for deletion".to_owned()),
        1 => (StatusCode::BAD_REQUEST, "1 room failed to process while deleting".to_owned()),
        count => (StatusCode::BAD_REQUEST, format!("{count} rooms failed to process while deleting")),
    };
    Ok((status, Json(TellsAll { message, successful, failed })).into_response())
}

/// Deletes until the deadline; of what is not through by then nothing is known yet.
async fn deletions(
    state: &HttpState,
    ids: &[RoomId],
    policy: AutoDeletionPolicy,
    deadline: Instant,
) -> HashMap<RoomId, Result<RoomDeleted, Failure>> {
    let begun = ids.iter().cloned().map(|id| async move {
        let deleted = state.orchestrator.delete_room(&id, policy).await;
        (id.clone(), deleted.map_err(|refusal| Failure::of_room(id, refusal)))
    });
    let mut deletions = stream::iter(begun).buffer_unordered(AT_ONCE);
    let mut through = HashMap::new();
    while let Ok(Some((id, outcome))) = timeout_at(deadline, deletions.next()).await {
        through.insert(id, outcome);
    }
    drop(deletions);
    through
}
