//! Rooms, participants and agents: what LiveKit's APIs call them and what they are to us.

use std::time::Duration;

use livekit_protocol as proto;
use proto::participant_info::Kind;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::joining::RoomOrder;
use reelkeeper_actors::ports::media_server::{Dispatch, Participant, ParticipantKind};

/// The participant in our words.
#[must_use]
pub fn participant(info: proto::ParticipantInfo) -> Participant {
    Participant { kind: kind(&info), identity: info.identity, sid: info.sid, metadata: info.metadata }
}

/// The request for a room. Timeouts are whole seconds there.
#[must_use]
pub fn request(order: &RoomOrder) -> proto::CreateRoomRequest {
    let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
    proto::CreateRoomRequest {
        name: order.room.as_str().to_owned(),
        empty_timeout: seconds(order.empty_timeout),
        departure_timeout: seconds(order.departure_timeout),
        metadata: order.metadata.clone(),
        ..Default::default()
    }
}

/// The request about somebody in a room.
#[must_use]
pub fn somebody(room: &RoomId, identity: &str) -> proto::RoomParticipantIdentity {
    proto::RoomParticipantIdentity {
        room: room.as_str().to_owned(),
        identity: identity.to_owned(),
        ..Default::default()
    }
}

/// The agent that was sent, in our words.
#[must_use]
pub fn dispatch(sent: proto::AgentDispatch) -> Dispatch {
    let created_at = sent.state.map_or(0, |state| state.created_at);
    Dispatch { created_at, id: sent.id, agent: sent.agent_name }
}

/// What a participant is. An egress says so by its kind, an older one by its permissions.
#[must_use]
pub fn kind(info: &proto::ParticipantInfo) -> ParticipantKind {
    #[allow(deprecated, reason = "the only sign that an older egress gives")]
    let recorder =
        info.permission.as_ref().is_some_and(|permission| permission.hidden && permission.recorder);
    match Kind::try_from(info.kind) {
        Ok(Kind::Egress) => ParticipantKind::Recorder,
        _ if recorder => ParticipantKind::Recorder,
        Ok(Kind::Standard) => ParticipantKind::Standard,
        _ => ParticipantKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(deprecated, reason = "the only sign that an older egress gives")]
    fn info(kind: i32, hidden: bool, recorder: bool) -> proto::ParticipantInfo {
        let permission = proto::ParticipantPermission { hidden, recorder, ..Default::default() };
        proto::ParticipantInfo {
            identity: "somebody".to_owned(),
            metadata: "{}".to_owned(),
            kind,
            permission: Some(permission),
            ..Default::default()
        }
    }

    #[test]
    fn kinds_are_read_from_kind_and_permissions() {
        let table = [
            (info(0, false, false), ParticipantKind::Standard),
            (info(0, true, false), ParticipantKind::Standard),
            (info(0, false, true), ParticipantKind::Standard),
            (info(0, true, true), ParticipantKind::Recorder),
            (info(2, false, false), ParticipantKind::Recorder),
            (info(1, false, false), ParticipantKind::Other),
            (info(4, false, false), ParticipantKind::Other),
            (info(77, false, false), ParticipantKind::Other),
        ];
        for (info, expected) in table {
            let (shown, found) = (format!("{info:?}"), participant(info));
            assert_eq!(found.kind, expected, "{shown}");
            assert_eq!((found.identity.as_str(), found.metadata.as_str()), ("somebody", "{}"));
        }
    }
}
