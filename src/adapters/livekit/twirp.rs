//! A Twirp client in protobuf that says exactly how a call ended.
//!
//! Owns one call: token, deadline, bounds, and which of the three failures of [`CallError`] it was. It
//! keeps status and body of an error, which the SDK's client drops. Never repeats a call, follows no
//! redirect and uses no proxy. Read [`super::egress`] for what the calls carry.

use std::error::Error;
use std::time::Duration;

use bytes::BytesMut;
use livekit_api::access_token::VideoGrants;
use prost::Message;
use reelkeeper_actors::recording::egress::CallError;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::tokens::Tokens;
use crate::adapters::awaited::awaiting;

const PROTOBUF: &str = "application/protobuf";
/// Longest answer that is read; a list of a day of egresses is far below it.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// Longest error body that is read.
const ERROR_MAX: usize = 64 * 1024;
/// Characters that are kept of LiveKit's own words.
const MESSAGE_MAX: usize = 500;
/// Characters that are kept of a body that is not Twirp's.
const EXCERPT_MAX: usize = 200;
/// A connection idle for longer may be half closed by something in between, and a call over it would
/// end without an answer. A fresh one costs less than a start whose outcome is unknown.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// Connections kept for the next call. After a crowd of starts the others are closed: each costs some 25 kB.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// A budget of calls in flight, and the deadline that they share.
#[derive(Debug)]
pub struct Lane {
    permits: Semaphore,
    wait: Duration,
    deadline: Duration,
}

impl Lane {
    /// So many calls in flight; a call waits at most `wait` for its turn and ends `deadline` after it was made.
    #[must_use]
    pub fn new(in_flight: usize, wait: Duration, deadline: Duration) -> Self {
        Self { permits: Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS)), wait, deadline }
    }

    /// Within what time a call ends, waiting for its turn included.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, CallError> {
        match timeout(self.wait.min(self.deadline), self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CallError::NotSent("too many calls are in flight".to_owned())),
        }
    }
}

/// Calls methods of a Twirp server.
#[derive(Debug)]
pub struct Twirp {
    http: Client,
    base: String,
    tokens: Tokens,
}

impl Twirp {
    /// Prepares the client. `connect_timeout` bounds name look-up, connect and TLS handshake together.
    ///
    /// # Errors
    /// When the URL cannot be used, or TLS cannot be set up. Names no secret.
    pub fn new(url: &str, tokens: Tokens, connect_timeout: Duration) -> Result<Self, String> {
        let base = base_url(url)?;
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build()
            .map_err(|error| format!("the HTTP client could not be set up: {}", chain(error)))?;
        Ok(Self { http, base, tokens })
    }

    /// Calls a method and waits for its answer, until the lane's deadline at the latest.
    ///
    /// # Errors
    /// [`CallError::NotSent`] only when no byte of the request can have left: no turn, no token, no
    /// connection. [`CallError::Answered`] for any complete answer but 200. [`CallError::NoAnswer`] for
    /// everything else, an unreadable 200 too.
    pub async fn call<Req: Message, Res: Message + Default>(
        &self,
        lane: &Lane,
        service: &str,
        method: &str,
        grants: VideoGrants,
        request: &Req,
    ) -> Result<Res, CallError> {
        let until = Instant::now() + lane.deadline;
        let _permit = lane.enter().await?;
        let token = self.tokens.mint(grants).map_err(CallError::NotSent)?;
        let exchange = async {
            let response = self
                .http
                .post(format!("{}/twirp/{service}/{method}", self.base))
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .header(CONTENT_TYPE, PROTOBUF)
                .header(ACCEPT, PROTOBUF)
                .body(request.encode_to_vec())
                .send()
                .await
                .map_err(unsent_or_lost)?;
            read_answer(response, &token).await
        };
        timeout_at(until, awaiting(LIVEKIT, exchange)).await.unwrap_or_else(|_| {
            Err(CallError::NoAnswer(format!("{method} took longer than {:?}", lane.deadline)))
        })
    }
}

/// The dependency's name in errors.
const LIVEKIT: &str = "LiveKit";

/// The URL that methods are appended to: `http` or `https`, its path kept, without a slash at its end.
fn base_url(text: &str) -> Result<String, String> {
    let http = match text.split_once("://") {
        Some(("ws" | "http", rest)) => format!("http://{rest}"),
        Some(("wss" | "https", rest)) => format!("https://{rest}"),
        _ => return Err("its URL must begin with ws://, wss://, http:// or https://".to_owned()),
    };
    let url = Url::parse(&http).map_err(|error| format!("its URL cannot be read: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL must not hold a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("its URL must not have a query or fragment".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A connection that never came to be carried no request; anything later may have.
fn unsent_or_lost(error: reqwest::Error) -> CallError {
    if error.is_connect() || error.is_builder() {
        CallError::NotSent(chain(error))
    } else {
        CallError::NoAnswer(chain(error))
    }
}

/// The error and its causes in one line, without the URL.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    excerpt(&text, MESSAGE_MAX)
}

async fn read_answer<Res: Message + Default>(response: Response, token: &str) -> Result<Res, CallError> {
    let status = response.status();
    if status != StatusCode::OK {
        let body = read_body(response, ERROR_MAX).await?.beginning;
        return Err(refusal(status.as_u16(), &body, token));
    }
    // An empty body is a valid empty list, so whatever is not said to be protobuf must not be read as one.
    let is_protobuf = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next().unwrap_or_default().trim() == PROTOBUF);
    if !is_protobuf {
        return Err(CallError::NoAnswer("an answer that is not protobuf".to_owned()));
    }
    let body = read_body(response, ANSWER_MAX).await?;
    if !body.complete {
        return Err(CallError::NoAnswer(format!("an answer of more than {ANSWER_MAX} bytes")));
    }
    Res::decode(body.beginning).map_err(|error| CallError::NoAnswer(format!("an unreadable answer: {error}")))
}

struct Body {
    beginning: BytesMut,
    complete: bool,
}

async fn read_body(mut response: Response, limit: usize) -> Result<Body, CallError> {
    let mut beginning = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| CallError::NoAnswer(chain(error)))? {
        let room = limit - beginning.len();
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Body { beginning, complete: false });
        }
    }
    Ok(Body { beginning, complete: true })
}

/// Twirp's error; both fields are always there, which tells it from other JSON.
#[derive(Deserialize)]
struct TwirpError {
    code: String,
    msg: String,
}

/// The error in a body. LiveKit repeats a token that it refuses; ours must not get into logs and answers.
fn refusal(status: u16, body: &[u8], token: &str) -> CallError {
    let text = String::from_utf8_lossy(body).replace(token, "(token)");
    match serde_json::from_str::<TwirpError>(&text) {
        Ok(error) => CallError::Answered {
            status,
            code: Some(excerpt(&error.code, EXCERPT_MAX)),
            message: excerpt(&error.msg, MESSAGE_MAX),
        },
        Err(_) => CallError::Answered { status, code: None, message: excerpt(&text, EXCERPT_MAX) },
    }
}

/// The beginning of a text in printable characters on one line.
fn excerpt(text: &str, limit: usize) -> String {
    let printable = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { ' ' } else { c };
    text.trim().chars().take(limit).map(printable).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_its_path_and_speaks_http() {
        let table = [
            ("ws://localhost:7880", Some("http://localhost:7880")),
            ("wss://lk.example.com", Some("https://lk.example.com")),
            ("http://localhost:7880/", Some("http://localhost:7880")),
            ("https://example.com/a/livekit/", Some("https://example.com/a/livekit")),
            ("localhost:7880", None),
            ("ftp://example.com", None),
            ("ws://", None),
            ("http://user:word@example.com", None),
            ("http://example.com?x=1", None),
        ];
        for (url, expected) in table {
            assert_eq!(base_url(url).ok().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt(" <html>\n\u{1b}[31mBad\u{7}</html> ", 200), "<html>  [31mBad </html>");
        assert_eq!(excerpt(&"ä".repeat(300), 200).chars().count(), 200);
    }

    #[test]
    fn only_twirps_own_errors_have_a_code() {
        let table: [(&[u8], Option<&str>, &str); 6] = [
            (br#"{"code":"not_found","msg":"no egress"}"#, Some("not_found"), "no egress"),
            (br#"{"code":"internal","msg":"","meta":{"cause":"x"}}"#, Some("internal"), ""),
            (br#"{"code":"not_found"}"#, None, r#"{"code":"not_found"}"#),
            (br#"{"code":404,"msg":"x"}"#, None, r#"{"code":404,"msg":"x"}"#),
            (b" <h1>502</h1>\n", None, "<h1>502</h1>"),
            (b"invalid token: ey.J.x, error: expired", None, "invalid token: (token), error: expired"),
        ];
        for (body, code, message) in table {
            let expected = CallError::Answered {
                status: 502,
                code: code.map(str::to_owned),
                message: message.to_owned(),
            };
            assert_eq!(refusal(502, body, "ey.J.x"), expected);
        }
    }
}
