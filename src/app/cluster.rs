//! How this node takes part in a cluster: its lease, its door, its address.

mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reelkeeper_actors::cluster::Cluster;
use reelkeeper_actors::cluster::gateway::{Gateway, Listening, Open};
use reelkeeper_actors::cluster::lease::OwnLease;
use reelkeeper_actors::cluster::membership::{Membership, Terms};
use reelkeeper_actors::ids::NodeId;
use reelkeeper_actors::orchestrator::Orchestrator;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::coordination::Coordination;
use reelkeeper_actors::ports::inbox::Inbox;

use super::AppError;
use crate::config::{ClusterConfig, Config, CoordinationUrl, DoorConfig};

/// This node among others, before and while it takes part.
pub(super) struct ClusterPart {
    gateway: Arc<Gateway>,
    pub(super) cluster: Cluster,
    lease: Duration,
    config: ClusterConfig,
    is_alone: bool,
    running: Option<(Membership, Option<Open>)>,
}

/// How long the machine is up, the time in which it was suspended included.
fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

impl ClusterPart {
    /// Nothing is taken or listened on yet.
    pub(super) fn new(config: &Config, inbox: Option<Arc<dyn Inbox>>) -> Self {
        let gateway = Arc::new(Gateway::default());
        let is_alone = config.coordination.url == CoordinationUrl::Memory;
        let alone = Cluster::alone();
        let cluster = Cluster {
            peers: gateway.clone(),
            inbox: inbox.unwrap_or(alone.inbox),
            lease: if is_alone { alone.lease } else { Arc::new(OwnLease::lasting(config.lease_ttl, uptime)) },
        };
        let (lease, config) = (config.lease_ttl, config.cluster.clone());
        Self { gateway, cluster, lease, config, is_alone, running: None }
    }

    /// Takes the lease.
    pub(super) async fn take_lease(
        &self,
        coordination: &dyn Coordination,
        node: &NodeId,
    ) -> Result<(), PortError> {
        let begun = self.cluster.lease.begin_renewal();
        coordination.renew_at(node, &self.address(), self.lease).await?;
        self.cluster.lease.renewed(begun);
        Ok(())
    }

    /// Listens for other nodes, if it should, and takes part.
    pub(super) async fn begin(&mut self, orchestrator: &Orchestrator) -> Result<(), AppError> {
        if self.is_alone {
            return Ok(());
        }
        let terms = Terms { lease: self.lease, address: self.address(), inbox: self.config.inbox_interval };
        let membership = Membership::begin(orchestrator, terms);
        let open = match &self.config.door {
            Some(door) => Some(self.open(orchestrator, door, &membership).await?),
            None => None,
        };
        self.running = Some((membership, open));
        Ok(())
    }

    async fn open(
        &self,
        orchestrator: &Orchestrator,
        door: &DoorConfig,
        membership: &Membership,
    ) -> Result<Open, AppError> {
        let address = door.listen;
        let encryption = door.tls.as_ref().map(tls::encryption).transpose().map_err(AppError::Cluster)?;
        let tls = encryption.is_some();
        let listening = Listening { address, secret: door.secret.expose().to_owned(), encryption };
        let opened = self.gateway.open(orchestrator.clone(), listening, membership.members()).await;
        let opened = opened.map_err(|error| AppError::Cluster(error.to_string()))?;
        tracing::info!(%address, advertised = self.address(), tls, "listening for other nodes");
        Ok(opened)
    }

    /// Whether other nodes live.
    pub(super) fn has_others(&self) -> bool {
        self.running.as_ref().is_some_and(|(membership, _)| membership.members().borrow().len() > 1)
    }

    /// Takes part no more. The lease is still held.
    pub(super) async fn end(self) {
        let Some((membership, open)) = self.running else { return };
        drop(membership);
        if let Some(open) = open {
            open.close().await;
        }
    }

    /// Where others can speak to this node; empty if nowhere.
    fn address(&self) -> String {
        let Some(door) = &self.config.door else { return String::new() };
        door.advertise.clone().unwrap_or_else(|| advertised(door.listen))
    }
}

/// What others call an address that is listened on: the machine's name if it is all of its addresses.
fn advertised(listen: SocketAddr) -> String {
    if !listen.ip().is_unspecified() {
        return listen.to_string();
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", listen.port())
}
