//! A type for every id: parse at the edge, trust inside.
//!
//! Owns the syntax of ids (contract `recordings.md` 1, `rooms.md` 1). Never looks anything up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest room id in characters, before cleaning (contract `rooms.md` 1).
pub const ROOM_ID_MAX: usize = 100;
/// Separates the parts of a recording id.
const SEPARATOR: &str = "--";
/// What every egress id of LiveKit begins with.
const EGRESS_PREFIX: &str = "EG_";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

impl InvalidId {
    /// For ids whose syntax another module owns.
    pub(crate) fn new(why: &'static str) -> Self {
        Self(why)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is, from a source that is trusted: a store, or LiveKit.
            #[must_use]
            pub fn from_trusted(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of a LiveKit room, which is the id of the Meet room: 1 to 100 of `[A-Za-z0-9_-]`.
    RoomId
}
text_id! {
    /// LiveKit's id of an egress, `EG_...`.
    EgressId
}
text_id! {
    /// Ten lowercase hex characters chosen before the egress call; names the file and finds the egress again.
    Uid
}
text_id! {
    /// One run of a node's process. Never reused.
    NodeId
}
text_id! {
    /// Fencing token: made for each claim of a room, checked by every write, never reused.
    ClaimId
}
text_id! {
    /// Names one commit, so that a commit that was applied though its answer was lost is recognised.
    DecisionId
}
text_id! {
    /// Names one request of a client, on whichever node it is carried out.
    CommandId
}

impl RoomId {
    /// Cleans a room id as the contract wants it: at most 100 characters before cleaning, then all
    /// outside `[A-Za-z0-9_-]` is removed.
    ///
    /// # Errors
    /// When the text is empty, too long, or nothing of it is left.
    pub fn clean(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() || text.chars().count() > ROOM_ID_MAX {
            return Err(InvalidId("roomId must have 1 to 100 characters"));
        }
        let cleaned = strip(text);
        if cleaned.is_empty() {
            return Err(InvalidId("roomId cannot be empty after sanitization"));
        }
        Ok(Self(cleaned))
    }
}

fn strip(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
}

/// `<room>--<egress>--<uid>`: the id of a recording as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId {
    /// The room that is recorded.
    pub room: RoomId,
    /// The egress that records it.
    pub egress: EgressId,
    /// The uid in its file's name.
    pub uid: Uid,
}

impl RecordingId {
    /// Joins the parts.
    #[must_use]
    pub fn new(room: RoomId, egress: EgressId, uid: Uid) -> Self {
        Self { room, egress, uid }
    }

    /// Reads an id from the right, since an old room id may hold `--` itself (contract `storage.md` 9.16).
    /// The room part is cleaned; it is left as it is when nothing would remain or it is too long.
    ///
    /// # Errors
    /// When there are not three non-empty parts, or the second does not start with `EG_`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.trim().rsplitn(3, SEPARATOR);
        let (uid, egress, room) = (parts.next(), parts.next(), parts.next());
        let (Some(uid), Some(egress), Some(room)) = (uid, egress, room) else {
            return Err(InvalidId("recordingId does not follow the expected format"));
        };
        if uid.is_empty() || room.is_empty() || egress.len() <= EGRESS_PREFIX.len() {
            return Err(InvalidId("recordingId does not follow the expected format"));
        }
        if !egress.starts_with(EGRESS_PREFIX) {
            return Err(InvalidId("recordingId does not follow the expected format"));
        }
        let room = RoomId::clean(room).unwrap_or_else(|_| RoomId(room.to_owned()));
        Ok(Self { room, egress: EgressId(egress.to_owned()), uid: Uid(uid.to_owned()) })
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SEPARATOR}{}{SEPARATOR}{}", self.room, self.egress, self.uid)
    }
}

impl Serialize for RecordingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordingId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, proptest};
    use proptest::test_runner::RngSeed;

    use super::*;

    #[test]
    fn a_room_id_loses_what_is_not_allowed() {
        for (text, cleaned) in [
            ("room-1", Some("room-1")),
            ("a/b c", Some("abc")),
            ("../..", None),
            ("", None),
            ("é%2F", Some("2F")),
        ] {
            assert_eq!(RoomId::clean(text).ok().map(|id| id.0), cleaned.map(str::to_owned), "{text:?}");
        }
        assert!(RoomId::clean(&"x".repeat(101)).is_err());
    }

    #[test]
    fn a_recording_id_is_read_from_the_right() {
        let cases = [
            ("room--EG_1--u", Some(("room", "EG_1", "u"))),
            (" a--b--EG_1--u ", Some(("a--b", "EG_1", "u"))),
            ("r/m--EG_1--u", Some(("rm", "EG_1", "u"))),
            ("///--EG_1--u", Some(("///", "EG_1", "u"))),
            ("room--EG_--u", None),
            ("room--XX_1--u", None),
            ("room--EG_1", None),
            ("--EG_1--u", None),
            ("room--EG_1--", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let parsed = RecordingId::parse(text).ok();
            let parts = parsed.as_ref().map(|id| (id.room.as_str(), id.egress.as_str(), id.uid.as_str()));
            assert_eq!(parts, expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn any_text_is_an_id_or_none(text in any::<String>(), parts in vec("[a-zA-Z0-9_/ -]{0,12}", 1..6)) {
            for text in [text, parts.join("--"), parts.join("--EG_")] {
                if let Ok(room) = RoomId::clean(&text) {
                    proptest::prop_assert_eq!(RoomId::clean(room.as_str()), Ok(room.clone()));
                    proptest::prop_assert!((1..=ROOM_ID_MAX).contains(&room.as_str().len()));
                }
                if let Ok(id) = RecordingId::parse(&text) {
                    proptest::prop_assert_eq!(RecordingId::parse(&id.to_string()), Ok(id));
                }
            }
        }

        #[test]
        fn what_we_make_is_read_as_it_was_made(room in "[a-z][a-z0-9_-]{0,40}", uid in "[0-9a-f]{10}") {
            let egress = EgressId::from_trusted("EG_abcDEF123");
            let id = RecordingId::new(RoomId::from_trusted(room), egress, Uid::from_trusted(uid));
            proptest::prop_assert_eq!(RecordingId::parse(&id.to_string()), Ok(id));
        }
    }
}
