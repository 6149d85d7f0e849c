//! Every way in which a call can end, against a small server on this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use livekit_api::access_token::{Claims, TokenVerifier};
use prost::Message;
use reelkeeper_actors::ports::media_server::ParticipantKind;
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const KEY: &str = "devkey";
const SECRET: &str = "a-secret-of-at-least-32-characters-000";
/// Long enough for a busy machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// What the server answers to everything.
#[derive(Clone)]
enum Reply {
    Whole(u16, &'static str, Bytes),
    /// Headers and a part of the body, then the connection breaks.
    Torn(u16),
    Hang,
}

/// One request as the server saw it.
struct Seen {
    path: String,
    claims: Claims,
    body: Bytes,
}

#[derive(Clone)]
struct Stage {
    reply: Reply,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stage {
    fn last(&self) -> Seen {
        self.seen.lock().unwrap().pop().unwrap()
    }
}

async fn serve(reply: Reply) -> (SocketAddr, Stage) {
    let stage = Stage { reply, seen: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(stage.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, stage)
}

async fn answer(State(stage): State<Stage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await.unwrap();
    let authorization = parts.headers["authorization"].to_str().unwrap();
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let claims = TokenVerifier::with_api_key(KEY, SECRET).verify(token).unwrap();
    assert_eq!(parts.headers["content-type"], "application/protobuf");
    stage.seen.lock().unwrap().push(Seen { path: parts.uri.path().to_owned(), claims, body });
    match stage.reply {
        Reply::Whole(status, kind, body) => {
            (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], body).into_response()
        }
        Reply::Torn(status) => {
            let part =
                futures::stream::iter([Ok(Bytes::from_static(b"\x0a")), Err(std::io::Error::other("torn"))]);
            let torn = Body::from_stream(part);
            (StatusCode::from_u16(status).unwrap(), [("content-type", "application/protobuf")], torn)
                .into_response()
        }
        Reply::Hang => std::future::pending().await,
    }
}

fn protobuf(message: &impl Message) -> Reply {
    Reply::Whole(200, "application/protobuf", message.encode_to_vec().into())
}

fn twirp(status: u16, code: &str, message: &str) -> Reply {
    let body = serde_json::json!({"code": code, "msg": message}).to_string();
    Reply::Whole(status, "application/json", body.into())
}

fn plain(status: u16, body: &'static str) -> Reply {
    Reply::Whole(status, "text/html", Bytes::from_static(body.as_bytes()))
}

fn options(url: String) -> LiveKitOptions {
    LiveKitOptions {
        url,
        call_timeout: PATIENCE,
        start_call_timeout: PATIENCE,
        ..LiveKitOptions::new("", KEY, SECRET)
    }
}

fn client(address: SocketAddr) -> LiveKitServer {
    LiveKitServer::new(&options(format!("ws://{address}/base/"))).unwrap()
}

fn order() -> EgressOrder {
    EgressOrder {
        room: RoomId::from_trusted("room-1"),
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filepath: "a/room-1--u".to_owned(),
    }
}

fn egress_id() -> EgressId {
    EgressId::from_trusted("EG_1")
}

fn shown(id: &str, room: &str, status: i32) -> proto::EgressInfo {
    proto::EgressInfo {
        egress_id: id.to_owned(),
        status,
        request: Some(proto::egress_info::Request::RoomComposite(egress::request(&order()))),
        room_name: room.to_owned(),
        ..Default::default()
    }
}

fn list(items: Vec<proto::EgressInfo>) -> Reply {
    protobuf(&proto::ListEgressResponse { items, next_page_token: None })
}

fn answered(status: u16, code: Option<&str>, message: &str) -> CallError {
    CallError::Answered { status, code: code.map(str::to_owned), message: message.to_owned() }
}

/// The kind of an error whose words are the operating system's.
fn kind(error: &CallError) -> &'static str {
    match error {
        CallError::NotSent(_) => "not sent",
        CallError::Answered { .. } => "answered",
        CallError::NoAnswer(_) => "no answer",
    }
}

#[tokio::test]
async fn an_answer_that_is_an_error_keeps_status_code_and_words() {
    let table = [
        (
            twirp(503, "unavailable", "no response from servers"),
            answered(503, Some("unavailable"), "no response from servers"),
        ),
        (
            twirp(404, "not_found", "requested room does not exist"),
            answered(404, Some("not_found"), "requested room does not exist"),
        ),
        (
            twirp(401, "unauthenticated", "permissions denied"),
            answered(401, Some("unauthenticated"), "permissions denied"),
        ),
        (plain(502, "<h1>502 Bad Gateway</h1>\n"), answered(502, None, "<h1>502 Bad Gateway</h1>")),
        (plain(401, "invalid token"), answered(401, None, "invalid token")),
        (plain(307, ""), answered(307, None, "")),
        (plain(204, ""), answered(204, None, "")),
    ];
    for (reply, expected) in table {
        let (address, _) = serve(reply).await;
        assert_eq!(client(address).start_egress(&order()).await, Err(expected));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_answer() {
    let table = [
        ("html", plain(200, "<h1>hello</h1>")),
        ("empty html", plain(200, "")),
        ("garbage", Reply::Whole(200, "application/protobuf", Bytes::from_static(b"\xff\xff\xff\xff"))),
        ("no egress in it", protobuf(&proto::EgressInfo::default())),
        ("unknown status", protobuf(&shown("EG_1", "room-1", 42))),
        ("torn answer", Reply::Torn(200)),
        ("torn refusal", Reply::Torn(404)),
    ];
    for (name, reply) in table {
        let (address, stage) = serve(reply).await;
        let error = client(address).start_egress(&order()).await.unwrap_err();
        assert_eq!(kind(&error), "no answer", "{name}: {error}");
        assert_eq!(stage.seen.lock().unwrap().len(), 1, "{name}: sent once and never again");
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (address, _) = serve(Reply::Hang).await;
    let url = format!("http://{address}");
    let server = LiveKitServer::new(&LiveKitOptions {
        call_timeout: SHORT,
        start_call_timeout: SHORT * 2,
        ..options(url)
    })
    .unwrap();
    assert_eq!(kind(&server.ping().await.unwrap_err()), "no answer");
    assert_eq!(kind(&server.active_egresses().await.unwrap_err()), "no answer");
    assert_eq!(kind(&server.start_egress(&order()).await.unwrap_err()), "no answer");
}

#[tokio::test]
async fn starts_that_hang_starve_nothing_else() {
    let (address, stage) = serve(Reply::Hang).await;
    let options = LiveKitOptions {
        call_timeout: SHORT,
        starts_in_flight: 1,
        calls_in_flight: 1,
        ..options(format!("http://{address}"))
    };
    let server = Arc::new(LiveKitServer::new(&options).unwrap());
    let hanging = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.start_egress(&order()).await }
    });
    tokio::time::timeout(PATIENCE, async {
        while stage.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // The second start never gets its turn, so it was not sent; the ping was, and hangs at the server.
    assert_eq!(kind(&server.start_egress(&order()).await.unwrap_err()), "not sent");
    assert_eq!(kind(&server.ping().await.unwrap_err()), "no answer");
    hanging.abort();
}

#[tokio::test]
async fn a_refused_connection_carried_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(address).start_egress(&order()).await.unwrap_err();
    assert_eq!(kind(&error), "not sent", "{error}");
    assert!(!error.to_string().contains("twirp"), "the URL stays out of it: {error}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut some = [0; 64];
        let read = socket.read(&mut some).await.unwrap();
        socket.shutdown().await.unwrap();
        read
    });
    let error = client(address).start_egress(&order()).await.unwrap_err();
    assert_eq!(kind(&error), "no answer", "{error}");
    assert!(server.await.unwrap() > 0);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/protobuf\r\n\r\n";
        socket.write_all(head).await.unwrap();
        let chunk = vec![0x0a; 1 << 20];
        while socket.write_all(&chunk).await.is_ok() {}
    });
    let error = client(address).active_egresses().await.unwrap_err();
    assert_eq!(error, CallError::NoAnswer("an answer of more than 16777216 bytes".to_owned()));
}

#[tokio::test]
async fn each_call_says_what_it_wants_and_may_do_no_more() {
    let (address, stage) = serve(protobuf(&shown("EG_1", "room-1", 1))).await;
    let server = client(address);
    let info = server.start_egress(&order()).await.unwrap();
    assert_eq!((info.egress, info.filepath.as_deref()), (egress_id(), Some("a/room-1--u")));
    let seen = stage.last();
    assert_eq!(seen.path, "/base/twirp/livekit.Egress/StartRoomCompositeEgress");
    assert_eq!(seen.claims.video, tokens::record());
    assert_eq!(proto::RoomCompositeEgressRequest::decode(seen.body).unwrap(), egress::request(&order()));

    server.stop_egress(&egress_id()).await.unwrap();
    let seen = stage.last();
    assert_eq!(seen.path, "/base/twirp/livekit.Egress/StopEgress");
    assert_eq!(proto::StopEgressRequest::decode(seen.body).unwrap().egress_id, "EG_1");

    let (address, stage) = serve(list(vec![])).await;
    let server = client(address);
    let room = RoomId::from_trusted("room-1");
    let asked = |seen: Seen| {
        assert_eq!(seen.path, "/base/twirp/livekit.Egress/ListEgress");
        let request = proto::ListEgressRequest::decode(seen.body).unwrap();
        (request.room_name, request.egress_id, request.active)
    };
    server.egress(&egress_id()).await.unwrap();
    assert_eq!(asked(stage.last()), (String::new(), "EG_1".to_owned(), false));
    server.room_egresses(&room).await.unwrap();
    assert_eq!(asked(stage.last()), ("room-1".to_owned(), String::new(), false));
    server.active_egresses().await.unwrap();
    assert_eq!(asked(stage.last()), (String::new(), String::new(), true));

    server.participants(&room).await.unwrap();
    let seen = stage.last();
    assert_eq!(seen.path, "/base/twirp/livekit.RoomService/ListParticipants");
    assert_eq!(seen.claims.video, tokens::administer(&room));
    server.ping().await.unwrap();
    let seen = stage.last();
    assert_eq!(seen.path, "/base/twirp/livekit.RoomService/ListRooms");
    assert_eq!(seen.claims.video, tokens::list_rooms());
}

#[tokio::test]
async fn an_egress_is_absent_only_if_livekit_says_so() {
    let table = [
        ("listed", list(vec![shown("EG_1", "room-1", 1)]), Some(true)),
        ("empty list", list(vec![]), Some(false)),
        ("not_found", twirp(404, "not_found", "egress does not exist"), Some(false)),
        ("another one", list(vec![shown("EG_2", "room-1", 1)]), None),
        ("bad route", twirp(404, "bad_route", "no handler"), None),
        ("plain 404", plain(404, "not found"), None),
        ("unknown status", list(vec![shown("EG_1", "room-1", 42)]), None),
        ("empty html", plain(200, ""), None),
    ];
    for (name, reply, expected) in table {
        let (address, _) = serve(reply).await;
        let found = client(address).egress(&egress_id()).await;
        assert_eq!(found.as_ref().ok().map(Option::is_some), expected, "{name}: {found:?}");
    }
}

#[tokio::test]
async fn a_list_with_something_unreadable_of_ours_is_no_answer() {
    let foreign = proto::EgressInfo { request: None, ..shown("EG_9", "room-1", 42) };
    let table = [
        ("whole", vec![shown("EG_1", "room-1", 1), shown("EG_2", "room-1", 3)], Some(2)),
        ("another room's", vec![shown("EG_1", "room-1", 1), shown("EG_2", "room-2", 1)], Some(1)),
        ("foreign", vec![shown("EG_1", "room-1", 1), foreign], Some(1)),
        ("unknown status", vec![shown("EG_1", "room-1", 1), shown("EG_2", "room-1", 42)], None),
    ];
    for (name, items, expected) in table {
        let (address, _) = serve(list(items)).await;
        let found = client(address).room_egresses(&RoomId::from_trusted("room-1")).await;
        assert_eq!(found.as_ref().ok().map(Vec::len), expected, "{name}: {found:?}");
    }
}

#[tokio::test]
async fn a_list_whose_pages_never_end_is_no_answer() {
    let more = proto::TokenPagination { token: "more".to_owned() };
    let page = proto::ListEgressResponse { items: vec![], next_page_token: Some(more) };
    let (address, stage) = serve(protobuf(&page)).await;
    let error = client(address).active_egresses().await.unwrap_err();
    assert_eq!(kind(&error), "no answer", "{error}");
    assert_eq!(stage.seen.lock().unwrap().len(), PAGES_MAX);
}

#[tokio::test]
async fn participants_of_a_room_that_is_not_there_are_none() {
    let somebody = |identity: &str, kind: i32| proto::ParticipantInfo {
        identity: identity.to_owned(),
        kind,
        ..Default::default()
    };
    let two =
        proto::ListParticipantsResponse { participants: vec![somebody("anna", 0), somebody("EG_1", 2)] };
    let both =
        vec![("anna".to_owned(), ParticipantKind::Standard), ("EG_1".to_owned(), ParticipantKind::Recorder)];
    let table = [
        (protobuf(&two), Some(both)),
        (twirp(404, "not_found", "room does not exist"), Some(vec![])),
        (plain(404, "nothing here"), None),
        (twirp(500, "internal", "redis"), None),
    ];
    for (reply, expected) in table {
        let (address, _) = serve(reply).await;
        let found = client(address).participants(&RoomId::from_trusted("room-1")).await.ok();
        let found =
            found.map(|list| list.into_iter().map(|who| (who.identity, who.kind)).collect::<Vec<_>>());
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_participant_is_there_not_there_or_unknown() {
    let room = RoomId::from_trusted("room-1");
    let anna = proto::ParticipantInfo {
        identity: "anna-1".to_owned(),
        metadata: "{}".to_owned(),
        ..Default::default()
    };
    let table = [
        (protobuf(&anna), Some(Some("{}"))),
        (twirp(404, "not_found", "participant does not exist"), Some(None)),
        (plain(404, "nothing here"), None),
        (twirp(500, "internal", "redis"), None),
    ];
    for (reply, expected) in table {
        let (address, stage) = serve(reply).await;
        let found = client(address).participant(&room, "anna-1").await.ok();
        let metadata = found.as_ref().map(|found| found.as_ref().map(|who| who.metadata.as_str()));
        assert_eq!(metadata, expected);
        let seen = stage.last();
        assert_eq!(seen.path, "/base/twirp/livekit.RoomService/GetParticipant");
        assert_eq!(seen.claims.video, tokens::administer(&room));
        assert_eq!(proto::RoomParticipantIdentity::decode(seen.body).unwrap().identity, "anna-1");
    }
}

#[tokio::test]
async fn a_room_that_is_there_is_left_as_it_is() {
    let order = RoomOrder {
        room: RoomId::from_trusted("room-1"),
        empty_timeout: Duration::from_secs(20),
        departure_timeout: Duration::from_secs(30),
        metadata: "{}".to_owned(),
    };
    let room = |name: &str| proto::Room { name: name.to_owned(), ..Default::default() };
    let there = proto::ListRoomsResponse { rooms: vec![room("room-1")] };
    let (address, stage) = serve(protobuf(&there)).await;
    client(address).create_room(&order).await.unwrap();
    assert_eq!(stage.seen.lock().unwrap().len(), 1, "it was only looked for");

    let (address, stage) = serve(protobuf(&proto::ListRoomsResponse { rooms: vec![] })).await;
    client(address).create_room(&order).await.unwrap();
    let seen = stage.last();
    assert_eq!(seen.path, "/base/twirp/livekit.RoomService/CreateRoom");
    assert_eq!(seen.claims.video, tokens::create_rooms());
    let request = proto::CreateRoomRequest::decode(seen.body).unwrap();
    let expected = proto::CreateRoomRequest {
        name: "room-1".to_owned(),
        empty_timeout: 20,
        departure_timeout: 30,
        metadata: "{}".to_owned(),
        ..Default::default()
    };
    assert_eq!(request, expected);
}

#[test]
fn a_url_that_cannot_be_used_is_a_misuse() {
    for url in ["", "localhost:7880", "redis://localhost", "ws://user:hush@localhost"] {
        let error = LiveKitServer::new(&options(url.to_owned())).unwrap_err();
        assert_eq!(error.kind, reelkeeper_actors::ports::PortErrorKind::Misused, "{url}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
