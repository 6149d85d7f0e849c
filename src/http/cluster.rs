//! `/internal-api/v1/cluster`: the nodes, whose rooms are whose, and what waits, for admins.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::access::user::UserRole;
use reelkeeper_actors::orchestrator::ClusterView;
use reelkeeper_actors::ports::coordination::Lease;
use serde::Serialize;

use super::HttpState;
use super::auth::{self, Credentials};
use super::error::Failure;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    node_id: String,
    holds_lease: bool,
    nodes: Vec<Node>,
    /// False if there are more rooms than are counted.
    all_rooms_counted: bool,
    /// Rooms whose owner holds no lease; they are claimed by whoever lives.
    orphaned_rooms: usize,
    claims: u64,
    inbox: u64,
    outbox: Outbox,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(rename = "nodeId")]
    id: String,
    address: Option<String>,
    /// When its lease ends if it is not renewed; none if it needs none.
    lease_ends_in_ms: Option<u64>,
    suspect: bool,
    rooms: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outbox {
    waiting: u64,
    dead: u64,
}

/// Shows the cluster as this node sees it.
///
/// # Errors
/// 401, 403, 503.
pub async fn show(State(state): State<HttpState>, credentials: Credentials) -> Result<Response, Failure> {
    auth::user(&state, &credentials, UserRole::Admin).await?;
    let view = state.orchestrator.cluster_view().await?;
    let depth = state.outbox.depth().await?;
    let outbox = Outbox { waiting: depth.waiting, dead: depth.dead };
    Ok(Json(shown(view, outbox)).into_response())
}

fn shown(view: ClusterView, outbox: Outbox) -> Cluster {
    let mut rooms: BTreeMap<_, _> = view.rooms;
    let nodes = view.members.into_iter().map(|Lease { member, left }| Node {
        suspect: view.suspects.contains(&member.node),
        rooms: rooms.remove(&member.node).unwrap_or_default(),
        address: Some(member.address).filter(|address| !address.is_empty()),
        lease_ends_in_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        id: member.node.to_string(),
    });
    let mut nodes: Vec<Node> = nodes.collect();
    if !nodes.iter().any(|node| node.id == view.node.as_str()) {
        // A node that is alone keeps no lease.
        let rooms = rooms.remove(&view.node).unwrap_or_default();
        let id = view.node.to_string();
        nodes.push(Node { id, address: None, lease_ends_in_ms: None, suspect: false, rooms });
    }
    nodes.sort_by(|one, other| one.id.cmp(&other.id));
    Cluster {
        node_id: view.node.to_string(),
        holds_lease: view.holds_lease,
        nodes,
        all_rooms_counted: view.all_rooms,
        orphaned_rooms: rooms.values().sum(),
        claims: view.claims,
        inbox: view.letters,
        outbox,
    }
}
