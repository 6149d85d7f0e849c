//! The ledger row: what a room actor must not forget, and what it may.
//!
//! Owns the shape of the durable state ([`RoomState`]), its fencing header ([`Row`]) and the part that
//! dies with the process ([`Memory`]). The rules over them are in `lifecycle.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::effect::Answer;
use super::egress::{EgressInfo, LeaveReason};
use super::encoding::{Encoding, Layout};
use super::notice::Notice;
use super::reconcile::Strikes;
use super::{AccessSecrets, Recording, RecordingStatus, Timestamp};
use crate::ids::{ClaimId, CommandId, DecisionId, EgressId, NodeId, RecordingId, RoomId, Uid};

/// A room's row in the ledger store: the fencing header and the state behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The room.
    pub room: RoomId,
    /// The node that decides for it while its lease lives.
    pub owner: NodeId,
    /// Made for each claim; every write must name it.
    pub claim: ClaimId,
    /// How many claims there were since the row was made; for people and metrics only.
    pub epoch: u64,
    /// Counts the writes under this claim and before.
    pub revision: u64,
    /// Names the commit that wrote the row.
    pub decision: DecisionId,
    /// What was decided.
    pub state: RoomState,
}

/// What a room's recorder is doing (design 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing: a start is possible.
    #[default]
    Idle,
    /// An intent is saved; the egress is perhaps not known yet.
    Starting,
    /// It records.
    Active,
    /// It was told to end, or ends by itself.
    Stopping,
    /// Somebody else's intent, or the answer was lost: we are looking.
    Uncertain,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Starting, Self::Active, Self::Stopping, Self::Uncertain];

    /// The name as operators see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Stopping => "stopping",
            Self::Uncertain => "uncertain",
        }
    }
}

/// The durable part of a room actor's state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RoomState {
    /// Display name of the room, for the documents.
    pub room_name: String,
    /// What the recorder is doing.
    pub phase: Phase,
    /// The recording that holds the room; present in every phase but idle.
    pub current: Option<Current>,
    /// Uids whose end is not known yet; they block nothing.
    pub unsettled: Vec<Unsettled>,
    /// Commands that may come again, were begun, and whose answer is not decided yet.
    #[serde(default)]
    pub begun: Vec<Begun>,
    /// Effects committed with a decision and not yet known to be carried out.
    pub pending: Vec<Pending>,
    /// Numbers the pending effects of this row.
    pub effects_numbered: u64,
}

impl RoomState {
    /// Whether nothing is left that anybody must do: the row may be deleted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.phase == Phase::Idle
            && self.unsettled.is_empty()
            && self.begun.is_empty()
            && self.pending.is_empty()
    }

    /// The answer of a command that was decided and is not known to be kept yet.
    #[must_use]
    pub fn answer_to_keep(&self, wanted: &CommandId) -> Option<&Answer> {
        self.pending.iter().find_map(|pending| match &pending.effect {
            Owed::Keep { command, answer } if command == wanted => Some(answer),
            _ => None,
        })
    }

    /// The tracks that the row holds.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        let current = self.current.iter().map(|current| &current.track);
        current.chain(self.unsettled.iter().map(|unsettled| &unsettled.track))
    }

    /// Whether the row holds this uid.
    #[must_use]
    pub fn holds(&self, uid: &Uid) -> bool {
        self.tracks().any(|track| track.uid == *uid)
    }
}

/// One egress that we issued or adopted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Names the file; how an egress is found whose id we never learned.
    pub uid: Uid,
    /// LiveKit's id, once known.
    pub egress: Option<EgressId>,
    /// Drawn with the intent, so that a repeated projection shows the same.
    pub secrets: AccessSecrets,
    /// Until when the StartEgress call may still begin it.
    pub call_ends: Timestamp,
    /// The newest view of it.
    pub seen: Option<Box<EgressInfo>>,
    /// Whether it was ever seen active.
    pub ran: bool,
    /// Whether its recorder was ever seen in the room.
    #[serde(default)]
    pub recorder_seen: bool,
    /// How its recorder left the room, if it did.
    pub left: Option<LeaveReason>,
    /// The status that the document shows; none while there is no document.
    pub shown: Option<RecordingStatus>,
    /// The stop that is owed, from its decision until a terminal state or the recorder's leave.
    pub stop: Option<StopOwed>,
}

/// A StopEgress that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOwed {
    /// When it was decided.
    pub since: Timestamp,
    /// Whether LiveKit answered one.
    pub answered: bool,
    /// Whether it was found stale: then it is aborted, not failed, if it never shows an end.
    #[serde(default)]
    pub stale: bool,
}

/// The recording that holds the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Current {
    /// Its egress.
    pub track: Track,
    /// The request that waits for it; none once answered, or if it was adopted.
    pub command: Option<CommandId>,
    /// The request that began it, answered or not: it may come again from another node. None if it was adopted.
    #[serde(default)]
    pub begun_by: Option<CommandId>,
    /// Adopt it before, stop it after; none if it was adopted.
    pub deadline: Option<Timestamp>,
    /// What was asked for.
    pub layout: Layout,
    /// What was asked for.
    pub encoding: Encoding,
    /// Since when it is stopping, by our decision or because it was seen to end.
    pub stopping_since: Option<Timestamp>,
}

/// A uid that may not be forgotten yet (design 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsettled {
    /// Its egress.
    pub track: Track,
    /// Since when it is unsettled.
    pub since: Timestamp,
    /// Why it does not hold the room.
    pub cause: Cause,
    /// Whether a client deleted it: nothing may bring it back, and a late file is removed.
    pub deleted: bool,
    /// Whether nothing more is to be learned: its end is known, or it is lost, and its file, if there should
    /// be one, was judged for good.
    pub file_judged: bool,
    /// Whether the document says that the file is missing.
    #[serde(default)]
    pub file_missed: bool,
    /// Empty lists of all since its call's end, while its egress is unknown.
    pub empty_lists: u32,
}

/// Why a uid is unsettled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its start timed out: unwanted.
    TimedOut,
    /// LiveKit refused it, which may be wrong: unwanted.
    Refused,
    /// It was stopped and has left the room, or did not end in time.
    Stopped,
    /// It is over; its file is to be judged.
    Ended,
    /// Its recorder is gone, or LiveKit forgot it, and it showed no end.
    Lost,
    /// Another node's, found while the room records something else: wanted.
    Held,
}

impl Cause {
    /// Whether nobody wants it to go on.
    #[must_use]
    pub fn is_unwanted(self) -> bool {
        !matches!(self, Self::Held)
    }

    /// Whether it is to be stopped when LiveKit lists it as running. Of a lost one that proves nothing:
    /// LiveKit lists it for ever.
    #[must_use]
    pub fn is_stopped_when_listed(self) -> bool {
        !matches!(self, Self::Held | Self::Lost)
    }
}

/// A command that may come again and was begun: whoever decides for the room owes it an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The command.
    pub command: CommandId,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// What it asked for.
    pub asked: Asked,
}

/// What a command asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The current recording.
    Start,
    /// The end of this egress.
    Stop(EgressId),
}

/// An effect committed with its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Unique within the row.
    pub number: u64,
    /// What is to be done, at least once.
    pub effect: Owed,
}

/// What may be owed; each can be repeated without harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// Bring the document up to date: insert it if `secrets` are given, then merge.
    Project {
        /// The view to show.
        recording: Box<Recording>,
        /// LiveKit's time of this view, in nanoseconds since 1970.
        updated_at: i64,
        /// Given with the first projection only.
        secrets: Option<AccessSecrets>,
    },
    /// Hand a notice over for delivery, after everything that this recording owed before it.
    Notify(Box<Notice>),
    /// Remove the file, then the document.
    Remove {
        /// The recording.
        recording: RecordingId,
        /// Its file.
        key: String,
    },
    /// Keep a command's answer for those who ask again.
    Keep {
        /// The command.
        command: CommandId,
        /// What it was answered.
        answer: Answer,
    },
}

impl Owed {
    /// Whether this must wait until an earlier one of the same recording is carried out. What clients see
    /// waits for no notice.
    #[must_use]
    pub fn waits_for(&self, earlier: &Self) -> bool {
        let same = self.recording().is_some() && self.recording() == earlier.recording();
        same && (matches!(self, Self::Notify(_)) || !matches!(earlier, Self::Notify(_)))
    }

    /// The recording that it is about: such effects are carried out in order.
    #[must_use]
    pub fn recording(&self) -> Option<&RecordingId> {
        match self {
            Self::Project { recording, .. } => Some(&recording.recording_id),
            Self::Notify(notice) => Some(&notice.recording.recording_id),
            Self::Remove { recording, .. } => Some(recording),
            Self::Keep { .. } => None,
        }
    }
}

/// What a room actor may forget: schedules, strikes, and who waits in this process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// The uid whose intent this very actor saved and whose StartEgress it has not sent: nobody else
    /// may send it, and it only once.
    pub may_send: Option<Uid>,
    /// When to try StartEgress again, under a fresh uid.
    pub retry_start: Option<Timestamp>,
    /// Refused attempts of the start at hand.
    pub start_tries: u32,
    /// Requests that wait for an answer from this process.
    pub waiting: Vec<Waiting>,
    /// When to look at which uid again.
    pub looks: BTreeMap<Uid, Retry>,
    /// What looks at which uid have shown so far.
    pub strikes: BTreeMap<Uid, Strikes>,
    /// When to repeat which owed stop.
    pub stops: BTreeMap<Uid, Retry>,
    /// Tries of the pending effects that are being carried out, and when to repeat one that failed.
    pub effects: BTreeMap<u64, Attempt>,
}

/// Where a pending effect stands in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempt {
    /// Tries so far.
    pub tries: u32,
    /// When to try again; none while a try is under way.
    pub due: Option<Timestamp>,
    /// What the last try that failed could not reach.
    pub away: Option<&'static str>,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Whose answer it is.
    pub command: CommandId,
    /// When it must be answered.
    pub deadline: Timestamp,
    /// What it waits for.
    pub wants: Wants,
}

/// What a request waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wants {
    /// The start of the current recording.
    Start,
    /// The end of an egress. `asked` = LiveKit's answer to the stop said nothing; it is asked by id.
    Stop {
        /// The egress.
        egress: EgressId,
        /// Whether only a look can tell now.
        asked: bool,
    },
    /// The end of an egress that an earlier run began to stop: however it ends, that stop was carried out.
    End {
        /// The egress.
        egress: EgressId,
    },
    /// Word whether its command was answered before; nothing was begun for it yet.
    Recall,
    /// A pending effect; the answer is decided and goes out after it, or at the deadline if it is true
    /// all the same.
    Effect {
        /// Its number in the row.
        number: u64,
        /// What to say then.
        answer: Answer,
    },
}

/// When to repeat something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// When.
    pub due: Timestamp,
    /// Tries so far.
    pub tries: u32,
}

/// A room actor's whole state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The room.
    pub room: RoomId,
    /// What is committed.
    pub durable: RoomState,
    /// What is not.
    pub memory: Memory,
}

impl State {
    /// A room that nobody ever asked anything of.
    #[must_use]
    pub fn fresh(room: RoomId) -> Self {
        Self { room, durable: RoomState::default(), memory: Memory::default() }
    }

    /// Whether this uid holds the room.
    #[must_use]
    pub fn is_current(&self, uid: &Uid) -> bool {
        self.durable.current.as_ref().is_some_and(|current| current.track.uid == *uid)
    }
}
