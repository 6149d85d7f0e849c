//! Janitors: actors on a schedule that look for what nobody looks after (design 8).
//!
//! Owns what they look for, when, and how a finding is judged. A janitor finds candidates and asks the room's
//! owner; it decides nothing itself and writes nothing. What could not be found out is kept. A pass works in
//! pages, survives any single failure, and goes on where it stopped once a dependency is back.
//!
//! Reading order: this file, then `pass` (one sweep), a task such as `orphan_locks` (who is a candidate, and
//! the pure judgement), `finder` (where evidence comes from), then the actors `janitor` and `supervisor`.

mod due_rows;
mod expired_rooms;
mod finder;
mod janitor;
mod orphan_locks;
mod pass;
mod room_status;
mod stale_recordings;
mod supervisor;
mod unheld_egresses;
mod unheld_recordings;
mod unknown_files;

use std::fmt::Display;
use std::time::Duration;

use crate::ids::{EgressId, RecordingId, RoomId};
use crate::meeting::AutoDeletionPolicy;
use crate::meeting::status::MeetingNews;
use crate::recording::event::Happening;

pub use self::finder::{Finder, Sources};
pub use self::pass::Pass;
pub use self::supervisor::Janitors;

/// What a janitor looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    /// Rows whose room has no actor: what is due there waits until somebody wakes one.
    DueRows,
    /// Documents of recordings that are not over and that no row holds.
    UnheldRecordings,
    /// Live egresses of our form that no row holds.
    UnheldEgresses,
    /// Recordings of which LiveKit says nothing new, in rooms without participants.
    StaleRecordings,
    /// Rooms that are being recorded, by their row, though nothing records them.
    OrphanLocks,
    /// Rooms that are in a meeting, by their documents, which LiveKit does not have.
    RoomStatus,
    /// Rooms whose date of deletion has come.
    ExpiredRooms,
    /// Files of our form that no document and no row knows.
    UnknownFiles,
}

impl Task {
    /// Every task, in the order in which findings are shown.
    pub const ALL: [Self; 8] = [
        Self::DueRows,
        Self::UnheldRecordings,
        Self::UnheldEgresses,
        Self::StaleRecordings,
        Self::OrphanLocks,
        Self::RoomStatus,
        Self::ExpiredRooms,
        Self::UnknownFiles,
    ];

    /// The name in logs and in what `gc` prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DueRows => "due_rows",
            Self::UnheldRecordings => "unheld_recordings",
            Self::UnheldEgresses => "unheld_egresses",
            Self::StaleRecordings => "stale_recordings",
            Self::OrphanLocks => "orphan_locks",
            Self::RoomStatus => "room_status",
            Self::ExpiredRooms => "expired_rooms",
            Self::UnknownFiles => "unknown_files",
        }
    }

    /// Whether one node does it for all. Which rows have no actor each node asks of its own.
    #[must_use]
    pub fn is_for_one_node(self) -> bool {
        !matches!(self, Self::DueRows)
    }

    /// Whether its judgement needs LiveKit.
    #[must_use]
    pub fn asks_livekit(self) -> bool {
        matches!(self, Self::UnheldEgresses | Self::StaleRecordings | Self::OrphanLocks | Self::RoomStatus)
    }
}

/// When janitors sweep. Intervals run from the end of one pass to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweeps {
    /// Between two looks for rows without an actor.
    pub due_rows: Duration,
    /// Between two looks for documents and egresses that no row holds.
    pub unheld: Duration,
    /// Between two looks for stale recordings; how old they must be is the policy's.
    pub stale_recordings: Duration,
    /// Between two looks for orphan locks.
    pub orphan_locks: Duration,
    /// How old a lock must be before it is judged.
    pub lock_grace: Duration,
    /// Between two looks at rooms in meetings.
    pub room_status: Duration,
    /// Between two looks for rooms whose date has come.
    pub expired_rooms: Duration,
    /// Between two looks for files that nobody knows.
    pub unknown_files: Duration,
}

impl Default for Sweeps {
    fn default() -> Self {
        Self {
            due_rows: Duration::from_mins(1),
            unheld: Duration::from_mins(10),
            stale_recordings: Duration::from_mins(14),
            orphan_locks: Duration::from_mins(15),
            lock_grace: Duration::from_secs(30),
            room_status: Duration::from_mins(15),
            expired_rooms: Duration::from_hours(1),
            unknown_files: Duration::from_hours(24),
        }
    }
}

impl Sweeps {
    fn interval(&self, task: Task) -> Duration {
        match task {
            Task::DueRows => self.due_rows,
            Task::UnheldRecordings | Task::UnheldEgresses => self.unheld,
            Task::StaleRecordings => self.stale_recordings,
            Task::OrphanLocks => self.orphan_locks,
            Task::RoomStatus => self.room_status,
            Task::ExpiredRooms => self.expired_rooms,
            Task::UnknownFiles => self.unknown_files,
        }
    }
}

/// What is to become of a candidate, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The room's owner is asked to look.
    HandOver(String),
    /// Nothing is done, and whoever runs the service should look.
    Report(String),
    /// All is well, or somebody else sees to it.
    Keep(String),
    /// Something could not be found out, so it is kept.
    Unknown(String),
}

impl Verdict {
    fn hand_over(why: impl Into<String>) -> Self {
        Self::HandOver(why.into())
    }

    fn report(why: impl Into<String>) -> Self {
        Self::Report(why.into())
    }

    fn keep(why: impl Into<String>) -> Self {
        Self::Keep(why.into())
    }

    fn unknown(why: &dyn Display) -> Self {
        Self::Unknown(why.to_string())
    }

    /// In a word or two.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::HandOver(_) => "hand over",
            Self::Report(_) => "report",
            Self::Keep(_) => "keep",
            Self::Unknown(_) => "keep, unknown",
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::HandOver(why) | Self::Report(why) | Self::Keep(why) | Self::Unknown(why) => why,
        }
    }
}

/// A candidate and its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was looked for.
    pub task: Task,
    /// The room it belongs to.
    pub room: RoomId,
    /// The recording, if it is about one.
    pub recording: Option<RecordingId>,
    /// The egress, if its id is known.
    pub egress: Option<EgressId>,
    /// What is to become of it.
    pub verdict: Verdict,
    /// What the room's owner is told if it is handed over.
    ask: Option<Ask>,
}

/// What a janitor tells a room's owner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    /// Be there: a row is read, and what is due is done.
    Wake,
    /// This happened; what follows is the owner's to decide.
    Tell(Box<Happening>),
    /// Its meeting is over.
    MeetingIsOver(MeetingNews),
    /// Its date has come; it is to be deleted so.
    Expire(AutoDeletionPolicy),
}

impl Finding {
    fn new(task: Task, room: RoomId, verdict: Verdict) -> Self {
        Self { task, room, recording: None, egress: None, verdict, ask: None }
    }

    fn of_recording(task: Task, recording: &RecordingId, verdict: Verdict) -> Self {
        let egress = Some(recording.egress.clone());
        Self {
            recording: Some(recording.clone()),
            egress,
            ..Self::new(task, recording.room.clone(), verdict)
        }
    }

    /// What to tell the owner, should the verdict be to hand it over.
    fn asking(mut self, ask: Ask) -> Self {
        self.ask = matches!(self.verdict, Verdict::HandOver(_)).then_some(ask);
        self
    }

    /// What the room's owner is told; none if it is kept.
    pub(crate) fn ask(&self) -> Option<&Ask> {
        self.ask.as_ref()
    }
}

/// What came of the candidates of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub found: usize,
    /// Given to their rooms' owners.
    pub handed_over: usize,
    /// Only reported.
    pub reported: usize,
    /// Of which nothing needs be done.
    pub kept: usize,
    /// Of which something could not be found out, or whose owner could not take it: kept as well.
    pub failed: usize,
}

impl Counts {
    /// Counts a finding that nobody had to be asked about, or whose owner has taken it.
    pub fn add(&mut self, finding: &Finding) {
        self.found += 1;
        match finding.verdict {
            Verdict::HandOver(_) => self.handed_over += 1,
            Verdict::Report(_) => self.reported += 1,
            Verdict::Keep(_) => self.kept += 1,
            Verdict::Unknown(_) => self.failed += 1,
        }
    }

    /// Counts a finding whose owner could not take it.
    fn add_failed(&mut self) {
        self.found += 1;
        self.failed += 1;
    }
}

/// What a janitor shows to tests and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// What it looks for.
    pub task: Task,
    /// Passes that came to their end since it was started.
    pub passes: u64,
    /// What came of the last one.
    pub last: Counts,
    /// Tries since the last pass that met no trouble.
    pub tries: u32,
}
