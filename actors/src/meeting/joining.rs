//! How a meeting comes into being in LiveKit, and what those who join are called there (contract `rooms.md`
//! 6 and 7).
//!
//! Owns the rules only; LiveKit is asked, names are reserved and randomness is drawn elsewhere.

use std::time::Duration;

use serde::Serialize;

use super::names::{prefix_or, random_part};
use super::{AutoDeletionPolicy, Room, RoomConfig};
use crate::ids::RoomId;

/// How long a name stays reserved, and a wish for captions noted, if nobody tells that whoever has it left.
pub const STAY_LASTS: Duration = Duration::from_hours(12);
/// Most bytes of a name: LiveKit takes 256, and a number and the identity's end must fit too.
pub const PARTICIPANT_NAME_MAX: usize = 200;

/// The first part of an identity whose name leaves nothing to make one of.
const DEFAULT_PREFIX: &str = "participant";
/// Stands between a name and its number.
const BEFORE_NUMBER: char = '_';

/// How our meetings are made in LiveKit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingSettings {
    /// Marks our rooms, as `createdBy`.
    pub name_id: String,
    /// How long a room stays if nobody ever joins, in whole seconds.
    pub empty_timeout: Duration,
    /// How long it stays after the last one left, in whole seconds.
    pub departure_timeout: Duration,
}

impl Default for MeetingSettings {
    fn default() -> Self {
        let short = Duration::from_secs(20);
        Self { name_id: "openviduMeet".to_owned(), empty_timeout: short, departure_timeout: short }
    }
}

/// A room that LiveKit is asked to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOrder {
    /// Its name.
    pub room: RoomId,
    /// See [`MeetingSettings`].
    pub empty_timeout: Duration,
    /// See [`MeetingSettings`].
    pub departure_timeout: Duration,
    /// JSON, for those in the meeting and for whoever shares the LiveKit.
    pub metadata: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    created_by: &'a str,
    room_options: Options<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options<'a> {
    room_name: &'a str,
    #[serde(with = "crate::number::optional", skip_serializing_if = "Option::is_none")]
    auto_deletion_date: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_deletion_policy: Option<AutoDeletionPolicy>,
    config: &'a RoomConfig,
}

impl RoomOrder {
    /// What a room's meeting needs.
    #[must_use]
    pub fn of(room: &Room, settings: &MeetingSettings) -> Self {
        let metadata = Metadata {
            created_by: &settings.name_id,
            room_options: Options {
                room_name: &room.room_name,
                auto_deletion_date: room.auto_deletion_date,
                auto_deletion_policy: room.auto_deletion_policy,
                config: &room.config,
            },
        };
        Self {
            room: room.room_id.clone(),
            empty_timeout: settings.empty_timeout,
            departure_timeout: settings.departure_timeout,
            metadata: serde_json::to_string(&metadata).expect("a room is plain data"),
        }
    }
}

/// A fresh identity for somebody with this name.
#[must_use]
pub fn identity(name: &str, random: [u8; 16]) -> String {
    format!("{}-{}", prefix_or(name, DEFAULT_PREFIX), random_part(random))
}

/// Names differ if they differ in more than letter case: the form in which they are compared.
#[must_use]
pub fn compared(name: &str) -> String {
    name.to_lowercase()
}

/// The name that somebody gets: the one they want, or its base with the smallest number from 1 that makes
/// it free. `is_taken` is asked in the form of [`compared`].
#[must_use]
pub fn free_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let free = |name: &String| !is_taken(&compared(name));
    let before = before_number(wanted);
    let numbered = (1_u32..).map(|number| format!("{before}{number}"));
    std::iter::once(wanted.to_owned()).chain(numbered).find(free).unwrap_or_default()
}

/// What a number is added to, to make another name of this one.
#[must_use]
pub fn before_number(name: &str) -> String {
    format!("{}{BEFORE_NUMBER}", base(name))
}

/// The name without a number at its end.
fn base(name: &str) -> &str {
    match name.rsplit_once(BEFORE_NUMBER) {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::meeting::creation::{self, Drawn, NewRoom};
    use crate::recording::Timestamp;

    #[test]
    fn a_meetings_room_says_who_made_it_and_what_it_may() {
        let drawn = Drawn {
            now: Timestamp(0),
            random: [0; 16],
            moderator_secret: "1".to_owned(),
            speaker_secret: "2".to_owned(),
        };
        let new = NewRoom { auto_deletion_date: Some(1.5e12), ..NewRoom::default() };
        let room = creation::create(new, &drawn);
        let order = RoomOrder::of(&room, &MeetingSettings::default());
        let metadata: Value = serde_json::from_str(&order.metadata).unwrap();
        let expected = json!({"createdBy": "openviduMeet", "roomOptions": {
            "roomName": "Room", "autoDeletionDate": 1_500_000_000_000_i64,
            "autoDeletionPolicy": {"withMeeting": "when_meeting_ends", "withRecordings": "close"},
            "config": RoomConfig::default()}});
        assert_eq!(metadata, expected);
        assert_eq!((&order.room, order.empty_timeout.as_secs()), (&room.room_id, 20));
        assert!(!order.metadata.contains("secret"), "no secret leaves the service");
    }

    #[test]
    fn names_are_unique_but_for_letter_case() {
        let stories: [&[(&str, &str)]; 5] = [
            &[("BOB", "BOB"), ("BOB", "BOB_1"), ("BOB_1", "BOB_2")],
            &[("Bob", "Bob"), ("bOB", "bOB_1"), ("bob", "bob_2")],
            &[("a_", "a_"), ("a_", "a__1"), ("a_x", "a_x"), ("a_x", "a_x_1")],
            &[("_7", "_7"), ("_7", "_1")],
            &[("É", "É"), ("é", "é_1")],
        ];
        for story in stories {
            let mut taken = BTreeSet::new();
            for (wanted, expected) in story {
                let name = free_name(wanted, |name| taken.contains(name));
                assert_eq!(name, *expected, "{story:?}");
                assert!(taken.insert(compared(&name)), "{story:?}");
            }
        }
        let gap = |name: &str| ["bob", "bob_1", "bob_3"].contains(&name);
        assert_eq!(free_name("Bob", gap), "Bob_2", "the smallest number that is free");
    }

    #[test]
    fn an_identity_begins_with_what_is_left_of_the_name() {
        for (name, expected) in [("Møde Åse_1", "mde_ase_1"), ("日本", "participant"), ("Bob", "bob")] {
            assert_eq!(identity(name, [0; 16]), format!("{expected}-aaaaaaaaaaaaaaa"), "{name}");
        }
        assert_ne!(identity("Bob", [1; 16]), identity("Bob", [2; 16]));
    }
}
