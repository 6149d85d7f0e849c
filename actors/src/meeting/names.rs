//! What rooms are called, and how a room's id is made from its name (contract `rooms.md` 1).
//!
//! Owns the rules only; randomness is handed in. Whitespace is JavaScript's, since stored names were
//! cleaned by it.

use unicode_normalization::UnicodeNormalization;

use crate::ids::RoomId;

/// Longest name in UTF-16 units, before trimming.
pub const NAME_MAX: usize = 50;
/// The name of a room whose creator gave none.
pub const DEFAULT_NAME: &str = "Room";

/// The first part of an id whose name leaves nothing to make one of.
const DEFAULT_PREFIX: &str = "room";
/// Random characters of an id.
const RANDOM_LENGTH: usize = 15;
/// What the random characters are drawn from.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A display name as it may be stored: not empty, trimmed, with single spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

/// Why a text is no room name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// More than [`NAME_MAX`] UTF-16 units.
    #[error("roomName cannot exceed {NAME_MAX} characters")]
    TooLong,
    /// Nothing is left after trimming.
    #[error("roomName cannot be empty")]
    Empty,
}

impl RoomName {
    /// Trims a name and turns each run of whitespace into one space. The length is counted before that.
    ///
    /// # Errors
    /// When it is too long, or nothing is left.
    pub fn clean(text: &str) -> Result<Self, InvalidName> {
        if text.encode_utf16().count() > NAME_MAX {
            return Err(InvalidName::TooLong);
        }
        let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Err(InvalidName::Empty);
        }
        Ok(Self(words.join(" ")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RoomName {
    fn default() -> Self {
        Self(DEFAULT_NAME.to_owned())
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.0
    }
}

/// The id of a new room: what is left of its name, one hyphen, 15 random characters. With one hyphen it
/// can never hold the `--` that separates the parts of a recording's id.
#[must_use]
pub fn room_id(name: &RoomName, random: [u8; 16]) -> RoomId {
    RoomId::from_trusted(format!("{}-{}", prefix_or(name.as_str(), DEFAULT_PREFIX), random_part(random)))
}

/// What is left of a name in an id; `default` if nothing is.
pub(super) fn prefix_or(name: &str, default: &str) -> String {
    let lower = name.nfd().collect::<String>().to_lowercase();
    let underscored = lower.chars().map(|c| if c == '-' || is_space(c) { '_' } else { c });
    let kept: String =
        underscored.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
    let words: Vec<&str> = kept.split('_').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return default.to_owned();
    }
    words.join("_")
}

/// The lowest 15 digits in base 36: of 122 random bits about 78 are used, so all are as good as equally likely.
pub(super) fn random_part(random: [u8; 16]) -> String {
    let mut rest = u128::from_be_bytes(random);
    let mut text = String::with_capacity(RANDOM_LENGTH);
    for _ in 0..RANDOM_LENGTH {
        let digit = usize::try_from(rest % 36).unwrap_or_default();
        text.push(char::from(ALPHABET[digit]));
        rest /= 36;
    }
    text
}

/// JavaScript's `\s`, which counts the byte order mark and not the next-line control.
fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_squeezed() {
        let cases = [
            ("Room", Ok("Room")),
            ("  a \t\n b  ", Ok("a b")),
            ("\u{feff}x\u{a0}y", Ok("x y")),
            ("a\u{0}b", Ok("a\u{0}b")),
            ("", Err(InvalidName::Empty)),
            (" \u{3000} ", Err(InvalidName::Empty)),
        ];
        for (text, expected) in cases {
            let cleaned = RoomName::clean(text);
            assert_eq!(cleaned.as_ref().map(RoomName::as_str).map_err(|fault| *fault), expected, "{text:?}");
        }
    }

    #[test]
    fn the_length_is_counted_in_utf16_before_trimming() {
        let cases = [
            ("x".repeat(50), true),
            ("x".repeat(51), false),
            (format!("x{}", " ".repeat(50)), false),
            ("\u{1f600}".repeat(25), true),
            ("\u{1f600}".repeat(26), false),
        ];
        for (text, fits) in cases {
            assert_eq!(RoomName::clean(&text).is_ok(), fits, "{text:?}");
        }
    }

    #[test]
    fn an_id_begins_with_what_is_left_of_the_name() {
        let cases = [
            ("Room", "room"),
            ("Møde Åse", "mde_ase"),
            ("  My -- Room!  ", "my_room"),
            ("__a__b__", "a_b"),
            ("日本", "room"),
            ("ÀÉ İ", "ae_i"),
            ("a/b%2e", "ab2e"),
        ];
        for (name, expected) in cases {
            let id = room_id(&RoomName::clean(name).unwrap(), [7; 16]);
            let (prefix, random) = id.as_str().split_once('-').unwrap();
            assert_eq!(prefix, expected, "{name:?}");
            assert_eq!(random.len(), RANDOM_LENGTH, "{name:?}");
            assert!(random.bytes().all(|byte| ALPHABET.contains(&byte)), "{name:?}");
        }
    }

    #[test]
    fn other_bytes_give_another_id() {
        let name = RoomName::default();
        assert_ne!(room_id(&name, [1; 16]), room_id(&name, [2; 16]));
        assert_eq!(room_id(&name, [0; 16]).as_str(), "room-aaaaaaaaaaaaaaa");
    }

    proptest::proptest! {
        #[test]
        fn any_name_gives_an_id_that_stays_as_it_is_when_cleaned(text in "\\PC{0,50}", random: [u8; 16]) {
            if let Ok(name) = RoomName::clean(&text) {
                let id = room_id(&name, random);
                proptest::prop_assert_eq!(RoomId::clean(id.as_str()).unwrap(), id.clone());
                proptest::prop_assert!(!id.as_str().contains("--"));
            }
        }
    }
}
