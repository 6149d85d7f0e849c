//! Requests and answers as they go over the wire.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::openapi::Asked;

/// Longest that anything may take which a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at what is waited for.
const GLANCE: Duration = Duration::from_millis(25);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A text of the JSON body; empty if it is not there.
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    /// The recording's id.
    pub fn id(&self) -> String {
        self.field("recordingId")
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The answer, if it has this status, this name in `error` and this fragment in `message`. A 503 must
    /// say when to come back.
    #[track_caller]
    pub fn refused(self, status: u16, error: &str, fragment: &str) -> Self {
        let shown = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!((self.status, self.field("error").as_str()), (status, error), "{shown}");
        assert!(self.field("message").contains(fragment), "'{fragment}' is not in {shown}");
        let later = self.header("retry-after").parse::<u32>().ok().filter(|seconds| *seconds > 0);
        assert_eq!(later.is_some(), [429, 503].contains(&status), "Retry-After of {shown}");
        self
    }
}

/// Sends a request and reads the whole answer, which must be as the OpenAPI document says. An error if the
/// connection breaks before its end.
pub async fn try_send(request: RequestBuilder) -> reqwest::Result<Reply> {
    let (client, request) = request.timeout(PATIENCE).build_split();
    let request = request?;
    let asked = Asked::of(&request);
    let response = client.execute(request).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let reply = Reply { status, headers, body: response.bytes().await? };
    asked.is_answered_by(&reply);
    Ok(reply)
}

/// A client that uses no proxy.
pub fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Reads a method by name, unusual ones too.
pub fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

/// Waits until a look finds something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Sends raw bytes and reads until the connection ends or, for a connection that stays open, until
/// nothing more comes for a moment.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server may refuse before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}
