//! Incoming webhooks: is it LiveKit's, and what does it tell.
//!
//! Owns signature and reading of one request (contract `recordings.md` 5, design 6). The signature is
//! strict and covers the raw bytes; reading is lenient: a field, event or enum value of tomorrow costs
//! no more than the news it carries. Never decides whether the room is ours. Read `webhook/json.rs` for the
//! leniency.

mod json;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use livekit_protocol as proto;
use proto::DisconnectReason::{ClientInitiated, DuplicateIdentity, RoomClosed, RoomDeleted};
use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::meeting::status::MeetingNews;
use reelkeeper_actors::ports::media_server::{
    IncomingWebhooks, LiveKitEvent, LiveKitNews, ParticipantKind, RejectedWebhook,
};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::egress::LeaveReason;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::json::Fields;
use super::{egress, rooms};

/// How far LiveKit's clock may be from ours, in seconds (contract `recordings.md` 5).
const TOLERANCE_S: f64 = 10.0;
/// What the identity of every recorder begins with, being its egress's id.
const RECORDER_PREFIX: &str = "EG_";

/// Checks and reads LiveKit's webhooks.
pub struct WebhookReceiver {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for WebhookReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookReceiver").finish_non_exhaustive()
    }
}

/// What the token of a webhook says; times in seconds since 1970.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    sha256: String,
}

impl IncomingWebhooks for WebhookReceiver {
    /// The authorization is a bare JWT.
    fn receive(
        &self,
        authorization: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<LiveKitEvent, RejectedWebhook> {
        let token = authorization.ok_or_else(|| unsigned("there is no authorization"))?;
        self.check(token.trim(), body, now)?;
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(event(Fields::new(&Value::Object(fields)))),
            Ok(_) => Err(RejectedWebhook::Malformed("it is not an object".to_owned())),
            Err(error) => Err(RejectedWebhook::Malformed(error.to_string())),
        }
    }
}

impl WebhookReceiver {
    /// Takes webhooks that are signed with this secret in the name of this key.
    #[must_use]
    pub fn new(api_key: &str, api_secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[api_key]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        // Times are judged below, against the given clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { key: DecodingKey::from_secret(api_secret.as_bytes()), validation }
    }

    fn check(&self, token: &str, body: &[u8], now: Timestamp) -> Result<(), RejectedWebhook> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| unsigned(&error.to_string()))?
            .claims;
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double")]
        let now = now.0 as f64 / 1000.0;
        if claims.exp + TOLERANCE_S < now {
            return Err(unsigned("the token has expired"));
        }
        if claims.nbf.is_some_and(|from| from - TOLERANCE_S > now) {
            return Err(unsigned("the token is not valid yet"));
        }
        let claimed = STANDARD.decode(&claims.sha256).map_err(|_| unsigned("its hash is not base64"))?;
        if !bool::from(claimed.ct_eq(&Sha256::digest(body)[..])) {
            return Err(unsigned("the body is not the one that was signed"));
        }
        Ok(())
    }
}

fn unsigned(reason: &str) -> RejectedWebhook {
    RejectedWebhook::Signature(reason.to_owned())
}

fn event(body: Fields<'_>) -> LiveKitEvent {
    let name = body.text("event");
    let room = body.object("room");
    let room_name = [room.text("name"), body.object("egressInfo").text("roomName")]
        .into_iter()
        .find(|name| !name.is_empty());
    let news = match name.as_str() {
        "egress_started" | "egress_updated" | "egress_ended" => egress_news(body, room_name.as_deref()),
        "participant_joined" => joined(body.object("participant")),
        "participant_left" => left(body.object("participant")),
        "room_started" => LiveKitNews::Meeting(MeetingNews::Started { sid: room.text("sid") }),
        "room_finished" => LiveKitNews::Meeting(MeetingNews::Finished { sid: room.text("sid") }),
        _ => LiveKitNews::Other,
    };
    LiveKitEvent {
        id: body.text("id"),
        name,
        room: room_name.map(RoomId::from_trusted),
        created_by: created_by(&room.text("metadata")),
        news,
    }
}

/// Who made the room, as its metadata says; none if that is not JSON with such a text.
fn created_by(metadata: &str) -> Option<String> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    metadata.get("createdBy")?.as_str().map(str::to_owned)
}

fn egress_news(body: Fields<'_>, room: Option<&str>) -> LiveKitNews {
    let mut info = json::egress_info(body.object("egressInfo"));
    if let (true, Some(room)) = (info.room_name.is_empty(), room) {
        room.clone_into(&mut info.room_name);
    }
    match egress::read(info) {
        Ok(info) if info.room.as_str().is_empty() => LiveKitNews::Other,
        Ok(info) => LiveKitNews::Egress(Box::new(info)),
        // The owner asks for its egresses by itself, so nothing is lost but time.
        Err(problem) => {
            tracing::warn!(%problem, "an incoming webhook tells nothing");
            LiveKitNews::Other
        }
    }
}

fn joined(participant: Fields<'_>) -> LiveKitNews {
    let info = json::participant_info(participant);
    let is_person =
        rooms::kind(&info) == ParticipantKind::Standard && !info.identity.starts_with(RECORDER_PREFIX);
    if is_person && !info.sid.is_empty() {
        LiveKitNews::PersonJoined { sid: info.sid }
    } else {
        LiveKitNews::Other
    }
}

fn left(participant: Fields<'_>) -> LiveKitNews {
    let info = json::participant_info(participant);
    let kind = rooms::kind(&info);
    let reason = proto::DisconnectReason::try_from(info.disconnect_reason);
    if kind == ParticipantKind::Recorder || info.identity.starts_with(RECORDER_PREFIX) {
        let reason = match reason {
            Ok(ClientInitiated | RoomDeleted | RoomClosed) => LeaveReason::Clean,
            _ => LeaveReason::Lost,
        };
        return match info.identity {
            identity if identity.is_empty() => LiveKitNews::Other,
            identity => LiveKitNews::RecorderLeft { egress: EgressId::from_trusted(identity), reason },
        };
    }
    // Who is replaced by the same identity goes on under the same name.
    if kind != ParticipantKind::Standard || reason == Ok(DuplicateIdentity) || info.name.is_empty() {
        return LiveKitNews::Other;
    }
    LiveKitNews::PersonLeft { identity: info.identity, name: info.name }
}

#[cfg(test)]
mod tests;
