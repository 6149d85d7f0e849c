//! Sends webhooks as LiveKit does.
//!
//! Owns signature, order and repeats: one queue for each egress and one for everything else of a room, for
//! each URL; within a queue one at a time. A network error, 429 or a 5xx (501 apart) is tried again after
//! growing pauses; anything else counts as sent, a 4xx too. What waited too long, or does not fit into its
//! queue, is dropped. Tasks of idle queues end.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reelkeeper_actors::ports::clock::{Clock, SystemClock};
use reelkeeper_actors::simulator::webhooks::Webhook;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::proto;
use super::tokens::Tokens;

/// Webhooks that wait in one queue, as in LiveKit.
const QUEUE_MAX: usize = 200;
/// What waited longer than this is dropped, as in LiveKit.
const AGE_MAX: Duration = Duration::from_secs(30);
/// A queue with nothing to send for this long is closed.
const IDLE: Duration = Duration::from_mins(1);
/// How many sent ones are remembered.
const SENT_MAX: usize = 10_000;
/// LiveKit has no such limit; a receiver that never answers would hold its queue for ever.
const TRY_MAX: Duration = Duration::from_secs(30);

/// How often a webhook is tried again, and after which pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// The pause before each further try; a receiver that sends `Retry-After` may lengthen it.
    pub pauses: Vec<Duration>,
}

impl Default for Retries {
    /// LiveKit's: four more tries after 1, 2, 4 and 8 s.
    fn default() -> Self {
        Self { pauses: [1, 2, 4, 8].map(Duration::from_secs).into() }
    }
}

/// A webhook that was sent, or dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SentWebhook {
    /// LiveKit's id of the event.
    pub id: String,
    /// Its name.
    pub event: String,
    /// The queue it went through: an egress or a room.
    pub queue: String,
    /// Where to.
    pub url: String,
    /// Each try's HTTP status, 0 for one without an answer.
    pub answers: Vec<u16>,
    /// Why it was never tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<&'static str>,
    /// The body as sent.
    pub body: String,
}

/// Sends webhooks.
pub(super) struct Sender {
    client: reqwest::Client,
    tokens: Arc<Tokens>,
    retries: Retries,
    closing: CancellationToken,
    urls: Mutex<Vec<String>>,
    queues: Mutex<HashMap<Key, mpsc::Sender<Waiting>>>,
    sent: Mutex<VecDeque<SentWebhook>>,
}

/// A queue: where to, and about which egress or room.
type Key = (String, String);

struct Waiting {
    since: Instant,
    webhook: SentWebhook,
}

impl Sender {
    pub(super) fn new(
        tokens: Arc<Tokens>,
        retries: Retries,
        closing: CancellationToken,
    ) -> io::Result<Arc<Self>> {
        // Receivers are on this machine or near it: a proxy of the environment is none of their business.
        let client =
            reqwest::Client::builder().timeout(TRY_MAX).no_proxy().build().map_err(io::Error::other)?;
        Ok(Arc::new(Self {
            client,
            tokens,
            retries,
            closing,
            urls: Mutex::default(),
            queues: Mutex::default(),
            sent: Mutex::default(),
        }))
    }

    pub(super) fn add(&self, url: String) {
        lock(&self.urls).push(url);
    }

    pub(super) fn urls(&self) -> Vec<String> {
        lock(&self.urls).clone()
    }

    pub(super) fn sent(&self) -> Vec<SentWebhook> {
        lock(&self.sent).iter().cloned().collect()
    }

    /// Puts a webhook into its queues.
    pub(super) fn send(self: &Arc<Self>, webhook: &Webhook) {
        let Ok(body) = serde_json::to_string(&proto::webhook(webhook)) else {
            tracing::error!(event = webhook.event.name(), "webhook cannot be written");
            return;
        };
        for url in self.urls() {
            self.enqueue(SentWebhook {
                id: webhook.id.clone(),
                event: webhook.event.name().to_owned(),
                queue: webhook.queue().to_owned(),
                url,
                answers: Vec::new(),
                dropped: None,
                body: body.clone(),
            });
        }
    }

    fn enqueue(self: &Arc<Self>, webhook: SentWebhook) {
        let key = (webhook.url.clone(), webhook.queue.clone());
        let mut queues = lock(&self.queues);
        let queue = queues.entry(key.clone()).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(QUEUE_MAX);
            let (this, closing) = (Arc::clone(self), self.closing.clone());
            tokio::spawn(async move { closing.run_until_cancelled(this.work_off(key, receiver)).await });
            sender
        });
        if let Err(full) = queue.try_send(Waiting { since: Instant::now(), webhook }) {
            drop(queues);
            let webhook = full.into_inner().webhook;
            self.remember(SentWebhook { dropped: Some("queue is full"), ..webhook });
        }
    }

    async fn work_off(self: Arc<Self>, key: Key, mut queue: mpsc::Receiver<Waiting>) {
        loop {
            match tokio::time::timeout(IDLE, queue.recv()).await {
                Ok(Some(waiting)) => self.post(waiting).await,
                Ok(None) => return,
                Err(_) => {
                    // Under the lock nobody can add to it between the look and the removal.
                    let mut queues = lock(&self.queues);
                    if queue.is_empty() {
                        queues.remove(&key);
                        return;
                    }
                }
            }
        }
    }

    async fn post(&self, waiting: Waiting) {
        let mut webhook = waiting.webhook;
        if waiting.since.elapsed() > AGE_MAX {
            return self.remember(SentWebhook { dropped: Some("age"), ..webhook });
        }
        let Ok(token) = self.tokens.vouch(&webhook.body, SystemClock.now()) else {
            return self.remember(SentWebhook { dropped: Some("no key or secret"), ..webhook });
        };
        let mut pauses = self.retries.pauses.iter();
        loop {
            let (status, wanted) = self.try_once(&webhook, &token).await;
            webhook.answers.push(status);
            let again = status == 0 || status == 429 || (status >= 500 && status != 501);
            match pauses.next() {
                Some(pause) if again => tokio::time::sleep(wanted.unwrap_or(*pause)).await,
                _ => break,
            }
        }
        self.remember(webhook);
    }

    /// The status, 0 without an answer, and the pause that the receiver wants.
    async fn try_once(&self, webhook: &SentWebhook, token: &str) -> (u16, Option<Duration>) {
        let request = self.client.post(&webhook.url).header(AUTHORIZATION, token);
        let request = request.header(CONTENT_TYPE, "application/webhook+json").body(webhook.body.clone());
        match request.send().await {
            Ok(response) => {
                let wanted =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                (
                    response.status().as_u16(),
                    wanted.map(Duration::from_secs).map(|wanted| wanted.min(AGE_MAX)),
                )
            }
            Err(error) => {
                tracing::debug!(url = webhook.url, event = webhook.event, %error, "webhook got no answer");
                (0, None)
            }
        }
    }

    fn remember(&self, webhook: SentWebhook) {
        let mut sent = lock(&self.sent);
        if sent.len() >= SENT_MAX {
            sent.pop_front();
        }
        sent.push_back(webhook);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
