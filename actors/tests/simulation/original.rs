//! What an old process left behind: recordings that it began, with their documents and without a row.

use bytes::Bytes;
use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::ports::blobs::Blobs as _;
use reelkeeper_actors::ports::catalog::{Catalog as _, StoredRecording};
use reelkeeper_actors::ports::clock::fresh_uid;
use reelkeeper_actors::recording::egress::EgressOrder;
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::{AccessSecrets, FileLayout, Recording, RecordingStatus};
use reelkeeper_actors::simulator::calls::{Reply, Request, Worked};
use reelkeeper_actors::simulator::log::CallOutcome;
use reelkeeper_actors::simulator::views::StartOrder;

use crate::lock;
use crate::plan::Left;
use crate::stage::Stage;
use crate::truth::Truth;

impl Stage {
    /// Leaves a recording of an old process in a room, unless somebody records it or is about to: the old
    /// process asked for that too.
    pub async fn leave_behind(&self, room: usize, left: Left) {
        let name = self.rooms[room].room_id.clone();
        let is_held = self.rows().await.iter().any(|row| row.room == name);
        let is_recorded = Truth::now(self).running.iter().any(|egress| *egress.room() == name);
        if is_held || is_recorded || self.somebody_waits() {
            return;
        }
        let uid = fresh_uid(&*self.around.chance);
        let (status, egress) = match left {
            Left::Running => match self.start_unseen(&name, &uid) {
                Some(egress) => (RecordingStatus::Starting, egress),
                None => return,
            },
            Left::Document(status) | Left::DocumentAndFile(status) => {
                (status, EgressId::from_trusted(format!("EG_{uid}")))
            }
        };
        let recording = self.document_of(RecordingId::new(name, egress, uid), status);
        if matches!(left, Left::DocumentAndFile(_)) {
            let key = files().blob_key(&recording);
            let written = self.around.backing.blobs.put(&key, Bytes::from_static(b"a recording")).await;
            written.expect("memory takes it");
        }
        lock(&self.originals).push(recording.recording_id.clone());
        let secrets = AccessSecrets { public: "public".to_owned(), private: "private".to_owned() };
        let stored = StoredRecording { recording, secrets, updated_at: 0 };
        self.around.backing.store.insert_recording(&stored).await.expect("memory takes it");
    }

    /// Whether no row holds a recording that an old process left behind and that is not over.
    pub async fn is_an_original_unheld(&self) -> bool {
        let rows = self.rows().await;
        let originals = lock(&self.originals).clone();
        for id in originals {
            let unfinished = self.shown(&id).await.is_some_and(|shown| !shown.is_terminal());
            if unfinished && !rows.iter().any(|row| row.state.holds(&id.uid)) {
                return true;
            }
        }
        false
    }

    fn start_unseen(&self, room: &RoomId, uid: &Uid) -> Option<EgressId> {
        let order = EgressOrder {
            room: room.clone(),
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filepath: files().egress_path(room, uid),
        };
        let request = Request::StartEgress(StartOrder::from(&order));
        self.around.livekit.live().with(|world| {
            let plan = world.receive(&request);
            let worked = world.work(&plan, request);
            world.finish(plan.call, CallOutcome::Lost);
            match worked {
                Worked::Answer(Ok(Reply::Egress(egress))) => Some(egress.egress),
                _ => None,
            }
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
    fn document_of(&self, id: RecordingId, status: RecordingStatus) -> Recording {
        Recording {
            room_id: id.room.clone(),
            recording_id: id,
            room_name: "Room".to_owned(),
            status,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: String::new(),
            start_date: self.around.clock.now().0 as f64,
            end_date: None,
            duration: None,
            size: None,
            error_code: None,
            error: None,
            details: None,
        }
    }
}

fn files() -> FileLayout {
    FileLayout::new("openvidu-meet")
}
