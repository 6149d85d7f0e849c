//! A proxy between the service and a backend, which can be told to misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Passes everything on.
    Pass,
    /// Each chunk waits so long, both ways.
    Delay(Duration),
    /// Takes connections and passes nothing on, either way.
    Freeze,
    /// Resets every connection, each new one too.
    Reset,
    /// Passes requests on, and resets the connection instead of passing an answer.
    LoseAnswers,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Runs until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    does: Arc<watch::Sender<Does>>,
    forwarding: AbortHandle,
}

impl Proxy {
    /// Before the backend at this port.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let does = Arc::new(watch::Sender::new(Does::Pass));
        let forwarding = tokio::spawn(forward_all(listener, port, does.subscribe())).abort_handle();
        Self { address, does, forwarding }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, for connections that are open too.
    pub fn does(&self, does: Does) {
        self.does.send_replace(does);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

async fn forward_all(listener: TcpListener, port: u16, does: watch::Receiver<Does>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(forward(near, port, does.clone()));
    }
}

async fn forward(near: TcpStream, port: u16, does: watch::Receiver<Does>) {
    // What is dropped before it is closed is reset, so that nobody takes it for an end.
    near.set_zero_linger().unwrap();
    if *does.borrow() == Does::Reset {
        return;
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_reads, far_writes, Way::There, does.clone()) => {}
        () = pass(far_reads, near_writes, Way::Back, does) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut does: watch::Receiver<Does>) {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let now = *does.borrow_and_update();
        let length = tokio::select! {
            // Whoever is frozen reads nothing.
            read = from.read(&mut chunk), if now != Does::Freeze => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            },
            changed = does.changed() => match (changed, *does.borrow()) {
                (Err(_), _) | (Ok(()), Does::Reset) => return,
                (Ok(()), _) => continue,
            },
        };
        match now {
            Does::LoseAnswers if way == Way::Back => return,
            Does::Delay(pause) => tokio::time::sleep(pause).await,
            _ => {}
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Answers what it is told.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    tokio::io::copy(&mut reads, &mut writes).await.unwrap_or_default();
                });
            }
        });
        port
    }

    /// Says a word and waits for it for a while.
    async fn says(stream: &mut TcpStream, word: &str) -> Option<String> {
        stream.write_all(word.as_bytes()).await.ok()?;
        let mut answer = vec![0; word.len()];
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut answer));
        read.await.ok()?.ok()?;
        String::from_utf8(answer).ok()
    }

    #[tokio::test]
    async fn it_does_what_it_is_told() {
        let proxy = Proxy::before(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(says(&mut stream, "one").await.as_deref(), Some("one"));
        proxy.does(Does::Delay(Duration::from_millis(50)));
        let began = Instant::now();
        assert_eq!(says(&mut stream, "two").await.as_deref(), Some("two"));
        assert!(began.elapsed() >= Duration::from_millis(100), "there and back");
        proxy.does(Does::Freeze);
        assert_eq!(says(&mut stream, "three").await, None);
        proxy.does(Does::Pass);
        let mut late = [0; 5];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"three", "what waited comes");
        proxy.does(Does::LoseAnswers);
        assert_eq!(says(&mut stream, "four").await, None);
        proxy.does(Does::Pass);
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(says(&mut stream, "five").await.as_deref(), Some("five"));
        proxy.does(Does::Reset);
        assert_eq!(says(&mut stream, "six").await, None);
        let fresh = TcpStream::connect(proxy.address).await;
        if let Ok(mut fresh) = fresh {
            assert_eq!(says(&mut fresh, "seven").await, None);
        }
    }
}
