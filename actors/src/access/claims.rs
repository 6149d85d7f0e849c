//! What our tokens say (contract `access.md` 2).
//!
//! Owns the claims of the three tokens and how they are read once the signature has been checked. Each token
//! names its use, so that none passes for another, and neither does whatever else LiveKit's secret signs: a
//! LiveKit server hands participants tokens with metadata that they wrote themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::permission::{Permissions, Role};
use super::user::{User, UserRole, UserToken};
use super::{Denied, Member};
use crate::ids::RoomId;
use crate::recording::Timestamp;

const MS_PER_S: i64 = 1_000;
/// How long an access token or a member's token lasts, in seconds.
const ACCESS_LIFETIME_S: i64 = 2 * 3600;
/// How long a refresh token lasts, in seconds.
const REFRESH_LIFETIME_S: i64 = 24 * 3600;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    /// A user's requests.
    Access,
    /// New access tokens, and nothing else.
    Refresh,
    /// A room member's requests and, if it says so, joining the meeting.
    Member,
}

impl TokenUse {
    fn lifetime_s(self) -> i64 {
        match self {
            Self::Access | Self::Member => ACCESS_LIFETIME_S,
            Self::Refresh => REFRESH_LIFETIME_S,
        }
    }
}

/// What every token says; times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Who issued it: LiveKit's API key.
    pub iss: String,
    /// From when on it is good.
    #[serde(default)]
    pub nbf: i64,
    /// Until when.
    pub exp: i64,
    /// What for. Tokens that others signed with the same secret say nothing here.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub used_for: Option<TokenUse>,
}

impl Frame {
    /// One that begins to count now.
    #[must_use]
    pub fn new(issuer: &str, used_for: TokenUse, now: Timestamp) -> Self {
        let exp = now.0 / MS_PER_S + used_for.lifetime_s();
        Self { iss: issuer.to_owned(), nbf: 0, exp, used_for: Some(used_for) }
    }

    /// Whether it is good for this use now, without any leeway.
    fn check(&self, used_for: TokenUse, now: Timestamp) -> Result<(), Denied> {
        let now_s = now.0 / MS_PER_S;
        let good = self.nbf <= now_s && now_s < self.exp && self.used_for == Some(used_for);
        if good { Ok(()) } else { Err(Denied::BadToken) }
    }
}

/// The claims of a user's token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserClaims {
    /// Issuer, time, use.
    #[serde(flatten)]
    pub frame: Frame,
    /// The username.
    pub sub: String,
    /// `{"roles":[...]}` as text. Told for the client's sake; what counts is stored.
    pub metadata: String,
    /// [`User::password_mark`].
    pub mark: String,
}

#[derive(Serialize)]
struct UserMetadata<'a> {
    roles: &'a [UserRole],
}

impl UserClaims {
    /// Those of a token for this user.
    #[must_use]
    pub fn of(user: &User, frame: Frame) -> Self {
        let metadata = text(&UserMetadata { roles: &user.roles });
        Self { frame, sub: user.username.clone(), metadata, mark: user.password_mark() }
    }
}

/// What LiveKit lets the bearer do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "LiveKit's own, each for itself")]
pub struct VideoGrant {
    /// The only room.
    pub room: RoomId,
    /// Whether the bearer may come in.
    pub room_join: bool,
    /// Publish camera, microphone and screen.
    pub can_publish: bool,
    /// See and hear others.
    pub can_subscribe: bool,
    /// Send messages.
    pub can_publish_data: bool,
    /// Write their own metadata.
    pub can_update_own_metadata: bool,
}

/// Whether a member's token lets its bearer into the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// It does.
    Granted,
    /// It is for requests only.
    NotGranted,
}

impl VideoGrant {
    /// The same for both roles.
    #[must_use]
    pub fn of(room: &RoomId, joining: Joining) -> Self {
        Self {
            room: room.clone(),
            room_join: joining == Joining::Granted,
            can_publish: true,
            can_subscribe: true,
            can_publish_data: true,
            can_update_own_metadata: true,
        }
    }
}

/// What a member's token says of its bearer, and of everybody's metadata in LiveKit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberMetadata {
    /// Where LiveKit is.
    pub livekit_url: String,
    /// What the bearer is in the room.
    pub role: Role,
    /// What the bearer may do.
    pub permissions: Permissions,
}

impl MemberMetadata {
    /// Reads the text of a token or of a participant; none if it is not what the contract wants.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let read: Self = serde_json::from_str(text).ok()?;
        let (scheme, rest) = read.livekit_url.split_once("://")?;
        let is_url = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty();
        is_url.then_some(read)
    }

    /// The role that the text of a participant's metadata names, if it does.
    #[must_use]
    pub fn role_in(found: &str) -> Option<Role> {
        let read: Value = serde_json::from_str(found).ok()?;
        Role::deserialize(read.get("role")?).ok()
    }

    /// The text of a participant's metadata with another role in it, and what else stands there; none if it cannot be
    /// read.
    #[must_use]
    pub fn with_role(found: &str, role: Role, permissions: Permissions) -> Option<String> {
        let mut read: serde_json::Map<String, Value> = serde_json::from_str(found).ok()?;
        read.insert("role".to_owned(), serde_json::to_value(role).ok()?);
        read.insert("permissions".to_owned(), serde_json::to_value(permissions).ok()?);
        serde_json::to_string(&read).ok()
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        text(self)
    }
}

/// Who joins a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Unique in the room.
    pub identity: String,
    /// For people; unique too when it was given out.
    pub name: String,
}

/// The claims of a member's token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberClaims {
    /// Issuer, time, use.
    #[serde(flatten)]
    pub frame: Frame,
    /// Their identity; only with joining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Their name; only with joining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For LiveKit.
    pub video: VideoGrant,
    /// [`MemberMetadata`] as text.
    pub metadata: String,
}

impl MemberClaims {
    /// Those of a token for a member of this room, who joins it if they are named.
    #[must_use]
    pub fn of(room: &RoomId, metadata: &MemberMetadata, attendee: Option<Attendee>, frame: Frame) -> Self {
        let joining = if attendee.is_some() { Joining::Granted } else { Joining::NotGranted };
        let (sub, name) = attendee.map(|attendee| (attendee.identity, attendee.name)).unzip();
        Self { frame, sub, name, video: VideoGrant::of(room, joining), metadata: metadata.to_text() }
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("claims are plain data")
}

fn frame_of(claims: &Value) -> Result<Frame, Denied> {
    serde_json::from_value(claims.clone()).map_err(|_| Denied::BadToken)
}

/// Whom a user's token stands for. Its signature and issuer have been checked.
///
/// # Errors
/// [`Denied::BadToken`].
pub fn read_user(claims: &Value, used_for: TokenUse, now: Timestamp) -> Result<UserToken, Denied> {
    frame_of(claims)?.check(used_for, now)?;
    let claims: UserClaims = serde_json::from_value(claims.clone()).map_err(|_| Denied::BadToken)?;
    Ok(UserToken { username: claims.sub, password_mark: claims.mark })
}

/// Whom a member's token stands for. Its signature and issuer have been checked.
///
/// # Errors
/// [`Denied::BadToken`] also without `video` or `metadata`; [`Denied::BadMetadata`] if that says nothing.
pub fn read_member(claims: &Value, now: Timestamp) -> Result<Member, Denied> {
    frame_of(claims)?.check(TokenUse::Member, now)?;
    let room = claims.pointer("/video/room").and_then(Value::as_str).filter(|room| !room.is_empty());
    let metadata = claims.get("metadata").and_then(Value::as_str);
    let (Some(room), Some(metadata)) = (room, metadata) else { return Err(Denied::BadToken) };
    let metadata = MemberMetadata::read(metadata).ok_or(Denied::BadMetadata)?;
    Ok(Member {
        room: RoomId::from_trusted(room),
        identity: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
        role: metadata.role,
        permissions: metadata.permissions,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::meeting::AllowAccessTo;

    const NOW: Timestamp = Timestamp(1_700_000_000_500);

    fn user() -> User {
        User::first_admin("admin", "$2b$10$x".to_owned())
    }

    fn metadata(role: Role) -> MemberMetadata {
        MemberMetadata {
            livekit_url: "ws://livekit:7880".to_owned(),
            role,
            permissions: Permissions::of(role, Some(AllowAccessTo::AdminModeratorSpeaker)),
        }
    }

    fn member_claims() -> Value {
        let attendee = Attendee { identity: "bob-1".to_owned(), name: "Bob".to_owned() };
        let frame = Frame::new("key", TokenUse::Member, NOW);
        let room = RoomId::from_trusted("room-1");
        json!(MemberClaims::of(&room, &metadata(Role::Speaker), Some(attendee), frame))
    }

    fn with(mut claims: Value, key: &str, value: Value) -> Value {
        claims[key] = value;
        claims
    }

    #[test]
    fn tokens_have_the_contracts_claims() {
        let claims = json!(UserClaims::of(&user(), Frame::new("key", TokenUse::Access, NOW)));
        let expected = json!({"iss": "key", "nbf": 0, "exp": 1_700_007_200, "use": "access", "sub": "admin",
            "metadata": r#"{"roles":["admin","user"]}"#, "mark": user().password_mark()});
        assert_eq!(claims, expected);

        let video = json!({"room": "room-1", "roomJoin": true, "canPublish": true, "canSubscribe": true,
            "canPublishData": true, "canUpdateOwnMetadata": true});
        let said = r#"{"livekitUrl":"ws://livekit:7880","role":"speaker","permissions":{"canRecord":false,"canRetrieveRecordings":true,"canDeleteRecordings":false,"canChat":true,"canChangeVirtualBackground":true}}"#;
        let expected = json!({"iss": "key", "nbf": 0, "exp": 1_700_007_200, "use": "member", "sub": "bob-1",
            "name": "Bob", "video": video, "metadata": said});
        assert_eq!(member_claims(), expected);

        let frame = Frame::new("key", TokenUse::Member, NOW);
        let room = RoomId::from_trusted("room-1");
        let without = json!(MemberClaims::of(&room, &metadata(Role::Moderator), None, frame));
        assert_eq!(without.get("sub").or(without.get("name")), None);
        assert_eq!(without["video"]["roomJoin"], false);
    }

    #[test]
    fn a_users_token_is_good_for_its_use_and_time_only() {
        let good = |used_for| json!(UserClaims::of(&user(), Frame::new("key", used_for, NOW)));
        let access = good(TokenUse::Access);
        let end = Timestamp(1_700_007_200_000);
        let table = [
            (access.clone(), TokenUse::Access, NOW, true),
            (access.clone(), TokenUse::Access, Timestamp(end.0 - 1), true),
            (access.clone(), TokenUse::Access, end, false),
            (access.clone(), TokenUse::Refresh, NOW, false),
            (good(TokenUse::Refresh), TokenUse::Refresh, end, true),
            (good(TokenUse::Refresh), TokenUse::Access, NOW, false),
            (with(access.clone(), "nbf", json!(1_700_000_001)), TokenUse::Access, NOW, false),
            (with(access.clone(), "exp", json!("soon")), TokenUse::Access, NOW, false),
            (with(access.clone(), "use", Value::Null), TokenUse::Access, NOW, false),
            (with(access, "use", json!("other")), TokenUse::Access, NOW, false),
            (json!({"iss": "key", "exp": 9_000_000_000_i64, "sub": "admin"}), TokenUse::Access, NOW, false),
            (
                json!({"iss": "key", "exp": 9_000_000_000_i64, "sub": "admin", "use": "access"}),
                TokenUse::Access,
                NOW,
                false,
            ),
            (member_claims(), TokenUse::Access, NOW, false),
            (json!([]), TokenUse::Access, NOW, false),
        ];
        for (claims, used_for, now, is_good) in table {
            assert_eq!(
                read_user(&claims, used_for, now).is_ok(),
                is_good,
                "{claims} as {used_for:?} at {now:?}"
            );
        }
    }

    #[test]
    fn a_members_token_says_room_role_and_permissions() {
        let member = read_member(&member_claims(), NOW).unwrap();
        assert_eq!(member.room.as_str(), "room-1");
        assert_eq!((member.role, member.permissions), (Role::Speaker, metadata(Role::Speaker).permissions));
        let four = json!({"livekitUrl": "ws://x", "role": "speaker", "permissions": {"canRecord": true,
            "canRetrieveRecordings": true, "canDeleteRecordings": true, "canChat": true}});
        let bad = [
            (with(member_claims(), "use", Value::Null), Denied::BadToken),
            (with(member_claims(), "use", json!("access")), Denied::BadToken),
            (with(member_claims(), "exp", json!(1_700_000_000)), Denied::BadToken),
            (with(member_claims(), "video", Value::Null), Denied::BadToken),
            (with(member_claims(), "video", json!({"room": ""})), Denied::BadToken),
            (with(member_claims(), "metadata", Value::Null), Denied::BadToken),
            (with(member_claims(), "metadata", json!("")), Denied::BadMetadata),
            (with(member_claims(), "metadata", json!("{}")), Denied::BadMetadata),
            (with(member_claims(), "metadata", json!(four.to_string())), Denied::BadMetadata),
        ];
        for (claims, expected) in bad {
            assert_eq!(read_member(&claims, NOW), Err(expected), "{claims}");
        }
        for url in ["", "livekit", "://x", "1://x", "ws://"] {
            let text = MemberMetadata { livekit_url: url.to_owned(), ..metadata(Role::Speaker) }.to_text();
            let claims = with(member_claims(), "metadata", json!(text));
            assert_eq!(read_member(&claims, NOW), Err(Denied::BadMetadata), "{url:?}");
        }
    }
}
