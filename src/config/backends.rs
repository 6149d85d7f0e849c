//! Where the store, the coordination and the files are, and how they are reached.
//!
//! Owns the options of the three ports and which of their values go together (design 2). Read `values.rs`
//! for the URLs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::Config;
use super::check::{Fault, Reader};
use super::values::{self, BlobsUrl, CoordinationUrl, Encryption, Secret, StoreUrl};

/// Shortest time that a call of a backend may be given.
const SHORTEST: Duration = Duration::from_millis(100);

/// How other nodes reach this one.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Directly; none: through the store only.
    pub door: Option<DoorConfig>,
    /// Between two looks for what others left in the store.
    pub inbox_interval: Duration,
}

/// Where a node listens for others.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// Where.
    pub listen: SocketAddr,
    /// What others call that; none: it is found out.
    pub advertise: Option<String>,
    /// What all nodes know.
    pub secret: Secret,
    /// What encrypts it; none: nothing does.
    pub tls: Option<TlsConfig>,
}

/// What encrypts connections between nodes: files in PEM.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate that this node shows, and those between it and the authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that signs the certificates of all nodes.
    pub ca: PathBuf,
    /// The name that every node's certificate is for; none: the host of each one's address.
    pub name: Option<String>,
}

/// Where rooms and recordings are kept.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where.
    pub url: StoreUrl,
    /// MongoDB: the database; none: the URL's, else that of OpenVidu Meet.
    pub database: Option<String>,
    /// Any call, until its answer.
    pub deadline: Duration,
    /// SQLite: calls that may wait.
    pub queue: usize,
    /// MongoDB: connections to each of its servers.
    pub connections: usize,
}

/// Where leases and names are kept.
#[derive(Debug, Clone)]
pub struct CoordinationConfig {
    /// Where.
    pub url: CoordinationUrl,
    /// Redis: what our keys begin with.
    pub prefix: String,
    /// Any call, until its answer.
    pub deadline: Duration,
}

/// Where files lie.
#[derive(Debug, Clone)]
pub struct BlobsConfig {
    /// Where.
    pub url: BlobsUrl,
    /// Folder of all our files, without slashes at its ends; may be empty.
    pub subbucket: String,
    /// Another address of the cloud's interface.
    pub endpoint: Option<Url>,
    /// S3: its region.
    pub region: String,
    /// S3: access key and secret key; none: AWS's default chain.
    pub keys: Option<(Secret, Secret)>,
    /// S3: whether the bucket stands in the path.
    pub path_style: bool,
    /// S3: how what we write is encrypted at rest.
    pub encryption: Encryption,
    /// Azure: account and its key.
    pub account: Option<(String, Secret)>,
    /// Any call, until its answer begins; and between two pieces of a file.
    pub deadline: Duration,
}

pub(super) fn read_store(reader: &mut Reader<'_>) -> StoreConfig {
    StoreConfig {
        url: reader.value("store.url", values::store),
        database: reader.optional("store.database", values::database),
        deadline: reader.duration("store.deadline", SHORTEST),
        queue: reader.count("store.queue", 1_000_000),
        connections: reader.count("store.connections", 10_000),
    }
}

pub(super) fn read_coordination(reader: &mut Reader<'_>) -> CoordinationConfig {
    CoordinationConfig {
        url: reader.value("coordination.url", values::coordination),
        prefix: reader.value("coordination.prefix", values::not_empty),
        deadline: reader.duration("coordination.deadline", SHORTEST),
    }
}

pub(super) fn read_cluster(reader: &mut Reader<'_>) -> ClusterConfig {
    let listen = reader.optional("cluster.listen", |text| {
        text.parse().map_err(|_| "must be an address and a port, such as 0.0.0.0:7946".to_owned())
    });
    let advertise = reader.optional("cluster.advertise", values::host_and_port);
    let secret = reader.optional("cluster.secret", values::cluster_secret);
    let tls = read_tls(reader);
    let inbox_interval = reader.duration("cluster.inbox_interval", SHORTEST);
    if tls.is_some() && listen.is_none() {
        reader.faults.push(Fault::of_option("cluster.listen", "cluster.tls_cert is set, so it must be too"));
    }
    let door = both(reader, "cluster.listen", "cluster.secret", (listen, secret));
    let door = door.map(|(listen, secret)| DoorConfig { listen, advertise, secret, tls });
    ClusterConfig { door, inbox_interval }
}

fn read_tls(reader: &mut Reader<'_>) -> Option<TlsConfig> {
    let file = |text: &str| Ok(PathBuf::from(text));
    let [cert, key, ca] =
        ["cluster.tls_cert", "cluster.tls_key", "cluster.tls_ca"].map(|name| reader.optional(name, file));
    let name = reader.optional("cluster.tls_name", values::not_empty);
    let pair = both(reader, "cluster.tls_cert", "cluster.tls_key", (cert, key));
    let (pair, ca) = both(reader, "cluster.tls_cert", "cluster.tls_ca", (pair, ca))?;
    Some(TlsConfig { cert: pair.0, key: pair.1, ca, name })
}

pub(super) fn read_blobs(reader: &mut Reader<'_>) -> BlobsConfig {
    let secret = |text: &str| Ok(Secret::new(text));
    let url = reader.value("blobs.url", values::blobs);
    let subbucket = reader.value("blobs.subbucket", values::subbucket);
    let endpoint = reader.optional("blobs.endpoint", values::endpoint);
    let region = reader.value("blobs.region", values::not_empty);
    let keys = (reader.optional("blobs.access_key", secret), reader.optional("blobs.secret_key", secret));
    let path_style = reader.value("blobs.path_style", values::switch);
    let encryption = (
        reader.optional("blobs.sse_type", values::encryption),
        reader.optional("blobs.sse_kms_key_id", values::not_empty),
        reader.optional("blobs.sse_kms_context", values::not_empty),
    );
    let account = reader.optional("blobs.account", values::not_empty);
    let account_key = reader.optional("blobs.account_key", secret);
    let needs_account = account.is_none() && account_key.is_none();
    let config = BlobsConfig {
        deadline: reader.duration("blobs.deadline", SHORTEST),
        keys: both(reader, "blobs.access_key", "blobs.secret_key", keys),
        account: both(reader, "blobs.account", "blobs.account_key", (account, account_key)),
        encryption: encryption_of(encryption),
        url,
        subbucket,
        endpoint,
        region,
        path_style,
    };
    if needs_account && matches!(config.url, BlobsUrl::Azure { .. }) {
        let problem = "az:// needs blobs.account and blobs.account_key";
        reader.faults.push(Fault::of_option("blobs.url", problem));
    }
    config
}

/// Two options that mean something together only.
fn both<A, B>(
    reader: &mut Reader<'_>,
    first: &'static str,
    second: &'static str,
    values: (Option<A>, Option<B>),
) -> Option<(A, B)> {
    match values {
        (Some(one), Some(other)) => Some((one, other)),
        (None, None) => None,
        (Some(_), None) => {
            reader.faults.push(Fault::of_option(second, format!("{first} is set, so it must be too")));
            None
        }
        (None, Some(_)) => {
            reader.faults.push(Fault::of_option(first, format!("{second} is set, so it must be too")));
            None
        }
    }
}

fn encryption_of(
    (chosen, key_id, context): (Option<Encryption>, Option<String>, Option<String>),
) -> Encryption {
    match chosen {
        Some(Encryption::Kms { .. }) => Encryption::Kms { key_id, context },
        Some(Encryption::Store) => Encryption::Store,
        Some(Encryption::None) | None => Encryption::None,
    }
}

/// Which stores go with which coordination (design 2).
pub(super) fn combination(config: &Config) -> Option<Fault> {
    if config.cluster.door.is_some() && config.coordination.url == CoordinationUrl::Memory {
        let problem = "memory:// knows no other nodes, so it does not go with cluster.listen: take redis:// or store://";
        return Some(Fault::of_option("coordination.url", problem));
    }
    let problem = match (&config.store.url, &config.coordination.url) {
        (StoreUrl::Mongo(_), CoordinationUrl::Memory) if !config.single_node => {
            "memory:// does not go with mongodb://, which other nodes may use: take redis:// or store://, or say \
             that this node is alone with cluster.single_node = true (REELKEEPER_CLUSTER_SINGLE_NODE)"
        }
        (StoreUrl::Sqlite(_) | StoreUrl::Memory, CoordinationUrl::Store | CoordinationUrl::Redis(_)) => {
            "redis:// and store:// go with a mongodb:// store only; sqlite:// and memory:// belong to one \
             process: take memory://"
        }
        _ => return None,
    };
    Some(Fault::of_option("coordination.url", problem))
}
