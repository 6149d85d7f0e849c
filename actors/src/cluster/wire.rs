//! What nodes say to each other, over the gateway or through the inbox: one versioned form.
//!
//! Deadlines travel as the time that is left, since clocks differ.
//!
//! Old and new nodes work side by side for one release: a release writes what the one before it reads. So a field may be
//! added if it may be left out, and nothing may be renamed; what release 1 writes stands in `wire/samples.json`. What no
//! older node could understand gets a higher version, which is written only once the release that reads it is out. A
//! letter of an unknown version is answered with [`Reply::Unreadable`], and waits in the inbox for an owner that reads it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, EgressId, NodeId, RecordingId, RoomId, Uid};
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Refusal};
use crate::recording::egress::LeaveReason;
use crate::recording::event::{
    DeleteRequest, Happening, Sighting, StartRequest, StopRequest, UnheldRecording,
};

/// The version that this release writes.
const VERSION: u16 = 1;
/// Those that it reads.
const READABLE: std::ops::RangeInclusive<u16> = 1..=VERSION;
/// Dependencies that a refusal may name.
const DEPENDENCIES: [&str; 7] =
    ["store", "coordination", "blobs", "LiveKit", "livekit", "owner", "reelkeeper"];

/// Something for a room's owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    version: u16,
    /// The room.
    pub room: RoomId,
    /// Milliseconds that are left for a request's answer.
    left_ms: u64,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Start(StartRequest),
    Stop(StopRequest),
    Delete(DeleteRequest),
    Cancelled { command: CommandId },
    EgressSeen(Sighting),
    RecorderLeft { egress: EgressId, reason: LeaveReason },
    Unheld(Box<UnheldRecording>),
    FoundStale { recording: RecordingId, updated_at: i64 },
    FoundOrphan { uid: Uid },
}

/// What a letter says to whoever takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Somebody waits for an answer.
    Request {
        /// Names the request.
        command: CommandId,
        /// When it must be answered, by the clock of the node that reads it.
        deadline: Timestamp,
        /// What is asked.
        what: Happening,
    },
    /// Something happened, and is to be stored.
    News(Happening),
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The request's answer.
    Answer(Answer),
    /// A dependency is away: nothing was begun.
    Unavailable {
        /// Which.
        dependency: String,
    },
    /// A dependency is away: the deletion is owed.
    DeletionOwed {
        /// Which.
        dependency: String,
    },
    /// Neither success nor failure is known to be true.
    Unanswerable,
    /// The news are stored.
    Stored,
    /// The news are not stored.
    NotStored,
    /// Somebody else owns the room.
    Moved(NodeId),
    /// The letter is of another version.
    Unreadable,
}

impl Letter {
    /// Writes what is for a room's owner; none for what no other node may say.
    #[must_use]
    pub fn write(room: &RoomId, what: &Happening, now: Timestamp) -> Option<Self> {
        use Happening as H;
        let what = match what.clone() {
            H::StartRequested(request) => What::Start(request),
            H::StopRequested(request) => What::Stop(request),
            H::DeleteRequested(request) => What::Delete(request),
            H::Cancelled { command } => What::Cancelled { command },
            H::EgressSeen(sighting) => What::EgressSeen(sighting),
            H::RecorderLeft { egress, reason } => What::RecorderLeft { egress, reason },
            H::Unheld(found) => What::Unheld(found),
            H::FoundStale { recording, updated_at } => What::FoundStale { recording, updated_at },
            H::FoundOrphan { uid } => What::FoundOrphan { uid },
            H::Recalled { .. }
            | H::TakenUp
            | H::Tick
            | H::RoomLooked { .. }
            | H::RoomLocked { .. }
            | H::StartAnswered { .. }
            | H::StopAnswered { .. }
            | H::Looked { .. }
            | H::EffectDone { .. }
            | H::FileRemoved { .. }
            | H::EffectFailed { .. } => return None,
        };
        let deadline = match &what {
            What::Start(request) => request.deadline,
            What::Stop(request) => request.deadline,
            What::Delete(request) => request.deadline,
            _ => now,
        };
        let left_ms = u64::try_from(deadline.since(now).as_millis()).unwrap_or(u64::MAX);
        Some(Self { version: VERSION, room: room.clone(), left_ms, what })
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a letter is plain data")
    }

    /// Reads a letter; none if this release cannot.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|letter: &Self| READABLE.contains(&letter.version))
    }

    /// What it says, at this moment; a deadline is never later than `longest` from now.
    #[must_use]
    pub fn asked(self, now: Timestamp, longest: Duration) -> Asked {
        let deadline = now.plus(Duration::from_millis(self.left_ms).min(longest));
        let request = |command: &CommandId, what| Asked::Request { command: command.clone(), deadline, what };
        match self.what {
            What::Start(start) => {
                let start = StartRequest { deadline, ..start };
                request(&start.command.clone(), Happening::StartRequested(start))
            }
            What::Stop(stop) => {
                let stop = StopRequest { deadline, ..stop };
                request(&stop.command.clone(), Happening::StopRequested(stop))
            }
            What::Delete(delete) => {
                let delete = DeleteRequest { deadline, ..delete };
                request(&delete.command.clone(), Happening::DeleteRequested(delete))
            }
            What::Cancelled { command } => Asked::News(Happening::Cancelled { command }),
            What::EgressSeen(sighting) => Asked::News(Happening::EgressSeen(sighting)),
            What::RecorderLeft { egress, reason } => Asked::News(Happening::RecorderLeft { egress, reason }),
            What::Unheld(found) => Asked::News(Happening::Unheld(found)),
            What::FoundStale { recording, updated_at } => {
                Asked::News(Happening::FoundStale { recording, updated_at })
            }
            What::FoundOrphan { uid } => Asked::News(Happening::FoundOrphan { uid }),
        }
    }
}

impl Reply {
    /// What a request was answered; none: the connection is closed without an answer.
    #[must_use]
    pub fn of_answer(answer: Option<Answer>) -> Self {
        match answer {
            Some(Answer::Refused(Refusal::Unavailable { dependency })) => {
                Self::Unavailable { dependency: dependency.to_owned() }
            }
            Some(Answer::Refused(Refusal::DeletionOwed { dependency })) => {
                Self::DeletionOwed { dependency: dependency.to_owned() }
            }
            Some(answer) => Self::Answer(answer),
            None => Self::Unanswerable,
        }
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a reply is plain data")
    }

    /// Reads a reply; what cannot be read says nothing.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or(Self::Unreadable)
    }

    /// The answer for whoever asked, if it is one.
    #[must_use]
    pub fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::Answer(answer) => answer,
            Self::Unavailable { dependency } => {
                Answer::Refused(Refusal::Unavailable { dependency: named(&dependency) })
            }
            Self::DeletionOwed { dependency } => {
                Answer::Refused(Refusal::DeletionOwed { dependency: named(&dependency) })
            }
            Self::Unanswerable => Answer::Refused(Refusal::Unanswerable),
            Self::Stored | Self::NotStored | Self::Moved(_) | Self::Unreadable => return None,
        })
    }
}

/// A dependency's name as this process has it.
fn named(dependency: &str) -> &'static str {
    DEPENDENCIES.into_iter().find(|known| *known == dependency).unwrap_or("reelkeeper")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_what_is_left_of_its_time() {
        let room = RoomId::from_trusted("room-1");
        let stop = StopRequest {
            command: CommandId::from_trusted("command-1"),
            deadline: Timestamp(10_000),
            repeats: crate::recording::event::Repeats::AsSameCommand,
            recording: RecordingId::parse("room-1--EG_1--u").unwrap(),
            document: None,
        };
        let letter = Letter::write(&room, &Happening::StopRequested(stop.clone()), Timestamp(4_000)).unwrap();
        let read = Letter::read(letter.to_text().as_bytes()).unwrap();
        // The clock of the node that reads it shows something else.
        let asked = read.clone().asked(Timestamp(100_000), Duration::from_secs(20));
        let deadline = Timestamp(106_000);
        let what = Happening::StopRequested(StopRequest { deadline, ..stop });
        assert_eq!(asked, Asked::Request { command: CommandId::from_trusted("command-1"), deadline, what });
        let Asked::Request { deadline, .. } = read.asked(Timestamp(0), Duration::from_secs(1)) else {
            panic!()
        };
        assert_eq!(deadline, Timestamp(1_000), "never longer than anybody waits");
    }

    const SAMPLES: &str = include_str!("wire/samples.json");

    /// What a release wrote, read and written again; and as a newer one might write it, with a field that is not known yet.
    #[test]
    fn what_another_release_writes_is_read() {
        let samples: serde_json::Value = serde_json::from_str(SAMPLES).unwrap();
        let both = |sample: &serde_json::Value| {
            let mut newer = sample.clone();
            add_fields(&mut newer);
            [sample.clone(), newer]
        };
        let letters = samples["letters"].as_array().unwrap();
        for sample in letters {
            for text in both(sample) {
                let read =
                    Letter::read(text.to_string().as_bytes()).unwrap_or_else(|| panic!("unreadable: {text}"));
                assert_eq!(serde_json::to_value(&read).unwrap(), *sample, "{text}");
            }
        }
        let kinds: std::collections::BTreeSet<_> =
            letters.iter().flat_map(|sample| sample["what"].as_object().unwrap().keys()).collect();
        assert_eq!(kinds.len(), 9, "every kind has a sample: {kinds:?}");
        for sample in samples["replies"].as_array().unwrap() {
            for text in both(sample) {
                let read = Reply::read(text.to_string().as_bytes());
                assert_eq!(serde_json::to_value(&read).unwrap(), *sample, "{text}");
            }
        }
    }

    /// To every object that has fields, not to those that name a kind.
    fn add_fields(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(add_fields);
                if fields.len() > 1 {
                    fields.insert("of_tomorrow".to_owned(), serde_json::json!({"a": [1, 2]}));
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(add_fields),
            _ => {}
        }
    }

    #[test]
    fn what_only_an_owner_knows_is_no_letter() {
        let room = RoomId::from_trusted("room-1");
        assert_eq!(Letter::write(&room, &Happening::Tick, Timestamp(0)), None);
        let newer = br#"{"version":2,"room":"room-1","left_ms":0,"what":{"found_orphan":{"uid":"u"}}}"#;
        assert_eq!(Letter::read(newer), None);
    }

    #[test]
    fn every_answer_comes_back_as_it_was() {
        for answer in [
            Answer::Deleted,
            Answer::Refused(Refusal::AlreadyRecording),
            Answer::Refused(Refusal::Unavailable { dependency: "blobs" }),
            Answer::Refused(Refusal::DeletionOwed { dependency: "store" }),
            Answer::Refused(Refusal::StopFailed { reason: "no".to_owned() }),
        ] {
            let text = Reply::of_answer(Some(answer.clone())).to_text();
            assert_eq!(Reply::read(text.as_bytes()).answer(), Some(answer));
        }
        let nothing = Reply::read(Reply::of_answer(None).to_text().as_bytes()).answer();
        assert_eq!(nothing, Some(Answer::Refused(Refusal::Unanswerable)));
    }
}
