//! Requests that nobody expects: any method, path, query, header and body. Whatever comes is answered, in the
//! contract's form, without giving anything away.

use axum::http::HeaderValue;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use super::*;
use crate::http::{AT_ROOT, INTERNAL, PUBLIC, odd};

/// A request before it is sent.
#[derive(Debug, Clone)]
struct Odd {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl Odd {
    /// As a request, if HTTP lets it be one.
    fn request(&self, method: &str) -> Option<Request<Body>> {
        let mut builder = Request::builder().method(method).uri(&self.target);
        for (name, value) in &self.headers {
            builder = builder.header(*name, HeaderValue::from_bytes(value).ok()?);
        }
        builder.body(Body::from(self.body.clone())).ok()
    }
}

/// Every route, with anything for an id, in any letter case, with or without what follows.
fn target() -> impl Strategy<Value = String> {
    let below = |path: &&str| format!("/meet{path}");
    let routes: Vec<String> = PUBLIC
        .iter()
        .map(below)
        .chain(INTERNAL.iter().map(below))
        .chain(AT_ROOT.map(str::to_owned))
        .chain(["/meet/{any}".to_owned(), "/{any}".to_owned()])
        .collect();
    (select(routes), vec(segment(), 2), query(), any::<bool>()).prop_map(|(route, ids, query, upper)| {
        let mut ids = ids.into_iter();
        let parts = route.split('/').map(|part| match part.starts_with('{') {
            true => ids.next().unwrap_or_default(),
            false if upper => part.to_uppercase(),
            false => part.to_owned(),
        });
        format!("{}{query}", parts.collect::<Vec<_>>().join("/"))
    })
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "([a-zA-Z0-9_.~-]|%[0-9A-F]{2}|%[a-z]){0,40}",
        1 => Just(format!("none--EG_{}--u", "x".repeat(300))),
        1 => Just("room-1--EG_none--u".to_owned()),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let names = [
        "maxItems",
        "nextPageToken",
        "roomId",
        "roomName",
        "status",
        "sortField",
        "sortOrder",
        "fields",
        "recordingIds",
        "secret",
        "accessToken",
        "roomMemberToken",
        "privateAccess",
    ];
    let pair = (select(names.to_vec()), "([a-zA-Z0-9_.,~=-]|%[0-9A-F]{2}|%[a-z]){0,60}")
        .prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        Just(String::new()),
        vec(pair, 1..4).prop_map(|pairs| format!("?{}", pairs.join("&"))),
        "\\?[!-~&&[^#]]{0,40}",
    ]
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..80), "[ -~]{0,80}".prop_map(String::into_bytes)];
    let header = |name: &'static str| bytes().prop_map(move |value| (name, value));
    let other = prop_oneof![
        header("range"),
        header("if-range"),
        header("if-none-match"),
        header("idempotency-key"),
        header("x-room-member-token"),
        header("x-forwarded-proto"),
        header("x-forwarded-for"),
        header("host"),
        header("origin"),
        header("access-control-request-headers"),
        Just(("authorization", b"Bearer eyJhbGciOiJub25lIn0.e30.".to_vec())),
        "Bearer [!-~]{0,80}".prop_map(|value| ("authorization", value.into_bytes())),
    ];
    let key = option::weighted(0.8, Just(("x-api-key", KEY.as_bytes().to_vec())));
    (key, vec(other, 0..4)).prop_map(|(key, others)| key.into_iter().chain(others).collect())
}

fn body() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let room = json!({"roomName": "Hall", "config": {"recording": {"enabled": true}}});
    let json = prop_oneof![
        odd::changed(room),
        odd::changed(json!({"roomId": "none", "config": {"layout": "grid"}})),
        odd::changed(
            json!({"secret": "0123456789", "grantJoinMeetingPermission": true, "participantName": "Ann"})
        ),
        odd::changed(json!({"username": "admin", "password": "admin"})),
        odd::value(),
    ];
    prop_oneof![
        4 => json.prop_map(|value| ("application/json", value.to_string().into_bytes())),
        1 => vec(any::<u8>(), 0..200).prop_map(|bytes| ("application/json", bytes)),
        1 => vec(any::<u8>(), 0..200).prop_map(|bytes| ("application/x-www-form-urlencoded", bytes)),
        1 => odd::text().prop_map(|text| ("application/json; charset=utf-8", text.into_bytes())),
    ]
}

fn odd_request() -> impl Strategy<Value = Odd> {
    let method = select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]);
    (method, target(), headers(), body()).prop_map(|(method, target, mut headers, (kind, body))| {
        headers.push(("content-type", kind.as_bytes().to_vec()));
        Odd { method, target, headers, body }
    })
}

/// What holds for every answer.
fn check(odd: &Odd, reply: &Reply) {
    assert!(reply.status < 500, "{} for {odd:?}", reply.status);
    let told = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
    assert!(!told.contains(KEY) && !told.contains(SECRET), "{told} for {odd:?}");
    let refused = matches!(reply.status, 400 | 401 | 403 | 404 | 409 | 416 | 422);
    if refused && odd.method != "HEAD" {
        let body = reply.json();
        let said = |field: &str| body[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(said("error") && said("message"), "{body} for {odd:?}");
        assert_eq!(body["details"].is_array(), reply.status == 422, "{body} for {odd:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..odd::repeatable() })]
    #[test]
    fn nothing_a_client_sends_breaks_the_service(odd in odd_request()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let app = default_app().await;
            let Some(request) = odd.request(odd.method) else { return };
            let reply = send(&app, request).await;
            check(&odd, &reply);
            if odd.method == "GET" && let Some(head) = odd.request("HEAD") {
                let head = send(&app, head).await;
                assert_eq!((head.status, head.body.len()), (reply.status, 0), "HEAD for {odd:?}");
                assert_eq!(head.header("content-length"), reply.header("content-length"), "HEAD for {odd:?}");
            }
        });
    }

    #[test]
    fn a_recording_is_shown_whatever_else_is_asked(
        status in select(RecordingStatus::ALL.to_vec()),
        place in select(vec!["", "/media", "/url"]),
        query in query(),
        headers in headers(),
    ) {
        let target = format!("{API}/recordings/{}{place}{query}", recording(status).recording_id);
        let odd = Odd { method: "GET", target, headers, body: Vec::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let Some(request) = odd.request("GET") else { return };
            check(&odd, &send(&default_app().await, request).await);
        });
    }
}
