//! Nodes, what they share, and a client of each.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reelkeeper_actors::ids::{RecordingId, RoomId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::api::{Answer, Api};
use crate::backends::{self, Backend};
use crate::certificates::Certificates;
use crate::livekit::{LiveKit, quick};
use crate::process::Process;
use crate::proxy::Proxy;
use crate::stack::free_port;
use crate::wait::until;

/// A node's lease here: short, so that nobody waits long for it to end.
pub const LEASE: Duration = Duration::from_secs(5);
/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// How nodes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Over the gateway.
    Open,
    /// Over the gateway, encrypted.
    Encrypted,
    /// Through the store only.
    None,
}

/// Where leases lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// In Redis.
    Redis,
    /// In the store.
    Store,
}

/// What all nodes share.
pub struct Stage {
    pub livekit: LiveKit,
    /// One MongoDB, or a set of them.
    pub mongo: Vec<Backend>,
    pub redis: Backend,
    folder: TempDir,
    certificates: Certificates,
    pub door: Door,
    leases: Leases,
}

/// A node that is up.
pub struct Node {
    pub process: Process,
    pub api: Api,
    /// Where it listens for clients and for other nodes.
    pub addresses: [SocketAddr; 2],
}

impl Stage {
    pub async fn set(door: Door, leases: Leases) -> Self {
        Self::set_on(vec![backends::mongo().await], door, leases).await
    }

    /// On these, whichever of them is the primary.
    pub async fn set_on(mongo: Vec<Backend>, door: Door, leases: Leases) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = backends::redis("").await;
        let livekit = LiveKit::start(&folder.path().join("blobs"), quick(), None).await;
        let certificates = Certificates::write(folder.path());
        Self { livekit, mongo, redis, folder, certificates, door, leases }
    }

    /// Starts a node.
    pub async fn node(&self) -> Node {
        self.run(fresh_addresses(), &[]).await
    }

    /// Starts a node that others reach through a proxy only.
    pub async fn node_behind_proxy(&self) -> (Node, Proxy) {
        let addresses = fresh_addresses();
        let proxy = Proxy::before(addresses[1].port()).await;
        let advertised = format!("127.0.0.1:{}", proxy.port());
        (self.run(addresses, &[("REELKEEPER_CLUSTER_ADVERTISE", &advertised)]).await, proxy)
    }

    /// Starts a node again, at the same addresses, once it is gone.
    pub async fn again(&self, node: Node) -> Node {
        let addresses = node.addresses;
        node.process.kill().await;
        self.run(addresses, &[]).await
    }

    /// Starts a node again at the same addresses, once it has left in good order.
    pub async fn once_left(&self, node: Node) -> Node {
        let addresses = node.addresses;
        let status = node.process.ended_within(PATIENCE).await;
        assert!(status.success(), "{status}");
        self.run(addresses, &[]).await
    }

    async fn run(&self, addresses: [SocketAddr; 2], more: &[(&str, &str)]) -> Node {
        let [listen, cluster] = addresses.map(|address| address.to_string());
        let coordination = match self.leases {
            Leases::Redis => format!("redis://127.0.0.1:{}", self.redis.port()),
            Leases::Store => "store://".to_owned(),
        };
        let lease = format!("{}s", LEASE.as_secs());
        let store = match self.mongo.as_slice() {
            [alone] => backends::mongo_uri(alone.port(), "cluster"),
            set => backends::mongo_set_uri(set, "cluster"),
        };
        let mut options = vec![
            ("REELKEEPER_LISTEN", listen.as_str()),
            ("REELKEEPER_STORE", &store),
            ("REELKEEPER_COORDINATION", &coordination),
            ("REELKEEPER_LEASE_TTL", &lease),
            ("REELKEEPER_DRAIN_TIMEOUT", "10s"),
            ("REELKEEPER_START_TIMEOUT", "10s"),
            ("REELKEEPER_STOP_TIMEOUT", "10s"),
            ("REELKEEPER_RECONCILE_INTERVAL", "3s"),
            ("REELKEEPER_UNHELD_GC_INTERVAL", "10s"),
            ("REELKEEPER_DUE_ROWS_INTERVAL", "10s"),
            ("REELKEEPER_LOG", "info,reelkeeper=debug,reelkeeper_actors=debug"),
        ];
        if self.door != Door::None {
            options.push(("REELKEEPER_CLUSTER_LISTEN", &cluster));
            options.push(("REELKEEPER_CLUSTER_SECRET", "a-secret-of-this-cluster"));
        }
        if self.door == Door::Encrypted {
            options.extend(self.certificates.options());
        }
        options.extend(more);
        let process = Process::start(self.folder.path(), self.livekit.address(), &options).await;
        let process = process.unwrap_or_else(|ended| panic!("{}\n{}", ended.status, ended.log));
        let api = Api::of(process.address());
        Node { process, api, addresses }
    }

    /// So many nodes, each connected to all others if there is a door.
    pub async fn nodes<const N: usize>(&self) -> [Node; N] {
        let nodes = futures::future::join_all((0..N).map(|_| self.node())).await;
        if self.door != Door::None {
            for node in &nodes {
                node.until_connected(N - 1).await;
            }
        }
        nodes.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
    }

    /// From now on nodes show certificates that another authority signed.
    pub fn change_authority(&mut self) {
        let folder = self.folder.path().join("others");
        std::fs::create_dir_all(&folder).unwrap();
        self.certificates = Certificates::write(&folder);
    }

    /// A room with somebody in it.
    pub async fn room(&self, node: &Node) -> RoomId {
        let made = node.api.make_room("a room").await.expect("an answer");
        assert_eq!(made.status, 201, "{made:?}");
        let room = RoomId::from_trusted(made.body["roomId"].as_str().unwrap());
        self.livekit.add_room(&room);
        room
    }

    pub async fn until_status(&self, node: &Node, recording: &RecordingId, status: &str) {
        until(&format!("{recording} is {status}"), PATIENCE, async || {
            let shown = node.api.get(recording).await.map(|answer| answer.body["status"].clone());
            if shown.as_ref().is_some_and(|shown| shown == status) {
                Ok(())
            } else {
                Err(format!("{shown:?}"))
            }
        })
        .await;
    }
}

fn fresh_addresses() -> [SocketAddr; 2] {
    [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())))
}

impl Node {
    /// Waits until so many others are connected.
    pub async fn until_connected(&self, others: usize) {
        self.until_said("connected to a node", others, PATIENCE).await;
    }

    /// Waits until its log says so, so many times.
    pub async fn until_said(&self, words: &str, times: usize, limit: Duration) {
        until(&format!("its log says {words:?}"), limit, async || {
            let log = self.process.log().text();
            if log.matches(words).count() >= times { Ok(()) } else { Err(log) }
        })
        .await;
    }

    pub async fn start(&self, room: &RoomId) -> RecordingId {
        let answer = self.api.start(room).await.expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.recording()
    }

    /// What it shows of the cluster to an admin.
    pub async fn cluster(&self) -> Value {
        let url = |path: &str| format!("http://{}/meet/internal-api/v1{path}", self.process.address());
        let http = reqwest::Client::new();
        let login = json!({"username": "admin", "password": "admin"});
        let login = http.post(url("/auth/login")).json(&login).send().await.unwrap();
        let login: Value = login.json().await.unwrap();
        let token = login["accessToken"].as_str().unwrap();
        let shown = http.get(url("/cluster")).bearer_auth(token).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        shown.json().await.unwrap()
    }

    /// A stop that is under way.
    pub fn stopping(&self, recording: &RecordingId) -> JoinHandle<Option<Answer>> {
        let (api, recording) = (self.api.clone(), recording.clone());
        tokio::spawn(async move { api.stop(&recording).await })
    }

    pub async fn stop(&self, recording: &RecordingId) {
        let answer = self.api.stop(recording).await.expect("an answer");
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}
