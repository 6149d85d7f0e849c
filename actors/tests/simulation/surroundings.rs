//! What a history's runs share: the world around them, and the chance of the seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reelkeeper_actors::ports::blobs::Blobs as _;
use reelkeeper_actors::ports::clock::{Clock, Entropy};
use reelkeeper_actors::recording::egress::CallError;
use reelkeeper_actors::recording::{FileLayout, Recording, Timestamp};
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::media_server::SimulatedMediaServer;
use tokio::time::sleep;

use crate::backing::Backing;
use crate::lock;
use crate::network::Network;
use crate::plan::Away;
use crate::timeline::Timeline;
use crate::witness::{Verdict, Witness};

/// What a history's runs share.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<Chance>,
    pub backing: Arc<Backing>,
    pub livekit: SimulatedMediaServer,
    pub lies: Mutex<Vec<(Method, Refusal)>>,
    /// Until when LiveKit cannot be reached, and how that shows.
    pub away: Mutex<(Timestamp, Away)>,
    pub witness: Witness,
    pub network: Network,
    pub timeline: Arc<Timeline>,
}

impl Surroundings {
    /// How it shows that LiveKit cannot be reached now; none if it can.
    pub fn away(&self) -> Option<Away> {
        let (until, how) = *lock(&self.away);
        (self.clock.now() < until).then_some(how)
    }

    /// Takes down what a document is about to say, and what is true of it.
    pub async fn take_down(&self, recording: &Recording) {
        let id = &recording.recording_id;
        self.witness.begins_to_show(recording, self.clock.now());
        let (egress, records, uploads) = self.livekit.live().with(|world| {
            let view = world.started_egresses().into_iter().find(|egress| egress.egress == id.egress);
            let in_room = world.participants(&id.room).iter().any(|p| p.identity == id.egress.as_str());
            let records = world.running_egresses().iter().any(|egress| egress.egress == id.egress) && in_room;
            let uploads = world.uploading_egresses().contains(&id.egress);
            (view, records, uploads)
        });
        if Verdict::is_ours(recording, egress.as_ref()) {
            let key = FileLayout::new("openvidu-meet").blob_key(recording);
            let file = self.backing.blobs.head(&key).await.expect("memory answers");
            let file_since = file.filter(|file| file.size > 0).map(|file| Timestamp(file.modified));
            let uploads = uploads && lock(&self.witness.left_in_order).contains(&id.egress);
            let (recording, at) = (recording.clone(), self.clock.now());
            lock(&self.witness.verdicts).push(Verdict { recording, records, uploads, file_since, at });
        }
    }

    /// Carries a call to LiveKit, if that can be reached.
    pub async fn reach<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        match self.away() {
            None => work.await,
            Some(Away::Refuses) => Err(CallError::NotSent("as the plan says".to_owned())),
            Some(Away::Silent) => {
                sleep(patience).await;
                Err(CallError::NoAnswer("as the plan says".to_owned()))
            }
        }
    }
}

/// Chance from the seed.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    pub fn of(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(StdRng::seed_from_u64(seed))))
    }
}

impl Entropy for Chance {
    fn draw(&self) -> [u8; 16] {
        lock(&self.0).random()
    }
}
