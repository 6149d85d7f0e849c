//! LiveKit's webhooks are acknowledged only after the commit (design 6): what cannot be stored gets 503, and
//! its repeat is taken once it can.

use std::time::Duration;

use futures::future::join_all;
use livekit_protocol as lk;
use lk::EgressStatus;
use reelkeeper_actors::recording::egress::LeaveReason;
use reelkeeper_actors::recording::ledger::Phase;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Reelkeeper, folder};
use crate::livekit::{Act, Method, Scripted, Shows, egress, in_webhook};

/// Nothing but a webhook tells the service anything.
const SETTINGS: &[(&str, &str)] =
    &[("REELKEEPER_RECONCILE_INTERVAL", "1h"), ("REELKEEPER_REQUEST_TIMEOUT", "2s")];

/// What is wrong with the store.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Its writes do not come back.
    Frozen,
    /// It can be read, and refuses every change of a room's row.
    RefusesWrites,
    /// Rooms' rows can neither be read nor written.
    RefusesAll,
}

impl Trouble {
    const ALL: [Self; 3] = [Self::Frozen, Self::RefusesWrites, Self::RefusesAll];

    /// The statements that bring it about, and those that end it.
    fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::Frozen => ("BEGIN IMMEDIATE", "ROLLBACK"),
            Self::RefusesWrites => (
                "CREATE TRIGGER no_insert BEFORE INSERT ON reelkeeper_rooms BEGIN SELECT RAISE(ABORT, 'no'); END;
                 CREATE TRIGGER no_update BEFORE UPDATE ON reelkeeper_rooms BEGIN SELECT RAISE(ABORT, 'no'); END;",
                "DROP TRIGGER no_insert; DROP TRIGGER no_update",
            ),
            Self::RefusesAll => (
                "ALTER TABLE reelkeeper_rooms RENAME TO taken_away",
                "ALTER TABLE taken_away RENAME TO reelkeeper_rooms",
            ),
        }
    }
}

/// What a webhook tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Ending,
    Failed,
    RecorderLost,
    /// A live egress in our form that no row holds.
    Unheld,
}

impl News {
    const ALL: [Self; 4] = [Self::Ending, Self::Failed, Self::RecorderLost, Self::Unheld];
}

/// Enough for any test.
const FOREVER: usize = 10_000;

/// A service on a store that the test can trouble.
struct Stage {
    service: Reelkeeper,
    livekit: Scripted,
    room: String,
    store: Connection,
}

impl Stage {
    async fn set() -> Self {
        let livekit = Scripted::run(Shows::All).await;
        // No janitor finds what only webhooks are to tell of.
        livekit.script("", Method::ListOfAll, vec![Act::Plain(500, ""); FOREVER]);
        let folder = folder();
        let path = folder.path().join("reelkeeper.db");
        let url = format!("sqlite://{}", path.display());
        let settings = [SETTINGS, &[("REELKEEPER_STORE", url.as_str())]].concat();
        let service = Reelkeeper::start_in(folder, &livekit.url, &settings).await;
        let room = service.room().await;
        livekit.people(&room);
        let store = Connection::open(path).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        Self { service, livekit, room, store }
    }

    /// Brings about what the news is about, and tells nobody. The webhook, and the recording it is about.
    async fn happens(&self, news: News) -> (Value, String) {
        if news == News::Unheld {
            let file = lk::EncodedFileOutput {
                filepath: format!("openvidu-meet/recordings/{0}/{0}--0123456789", self.room),
                ..lk::EncodedFileOutput::default()
            };
            let request = lk::RoomCompositeEgressRequest {
                room_name: self.room.clone(),
                file_outputs: vec![file],
                ..lk::RoomCompositeEgressRequest::default()
            };
            let old = egress("EG_old", &request, EgressStatus::EgressActive);
            self.livekit.add(old.clone());
            return (in_webhook("egress_updated", &old), format!("{}--EG_old--0123456789", self.room));
        }
        let id = self.service.start_recording(&self.room).await.expect(201).id();
        let egress = id.split("--").nth(1).unwrap();
        let event = match news {
            News::Ending => {
                in_webhook("egress_updated", &self.livekit.change(egress, EgressStatus::EgressEnding))
            }
            News::Failed => {
                in_webhook("egress_ended", &self.livekit.change(egress, EgressStatus::EgressFailed))
            }
            News::RecorderLost => json!({"event": "participant_left", "room": {"name": self.room},
                "participant": {"identity": egress, "kind": "EGRESS", "disconnectReason": "CONNECTION_TIMEOUT"}}),
            News::Unheld => unreachable!("it is not ours"),
        };
        (event, id)
    }

    /// Whether the news is stored, as a process would find it that starts now.
    async fn has_stored(&self, news: News) -> bool {
        let state = self.service.rows().await.pop().map(|row| row.state).unwrap_or_default();
        let current = state.current.as_ref();
        match news {
            News::Ending => state.phase == Phase::Stopping,
            News::Failed => current.is_none(),
            News::RecorderLost => {
                current.is_some_and(|current| current.track.left == Some(LeaveReason::Lost))
            }
            News::Unheld => current.is_some(),
        }
    }

    async fn end(self, id: &str) {
        let failed = self.livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressFailed);
        self.service.tell(&in_webhook("egress_ended", &failed)).await.expect(200);
        self.service.until(id, "failed").await;
        self.service.finish().await;
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged_and_its_repeat_is_taken() {
    let cases = Trouble::ALL.into_iter().flat_map(|trouble| News::ALL.map(|news| (trouble, news)));
    join_all(cases.map(|(trouble, news)| is_taken_later(trouble, news))).await;
}

async fn is_taken_later(trouble: Trouble, news: News) {
    let stage = Stage::set().await;
    let (event, id) = stage.happens(news).await;
    assert!(!stage.has_stored(news).await, "{news:?} before anybody told of it");
    let (begin, end) = trouble.statements();
    stage.store.execute_batch(begin).unwrap();
    for reply in join_all((0..3).map(|_| stage.service.tell(&event))).await {
        reply.refused(503, "Service Unavailable", "");
    }
    stage.store.execute_batch(end).unwrap();
    stage.service.tell(&event).await.expect(200);
    let rows = stage.service.rows().await;
    assert!(stage.has_stored(news).await, "{news:?} after {trouble:?} is not stored: {rows:?}");
    stage.end(&id).await;
}

/// Whether a live egress that nobody holds is ours to record only LiveKit can say.
#[tokio::test]
async fn an_egress_that_cannot_be_asked_for_is_not_acknowledged() {
    let stage = Stage::set().await;
    let (event, id) = stage.happens(News::Unheld).await;
    stage.livekit.script(&stage.room, Method::ListById, [Act::Plain(500, ""), Act::Break]);
    for _ in 0..2 {
        stage.service.tell(&event).await.refused(503, "Service Unavailable", "LiveKit");
    }
    stage.service.tell(&event).await.expect(200);
    assert!(stage.has_stored(News::Unheld).await);
    stage.end(&id).await;
}
