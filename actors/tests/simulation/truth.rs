//! What really is: the model's own knowledge, whatever LiveKit lists, forgets or was told to hide.

use std::collections::BTreeSet;

use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::log::CallRecord;
use reelkeeper_actors::simulator::views::EgressView;

use crate::stage::Stage;

/// Everything that LiveKit's workers know at one moment.
pub struct Truth {
    /// Every egress that was ever started.
    pub started: Vec<EgressView>,
    /// Those that record, or are about to.
    pub running: Vec<EgressView>,
    /// Those whose worker was killed.
    pub dead: BTreeSet<EgressId>,
    /// Every call that LiveKit received.
    pub calls: Vec<CallRecord>,
}

impl Truth {
    pub fn now(stage: &Stage) -> Self {
        stage.around.livekit.live().with(|world| Self {
            started: world.started_egresses(),
            running: world.running_egresses(),
            dead: world.dead_egresses().into_iter().collect(),
            calls: world.calls(),
        })
    }

    /// The egresses that run and that anybody can find: not those that LiveKit forgot before we learned their
    /// ids, of which nothing shows but a recorder that may be anybody's. They end with their meeting.
    pub async fn findable(&self, stage: &Stage) -> Vec<&EgressView> {
        let rows = stage.rows().await;
        let mut findable = Vec::new();
        for egress in &self.running {
            let id = recording_of(egress);
            let listed = stage.around.livekit.live().with(|world| world.egress(&egress.egress)).is_some();
            let mut tracks = rows.iter().flat_map(|row| row.state.tracks());
            let held = tracks.any(|track| track.egress.as_ref() == Some(&egress.egress));
            if listed || held || stage.shown(&id).await.is_some() {
                findable.push(egress);
            }
        }
        findable
    }

    pub fn runs(&self, egress: &EgressId) -> bool {
        self.running.iter().any(|running| running.egress == *egress)
    }

    pub fn egress(&self, egress: &EgressId) -> Option<&EgressView> {
        self.started.iter().find(|started| started.egress == *egress)
    }

    /// When LiveKit was asked to start an egress.
    pub fn asked_at(&self, egress: &EgressView) -> Timestamp {
        let path = &egress.order.filepath;
        let mut starts = self.calls.iter().filter(|call| call.method == Method::StartEgress);
        starts.find(|call| call.path == *path).expect("every egress was asked for").at
    }
}

/// The recording of an egress.
pub fn recording_of(egress: &EgressView) -> RecordingId {
    let path = egress.order.filepath.as_deref().unwrap_or_default();
    let uid = Uid::from_trusted(path.rsplit("--").next().unwrap_or_default());
    RecordingId::new(egress.room().clone(), egress.egress.clone(), uid)
}

/// Whether somebody with this identity is in a room, whatever LiveKit answers.
pub fn is_in_room(stage: &Stage, room: &RoomId, identity: &str) -> bool {
    let participants = stage.around.livekit.live().with(|world| world.participants(room));
    participants.iter().any(|participant| participant.identity == identity)
}
