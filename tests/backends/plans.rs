//! How MongoDB carries lists out: along the contract's indexes, however many recordings there are.

use std::time::Instant;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use reelkeeper::adapters::mongo::MongoStore;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::RoomStatus;
use reelkeeper_actors::ports::catalog::Catalog as _;
use reelkeeper_actors::ports::catalog::RoomsDue;
use reelkeeper_actors::ports::catalog::list::{
    NamePart, Order, RecordingQuery, RecordingSort, RoomQuery, RoomSort,
};
use reelkeeper_actors::ports::outbox::Outbox as _;
use reelkeeper_actors::recording::{RecordingStatus, Timestamp};

use crate::mongo::{config, raw};
use crate::servers::mongo;

const RECORDINGS: i32 = 100_000;
const ROOMS: i32 = 1_000;
/// Rooms whose own lists are looked at.
const MANY_ROOMS: i32 = 20_000;
/// Letters that wait, two about each subject.
const LETTERS: i32 = 20_000;
const BATCH: i32 = 10_000;

fn recording(number: i32) -> Document {
    let room = number % ROOMS;
    doc! {
        "_id": ObjectId::new(),
        "__v": 0,
        "schemaVersion": 2,
        "recordingId": format!("room-{room}--EG_{number}--{number:010}"),
        "roomId": format!("room-{room}"),
        "roomName": format!("Room {room}"),
        "status": if number % 10 == 0 { "failed" } else { "complete" },
        "layout": "grid",
        "encoding": "H264_720P_30",
        "filename": format!("room-{room}--{number:010}.mp4"),
        "startDate": 1_700_000_000_000.0 + f64::from(number) * 1000.0,
        "endDate": 1_700_000_060_000.0 + f64::from(number) * 1000.0,
        "duration": f64::from(number % 997) + 0.5,
        "size": f64::from(number) * 1000.0,
        "accessSecrets": {"public": "aaaaaaaaaa", "private": "bbbbbbbbbb"},
    }
}

fn queries() -> Vec<(&'static str, RecordingQuery)> {
    let newest = RecordingQuery::newest(10);
    let room = Some(RoomId::from_trusted("room-7"));
    let sorted = |sort, order| RecordingQuery { sort, order, ..newest.clone() };
    vec![
        ("newest", newest.clone()),
        ("oldest", sorted(RecordingSort::StartDate, Order::Ascending)),
        ("longest", sorted(RecordingSort::Duration, Order::Descending)),
        ("smallest", sorted(RecordingSort::Size, Order::Ascending)),
        ("of a room", RecordingQuery { room_id: room.clone(), ..newest.clone() }),
        ("within a room", RecordingQuery { within: room.clone(), ..newest.clone() }),
        ("failed", RecordingQuery { status: Some(RecordingStatus::Failed), ..newest.clone() }),
        ("of a name", RecordingQuery { room_name: Some(NamePart::new("room 99")), ..newest.clone() }),
    ]
}

/// What the profiler says of the last list or aggregation: how it went, and how much it looked at.
async fn profiled(database: &mongodb::Database, of: &str) -> (String, i64, i64) {
    let profile = database.collection::<Document>("system.profile");
    let last = profile.find_one(doc! {"ns": format!("{}.{of}", database.name()), "op": {"$in": ["query", "command"]}, "planSummary": {"$exists": true}});
    let last = last.sort(doc! {"ts": -1}).await.unwrap().unwrap();
    let number = |field: &str| match last.get(field) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        _ => 0,
    };
    let sorts = if last.get_bool("hasSortStage").unwrap_or(false) { " and sorts" } else { "" };
    let plan = format!("{}{sorts}", last.get_str("planSummary").unwrap());
    (plan, number("keysExamined"), number("docsExamined"))
}

/// Which of several that fit is MongoDB's choice, and may change from page to page.
fn is_along_an_index(what: &str, plan: &str, keys: i64, looked_at: i64) {
    let seen = format!("{what}: {plan}, {keys} keys, {looked_at} documents");
    assert!(plan.starts_with("IXSCAN") && keys <= 200 && looked_at <= 200, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_hundred_thousand_is_found_along_an_index() {
    let backend = mongo().await;
    let store = MongoStore::connect(&config(backend.port(), "plans")).await.unwrap();
    let database = raw(&backend, "plans").await;
    let documents = database.collection::<Document>("meetrecordings");
    for first in (0..RECORDINGS).step_by(usize::try_from(BATCH).unwrap()) {
        documents.insert_many((first..first + BATCH).map(recording)).await.unwrap();
    }
    database.run_command(doc! {"profile": 2}).await.unwrap();
    for (name, query) in queries() {
        let mut query = query;
        for page in ["first page", "next page"] {
            let began = Instant::now();
            let found = store.recordings(&query).await.unwrap();
            let took = began.elapsed();
            assert_eq!(found.items.len(), 10, "{name}, {page}");
            let (plan, keys, looked_at) = profiled(&database, "meetrecordings").await;
            println!("{name}, {page}: {took:?}, {plan}, {keys} keys, {looked_at} documents");
            if name != "of a name" {
                is_along_an_index(&format!("{name}, {page}"), &plan, keys, looked_at);
            }
            query.after = found.next;
        }
    }
    let began = Instant::now();
    let page = store.recordings(&RecordingQuery::newest(100)).await.unwrap();
    println!("newest 100: {:?}", began.elapsed());
    assert_eq!(page.items.len(), 100);
}

fn room(number: i32) -> Document {
    let (status, date) = (["open", "closed", "open", "active_meeting"], 1_700_000_000_000.0);
    let mut room = doc! {
        "_id": ObjectId::new(),
        "__v": 0,
        "schemaVersion": 2,
        "roomId": format!("room-{number}"),
        "roomName": format!("Room {number}"),
        "creationDate": date + f64::from(number) * 1000.0,
        "config": {
            "recording": {"enabled": true, "layout": "grid", "encoding": "H264_720P_30", "allowAccessTo": "admin"},
            "chat": {"enabled": true},
            "virtualBackground": {"enabled": true},
            "e2ee": {"enabled": false},
            "captions": {"enabled": true},
        },
        "moderatorUrl": format!("/room/room-{number}?secret=aaaaaaaaaa"),
        "speakerUrl": format!("/room/room-{number}?secret=bbbbbbbbbb"),
        "status": status[usize::try_from(number % 4).unwrap()],
        "meetingEndAction": "none",
    };
    if number % 10 == 0 {
        room.insert("autoDeletionDate", date * 2.0 + f64::from(number));
    }
    room
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_rooms_is_found_along_an_index() {
    let backend = mongo().await;
    let store = MongoStore::connect(&config(backend.port(), "plans_of_rooms")).await.unwrap();
    let database = raw(&backend, "plans_of_rooms").await;
    let documents = database.collection::<Document>("meetrooms");
    for first in (0..MANY_ROOMS).step_by(usize::try_from(BATCH).unwrap()) {
        documents.insert_many((first..first + BATCH).map(room)).await.unwrap();
    }
    database.run_command(doc! {"profile": 2}).await.unwrap();
    let newest = RoomQuery::newest(10);
    let by_name = RoomQuery { sort: RoomSort::RoomName, order: Order::Ascending, ..newest.clone() };
    let by_end = RoomQuery { sort: RoomSort::AutoDeletionDate, ..newest.clone() };
    let queries = [
        ("newest", newest.clone()),
        ("oldest", RoomQuery { order: Order::Ascending, ..newest.clone() }),
        ("closed", RoomQuery { status: Some(RoomStatus::Closed), ..newest.clone() }),
        ("of a name", RoomQuery { room_name: Some(NamePart::new("room 99")), ..newest.clone() }),
        ("by name", by_name),
        ("by their end", by_end),
    ];
    for (name, mut query) in queries {
        for page in ["first page", "next page"] {
            let began = Instant::now();
            let found = store.rooms(&query).await.unwrap();
            let took = began.elapsed();
            assert_eq!(found.items.len(), 10, "{name}, {page}");
            let (plan, keys, looked_at) = profiled(&database, "meetrooms").await;
            println!("{name}, {page}: {took:?}, {plan}, {keys} keys, {looked_at} documents");
            if ["newest", "oldest", "closed"].contains(&name) {
                is_along_an_index(&format!("{name}, {page}"), &plan, keys, looked_at);
            }
            query.after = found.next;
        }
    }
    for (name, due) in [
        ("due", RoomsDue::ToBeDeletedBefore(Timestamp(3_400_000_000_100))),
        ("in a meeting", RoomsDue::InMeeting),
    ] {
        let found = store.rooms_due(due, None, 10).await.unwrap();
        assert_eq!(found.len(), 10, "{name}");
        let (plan, keys, looked_at) = profiled(&database, "meetrooms").await;
        println!("{name}: {plan}, {keys} keys, {looked_at} documents");
        if name == "due" {
            is_along_an_index(name, &plan, keys, looked_at);
        }
    }
}

/// A receiver that is away for long leaves many.
#[tokio::test(flavor = "multi_thread")]
async fn which_letters_are_due_is_found_without_reading_them() {
    let backend = mongo().await;
    let store = MongoStore::connect(&config(backend.port(), "plans_of_letters")).await.unwrap();
    let database = raw(&backend, "plans_of_letters").await;
    let body = "x".repeat(1_000);
    let letter = |number: i32| {
        let subject = format!("room-{}", number % (LETTERS / 2));
        doc! {
            "_id": format!("{subject}.{number}"),
            "subject": subject,
            "number": i64::from(number),
            "event": "recordingStarted",
            "createdAt": 1_i64,
            "body": &body,
            "state": "waiting",
            "tries": 0,
            "due": i64::from(number) + 5,
            "lastError": "",
        }
    };
    let documents = database.collection::<Document>("reelkeeper_outbox");
    for first in (0..LETTERS).step_by(usize::try_from(BATCH).unwrap()) {
        documents.insert_many((first..first + BATCH).map(letter)).await.unwrap();
    }
    database.run_command(doc! {"profile": 2}).await.unwrap();
    let began = Instant::now();
    assert_eq!(store.next_due().await.unwrap(), Some(Timestamp(5)));
    let took = began.elapsed();
    let (plan, keys, looked_at) = profiled(&database, "reelkeeper_outbox").await;
    println!("next due of {LETTERS}: {took:?}, {plan}, {keys} keys, {looked_at} documents");
    assert_eq!(looked_at, 0, "{plan}, {keys} keys");
    let leased = store.lease(Timestamp(14), Timestamp(1_000_000), 100).await.unwrap();
    assert_eq!(leased.len(), 10, "those that are due, and of each subject one");
}
