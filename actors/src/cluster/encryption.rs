//! TLS between nodes: both sides show a certificate that the cluster's authority signed.
//!
//! Owns who is let in: the library's own listener would do one handshake after the other, so that somebody silent
//! keeps everybody else out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use ractor_cluster::{ClientConnectErr, NetworkStream, NodeServerMessage, client_connect_enc};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Handshakes at once; others wait in the kernel.
const HANDSHAKES: usize = 64;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// Until the next try after a connection could not be taken at all.
const PAUSE: Duration = Duration::from_millis(100);

/// How connections between nodes are encrypted.
#[derive(Clone)]
pub struct Encryption {
    /// For those who come.
    pub acceptor: TlsAcceptor,
    /// For those that are dialled.
    pub connector: TlsConnector,
    /// The name that every node's certificate is for; none: the host of each one's address.
    pub name: Option<ServerName<'static>>,
}

impl Encryption {
    /// Takes connections for ever, and hands those on that prove who they are.
    pub(super) async fn listen(self, listener: TcpListener, server: ActorRef<NodeServerMessage>) {
        let places = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection of another node cannot be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (acceptor, server) = (self.acceptor.clone(), server.clone());
            tokio::spawn(async move {
                match accept(&acceptor, stream, address).await {
                    Ok(stream) => {
                        let opened =
                            NodeServerMessage::ConnectionOpened { stream: Box::new(stream), is_server: true };
                        let _ = server.cast(opened);
                    }
                    Err(error) => tracing::debug!(%address, %error, "somebody is not let in"),
                }
                drop(place);
            });
        }
    }

    /// Dials a node, and believes it only with a certificate for its name.
    pub(super) async fn connect(
        &self,
        server: &ActorRef<NodeServerMessage>,
        address: &str,
    ) -> Result<(), ClientConnectErr> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => host_of(address).map_err(ClientConnectErr::Socket)?,
        };
        client_connect_enc(server, address, self.connector.clone(), name).await
    }
}

async fn accept(acceptor: &TlsAcceptor, stream: TcpStream, address: SocketAddr) -> io::Result<NetworkStream> {
    stream.set_nodelay(true)?;
    let local_addr = stream.local_addr()?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    Ok(NetworkStream::TlsServer { peer_addr: address, local_addr, stream })
}

fn host_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_the_host_of_its_address() {
        for (address, name) in [
            ("node-1:7946", "node-1"),
            ("10.0.0.1:7946", "10.0.0.1"),
            ("[::1]:7946", "::1"),
            ("node.example.com:1", "node.example.com"),
        ] {
            assert_eq!(host_of(address).unwrap().to_str(), name, "{address}");
        }
        assert_eq!(host_of("no de:1").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
