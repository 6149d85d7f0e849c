//! What can happen to an actor, in the model's words and in production's.
//!
//! Owns the translation of a [`Cue`] into an event of `transition`, and of its effects back.

use reelkeeper_actors::ids::{CommandId, EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::recording::effect::{Answer, Depth, Effect, Refusal};
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressStatus, LeaveReason};
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::event::{
    Attendance, DeleteRequest, Evidence, FileEvidence, Happening, Listed, Presence, Recall, Repeatable,
    Repeats, Sighting, SoFar, Source, StartRequest, StopRequest, Unfinished, UnheldRecording,
};
use reelkeeper_actors::recording::ledger::Owed;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{Recording, RecordingStatus, Timestamp};

use super::times::{ARMED, NOW};
use super::world::{ClientName, Reply, Shown, UidName};

/// Something that happens to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cue {
    Start(ClientName, Repeats),
    Stop(ClientName, UidName, Option<Shown>, Repeats),
    Delete(ClientName, UidName, Option<Shown>),
    Recalled(Box<Cue>, Option<Reply>),
    TakenUp,
    Due(Due),
    RoomLooked(UidName, Vec<(UidName, EgressStatus, Option<Shown>)>),
    StartAnswered(UidName, CallEnd),
    StopAnswered(UidName, CallEnd),
    Seen(UidName, EgressStatus, Source, Option<Shown>),
    Looked(UidName, Look),
    Left(UidName, Leave),
    Cancelled(ClientName),
    Unheld(UidName, Shown),
    Done(u64),
    Removed(u64),
}

/// A timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// The start's, with that of whoever waits for it.
    Deadline,
    /// The room is held no longer by a stop.
    StopTimeout,
    /// The next attempt of a start.
    RetryStart,
    /// The next look at a uid.
    Look(UidName),
    /// The next attempt of a stop.
    Stop(UidName),
    /// A request's.
    Answer(ClientName),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallEnd {
    Ok(EgressStatus),
    Refused,
    NoAnswer,
    FailedPrecondition,
    NotFound,
}

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// None: it is not there.
    pub listed: Seen<Option<EgressStatus>>,
    pub recorder: Presence,
    pub has_file: Seen<bool>,
    pub patience: Patience,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen<T> {
    Is(T),
    Unknown,
}

/// Which long waits are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Patience {
    /// None.
    Kept,
    /// Ten minutes passed since the call's end, which can begin nothing any more.
    CallOver,
    /// The upload limit passed too.
    LimitOver,
}

/// How a recorder left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leave {
    Clean,
    Lost,
}

/// What an actor does to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    SendStart(UidName),
    SendStop(UidName),
    Look(UidName, Depth, Known),
    Identify(UidName),
    Recall(Cue),
    Answer(ClientName, Reply),
}

/// Whether an egress's id is known to who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    ById,
    ByUid,
}

pub fn room() -> RoomId {
    RoomId::from_trusted("r")
}

pub fn uid(name: UidName) -> Uid {
    Uid::from_trusted(format!("u{name}"))
}

pub fn egress(name: UidName) -> EgressId {
    EgressId::from_trusted(format!("E{name}"))
}

fn command(name: ClientName) -> CommandId {
    CommandId::from_trusted(format!("c{name}"))
}

fn number(text: &str) -> u8 {
    text[1..].parse().expect("ids of the model are a letter and a number")
}

pub fn uid_name(uid: &Uid) -> UidName {
    number(uid.as_str())
}

pub fn client_name(command: &CommandId) -> ClientName {
    number(command.as_str())
}

pub fn egress_name(egress: &EgressId) -> UidName {
    number(egress.as_str())
}

fn id_of(name: UidName) -> RecordingId {
    RecordingId::new(room(), egress(name), uid(name))
}

/// How LiveKit shows an egress. Times grow with the status, so that newer views are newer.
fn info(name: UidName, status: EgressStatus, policy: &Policy) -> EgressInfo {
    let has_file = status.recorded_as().has_file();
    let rank = i64::from(Shown::from(status.recorded_as()) as u8);
    EgressInfo {
        egress: egress(name),
        room: room(),
        status,
        filepath: Some(policy.files.egress_path(&room(), &uid(name))),
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filename: String::new(),
        started_at: 1,
        ended_at: i64::from(status.is_terminal()),
        updated_at: (NOW.0 + rank) * 1_000_000,
        duration: i64::from(has_file),
        size: i64::from(has_file),
        error: String::new(),
        error_code: 0,
        details: String::new(),
    }
}

pub fn recording(name: UidName, status: RecordingStatus, policy: &Policy) -> Recording {
    info(name, EgressStatus::behind(status), policy).to_recording(&uid(name), "")
}

fn sighting(info: EgressInfo, source: Source, document: Option<Shown>) -> Sighting {
    Sighting { info, source, room_name: String::new(), document: document.map(Into::into) }
}

fn call_end(end: CallEnd, of: UidName, policy: &Policy) -> Result<EgressInfo, CallError> {
    let twirp = |code: &str| {
        Err(CallError::Answered { status: 500, code: Some(code.to_owned()), message: String::new() })
    };
    match end {
        CallEnd::Ok(status) => Ok(info(of, status, policy)),
        CallEnd::Refused => twirp("unavailable"),
        CallEnd::NoAnswer => Err(CallError::NoAnswer(String::new())),
        CallEnd::FailedPrecondition => twirp("failed_precondition"),
        CallEnd::NotFound => twirp("not_found"),
    }
}

fn start(client: ClientName, repeats: Repeats) -> StartRequest {
    StartRequest {
        so_far: SoFar::default(),
        command: command(client),
        deadline: ARMED,
        repeats,
        attendance: Attendance::Somebody,
        room_name: String::new(),
        layout: Layout::Grid,
        encoding: Encoding::default(),
    }
}

fn stop(client: ClientName, of: UidName, document: Option<Shown>, repeats: Repeats) -> StopRequest {
    StopRequest {
        command: command(client),
        deadline: ARMED,
        repeats,
        recording: id_of(of),
        document: document.map(Into::into),
    }
}

fn answer(reply: Reply, policy: &Policy) -> Answer {
    match reply {
        Reply::Recording(name) => {
            Answer::Recording(Box::new(recording(name, RecordingStatus::Active, policy)))
        }
        Reply::Deleted => Answer::Deleted,
        Reply::TimedOut => Answer::Refused(Refusal::TimedOutStarting),
        Reply::Unavailable => Answer::Refused(Refusal::Unavailable { dependency: "store" }),
        Reply::AlreadyRecording => Answer::Refused(Refusal::AlreadyRecording),
        Reply::StartFailed => Answer::Refused(Refusal::StartFailed { reason: String::new() }),
        Reply::Other => Answer::Refused(Refusal::AlreadyStopped),
    }
}

pub fn reply(answer: &Answer) -> Reply {
    match answer {
        Answer::Recording(recording) => Reply::Recording(uid_name(&recording.recording_id.uid)),
        Answer::Deleted => Reply::Deleted,
        Answer::Refused(Refusal::TimedOutStarting) => Reply::TimedOut,
        Answer::Refused(Refusal::Unavailable { .. } | Refusal::TooManyUnsettled) => Reply::Unavailable,
        Answer::Refused(Refusal::AlreadyRecording) => Reply::AlreadyRecording,
        Answer::Refused(Refusal::StartFailed { .. }) => Reply::StartFailed,
        Answer::Refused(_) => Reply::Other,
    }
}

fn evidence(of: UidName, look: Look, policy: &Policy) -> Evidence {
    Evidence {
        listed: match look.listed {
            Seen::Is(Some(status)) => Listed::Found(Box::new(info(of, status, policy))),
            Seen::Is(None) => Listed::Absent,
            Seen::Unknown => Listed::Unknown,
        },
        recorder: look.recorder,
        file: match look.has_file {
            Seen::Is(true) => FileEvidence::There { size: 1, modified: 1, duration: Some(1) },
            Seen::Is(false) => FileEvidence::NotThere,
            Seen::Unknown => FileEvidence::Unknown,
        },
    }
}

impl Cue {
    /// The same in production's words.
    pub fn happening(&self, policy: &Policy) -> Happening {
        match self {
            Self::Start(client, repeats) => Happening::StartRequested(start(*client, *repeats)),
            Self::Stop(client, of, document, repeats) => {
                Happening::StopRequested(stop(*client, *of, *document, *repeats))
            }
            Self::Delete(client, of, document) => Happening::DeleteRequested(DeleteRequest {
                command: command(*client),
                deadline: ARMED,
                recording: id_of(*of),
                key: String::new(),
                document: document.map(Into::into),
                unfinished: Unfinished::Refuse,
            }),
            Self::Recalled(cue, kept) => Happening::Recalled {
                request: cue.happening(policy).repeatable().expect("only what may come again is recalled"),
                kept: kept.map_or(Recall::NotAnswered, |reply| Recall::Answered(answer(reply, policy))),
            },
            Self::TakenUp => Happening::TakenUp,
            Self::Due(_) => Happening::Tick,
            Self::RoomLooked(of, listed) => {
                let listed = listed.iter().map(|(name, status, document)| {
                    sighting(info(*name, *status, policy), Source::Call, *document)
                });
                Happening::RoomLooked { uid: uid(*of), result: Ok(listed.collect()) }
            }
            Self::StartAnswered(of, end) => {
                Happening::StartAnswered { uid: uid(*of), result: call_end(*end, *of, policy) }
            }
            Self::StopAnswered(of, end) => {
                Happening::StopAnswered { egress: egress(*of), result: call_end(*end, *of, policy) }
            }
            Self::Seen(of, status, source, document) => {
                Happening::EgressSeen(sighting(info(*of, *status, policy), *source, *document))
            }
            Self::Looked(of, look) => {
                Happening::Looked { uid: uid(*of), evidence: evidence(*of, *look, policy) }
            }
            Self::Left(of, leave) => {
                let reason = if *leave == Leave::Clean { LeaveReason::Clean } else { LeaveReason::Lost };
                Happening::RecorderLeft { egress: egress(*of), reason }
            }
            Self::Cancelled(client) => Happening::Cancelled { command: command(*client) },
            Self::Unheld(of, shown) => Happening::Unheld(Box::new(UnheldRecording {
                recording: recording(*of, (*shown).into(), policy),
                updated_at: NOW.0 * 1_000_000,
            })),
            Self::Done(number) => Happening::EffectDone { number: *number },
            Self::Removed(number) => Happening::FileRemoved { number: *number },
        }
    }

    /// The client whose request this is.
    pub fn client(&self) -> Option<ClientName> {
        match self {
            Self::Start(client, _) | Self::Stop(client, ..) | Self::Delete(client, ..) => Some(*client),
            Self::Recalled(cue, _) => cue.client(),
            _ => None,
        }
    }
}

/// What an effect does to the world of the model; none if nothing that is modelled.
pub fn deed(effect: &Effect) -> Option<Deed> {
    match effect {
        Effect::StartEgress { uid, .. } => Some(Deed::SendStart(uid_name(uid))),
        Effect::StopEgress { uid, .. } => Some(Deed::SendStop(uid_name(uid))),
        Effect::Look { uid, egress, depth, .. } => {
            let known = if egress.is_some() { Known::ById } else { Known::ByUid };
            Some(Deed::Look(uid_name(uid), *depth, known))
        }
        Effect::Identify { egress } => Some(Deed::Identify(egress_name(egress))),
        Effect::Recall { request } => Some(Deed::Recall(match request {
            Repeatable::Start(start) => Cue::Start(client_name(&start.command), Repeats::AsSameCommand),
            Repeatable::Stop(stop) => Cue::Stop(
                client_name(&stop.command),
                uid_name(&stop.recording.uid),
                stop.document.map(Into::into),
                Repeats::AsSameCommand,
            ),
        })),
        Effect::Answer { command, answer } => Some(Deed::Answer(client_name(command), reply(answer))),
        // The first two are kept by `rooms.rs` as what the state has begun; nothing rests on a signal.
        Effect::LookBeforeStart { .. } | Effect::Carry { .. } | Effect::Signal(_) => None,
    }
}

/// An effect that a state has begun and that changes documents, files or kept answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Makes the document, if it is not there.
    Insert(UidName, Shown),
    /// Updates it, if it is there.
    Update(UidName, Shown),
    /// Removes file and document.
    Remove(UidName),
    /// Keeps an answer.
    Keep(ClientName, Reply),
}

pub fn carried(owed: &Owed) -> Option<Carried> {
    match owed {
        Owed::Project { recording, secrets, .. } => {
            let (name, shown) = (uid_name(&recording.recording_id.uid), recording.status.into());
            let first = secrets.is_some();
            Some(if first { Carried::Insert(name, shown) } else { Carried::Update(name, shown) })
        }
        Owed::Remove { recording, .. } => Some(Carried::Remove(uid_name(&recording.uid))),
        Owed::Keep { command, answer } => Some(Carried::Keep(client_name(command), reply(answer))),
        Owed::Notify(_) => None,
    }
}

/// The time of everything that is over.
pub fn past(of: std::time::Duration) -> Timestamp {
    NOW.minus(of)
}
