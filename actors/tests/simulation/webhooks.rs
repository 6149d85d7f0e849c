//! LiveKit's webhooks on their way to whichever node is up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reelkeeper_actors::ports::media_server::{LiveKitEvent, LiveKitNews};
use reelkeeper_actors::recording::egress::LeaveReason;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::lock;
use crate::stage::Stage;
use crate::upkeep::in_run;

/// How long LiveKit waits for the answer to a webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often LiveKit sends a webhook before it gives up.
const WEBHOOK_TRIES: u32 = 6;

/// Sends LiveKit's webhooks to the node until it takes them, like LiveKit.
pub async fn hand_on_all(stage: Arc<Stage>, mut webhooks: mpsc::Receiver<LiveKitEvent>) {
    while let Some(event) = webhooks.recv().await {
        tokio::spawn(hand_on(stage.clone(), event));
    }
}

async fn hand_on(stage: Arc<Stage>, event: LiveKitEvent) {
    let mut pause = Duration::from_millis(500);
    for _ in 0..WEBHOOK_TRIES {
        if stage.deaf.load(Ordering::Relaxed) {
            return;
        }
        if let Some(node) = stage.up().filter(|_| stage.around.away().is_none()) {
            stage.around.timeline.tell(|| format!("webhook {} {}", event.name, told_by(&event.news)));
            let taken = timeout(WEBHOOK_TIMEOUT, node.orchestrator.livekit_event(event.clone()));
            if matches!(in_run(&node.run, taken).await, Some(Ok(Ok(())))) {
                if let LiveKitNews::RecorderLeft { egress, reason: LeaveReason::Clean } = event.news {
                    lock(&stage.around.witness.left_in_order).insert(egress);
                }
                return;
            }
        }
        sleep(pause).await;
        pause *= 2;
    }
}

fn told_by(news: &LiveKitNews) -> String {
    match news {
        LiveKitNews::Egress(info) => format!("{} {:?}", info.egress, info.status),
        LiveKitNews::RecorderLeft { egress, reason } => format!("{egress} left: {reason:?}"),
        LiveKitNews::Meeting(news) => format!("{news:?}"),
        LiveKitNews::PersonJoined { sid } => format!("{sid} joined"),
        LiveKitNews::PersonLeft { name, .. } => format!("{name} left"),
        LiveKitNews::Other => String::new(),
    }
}
