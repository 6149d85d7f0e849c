//! The probe: a room of its own in LiveKit, whose webhook must reach the service, and an egress that is begun and
//! stopped, to see whether a worker is there.

use std::time::{Duration, Instant};

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::joining::RoomOrder;
use reelkeeper_actors::ports::clock::{SystemEntropy, fresh_uid};
use reelkeeper_actors::ports::media_server::MediaServer;
use reelkeeper_actors::recording::egress::EgressOrder;
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use serde_json::{Value, json};

use super::{Finding, Outcome};
use crate::config::Config;

/// How long a webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long the room stays, as nobody ever comes.
const ROOM_LASTS: Duration = Duration::from_secs(30);

/// Where the running service is.
pub struct Probe<'a> {
    /// Its configuration.
    pub config: &'a Config,
    /// LiveKit.
    pub media_server: &'a dyn MediaServer,
    /// Its origin, such as `http://localhost:6080`.
    pub origin: String,
}

impl Probe<'_> {
    /// Does it.
    pub async fn run(&self) -> Vec<Finding> {
        let room = RoomId::from_trusted(format!("reelkeeper-doctor-{}", fresh_uid(&SystemEntropy)));
        let webhook = self.webhook(&room).await;
        let worker = self.worker(&room).await;
        vec![webhook, worker]
    }

    /// Makes the room and waits until the service heard of it.
    async fn webhook(&self, room: &RoomId) -> Finding {
        let began = Instant::now();
        let Some(before) = self.heard().await else {
            let seen = format!("the service does not answer at {}", self.origin);
            return Finding::of(
                "webhook",
                Outcome::Unknown,
                seen,
                "start it, or say where it is with --service",
            );
        };
        if let Err(error) = self.media_server.create_room(&self.order(room)).await {
            let seen = format!("no room could be made in LiveKit: {error}");
            return Finding::of("webhook", Outcome::Unknown, seen, "mend LiveKit first");
        }
        while began.elapsed() < PATIENCE {
            if self.heard().await.is_some_and(|now| now != before) {
                let seen = format!("LiveKit's news of a new room reached {}", self.origin);
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Finding { took_ms, ..Finding::of("webhook", Outcome::Ok, seen, "") };
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let seen =
            format!("no webhook reached {} within {} s of a new room", self.origin, PATIENCE.as_secs());
        let advice = "in LiveKit's configuration, set webhook.urls to <service>/livekit/webhook and webhook.api_key to \
                      livekit.api_key, and see that it can reach the service";
        Finding::of("webhook", Outcome::Failed, seen, advice)
    }

    /// When the service last took a webhook; the outer none: it does not answer.
    async fn heard(&self) -> Option<Value> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().ok()?;
        let answer = client.get(format!("{}/readyz", self.origin)).send().await.ok()?;
        let ready: Value = answer.json().await.ok()?;
        ready.get("ready")?;
        Some(ready["lastWebhook"].clone())
    }

    /// Begins an egress that nobody takes for a recording, and stops it. LiveKit answers only if a worker took it.
    async fn worker(&self, room: &RoomId) -> Finding {
        let began = Instant::now();
        let order = EgressOrder {
            room: room.clone(),
            layout: Layout::default(),
            encoding: Encoding::default(),
            filepath: format!("{}/.reelkeeper-doctor/{room}", self.config.policy().files.root()),
        };
        match self.media_server.start_egress(&order).await {
            Ok(info) => {
                // It ends with the room in any case.
                let _ = self.media_server.stop_egress(&info.egress).await;
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let seen = "an egress worker took an egress, which was stopped at once".to_owned();
                Finding { took_ms, ..Finding::of("worker", Outcome::Ok, seen, "") }
            }
            Err(error) => {
                let seen = format!("no egress worker took an egress: {error}");
                let advice = "start livekit/egress with the same Redis, key and secret as LiveKit, and look into its log";
                Finding::of("worker", Outcome::Failed, seen, advice)
            }
        }
    }

    fn order(&self, room: &RoomId) -> RoomOrder {
        RoomOrder {
            room: room.clone(),
            empty_timeout: ROOM_LASTS,
            departure_timeout: ROOM_LASTS,
            // Ours, so that the service takes notice, and none of its rooms, so that it keeps nothing.
            metadata: json!({"createdBy": self.config.name_id}).to_string(),
        }
    }
}
