//! Connections: taken until the service closes, and each given up that says nothing for too long.
//!
//! By hand, since axum's own loop waits for the head of a request for ever.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Pause before the next connection is taken after one could not be: mostly there are too many open files.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Serves until `closing`, then answers what is under way. A connection whose next request has not wholly begun within
/// `head_timeout` is closed.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    head_timeout: Duration,
    closing: CancellationToken,
) -> io::Result<()> {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let under_way = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = closing.cancelled() => break,
            taken = take(&listener) => taken,
        };
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = under_way.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%peer, %error, "connection ended early");
            }
        });
    }
    drop(listener);
    under_way.shutdown().await;
    Ok(())
}

async fn take(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it small answers wait for acknowledgements; it cannot fail on a living connection.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connection could not be taken");
                tokio::time::sleep(AFTER_FAULT).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionRefused | E::ConnectionAborted | E::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HEAD_TIMEOUT: Duration = Duration::from_millis(50);

    async fn served(router: Router) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(serve(listener, router, HEAD_TIMEOUT, closing.clone()));
        (address, closing)
    }

    /// What comes back until the connection is closed.
    async fn answer_to(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_of_it_is_given_up() {
        let router = Router::new()
            .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()));
        let (address, _closing) = served(router).await;
        for head in ["", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let answer = answer_to(address, head).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{head:?}: {answer}");
        }
        let answer = answer_to(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(
            answer.contains("127.0.0.1:"),
            "a whole one is answered, then the next is waited for: {answer}"
        );
    }

    #[tokio::test]
    async fn what_is_under_way_is_answered_and_nobody_is_let_in_after() {
        let (begun, go_on) = (CancellationToken::new(), CancellationToken::new());
        let handler = get({
            let (begun, go_on) = (begun.clone(), go_on.clone());
            async move || {
                begun.cancel();
                go_on.cancelled().await;
                "done"
            }
        });
        let (address, closing) = served(Router::new().route("/", handler)).await;
        let answer =
            tokio::spawn(async move { answer_to(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await });
        begun.cancelled().await;
        closing.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.cancel();
        assert!(answer.await.unwrap().ends_with("done"));
    }
}
