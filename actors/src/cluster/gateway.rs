//! The gateway: the only door between nodes.
//!
//! One remotable actor per node in the process group `gateway`, which takes letters and answers them. Owns the
//! connections to the other nodes (`connections`): dialling, the ping that notices a silent one, and the suspicion
//! that falls on one which lost its connection and refuses another. Nothing else crosses nodes, and nothing here
//! decides (design 7).

mod connections;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, pg};
use ractor_cluster::node::NodeConnectionMode;
use ractor_cluster::{NodeServer, NodeServerMessage, RactorClusterMessage};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::connections::{Connections, DIAL, Dialler, Line};
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

/// Why the gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GatewayError(String);

/// This node's way to the others. Until it is opened there is none.
#[derive(Default)]
pub struct Gateway {
    connections: Connections,
}

/// An open gateway; it closes with this.
pub struct Open {
    server: ActorRef<NodeServerMessage>,
    door: ActorRef<GatewayMessage>,
    _keeping: AbortOnDropHandle<()>,
    _listening: Option<AbortOnDropHandle<()>>,
}

impl Open {
    /// Hangs up and listens no more.
    pub async fn close(self) {
        self.door.stop(None);
        let _ = self.server.stop_and_wait(None, Some(DIAL)).await;
    }
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
        let subscription = Box::new(self.connections.clone());
        let subscribe = NodeServerMessage::SubscribeToEvents { id: GROUP.to_owned(), subscription };
        let _ = server.cast(subscribe);
        let opened = Actor::spawn(None, Door, orchestrator).await;
        let (door, _) = opened.map_err(|error| GatewayError(error.to_string()))?;
        pg::join(GROUP.to_owned(), vec![door.get_cell()]);
        let listening = encryption.clone().zip(listener).map(|(encryption, listener)| {
            AbortOnDropHandle::new(tokio::spawn(encryption.listen(listener, server.clone())))
        });
        let dialler = Dialler { server: server.clone(), encryption };
        let keeping = tokio::spawn(self.connections.clone().keep(us, dialler, members));
        Ok(Open { server, door, _keeping: AbortOnDropHandle::new(keeping), _listening: listening })
    }

    async fn send(&self, node: &NodeId, letter: Vec<u8>, limit: Duration) -> Result<Vec<u8>, PeerError> {
        let unreachable = |why: &str| PeerError::Unreachable(why.to_owned());
        let line = self.connections.line_to(node);
        let Line { door, places, silent } =
            line.ok_or_else(|| unreachable("there is no connection to it"))?;
        let place = places.try_acquire_owned();
        let _place = place.map_err(|_| unreachable("too many letters are under way to it"))?;
        let sent = Instant::now();
        let lost = |why: &str| Err(PeerError::Lost(why.to_owned()));
        let answer = tokio::select! {
            answer = door.call(|reply| GatewayMessage::Letter(letter, reply), Some(limit)) => match answer {
                Ok(CallResult::Success(answer)) => Ok(answer),
                Ok(CallResult::Timeout) => lost("not in time"),
                Ok(CallResult::SenderError) => lost("the connection broke"),
                Err(error) => Err(PeerError::Unreachable(error.to_string())),
            },
            () = silent => lost("it fell silent"),
        };
        metrics::histogram!("reelkeeper_gateway_seconds").record(sent.elapsed().as_secs_f64());
        answer
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
        self.connections.suspects()
    }

    fn believe(&self, node: &NodeId, since: Instant) {
        self.connections.believe(node, since);
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
