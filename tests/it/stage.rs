//! A service with one recording that runs, for tests of what must not change it.

use livekit_protocol as lk;
use lk::EgressStatus;

use crate::harness::Reelkeeper;
use crate::livekit::{Scripted, Shows, in_webhook};

/// A service with one recording that runs, of which nobody but the test tells anything.
pub struct Stage {
    pub service: Reelkeeper,
    pub livekit: Scripted,
    pub room: String,
    pub id: String,
    /// Its egress when the recording had begun.
    pub egress: lk::EgressInfo,
}

impl Stage {
    pub async fn set() -> Self {
        let livekit = Scripted::run(Shows::All).await;
        let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_RECONCILE_INTERVAL", "1h")]).await;
        let room = service.room().await;
        livekit.people(&room);
        let id = service.start_recording(&room).await.expect(201).id();
        let egress = livekit.egresses(&room).remove(0);
        Self { service, livekit, room, id, egress }
    }

    /// Ends the recording by a webhook, which must be believed.
    pub async fn end(self) {
        let Self { service, livekit, id, egress, .. } = self;
        let failed = livekit.change(&egress.egress_id, EgressStatus::EgressFailed);
        service.tell(&in_webhook("egress_ended", &failed)).await.expect(200);
        service.until(&id, "failed").await;
        service.finish().await;
    }
}
