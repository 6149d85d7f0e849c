//! Lists of recordings over the wire (contract `recordings.md` 2, `storage.md` 1.4, and its deviations).

use std::cmp::Ordering;
use std::sync::Arc;

use form_urlencoded::byte_serialize;
use reelkeeper_actors::recording::Recording;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{API_KEY, Reelkeeper, folder};
use crate::livekit::{Scripted, Shows};
use crate::wire::{Reply, raw};

/// More than two full pages.
const MANY: usize = 250;

/// A service with many recordings in its catalog.
struct Shelf {
    service: Reelkeeper,
    /// What was stored, in the order of insertion.
    recordings: Vec<Value>,
    _livekit: Scripted,
    _folder: Arc<TempDir>,
}

/// The recording with this number. Values repeat and are missing, each in a rhythm of its own.
fn recording(number: usize) -> Value {
    let room = ["Town Hall", "Église", "town square", "Zoo", "hallway"][number % 5];
    let status = ["complete", "failed", "complete", "limit_reached", "aborted", "complete", "complete"];
    let mut recording = json!({
        "recordingId": format!("room-{}--EG_{number}--{number:010x}", number % 5),
        "roomId": format!("room-{}", number % 5),
        "roomName": room,
        "status": status[number % 7],
        "layout": "grid",
        "encoding": "H264_720P_30",
        "filename": format!("room-{}--{number:010x}.mp4", number % 5),
        "startDate": 1_700_000_000_000_i64 + i64::try_from(number * 37 % 101).unwrap() * 1000,
    });
    if !number.is_multiple_of(3) {
        recording["duration"] = json!(f64::from(u8::try_from(number * 29 % 61).unwrap()) + 0.25);
    }
    if !number.is_multiple_of(4) {
        recording["size"] = json!(1 + number * 17 % 41);
    }
    recording
}

impl Shelf {
    /// In memory, or in a file.
    async fn filled(store: &str) -> Self {
        let (livekit, folder) = (Scripted::run(Shows::All).await, folder());
        let file = format!("sqlite://{}", folder.path().join("reelkeeper.db").display());
        let store = if store == "sqlite" { file.as_str() } else { "memory://" };
        let settings = [("REELKEEPER_STORE", store)];
        let service = Reelkeeper::start_in(folder.clone(), &livekit.url, &settings).await;
        let mut shelf = Self { service, recordings: Vec::new(), _livekit: livekit, _folder: folder };
        for number in 0..MANY {
            shelf.add(recording(number)).await;
        }
        shelf
    }

    async fn add(&mut self, recording: Value) {
        let document: Recording = serde_json::from_value(recording.clone()).unwrap();
        self.service.shelve(document).await;
        self.recordings.push(recording);
    }

    async fn page(&self, query: &str, token: Option<&str>) -> Reply {
        let token: String = token.iter().flat_map(|token| byte_serialize(token.as_bytes())).collect();
        self.service.call("GET", &format!("/api/v1/recordings?{query}&nextPageToken={token}")).await
    }

    /// Every recording that a query lists, page by page.
    async fn listed(&self, query: &str) -> Vec<Value> {
        let mut listed = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.page(query, token.as_deref()).await.expect(200).json();
            listed.extend(page["recordings"].as_array().unwrap().iter().cloned());
            let pagination = &page["pagination"];
            token = pagination["nextPageToken"].as_str().map(str::to_owned);
            assert_eq!(pagination["isTruncated"], token.is_some(), "{query}");
            if token.is_none() {
                return listed;
            }
            assert_eq!(page["recordings"].as_array().map(Vec::len), count(&pagination["maxItems"]));
        }
    }

    /// What a query should list.
    fn expected(&self, field: &str, descending: bool, shown: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut expected: Vec<_> = self.recordings.iter().enumerate().filter(|(_, one)| shown(one)).collect();
        expected.sort_by(|(n, a), (m, b)| compare(&a[field], &b[field]).then(n.cmp(m)));
        if descending {
            expected.reverse();
        }
        expected.into_iter().map(|(_, recording)| recording.clone()).collect()
    }
}

fn count(number: &Value) -> Option<usize> {
    number.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// Missing values are lowest.
fn compare(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.as_str().cmp(&other.as_str()).then(one.is_number().cmp(&other.is_number())),
    }
}

#[tokio::test]
async fn every_sort_and_order_pages_through_all_of_a_filter() {
    for store in ["memory", "sqlite"] {
        let shelf = Shelf::filled(store).await;
        let in_hall = |one: &Value| one["roomName"].as_str().unwrap().to_lowercase().contains("hall");
        for field in ["startDate", "roomName", "duration", "size"] {
            for order in ["asc", "desc"] {
                let sort = format!("sortField={field}&sortOrder={order}");
                let listed = shelf.listed(&format!("{sort}&maxItems=37")).await;
                assert!(listed == shelf.expected(field, order == "desc", |_| true), "{store} {sort}");

                let filter = format!("{sort}&roomName=HALL&status=complete&maxItems=7");
                let listed = shelf.listed(&filter).await;
                let complete = |one: &Value| in_hall(one) && one["status"] == "complete";
                assert!(listed == shelf.expected(field, order == "desc", complete), "{store} {filter}");
            }
        }
        shelf.service.finish().await;
    }
}

/// In the original the second page of both filters showed one of them only.
#[tokio::test]
async fn two_filters_by_room_mean_either_on_every_page() {
    let shelf = Shelf::filled("sqlite").await;
    let either = |one: &Value| one["roomId"] == "room-3" || one["roomName"] == "Église";
    let listed = shelf.listed("roomId=room-3&roomName=%C3%89GL&maxItems=9").await;
    assert_eq!(listed.len(), 100);
    assert!(listed == shelf.expected("startDate", true, either));
    let listed = shelf.listed("roomId=room-3&roomName=.*&maxItems=9").await;
    assert!(listed == shelf.expected("startDate", true, |one| one["roomId"] == "room-3"), "no pattern");
    shelf.service.finish().await;
}

/// In the original a projection without the sort field lost or repeated everything.
#[tokio::test]
async fn a_projection_changes_nothing_about_the_pages() {
    let shelf = Shelf::filled("sqlite").await;
    for (query, field) in [("sortField=duration", "duration"), ("sortField=size&sortOrder=asc", "size")] {
        let listed = shelf.listed(&format!("{query}&fields=recordingId,status&maxItems=11")).await;
        let all = shelf.expected(field, !query.contains("asc"), |_| true);
        let shown = all.iter().map(|one| json!({"recordingId": one["recordingId"], "status": one["status"]}));
        assert!(listed == shown.collect::<Vec<_>>(), "{query}");
    }
    let without = shelf.listed(&format!("fields=-{}&maxItems=100", "startDate")).await;
    assert_eq!(without.len(), MANY);
    assert!(without.iter().all(|one| one.get("startDate").is_none() && one.get("roomId").is_some()));
    shelf.service.finish().await;
}

#[tokio::test]
async fn what_comes_and_goes_between_pages_hides_no_other() {
    for (store, order) in [("sqlite", "asc"), ("sqlite", "desc"), ("memory", "desc")] {
        let mut shelf = Shelf::filled(store).await;
        let query = format!("sortField=duration&sortOrder={order}&maxItems=10");
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        let mut fresh = MANY;
        loop {
            let page = shelf.page(&query, token.as_deref()).await.expect(200).json();
            let shown = page["recordings"].as_array().unwrap().clone();
            seen.extend(shown.iter().map(|one| one["recordingId"].clone()));
            token = page["pagination"]["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
            // The last one that was shown goes, and two others come: its like, and one that is anywhere.
            let last = shown[9]["recordingId"].as_str().unwrap();
            shelf.service.delete(last).await.expect(200);
            for like in [&shown[9], &recording(fresh)] {
                let mut new = like.clone();
                new["recordingId"] = json!(format!("room-9--EG_{fresh}--{fresh:010x}"));
                new["roomId"] = json!("room-9");
                shelf.add(new).await;
                fresh += 1;
            }
            assert!(seen.len() < 4 * MANY, "it ends");
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), seen.len(), "{store} {order}: none is shown twice");
        let all = shelf.recordings[..MANY].iter();
        assert!(all.clone().all(|one| seen.contains(&one["recordingId"])), "{store} {order}: none is lost");
        shelf.service.finish().await;
    }
}

#[tokio::test]
async fn any_bytes_as_a_token_are_a_page_or_told_to_be_none() {
    let shelf = Shelf::filled("sqlite").await;
    let token = shelf.page("", None).await.json()["pagination"]["nextPageToken"].clone();
    let token = token.as_str().unwrap().to_owned();
    for length in 0..token.len() {
        let reply = shelf.page("", Some(&token[..length])).await;
        // Empty is left out, and the padding may be missing.
        let whole = length == 0 || token[length..].bytes().all(|byte| byte == b'=');
        assert_eq!(reply.status, if whole { 200 } else { 422 }, "{length}");
    }
    for other in ["roomName", "duration", "size"] {
        let reply = shelf.page(&format!("sortField={other}"), Some(&token)).await;
        // A number may be anybody's; a name it is not.
        assert_eq!(reply.status, if other == "roomName" { 422 } else { 200 }, "{other}");
    }
    for bytes in ["%00", "%ff%fe", "%", "=", "====", "%7B%7D", "bnVsbA==", "%F0%9F%8E%AC", "a%00=="] {
        let request = format!(
            "GET /meet/api/v1/recordings?nextPageToken={bytes} HTTP/1.1\r\nhost: x\r\n\
             x-api-key: {API_KEY}\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(shelf.service.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 422 "), "{bytes}: {answer}");
        assert!(answer.contains(r#"{"field":"nextPageToken","message":"Invalid page token"}"#), "{bytes}");
    }
    shelf.service.finish().await;
}

#[tokio::test]
async fn a_page_has_the_contracts_form() {
    let shelf = Shelf::filled("memory").await;
    let first = shelf.page("", None).await.expect(200);
    assert_eq!(first.header("content-type"), "application/json");
    let page = first.json();
    assert_eq!(page["recordings"].as_array().unwrap().len(), 10);
    assert_eq!(page["recordings"][0], shelf.expected("startDate", true, |_| true)[0]);
    let token = page["pagination"]["nextPageToken"].as_str().unwrap();
    assert_eq!(page["pagination"], json!({"isTruncated": true, "maxItems": 10, "nextPageToken": token}));
    // How many there are at most is told as it is, not as it was asked for.
    for (asked, told) in [("1e9", 100), ("99.9", 99), ("0.1", 1)] {
        let page = shelf.page(&format!("maxItems={asked}"), None).await.expect(200).json();
        assert_eq!(page["pagination"]["maxItems"], told, "{asked}");
        assert_eq!(page["recordings"].as_array().unwrap().len(), told, "{asked}");
    }
    let none = shelf.page("roomId=nowhere", None).await.expect(200).json();
    assert_eq!(none, json!({"recordings": [], "pagination": {"isTruncated": false, "maxItems": 10}}));
    for (page, status) in [("", 200), ("?sortField=x", 422), ("/room-0--EG_0--0000000000/url", 200)] {
        let path = format!("/api/v1/recordings{page}");
        let (get, head) = (shelf.service.call("GET", &path).await, shelf.service.call("HEAD", &path).await);
        assert_eq!((get.status, head.status), (status, status), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    shelf.service.finish().await;
}

#[tokio::test]
async fn a_link_opens_with_one_of_two_secrets() {
    let shelf = Shelf::filled("memory").await;
    let id = shelf.recordings[0]["recordingId"].as_str().unwrap().to_owned();
    let base = format!("http://{}/meet/recording/{id}?secret=", shelf.service.address);
    for (query, secret) in [("", "0123456789"), ("?privateAccess=True", "abcdefabcd")] {
        let reply = shelf.service.call("GET", &format!("/api/v1/recordings/{id}/url{query}")).await;
        assert_eq!(reply.expect(200).json(), json!({"url": format!("{base}{secret}")}), "{query}");
    }
    let unknown = shelf.service.call("GET", "/api/v1/recordings/room-0--EG_none--u/url").await;
    unknown.refused(404, "Recording Error", "not found");
    shelf.service.finish().await;
}
