//! A room recorded on MongoDB, Redis and S3, said by OpenVidu Meet's own variables: what lies in them, and what
//! happens while one of them is away.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use redis::aio::MultiplexedConnection;
use redis::cmd;
use reqwest::Method;
use serde_json::Value;

use crate::backends::{self, ACCESS_KEY, Backend, SECRET_KEY, typed};
use crate::meeting::Meeting;
use crate::node::webhook_url;
use crate::stack::{Process, Program, Stack, Tools, eventually, free_address};

const PASSWORD: &str = "a%strange@password";
/// Nobody is waited for longer than a call may take, and a little.
const ANSWERED: Duration = Duration::from_secs(6);

/// The three, and a meeting on them.
struct Backed {
    meeting: Meeting,
    mongo: Backend,
    redis: Backend,
    s3: Backend,
}

impl Backed {
    async fn start() -> Self {
        let address = free_address();
        let stack = Stack::start(Tools::of("light"), &webhook_url(address)).await;
        // The worker writes into the folder that is the bucket.
        std::fs::create_dir_all(stack.blobs()).unwrap();
        let (mongo, redis, s3) =
            tokio::join!(backends::mongo(), backends::redis(PASSWORD), backends::s3_over(stack.folder()));
        let options = environment(&mongo, &redis, &s3);
        let options: Vec<_> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut meeting = Meeting::on(stack, address, &options).await;
        meeting.add_worker("").await;
        Self { meeting, mongo, redis, s3 }
    }

    fn behind(&mut self, dependency: &str) -> &mut Backend {
        match dependency {
            "store" => &mut self.mongo,
            "coordination" => &mut self.redis,
            _ => &mut self.s3,
        }
    }

    async fn redis(&self) -> MultiplexedConnection {
        let info = redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.redis.port());
        let info = redis::IntoConnectionInfo::into_connection_info(info).unwrap();
        let login = redis::RedisConnectionInfo::default().set_password(PASSWORD);
        let client = redis::Client::open(info.set_redis_settings(login)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Whether Meet's lock of the room is there, and its entry.
    async fn is_locked(&self) -> [bool; 2] {
        let lock = format!("ov_meet_lock:recording_active_{}", self.meeting.room);
        let entry = format!("ov_meet_lock_registry:{lock}");
        let mut redis = self.redis().await;
        [
            cmd("EXISTS").arg(lock).query_async(&mut redis).await.unwrap(),
            cmd("EXISTS").arg(entry).query_async(&mut redis).await.unwrap(),
        ]
    }

    async fn documents(&self, collection: &str) -> Vec<Document> {
        let uri = backends::mongo_uri(self.mongo.port(), "openvidu-meet");
        let database = mongodb::Client::with_uri_str(uri).await.unwrap().database("openvidu-meet");
        database.collection(collection).find(doc! {}).await.unwrap().try_collect().await.unwrap()
    }

    /// Waits until no room has anything left, in the ledger or as a lock.
    async fn nothing_is_left(&self) {
        eventually("nothing is left", async || {
            let rows = self.documents("reelkeeper_rooms").await;
            let owed = rows.iter().any(|row| !row.contains_key("removedAt"));
            (!owed && self.is_locked().await == [false; 2]).then_some(())
        })
        .await;
    }

    /// How `/readyz` sees a dependency.
    async fn standing(&self, dependency: &str) -> String {
        let url = format!("http://{}/readyz", self.meeting.node.address());
        let ready: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        ready["dependencies"][dependency].as_str().unwrap().to_owned()
    }

    async fn is_seen_away(&self, dependency: &str) {
        eventually(&format!("{dependency} is away"), async || {
            (self.standing(dependency).await != "ok").then_some(())
        })
        .await;
    }

    async fn is_ready(&self) {
        for dependency in ["store", "coordination", "blobs", "livekit"] {
            eventually(&format!("{dependency} is back"), async || {
                (self.standing(dependency).await == "ok").then_some(())
            })
            .await;
        }
    }
}

fn environment(mongo: &Backend, redis: &Backend, s3: &Backend) -> Vec<(&'static str, String)> {
    vec![
        ("REELKEEPER_STORE", String::new()),
        ("REELKEEPER_BLOBS", String::new()),
        (
            "MEET_MONGO_URI",
            format!("mongodb://127.0.0.1:{}/?replicaSet=rs0&directConnection=true", mongo.port()),
        ),
        ("MEET_REDIS_HOST", "127.0.0.1".to_owned()),
        ("MEET_REDIS_PORT", redis.port().to_string()),
        ("MEET_REDIS_PASSWORD", PASSWORD.to_owned()),
        ("MEET_S3_BUCKET", "blobs".to_owned()),
        ("MEET_S3_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}", s3.port())),
        ("MEET_S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("MEET_S3_SECRET_KEY", SECRET_KEY.to_owned()),
        ("REELKEEPER_LEASE_TTL", "3s".to_owned()),
        ("REELKEEPER_RECONCILE_INTERVAL", "1s".to_owned()),
        ("REELKEEPER_DUE_ROWS_INTERVAL", "1s".to_owned()),
    ]
}

/// A document's fields with their types; what differs each time is left out.
fn shape(document: &Document) -> String {
    const ALWAYS_ANOTHER: [&str; 9] = [
        "_id",
        "recordingId",
        "roomId",
        "filename",
        "accessSecrets",
        "moderatorUrl",
        "speakerUrl",
        "key",
        "passwordHash",
    ];
    let field = |(field, value): (&String, &mongodb::bson::Bson)| match value {
        value if ALWAYS_ANOTHER.contains(&field.as_str()) => format!("{field}: {:?}", value.element_type()),
        mongodb::bson::Bson::Int32(_) if ["schemaVersion", "__v"].contains(&field.as_str()) => {
            format!("{field}: {}", typed(value))
        }
        mongodb::bson::Bson::Int32(_) | mongodb::bson::Bson::Double(_) => format!("{field}: number"),
        value => format!("{field}: {}", typed(value)),
    };
    document.iter().map(field).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_room_is_recorded_on_meets_backends() {
    let backed = Backed::start().await;
    let Meeting { node, room, stack, .. } = &backed.meeting;
    assert!(!node.log().contains(PASSWORD) && !node.log().contains(SECRET_KEY), "a secret is in the log");
    let id = node.record(room).await;
    assert_eq!(backed.is_locked().await, [true; 2], "nodes of Meet keep away");
    node.stop(&id).await.expect(202);
    node.becomes(&id, "complete").await;
    backed.meeting.is_kept(&id).await;
    let mut shapes = Vec::new();
    for collection in ["meetrooms", "meetrecordings", "meetusers", "meetapikeys"] {
        let documents = backed.documents(collection).await;
        assert_eq!(documents.len(), 1, "{collection}");
        shapes.push(format!("{collection}\n{}", shape(&documents[0])));
    }
    insta::assert_snapshot!(shapes.join("\n\n"));
    node.call(Method::DELETE, &format!("recordings/{id}"), None).await.expect(200);
    assert_eq!(backed.documents("meetrecordings").await, [], "the document is gone");
    let folder = stack.blobs().join(format!("openvidu-meet/recordings/{room}"));
    assert!(!folder.exists() || std::fs::read_dir(folder).unwrap().next().is_none(), "the file is gone");
    backed.nothing_is_left().await;
}

#[tokio::test]
async fn a_room_that_a_node_of_meets_begins_to_record_is_left_to_it() {
    let backed = Backed::start().await;
    let Meeting { node, room, .. } = &backed.meeting;
    let lock = format!("ov_meet_lock:recording_active_{room}");
    let week = 7 * 24 * 3_600_000;
    let mut redis = backed.redis().await;
    let _: () =
        cmd("SET").arg(&lock).arg("f".repeat(32)).arg("PX").arg(week).query_async(&mut redis).await.unwrap();
    assert!(node.ask_to_record(room).await.message(409).contains("already"));
    // What a node left behind that died holds nobody up for long.
    let _: () = cmd("PEXPIRE").arg(&lock).arg(week - 120_000).query_async(&mut redis).await.unwrap();
    let id = node.record(room).await;
    node.stop(&id).await.expect(202);
    node.becomes(&id, "complete").await;
    backed.nothing_is_left().await;
}

#[tokio::test]
async fn a_recording_outlives_the_absence_of_each_backend() {
    let mut backed = Backed::start().await;
    let (room, id) = (backed.meeting.room.clone(), backed.meeting.node.record(&backed.meeting.room).await);
    for dependency in ["store", "coordination", "blobs"] {
        backed.behind(dependency).freeze();
        backed.is_seen_away(dependency).await;
        if dependency == "store" {
            let began = Instant::now();
            let said = backed.meeting.node.get(&format!("recordings/{id}")).await.message(503);
            assert!(said.contains("store"), "{said}");
            assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
        }
        backed.behind(dependency).thaw();
        backed.behind(dependency).kill().await;
        backed.is_seen_away(dependency).await;
        backed.behind(dependency).start_again().await;
        backed.is_ready().await;
    }
    // Redis forgot everything.
    eventually("the lock is written again", async || (backed.is_locked().await == [true; 2]).then_some(()))
        .await;
    assert!(backed.meeting.node.ask_to_record(&room).await.message(409).contains("already"));
    backed.meeting.node.stop(&id).await.expect(202);
    backed.meeting.node.becomes(&id, "complete").await;
    backed.meeting.is_kept(&id).await;
    backed.nothing_is_left().await;
}

#[tokio::test]
async fn a_recording_goes_on_though_its_node_was_killed() {
    let mut backed = Backed::start().await;
    let id = backed.meeting.node.record(&backed.meeting.room).await;
    backed.meeting.node.crash().await;
    backed.meeting.node.restart().await;
    let node = &backed.meeting.node;
    assert_eq!(node.get(&format!("recordings/{id}")).await.expect(200)["status"], "active");
    // Nobody waits for the lease of the run that was killed: it listened where this one does.
    node.stop(&id).await.expect(202);
    node.becomes(&id, "complete").await;
    backed.meeting.is_kept(&id).await;
    backed.nothing_is_left().await;
    assert!(backed.meeting.node.terminate().await.success());
}

#[tokio::test]
async fn a_start_waits_for_a_backend_for_a_while_then_gives_up_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (mut mongo, redis, s3) =
        tokio::join!(backends::mongo(), backends::redis(PASSWORD), backends::s3_over(folder.path()));
    std::fs::create_dir(folder.path().join("blobs")).unwrap();
    mongo.kill().await;
    let address = free_address();
    let mut all = environment(&mongo, &redis, &s3);
    all.extend([
        ("REELKEEPER_LISTEN", address.to_string()),
        ("LIVEKIT_URL", "ws://127.0.0.1:1".to_owned()),
        ("LIVEKIT_API_SECRET", "a-secret-of-at-least-32-characters-000".to_owned()),
        ("REELKEEPER_STORE_DEADLINE", "1s".to_owned()),
    ]);
    let serve = |more: &[(&'static str, &str)]| {
        let path = std::path::Path::new(env!("CARGO_BIN_EXE_reelkeeper"));
        let mut environment = all.clone();
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Process::start(
            folder.path(),
            Program { name: "service", path, args: vec!["serve".to_owned()], environment },
        )
    };
    let mut hasty = serve(&[("REELKEEPER_STARTUP_TIMEOUT", "2s")]);
    assert_eq!(hasty.ends().await.code(), Some(1), "{}", hasty.log());
    let last = hasty.log().lines().last().unwrap().to_owned();
    assert!(last.contains("store: mongodb://") && last.contains("given up after"), "{last}");
    assert!(last.contains("MEET_MONGO_URI") && last.contains("store is unavailable"), "{last}");

    let mut patient = serve(&[]);
    patient.says("cannot be opened yet").await;
    mongo.start_again().await;
    patient.says("listening").await;
    // LiveKit is nowhere, which stops no start.
    patient.says("nothing can be recorded until it answers").await;
    assert!(patient.terminate().await.success());

    s3.freeze();
    let mut waits = serve(&[]);
    waits.says("blobs: s3://blobs").await;
    assert!(waits.terminate().await.success(), "whoever waits can be asked to end");
    s3.thaw();
}

/// Runs the doctor; how it ended, and what it found.
async fn doctor(
    folder: &std::path::Path,
    environment: &[(&'static str, String)],
    args: &[&str],
) -> (bool, Vec<Value>) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_reelkeeper"));
    command.arg("doctor").arg("--json").args(args).current_dir(folder).env_clear();
    command.envs(environment.iter().map(|(name, value)| (*name, value)));
    let done = command.output().await.unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(!said.contains(PASSWORD) && !said.contains(SECRET_KEY), "a secret is in {said}");
    let found = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&done.stderr)));
    (done.status.success(), found)
}

fn outcomes(found: &[Value]) -> Vec<String> {
    found
        .iter()
        .map(|one| format!("{} {}", one["check"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn the_doctor_tries_everything_beside_the_service_and_leaves_nothing() {
    let mut backed = Backed::start().await;
    let stack = &backed.meeting.stack;
    let mut environment = environment(&backed.mongo, &backed.redis, &backed.s3);
    environment.extend([
        ("LIVEKIT_URL", stack.websocket_url()),
        ("LIVEKIT_API_KEY", crate::stack::KEY.to_owned()),
        ("LIVEKIT_API_SECRET", crate::stack::SECRET.to_owned()),
    ]);
    let origin = format!("http://{}", backed.meeting.node.address());
    let (well, found) = doctor(stack.folder(), &environment, &["--probe", "--service", &origin]).await;
    let expected =
        ["store ok", "coordination ok", "blobs ok", "livekit ok", "clock ok", "webhook ok", "worker ok"];
    assert_eq!((well, outcomes(&found)), (true, expected.map(str::to_owned).to_vec()), "{found:#?}");
    assert_eq!(backed.documents("meetrecordings").await, [], "no recording was made of it");
    assert_eq!(backed.documents("meetrooms").await.len(), 1, "no room but ours");
    backed.nothing_is_left().await;

    let folder = stack.folder().to_owned();
    backed.redis.kill().await;
    environment.push(("MEET_S3_BUCKET", "nowhere".to_owned()));
    environment.push(("LIVEKIT_API_SECRET", "another-secret-of-at-least-32-chars-0".to_owned()));
    let (well, found) = doctor(&folder, &environment, &[]).await;
    let expected =
        ["store ok", "coordination failed", "blobs failed", "livekit failed", "clock ok", "worker unknown"];
    assert_eq!((well, outcomes(&found)), (false, expected.map(str::to_owned).to_vec()), "{found:#?}");
    for failed in found.iter().filter(|one| one["outcome"] == "failed") {
        assert_ne!(failed["advice"], "", "{failed}");
    }
}
