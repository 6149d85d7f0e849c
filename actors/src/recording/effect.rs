//! Everything that a decision can ask of the world.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Recording;
use super::egress::EgressOrder;
use super::event::Repeatable;
use super::ledger::Owed;
use super::signal::Signal;
use crate::ids::{CommandId, EgressId, Uid};

/// Something to be done after the decision is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// List the room's egresses before a start; ask by id those that are live, of our form and not in `known`.
    LookBeforeStart {
        /// The start it is for.
        uid: Uid,
        /// Uids that the row holds.
        known: Vec<Uid>,
    },
    /// Start the egress. **At most once per uid**, only by the actor that saved the intent.
    StartEgress {
        /// The intent's uid.
        uid: Uid,
        /// What to record.
        order: EgressOrder,
    },
    /// Stop an egress. Repeatable.
    StopEgress {
        /// Its uid.
        uid: Uid,
        /// The egress.
        egress: EgressId,
    },
    /// Look at a uid of ours. Repeatable.
    Look {
        /// The uid.
        uid: Uid,
        /// By id if known, else in the lists.
        egress: Option<EgressId>,
        /// How much is looked at.
        depth: Depth,
        /// Key of its file.
        key: String,
    },
    /// Ask by id about an egress that the row does not know. Repeatable.
    Identify {
        /// The egress.
        egress: EgressId,
    },
    /// Look up whether a command was answered before. Repeatable.
    Recall {
        /// The request that it is for.
        request: Repeatable,
    },
    /// Carry out a pending effect. Repeatable.
    Carry {
        /// Its number in the row.
        number: u64,
        /// What.
        owed: Owed,
    },
    /// Tell the clients in the meeting. Once, and never owed.
    Signal(Signal),
    /// Answer a client that waits in this process.
    Answer {
        /// Whose answer.
        command: CommandId,
        /// What.
        answer: Answer,
    },
}

/// How much a look takes in. What LiveKit does not list is looked for in the room and in the blob store
/// whatever was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// What LiveKit lists.
    Egress,
    /// And whether its recorder is in the room.
    Room,
    /// And whether its file is there.
    Everything,
    /// The file alone: how it ended is known.
    File,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The start or the stop worked.
    Recording(Box<Recording>),
    /// The recording is deleted.
    Deleted,
    /// It did not work.
    Refused(Refusal),
}

impl Answer {
    /// Whether it may be kept for those who ask again: not if it says that nothing was begun, or nothing at
    /// all.
    #[must_use]
    pub fn may_be_kept(&self) -> bool {
        !matches!(
            self,
            Self::Refused(
                Refusal::Unavailable { .. }
                    | Refusal::TooManyUnsettled
                    | Refusal::NotHeld
                    | Refusal::Draining
                    | Refusal::Overloaded
                    | Refusal::UnderWay
                    | Refusal::KeyTaken
                    | Refusal::Unanswerable
                    | Refusal::Broken
            )
        )
    }
}

/// Why a request was not carried out. The words towards clients are `src/http/error.rs`'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The room is being recorded.
    AlreadyRecording,
    /// Nobody is in the room.
    NoParticipants,
    /// The start's deadline passed; whatever starts late is found and stopped.
    TimedOutStarting,
    /// LiveKit will not record, or the recording ended while starting.
    StartFailed {
        /// LiveKit's reason.
        reason: String,
    },
    /// Too many uids of the room are unsettled.
    TooManyUnsettled,
    /// The recording is still starting; the stop is remembered.
    StillStarting,
    /// The recording ends or has ended.
    AlreadyStopped,
    /// The recording has not ended.
    NotStopped,
    /// There is no such recording.
    NotFound,
    /// The room's row does not hold it, and no document says that it is over: LiveKit must be asked.
    NotHeld,
    /// LiveKit refused the stop; it stays owed.
    StopFailed {
        /// LiveKit's reason.
        reason: String,
    },
    /// The stop is not carried out yet, and will be.
    StopOwed,
    /// The deletion is decided, but file or document are still there; they will be removed. Never kept.
    #[serde(skip)]
    DeletionOwed {
        /// What could not be reached, as operators know it.
        #[serde(skip)]
        dependency: &'static str,
    },
    /// The same command runs already, and is not answered yet.
    UnderWay,
    /// The idempotency key was used for another request; nothing was begun.
    KeyTaken,
    /// A dependency is away; nothing was begun. Never kept.
    #[serde(skip)]
    Unavailable {
        /// Which, as operators know it.
        #[serde(skip)]
        dependency: &'static str,
    },
    /// This node is about to leave; nothing was begun.
    Draining,
    /// Too many requests are under way; nothing was begun.
    Overloaded,
    /// Neither success nor failure is known to be true: the connection is closed without an answer.
    Unanswerable,
    /// Our own fault.
    Broken,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRecording => f.write_str("the room is already being recorded"),
            Self::NoParticipants => f.write_str("the room has no participants"),
            Self::TimedOutStarting => f.write_str("timed out while starting"),
            Self::StartFailed { reason } => write!(f, "the recording could not start: {reason}"),
            Self::TooManyUnsettled => f.write_str("too many earlier recordings of the room are unsettled"),
            Self::StillStarting => f.write_str("the recording is still starting"),
            Self::AlreadyStopped => f.write_str("the recording is already stopped"),
            Self::NotStopped => f.write_str("the recording is not stopped yet"),
            Self::NotHeld => f.write_str("the recording is not held by the room"),
            Self::NotFound => f.write_str("the recording was not found"),
            Self::StopFailed { reason } => write!(f, "the recording could not be stopped: {reason}"),
            Self::StopOwed => f.write_str("the stop is not carried out yet, and will be"),
            Self::DeletionOwed { dependency } => {
                write!(f, "{dependency} is unavailable, the deletion is not carried out yet, and will be")
            }
            Self::UnderWay => f.write_str("the same command is under way"),
            Self::KeyTaken => f.write_str("the key was used for another request"),
            Self::Unavailable { dependency } => write!(f, "{dependency} is unavailable"),
            Self::Draining => f.write_str("this node is shutting down"),
            Self::Overloaded => f.write_str("too many requests are under way"),
            Self::Unanswerable => f.write_str("how the request ended is not known"),
            Self::Broken => f.write_str("the room's recorder failed"),
        }
    }
}
