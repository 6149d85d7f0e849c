//! A recording: our record of one egress and its file.
//!
//! Owns what a recording looks like and which status may follow which. Everything below this module is
//! pure: no clock, no randomness, no IO. Read `recording/lifecycle.rs` next.

pub mod effect;
pub mod egress;
pub mod encoding;
pub mod event;
pub mod invariants;
pub mod ledger;
pub mod lifecycle;
pub mod notice;
pub mod policy;
pub mod reconcile;
pub mod rules;
pub mod signal;

use serde::{Deserialize, Serialize};

use self::encoding::{Encoding, Layout};
use crate::ids::{RecordingId, RoomId};

/// What a document says when LiveKit reported a file that the store does not have. It goes when the file
/// turns up.
pub const FILE_MISSING: &str = "LiveKit reported the recording complete, but its file is missing or empty";

/// The folder of a sub-bucket that holds recordings.
const FOLDER: &str = "recordings";

/// A point in time: milliseconds since 1970, as the clock of some node showed them.
///
/// No decision is safe because of one; it only says how soon we look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time and a duration, in whole milliseconds.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time less a duration, in whole milliseconds.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from an earlier time until this one; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Status of a recording, as clients see it (contract `recordings.md` 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingStatus {
    /// LiveKit took the egress; nothing is recorded yet.
    Starting,
    /// It records.
    Active,
    /// It ended and uploads.
    Ending,
    /// The file is there.
    Complete,
    /// It failed, or we gave it up.
    Failed,
    /// It was ended before anything was recorded.
    Aborted,
    /// It reached LiveKit's limit; the file is there.
    LimitReached,
}

impl RecordingStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Active,
        Self::Ending,
        Self::Complete,
        Self::Failed,
        Self::Aborted,
        Self::LimitReached,
    ];

    /// The name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::LimitReached => "limit_reached",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the egress is over: it may be deleted, and only late truth changes it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Starting | Self::Active | Self::Ending)
    }

    /// Whether there should be a file that can be streamed.
    #[must_use]
    pub fn has_file(self) -> bool {
        matches!(self, Self::Complete | Self::LimitReached)
    }

    /// Whether a document with this status may become `next`. A status moves forward only; late truth
    /// replaces what we gave ourselves (design 5). The same status again merges newer fields.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match (self.is_terminal(), next.is_terminal()) {
            (false, false) => self.rank() <= next.rank(),
            (false, true) => true,
            (true, false) => false,
            (true, true) => self == next || (matches!(self, Self::Failed | Self::Aborted) && next.has_file()),
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Active => 1,
            Self::Ending => 2,
            _ => 3,
        }
    }
}

/// A recording as clients see it. Absent fields are left out, never `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// `<room>--<egress>--<uid>`.
    pub recording_id: RecordingId,
    /// The room that is recorded.
    pub room_id: RoomId,
    /// Its display name.
    pub room_name: String,
    /// Where the recording stands.
    pub status: RecordingStatus,
    /// How the participants are arranged.
    pub layout: Layout,
    /// How picture and sound are encoded.
    pub encoding: Encoding,
    /// Last segment of the file's path; empty until LiveKit names one.
    pub filename: String,
    /// Milliseconds since 1970, with decimals.
    #[serde(with = "crate::number")]
    pub start_date: f64,
    /// Milliseconds since 1970, with decimals.
    #[serde(default, with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub end_date: Option<f64>,
    /// Seconds, with decimals.
    #[serde(default, with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Bytes.
    #[serde(default, with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
    /// LiveKit's code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i32>,
    /// What went wrong, in LiveKit's words or ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// LiveKit's remark on the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Recording {
    /// Takes over what a newer view of the same recording says. Fields that it lacks keep their value
    /// (contract `recordings.md` 1), except an error that is refuted: by late truth, or by a missing file that
    /// turned up.
    pub fn merge(&mut self, newer: &Self) {
        let file_is_there = newer.status.has_file() && newer.error.is_none();
        let was_missing = self.error.as_deref() == Some(FILE_MISSING) && file_is_there;
        if was_missing || (!self.status.has_file() && newer.status.has_file()) {
            (self.error, self.error_code, self.details) = (None, None, None);
        }
        let older = std::mem::replace(self, newer.clone());
        if self.filename.is_empty() {
            self.filename = older.filename;
        }
        if self.start_date == 0.0 {
            self.start_date = older.start_date;
        }
        self.end_date = self.end_date.or(older.end_date);
        self.duration = self.duration.or(older.duration);
        self.size = self.size.or(older.size);
        self.error_code = self.error_code.or(older.error_code);
        self.error = self.error.take().or(older.error);
        self.details = self.details.take().or(older.details);
    }
}

/// The two secrets that open one recording without a login. Never shown in the recording itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessSecrets {
    /// Opens it for anyone.
    pub public: String,
    /// Opens it for logged-in users.
    pub private: String,
}

/// Where the files of recordings lie: the sub-bucket, without slashes at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayout {
    subbucket: String,
}

impl FileLayout {
    /// Files lie below this sub-bucket, `openvidu-meet` by default.
    #[must_use]
    pub fn new(subbucket: &str) -> Self {
        Self { subbucket: subbucket.trim_matches('/').to_owned() }
    }

    /// What LiveKit is asked to write to; it adds the extension.
    #[must_use]
    pub fn egress_path(&self, room: &RoomId, uid: &crate::ids::Uid) -> String {
        format!("{}{room}--{uid}", self.folder(room))
    }

    /// The blob key of a recording's file: the reported name if it lies under our prefix, else `.mp4`
    /// (contract `deviations.md`, file extension).
    #[must_use]
    pub fn blob_key(&self, recording: &Recording) -> String {
        let (room, uid) = (&recording.room_id, &recording.recording_id.uid);
        let name = format!("{room}--{uid}");
        let reported = recording.filename.strip_prefix(&name).is_some_and(|rest| {
            rest.len() > 1 && rest.starts_with('.') && rest[1..].chars().all(|c| c.is_ascii_alphanumeric())
        });
        let file = if reported { recording.filename.clone() } else { format!("{name}.mp4") };
        format!("{}{file}", self.folder(room))
    }

    /// Reads room and uid back from a path that LiveKit was asked to write to, or reports. None if it
    /// does not have our form: then the egress is not ours (design 5).
    #[must_use]
    pub fn uid_of(&self, room: &RoomId, path: &str) -> Option<crate::ids::Uid> {
        let at = path.find(&self.folder(room))?;
        let name = &path[at + self.folder(room).len()..];
        let rest = name.strip_prefix(room.as_str())?.strip_prefix("--")?;
        let uid = rest.split('.').next().unwrap_or_default();
        let valid = !uid.is_empty() && uid.chars().all(|c| c.is_ascii_alphanumeric());
        valid.then(|| crate::ids::Uid::from_trusted(uid))
    }

    /// The folder below which all files of recordings lie, without a slash at its end.
    #[must_use]
    pub fn root(&self) -> String {
        if self.subbucket.is_empty() { FOLDER.to_owned() } else { format!("{}/{FOLDER}", self.subbucket) }
    }

    /// Whose file a key is: room and uid. None if it does not have our form.
    #[must_use]
    pub fn recording_of(&self, key: &str) -> Option<(RoomId, crate::ids::Uid)> {
        let (room, _) = key.strip_prefix(&self.root())?.strip_prefix('/')?.split_once('/')?;
        let room = RoomId::from_trusted(room);
        let uid = key.strip_prefix(&self.folder(&room)).and_then(|_| self.uid_of(&room, key))?;
        Some((room, uid))
    }

    fn folder(&self, room: &RoomId) -> String {
        if self.subbucket.is_empty() {
            return format!("{FOLDER}/{room}/");
        }
        format!("{}/{FOLDER}/{room}/", self.subbucket)
    }
}
