//! Access tokens: who may call what, and the signature of webhooks.
//!
//! Owns the key and its secret. A token that cannot be read or verified is answered before any route, in
//! plain text; one that lacks a grant gets Twirp's `unauthenticated` from the method, as does none at all
//! (LiveKit 1.13.5). Unlike LiveKit, an answer never repeats the token.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use livekit_api::access_token::{Claims, TokenVerifier, VideoGrants};
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::simulator::calls::Refusal;
use reelkeeper_actors::simulator::rooms::NewParticipant;
use serde_json::json;
use sha2::{Digest, Sha256};

const BEARER: &str = "Bearer ";
/// How long the token of a webhook is good, in seconds.
const WEBHOOK_TOKEN_S: i64 = 300;
const MS_PER_S: i64 = 1_000;

/// The key that is accepted and used.
pub(super) struct Tokens {
    key: String,
    secret: String,
}

/// What a method wants of its caller's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grant {
    Record,
    Create,
    List,
    Admin(RoomId),
}

impl Tokens {
    pub(super) fn new(key: &str, secret: &str) -> Self {
        Self { key: key.to_owned(), secret: secret.to_owned() }
    }

    /// The grants of a call; those of a call without a token are none. Else the text of a 401.
    pub(super) fn grants(&self, headers: &HeaderMap) -> Result<VideoGrants, String> {
        let Some(header) = headers.get(header::AUTHORIZATION) else { return Ok(VideoGrants::default()) };
        let token = header.to_str().ok().and_then(|header| header.strip_prefix(BEARER));
        let token = token.ok_or("invalid authorization header. Must start with Bearer ")?;
        let unverified = Claims::from_unverified(token).map_err(|_| "invalid authorization token")?;
        if unverified.iss != self.key {
            return Err(format!("invalid API key: {}", unverified.iss));
        }
        let verified = TokenVerifier::with_api_key(&self.key, &self.secret).verify(token);
        verified.map(|claims| claims.video).map_err(|error| format!("invalid token, error: {error}"))
    }

    /// Where the bearer of a token joins, and as whom. Else the text of a 401, as LiveKit words it.
    pub(super) fn joiner(&self, token: &str) -> Result<(RoomId, NewParticipant), String> {
        let verified = TokenVerifier::with_api_key(&self.key, &self.secret).verify(token);
        let claims = verified.map_err(|error| format!("invalid token, error: {error}"))?;
        if !claims.video.room_join || claims.video.room.is_empty() || claims.sub.is_empty() {
            return Err("permissions denied".to_owned());
        }
        let who = NewParticipant {
            name: claims.name,
            metadata: claims.metadata,
            ..NewParticipant::person(&claims.sub)
        };
        Ok((RoomId::from_trusted(claims.video.room), who))
    }

    /// The token that vouches for a webhook's body. LiveKit's own has `iat` too, which `AccessToken` leaves out.
    pub(super) fn vouch(&self, body: &str, now: Timestamp) -> jsonwebtoken::errors::Result<String> {
        let now = now.0 / MS_PER_S;
        let claims = json!({
            "iss": self.key,
            "iat": now,
            "nbf": now,
            "exp": now + WEBHOOK_TOKEN_S,
            "sha256": STANDARD.encode(Sha256::digest(body)),
        });
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(self.secret.as_bytes()))
    }
}

impl Grant {
    /// Whether the grants are enough.
    pub(super) fn check(&self, grants: &VideoGrants) -> Result<(), Refusal> {
        let enough = match self {
            Self::Record => grants.room_record,
            Self::Create => grants.room_create,
            Self::List => grants.room_list,
            Self::Admin(room) => grants.room_admin && grants.room == room.as_str(),
        };
        if enough { Ok(()) } else { Err(Refusal::new("unauthenticated", "permissions denied")) }
    }
}
