//! `GET /api/v1/recordings`: a page of recordings, filtered and sorted.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::Right;
use reelkeeper_actors::ports::catalog::list::{Listing as _, Page};
use serde::Serialize;
use serde_json::Value;

use crate::http::HttpState;
use crate::http::auth::{Credentials, KEY_ADMIN_MEMBER, authenticate};
use crate::http::error::Failure;
use crate::http::page_token;
use crate::http::request::QueryText;
use crate::http::rooms::shown;
use crate::http::validation::list::recordings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingsPage {
    recordings: Vec<Value>,
    pagination: Pagination,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Pagination {
    is_truncated: bool,
    max_items: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

impl Pagination {
    /// How a page of at most so many items goes on.
    pub(in crate::http) fn of<T>(page: &Page<T>, max_items: usize) -> Self {
        Self {
            is_truncated: page.next.is_some(),
            max_items,
            next_page_token: page.next.as_ref().map(page_token::encode),
        }
    }
}

/// Lists recordings, or the parts of them that `fields` names. A member sees those of their room only.
///
/// # Errors
/// 401, 403, 422, 503.
pub async fn list(
    State(state): State<HttpState>,
    credentials: Credentials,
    query: QueryText,
) -> Result<Response, Failure> {
    let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
    caller.check(Right::Retrieve)?;
    let (query, fields) = recordings(&query, caller.room())?;
    let page = state.catalog.recordings(&query).await?;
    let recordings = page.items.iter().map(|recording| fields.apply(shown(recording))).collect();
    let pagination = Pagination::of(&page, query.page_size());
    Ok(Json(RecordingsPage { recordings, pagination }).into_response())
}
