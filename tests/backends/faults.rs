//! What a backend is asked for while the line to it misbehaves: in time, with the right kind of error, without
//! harm, and over by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use reelkeeper::adapters::blobs::s3::S3Blobs;
use reelkeeper::adapters::mongo::{MongoConfig, MongoCoordination, MongoStore};
use reelkeeper::adapters::redis::RedisCoordination;
use reelkeeper::adapters::redis::target::Target;
use reelkeeper::config::{BlobsConfig, BlobsUrl};
use reelkeeper_actors::ids::{ClaimId, CommandId, DecisionId, EgressId, NodeId, RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::creation::{self, Drawn, NewRoom};
use reelkeeper_actors::meeting::status::{MeetingNews, RoomChange};
use reelkeeper_actors::ports::accounts::Accounts as _;
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::catalog::list::{RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog as _, RoomsDue, StoredRecording};
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::keys::{self, IdempotencyKeys as _, KeptCommand, ScopedKey};
use reelkeeper_actors::ports::ledger::{Expected, Ledger as _, Written};
use reelkeeper_actors::ports::outbox::{Letter, LetterState, Outbox as _};
use reelkeeper_actors::ports::settings::Settings as _;
use reelkeeper_actors::ports::{PortError, PortErrorKind, suite};
use reelkeeper_actors::recording::effect::Answer;
use reelkeeper_actors::recording::ledger::{RoomState, Row};
use reelkeeper_actors::recording::{AccessSecrets, Recording, Timestamp};
use reelkeeper_actors::settings::{GlobalSettings, SettingsChange, Webhooks};

use crate::mongo;
use crate::proxy::{Does, Proxy};
use crate::servers::{self, BUCKET};
use crate::stack::eventually;

const DEADLINE: Duration = Duration::from_secs(1);
/// A call may be made of several, each within the deadline.
const SLACK: Duration = Duration::from_millis(1500);

/// What the line does, and whether a call may succeed all the same.
const FAULTS: [(Does, Hope); 5] = [
    (Does::Delay(Duration::from_millis(10)), Hope::Succeeds),
    (Does::Delay(Duration::from_secs(3)), Hope::Fails),
    (Does::Freeze, Hope::Fails),
    (Does::Reset, Hope::Fails),
    (Does::LoseAnswers, Hope::Fails),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hope {
    Succeeds,
    Fails,
}

type Operation<A> = (&'static str, fn(Arc<A>) -> BoxFuture<'static, Result<(), PortError>>);

fn room() -> RoomId {
    RoomId::from_trusted("room-abc")
}

fn row(revision: u64) -> Row {
    Row {
        room: room(),
        owner: NodeId::from_trusted("node-1"),
        claim: ClaimId::from_trusted("claim-1"),
        epoch: 1,
        revision,
        decision: DecisionId::from_trusted("decision-1"),
        state: RoomState::default(),
    }
}

fn stored_recording() -> StoredRecording {
    let secrets = AccessSecrets { public: "p".to_owned(), private: "q".to_owned() };
    let recording = Recording { recording_id: recording(), ..suite::recording(&room()) };
    StoredRecording { recording, secrets, updated_at: 1 }
}

fn key() -> ScopedKey {
    ScopedKey {
        caller: "caller".to_owned(),
        room: room(),
        operation: keys::Operation::Start,
        key: "key".to_owned(),
    }
}

fn kept() -> KeptCommand {
    KeptCommand {
        command: CommandId::from_trusted("command-1"),
        request: "digest".to_owned(),
        entered: Timestamp(1),
        answer: None,
    }
}

fn letter() -> Letter {
    Letter {
        id: "letter-1".to_owned(),
        subject: "subject".to_owned(),
        number: 1,
        event: "recordingStarted".to_owned(),
        created_at: Timestamp(1),
        body: "{}".to_owned(),
    }
}

fn recording() -> RecordingId {
    RecordingId::new(room(), EgressId::from_trusted("EG_1"), Uid::from_trusted("0123456789"))
}

/// All operations under each fault, then once more when it is over.
async fn withstands<A: Send + Sync + 'static>(proxy: &Proxy, adapter: Arc<A>, operations: &[Operation<A>]) {
    for (does, hope) in FAULTS {
        proxy.does(does);
        let ended = operations.iter().map(async |(name, operation)| {
            let began = Instant::now();
            let ended = operation(adapter.clone()).await;
            let took = began.elapsed();
            let case = format!("{name} under {does:?}: {ended:?} after {took:?}");
            assert!(took < DEADLINE + SLACK, "{case}");
            match (&ended, hope) {
                (Ok(()), Hope::Succeeds) => {}
                (Err(error), Hope::Fails) => assert_eq!(error.kind, PortErrorKind::Unavailable, "{case}"),
                (Ok(()), Hope::Fails) | (Err(_), Hope::Succeeds) => panic!("{case}"),
            }
        });
        join_all(ended).await;
        proxy.does(Does::Pass);
        for (name, operation) in operations {
            let what = format!("{name} works after {does:?}");
            eventually(&what, async || operation(adapter.clone()).await.ok()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_store_ends_in_time_and_heals() {
    let backend = servers::mongo().await;
    let proxy = Proxy::before(backend.port()).await;
    let config = MongoConfig { deadline: DEADLINE, ..mongo::config(proxy.port(), "faults") };
    let store = Arc::new(MongoStore::connect(&config).await.unwrap());
    let operations: [Operation<MongoStore>; 24] = [
        ("ping", |store| Box::pin(async move { store.ping().await })),
        ("load", |store| Box::pin(async move { store.load(&room()).await.map(drop) })),
        ("write", |store| Box::pin(async move { store.write(&row(1), &Expected::Absent).await.map(drop) })),
        ("rows", |store| Box::pin(async move { store.rows(None, 10).await.map(drop) })),
        ("remove row", |store| {
            Box::pin(
                async move { store.remove(&room(), &ClaimId::from_trusted("claim-1"), 1).await.map(drop) },
            )
        }),
        ("room", |store| Box::pin(async move { store.room(&room()).await.map(drop) })),
        ("recording", |store| Box::pin(async move { store.recording(&recording()).await.map(drop) })),
        ("list", |store| {
            Box::pin(async move { store.recordings(&RecordingQuery::newest(10)).await.map(drop) })
        }),
        ("remove recording", |store| {
            Box::pin(async move { store.remove_recording(&recording()).await.map(drop) })
        }),
        ("answer", |store| {
            Box::pin(async move { store.answer_of(&CommandId::from_trusted("command-1")).await.map(drop) })
        }),
        ("lease", |store| {
            Box::pin(async move { store.lease(Timestamp(0), Timestamp(1), 10).await.map(drop) })
        }),
        ("user", |store| Box::pin(async move { store.user("admin").await.map(drop) })),
        ("insert recording", |store| {
            Box::pin(async move { store.insert_recording(&stored_recording()).await.map(drop) })
        }),
        ("update recording", |store| {
            Box::pin(async move { store.update_recording(&stored_recording().recording, 1).await.map(drop) })
        }),
        ("has recording", |store| {
            Box::pin(
                async move { store.has_recording(&room(), &Uid::from_trusted("0123456789")).await.map(drop) },
            )
        }),
        ("unfinished", |store| {
            Box::pin(async move { store.unfinished_recordings(None, 10).await.map(drop) })
        }),
        ("tell room", |store| {
            let news = MeetingNews::Started { sid: "RM_1".to_owned() };
            let change = RoomChange::Heard(news);
            Box::pin(async move { store.change_room(&room(), &change).await.map(drop) })
        }),
        ("API keys", |store| Box::pin(async move { store.api_keys().await.map(drop) })),
        ("enter", |store| {
            Box::pin(async move { store.enter(&key(), &kept(), Timestamp(0)).await.map(drop) })
        }),
        ("keep", |store| {
            Box::pin(async move { store.keep(&kept().command, &Answer::Deleted).await.map(drop) })
        }),
        ("put", |store| Box::pin(async move { store.put(&letter()).await.map(drop) })),
        ("delivered", |store| Box::pin(async move { store.delivered("letter-2", Timestamp(1)).await })),
        ("failed", |store| {
            Box::pin(async move { store.failed("letter-1", Some(Timestamp(1)), "refused").await })
        }),
        ("change password", |store| {
            Box::pin(async move { store.change_password("admin", "from", "to").await.map(drop) })
        }),
    ];
    withstands(&proxy, store, &operations).await;
}

fn made_room() -> Room {
    let drawn = Drawn {
        now: Timestamp(0),
        random: [0; 16],
        moderator_secret: "1".to_owned(),
        speaker_secret: "2".to_owned(),
    };
    creation::create(NewRoom::default(), &drawn)
}

fn first_settings() -> GlobalSettings {
    GlobalSettings::first("openviduMeet", Webhooks { enabled: false, url: None })
}

/// What rooms, settings and those who look after webhooks ask for.
fn of_an_admin() -> [Operation<MongoStore>; 13] {
    [
        ("rooms", |store| Box::pin(async move { store.rooms(&RoomQuery::newest(10)).await.map(drop) })),
        ("rooms due", |store| {
            Box::pin(async move { store.rooms_due(RoomsDue::InMeeting, None, 10).await.map(drop) })
        }),
        ("counts", |store| Box::pin(async move { store.counts().await.map(drop) })),
        ("remove room", |store| Box::pin(async move { store.remove_room(&made_room()).await.map(drop) })),
        ("replace API keys", |store| {
            let key = ApiKey { key: "a key".to_owned(), creation_date: 1 };
            Box::pin(async move { store.replace_api_keys(&key).await })
        }),
        ("remove API keys", |store| Box::pin(async move { store.remove_api_keys().await.map(drop) })),
        ("settings", |store| Box::pin(async move { store.settings().await.map(drop) })),
        ("first settings", |store| {
            Box::pin(async move { store.insert_first_settings(&first_settings()).await.map(drop) })
        }),
        ("change settings", |store| {
            let change = SettingsChange::Webhooks(Webhooks { enabled: false, url: None });
            Box::pin(async move { store.change_settings(&change).await.map(drop) })
        }),
        ("letters", |store| {
            Box::pin(async move { store.letters(LetterState::Dead, None, 10).await.map(drop) })
        }),
        ("replay", |store| Box::pin(async move { store.replay("letter-3", Timestamp(1)).await.map(drop) })),
        ("drop", |store| {
            Box::pin(async move { store.drop_letter("letter-3", Timestamp(1)).await.map(drop) })
        }),
        ("depth", |store| Box::pin(async move { store.depth().await.map(drop) })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_asks_of_the_store_ends_in_time_and_heals() {
    let backend = servers::mongo().await;
    let proxy = Proxy::before(backend.port()).await;
    let config = MongoConfig { deadline: DEADLINE, ..mongo::config(proxy.port(), "admin") };
    let store = Arc::new(MongoStore::connect(&config).await.unwrap());
    withstands(&proxy, store, &of_an_admin()).await;
}

/// A write whose answer is lost may have been applied: whoever asks again finds out, and nothing is done twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let backend = servers::mongo().await;
    let proxy = Proxy::before(backend.port()).await;
    let config = MongoConfig { deadline: DEADLINE, ..mongo::config(proxy.port(), "lost") };
    let store = MongoStore::connect(&config).await.unwrap();
    proxy.does(Does::LoseAnswers);
    store.write(&row(1), &Expected::Absent).await.expect_err("no answer came");
    proxy.does(Does::Pass);
    let again = eventually("it answers", async || store.write(&row(1), &Expected::Absent).await.ok()).await;
    let Written::Refused(Some(found)) = again else { panic!("it was not applied, or twice: {again:?}") };
    assert_eq!(*found, row(1), "the same decision");
}

/// What every coordination does.
fn of_coordination<C: Coordination + 'static>() -> Vec<Operation<C>> {
    vec![
        ("renew", |port| {
            Box::pin(async move { port.renew(&NodeId::from_trusted("node-1"), DEADLINE).await })
        }),
        ("standing", |port| {
            Box::pin(async move { port.standing(&NodeId::from_trusted("node-1")).await.map(drop) })
        }),
        ("reserve", |port| {
            Box::pin(async move { port.reserve_name(&room(), "Ann", DEADLINE).await.map(drop) })
        }),
        ("free name", |port| Box::pin(async move { port.free_name(&room(), "Ann").await })),
        ("free names", |port| Box::pin(async move { port.free_names(&room()).await })),
        ("want captions", |port| {
            Box::pin(async move { port.want_captions(&room(), "ann-1", DEADLINE).await })
        }),
        ("decline captions", |port| {
            Box::pin(async move { port.decline_captions(&room(), "ann-1").await.map(drop) })
        }),
        ("captions wanted", |port| {
            Box::pin(async move { port.are_captions_wanted(&room()).await.map(drop) })
        }),
        ("forget captions", |port| Box::pin(async move { port.forget_captions(&room()).await })),
        ("count", |port| Box::pin(async move { port.add_to_count("logins", DEADLINE).await.map(drop) })),
        ("take from count", |port| Box::pin(async move { port.take_from_count("logins").await })),
        ("task", |port| {
            Box::pin(async move {
                port.take_task("task", &NodeId::from_trusted("node-1"), DEADLINE).await.map(drop)
            })
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_redis_ends_in_time_and_heals() {
    let backend = servers::redis("").await;
    let proxy = Proxy::before(backend.port()).await;
    let target = Target::parse(&format!("redis://127.0.0.1:{}", proxy.port())).unwrap();
    let coordination = Arc::new(RedisCoordination::connect(target, "reelkeeper", DEADLINE).await.unwrap());
    let mut operations = of_coordination();
    operations.extend::<[Operation<RedisCoordination>; 2]>([
        ("hold", |redis| Box::pin(async move { redis.hold_room(&room(), DEADLINE).await.map(drop) })),
        ("free", |redis| Box::pin(async move { redis.free_room(&room()).await })),
    ]);
    withstands(&proxy, coordination, &operations).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_coordination_in_the_store_ends_in_time_and_heals() {
    let backend = servers::mongo().await;
    let proxy = Proxy::before(backend.port()).await;
    let config = MongoConfig { deadline: DEADLINE, ..mongo::config(proxy.port(), "leases") };
    let store = Arc::new(MongoStore::connect(&config).await.unwrap());
    let coordination = Arc::new(MongoCoordination::new(store));
    withstands(&proxy, coordination, &of_coordination()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_a_cloud_ends_in_time_and_heals() {
    let backend = servers::s3().await;
    let proxy = Proxy::before(backend.port()).await;
    let url = BlobsUrl::S3 { bucket: BUCKET.to_owned() };
    let config = BlobsConfig { deadline: DEADLINE, ..servers::blobs(url, proxy.port()) };
    let blobs = Arc::new(S3Blobs::connect(&config, BUCKET).await);
    let operations: [Operation<S3Blobs>; 6] = [
        ("ping", |blobs| Box::pin(async move { blobs.ping().await })),
        ("head", |blobs| Box::pin(async move { blobs.head("a/film.mp4").await.map(drop) })),
        ("read", |blobs| Box::pin(async move { blobs.read("a/film.mp4", 0..=4).await.map(drop) })),
        ("put", |blobs| {
            Box::pin(async move { blobs.put("a/film.mp4", Bytes::from_static(b"a film")).await })
        }),
        ("list", |blobs| Box::pin(async move { blobs.list("a", None, 10).await.map(drop) })),
        ("remove", |blobs| Box::pin(async move { blobs.remove("b/film.mp4").await.map(drop) })),
    ];
    withstands(&proxy, blobs, &operations).await;
}
