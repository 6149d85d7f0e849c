//! What LiveKit recorded is kept, and every document says how its recording ended.

use std::time::Duration;

use reelkeeper_actors::ids::RecordingId;
use reelkeeper_actors::ports::blobs::Blobs as _;
use reelkeeper_actors::ports::catalog::Catalog as _;
use reelkeeper_actors::ports::catalog::list::{PAGE_MAX, RecordingQuery};
use reelkeeper_actors::recording::{FileLayout, Recording, RecordingStatus};

use crate::lock;
use crate::promises::Promises;
use crate::stage::Asked;
use crate::truth::{Truth, recording_of};

/// How old the look may be on which a judgement rests: a call to a store may take 5 s.
const LAST_LOOK: Duration = Duration::from_secs(6);

impl Promises {
    /// What LiveKit recorded is there, and every document says how its egress ended.
    pub(super) async fn check_documents(&mut self, truth: &Truth) {
        for egress in &truth.started {
            let id = recording_of(egress);
            let recorded = egress.status.recorded_as();
            if !recorded.has_file() {
                continue;
            }
            let found = self.document(&id).await;
            // What ended before we learned its id, and is not listed under its room, shows to nobody.
            let kept = found.is_some() || self.was_deleted(&id) || !self.is_listed_in_room(&id);
            self.expect("what LiveKit recorded is never lost", kept, || {
                format!("{id} is {recorded:?} and has no document")
            });
            let Some(found) = found else { continue };
            let file = self.has_file(&id).await;
            let told = self.is_remembered(&id);
            let honest = self.is_honest(&found, file);
            // Its file ended it while LiveKit said nothing, and what is complete stays so (design 5).
            let by_file = found.status == RecordingStatus::Complete && file && self.stage.plan.hides_ends();
            let right = found.status == recorded || ((!told || by_file) && honest);
            self.expect("what LiveKit recorded is never mislabelled", right, || {
                format!("{id} is {recorded:?} and shown as {found:?}")
            });
        }
        for found in self.all_documents().await {
            let id = &found.recording_id;
            let over = found.status.is_terminal();
            self.expect("every document says how it ended", over, || format!("{found:?}"));
            let file = self.has_file(id).await;
            let honest = !over || self.is_honest(&found, file);
            self.expect("a document says whether its file is there", honest, || {
                format!("the file is {}: {found:?}", if file { "there" } else { "not there" })
            });
        }
    }

    /// No document says that something is over, or not there, that plainly is not.
    pub(super) fn check_verdicts(&mut self) {
        let (witness, plan) = (&self.stage.around.witness, &self.stage.plan);
        let (at_once, lies) = (plan.shows_at_once(), plan.lies_about_participants());
        let originals = lock(&self.stage.originals).clone();
        let (verdicts, wrong) = (lock(&witness.verdicts).clone(), witness.wrong_notices(&originals));
        for verdict in verdicts {
            // Aborted at somebody's wish, whatever it does.
            if self.was_erased(&verdict.recording.recording_id) {
                continue;
            }
            let how = || format!("{verdict:?}");
            // What lost its connection may be back by the time that a slow store lets us say so.
            let may_be_back = lock(&self.stage.shaken).contains(&verdict.recording.recording_id.egress);
            let records = verdict.records && lies < 2 && (at_once || !may_be_back);
            self.expect("nothing is called over whose recorder is there", !records, how);
            self.expect("nothing is called failed that uploads", !verdict.uploads || !at_once, how);
            let looked_before = verdict.file_since.is_none_or(|since| since.plus(LAST_LOOK) > verdict.at);
            self.expect("no file is missed that is there", looked_before || !at_once, how);
        }
        self.expect("notices tell one story", wrong.is_empty(), || wrong.join("; "));
    }

    /// Whether a document says that there is a file, or says what went wrong.
    fn is_honest(&self, found: &Recording, file: bool) -> bool {
        match (found.status, file) {
            (RecordingStatus::Complete, true) => found.error.is_none(),
            (RecordingStatus::LimitReached, true) => true,
            // A file that LiveKit does not stand for is left alone.
            (RecordingStatus::Failed | RecordingStatus::Aborted, true) => {
                found.error.is_some() && self.is_remembered(&found.recording_id)
            }
            (_, false) => found.error.is_some(),
            (_, true) => false,
        }
    }

    /// Whether LiveKit knows how the egress of a recording ended.
    fn is_remembered(&self, id: &RecordingId) -> bool {
        let view = self.stage.around.livekit.live().with(|world| world.egress(&id.egress));
        view.is_some_and(|view| view.status.is_terminal())
    }

    fn is_listed_in_room(&self, id: &RecordingId) -> bool {
        let listed = self.stage.around.livekit.live().with(|world| world.egresses_of(&id.room));
        listed.iter().any(|egress| egress.egress == id.egress)
    }

    /// Whether the file of a recording is there and holds something.
    pub(super) async fn has_file(&self, id: &RecordingId) -> bool {
        let path = FileLayout::new("openvidu-meet").egress_path(&id.room, &id.uid);
        let head = self.stage.around.backing.blobs.head(&format!("{path}.mp4")).await;
        head.expect("memory answers").is_some_and(|head| head.size > 0)
    }

    async fn document(&self, id: &RecordingId) -> Option<Recording> {
        let found = self.stage.around.backing.store.recording(id).await.expect("memory answers");
        found.map(|stored| stored.recording)
    }

    async fn all_documents(&self) -> Vec<Recording> {
        let page = self.stage.around.backing.store.recordings(&RecordingQuery::newest(PAGE_MAX)).await;
        page.expect("memory answers").items
    }

    /// Whether somebody asked for its deletion whatever its state.
    pub(super) fn was_erased(&self, id: &RecordingId) -> bool {
        let told = lock(&self.stage.told);
        told.iter().any(|told| told.what == Asked::Erase(id.clone()))
    }

    /// Whether somebody asked for its deletion, whatever came of it.
    pub(super) fn was_deleted(&self, id: &RecordingId) -> bool {
        let told = lock(&self.stage.told);
        told.iter()
            .any(|told| matches!(&told.what, Asked::Delete(asked) | Asked::Erase(asked) if asked == id))
    }
}
