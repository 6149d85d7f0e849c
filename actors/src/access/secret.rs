//! Secrets: what a client shows instead of a name (contract `access.md` 1, `rooms.md` 1).
//!
//! Owns their comparison, always in constant time for texts of one length, and what each of them opens.

use subtle::ConstantTimeEq;

use super::permission::Role;
use super::{Caller, Denied, RecordingSecret};
use crate::meeting::Room;
use crate::recording::AccessSecrets;

/// What stands before the secret in a room's URLs.
const IN_URL: &str = "?secret=";

/// The role that this secret opens a room for; none if it is not the room's.
#[must_use]
pub fn role_with(room: &Room, secret: &str) -> Option<Role> {
    let [moderator, speaker] =
        Role::ALL.map(|role| room_secret(room, role).is_some_and(|own| same(own, secret)));
    if moderator { Some(Role::Moderator) } else { speaker.then_some(Role::Speaker) }
}

/// What opens a room for this role; none if its URL has no secret.
#[must_use]
pub fn room_secret(room: &Room, role: Role) -> Option<&str> {
    let url = match role {
        Role::Moderator => &room.moderator_url,
        Role::Speaker => &room.speaker_url,
    };
    url.split_once(IN_URL).map(|(_, secret)| secret)
}

/// Which of a recording's secrets this is; none if it is neither.
#[must_use]
pub fn of_recording(secrets: &AccessSecrets, secret: &str) -> Option<RecordingSecret> {
    let (public, private) = (same(&secrets.public, secret), same(&secrets.private, secret));
    if public { Some(RecordingSecret::Public) } else { private.then_some(RecordingSecret::Private) }
}

/// Whether one of the API keys was sent. All of them are compared.
///
/// # Errors
/// [`Denied::NoApiKeyConfigured`] or [`Denied::WrongApiKey`].
pub fn holder_of_api_key<'a>(keys: impl IntoIterator<Item = &'a str>, sent: &[u8]) -> Result<Caller, Denied> {
    let mut outcome = Err(Denied::NoApiKeyConfigured);
    for key in keys {
        let is_it = bool::from(key.as_bytes().ct_eq(sent));
        outcome = if is_it || outcome.is_ok() { Ok(Caller::ApiKey) } else { Err(Denied::WrongApiKey) };
    }
    outcome
}

/// An empty secret is never right.
fn same(own: &str, sent: &str) -> bool {
    !own.is_empty() && bool::from(own.as_bytes().ct_eq(sent.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::creation::{self, Drawn, NewRoom};
    use crate::recording::Timestamp;

    fn room() -> Room {
        let drawn = Drawn {
            now: Timestamp(0),
            random: [0; 16],
            moderator_secret: "1111111111".to_owned(),
            speaker_secret: "2222222222".to_owned(),
        };
        creation::create(NewRoom::default(), &drawn)
    }

    #[test]
    fn a_rooms_secret_names_the_role() {
        let table = [
            ("1111111111", Some(Role::Moderator)),
            ("2222222222", Some(Role::Speaker)),
            ("1111111112", None),
            ("111111111", None),
            ("11111111111", None),
            ("?secret=1111111111", None),
            ("", None),
        ];
        for (secret, expected) in table {
            assert_eq!(role_with(&room(), secret), expected, "{secret:?}");
        }
        let bare = Room { moderator_url: "/room/x?secret=".to_owned(), speaker_url: String::new(), ..room() };
        assert_eq!(role_with(&bare, ""), None);
    }

    #[test]
    fn a_recordings_secret_is_the_public_or_the_private_one() {
        let secrets = AccessSecrets { public: "aaaaaaaaaa".to_owned(), private: "bbbbbbbbbb".to_owned() };
        let table = [
            ("aaaaaaaaaa", Some(RecordingSecret::Public)),
            ("bbbbbbbbbb", Some(RecordingSecret::Private)),
            ("aaaaaaaaab", None),
            ("", None),
        ];
        for (secret, expected) in table {
            assert_eq!(of_recording(&secrets, secret), expected, "{secret:?}");
        }
        let none = AccessSecrets { public: String::new(), private: String::new() };
        assert_eq!(of_recording(&none, ""), None);
    }

    #[test]
    fn an_api_key_is_one_of_those_stored() {
        let table: [(&[&str], &str, _); 5] = [
            (&[], "a", Err(Denied::NoApiKeyConfigured)),
            (&["a"], "a", Ok(Caller::ApiKey)),
            (&["a", "b"], "a", Ok(Caller::ApiKey)),
            (&["a", "b"], "b", Ok(Caller::ApiKey)),
            (&["a", "b"], "ab", Err(Denied::WrongApiKey)),
        ];
        for (keys, sent, expected) in table {
            assert_eq!(holder_of_api_key(keys.iter().copied(), sent.as_bytes()), expected, "{keys:?} {sent}");
        }
    }
}
