//! Access tokens towards LiveKit: made for each call, with no more than the call needs.
//!
//! Owns which grant a call carries. Tokens for people in meetings are not made here.

use std::time::Duration;

use livekit_api::access_token::{AccessToken, VideoGrants};
use reelkeeper_actors::ids::RoomId;

use crate::config::Secret;

/// Longer than any call's deadline, short enough that a token found in a trace is soon worthless.
const LIFETIME: Duration = Duration::from_mins(10);

/// Makes tokens in the name of one API key.
#[derive(Debug, Clone)]
pub struct Tokens {
    api_key: String,
    api_secret: Secret,
}

impl Tokens {
    /// Signs with this secret, in the name of this key.
    #[must_use]
    pub fn new(api_key: &str, api_secret: Secret) -> Self {
        Self { api_key: api_key.to_owned(), api_secret }
    }

    /// A token with these grants, valid for ten minutes.
    ///
    /// # Errors
    /// When the key or the secret is empty; the text names neither.
    pub fn mint(&self, grants: VideoGrants) -> Result<String, String> {
        AccessToken::with_api_key(&self.api_key, self.api_secret.expose())
            .with_ttl(LIFETIME)
            .with_grants(grants)
            .to_jwt()
            .map_err(|error| format!("the access token could not be made: {error}"))
    }
}

/// Everything about egresses.
#[must_use]
pub fn record() -> VideoGrants {
    VideoGrants { room_record: true, ..Default::default() }
}

/// Looking into one room.
#[must_use]
pub fn administer(room: &RoomId) -> VideoGrants {
    VideoGrants { room_admin: true, room: room.as_str().to_owned(), ..Default::default() }
}

/// Making rooms.
#[must_use]
pub fn create_rooms() -> VideoGrants {
    VideoGrants { room_create: true, ..Default::default() }
}

/// Listing rooms.
#[must_use]
pub fn list_rooms() -> VideoGrants {
    VideoGrants { room_list: true, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use livekit_api::access_token::TokenVerifier;

    use super::*;

    #[test]
    fn a_token_carries_its_grants_and_no_more() {
        let room = RoomId::from_trusted("room-1");
        let tokens = Tokens::new("key", Secret::new("a secret"));
        for grants in [record(), administer(&room), create_rooms(), list_rooms()] {
            let token = tokens.mint(grants.clone()).unwrap();
            let claims = TokenVerifier::with_api_key("key", "a secret").verify(&token).unwrap();
            assert_eq!(claims.video, grants);
            assert_eq!(claims.exp - claims.nbf, 600);
        }
    }

    #[test]
    fn an_empty_secret_is_an_error_and_no_secret_is_shown() {
        let tokens = Tokens::new("key", Secret::new(""));
        assert!(tokens.mint(record()).is_err());
        assert!(!format!("{:?}", Tokens::new("key", Secret::new("hush"))).contains("hush"));
    }
}
