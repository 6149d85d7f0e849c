//! The backing services of one test: MongoDB, Redis, and servers that speak S3, Azure Blob and Google Cloud Storage.
//!
//! Each runs on a port of its own with scratch data, may be stopped, killed and started again with the same, and ends
//! with its test. What each of them really is says `tests/stack/README.md`.

#[path = "servers/google_front.rs"]
mod google_front;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mongodb::bson::{Bson, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use reelkeeper::config::{BlobsConfig, BlobsUrl, Encryption, Secret};
use tempfile::TempDir;
use tokio::net::TcpStream;

use self::google_front::Front;
use crate::stack::{Process, Program, Tools, eventually, free_port};

/// Well-known keys of Azurite, the same in every copy of it.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// Where the files of every cloud lie.
pub const BUCKET: &str = "films";
pub const ACCESS_KEY: &str = "access";
pub const SECRET_KEY: &str = "a-secret-key";

/// One service, and what it takes to start it again.
pub struct Backend {
    name: &'static str,
    path: PathBuf,
    args: Vec<String>,
    environment: Vec<(&'static str, String)>,
    port: u16,
    process: Process,
    /// What stands before it, if its own face does not do.
    front: Option<Front>,
    // The last to go: the process writes into it.
    folder: TempDir,
}

impl Backend {
    /// Starts it and waits until it listens. `args` gets its port and its folder.
    async fn start(
        name: &'static str,
        tool: &str,
        args: impl FnOnce(u16, &str) -> Vec<String>,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("reelkeeper-{name}-")).tempdir().unwrap();
        let (path, port) = (Tools::of("light").path(tool).to_owned(), free_port());
        let args = args(port, folder.path().to_str().unwrap());
        let program = Program { name, path: &path, args: args.clone(), environment: environment.clone() };
        let process = Process::start(folder.path(), program);
        let mut service = Self { name, path, args, environment, port, process, front: None, folder };
        service.listens().await;
        service
    }

    async fn listens(&mut self) {
        let (port, process) = (self.port, &mut self.process);
        eventually("the backend listens", async || {
            process.is_alive();
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.front.as_ref().map_or(self.port, |front| front.port)
    }

    /// S3: where its buckets are folders.
    pub fn buckets(&self) -> PathBuf {
        self.folder.path().join("buckets")
    }

    /// It runs no further, and its connections stay open.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// It runs on.
    pub fn thaw(&self) {
        self.process.signal(rustix::process::Signal::CONT);
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on its port, with its data.
    pub async fn start_again(&mut self) {
        let program = Program {
            name: self.name,
            path: &self.path,
            args: self.args.clone(),
            environment: self.environment.clone(),
        };
        self.process = Process::start(self.folder.path(), program);
        self.listens().await;
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A value of a document with its type, as mongosh would not show it.
pub fn typed(value: &Bson) -> String {
    format!("{:?} {value}", value.element_type())
}

/// A mongod, as the only member of a replica set.
pub async fn mongo() -> Backend {
    let service =
        Backend::start("mongod", "MONGOD", |port, folder| words(&replica(port, folder)), Vec::new()).await;
    let admin = direct(service.port);
    let member = doc! {"_id": 0, "host": format!("127.0.0.1:{}", service.port)};
    admin.run_command(doc! {"replSetInitiate": {"_id": "rs0", "members": [member]}}).await.unwrap();
    eventually("mongod takes writes", async || {
        let hello = admin.run_command(doc! {"hello": 1}).await.ok()?;
        hello.get_bool("isWritablePrimary").ok().filter(|primary| *primary)
    })
    .await;
    service
}

/// Three mongods that elect a primary, within seconds after it is gone.
pub async fn mongo_set() -> Vec<Backend> {
    let start =
        || Backend::start("mongod", "MONGOD", |port, folder| words(&replica(port, folder)), Vec::new());
    let services = futures::future::join_all((0..3).map(|_| start())).await;
    let members: Vec<_> = (0_i32..)
        .zip(&services)
        .map(|(id, service)| doc! {"_id": id, "host": format!("127.0.0.1:{}", service.port)})
        .collect();
    let settings = doc! {"electionTimeoutMillis": 1500, "heartbeatIntervalMillis": 500};
    let set = doc! {"_id": "rs0", "members": members, "settings": settings};
    direct(services[0].port).run_command(doc! {"replSetInitiate": set}).await.unwrap();
    eventually("the set has a primary", async || primary_of(&services).await).await;
    services
}

/// Which of a set takes writes.
pub async fn primary_of(set: &[Backend]) -> Option<usize> {
    let asked = set.iter().map(async |service| {
        let admin = direct(service.port);
        let hello = admin.run_command(doc! {"hello": 1});
        let hello = tokio::time::timeout(std::time::Duration::from_secs(1), hello.into_future()).await;
        hello.ok()?.ok()?.get_bool("isWritablePrimary").ok().filter(|primary| *primary)
    });
    futures::future::join_all(asked).await.iter().position(Option::is_some)
}

/// The URI of a set.
pub fn mongo_set_uri(set: &[Backend], database: &str) -> String {
    let hosts: Vec<_> = set.iter().map(|service| format!("127.0.0.1:{}", service.port)).collect();
    format!("mongodb://{}/{database}?replicaSet=rs0", hosts.join(","))
}

fn replica(port: u16, folder: &str) -> String {
    format!(
        "--dbpath {folder} --port {port} --bind_ip 127.0.0.1 --replSet rs0 --wiredTigerCacheSizeGB 0.25 --quiet \
         --logpath {folder}/mongod.txt"
    )
}

/// The administration of one mongod, whatever its role.
fn direct(port: u16) -> mongodb::Database {
    let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(port) };
    let options = ClientOptions::builder().hosts(vec![address]).direct_connection(true).build();
    mongodb::Client::with_options(options).unwrap().database("admin")
}

/// A mongod alone.
pub async fn lone_mongo() -> Backend {
    lone_mongo_with("").await
}

/// The same with further options.
pub async fn lone_mongo_with(options: &str) -> Backend {
    let args = |port, folder: &str| {
        words(&format!(
            "--dbpath {folder} --port {port} --bind_ip 127.0.0.1 --wiredTigerCacheSizeGB 0.25 --quiet \
             --logpath {folder}/mongod.txt {options}"
        ))
    };
    Backend::start("mongod", "MONGOD", args, Vec::new()).await
}

/// Its URI.
pub fn mongo_uri(port: u16, database: &str) -> String {
    format!("mongodb://127.0.0.1:{port}/{database}?directConnection=true")
}

/// A Redis; without a password if that is empty.
pub async fn redis(password: &str) -> Backend {
    let args = |port, folder: &str| {
        let mut args = words(&format!(
            "--port {port} --bind 127.0.0.1 --appendonly no --databases 1024 --dir {folder} --requirepass"
        ));
        args.extend([password.to_owned(), "--save".to_owned(), String::new()]);
        args
    };
    Backend::start("redis", "REDIS_SERVER", args, Vec::new()).await
}

/// A Sentinel that watches a master and its replica, all behind one password.
pub struct Sentinel {
    pub master: Backend,
    pub replica: Backend,
    pub watch: Backend,
}

/// What the Sentinel calls its master.
pub const MASTER: &str = "films";

impl Sentinel {
    pub async fn start(password: &str) -> Self {
        let master = redis(password).await;
        let args = |port, folder: &str| {
            let mut args = words(&format!(
                "--port {port} --bind 127.0.0.1 --appendonly no --databases 1024 --dir {folder} --requirepass {password} \
                 --masterauth {password} --replicaof 127.0.0.1 {} --repl-diskless-sync-delay 0",
                master.port
            ));
            args.extend(["--save".to_owned(), String::new()]);
            args
        };
        let replica = Backend::start("replica", "REDIS_SERVER", args, Vec::new()).await;
        let args = |port, folder: &str| {
            let file = format!("{folder}/sentinel.conf");
            let lines = format!(
                "port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {password}\n\
                 sentinel monitor {MASTER} 127.0.0.1 {} 1\nsentinel auth-pass {MASTER} {password}\n\
                 sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 2000\n",
                master.port
            );
            std::fs::write(&file, lines).unwrap();
            vec![file, "--sentinel".to_owned()]
        };
        let watch = Backend::start("sentinel", "REDIS_SERVER", args, Vec::new()).await;
        let config = format!("redis://:{password}@127.0.0.1:{}", watch.port);
        let client = redis::Client::open(config).unwrap();
        eventually("the Sentinel knows the replica", async || {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let known: Vec<redis::Value> =
                redis::cmd("SENTINEL").arg("replicas").arg(MASTER).query_async(&mut connection).await.ok()?;
            (!known.is_empty()).then_some(())
        })
        .await;
        Self { master, replica, watch }
    }
}

/// A server that speaks S3, whose buckets are the folders in this one.
pub async fn s3_over(folder: &Path) -> Backend {
    let buckets = folder.display().to_string();
    let args = |port, _: &str| {
        words(&format!(
            "--quiet --port 127.0.0.1:{port} --access {ACCESS_KEY} --secret {SECRET_KEY} posix {buckets}"
        ))
    };
    Backend::start("s3", "VERSITYGW", args, Vec::new()).await
}

/// A server that speaks S3, with a bucket.
pub async fn s3() -> Backend {
    let args = |port, folder: &str| {
        std::fs::create_dir_all(format!("{folder}/buckets/{BUCKET}")).unwrap();
        words(&format!(
            "--quiet --port 127.0.0.1:{port} --access {ACCESS_KEY} --secret {SECRET_KEY} posix {folder}/buckets"
        ))
    };
    Backend::start("s3", "VERSITYGW", args, Vec::new()).await
}

/// A server that speaks Azure Blob, with a container.
pub async fn azure() -> Backend {
    let args = |port, folder: &str| {
        words(&format!(
            "--location {folder} --blobHost 127.0.0.1 --blobPort {port} --skipApiVersionCheck --silent"
        ))
    };
    let service = Backend::start("azurite", "AZURITE", args, Vec::new()).await;
    azure_container(service.port).await;
    service
}

/// A server that speaks Google Cloud Storage, with a bucket.
pub async fn google() -> Backend {
    let args = |port, _: &str| {
        words(&format!(
            "-scheme http -host 127.0.0.1 -port {port} -public-host 127.0.0.1:{port} -backend memory"
        ))
    };
    let mut service = Backend::start("gcs", "FAKE_GCS", args, Vec::new()).await;
    service.front = Some(Front::before(service.port).await);
    let url = format!("http://127.0.0.1:{}/storage/v1/b?project=test", service.port);
    let made =
        reqwest::Client::new().post(url).json(&serde_json::json!({"name": BUCKET})).send().await.unwrap();
    assert!(made.status().is_success(), "the bucket: {}", made.status());
    service
}

/// How to reach files at this port.
pub fn blobs(url: BlobsUrl, port: u16) -> BlobsConfig {
    let azure = matches!(url, BlobsUrl::Azure { .. });
    let account = if azure { format!("/{AZURITE_ACCOUNT}") } else { String::new() };
    BlobsConfig {
        url,
        subbucket: String::new(),
        endpoint: Some(format!("http://127.0.0.1:{port}{account}").parse().unwrap()),
        region: "us-east-1".to_owned(),
        keys: Some((Secret::new(ACCESS_KEY), Secret::new(SECRET_KEY))),
        path_style: true,
        encryption: Encryption::None,
        account: azure.then(|| (AZURITE_ACCOUNT.to_owned(), Secret::new(AZURITE_KEY))),
        deadline: Duration::from_secs(3),
    }
}

/// Makes the container: the one request that the client library does not know.
async fn azure_container(port: u16) {
    use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use hmac::{Hmac, Mac as _};

    let date = DateTime::from(std::time::SystemTime::now()).fmt(DateTimeFormat::HttpDate).unwrap();
    let headers = format!("x-ms-date:{date}\nx-ms-version:2021-12-02\n");
    let resource = format!("/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{BUCKET}\nrestype:container");
    let signed = format!("PUT{}{headers}{resource}", "\n".repeat(12));
    let key = BASE64_STANDARD.decode(AZURITE_KEY).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(signed.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let url = format!("http://127.0.0.1:{port}/{AZURITE_ACCOUNT}/{BUCKET}?restype=container");
    let put = reqwest::Client::new()
        .put(url)
        .header("x-ms-date", date)
        .header("x-ms-version", "2021-12-02")
        .header("authorization", format!("SharedKey {AZURITE_ACCOUNT}:{signature}"))
        .header("content-length", "0");
    let made = put.send().await.unwrap();
    assert!(made.status().is_success(), "the container: {}", made.text().await.unwrap());
}
