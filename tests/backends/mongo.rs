//! MongoDB: the suites of every port that it serves, and what OpenVidu Meet would find in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use reelkeeper::adapters::mongo::{MongoConfig, MongoCoordination, MongoStore};
use reelkeeper::config::Secret;
use reelkeeper_actors::ports::ledger::Ledger as _;
use reelkeeper_actors::ports::{PortErrorKind, suite};

use crate::servers::{Backend, lone_mongo, lone_mongo_with, mongo, mongo_uri, typed};

pub fn config(port: u16, database: &str) -> MongoConfig {
    MongoConfig {
        uri: Secret::new(mongo_uri(port, database)),
        database: None,
        deadline: Duration::from_secs(5),
        connections: 32,
    }
}

async fn store(service: &Backend, database: &str) -> MongoStore {
    MongoStore::connect(&config(service.port(), database)).await.unwrap()
}

pub async fn raw(service: &Backend, database: &str) -> Database {
    Client::with_uri_str(mongo_uri(service.port(), database)).await.unwrap().database(database)
}

async fn every_suite(service: &Backend) {
    let store = Arc::new(store(service, "suites").await);
    suite::ledger(&*store).await;
    suite::keys(&*store).await;
    suite::catalog(&*store).await;
    suite::outbox(&*store).await;
    suite::accounts(&*store).await;
    suite::settings(&*store).await;
    suite::inbox(&*store).await;
    suite::coordination(&MongoCoordination::new(store.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_is_every_store() {
    every_suite(&mongo().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_server_is_every_store() {
    every_suite(&lone_mongo().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meets_collections_have_meets_indexes() {
    let service = mongo().await;
    let _store = store(&service, "indexes").await;
    let database = raw(&service, "indexes").await;
    let expected: [(&str, &[&str]); 6] = [
        ("meetglobalconfigs", &["projectId_1 unique"]),
        ("meetusers", &["username_1 unique"]),
        ("meetapikeys", &["key_1 unique"]),
        (
            "meetrooms",
            &[
                "autoDeletionDate_1",
                "creationDate_-1__id_-1",
                "roomId_1 unique",
                "roomName_1_creationDate_-1__id_-1",
                "status_1_creationDate_-1__id_-1",
            ],
        ),
        (
            "meetrecordings",
            &[
                "duration_-1__id_-1",
                "recordingId_1 unique",
                "roomId_1_startDate_-1__id_-1",
                "roomName_1_startDate_-1__id_-1",
                "size_-1__id_-1",
                "startDate_-1__id_-1",
                "status_1_startDate_-1__id_-1",
            ],
        ),
        ("meetmigrations", &["name_1 unique", "status_1"]),
    ];
    for (collection, expected) in expected {
        let indexes: Vec<_> = database
            .collection::<Document>(collection)
            .list_indexes()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let mut found: Vec<_> = indexes
            .into_iter()
            .map(|index| index.options.unwrap())
            .filter(|options| options.name.as_deref() != Some("_id_"))
            .map(|options| {
                let unique = if options.unique == Some(true) { " unique" } else { "" };
                format!("{}{unique}", options.name.unwrap())
            })
            .collect();
        found.sort();
        assert_eq!(found, expected, "{collection}");
    }
    // Once more finds them there.
    let _again = store(&service, "indexes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_frozen_or_wrong_is_named_in_time() {
    let mut service = mongo().await;
    let short = MongoConfig { deadline: Duration::from_secs(1), ..config(service.port(), "away") };
    let store = MongoStore::connect(&short).await.unwrap();
    store.ping().await.unwrap();
    service.freeze();
    is_unavailable(&store, "frozen").await;
    service.thaw();
    crate::stack::eventually("it answers again", async || store.ping().await.ok()).await;
    service.kill().await;
    is_unavailable(&store, "away").await;
    let error = MongoStore::connect(&short).await.err().expect("nobody is there");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    service.start_again().await;
    crate::stack::eventually("it answers again", async || store.ping().await.ok()).await;

    for (uri, kind) in [
        ("mongodb://hush@hush@hush:x/?y", PortErrorKind::Misused),
        ("mongodb://127.0.0.1:1/?directConnection=true", PortErrorKind::Unavailable),
    ] {
        let error = MongoStore::connect(&MongoConfig { uri: Secret::new(uri), ..short.clone() }).await;
        let error = error.err().expect("no store is there");
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_at_once_and_not_repeated() {
    let service = lone_mongo_with("--auth").await;
    for (uri, kind) in [
        (
            format!("mongodb://admin:hush@127.0.0.1:{}/?directConnection=true", service.port()),
            PortErrorKind::Misused,
        ),
        (mongo_uri(service.port(), "closed"), PortErrorKind::Misused),
    ] {
        let began = Instant::now();
        let config = MongoConfig { uri: Secret::new(uri), ..config(service.port(), "closed") };
        let error = MongoStore::connect(&config).await.err().expect("it is refused");
        assert_eq!(error.kind, kind, "{error}");
        let text = error.to_string();
        assert!(!text.contains("hush") && text.contains("mend"), "{text}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_indexes_of_meets_stop_nobody() {
    use reelkeeper_actors::ports::catalog::Catalog as _;
    let service = lone_mongo().await;
    let database = raw(&service, "other").await;
    let rooms = database.collection::<Document>("meetrooms");
    for _ in 0..2 {
        rooms.insert_one(doc! {"roomId": "twice"}).await.unwrap();
    }
    let store = store(&service, "other").await;
    store.ping().await.unwrap();
    let names = rooms.list_index_names().await.unwrap();
    assert!(names.iter().any(|name| name.starts_with("creationDate")), "the others are made: {names:?}");

    let recordings = database.collection::<Document>("meetrecordings");
    recordings.drop_index("status_1_startDate_-1__id_-1").await.unwrap();
    let active = doc! {
        "recordingId": "room-abc--EG_1--0123456789", "roomId": "room-abc", "roomName": "A room",
        "status": "active", "accessSecrets": {"public": "p", "private": "q"},
    };
    recordings.insert_one(active).await.unwrap();
    let found = store.unfinished_recordings(None, 10).await.unwrap();
    assert_eq!(found.len(), 1, "what is not over is found without Meet's index too");
}

async fn is_unavailable(store: &MongoStore, how: &str) {
    let began = Instant::now();
    let error = store.ping().await.expect_err(how);
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{how}: {error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{how}: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_survive_and_nothing_of_ours_is_among_meets() {
    use reelkeeper_actors::ports::catalog::Catalog as _;
    let service = mongo().await;
    let store = store(&service, "shapes").await;
    let recordings = raw(&service, "shapes").await.collection::<Document>("meetrecordings");
    // As release 3.5 wrote it, and with what a later one may add.
    let old = doc! {
        "recordingId": "room-abc--EG_1--0123456789", "roomId": "room-abc", "roomName": "A room",
        "status": "active", "startDate": 1_700_000_000_000.25, "__v": 0, "schemaVersion": 1,
        "accessSecrets": {"public": "p", "private": "q"}, "roomOwner": "somebody", "size": 5_i64,
    };
    recordings.insert_one(&old).await.unwrap();
    let id = reelkeeper_actors::ids::RecordingId::parse("room-abc--EG_1--0123456789").unwrap();
    let stored = store.recording(&id).await.unwrap().unwrap();
    assert_eq!((stored.updated_at, stored.secrets.private.as_str()), (0, "q"));
    let ended = reelkeeper_actors::recording::Recording {
        status: reelkeeper_actors::recording::RecordingStatus::Complete,
        filename: "room-abc--0123456789.mp4".to_owned(),
        end_date: Some(1_700_000_005_000.0),
        duration: Some(5.0),
        size: Some(3e9),
        ..stored.recording
    };
    store.update_recording(&ended, 7).await.unwrap().unwrap();
    let mut new = recordings.find_one(doc! {}).await.unwrap().unwrap();
    new.remove("_id");
    let shown: Vec<_> = new.iter().map(|(field, value)| format!("{field}: {}", typed(value))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}
