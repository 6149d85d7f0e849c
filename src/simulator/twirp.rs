//! LiveKit's API: Twirp over HTTP, in protobuf or JSON.
//!
//! Owns routes, both forms of bodies, and errors: `{"code","msg","meta"}` with Twirp's HTTP status. The
//! order of checks is LiveKit's: token, route, body, grant. Methods that LiveKit has and the simulator has
//! not answer `unimplemented`.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use livekit_protocol as lk;
use prost::Message;
use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::simulator::calls::{Refusal, Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::line::Cut;
use super::tokens::Grant;
use super::{Shared, json, proto};

/// Largest request, in bytes.
const BODY_MAX: usize = 1 << 20;
const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// An API of LiveKit that the simulator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Egress,
    Rooms,
    Agents,
}

/// Answers one call.
pub(super) async fn serve(
    State(shared): State<Shared>,
    ConnectInfo(line): ConnectInfo<Cut>,
    request: HttpRequest,
) -> Response {
    let grants = match shared.tokens.grants(request.headers()) {
        Ok(grants) => grants,
        Err(text) => return (StatusCode::UNAUTHORIZED, text).into_response(),
    };
    let path = request.uri().path().to_owned();
    let (api, method) = match path.trim_start_matches("/twirp/").split_once('/') {
        Some(("livekit.Egress", method)) => (Api::Egress, method.to_owned()),
        Some(("livekit.RoomService", method)) => (Api::Rooms, method.to_owned()),
        Some(("livekit.AgentDispatchService", method)) => (Api::Agents, method.to_owned()),
        _ => return (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    };
    let route = Route { api, method: &method, path: &path, http: request.method().clone() };
    let form = match route.form(request.headers()) {
        Ok(form) => form,
        Err(refusal) => return error(&refusal, Some(&route)),
    };
    let Ok(body) = to_bytes(request.into_body(), BODY_MAX).await else {
        return error(&Refusal::new("malformed", "failed to read request body"), None);
    };
    let request =
        match route.read(form, &body).and_then(|(request, grant)| grant.check(&grants).map(|()| request)) {
            Ok(request) => request,
            Err(refusal) => return error(&refusal, None),
        };
    match shared.control.live.call(request).await {
        Some(Ok(reply)) => answer(form, &method, &reply),
        Some(Err(refusal)) => error(&refusal, None),
        None => {
            line.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Where a call goes.
struct Route<'a> {
    api: Api,
    method: &'a str,
    path: &'a str,
    http: HttpMethod,
}

impl Route<'_> {
    fn form(&self, headers: &HeaderMap) -> Result<Form, Refusal> {
        if self.http != HttpMethod::POST {
            return Err(bad_route(&format!("unsupported method \"{}\" (only POST is allowed)", self.http)));
        }
        if !self.is_known() {
            return Err(bad_route(&format!("no handler for path \"{}\"", self.path)));
        }
        let given =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            PROTOBUF => Ok(Form::Protobuf),
            JSON => Ok(Form::Json),
            _ => Err(bad_route(&format!("unexpected Content-Type: \"{given}\""))),
        }
    }

    /// Whether LiveKit has the method, here or not.
    fn is_known(&self) -> bool {
        match self.api {
            Api::Egress => matches!(
                self.method,
                "StartRoomCompositeEgress"
                    | "StartEgress"
                    | "StartWebEgress"
                    | "StartParticipantEgress"
                    | "StartTrackCompositeEgress"
                    | "StartTrackEgress"
                    | "UpdateLayout"
                    | "UpdateStream"
                    | "ListEgress"
                    | "StopEgress"
            ),
            Api::Rooms => matches!(
                self.method,
                "CreateRoom"
                    | "ListRooms"
                    | "DeleteRoom"
                    | "ListParticipants"
                    | "GetParticipant"
                    | "RemoveParticipant"
                    | "MutePublishedTrack"
                    | "UpdateParticipant"
                    | "UpdateSubscriptions"
                    | "SendData"
                    | "UpdateRoomMetadata"
                    | "ForwardParticipant"
                    | "MoveParticipant"
                    | "PerformRpc"
            ),
            Api::Agents => matches!(self.method, "CreateDispatch" | "ListDispatch" | "DeleteDispatch"),
        }
    }

    fn read(&self, form: Form, body: &Bytes) -> Result<(Request, Grant), Refusal> {
        match self.api {
            Api::Egress => self.read_egress(form, body),
            Api::Rooms => self.read_rooms(form, body),
            Api::Agents => self.read_agents(form, body),
        }
    }

    fn read_egress(&self, form: Form, body: &Bytes) -> Result<(Request, Grant), Refusal> {
        let named = |text: String| (!text.is_empty()).then_some(text);
        let request = match self.method {
            "StartRoomCompositeEgress" => Request::StartEgress(proto::start_order(decode(form, body)?)?),
            "StopEgress" => {
                let request: lk::StopEgressRequest = decode(form, body)?;
                Request::StopEgress(EgressId::from_trusted(request.egress_id))
            }
            "ListEgress" => {
                let request: lk::ListEgressRequest = decode(form, body)?;
                Request::ListEgress {
                    egress: named(request.egress_id).map(EgressId::from_trusted),
                    room: named(request.room_name).map(RoomId::from_trusted),
                    active: request.active,
                }
            }
            _ => return Err(self.unimplemented()),
        };
        Ok((request, Grant::Record))
    }

    fn read_rooms(&self, form: Form, body: &Bytes) -> Result<(Request, Grant), Refusal> {
        Ok(match self.method {
            "CreateRoom" => (Request::CreateRoom(proto::new_room(decode(form, body)?)), Grant::Create),
            "ListRooms" => {
                let request: lk::ListRoomsRequest = decode(form, body)?;
                (
                    Request::ListRooms(request.names.into_iter().map(RoomId::from_trusted).collect()),
                    Grant::List,
                )
            }
            "DeleteRoom" => {
                let request: lk::DeleteRoomRequest = decode(form, body)?;
                (Request::DeleteRoom(RoomId::from_trusted(request.room)), Grant::Create)
            }
            "ListParticipants" => {
                let request: lk::ListParticipantsRequest = decode(form, body)?;
                let room = RoomId::from_trusted(request.room);
                (Request::ListParticipants(room.clone()), Grant::Admin(room))
            }
            "GetParticipant" | "RemoveParticipant" => {
                let request: lk::RoomParticipantIdentity = decode(form, body)?;
                let room = RoomId::from_trusted(request.room);
                let grant = Grant::Admin(room.clone());
                match self.method {
                    "GetParticipant" => (Request::GetParticipant(room, request.identity), grant),
                    _ => (Request::RemoveParticipant(room, request.identity), grant),
                }
            }
            "UpdateParticipant" => {
                let request: lk::UpdateParticipantRequest = decode(form, body)?;
                let room = RoomId::from_trusted(request.room);
                let grant = Grant::Admin(room.clone());
                (Request::UpdateParticipant(room, request.identity, request.metadata), grant)
            }
            "SendData" => {
                let message = proto::data_message(decode(form, body)?);
                let room = message.room.clone();
                (Request::SendData(message), Grant::Admin(room))
            }
            "UpdateRoomMetadata" => {
                let request: lk::UpdateRoomMetadataRequest = decode(form, body)?;
                let room = RoomId::from_trusted(request.room);
                (Request::UpdateRoomMetadata(room.clone(), request.metadata), Grant::Admin(room))
            }
            _ => return Err(self.unimplemented()),
        })
    }

    fn read_agents(&self, form: Form, body: &Bytes) -> Result<(Request, Grant), Refusal> {
        let (room, request): (_, fn(_, _) -> _) = match self.method {
            "CreateDispatch" => {
                let request: lk::CreateAgentDispatchRequest = decode(form, body)?;
                ((request.room, request.agent_name), Request::CreateDispatch)
            }
            "ListDispatch" => {
                let request: lk::ListAgentDispatchRequest = decode(form, body)?;
                ((request.room, String::new()), |room, _| Request::ListDispatch(room))
            }
            _ => {
                let request: lk::DeleteAgentDispatchRequest = decode(form, body)?;
                ((request.room, request.dispatch_id), Request::DeleteDispatch)
            }
        };
        let (room, what) = room;
        let room = RoomId::from_trusted(room);
        Ok((request(room.clone(), what), Grant::Admin(room)))
    }

    fn unimplemented(&self) -> Refusal {
        Refusal::new("unimplemented", &format!("the simulator has no {}", self.method))
    }
}

fn decode<M: Message + Default + DeserializeOwned>(form: Form, body: &Bytes) -> Result<M, Refusal> {
    let malformed = |what| Refusal::new("malformed", &format!("the {what} request could not be decoded"));
    match form {
        Form::Protobuf => M::decode(body.clone()).map_err(|_| malformed("protobuf")),
        Form::Json => serde_json::from_slice(body).map_err(|_| malformed("json")),
    }
}

fn answer(form: Form, method: &str, reply: &Reply) -> Response {
    match reply {
        Reply::Egress(view) => encode(form, &proto::egress(view), &json::egress()),
        Reply::Egresses(views) => {
            let items = views.iter().map(proto::egress).collect();
            encode(form, &lk::ListEgressResponse { items, next_page_token: None }, &json::egresses())
        }
        Reply::Room(view) => encode(form, &proto::room(view), &json::room()),
        Reply::Rooms(views) => {
            let rooms = views.iter().map(proto::room).collect();
            encode(form, &lk::ListRoomsResponse { rooms }, &json::rooms())
        }
        Reply::Participant(view) => encode(form, &proto::participant(view), &json::participant()),
        Reply::Participants(views) => {
            let participants = views.iter().map(proto::participant).collect();
            encode(form, &lk::ListParticipantsResponse { participants }, &json::participants())
        }
        Reply::Dispatch(sent) => encode(form, &proto::dispatch(sent), &json::dispatch()),
        Reply::Dispatches(sent) => {
            let agent_dispatches = sent.iter().map(proto::dispatch).collect();
            encode(form, &lk::ListAgentDispatchResponse { agent_dispatches }, &json::dispatches())
        }
        Reply::Done if method == "SendData" => encode(form, &lk::SendDataResponse::default(), &json!({})),
        Reply::Done => encode(form, &lk::DeleteRoomResponse::default(), &json!({})),
    }
}

fn encode<M: Message + Serialize>(form: Form, message: &M, empty: &Value) -> Response {
    match form {
        Form::Protobuf => ([(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response(),
        Form::Json => match serde_json::to_value(message) {
            Ok(value) => Json(json::as_answered(value, empty)).into_response(),
            Err(_) => error(&Refusal::new("internal", "failed to marshal json response"), None),
        },
    }
}

fn bad_route(text: &str) -> Refusal {
    Refusal::new("bad_route", text)
}

/// A bad route shows which.
fn error(refusal: &Refusal, route: Option<&Route<'_>>) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = json!({"code": refusal.code, "msg": refusal.message});
    if let Some(route) = route {
        body["meta"] = json!({"twirp_invalid_route": format!("{} {}", route.http, route.path)});
    }
    (status, Json(body)).into_response()
}
