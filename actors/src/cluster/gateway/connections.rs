//! The connections between gateways: each other node is dialled, pinged and judged by itself, so that a slow one
//! keeps nobody from seeing that another died.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ActorId, ActorRef, pg};
use ractor_cluster::node::NodeServerSessionInformation;
use ractor_cluster::{ClientConnectErr, NodeEventSubscription, NodeServerMessage, client_connect};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{GROUP, GatewayMessage, IN_FLIGHT};
use crate::cluster::encryption::Encryption;
use crate::ids::NodeId;
use crate::ports::coordination::Member;

/// Between two pings, or two attempts to dial.
const ROUND: Duration = Duration::from_millis(500);
/// The same for a node whose connection broke: who died is to be known soon.
const ROUND_OF_BROKEN: Duration = Duration::from_millis(200);
/// How long a connection may take.
pub(super) const DIAL: Duration = Duration::from_secs(2);
/// How long a ping may take.
const PING: Duration = Duration::from_secs(1);
/// Pings in a row without an answer after which a node counts as silent.
const MISSES: u32 = 3;
/// Connections that came to nothing after which that is said.
const TURNED_AWAY: u32 = 20;

/// What is known of a node that can be spoken to.
#[derive(Debug)]
struct Peer {
    /// The number of its connection; none while there is none.
    session: Option<u64>,
    /// Whether it had one that broke.
    broke: bool,
    /// Pings in a row that it did not answer.
    misses: u32,
    /// Since when it is suspect.
    suspect: Option<Instant>,
    /// Connections in a row that were made and came to nothing.
    turned_away: u32,
    /// Told when its connection breaks.
    broken: Arc<Notify>,
    /// Told when it falls silent.
    silent: Arc<Notify>,
    /// Places for letters that are under way to it.
    places: Arc<Semaphore>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            session: None,
            broke: false,
            misses: 0,
            suspect: None,
            turned_away: 0,
            broken: Arc::default(),
            silent: Arc::default(),
            places: Arc::new(Semaphore::new(IN_FLIGHT)),
        }
    }
}

/// What a letter to a node needs.
pub(super) struct Line {
    /// The gateway actor there.
    pub(super) door: ActorRef<GatewayMessage>,
    pub(super) places: Arc<Semaphore>,
    /// Ends when the node falls silent.
    pub(super) silent: OwnedNotified,
}

/// All nodes that can be spoken to, or could be.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<BTreeMap<NodeId, Peer>>>);

/// How other nodes are dialled.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) server: ActorRef<NodeServerMessage>,
    pub(super) encryption: Option<Encryption>,
}

impl Dialler {
    async fn dial(&self, address: &str) -> Result<(), ClientConnectErr> {
        match &self.encryption {
            Some(encryption) => encryption.connect(&self.server, address).await,
            None => client_connect(&self.server, address).await,
        }
    }
}

/// The gateway actor at the other end of a connection.
fn door_behind(session: u64) -> Option<ActorRef<GatewayMessage>> {
    let is_its = |id: ActorId| matches!(id, ActorId::Remote { node_id, .. } if node_id == session);
    let door = pg::get_members(&GROUP.to_owned()).into_iter().find(|door| is_its(door.get_id()))?;
    Some(door.into())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    /// The line to a node, if it can be spoken to.
    pub(super) fn line_to(&self, node: &NodeId) -> Option<Line> {
        let peers = lock(&self.0);
        let peer = peers.get(node).filter(|peer| peer.misses < MISSES)?;
        let (places, silent) = (peer.places.clone(), peer.silent.clone().notified_owned());
        Some(Line { door: door_behind(peer.session?)?, places, silent })
    }

    /// Those that are most likely dead.
    pub(super) fn suspects(&self) -> Vec<NodeId> {
        let peers = lock(&self.0);
        peers.iter().filter(|(_, peer)| peer.suspect.is_some()).map(|(node, _)| node.clone()).collect()
    }

    /// Lifts the suspicion from a node that did something after that moment, until another connection to it breaks.
    pub(super) fn believe(&self, node: &NodeId, since: Instant) {
        let mut peers = lock(&self.0);
        let peer = peers.get_mut(node).filter(|peer| peer.suspect.is_some_and(|suspect| suspect < since));
        if let Some(peer) = peer {
            (peer.broke, peer.suspect) = (false, None);
        }
    }

    /// Keeps a connection to each node that comes, until it goes.
    pub(super) async fn keep(self, us: NodeId, dialler: Dialler, mut members: watch::Receiver<Vec<Member>>) {
        let mut kept: BTreeMap<Member, AbortOnDropHandle<()>> = BTreeMap::new();
        loop {
            let mut others = members.borrow_and_update().clone();
            others.retain(|member| member.node != us && !member.address.is_empty());
            lock(&self.0).retain(|node, peer| {
                peer.session.is_some() || others.iter().any(|other| other.node == *node)
            });
            kept.retain(|member, _| others.contains(member));
            for other in others {
                kept.entry(other).or_insert_with_key(|other| {
                    let keeping = self.clone().keep_one(other.clone(), dialler.clone());
                    AbortOnDropHandle::new(tokio::spawn(keeping))
                });
            }
            if members.changed().await.is_err() {
                return;
            }
        }
    }

    /// Dials a node that has no connection, and pings one that has.
    async fn keep_one(self, member: Member, dialler: Dialler) {
        loop {
            let (session, broken) = {
                let mut peers = lock(&self.0);
                let peer = peers.entry(member.node.clone()).or_default();
                (peer.session, peer.broken.clone())
            };
            // Kept if nobody waits for it: a connection that breaks meanwhile is dialled anew at once.
            let broke = broken.notified();
            let turn = async {
                let pause = match session {
                    Some(session) => self.ping(&member.node, session).await,
                    None => self.dial(&member, &dialler).await,
                };
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                () = turn => {}
                () = broke => {}
            }
        }
    }

    /// Pings a node; one that is silent is spoken to no more until it answers again. Returns when to do it again.
    async fn ping(&self, node: &NodeId, session: u64) -> Duration {
        let Some(door) = door_behind(session) else { return ROUND };
        let answered = door.call(|reply| GatewayMessage::Letter(Vec::new(), reply), Some(PING)).await;
        let mut peers = lock(&self.0);
        let Some(peer) = peers.get_mut(node) else { return ROUND };
        if matches!(answered, Ok(CallResult::Success(_))) {
            peer.misses = 0;
        } else {
            peer.misses = peer.misses.saturating_add(1);
            if peer.misses == MISSES {
                tracing::warn!(peer.id = %node, "node is silent, it is spoken to through the inbox");
                peer.silent.notify_waiters();
            }
        }
        ROUND
    }

    /// Dials a node. One that had a connection and refuses another is most likely dead. Returns when to do it again.
    async fn dial(&self, member: &Member, way: &Dialler) -> Duration {
        let dialled = tokio::time::timeout(DIAL, way.dial(&member.address)).await;
        let refused = matches!(
            &dialled,
            Ok(Err(ClientConnectErr::Socket(error))) if error.kind() == std::io::ErrorKind::ConnectionRefused
        );
        if let Ok(Err(error)) = &dialled {
            tracing::debug!(peer.id = %member.node, address = member.address, %error, "node cannot be dialled");
        }
        let mut peers = lock(&self.0);
        let Some(peer) = peers.get_mut(&member.node) else { return ROUND };
        let since = peer.suspect.unwrap_or_else(Instant::now);
        peer.suspect = (refused && peer.broke).then_some(since);
        let turned_away = matches!(dialled, Ok(Ok(()) | Err(ClientConnectErr::Encryption(_))));
        peer.turned_away += u32::from(turned_away);
        if peer.turned_away == TURNED_AWAY {
            tracing::warn!(
                peer.id = %member.node, address = member.address,
                "node takes connections and lets nobody in: is cluster.secret the same there, and TLS?"
            );
        }
        if peer.broke && peer.suspect.is_none() { ROUND_OF_BROKEN } else { ROUND }
    }
}

/// The node at the other end of a connection, as it named itself.
fn named(session: &NodeServerSessionInformation) -> Option<NodeId> {
    let name = &session.peer_name.as_ref()?.name;
    name.split_once('@').map(|(node, _)| NodeId::from_trusted(node))
}

impl NodeEventSubscription for Connections {
    fn node_session_opened(&self, _session: NodeServerSessionInformation) {}

    fn node_session_authenticated(&self, _session: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let Some(node) = named(&session) else { return };
        tracing::info!(peer.id = %node, address = session.peer_addr, "connected to a node");
        let mut peers = lock(&self.0);
        let peer = peers.entry(node).or_default();
        (peer.session, peer.broke, peer.misses) = (Some(session.node_id), false, 0);
        (peer.suspect, peer.turned_away) = (None, 0);
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        let Some(node) = named(&session) else { return };
        let mut peers = lock(&self.0);
        // Of two connections one was given up.
        let Some(peer) = peers.get_mut(&node).filter(|peer| peer.session == Some(session.node_id)) else {
            return;
        };
        tracing::info!(peer.id = %node, "connection to a node broke");
        (peer.session, peer.broke) = (None, true);
        peer.broken.notify_one();
    }
}
