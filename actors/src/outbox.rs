//! Delivery of outgoing webhooks: from the outbox to their receiver, in order, until taken or dead.
//!
//! Owns when an attempt is made and when a letter is given up (design 9). A slow or dead receiver holds only
//! the letters about the same recording, and the bounded attempts under way. Decides nothing about
//! recordings. Read `ports/outbox.rs` for what is promised of the store.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::meeting::notice::MeetingNotice;
use crate::ports::PortError;
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::notifier::Notifier;
use crate::ports::outbox::{Delivery, Letter, Outbox};
use crate::ports::settings::Settings;
use crate::ports::webhook_sender::WebhookSender;
use crate::recording::Timestamp;
use crate::recording::notice::Notice;
use crate::recording::policy::back_off;

/// The contract's pauses after the first attempts (contract `recordings.md` 6).
const FIRST_PAUSES_MS: [u64; 5] = [300, 600, 1_200, 2_400, 4_800];
/// The first pause after those.
const LATER_PAUSE: Duration = Duration::from_secs(10);
/// What a lease lasts beyond the attempt, for the store to hear how it went.
const LEASE_GRACE: Duration = Duration::from_secs(10);
/// Pause before the store is asked again that did not answer.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// How long a delivered letter is remembered, and how many are forgotten at once.
const REMEMBERED: Duration = Duration::from_hours(24);
const PURGE_PAGE: usize = 500;

/// How deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// One attempt, until the receiver's answer.
    pub timeout: Duration,
    /// Attempts at once.
    pub in_flight: usize,
    /// Longest pause between two attempts.
    pub longest_pause: Duration,
    /// Age at which a letter is given up.
    pub give_up_after: Duration,
    /// Age at which one that was given up is forgotten.
    pub forget_after: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            in_flight: 16,
            longest_pause: Duration::from_mins(15),
            give_up_after: Duration::from_hours(24),
            forget_after: Duration::from_hours(24 * 30),
        }
    }
}

/// When a letter that failed is tried again; none if it is given up. However old it is, it has the contract's tries: the
/// service may have been away for long, and one that is sent again is as old as before.
#[must_use]
pub fn next_attempt(delivery: &Delivery, now: Timestamp, limits: &DeliveryLimits) -> Option<Timestamp> {
    let tries = usize::try_from(delivery.tries.max(1) - 1).unwrap_or(usize::MAX);
    if let Some(ms) = FIRST_PAUSES_MS.get(tries) {
        return Some(now.plus(Duration::from_millis(*ms)));
    }
    let later = u32::try_from(tries - FIRST_PAUSES_MS.len()).unwrap_or(u32::MAX);
    let due = now.plus(back_off((LATER_PAUSE, limits.longest_pause), later));
    (due <= delivery.letter.created_at.plus(limits.give_up_after)).then_some(due)
}

/// The body of an outgoing webhook, in the contract's order of keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, T> {
    event: &'a str,
    creation_date: i64,
    data: &'a T,
}

/// What stands before the paths of rooms' URLs in notices: as configured, else as whoever managed rooms at this node
/// last called it.
#[derive(Debug)]
pub struct NoticeUrl(RwLock<String>);

impl NoticeUrl {
    /// Begins with this one.
    #[must_use]
    pub fn new(first: String) -> Self {
        Self(RwLock::new(first))
    }

    /// From now on it is this one.
    pub fn learn(&self, url: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *known != url {
            url.clone_into(&mut known);
        }
    }

    fn known(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Puts notices into an outbox, as long as there is somebody to be told.
pub struct OutboxNotifier {
    outbox: Arc<dyn Outbox>,
    settings: Arc<dyn Settings>,
    catalog: Arc<dyn Catalog>,
    base_url: Arc<NoticeUrl>,
    news: Arc<Notify>,
}

impl OutboxNotifier {
    async fn put(&self, letter: Letter) -> Result<(), PortError> {
        if self.is_anybody_told().await? && self.outbox.put(&letter).await? {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Without an API key nothing could be signed.
    async fn is_anybody_told(&self) -> Result<bool, PortError> {
        let settings = self.settings.settings().await?;
        let has_receiver = settings.is_some_and(|settings| settings.receiver().is_some());
        Ok(has_receiver && !self.catalog.api_keys().await?.is_empty())
    }
}

#[async_trait]
impl Notifier for OutboxNotifier {
    async fn take(&self, notice: &Notice) -> Result<(), PortError> {
        let subject = notice.recording.recording_id.to_string();
        let event = notice.event.name();
        self.put(letter(subject, notice.number, event, notice.created_at, &notice.recording)?).await
    }

    async fn take_meeting(&self, notice: &MeetingNotice) -> Result<(), PortError> {
        let subject = notice.room.room_id.to_string();
        let room = notice.room.clone().as_shown(&self.base_url.known());
        self.put(letter(subject, notice.number, notice.event.name(), notice.created_at, &room)?).await
    }
}

fn letter(
    subject: String,
    number: u32,
    event: &str,
    created_at: Timestamp,
    data: &impl Serialize,
) -> Result<Letter, PortError> {
    let body = serde_json::to_string(&Body { event, creation_date: created_at.0, data })
        .map_err(|error| PortError::misused("store", format_args!("notice of {subject}: {error}")))?;
    Ok(Letter {
        id: format!("{subject}.{number}"),
        subject,
        number,
        event: event.to_owned(),
        created_at,
        body,
    })
}

/// Delivers what lies in an outbox.
pub struct Deliverer {
    outbox: Arc<dyn Outbox>,
    sender: Arc<dyn WebhookSender>,
    clock: Arc<dyn Clock>,
    limits: DeliveryLimits,
    news: Arc<Notify>,
}

impl Deliverer {
    /// Delivers from this outbox by this sender.
    #[must_use]
    pub fn new(
        outbox: Arc<dyn Outbox>,
        sender: Arc<dyn WebhookSender>,
        clock: Arc<dyn Clock>,
        limits: DeliveryLimits,
    ) -> Self {
        Self { outbox, sender, clock, limits, news: Arc::new(Notify::new()) }
    }

    /// What takes notices into the same outbox, and wakes this deliverer. URLs of rooms begin with this one, which
    /// has no slash at its end.
    #[must_use]
    pub fn notifier(
        &self,
        settings: Arc<dyn Settings>,
        catalog: Arc<dyn Catalog>,
        base_url: Arc<NoticeUrl>,
    ) -> OutboxNotifier {
        OutboxNotifier { outbox: self.outbox.clone(), settings, catalog, base_url, news: self.news.clone() }
    }

    /// Delivers until dropped. An attempt that is cut off counts, and its letter comes up again by itself.
    pub async fn run(self) {
        let limits = self.limits;
        let carrier =
            Arc::new(Carrier { outbox: self.outbox, sender: self.sender, clock: self.clock, limits });
        let slots = Arc::new(Semaphore::new(limits.in_flight.max(1)));
        let mut attempts = JoinSet::new();
        loop {
            while attempts.try_join_next().is_some() {}
            let free = slots.available_permits();
            let leased = if free == 0 { Ok(Vec::new()) } else { carrier.lease(free).await };
            let pause = match leased {
                Ok(leased) if !leased.is_empty() => {
                    for delivery in leased {
                        let Ok(slot) = slots.clone().acquire_owned().await else { return };
                        let carrier = carrier.clone();
                        attempts.spawn(async move {
                            carrier.attempt(delivery).await;
                            drop(slot);
                        });
                    }
                    continue;
                }
                Ok(_) => carrier.idle().await,
                Err(error) => {
                    tracing::warn!(%error, "outbox cannot be read");
                    STORE_RETRY
                }
            };
            tokio::select! {
                () = self.news.notified() => {}
                // The next letter about the same may go.
                Some(_) = attempts.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// What every attempt needs.
struct Carrier {
    outbox: Arc<dyn Outbox>,
    sender: Arc<dyn WebhookSender>,
    clock: Arc<dyn Clock>,
    limits: DeliveryLimits,
}

impl Carrier {
    async fn lease(&self, free: usize) -> Result<Vec<Delivery>, PortError> {
        let now = self.clock.now();
        self.outbox.lease(now, now.plus(self.limits.timeout + LEASE_GRACE), free).await
    }

    /// Nothing is due: forgets what was delivered long ago, and says when to look again.
    async fn idle(&self) -> Duration {
        let now = self.clock.now();
        let [delivered, dead] = [REMEMBERED, self.limits.forget_after].map(|age| now.minus(age));
        if let Err(error) = self.outbox.purge(delivered, dead, PURGE_PAGE).await {
            tracing::warn!(%error, "old notices cannot be forgotten");
        }
        match self.outbox.next_due().await {
            Ok(Some(due)) => due.since(now).clamp(Duration::from_millis(10), LATER_PAUSE),
            Ok(None) => LATER_PAUSE,
            Err(_) => STORE_RETRY,
        }
    }

    async fn attempt(&self, delivery: Delivery) {
        let letter = &delivery.letter;
        let sent = tokio::time::timeout(self.limits.timeout, self.sender.send(letter)).await;
        let failure = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.limits.timeout)),
        };
        let told = match &failure {
            None => self.outbox.delivered(&letter.id, self.clock.now()).await,
            Some(reason) => {
                let due = next_attempt(&delivery, self.clock.now(), &self.limits);
                log_failure(&delivery, reason, due);
                self.outbox.failed(&letter.id, due, reason).await
            }
        };
        if let Err(error) = told {
            // Its lease ends, and it is tried again.
            tracing::warn!(notice.id = %letter.id, %error, "how a delivery went cannot be stored");
        }
    }
}

/// `due` is when it is tried again; never, if there is none.
fn log_failure(delivery: &Delivery, reason: &str, due: Option<Timestamp>) {
    let (id, tries) = (&delivery.letter.id, delivery.tries);
    if due.is_none() {
        tracing::error!(notice.id = %id, tries, reason, "notice was given up");
    } else if tries == 1 {
        tracing::warn!(notice.id = %id, reason, "notice was not taken, trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::outbox::LetterState;

    const DAY_MS: i64 = 24 * 3_600_000;

    #[test]
    fn a_letter_is_tried_at_the_contracts_pauses_then_for_hours_then_given_up() {
        let limits = DeliveryLimits::default();
        let pause = |tries: u32, now: i64| {
            let letter = Letter {
                id: "id".to_owned(),
                subject: "subject".to_owned(),
                number: 1,
                event: "event".to_owned(),
                created_at: Timestamp(0),
                body: String::new(),
            };
            let (state, due) = (LetterState::Waiting, Timestamp(0));
            let delivery = Delivery { letter, state, tries, due, last_error: String::new() };
            next_attempt(&delivery, Timestamp(now), &limits).map(|due| due.0 - now)
        };
        let first: Vec<_> = (1..=9).map(|tries| pause(tries, 0)).collect();
        let expected = [300, 600, 1_200, 2_400, 4_800, 10_000, 20_000, 40_000, 80_000];
        assert_eq!(first, expected.map(Some));
        assert_eq!(pause(40, 0), Some(15 * 60_000), "the longest pause");
        assert_eq!(pause(u32::MAX, 0), Some(15 * 60_000));
        assert_eq!(pause(100, DAY_MS - 15 * 60_000), Some(15 * 60_000), "just young enough");
        assert_eq!(pause(100, DAY_MS), None);
        assert_eq!(pause(1, DAY_MS), Some(300), "a day away, and tried as often as the contract says");
        assert_eq!(pause(6, DAY_MS), None, "and then given up");
    }
}
