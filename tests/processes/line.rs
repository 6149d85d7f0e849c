//! A connection line between two parties: it keeps its address while either end comes and goes.
//!
//! LiveKit's webhooks reach every run of the service at one address, and the service finds LiveKit at one
//! address even after it was replaced. A line that is cut takes connections and drops them, which is what a
//! load balancer in front of a dead server does.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Forwards connections to whoever is at the other end; closed when dropped.
pub struct Line {
    address: SocketAddr,
    target: Arc<watch::Sender<Option<SocketAddr>>>,
    forwarding: AbortHandle,
}

impl Line {
    /// Opens a line that leads nowhere yet.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let target = Arc::new(watch::Sender::new(None));
        let forwarding = tokio::spawn(forward_all(listener, target.subscribe())).abort_handle();
        Self { address, target, forwarding }
    }

    /// Its near end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads there from now on; connections that lead elsewhere are broken.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    /// Breaks every connection, and each new one, until it leads somewhere again.
    pub fn cut(&self) {
        self.target.send_replace(None);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

async fn forward_all(listener: TcpListener, target: watch::Receiver<Option<SocketAddr>>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(forward(near, target.clone()));
    }
}

async fn forward(mut near: TcpStream, mut target: watch::Receiver<Option<SocketAddr>>) {
    let Some(address) = *target.borrow_and_update() else { return };
    let carried = async {
        let Ok(mut far) = TcpStream::connect(address).await else { return };
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    };
    tokio::select! {
        () = carried => {}
        // Changed, or the line is closed.
        _ = target.changed() => {}
    }
}
