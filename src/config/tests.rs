//! Precedence, sources, faults and warnings, as tables.

use std::io::Write;

use super::*;

const LIVEKIT: (&str, &str) = ("REELKEEPER_LIVEKIT", "ws://livekit:7880");

fn load(flags: &Flags, env: &[(&str, &str)]) -> Result<(Config, Vec<Warning>), Faults> {
    Config::load(flags, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn good(env: &[(&str, &str)]) -> Config {
    load(&Flags::default(), env).unwrap().0
}

fn faults(env: &[(&str, &str)]) -> Vec<String> {
    load(&Flags::default(), env).unwrap_err().faults.iter().map(Fault::to_string).collect()
}

/// A file that lives as long as the test; its name holds the test's.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reelkeeper-{}-{name}.toml", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Self(path)
    }

    fn flags(&self) -> Flags {
        Flags { config: Some(self.0.clone()), ..Default::default() }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = good(&[LIVEKIT]);
    assert_eq!(config.listen.to_string(), "0.0.0.0:6080");
    assert_eq!((config.base_path.as_str(), &config.base_url), ("/meet", &None));
    assert_eq!((config.name_id.as_str(), &config.initial_api_key), ("openviduMeet", &None));
    assert_eq!(config.store.url, StoreUrl::Sqlite("data/reelkeeper.db".into()));
    assert_eq!(config.coordination.url, CoordinationUrl::Memory);
    assert_eq!(config.blobs.url, BlobsUrl::Folder("data/blobs".into()));
    assert_eq!(config.livekit.url, MediaServerUrl::Server("ws://livekit:7880".to_owned()));
    assert_eq!(config.livekit.public_url.as_deref(), Some("ws://livekit:7880"));
    let seconds = [
        (config.start_timeout, 20),
        (config.stop_timeout, 30),
        (config.request_timeout, 10),
        (config.reconcile_interval, 15),
        (config.min_auto_delete, 3600),
        (config.lease_ttl, 15),
        (config.drain_timeout, 30),
        (config.livekit.call_timeout, 5),
        (config.start_call_timeout(), 50),
    ];
    for (duration, seconds) in seconds {
        assert_eq!(duration, Duration::from_secs(seconds));
    }
    assert_eq!(config.policy(), Policy::default());
    assert_eq!(config.sweeps(), Sweeps::default());
    assert_eq!(config.log.format, LogFormat::Auto);
    let sources: Vec<_> = config.settings.iter().map(|setting| setting.key).collect();
    let known: Vec<_> = options::OPTIONS.iter().map(|option| option.key).collect();
    assert_eq!(sources, known, "every option is read, in the order of the file");
}

#[test]
fn a_later_layer_wins_and_its_source_is_known() {
    let file = File::new("layers", "start_timeout = \"40s\"\n[store]\nurl = \"memory://\"\nqueue = 7\n");
    let mut flags = file.flags();
    let source = |flags: &Flags, env: &[(&str, &str)], key: &str| {
        let (config, _) = load(flags, env).unwrap();
        let setting = config.settings.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.clone(), setting.source.clone())
    };
    let from_file = format!("file {}", file.0.display());
    assert_eq!(source(&flags, &[LIVEKIT], "start_timeout"), ("40s".to_owned(), from_file.clone()));
    assert_eq!(source(&flags, &[LIVEKIT], "store.queue"), ("7".to_owned(), from_file));
    assert_eq!(source(&flags, &[LIVEKIT], "stop_timeout"), ("30s".to_owned(), "default".to_owned()));

    let env = [LIVEKIT, ("REELKEEPER_START_TIMEOUT", "50s"), ("REELKEEPER_STORE_QUEUE", "")];
    let variable = ("50s".to_owned(), "REELKEEPER_START_TIMEOUT".to_owned());
    assert_eq!(source(&flags, &env, "start_timeout"), variable);
    assert_eq!(source(&flags, &env, "store.queue").0, "7", "an empty variable is not set");

    flags.preset("dev", "start_timeout", "5s");
    flags.preset("dev", "listen", "127.0.0.1:6080");
    assert_eq!(source(&flags, &env, "start_timeout"), ("5s".to_owned(), "command dev".to_owned()));
    flags.listen = Some("127.0.0.1:7000".to_owned());
    flags.set.push(("start_timeout".to_owned(), "6s".to_owned()));
    assert_eq!(source(&flags, &env, "listen"), ("127.0.0.1:7000".to_owned(), "--listen".to_owned()));
    assert_eq!(source(&flags, &env, "start_timeout"), ("6s".to_owned(), "--set start_timeout".to_owned()));
}

#[test]
fn the_ports_are_told_with_what_chose_them() {
    let config = good(&[("LIVEKIT_URL", "wss://lk"), ("REELKEEPER_BLOBS", "file:///srv/files")]);
    let lines = ["store", "coordination", "blobs", "livekit"].map(|port| config.port_line(port));
    let expected = [
        "store: sqlite://data/reelkeeper.db (default)",
        "coordination: memory:// (default)",
        "blobs: file:///srv/files (REELKEEPER_BLOBS)",
        "livekit: wss://lk (LIVEKIT_URL)",
    ];
    assert_eq!(lines, expected);
    assert_eq!(config.blobs.url, BlobsUrl::Folder("/srv/files".into()));
}

#[test]
fn meets_names_are_understood_and_yield_to_ours() {
    let meet = [
        ("SERVER_PORT", "7000"),
        ("MEET_BASE_PATH", "/"),
        ("MEET_BASE_URL", "https://meet.example.com:443/"),
        ("MEET_NAME_ID", "mine"),
        ("MEET_INITIAL_API_KEY", "key"),
        ("MEET_LOG_LEVEL", "silly"),
        ("LIVEKIT_URL", "wss://public"),
        ("LIVEKIT_URL_PRIVATE", "ws://private:7880"),
        ("LIVEKIT_API_KEY", "k"),
        ("LIVEKIT_API_SECRET", "s"),
        ("MEET_INITIAL_ADMIN_USER", "boss"),
        ("MEET_INITIAL_ADMIN_PASSWORD", "hush"),
        ("MEETING_EMPTY_TIMEOUT", "30s"),
        ("MEETING_DEPARTURE_TIMEOUT", "1m"),
        ("MEET_CAPTIONS_ENABLED", "true"),
    ];
    let config = good(&meet);
    assert_eq!(config.listen.to_string(), "0.0.0.0:7000");
    assert_eq!(config.base_path, "");
    assert_eq!(config.base_url.as_deref(), Some("https://meet.example.com"));
    assert_eq!((config.name_id.as_str(), config.log.filter.as_str()), ("mine", "trace"));
    assert_eq!(config.initial_api_key, Some(Secret::new("key")));
    assert_eq!(config.livekit.url, MediaServerUrl::Server("ws://private:7880".to_owned()));
    assert_eq!(config.livekit.public_url.as_deref(), Some("wss://public"));
    assert_eq!((config.livekit.api_key.as_str(), config.livekit.api_secret.expose()), ("k", "s"));
    let admin = &config.initial_admin;
    assert_eq!((admin.username.as_str(), admin.password.expose()), ("boss", "hush"));
    let timeouts = [config.meeting_empty_timeout, config.meeting_departure_timeout];
    assert_eq!(timeouts.map(|timeout| timeout.as_secs()), [30, 60]);

    let ours =
        [("REELKEEPER_LISTEN", "[::1]:1"), ("REELKEEPER_LIVEKIT", "http://ours"), ("REELKEEPER_LOG", "warn")];
    let config = good(&[&meet[..], &ours[..]].concat());
    assert_eq!((config.listen.to_string().as_str(), config.log.filter.as_str()), ("[::1]:1", "warn"));
    assert_eq!(config.livekit.url, MediaServerUrl::Server("http://ours".to_owned()));

    let empty = [
        "SERVER_PORT",
        "MEET_BASE_PATH",
        "MEET_BASE_URL",
        "MEET_NAME_ID",
        "MEET_INITIAL_API_KEY",
        "MEET_LOG_LEVEL",
        "LIVEKIT_URL_PRIVATE",
        "MEET_MONGO_URI",
    ];
    let empty: Vec<_> = empty.into_iter().map(|name| (name, "")).collect();
    let config = good(&[&empty[..], &[("LIVEKIT_URL", "ws://lk")]].concat());
    assert_eq!((config.listen.port(), config.base_path.as_str()), (6080, "/meet"));
    assert_eq!(config.initial_api_key, None);
}

#[test]
fn meets_backends_are_chosen_by_any_of_their_variables() {
    let config = good(&[LIVEKIT, ("MEET_REDIS_HOST", "redis"), ("MEET_S3_SUBBUCKET", "/mine/")]);
    let lines = ["store", "coordination", "blobs"].map(|port| config.port_line(port));
    let expected = [
        "store: mongodb://(hidden)@localhost:27017/?replicaSet=rs0&directConnection=true (MEET_REDIS_HOST, which \
         chooses OpenVidu Meet's backends)",
        "coordination: redis://(hidden)@redis:6379/0 (MEET_REDIS_HOST, which chooses OpenVidu Meet's backends)",
        "blobs: s3://openvidu-appdata (MEET_S3_SUBBUCKET, which chooses OpenVidu Meet's backends)",
    ];
    assert_eq!(lines, expected);
    assert_eq!(config.store.database.as_deref(), Some("openvidu-meet"));
    assert_eq!((config.blobs.subbucket.as_str(), config.blobs.path_style), ("mine", true));
    assert_eq!(config.blobs.endpoint.unwrap().as_str(), "http://localhost:9000/");
    let keys = config.blobs.keys.unwrap();
    assert_eq!((keys.0.expose(), keys.1.expose()), ("minioadmin", "minioadmin"));

    let keyless = [
        &[("MEET_S3_ACCESS_KEY", ""), ("MEET_S3_SECRET_KEY", "")][..],
        &[("MEET_S3_ACCESS_KEY", "")],
        &[("MEET_S3_SECRET_KEY", ""), ("MEET_S3_ACCESS_KEY", "mine")],
    ];
    for keys in keyless {
        let env = [&[LIVEKIT, ("MEET_S3_BUCKET", "b")][..], keys].concat();
        assert_eq!(good(&env).blobs.keys, None, "without both keys AWS's own chain is asked: {keys:?}");
    }

    let ours = [
        LIVEKIT,
        ("MEET_S3_SUBBUCKET", "/mine/"),
        ("REELKEEPER_STORE", "sqlite:///var/lib/reelkeeper.db"),
        ("REELKEEPER_COORDINATION", "memory://"),
        ("REELKEEPER_BLOBS", "file://data/blobs"),
    ];
    let config = good(&ours);
    assert_eq!(config.blobs.url, BlobsUrl::Folder("data/blobs".into()));
    assert_eq!(config.blobs.subbucket, "mine");
}

#[test]
fn what_does_not_go_together_is_a_fault() {
    let mongo = ("REELKEEPER_STORE", "mongodb://user:hush@db/x");
    let alone = ("REELKEEPER_CLUSTER_SINGLE_NODE", "true");
    let cases: [(&[(&str, &str)], &str); 13] = [
        (&[mongo], "coordination.url (REELKEEPER_COORDINATION): memory:// does not go with mongodb://"),
        (&[mongo, alone], ""),
        (&[mongo, ("REELKEEPER_COORDINATION", "store://")], ""),
        (&[mongo, ("REELKEEPER_COORDINATION", "rediss://:hush@cache")], ""),
        (
            &[("REELKEEPER_COORDINATION", "store://")],
            "coordination.url (REELKEEPER_COORDINATION): redis:// and store://",
        ),
        (
            &[("REELKEEPER_COORDINATION", "redis://cache")],
            "coordination.url (REELKEEPER_COORDINATION): redis:// and",
        ),
        (
            &[("REELKEEPER_BLOBS", "s3://b"), ("REELKEEPER_BLOBS_ACCESS_KEY", "k")],
            "blobs.secret_key (REELKEEPER_BLOBS_SECRET_KEY): blobs.access_key is set",
        ),
        (
            &[("REELKEEPER_BLOBS", "s3://b"), ("REELKEEPER_BLOBS_SECRET_KEY", "hush")],
            "blobs.access_key (REELKEEPER_BLOBS_ACCESS_KEY): blobs.secret_key is set",
        ),
        (&[("REELKEEPER_BLOBS", "az://c")], "blobs.url (REELKEEPER_BLOBS): az:// needs blobs.account"),
        (
            &[
                ("REELKEEPER_BLOBS", "az://c"),
                ("REELKEEPER_BLOBS_ACCOUNT", "a"),
                ("REELKEEPER_BLOBS_ACCOUNT_KEY", "hush"),
            ],
            "",
        ),
        (
            &[("REELKEEPER_MEDIA_DELIVERY", "redirect")],
            "media.delivery (REELKEEPER_MEDIA_DELIVERY): redirect needs a bucket",
        ),
        (&[("REELKEEPER_MEDIA_DELIVERY", "redirect"), ("REELKEEPER_BLOBS", "gs://b")], ""),
        (
            &[("REELKEEPER_BLOBS", "gs://b"), ("REELKEEPER_BLOBS_SSE_TYPE", "AES")],
            "blobs.sse_type (REELKEEPER_BLOBS_SSE_TYPE): \"AES\" from",
        ),
    ];
    for (env, expected) in cases {
        let found = match load(&Flags::default(), &[&[LIVEKIT][..], env].concat()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.faults.iter().map(Fault::to_string).collect(),
        };
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{env:?}: {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with(expected)), "{env:?}: {found:?}");
        assert!(!found.join("").contains("hush"), "{found:?}");
    }
}

#[test]
fn secrets_in_urls_are_hidden() {
    let cases = [
        (
            "mongodb://user:pa@ss@a,b/db?tlsCertificateKeyFilePassword=x&w=1",
            "mongodb://(hidden)@a,b/db?tlsCertificateKeyFilePassword=(hidden)&w=1",
        ),
        (
            "redis+sentinel://:p@a:1,b:2/0?master=m&sentinel_password=x",
            "redis+sentinel://(hidden)@a:1,b:2/0?master=m&sentinel_password=(hidden)",
        ),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        (
            "mongodb://a/?authMechanismProperties=AWS_SESSION_TOKEN:x",
            "mongodb://a/?authMechanismProperties=(hidden)",
        ),
        ("s3://bucket", "s3://bucket"),
        ("plain text", "plain text"),
        ("mongodb://user:pa/ss@db/x?w=1", "mongodb://(hidden)@db/x?w=1"),
        ("redis://:pa?s#s@cache", "redis://(hidden)@cache"),
        ("user:hush@db:27017", "(hidden)@db:27017"),
    ];
    for (text, expected) in cases {
        assert_eq!(values::shown(text), expected);
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let found = faults(&[
        ("SERVER_PORT", "abc"),
        ("REELKEEPER_START_TIMEOUT", "20"),
        ("REELKEEPER_STOP_TIMEOUT", "0s"),
        ("REELKEEPER_UPLOAD_LIMIT", "48h"),
        ("REELKEEPER_LOG", "loud"),
        ("REELKEEPER_LOG_FORMAT", "xml"),
        ("REELKEEPER_STORE", "postgres://user:hush@db/x"),
        ("REELKEEPER_STORE_DATABASE", "a.b"),
        ("REELKEEPER_COORDINATION", "etcd://user:hush@localhost"),
        ("REELKEEPER_BLOBS", "s3://bucket/folder"),
        ("REELKEEPER_BLOBS_ENDPOINT", "http://user:hush@minio"),
        ("REELKEEPER_BLOBS_PATH_STYLE", "yes"),
        ("REELKEEPER_BLOBS_SUBBUCKET", "a/../b"),
        ("REELKEEPER_LIVEKIT", "ws://user:hush@lk"),
        ("LIVEKIT_API_SECRET", ""),
        ("MEET_BASE_URL", "ftp://x"),
        ("MEET_BASE_PATH", "/a b"),
        ("REELKEEPER_LIMITS_MEDIA_IN_FLIGHT", "0"),
    ]);
    insta::assert_snapshot!(found.join("\n"));
    assert!(!found.join("\n").contains("hush"));
}

#[test]
fn livekit_has_no_default() {
    let expected = "livekit.url (REELKEEPER_LIVEKIT) is not set; name LiveKit's API, such as \
                    ws://localhost:7880 (LIVEKIT_URL works too), or sim://";
    assert_eq!(faults(&[]), [expected]);
    let slip = load(&Flags::default(), &[("REELKEEPER_LIVEKTI", "ws://lk")]).unwrap_err().to_string();
    assert!(
        slip.ends_with("REELKEEPER_LIVEKTI is no option and does nothing; is REELKEEPER_LIVEKIT meant?"),
        "{slip}"
    );
    let config = good(&[("REELKEEPER_LIVEKIT", "sim://"), ("LIVEKIT_URL", "ws://lk")]);
    assert_eq!((config.livekit.url, config.livekit.public_url), (MediaServerUrl::Simulated, None));
}

#[test]
fn a_file_with_what_is_no_option_is_a_fault_with_an_offer() {
    let text = "start_timeuot = \"5s\"\nstore = \"memory://\"\n[livekit]\nurl = \"ws://lk\"\ncalls_in_flight = [1]\n";
    let file = File::new("unknown", text);
    let found = load(&file.flags(), &[]).unwrap_err();
    let name = format!("file {}", file.0.display());
    let expected = [
        format!("{name}: livekit.calls_in_flight must be a single text or number"),
        format!("{name}: start_timeuot is no option; is start_timeout meant?"),
        format!("{name}: store is no option"),
    ];
    let mut found: Vec<_> = found.faults.iter().map(Fault::to_string).collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_without_its_words() {
    let file = File::new("broken", "listen = \"127.0.0.1:1\"\n[livekit]\napi_secret = hush\n");
    let found = load(&file.flags(), &[LIVEKIT]).unwrap_err().to_string();
    assert!(found.contains("it is not TOML, at line 3"), "{found}");
    assert!(!found.contains("hush"), "{found}");

    let gone = Flags { config: Some("no/such/file.toml".into()), ..Default::default() };
    let found = load(&gone, &[LIVEKIT]).unwrap_err().to_string();
    assert!(found.contains("file no/such/file.toml: it cannot be read"), "{found}");
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[], "livekit.api_secret is LiveKit's well-known example"),
        (&[("REELKEEPER_STORE", "memory://")], "store.url is memory://"),
        (&[("REELKEEPER_LIVEKIT_CALL_TIMEOUT", "10s")], "livekit.call_timeout is not below request_timeout"),
        (
            &[("REELKEEPER_STOREE", "x")],
            "REELKEEPER_STOREE is no option and does nothing; is REELKEEPER_STORE meant?",
        ),
        (&[("REELKEEPER_COLOUR", "x")], "REELKEEPER_COLOUR is no option and does nothing"),
    ];
    for (env, expected) in table {
        let (_, warnings) = load(&Flags::default(), &[&[LIVEKIT][..], env].concat()).unwrap();
        assert!(warnings.iter().any(|warning| warning.0.starts_with(expected)), "{env:?}: {warnings:?}");
    }
    let (_, warnings) = load(&Flags::default(), &[("REELKEEPER_LIVEKIT", "sim://")]).unwrap();
    assert_eq!(warnings, [], "the simulated one makes its own secret");
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let config = good(&[LIVEKIT, ("LIVEKIT_API_SECRET", "hush"), ("MEET_INITIAL_API_KEY", "hush")]);
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn the_example_of_a_cluster_is_a_good_configuration() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/cluster.toml");
    let flags = Flags { config: Some(path.into()), ..Flags::default() };
    let env = [
        ("REELKEEPER_CLUSTER_SECRET", "a-secret-for-trying-out"),
        ("REELKEEPER_BLOBS_ACCESS_KEY", "demo"),
        ("REELKEEPER_BLOBS_SECRET_KEY", "demo-secret"),
        ("REELKEEPER_LIVEKIT_API_SECRET", "a-secret-of-at-least-32-characters"),
    ];
    let (config, warnings) = load(&flags, &[&env[..]].concat()).unwrap();
    assert_eq!(warnings, []);
    let door = config.cluster.door.unwrap();
    assert_eq!((door.listen.port(), door.advertise), (7946, None));
}

#[test]
fn a_door_needs_a_secret_and_other_nodes() {
    let mongo = ("REELKEEPER_STORE", "mongodb://db");
    let redis = ("REELKEEPER_COORDINATION", "redis://cache");
    let listen = ("REELKEEPER_CLUSTER_LISTEN", "0.0.0.0:7946");
    let secret = ("REELKEEPER_CLUSTER_SECRET", "sixteen-letters-");
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[mongo, redis, listen, secret], ""),
        (&[mongo, redis, listen], "cluster.secret (REELKEEPER_CLUSTER_SECRET): cluster.listen is set"),
        (&[listen, secret], "coordination.url (REELKEEPER_COORDINATION): memory:// knows no other nodes"),
        (
            &[mongo, redis, listen, ("REELKEEPER_CLUSTER_SECRET", "hush")],
            "cluster.secret (REELKEEPER_CLUSTER_SECRET): \"(hidden)\"",
        ),
        (
            &[mongo, redis, secret, ("REELKEEPER_CLUSTER_LISTEN", "7946")],
            "cluster.listen (REELKEEPER_CLUSTER_LISTEN): \"7946\"",
        ),
        (
            &[mongo, redis, listen, secret, ("REELKEEPER_CLUSTER_ADVERTISE", "node-1")],
            "cluster.advertise (REELKEEPER_CLUSTER_ADVERTISE): \"node-1\"",
        ),
    ];
    for (env, expected) in cases {
        let found = match load(&Flags::default(), &[&[LIVEKIT][..], env].concat()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.faults.iter().map(Fault::to_string).collect(),
        };
        assert!(
            found.is_empty() == expected.is_empty() && found.iter().take(1).all(|f| f.starts_with(expected)),
            "{env:?}: {found:?}"
        );
        assert!(!found.join("").contains("hush"), "{found:?}");
    }
}
