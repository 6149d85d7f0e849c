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
use reelkeeper_actors::ports::outbox::Letter;
use reelkeeper_actors::ports::settings::Settings;
use reelkeeper_actors::ports::webhook_sender::{SendError, WebhookSender};
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

/// Sends to the configured receiver, whichever it is by then.
pub struct HttpWebhookSender {
    client: Client,
    settings: Arc<dyn Settings>,
    /// The first API key signs.
    catalog: Arc<dyn Catalog>,
    reach: Reach,
}

impl HttpWebhookSender {
    /// Prepares the client; nothing is sent yet. A receiver that sends elsewhere is not followed. If only public
    /// receivers may be reached, no proxy is used: it would look up the name by itself.
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
            .redirect(Policy::none())
            .user_agent(concat!("reelkeeper/", env!("CARGO_PKG_VERSION")));
        let client = match reach {
            Reach::Anywhere => client,
            Reach::Public => client.no_proxy().dns_resolver(Arc::new(PublicOnly)),
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
        let timestamp = letter.created_at.0.to_string();
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
    fn the_signature_covers_timestamp_and_body() {
        // printf '1700000000000.{"event":"testEvent"}' | openssl dgst -sha256 -hmac ovmeet-key
        assert_eq!(
            signature("ovmeet-key", "1700000000000", r#"{"event":"testEvent"}"#),
            "ec9312397ccb1f54126117e38841e97086e0b4f9441ac6d0cf286c4257d1b39c"
        );
    }
}
