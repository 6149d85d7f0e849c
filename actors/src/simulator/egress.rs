//! The life of an egress.
//!
//! Owns what a LiveKit server and its egress workers do with a recording:
//!
//! - STARTING, then the hidden recorder joins (its identity is the egress id), then ACTIVE;
//! - stopped while ACTIVE: the answer and `egress_updated` say ENDING, the recorder leaves cleanly, the
//!   file is uploaded, COMPLETE;
//! - stopped while STARTING: ABORTED at once, in the answer too;
//! - its room ends: no ENDING; it is listed as ACTIVE until it is COMPLETE;
//! - what goes wrong with its worker, or with LiveKit's memory, is in [`mishaps`].
//!
//! Statuses, texts, codes and the order of webhooks are those of LiveKit 1.13.5 and its protocol library.

pub mod mishaps;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::calls::Refusal;
use super::faults::{CallFaults, CallTrouble, Fate};
use super::rooms::NewParticipant;
use super::views::{DisconnectReason, EgressView, FileView, StartOrder};
use super::webhooks::EventName;
use super::{Due, World};
use crate::ids::{EgressId, RoomId};
use crate::recording::egress::EgressStatus;

/// Most egresses that are remembered; the oldest ended ones are forgotten first.
const EGRESSES_MAX: usize = 50_000;
const STOPPED_BEFORE_STARTED: &str = "Stop called before pipeline could start";
const LIMIT_REACHED: &str = "Session limit reached";
/// LiveKit's codes of failures, which are HTTP's.
const CODE_ABORTED: i32 = 412;
const CODE_LIMIT: i32 = 413;
const CODE_UPLOAD: i32 = 400;

/// An egress: what LiveKit stored of it, and where it really is.
#[derive(Debug)]
pub(super) struct Egress {
    view: EgressView,
    stage: Stage,
    listed_in_room: bool,
    /// Whether LiveKit does not know it any more.
    forgotten: bool,
    fate: Fate,
    /// Where its recorder is.
    recorder: Recorder,
    /// When it stopped recording, in nanoseconds since 1970; 0 = it has not.
    cut_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Recording,
    Uploading,
    /// The file is with whoever writes it.
    Writing,
    Over,
    /// Its worker is dead: nothing more happens.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorder {
    Coming,
    Present,
    /// Its worker lost the connection, and LiveKit has not noticed yet.
    CutOff,
    /// LiveKit dropped it, and its worker records on.
    Dropped,
    Gone,
}

/// A file that an egress uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileToWrite {
    /// Whose it is.
    pub egress: EgressId,
    /// Its path in the store.
    pub key: String,
    /// All of it.
    pub content: Bytes,
}

/// The egress workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// How many egresses they can run at a time; none = as many as asked.
    pub slots: Option<u32>,
    /// What a start gets when they are full.
    #[serde(default)]
    pub when_full: WhenFull,
}

impl Default for Workers {
    fn default() -> Self {
        Self { slots: None, when_full: WhenFull::Exhausted }
    }
}

/// What a start gets when no worker takes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// `resource_exhausted`: workers are there and busy.
    #[default]
    Exhausted,
    /// `unavailable`: there is no worker.
    Unavailable,
    /// Nothing, until the caller gives up.
    Hang,
}

impl Egress {
    pub(super) fn room(&self) -> &RoomId {
        self.view.room()
    }

    fn holds_worker(&self) -> bool {
        !matches!(self.stage, Stage::Over | Stage::Dead)
    }
}

impl World {
    /// How many egresses the workers take, and what happens to one too many. Running ones run on.
    pub fn limit_workers(&mut self, workers: Workers) {
        self.workers = workers;
    }

    /// The workers.
    #[must_use]
    pub fn workers(&self) -> Workers {
        self.workers
    }

    /// Every egress that LiveKit remembers, by id.
    #[must_use]
    pub fn egresses(&self) -> Vec<EgressView> {
        let remembered = self.egresses.values().filter(|egress| !egress.forgotten);
        remembered.map(|egress| egress.view.clone()).collect()
    }

    /// An egress as LiveKit stored it last.
    #[must_use]
    pub fn egress(&self, egress: &EgressId) -> Option<EgressView> {
        let remembered = self.egresses.get(egress).filter(|egress| !egress.forgotten);
        remembered.map(|egress| egress.view.clone())
    }

    /// A worker reports a change: LiveKit stores it, and tells of it.
    fn report_egress(&mut self, event: EventName, view: EgressView) {
        if let Some(egress) = self.egresses.get_mut(&view.egress) {
            egress.forgotten = false;
        }
        self.announce_egress(event, view);
    }

    /// The egresses listed under a room, ended ones too; one whose first stored news was an update is
    /// missing (LiveKit 1.13.5).
    #[must_use]
    pub fn egresses_of(&self, room: &RoomId) -> Vec<EgressView> {
        let listed = self.egresses.values().filter(|e| e.listed_in_room && e.view.room() == room);
        listed.map(|egress| egress.view.clone()).collect()
    }

    /// Whether a start would find no worker.
    pub(super) fn is_full(&self) -> bool {
        let running = self.egresses.values().filter(|egress| egress.holds_worker()).count();
        self.workers.slots.is_some_and(|slots| running >= slots as usize)
    }

    pub(super) fn start_egress(
        &mut self,
        order: StartOrder,
        faults: &CallFaults,
    ) -> Result<EgressView, Refusal> {
        let room_sid = self.room(&order.room).ok_or_else(Refusal::no_such_room)?.sid;
        self.forget_old_egresses();
        if self.egresses.len() >= EGRESSES_MAX {
            return Err(Refusal::new("resource_exhausted", "too many egresses"));
        }
        let egress = EgressId::from_trusted(self.fresh_id("EG_"));
        let file = order
            .filepath
            .as_deref()
            .map(|path| FileView { filename: with_extension(path), ..FileView::default() });
        let view = EgressView {
            egress: egress.clone(),
            room_sid,
            order,
            status: EgressStatus::Starting,
            started_at: 0,
            ended_at: 0,
            updated_at: self.stamp(),
            file,
            error: String::new(),
            error_code: 0,
            details: String::new(),
        };
        let made = Egress {
            view: view.clone(),
            stage: Stage::Starting,
            listed_in_room: !faults.has(&CallTrouble::Unlisted),
            forgotten: false,
            fate: faults.fate(),
            recorder: Recorder::Coming,
            cut_at: 0,
        };
        self.egresses.insert(egress.clone(), made);
        self.report_egress(EventName::EgressStarted, view.clone());
        self.schedule(self.timing.join, Due::RecorderJoins(egress.clone()));
        self.schedule(self.timing.activate, Due::Activates(egress));
        Ok(view)
    }

    fn forget_old_egresses(&mut self) {
        while self.egresses.len() >= EGRESSES_MAX {
            let ended = self.egresses.values().filter(|e| e.stage == Stage::Over);
            let Some(oldest) = ended.min_by_key(|e| e.view.ended_at).map(|e| e.view.egress.clone()) else {
                return;
            };
            self.egresses.remove(&oldest);
        }
    }

    pub(super) fn recorder_joins(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get_mut(egress) else { return };
        let room = found.view.room().clone();
        let same_meeting = self.rooms.get(&room).is_some_and(|room| room.is(&found.view.room_sid));
        if found.stage != Stage::Starting || !same_meeting {
            return;
        }
        found.recorder = Recorder::Present;
        if self.join(&room, NewParticipant::recorder(egress)).is_err() {
            self.end_at_once(egress, EgressStatus::Failed, "room is full", 0, "Failure");
        }
    }

    pub(super) fn egress_activates(&mut self, egress: &EgressId) {
        let (at, file_at) = (self.stamp(), self.stamp());
        let Some(found) = self.egresses.get_mut(egress).filter(|e| e.stage == Stage::Starting) else {
            return;
        };
        match found.fate.clone() {
            Fate::StaysStarting => return,
            Fate::FailsToStart { error, code } => {
                return self.end_at_once(egress, EgressStatus::Failed, &error, code, "Failure");
            }
            Fate::ReachesLimit { after_ms } => {
                let after = std::time::Duration::from_millis(after_ms);
                self.schedule(after, Due::ReachesLimit(egress.clone()));
            }
            Fate::Good
            | Fate::UploadFails { .. }
            | Fate::FileIsLost
            | Fate::FileIsEmpty
            | Fate::FileIsLate { .. } => {}
        }
        let Some(found) = self.egresses.get_mut(egress) else { return };
        found.stage = Stage::Recording;
        found.view.status = EgressStatus::Active;
        found.view.started_at = at;
        found.view.updated_at = file_at;
        if let Some(file) = &mut found.view.file {
            file.started_at = file_at;
        }
        let view = found.view.clone();
        self.report_egress(EventName::EgressUpdated, view);
    }

    /// Carries out a StopEgress that reached its worker; none if no worker listens.
    pub(super) fn stop_egress(&mut self, egress: &EgressId) -> Option<EgressView> {
        let stage = self.egresses.get(egress)?.stage;
        match stage {
            Stage::Starting => {
                self.end_at_once(
                    egress,
                    EgressStatus::Aborted,
                    STOPPED_BEFORE_STARTED,
                    CODE_ABORTED,
                    "StopEgress API",
                );
                self.egress(egress)
            }
            Stage::Recording => {
                self.cut(egress, "StopEgress API");
                self.schedule(
                    self.timing.leave,
                    Due::RecorderLeaves(egress.clone(), DisconnectReason::ClientInitiated),
                );
                Some(self.show_ending(egress))
            }
            Stage::Uploading | Stage::Writing => Some(self.show_ending(egress)),
            Stage::Over | Stage::Dead => None,
        }
    }

    /// Ends the recording, the upload follows. The status stays as it is.
    fn cut(&mut self, egress: &EgressId, reason: &str) {
        let at = self.stamp();
        let upload = self.timing.leave + self.timing.upload;
        let Some(found) = self.egresses.get_mut(egress) else { return };
        found.stage = Stage::Uploading;
        found.cut_at = at;
        found.view.details = format!("End reason: {reason}");
        self.schedule(upload, Due::Uploads(egress.clone()));
    }

    /// The answer to a stop names the file's length so far; what is stored and sent does not.
    fn show_ending(&mut self, egress: &EgressId) -> EgressView {
        let at = self.stamp();
        let found = self.egresses.get_mut(egress).expect("the caller has just seen it");
        let newly = found.view.status == EgressStatus::Active;
        if newly {
            found.view.status = EgressStatus::Ending;
            found.view.updated_at = at;
        }
        let mut view = found.view.clone();
        let cut_at = found.cut_at;
        if newly {
            self.report_egress(EventName::EgressUpdated, view.clone());
        }
        if let Some(file) = &mut view.file {
            file.ended_at = cut_at;
            file.duration = cut_at - file.started_at;
        }
        view
    }

    fn end_at_once(&mut self, egress: &EgressId, status: EgressStatus, error: &str, code: i32, reason: &str) {
        let (started, ended) = (self.stamp(), self.stamp());
        let Some(found) = self.egresses.get_mut(egress) else { return };
        found.stage = Stage::Over;
        found.view.status = status;
        found.view.started_at = if found.view.started_at == 0 { started } else { found.view.started_at };
        (found.view.ended_at, found.view.updated_at) = (ended, ended);
        (found.view.error, found.view.error_code) = (error.to_owned(), code);
        found.view.details = format!("End reason: {reason}");
        let view = found.view.clone();
        let leaves = match found.recorder {
            Recorder::Present => Some(DisconnectReason::ClientInitiated),
            Recorder::Coming if status == EgressStatus::Aborted => Some(DisconnectReason::SignalClose),
            Recorder::Coming | Recorder::CutOff | Recorder::Dropped | Recorder::Gone => None,
        };
        self.report_egress(EventName::EgressEnded, view);
        if let Some(reason) = leaves {
            self.schedule(self.timing.leave, Due::RecorderLeaves(egress.clone(), reason));
        }
    }

    pub(super) fn egress_reaches_limit(&mut self, egress: &EgressId) {
        if self.egresses.get(egress).is_some_and(|e| e.stage == Stage::Recording) {
            self.cut(egress, LIMIT_REACHED);
            let due = Due::RecorderLeaves(egress.clone(), DisconnectReason::ClientInitiated);
            self.schedule(self.timing.leave, due);
        }
    }

    pub(super) fn recorder_leaves(&mut self, egress: &EgressId, reason: DisconnectReason) {
        let Some(found) = self.egresses.get_mut(egress) else { return };
        let room = found.view.room().clone();
        match found.recorder {
            Recorder::Present => {
                self.leave(&room, egress.as_str(), reason);
            }
            // It was on its way in: LiveKit tells of a connection that never came to be.
            Recorder::Coming => {
                found.recorder = Recorder::Gone;
                self.announce_aborted_recorder(&room, egress, reason);
            }
            Recorder::CutOff | Recorder::Dropped | Recorder::Gone => {}
        }
    }

    /// The recorder is out of the room, for whatever reason. A live worker then ends its recording, unless it
    /// lost the connection before.
    pub(super) fn recorder_is_gone(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get_mut(egress) else { return };
        if found.recorder == Recorder::CutOff {
            found.recorder = Recorder::Dropped;
            return;
        }
        found.recorder = Recorder::Gone;
        self.source_closed(egress);
    }

    /// The room is over; recorders that were in it are gone already.
    pub(super) fn egresses_lose_room(&mut self, sid: &str) {
        let in_room = self.egresses.values().filter(|egress| egress.view.room_sid == sid);
        let egresses: Vec<_> = in_room.map(|egress| egress.view.egress.clone()).collect();
        for egress in egresses {
            self.source_closed(&egress);
        }
    }

    fn source_closed(&mut self, egress: &EgressId) {
        match self.egresses.get(egress).map(|egress| egress.stage) {
            Some(Stage::Starting) => {
                self.end_at_once(
                    egress,
                    EgressStatus::Aborted,
                    STOPPED_BEFORE_STARTED,
                    CODE_ABORTED,
                    "Source closed",
                );
            }
            Some(Stage::Recording) => self.cut(egress, "Source closed"),
            _ => {}
        }
    }

    pub(super) fn egress_uploads(&mut self, egress: &EgressId) {
        let Some(found) = self.egresses.get_mut(egress).filter(|e| e.stage == Stage::Uploading) else {
            return;
        };
        found.stage = Stage::Writing;
        let key = found.view.file.as_ref().map(|file| file.filename.clone());
        let content = match found.fate {
            Fate::FileIsEmpty => Bytes::new(),
            _ => self.sample.content.clone(),
        };
        match (found.fate.clone(), key) {
            (Fate::UploadFails { error }, _) => self.file_written(egress, Err(error)),
            (Fate::FileIsLost, _) | (_, None) => self.file_written(egress, Ok(())),
            (Fate::FileIsLate { after_ms }, Some(key)) => {
                let file = FileToWrite { egress: egress.clone(), key, content };
                self.schedule(std::time::Duration::from_millis(after_ms), Due::FileIsThere(Box::new(file)));
                self.file_written(egress, Ok(()));
            }
            (_, Some(key)) => self.outputs.files.push(FileToWrite { egress: egress.clone(), key, content }),
        }
    }

    /// Tells how the writing of a file went; the egress ends with it. Told twice, or of an egress whose
    /// worker died meanwhile, it changes nothing.
    pub fn file_written(&mut self, egress: &EgressId, result: Result<(), String>) {
        let at = self.stamp();
        let size = i64::try_from(self.sample.content.len()).unwrap_or(i64::MAX);
        let duration = i64::try_from(self.sample.duration.as_nanos()).unwrap_or(i64::MAX);
        let Some(found) = self.egresses.get_mut(egress).filter(|e| e.stage == Stage::Writing) else { return };
        if let Err(error) = result {
            return self.end_at_once(egress, EgressStatus::Failed, &error, CODE_UPLOAD, "Failure");
        }
        found.stage = Stage::Over;
        found.view.status = EgressStatus::Complete;
        if matches!(found.fate, Fate::ReachesLimit { .. }) && found.view.details.ends_with(LIMIT_REACHED) {
            found.view.status = EgressStatus::LimitReached;
            (found.view.error, found.view.error_code) = (LIMIT_REACHED.to_owned(), CODE_LIMIT);
        }
        (found.view.ended_at, found.view.updated_at) = (at, at);
        let cut_at = found.cut_at;
        let (size, duration) = if found.fate == Fate::FileIsEmpty { (0, 0) } else { (size, duration) };
        if let Some(file) = &mut found.view.file {
            (file.size, file.duration, file.ended_at) = (size, duration, cut_at);
            file.location.clone_from(&file.filename);
        }
        let view = found.view.clone();
        self.report_egress(EventName::EgressEnded, view);
    }
}

/// LiveKit adds the extension unless the path has it.
fn with_extension(path: &str) -> String {
    if path.to_ascii_lowercase().ends_with(".mp4") { path.to_owned() } else { format!("{path}.mp4") }
}
