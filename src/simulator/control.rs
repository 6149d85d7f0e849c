//! The door for whoever runs the simulator, in JSON, without a token.
//!
//! | Method, path | Does |
//! |---|---|
//! | GET `/control/state` | rooms with participants, egresses, workers, faults, held calls, webhook URLs |
//! | POST `/control/rooms` | makes `{"name", "metadata"?, "participants"?, "emptyTimeout"?, "departureTimeout"?}` |
//! | DELETE `/control/rooms/{room}` | ends it |
//! | POST `/control/rooms/{room}/participants` | lets in `{"identity", "name"?, "kind"?, "publishes"?}` |
//! | POST `/control/join` | lets in whoever `{"token"}` names, as a client that connects with it |
//! | DELETE `/control/rooms/{room}/participants/{identity}` | takes out; `?reason=CONNECTION_TIMEOUT`, else `CLIENT_INITIATED` |
//! | POST `/control/faults` | asks for a fault: `{"id"}` |
//! | GET, DELETE `/control/faults` | shows, takes back all |
//! | DELETE `/control/faults/{id}` | takes back one |
//! | POST `/control/workers/kill` | kills the worker of `{"egress"}`, or all with `{}`: `{"killed"}` |
//! | POST `/control/workers/cut-off` | cuts the worker of `{"egress"}`, or all, off from their rooms; `{"then": {"returns": {"after_ms"}}}` or `{"gives_up": ...}`: `{"cut_off"}` |
//! | POST `/control/workers/capacity` | `{"slots": n or null, "when_full"?: "exhausted" "unavailable" "hang"}` |
//! | POST `/control/egresses/forget` | LiveKit forgets every egress; workers run on, and are known again by what they report next |
//! | GET, DELETE `/control/calls` | the calls received and how they ended; forgets them |
//! | GET `/control/webhooks` | the webhooks sent, with answers |
//! | POST `/control/webhooks` | tells `{"url"}` too |
//! | POST `/control/hold` | holds a call to come: `{"method", "room"?, "nth"? (1), "point"?: "work" or "answer"}`: `{"id"}` |
//! | GET `/control/hold` | the calls that are held now |
//! | POST `/control/release` | lets go `{"call"?, "drop"?}`, all if no call is named; with `drop` the connection breaks instead |
//!
//! A fault is `{"method": "StopEgress", "does": ...}` or `{"webhook": "egress_ended", "does": ...}` with
//! optional `room`, `skip` (0), `times` (1; null = always), `chance` (1) and, for ListEgress, `scope`
//! (`id`, `room`, `all`). A call `does` one of `{"error":{"code","msg"}}`, `{"delay":{"ms"}}`,
//! `{"delay_answer":{"ms"}}`, `"hang"`, `"hang_answer"`, `"cut"`, `"answer_lost"`, `"empty_list"`, `"hold"`,
//! `"hold_answer"`, `"unlisted"`, `{"fate": "stays_starting"}` (also `"file_is_lost"`, `"file_is_empty"`,
//! `{"file_is_late":{"after_ms"}}`, `{"fails_to_start":{"error","code"}}`, `{"reaches_limit":{"after_ms"}}`,
//! `{"upload_fails":{"error"}}`);
//! a webhook `does` one of `"lost"`, `"doubled"`, `"overtaken"`, `{"delayed":{"ms"}}`. Types and meaning:
//! `reelkeeper_actors::simulator::faults`.
//!
//! A call that is held before its work is worked on after its release, even if its caller is gone: that is
//! what a server does with a request that it has received. A call is held for ten minutes at most.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::ports::media_server::ParticipantKind;
use reelkeeper_actors::simulator::World;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::egress::Workers;
use reelkeeper_actors::simulator::egress::mishaps::CutOff;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, FaultId, What};
use reelkeeper_actors::simulator::log::{CallId, CallRecord, HeldCall, Release};
use reelkeeper_actors::simulator::rooms::{NewParticipant, NewRoom};
use reelkeeper_actors::simulator::views::DisconnectReason;
use serde::Deserialize;
use serde_json::{Value, json};

use super::webhooks::SentWebhook;
use super::{Control, Shared};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/state", get(state))
        .route("/rooms", post(add_room))
        .route("/rooms/{room}", delete(end_room))
        .route("/rooms/{room}/participants", post(add_participant))
        .route("/rooms/{room}/participants/{identity}", delete(remove_participant))
        .route("/join", post(join))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/workers/kill", post(kill_workers))
        .route("/workers/cut-off", post(cut_workers_off))
        .route("/workers/capacity", post(limit_workers))
        .route("/egresses/forget", post(forget_egresses))
        .route("/calls", get(calls).delete(forget_calls))
        .route("/webhooks", get(sent).post(add_webhook))
        .route("/hold", get(held).post(hold))
        .route("/release", post(release))
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"error": refusal.message}))).into_response()
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn missing(what: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": format!("no such {what}")}))).into_response()
}

async fn state(State(control): State<Control>) -> Json<Value> {
    let mut state = control.live.with(|world| {
        let rooms: Vec<_> = world.rooms();
        let rooms: Vec<_> = rooms
            .into_iter()
            .map(|room| {
                let participants = world.participants(&room.name);
                json!({"room": room, "participants": participants})
            })
            .collect();
        json!({
            "rooms": rooms,
            "egresses": world.egresses(),
            "workers": world.workers(),
            "faults": world.faults(),
            "held": world.held(),
        })
    });
    state["webhooks"] = json!(control.sender.urls());
    Json(state)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddRoom {
    name: RoomId,
    #[serde(default)]
    metadata: String,
    #[serde(default)]
    participants: u32,
    #[serde(default)]
    empty_timeout: u32,
    #[serde(default)]
    departure_timeout: u32,
}

async fn add_room(State(control): State<Control>, Json(wanted): Json<AddRoom>) -> Response {
    let AddRoom { name, metadata, participants, empty_timeout, departure_timeout } = wanted;
    let new = NewRoom { name: name.clone(), metadata, empty_timeout, departure_timeout };
    let made = control.live.with(|world| world.create_room(new));
    match made.and_then(|_| control.add_room(&name, "", participants)) {
        Ok(()) => {
            (StatusCode::CREATED, Json(json!(control.live.with(|world| world.room(&name))))).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

async fn end_room(State(control): State<Control>, Path(room): Path<RoomId>) -> Response {
    let ended = control.live.with(|world| world.delete_room(&room));
    if ended { done() } else { missing("room") }
}

#[derive(Deserialize)]
struct AddParticipant {
    identity: String,
    #[serde(default)]
    name: String,
    #[serde(default = "standard")]
    kind: ParticipantKind,
    #[serde(default = "yes")]
    publishes: bool,
}

fn standard() -> ParticipantKind {
    ParticipantKind::Standard
}

fn yes() -> bool {
    true
}

async fn add_participant(
    State(control): State<Control>,
    Path(room): Path<RoomId>,
    Json(wanted): Json<AddParticipant>,
) -> Response {
    let AddParticipant { identity, name, kind, publishes } = wanted;
    let new = NewParticipant { identity, name, metadata: String::new(), kind, publishes };
    match control.live.with(|world| world.join(&room, new)) {
        Ok(participant) => (StatusCode::CREATED, Json(participant)).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

#[derive(Deserialize)]
struct Join {
    token: String,
}

async fn join(State(shared): State<Shared>, Json(wanted): Json<Join>) -> Response {
    let (room, who) = match shared.tokens.joiner(&wanted.token) {
        Ok(joiner) => joiner,
        Err(text) => return (StatusCode::UNAUTHORIZED, Json(json!({"error": text}))).into_response(),
    };
    match shared.control.live.with(|world| world.join(&room, who)) {
        Ok(participant) => (StatusCode::CREATED, Json(participant)).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

#[derive(Deserialize)]
struct Leave {
    #[serde(default = "hung_up")]
    reason: DisconnectReason,
}

fn hung_up() -> DisconnectReason {
    DisconnectReason::ClientInitiated
}

async fn remove_participant(
    State(control): State<Control>,
    Path((room, identity)): Path<(RoomId, String)>,
    Query(leave): Query<Leave>,
) -> Response {
    let left = control.live.with(|world| world.leave(&room, &identity, leave.reason));
    if left { done() } else { missing("participant") }
}

async fn faults(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.live.with(|world| world.faults())))
}

async fn add_fault(State(control): State<Control>, Json(wanted): Json<Value>) -> Response {
    let Ok(fault) = serde_json::from_value::<Fault>(wanted) else {
        let error = "no such fault: it needs a known method or webhook, and a does that fits it";
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": error}))).into_response();
    };
    asked(control.live.with(|world| world.add_fault(fault)))
}

fn asked(id: Option<FaultId>) -> Response {
    match id {
        Some(id) => (StatusCode::CREATED, Json(json!({"id": id}))).into_response(),
        None => (StatusCode::TOO_MANY_REQUESTS, Json(json!({"error": "too many faults"}))).into_response(),
    }
}

async fn clear_faults(State(control): State<Control>) -> StatusCode {
    control.live.with(World::clear_faults);
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(control): State<Control>, Path(id): Path<FaultId>) -> Response {
    let removed = control.live.with(|world| world.remove_fault(id));
    if removed { done() } else { missing("fault") }
}

#[derive(Deserialize)]
struct Kill {
    #[serde(default)]
    egress: Option<EgressId>,
}

async fn kill_workers(State(control): State<Control>, Json(kill): Json<Kill>) -> Response {
    let killed = control.live.with(|world| match kill.egress {
        Some(egress) => world.kill_worker(&egress).then(|| vec![egress]),
        None => Some(world.kill_all_workers()),
    });
    match killed {
        Some(killed) => Json(json!({"killed": killed})).into_response(),
        None => missing("egress with a worker"),
    }
}

#[derive(Deserialize)]
struct CutWorkersOff {
    #[serde(default)]
    egress: Option<EgressId>,
    then: CutOff,
}

async fn cut_workers_off(State(control): State<Control>, Json(wanted): Json<CutWorkersOff>) -> Response {
    let cut_off = control.live.with(|world| match wanted.egress {
        Some(egress) => world.cut_off(&egress, wanted.then).then(|| vec![egress]),
        None => Some(world.cut_all_off(wanted.then)),
    });
    match cut_off {
        Some(cut_off) => Json(json!({"cut_off": cut_off})).into_response(),
        None => missing("egress that records in a room"),
    }
}

async fn forget_egresses(State(control): State<Control>) -> StatusCode {
    control.live.with(World::forget_egresses);
    StatusCode::NO_CONTENT
}

async fn limit_workers(State(control): State<Control>, Json(workers): Json<Workers>) -> StatusCode {
    control.live.with(|world| world.limit_workers(workers));
    StatusCode::NO_CONTENT
}

async fn calls(State(control): State<Control>) -> Json<Vec<CallRecord>> {
    Json(control.live.with(|world| world.calls()))
}

async fn forget_calls(State(control): State<Control>) -> StatusCode {
    control.live.with(World::forget_calls);
    StatusCode::NO_CONTENT
}

async fn sent(State(control): State<Control>) -> Json<Vec<SentWebhook>> {
    Json(control.sent())
}

#[derive(Deserialize)]
struct AddWebhook {
    url: String,
}

async fn add_webhook(State(control): State<Control>, Json(wanted): Json<AddWebhook>) -> StatusCode {
    control.add_webhook(&wanted.url);
    StatusCode::CREATED
}

#[derive(Deserialize)]
struct Hold {
    method: Method,
    #[serde(default)]
    room: Option<RoomId>,
    #[serde(default = "first")]
    nth: u32,
    #[serde(default)]
    point: HoldPoint,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HoldPoint {
    #[default]
    Work,
    Answer,
}

fn first() -> u32 {
    1
}

async fn held(State(control): State<Control>) -> Json<Vec<HeldCall>> {
    Json(control.live.with(|world| world.held()))
}

async fn hold(State(control): State<Control>, Json(hold): Json<Hold>) -> Response {
    let does = match hold.point {
        HoldPoint::Work => CallTrouble::Hold,
        HoldPoint::Answer => CallTrouble::HoldAnswer,
    };
    let what = What::Call { method: hold.method, scope: None, does };
    let fault =
        Fault { what, room: hold.room, skip: hold.nth.saturating_sub(1), times: Some(1), chance: 1.0 };
    asked(control.live.with(|world| world.add_fault(fault)))
}

#[derive(Deserialize)]
struct LetGo {
    #[serde(default)]
    call: Option<CallId>,
    #[serde(default)]
    drop: bool,
}

async fn release(State(control): State<Control>, Json(wanted): Json<LetGo>) -> Json<Value> {
    let how = if wanted.drop { Release::Drop } else { Release::GoOn };
    Json(json!({"released": control.live.with(|world| world.release(wanted.call, how))}))
}
