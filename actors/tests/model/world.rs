//! What a state of the model is: one room's row, the nodes' copies of it, LiveKit, documents and clients.
//!
//! Owns the shapes. All of them are small and can be compared and hashed; the production states behind a copy
//! and a row are kept once each in `rooms.rs` and named here by a number.

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus;

/// Names a row's content in [`super::rooms::Rooms`].
pub type RowName = u32;
/// Names an actor's state there.
pub type StateName = u32;
/// Names a uid, or the egress behind it, or its file: the first is 0.
pub type UidName = u8;
/// Names a client's request.
pub type ClientName = u8;

/// A state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The room's row in the ledger; who holds it is known by [`Claim`].
    pub row: Option<RowName>,
    /// In no order: nodes that are alike in everything are exchanged freely.
    pub nodes: Vec<Node>,
    /// What became of each uid that was ever used.
    pub lives: Vec<Life>,
    /// The clients' requests: first the starts.
    pub clients: Vec<Client>,
    /// Webhooks that may arrive at any time.
    pub hooks: Vec<Hook>,
    /// Starts whose cancellation lies in the inbox.
    pub letters: Vec<ClientName>,
    /// Whether the meeting is over.
    pub room_is_empty: bool,
    /// What may still go wrong.
    pub left: Budget,
    /// What was broken that must always hold, one bit each.
    pub broken: u16,
    /// Whether nothing is left that a node or LiveKit would do. Follows from the rest.
    pub is_quiet: bool,
}

/// A process that may hold the room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Node {
    /// The room's actor.
    pub actor: Option<Actor>,
    /// StartEgress calls that it began, under whatever claim.
    pub calls: Vec<Call>,
    /// What it still does that an earlier claim decided.
    pub leftovers: Vec<Leftover>,
}

/// The room's actor on a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    /// Under which it writes.
    pub claim: Claim,
    /// What it believes.
    pub state: StateName,
    /// Whether the start at hand is in time.
    pub time: Time,
}

/// How the time stands to the deadline of the start at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Time {
    Before,
    /// It has passed, and its timer has not fired yet.
    After,
}

/// What a write of this actor expects to find. Claims are never used twice, and under one only one actor writes, so
/// all that can differ between states is whether the row carries it; the revision then fits too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    /// No row.
    Absent,
    /// The row, and it carries this claim.
    Stands,
    /// A row that somebody else claimed since, or that is gone.
    Lost,
}

/// A StartEgress call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// For which uid.
    pub uid: UidName,
    /// Whether LiveKit has it.
    pub is_sent: bool,
    /// Whether the claim under which it was begun was lost on this node.
    pub is_old: bool,
}

/// An effect that was under way when its claim was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leftover {
    /// An update of a document.
    Show(UidName, Shown),
    /// A StopEgress.
    Stop(UidName),
}

/// What became of a uid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// The request that began it; none if it was drawn and never used.
    pub by: Option<ClientName>,
    /// How often StartEgress was sent for it, up to 2.
    pub calls: u8,
    /// The egress in LiveKit.
    pub kit: Kit,
    /// The document.
    pub document: Option<Shown>,
    /// Whether a client was told that it is deleted.
    pub is_deleted: bool,
}

/// What a document shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shown {
    /// LiveKit took it.
    Starting,
    /// It records.
    Active,
    /// It uploads.
    Ending,
    /// Its file is there.
    Complete,
    /// It failed.
    Failed,
    /// It was ended before it recorded.
    Aborted,
    /// It reached a limit.
    LimitReached,
}

impl From<RecordingStatus> for Shown {
    fn from(status: RecordingStatus) -> Self {
        match status {
            RecordingStatus::Starting => Self::Starting,
            RecordingStatus::Active => Self::Active,
            RecordingStatus::Ending => Self::Ending,
            RecordingStatus::Complete => Self::Complete,
            RecordingStatus::Failed => Self::Failed,
            RecordingStatus::Aborted => Self::Aborted,
            RecordingStatus::LimitReached => Self::LimitReached,
        }
    }
}

impl From<Shown> for RecordingStatus {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Starting => Self::Starting,
            Shown::Active => Self::Active,
            Shown::Ending => Self::Ending,
            Shown::Complete => Self::Complete,
            Shown::Failed => Self::Failed,
            Shown::Aborted => Self::Aborted,
            Shown::LimitReached => Self::LimitReached,
        }
    }
}

/// An egress as LiveKit has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kit {
    /// How far it is.
    pub at: At,
    pub worker: Worker,
    /// Its hidden participant.
    pub recorder: Recorder,
    /// Whether LiveKit's store lacks it, until its next change.
    pub is_forgotten: bool,
    /// Whether its file is in the blob store.
    pub has_file: bool,
    /// Whether it ever recorded.
    pub was_active: bool,
}

impl Kit {
    /// Nothing was sent.
    pub const UNSENT: Self = Self {
        at: At::Unsent,
        worker: Worker::Works,
        recorder: Recorder::NotYet,
        is_forgotten: false,
        has_file: false,
        was_active: false,
    };

    /// Whether it will do nothing more, whatever LiveKit says.
    pub fn is_dead(self) -> bool {
        self.worker == Worker::Killed
    }

    /// Whether it records, or is about to.
    pub fn is_live(self) -> bool {
        let begun = matches!(self.at, At::Is(EgressStatus::Starting | EgressStatus::Active));
        begun && !self.is_dead() && self.recorder != Recorder::Left
    }

    /// Whether LiveKit will do nothing more about it by itself.
    pub fn is_at_rest(self) -> bool {
        match self.at {
            At::Called => false,
            At::Unsent | At::Never => true,
            At::Is(EgressStatus::Active) if !self.is_dead() => self.recorder == Recorder::In,
            At::Is(status) => self.is_dead() || status.is_terminal(),
        }
    }

    /// Its status, if LiveKit has it and says so when asked.
    pub fn listed(self) -> Option<EgressStatus> {
        match self.at {
            At::Is(status) if !self.is_forgotten => Some(status),
            _ => None,
        }
    }
}

/// The worker behind an egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Worker {
    Works,
    /// LiveKit lists its egress as it was, for ever.
    Killed,
}

/// How far an egress is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// Nobody asked LiveKit for it.
    Unsent,
    /// LiveKit was asked, and may begin it at any time.
    Called,
    /// LiveKit was asked, and will never begin it.
    Never,
    /// It was begun.
    Is(EgressStatus),
}

/// A hidden participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recorder {
    /// It has not joined.
    NotYet,
    /// It is in the room.
    In,
    /// It is away, and will be back.
    Away,
    /// It left for good.
    Left,
}

/// A client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// What for.
    pub asks: Asks,
    /// How it stands.
    pub stands: Stands,
    /// Whether its deadline passed at some node.
    pub is_overdue: bool,
    /// The answer that is kept for those who ask again.
    pub kept: Option<Reply>,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asks {
    /// To record.
    Start,
    /// To end a recording.
    Stop(UidName),
    /// To delete a recording.
    Delete(UidName),
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stands {
    /// Nobody asked yet.
    Unasked,
    /// The client's own node holds the room.
    Here,
    /// The client's node asked the owner.
    There,
    /// The client's node looks for the owner, with a request that is carried out once.
    Between,
    /// It was answered.
    Told(Reply),
    /// The client's own node died; it is owed nothing.
    Gone,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// This recording.
    Recording(UidName),
    /// It is deleted.
    Deleted,
    /// 503 after the intent.
    TimedOut,
    /// 503 before it.
    Unavailable,
    /// 409.
    AlreadyRecording,
    /// 500.
    StartFailed,
    /// Anything else.
    Other,
}

/// A webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hook {
    /// About which egress.
    pub uid: UidName,
    /// What.
    pub tells: Tells,
}

/// What a webhook tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tells {
    /// A status.
    Status(Shown),
    /// The recorder finished.
    LeftCleanly,
    /// The recorder was lost.
    Lost,
}

/// What may go wrong, how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// A node dies and comes back empty.
    pub crashes: u8,
    /// A node claims the room while its owner runs on unaware.
    pub steals: u8,
    /// A StartEgress gets no answer.
    pub lost_answers: u8,
    /// A StartEgress is refused.
    pub refusals: u8,
    /// A StartEgress is refused, and the egress begins all the same.
    pub lies: u8,
    /// An egress worker is killed.
    pub kills: u8,
    /// The meeting ends, and the recorder leaves without ENDING.
    pub clean_ends: u8,
    /// A recorder is away for a while.
    pub blips: u8,
    /// A list is empty.
    pub empty_lists: u8,
    /// LiveKit's store forgets all it has.
    pub flushes: u8,
    /// An egress fails before it records.
    pub failures: u8,
    /// A webhook comes twice.
    pub doubles: u8,
    /// A client stops a recording.
    pub stops: u8,
    /// A client deletes a recording.
    pub deletes: u8,
}
