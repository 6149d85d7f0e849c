//! A scripted LiveKit: it answers exactly what a test tells it to, with no life of its own.
//!
//! A second opinion beside the project's simulated LiveKit, with which it shares no code: it speaks
//! protobuf only, as little of it as it is told to, and checks no tokens. An egress changes its status only
//! when it is stopped or when the test changes it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use livekit_protocol as lk;
use lk::EgressStatus;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::wire::eventually;

/// When scripted recordings begin, in nanoseconds since 1970.
pub const STARTED_AT: i64 = 1_700_000_000_123_456_789;
/// When they end.
pub const ENDED_AT: i64 = 1_700_000_007_000_000_000;
/// How long they play, in nanoseconds.
pub const DURATION: i64 = 6_543_210_987;
/// The size of a complete file in bytes, as LiveKit tells it.
pub const FILE_SIZE: i64 = 1_234_567;

/// What is asked of LiveKit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Start,
    Stop,
    ListById,
    ListOfRoom,
    ListOfAll,
    Participants,
    Rooms,
}

/// A call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    pub room: String,
    pub egress: String,
    /// Where a start was asked to write.
    pub path: String,
}

/// How a call is answered.
#[derive(Debug, Clone)]
pub enum Act {
    /// The work is done and answered.
    Work,
    /// Twirp's error, with its HTTP status.
    Twirp(u16, &'static str, &'static str),
    /// An answer that is not Twirp's.
    Plain(u16, &'static str),
    /// The connection breaks.
    Break,
    /// Nothing comes until the caller goes away.
    Hang,
    /// The work is done, then this happens instead of the answer.
    WorkThen(Box<Act>),
    /// The work is done; its answer comes when the test says so.
    Wait(Arc<Notify>),
}

/// How much of an egress an answer shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shows {
    /// What a real server shows.
    #[default]
    All,
    /// Id, status and room only.
    Little,
    /// All, and in every list every egress there ever was, whatever was asked for.
    Unfiltered,
}

#[derive(Default)]
struct World {
    people: BTreeMap<String, usize>,
    /// The egresses whose hidden participants sit in a room.
    recorders: BTreeMap<String, Vec<String>>,
    egresses: Vec<lk::EgressInfo>,
    /// What new egresses look like; ACTIVE unless said otherwise.
    newborn: HashMap<String, (EgressStatus, &'static str)>,
    acts: HashMap<(Method, String), VecDeque<Act>>,
    calls: Vec<Call>,
    shows: Shows,
}

/// The server. It ends when it is dropped.
pub struct Scripted {
    pub url: String,
    world: Arc<Mutex<World>>,
    serving: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scripted {
    /// Listens on a free port.
    pub async fn run(shows: Shows) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World { shows, ..World::default() }));
        let router = Router::new().route("/twirp/{service}/{method}", post(serve)).with_state(world.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, world, serving }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Puts somebody into a room.
    pub fn people(&self, room: &str) {
        self.world().people.insert(room.to_owned(), 1);
    }

    /// Puts the hidden participant of an egress into a room.
    pub fn recorder(&self, room: &str, egress: &str) {
        self.world().recorders.entry(room.to_owned()).or_default().push(egress.to_owned());
    }

    /// Answers the next calls in a room so, and then works again.
    pub fn script(&self, room: &str, method: Method, acts: impl IntoIterator<Item = Act>) {
        self.world().acts.entry((method, room.to_owned())).or_default().extend(acts);
    }

    /// Works again in this room.
    pub fn forget_script_of(&self, room: &str) {
        self.world().acts.retain(|(_, scripted), _| scripted != room);
    }

    /// Egresses of this room are born with this status and error.
    pub fn newborn(&self, room: &str, status: EgressStatus, error: &'static str) {
        self.world().newborn.insert(room.to_owned(), (status, error));
    }

    /// The calls of a method about a room.
    pub fn calls(&self, room: &str, method: Method) -> Vec<Call> {
        let wanted = |call: &&Call| call.method == method && call.room == room;
        self.world().calls.iter().filter(wanted).cloned().collect()
    }

    /// Waits for the look at a recording that follows soon after its beginning. Later ones follow only after
    /// the interval.
    pub async fn looked_at(&self, room: &str) {
        eventually("the recording was looked at", async || {
            // The first time before the start.
            (self.calls(room, Method::Participants).len() == 2).then_some(())
        })
        .await;
    }

    /// How many calls came in so far, apart from probes.
    pub fn call_count(&self) -> usize {
        self.world().calls.iter().filter(|call| call.method != Method::Rooms).count()
    }

    /// The egresses of a room, oldest first.
    pub fn egresses(&self, room: &str) -> Vec<lk::EgressInfo> {
        self.world().egresses.iter().filter(|info| info.room_name == room).cloned().collect()
    }

    /// Changes an egress; it becomes newer.
    pub fn change(&self, egress: &str, status: EgressStatus) -> lk::EgressInfo {
        let mut world = self.world();
        let info = world.egresses.iter_mut().find(|info| info.egress_id == egress).unwrap();
        turn(info, status);
        info.clone()
    }

    /// Forgets an egress.
    pub fn forget(&self, egress: &str) {
        self.world().egresses.retain(|info| info.egress_id != egress);
    }

    /// Adds an egress that somebody else started.
    pub fn add(&self, info: lk::EgressInfo) {
        self.world().egresses.push(info);
    }
}

/// Moves an egress on to a status, with the fields that go with it.
fn turn(info: &mut lk::EgressInfo, status: EgressStatus) {
    info.set_status(status);
    info.updated_at += 1_000_000_000;
    let over = !matches!(
        status,
        EgressStatus::EgressStarting | EgressStatus::EgressActive | EgressStatus::EgressEnding
    );
    if status != EgressStatus::EgressStarting && info.started_at == 0 {
        info.started_at = STARTED_AT;
    }
    if over {
        info.ended_at = ENDED_AT;
    }
    if matches!(status, EgressStatus::EgressComplete | EgressStatus::EgressLimitReached)
        && let Some(file) = info.file_results.first_mut()
    {
        (file.size, file.duration, file.ended_at) = (FILE_SIZE, DURATION, ENDED_AT);
    }
}

/// A new egress for a request.
pub fn egress(id: &str, request: &lk::RoomCompositeEgressRequest, status: EgressStatus) -> lk::EgressInfo {
    let path = request.file_outputs.first().map(|file| format!("{}.mp4", file.filepath)).unwrap_or_default();
    let mut info = lk::EgressInfo {
        egress_id: id.to_owned(),
        room_id: "RM_1".to_owned(),
        room_name: request.room_name.clone(),
        updated_at: STARTED_AT,
        file_results: vec![lk::FileInfo { filename: path, ..lk::FileInfo::default() }],
        request: Some(lk::egress_info::Request::RoomComposite(request.clone())),
        ..lk::EgressInfo::default()
    };
    turn(&mut info, status);
    info
}

/// An egress as LiveKit writes it into a webhook.
pub fn in_webhook(event: &str, info: &lk::EgressInfo) -> Value {
    let mut shown = json!({
        "egressId": info.egress_id,
        "roomId": info.room_id,
        "roomName": info.room_name,
        "status": info.status().as_str_name(),
        "startedAt": info.started_at.to_string(),
        "endedAt": info.ended_at.to_string(),
        "updatedAt": info.updated_at.to_string(),
        "error": info.error,
        "fileResults": info.file_results.iter().map(|file| json!({
            "filename": file.filename,
            "duration": file.duration.to_string(),
            "size": file.size.to_string(),
        })).collect::<Vec<_>>(),
    });
    if let Some(lk::egress_info::Request::RoomComposite(request)) = &info.request {
        shown["roomComposite"] = json!({
            "roomName": request.room_name,
            "layout": request.layout,
            "fileOutputs": request.file_outputs.iter()
                .map(|file| json!({"filepath": file.filepath})).collect::<Vec<_>>(),
        });
    }
    json!({"event": event, "id": "EV_scripted", "createdAt": "1700000000", "egressInfo": shown})
}

/// The uid that a path ends with.
pub fn uid(path: &str) -> String {
    path.rsplit("--").next().unwrap_or_default().split('.').next().unwrap_or_default().to_owned()
}

type Shared = Arc<Mutex<World>>;

async fn serve(
    State(world): State<Shared>,
    Path((service, name)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let Some(asked) = Asked::read(&service, &name, &body) else {
        return error(404, "bad_route", "no such method");
    };
    let act = {
        let mut world = world.lock().unwrap();
        let call = asked.call(&world);
        let act = world.acts.get_mut(&(call.method, call.room.clone())).and_then(VecDeque::pop_front);
        world.calls.push(call);
        act.unwrap_or(Act::Work)
    };
    carry_out(&world, &asked, act).await
}

async fn carry_out(world: &Shared, asked: &Asked, act: Act) -> Response {
    match act {
        Act::Work => asked.work(&mut world.lock().unwrap()),
        Act::Twirp(status, code, message) => error(status, code, message),
        Act::Plain(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        // The server's task for this connection ends, and the connection with it.
        Act::Break => std::panic::resume_unwind(Box::new("the connection is to break")),
        Act::Hang => std::future::pending().await,
        Act::Wait(notify) => {
            let answer = asked.work(&mut world.lock().unwrap());
            notify.notified().await;
            answer
        }
        Act::WorkThen(act) => {
            drop(asked.work(&mut world.lock().unwrap()));
            Box::pin(carry_out(world, asked, *act)).await
        }
    }
}

/// A request that was read.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Asked {
    Start(lk::RoomCompositeEgressRequest),
    Stop(lk::StopEgressRequest),
    List(lk::ListEgressRequest),
    Participants(lk::ListParticipantsRequest),
    Rooms,
}

impl Asked {
    fn read(service: &str, name: &str, body: &[u8]) -> Option<Self> {
        Some(match (service, name) {
            ("livekit.Egress", "StartRoomCompositeEgress") => Self::Start(Message::decode(body).ok()?),
            ("livekit.Egress", "StopEgress") => Self::Stop(Message::decode(body).ok()?),
            ("livekit.Egress", "ListEgress") => Self::List(Message::decode(body).ok()?),
            ("livekit.RoomService", "ListParticipants") => Self::Participants(Message::decode(body).ok()?),
            ("livekit.RoomService", "ListRooms") => Self::Rooms,
            _ => return None,
        })
    }

    fn call(&self, world: &World) -> Call {
        let of = |egress: &str| {
            let found = world.egresses.iter().find(|info| info.egress_id == egress);
            found.map(|info| info.room_name.clone()).unwrap_or_default()
        };
        let call = |method, room: String, egress: &str, path: &str| Call {
            method,
            room,
            egress: egress.to_owned(),
            path: path.to_owned(),
        };
        match self {
            Self::Start(request) => {
                call(Method::Start, request.room_name.clone(), "", &request.file_outputs[0].filepath)
            }
            Self::Stop(request) => call(Method::Stop, of(&request.egress_id), &request.egress_id, ""),
            Self::List(request) if !request.egress_id.is_empty() => {
                call(Method::ListById, of(&request.egress_id), &request.egress_id, "")
            }
            Self::List(request) if !request.room_name.is_empty() => {
                call(Method::ListOfRoom, request.room_name.clone(), "", "")
            }
            Self::List(_) => call(Method::ListOfAll, String::new(), "", ""),
            Self::Participants(request) => call(Method::Participants, request.room.clone(), "", ""),
            Self::Rooms => call(Method::Rooms, String::new(), "", ""),
        }
    }

    fn work(&self, world: &mut World) -> Response {
        match self {
            Self::Start(request) => {
                let id = format!("EG_scripted{}", world.egresses.len() + 1);
                let newborn = world.newborn.get(&request.room_name).copied();
                let (status, error) = newborn.unwrap_or((EgressStatus::EgressActive, ""));
                let mut info = egress(&id, request, status);
                error.clone_into(&mut info.error);
                world.egresses.push(info.clone());
                answer(&shown(info, world.shows))
            }
            Self::Stop(request) => stop(world, &request.egress_id),
            Self::List(request) => {
                let wanted = |info: &&lk::EgressInfo| {
                    if world.shows == Shows::Unfiltered {
                        return true;
                    }
                    (request.egress_id.is_empty() || info.egress_id == request.egress_id)
                        && (request.room_name.is_empty() || info.room_name == request.room_name)
                        && (!request.active || info.ended_at == 0)
                };
                let items = world.egresses.iter().filter(wanted).cloned();
                let items = items.map(|info| shown(info, world.shows)).collect();
                answer(&lk::ListEgressResponse { items, ..lk::ListEgressResponse::default() })
            }
            Self::Participants(request) => {
                let people = world.people.get(&request.room).copied().unwrap_or_default();
                let person = |number| lk::ParticipantInfo {
                    identity: format!("person-{number}"),
                    ..lk::ParticipantInfo::default()
                };
                let recorder = |egress: &String| lk::ParticipantInfo {
                    identity: egress.clone(),
                    kind: lk::participant_info::Kind::Egress.into(),
                    ..lk::ParticipantInfo::default()
                };
                let recorders = world.recorders.get(&request.room).into_iter().flatten().map(recorder);
                let participants = (0..people).map(person).chain(recorders).collect();
                answer(&lk::ListParticipantsResponse { participants })
            }
            Self::Rooms => answer(&lk::ListRoomsResponse::default()),
        }
    }
}

fn stop(world: &mut World, egress: &str) -> Response {
    let shows = world.shows;
    let Some(info) = world.egresses.iter_mut().find(|info| info.egress_id == egress) else {
        return error(404, "not_found", "egress does not exist");
    };
    if info.ended_at != 0 {
        return error(412, "failed_precondition", "egress cannot be stopped");
    }
    turn(info, EgressStatus::EgressEnding);
    answer(&shown(info.clone(), shows))
}

fn shown(info: lk::EgressInfo, shows: Shows) -> lk::EgressInfo {
    if shows != Shows::Little {
        return info;
    }
    lk::EgressInfo {
        egress_id: info.egress_id,
        room_name: info.room_name,
        status: info.status,
        ..lk::EgressInfo::default()
    }
}

fn answer(message: &impl Message) -> Response {
    ([(header::CONTENT_TYPE, "application/protobuf")], message.encode_to_vec()).into_response()
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"code": code, "msg": message}).to_string();
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/json")], body)
        .into_response()
}
