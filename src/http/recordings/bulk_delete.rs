//! `DELETE /api/v1/recordings?recordingIds=`: deletes several recordings and says what became of each.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use reelkeeper_actors::access::Right;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::http::HttpState;
use crate::http::auth::{Credentials, KEY_ADMIN_MEMBER, authenticate};
use crate::http::error::{Failure, Subject};
use crate::http::limits::within;
use crate::http::request::QueryText;
use crate::http::validation::list::recording_ids;

/// Deletions of one request that are under way at once.
const AT_ONCE: usize = 10;

/// What became of each id, in the order asked for.
type Outcomes = Vec<(RecordingId, Result<(), Failure>)>;

/// Deletes the recordings that are finished; each for itself, so that one failure stops no other.
///
/// # Errors
/// 400 with what was deleted and what not; 401, 403, 422; 503 if nothing could be done for now.
pub async fn bulk_delete(
    State(state): State<HttpState>,
    credentials: Credentials,
    query: QueryText,
) -> Result<Response, Failure> {
    let limit = state.settings.request_timeout;
    let deadline = Instant::now() + limit;
    let (caller, ids) = within(limit, async {
        let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
        let ids = recording_ids(&query)?;
        caller.check(Right::Delete)?;
        Ok((caller, ids))
    })
    .await?;
    told(outcomes(&state, ids, caller.room(), deadline).await)
}

/// Deletes until the deadline; of what is not through by then nothing is known yet.
async fn outcomes(
    state: &HttpState,
    ids: Vec<RecordingId>,
    only_of: Option<&RoomId>,
    deadline: Instant,
) -> Outcomes {
    let mut known = HashSet::new();
    let ids: Vec<RecordingId> = ids.into_iter().filter(|id| known.insert(id.clone())).collect();
    let begun = ids.clone().into_iter().map(|id| delete(state, id, only_of));
    let mut deletions = stream::iter(begun).buffer_unordered(AT_ONCE);
    let mut through = HashMap::new();
    while let Ok(Some((id, outcome))) = timeout_at(deadline, deletions.next()).await {
        through.insert(id, outcome);
    }
    drop(deletions);
    let in_order = ids.into_iter().map(|id| {
        let outcome = through.remove(&id).unwrap_or_else(|| Err(Failure::NotDeletedInTime(id.clone())));
        (id, outcome)
    });
    in_order.collect()
}

async fn delete(
    state: &HttpState,
    id: RecordingId,
    only_of: Option<&RoomId>,
) -> (RecordingId, Result<(), Failure>) {
    let outcome = match only_of.filter(|room| **room != id.room) {
        Some(room) => Err(Failure::NotOfRoom(id.clone(), room.clone())),
        None => state
            .orchestrator
            .delete(&id)
            .await
            .map_err(|refusal| Failure::Refused(Subject::Delete(id.clone()), refusal)),
    };
    (id, outcome)
}

#[derive(Serialize)]
struct Told {
    message: String,
    deleted: Vec<RecordingId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<NotDeleted>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotDeleted {
    recording_id: RecordingId,
    error: String,
}

fn told(outcomes: Outcomes) -> Result<Response, Failure> {
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        match outcome {
            Ok(()) => deleted.push(id),
            Err(failure) => failures.push((id, failure)),
        }
    }
    if failures.is_empty() {
        let message = "All recordings deleted successfully".to_owned();
        return Ok(Json(Told { message, deleted, failed: Vec::new() }).into_response());
    }
    // With nothing done and nothing wrong with the request, it is one to send again.
    if deleted.is_empty() && failures.iter().all(|(_, failure)| failure.is_temporary()) {
        return Err(failures.swap_remove(0).1);
    }
    let message = match failures.len() {
        1 => "1 recording could not be deleted".to_owned(),
        count => format!("{count} recordings could not be deleted"),
    };
    let failed = failures.into_iter().map(|(recording_id, failure)| {
        let error = failure.told_among_others();
        NotDeleted { recording_id, error }
    });
    let failed = failed.collect();
    Ok((StatusCode::BAD_REQUEST, Json(Told { message, deleted, failed })).into_response())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use reelkeeper_actors::recording::effect::Refusal;
    use serde_json::{Value, json};

    use super::*;

    fn id(uid: &str) -> RecordingId {
        RecordingId::parse(&format!("r--EG_1--{uid}")).unwrap()
    }

    fn refused(uid: &str, refusal: Refusal) -> (RecordingId, Result<(), Failure>) {
        (id(uid), Err(Failure::Refused(Subject::Delete(id(uid)), refusal)))
    }

    async fn told(outcomes: Outcomes) -> (u16, Value) {
        let response = super::told(outcomes).unwrap_or_else(IntoResponse::into_response);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_was_done_is_told_however_it_ended() {
        let (status, body) = told(vec![(id("a"), Ok(())), (id("b"), Ok(()))]).await;
        let deleted = json!(["r--EG_1--a", "r--EG_1--b"]);
        let message = "All recordings deleted successfully";
        assert_eq!((status, body), (200, json!({"message": message, "deleted": deleted})));

        let other = RoomId::from_trusted("other");
        let mixed = vec![
            refused("a", Refusal::NotStopped),
            (id("b"), Ok(())),
            (id("c"), Err(Failure::NotOfRoom(id("c"), other))),
            refused("d", Refusal::Unavailable { dependency: "store" }),
            (id("e"), Err(Failure::NotDeletedInTime(id("e")))),
        ];
        let (status, body) = told(mixed).await;
        let failed = json!([
            {"recordingId": "r--EG_1--a", "error": "Recording 'r--EG_1--a' is not stopped yet"},
            {"recordingId": "r--EG_1--c", "error": "Recording 'r--EG_1--c' does not belong to room 'other'"},
            {"recordingId": "r--EG_1--d", "error": "Dependency 'store' is unavailable"},
            {"recordingId": "r--EG_1--e",
                "error": "It is not known yet whether recording 'r--EG_1--e' could be deleted"},
        ]);
        let message = "4 recordings could not be deleted";
        let expected = json!({"message": message, "deleted": ["r--EG_1--b"], "failed": failed});
        assert_eq!((status, body), (400, expected));

        let (status, body) = told(vec![refused("a", Refusal::NotFound)]).await;
        let message = "1 recording could not be deleted";
        assert_eq!((status, &body["message"], &body["deleted"]), (400, &json!(message), &json!([])));
    }

    #[tokio::test]
    async fn what_could_not_be_tried_is_to_be_sent_again() {
        for refusal in [Refusal::Draining, Refusal::Overloaded, Refusal::Unavailable { dependency: "blobs" }]
        {
            let (status, body) = told(vec![refused("a", refusal.clone()), refused("b", refusal)]).await;
            assert_eq!((status, &body["error"]), (503, &json!("Service Unavailable")));
        }
    }
}
