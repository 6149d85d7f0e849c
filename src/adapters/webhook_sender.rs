//! Outgoing webhooks over HTTP: the contract's headers and signature (contract `recordings.md` 6).
//!
//! Owns one attempt. When it is made, and made again, is `reelkeeper_actors::outbox`'s.

mod addresses;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, Mac as _};
use reelkeeper_actors::ports::catalog::Catalog;
use reelkeeper_actors::ports::clock::{Clock as _, SystemClock};
use reelkeeper_actors::ports::outbox::Letter;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::ports::webhook_sender::{SendError, WebhookSender};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::settings::GlobalSettings;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sha2::Sha256;

use self::addresses::PublicOnly;
pub use self::addresses::Reach;

const TIMESTAMP: &str = "x-timestamp";
const SIGNATURE: &str = "x-signature";
/// Ours: names the notice for ever, so that a receiver can tell a repetition.
const NOTICE_ID: &str = "x-notice-id";
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Receivers that do as OpenVidu says refuse what was sent more than two minutes ago. Up to this age, which covers the
/// contract's tries, a notice is sent as of its creation, each time the same; later, as of the attempt.
const AS_OF_CREATION: Duration = Duration::from_mins(1);
/// Redirects of a receiver that are followed.
const REDIRECTS_MAX: usize = 5;

/// Sends to the configured receiver, whichever it is by then.
pub struct HttpWebhookSender {
    client: Client,
    settings: Arc<dyn Settings>,
    /// The first API key signs.
    catalog: Arc<dyn Catalog>,
    reach: Reach,
}

impl HttpWebhookSender {
    /// Prepares the client; nothing is sent yet. No proxy is used, as in the original. A receiver that sends on what it
    /// gets, by 307 or 308, is followed.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        timeout: Duration,
        reach: Reach,
        settings: Arc<dyn Settings>,
        catalog: Arc<dyn Catalog>,
    ) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(timeout)
            .no_proxy()
            .redirect(redirects(reach))
            .user_agent(concat!("reelkeeper/", env!("CARGO_PKG_VERSION")));
        let client = match reach {
            Reach::Anywhere => client,
            Reach::Public => client.dns_resolver(Arc::new(PublicOnly)),
        };
        let client =
            client.build().map_err(|error| format!("outgoing webhooks cannot be set up: {error}"))?;
        Ok(Self { client, settings, catalog, reach })
    }
}

#[async_trait]
impl WebhookSender for HttpWebhookSender {
    async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let settings = self.settings.settings().await.map_err(|error| SendError(error.to_string()))?;
        match settings.as_ref().and_then(GlobalSettings::receiver) {
            Some(receiver) => self.send_to(receiver, letter).await,
            None => Err(SendError("outgoing webhooks are turned off".to_owned())),
        }
    }

    async fn send_to(&self, receiver: &str, letter: &Letter) -> Result<(), SendError> {
        let keys = self.catalog.api_keys().await.map_err(|error| SendError(error.to_string()))?;
        let Some(key) = keys.first() else {
            return Err(SendError("there is no API key to sign with".to_owned()));
        };
        let receiver = Url::parse(receiver).map_err(|_| SendError("the receiver is no URL".to_owned()))?;
        if self.reach == Reach::Public {
            addresses::check(&receiver).map_err(|why| SendError(why.to_owned()))?;
        }
        let timestamp = as_of(letter.created_at, SystemClock.now()).0.to_string();
        let request = self
            .client
            .post(receiver)
            .headers(headers(&letter.id, &timestamp, &signature(&key.key, &timestamp, &letter.body))?)
            .body(letter.body.clone());
        let answer = request.send().await.map_err(|error| SendError(without_url(error)))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(SendError(format!("the receiver answered {status}"))) }
    }
}

/// What an attempt at `now` says of when a notice was sent.
fn as_of(created_at: Timestamp, now: Timestamp) -> Timestamp {
    if now.since(created_at) < AS_OF_CREATION { created_at } else { now }
}

/// Only those that repeat the request as it is; another may not want what it gets.
fn redirects(reach: Reach) -> Policy {
    Policy::custom(move |attempt| {
        let is_repeated = matches!(attempt.status().as_u16(), 307 | 308);
        let is_reached = reach == Reach::Anywhere || addresses::check(attempt.url()).is_ok();
        if is_repeated && is_reached && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The URL may hold a secret of the receiver's.
fn without_url(error: reqwest::Error) -> String {
    let mut text = String::new();
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        let _ = write!(text, "{error}");
        cause = error.source();
    }
    text
}

fn headers(id: &str, timestamp: &str, signature: &str) -> Result<HeaderMap, SendError> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| SendError(error.to_string()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, APPLICATION_JSON);
    headers.insert(TIMESTAMP, value(timestamp)?);
    headers.insert(SIGNATURE, value(signature)?);
    headers.insert(NOTICE_ID, value(id)?);
    Ok(headers)
}

/// Lowercase hex of HMAC-SHA256 over `<timestamp>.<body>`.
fn signature(key: &str, timestamp: &str, body: &str) -> String {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length is a key");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("{:x}", mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_late_says_so() {
        let table = [(0, 0, 0), (5_000, 64_999, 5_000), (5_000, 65_000, 65_000), (5_000, 4_000, 5_000)];
        for (created_at, now, expected) in table {
            assert_eq!(
                as_of(Timestamp(created_at), Timestamp(now)),
                Timestamp(expected),
                "{created_at} {now}"
            );
        }
    }

    #[test]
    fn the_signature_covers_timestamp_and_body() {
        // printf '1700000000000.{"event":"testEvent"}' | openssl dgst -sha256 -hmac ovmeet-key
        assert_eq!(
            signature("ovmeet-key", "1700000000000", r#"{"event":"testEvent"}"#),
            "ec9312397ccb1f54126117e38841e97086e0b4f9441ac6d0cf286c4257d1b39c"
        );
    }
}
