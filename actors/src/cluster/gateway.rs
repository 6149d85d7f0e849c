//! The gateway: the only door between nodes.
//!
//! One remotable actor per node in the process group `gateway`, which takes letters and answers them. Owns the
//! connections to the other nodes: dialling, the ping that notices a silent one, and the suspicion that falls on one
//! which lost its connection and refuses another. Nothing else crosses nodes, and nothing here decides (design 7).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, pg};
use ractor_cluster::node::{NodeConnectionMode, NodeServerSessionInformation};
use ractor_cluster::{
    ClientConnectErr, NodeEventSubscription, NodeServer, NodeServerMessage, RactorClusterMessage,
    client_connect,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::encryption::Encryption;
use super::wire::Reply;
use crate::ids::NodeId;
use crate::orchestrator::Orchestrator;
use crate::ports::coordination::Member;
use crate::ports::peers::{PeerError, Peers};
use crate::recording::effect::{Answer, Refusal};

/// The process group of all gateways.
const GROUP: &str = "gateway";
/// Letters from other nodes that are worked on at once, and letters under way to one node.
const IN_FLIGHT: usize = 1024;
/// Largest frame that a node takes: far more than any letter.
const FRAME_MAX: u64 = 1024 * 1024;
/// Between two looks whether a node is to be dialled or pinged.
const ROUND: Duration = Duration::from_millis(500);
/// How long a connection may take.
const DIAL: Duration = Duration::from_secs(2);
/// Pings in a row without an answer after which a node counts as silent.
const MISSES: u32 = 3;
/// Connections that came to nothing after which that is said.
const TURNED_AWAY: u32 = 20;
/// How long a ping may take.
const PING: Duration = Duration::from_secs(1);

/// What a gateway is told.
#[derive(RactorClusterMessage)]
enum GatewayMessage {
    /// A letter, and where its answer goes. An empty letter is a ping.
    #[rpc]
    Letter(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

/// How a node listens for others.
#[derive(Clone)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// What all nodes of a cluster know.
    pub secret: String,
    /// How connections are encrypted; none: they are not.
    pub encryption: Option<Encryption>,
}

/// How other nodes are dialled.
#[derive(Clone)]
struct Dialler {
    server: ActorRef<NodeServerMessage>,
    encryption: Option<Encryption>,
}

/// Why the gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GatewayError(String);

/// What is known of a node that can be spoken to.
#[derive(Debug, Default)]
struct Peer {
    /// The number of its connection; none while there is none.
    session: Option<u64>,
    /// Whether it had one that broke.
    broke: bool,
    /// Pings in a row that it did not answer.
    misses: u32,
    suspect: bool,
    /// Connections in a row that were made and came to nothing.
    turned_away: u32,
}

/// This node's way to the others. Until it is opened there is none.
#[derive(Default)]
pub struct Gateway {
    peers: Arc<Mutex<BTreeMap<NodeId, Peer>>>,
    places: Mutex<BTreeMap<NodeId, Arc<Semaphore>>>,
    /// Told when a connection broke: who died refuses another, and that should be known soon.
    broken: Arc<Notify>,
}

/// An open gateway; it closes with this.
pub struct Open {
    server: ActorRef<NodeServerMessage>,
    door: ActorRef<GatewayMessage>,
    _rounds: AbortOnDropHandle<()>,
    _listening: Option<AbortOnDropHandle<()>>,
}

impl Open {
    /// Hangs up and listens no more.
    pub async fn close(self) {
        self.door.stop(None);
        let _ = self.server.stop_and_wait(None, Some(DIAL)).await;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// Listens for other nodes and begins to dial those that come and go.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn open(
        self: &Arc<Self>,
        orchestrator: Orchestrator,
        listening: Listening,
        members: watch::Receiver<Vec<Member>>,
    ) -> Result<Open, GatewayError> {
        let us = orchestrator.shared().world.node.clone();
        let Listening { address, secret, encryption } = listening;
        let failed =
            |error: &dyn std::fmt::Display| GatewayError(format!("cannot listen on {address}: {error}"));
        // With encryption we listen, and the library's own listener is nobody's: it lies where only this machine is.
        let (listener, bare) = match encryption {
            Some(_) => {
                let listener = TcpListener::bind(address).await.map_err(|error| failed(&error))?;
                (Some(listener), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            }
            None => (None, address),
        };
        let server = NodeServer::new(
            bare.port(),
            secret,
            us.to_string(),
            bare.ip().to_string(),
            None,
            Some(NodeConnectionMode::Isolated),
        );
        let server = server.with_listen_addr(bare.ip()).with_max_inbound_frame_size(FRAME_MAX);
        let opened = Actor::spawn(None, server, ()).await;
        let (server, _) = opened.map_err(|error| failed(&error))?;
        let events = Box::new(Events { peers: self.peers.clone(), broken: self.broken.clone() });
        let subscribe = NodeServerMessage::SubscribeToEvents { id: GROUP.to_owned(), subscription: events };
        let _ = server.cast(subscribe);
        let opened = Actor::spawn(None, Door, orchestrator).await;
        let (door, _) = opened.map_err(|error| GatewayError(error.to_string()))?;
        pg::join(GROUP.to_owned(), vec![door.get_cell()]);
        let listening = encryption.clone().zip(listener).map(|(encryption, listener)| {
            AbortOnDropHandle::new(tokio::spawn(encryption.listen(listener, server.clone())))
        });
        let dialler = Dialler { server: server.clone(), encryption };
        let rounds = AbortOnDropHandle::new(tokio::spawn(rounds(self.clone(), us, dialler, members)));
        Ok(Open { server, door, _rounds: rounds, _listening: listening })
    }

    /// The gateway actor of a node, if there is a connection to it.
    fn door_of(&self, node: &NodeId) -> Option<ActorCell> {
        let session = lock(&self.peers).get(node).filter(|peer| peer.misses < MISSES)?.session?;
        let doors = pg::get_members(&GROUP.to_owned());
        let is_its = |id: ActorId| matches!(id, ActorId::Remote { node_id, .. } if node_id == session);
        doors.into_iter().find(|door| is_its(door.get_id()))
    }

    fn place_for(&self, node: &NodeId) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        places.entry(node.clone()).or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT))).clone()
    }

    async fn send(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError> {
        let unreachable = |why: &str| PeerError::Unreachable(why.to_owned());
        let door = self.door_of(node).ok_or_else(|| unreachable("there is no connection to it"))?;
        let place = self.place_for(node).try_acquire_owned();
        let _place = place.map_err(|_| unreachable("too many letters are under way to it"))?;
        let door: ActorRef<GatewayMessage> = door.into();
        let sent = Instant::now();
        let answer = match door.call(|reply| GatewayMessage::Letter(letter, reply), Some(limit)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout) => Err(PeerError::Lost("not in time".to_owned())),
            Ok(CallResult::SenderError) => Err(PeerError::Lost("the connection broke".to_owned())),
            Err(error) => Err(PeerError::Unreachable(error.to_string())),
        };
        metrics::histogram!("reelkeeper_gateway_seconds").record(sent.elapsed().as_secs_f64());
        answer
    }

    /// Pings a node that has a connection; one that is silent is spoken to no more until it answers again.
    async fn ping(&self, node: NodeId) {
        let session = lock(&self.peers).get(&node).and_then(|peer| peer.session);
        let Some(session) = session else { return };
        let doors = pg::get_members(&GROUP.to_owned());
        let is_its = |id: ActorId| matches!(id, ActorId::Remote { node_id, .. } if node_id == session);
        let Some(door) = doors.into_iter().find(|door| is_its(door.get_id())) else { return };
        let door: ActorRef<GatewayMessage> = door.into();
        let answered = door.call(|reply| GatewayMessage::Letter(Vec::new(), reply), Some(PING)).await;
        let mut peers = lock(&self.peers);
        let Some(peer) = peers.get_mut(&node) else { return };
        if matches!(answered, Ok(CallResult::Success(_))) {
            peer.misses = 0;
        } else {
            peer.misses = peer.misses.saturating_add(1);
            if peer.misses == MISSES {
                tracing::warn!(peer.id = %node, "node is silent, it is spoken to through the inbox");
            }
        }
    }

    /// Dials a node that has no connection. One that had one and refuses another is most likely dead.
    async fn dial(&self, member: Member, way: Dialler) {
        let address = member.address.as_str();
        let dialled = tokio::time::timeout(DIAL, way.dial(address)).await;
        let refused = matches!(
            &dialled,
            Ok(Err(ClientConnectErr::Socket(error))) if error.kind() == std::io::ErrorKind::ConnectionRefused
        );
        if let Ok(Err(error)) = &dialled {
            tracing::debug!(peer.id = %member.node, address = member.address, %error, "node cannot be dialled");
        }
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get_mut(&member.node) {
            peer.suspect = refused && peer.broke;
            let turned_away = matches!(dialled, Ok(Ok(()) | Err(ClientConnectErr::Encryption(_))));
            peer.turned_away += u32::from(turned_away);
            if peer.turned_away == TURNED_AWAY {
                tracing::warn!(
                    peer.id = %member.node, address = member.address,
                    "node takes connections and lets nobody in: is cluster.secret the same there, and TLS?"
                );
            }
        }
    }
}

impl Dialler {
    async fn dial(&self, address: &str) -> Result<(), ClientConnectErr> {
        match &self.encryption {
            Some(encryption) => encryption.connect(&self.server, address).await,
            None => client_connect(&self.server, address).await,
        }
    }
}

#[async_trait]
impl Peers for Gateway {
    async fn ask(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError> {
        let answer = self.send(node, letter, limit).await;
        if let Err(error) = &answer {
            let kind = if matches!(error, PeerError::Lost(_)) { "lost" } else { "unreachable" };
            metrics::counter!("reelkeeper_gateway_errors_total", "kind" => kind).increment(1);
        }
        answer
    }

    fn suspects(&self) -> Vec<NodeId> {
        let peers = lock(&self.peers);
        peers.iter().filter(|(_, peer)| peer.suspect).map(|(node, _)| node.clone()).collect()
    }
}

/// Dials and pings, for as long as the gateway is open.
async fn rounds(gateway: Arc<Gateway>, us: NodeId, dialler: Dialler, members: watch::Receiver<Vec<Member>>) {
    loop {
        let others: Vec<Member> =
            members.borrow().iter().filter(|m| m.node != us && !m.address.is_empty()).cloned().collect();
        let (mut missing, mut connected) = (Vec::new(), Vec::new());
        {
            let mut peers = lock(&gateway.peers);
            peers.retain(|node, peer| {
                peer.session.is_some() || others.iter().any(|other| other.node == *node)
            });
            for other in others {
                let peer = peers.entry(other.node.clone()).or_default();
                if peer.session.is_some() { connected.push(other.node) } else { missing.push(other) }
            }
        }
        let dialling = missing.into_iter().map(|member| gateway.dial(member, dialler.clone()));
        let pinging = connected.into_iter().map(|node| gateway.ping(node));
        let (dialling, pinging) = (futures::future::join_all(dialling), futures::future::join_all(pinging));
        let round = async {
            tokio::join!(dialling, pinging);
            tokio::time::sleep(ROUND).await;
        };
        // A ping to whom nobody reaches takes long; a connection that broke is looked after at once.
        tokio::select! {
            () = round => {}
            () = gateway.broken.notified() => {}
        }
    }
}

/// What the connections tell.
struct Events {
    peers: Arc<Mutex<BTreeMap<NodeId, Peer>>>,
    broken: Arc<Notify>,
}

/// The node at the other end of a connection, as it named itself.
fn named(session: &NodeServerSessionInformation) -> Option<NodeId> {
    let name = &session.peer_name.as_ref()?.name;
    name.split_once('@').map(|(node, _)| NodeId::from_trusted(node))
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, _session: NodeServerSessionInformation) {}

    fn node_session_authenticated(&self, _session: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let Some(node) = named(&session) else { return };
        tracing::info!(peer.id = %node, address = session.peer_addr, "connected to a node");
        let fresh = Peer { session: Some(session.node_id), ..Peer::default() };
        lock(&self.peers).insert(node, fresh);
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        let Some(node) = named(&session) else { return };
        let mut peers = lock(&self.peers);
        // Of two connections one was given up.
        let Some(peer) = peers.get_mut(&node).filter(|peer| peer.session == Some(session.node_id)) else {
            return;
        };
        tracing::info!(peer.id = %node, "connection to a node broke");
        (peer.session, peer.broke) = (None, true);
        self.broken.notify_one();
    }
}

/// The gateway actor: takes letters, and hands each off at once.
struct Door;

/// The actor's state.
struct DoorState {
    orchestrator: Orchestrator,
    places: Arc<Semaphore>,
}

impl Actor for Door {
    type Msg = GatewayMessage;
    type State = DoorState;
    type Arguments = Orchestrator;

    async fn pre_start(
        &self,
        _myself: ActorRef<GatewayMessage>,
        orchestrator: Orchestrator,
    ) -> Result<DoorState, ActorProcessingErr> {
        Ok(DoorState { orchestrator, places: Arc::new(Semaphore::new(IN_FLIGHT)) })
    }

    async fn handle(
        &self,
        _myself: ActorRef<GatewayMessage>,
        GatewayMessage::Letter(letter, reply): GatewayMessage,
        state: &mut DoorState,
    ) -> Result<(), ActorProcessingErr> {
        if letter.is_empty() {
            let _ = reply.send(Vec::new());
            return Ok(());
        }
        let Ok(place) = state.places.clone().try_acquire_owned() else {
            let busy = Reply::of_answer(Some(Answer::Refused(Refusal::Overloaded)));
            let _ = reply.send(busy.to_text().into_bytes());
            return Ok(());
        };
        let orchestrator = state.orchestrator.clone();
        tokio::spawn(async move {
            let answer = orchestrator.receive(&letter).await;
            // Always: whoever asks waits for it.
            let _ = reply.send(answer.to_text().into_bytes());
            drop(place);
        });
        Ok(())
    }
}
