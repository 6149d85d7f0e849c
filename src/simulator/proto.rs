//! The model's views as LiveKit's protobuf, and its requests read from it.
//!
//! Owns the translation, nothing else. Fields that LiveKit fills and no client of ours reads (codecs,
//! versions, media descriptions) are left out.

use bytes::Bytes;
use livekit_protocol as lk;
use prost::Message;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::media_server::{Dispatch, ParticipantKind};
use reelkeeper_actors::recording::egress::EgressStatus;
use reelkeeper_actors::recording::encoding::{Encoding, Layout, Preset};
use reelkeeper_actors::simulator::calls::{DataMessage, Refusal};
use reelkeeper_actors::simulator::rooms::NewRoom;
use reelkeeper_actors::simulator::views::{
    DisconnectReason, EgressView, FileView, ParticipantView, RoomView, StartOrder, TrackKind, TrackView,
};
use reelkeeper_actors::simulator::webhooks::{Subject, Webhook};

const MS_PER_S: i64 = 1_000;
/// How much of a message is remembered, in bytes.
const PAYLOAD_SHOWN: usize = 4_096;

pub(super) fn egress(view: &EgressView) -> lk::EgressInfo {
    let file = view.file.as_ref().map(file);
    lk::EgressInfo {
        egress_id: view.egress.to_string(),
        room_id: view.room_sid.clone(),
        room_name: view.room().to_string(),
        status: status(view.status).into(),
        started_at: view.started_at,
        ended_at: view.ended_at,
        updated_at: view.updated_at,
        file_results: file.iter().cloned().collect(),
        error: view.error.clone(),
        error_code: view.error_code,
        details: view.details.clone(),
        request: Some(lk::egress_info::Request::RoomComposite(request(&view.order))),
        #[allow(deprecated, reason = "a real server still fills it, and old clients still read it")]
        result: file.map(lk::egress_info::Result::File),
        ..lk::EgressInfo::default()
    }
}

/// The request as it came, or one that says the same if it did not come through this face.
fn request(order: &StartOrder) -> lk::RoomCompositeEgressRequest {
    if let Ok(request) = lk::RoomCompositeEgressRequest::decode(order.echo.clone())
        && !order.echo.is_empty()
    {
        return request;
    }
    let output =
        |path: &String| lk::EncodedFileOutput { filepath: path.clone(), ..lk::EncodedFileOutput::default() };
    lk::RoomCompositeEgressRequest {
        room_name: order.room.to_string(),
        layout: order.layout.name().to_owned(),
        file_outputs: order.filepath.iter().map(output).collect(),
        ..lk::RoomCompositeEgressRequest::default()
    }
}

fn file(view: &FileView) -> lk::FileInfo {
    lk::FileInfo {
        filename: view.filename.clone(),
        started_at: view.started_at,
        ended_at: view.ended_at,
        duration: view.duration,
        size: view.size,
        location: view.location.clone(),
    }
}

fn status(status: EgressStatus) -> lk::EgressStatus {
    match status {
        EgressStatus::Starting => lk::EgressStatus::EgressStarting,
        EgressStatus::Active => lk::EgressStatus::EgressActive,
        EgressStatus::Ending => lk::EgressStatus::EgressEnding,
        EgressStatus::Complete => lk::EgressStatus::EgressComplete,
        EgressStatus::Failed => lk::EgressStatus::EgressFailed,
        EgressStatus::Aborted => lk::EgressStatus::EgressAborted,
        EgressStatus::LimitReached => lk::EgressStatus::EgressLimitReached,
    }
}

pub(super) fn room(view: &RoomView) -> lk::Room {
    lk::Room {
        sid: view.sid.clone(),
        name: view.name.to_string(),
        empty_timeout: view.empty_timeout,
        departure_timeout: view.departure_timeout,
        creation_time: view.created_at / MS_PER_S,
        creation_time_ms: view.created_at,
        metadata: view.metadata.clone(),
        num_participants: view.participants,
        num_publishers: view.publishers,
        active_recording: view.recording,
        ..lk::Room::default()
    }
}

pub(super) fn dispatch(sent: &Dispatch) -> lk::AgentDispatch {
    let state = lk::AgentDispatchState { created_at: sent.created_at, ..Default::default() };
    lk::AgentDispatch {
        id: sent.id.clone(),
        agent_name: sent.agent.clone(),
        state: Some(state),
        ..Default::default()
    }
}

pub(super) fn participant(view: &ParticipantView) -> lk::ParticipantInfo {
    use lk::participant_info::{Kind, State};
    let recorder = view.kind == ParticipantKind::Recorder;
    let state = if view.left.is_some() { State::Disconnected } else { State::Active };
    let kind = match view.kind {
        ParticipantKind::Standard => Kind::Standard,
        ParticipantKind::Recorder => Kind::Egress,
        ParticipantKind::Other => Kind::Agent,
    };
    #[allow(deprecated, reason = "a real server still fills it, and old clients still read it")]
    let permission = lk::ParticipantPermission {
        can_subscribe: true,
        can_publish: !recorder,
        can_publish_data: !recorder,
        hidden: view.hidden,
        recorder,
        ..lk::ParticipantPermission::default()
    };
    lk::ParticipantInfo {
        sid: view.sid.clone(),
        identity: view.identity.clone(),
        name: view.name.clone(),
        metadata: view.metadata.clone(),
        state: state.into(),
        tracks: if view.left.is_some() { Vec::new() } else { view.tracks.iter().map(track).collect() },
        joined_at: view.joined_at / MS_PER_S,
        joined_at_ms: view.joined_at,
        permission: Some(permission),
        is_publisher: !view.tracks.is_empty(),
        kind: kind.into(),
        disconnect_reason: view.left.map_or(lk::DisconnectReason::UnknownReason, disconnect_reason).into(),
        ..lk::ParticipantInfo::default()
    }
}

fn disconnect_reason(reason: DisconnectReason) -> lk::DisconnectReason {
    match reason {
        DisconnectReason::UnknownReason => lk::DisconnectReason::UnknownReason,
        DisconnectReason::DuplicateIdentity => lk::DisconnectReason::DuplicateIdentity,
        DisconnectReason::ClientInitiated => lk::DisconnectReason::ClientInitiated,
        DisconnectReason::SignalClose => lk::DisconnectReason::SignalClose,
        DisconnectReason::ParticipantRemoved => lk::DisconnectReason::ParticipantRemoved,
        DisconnectReason::RoomDeleted => lk::DisconnectReason::RoomDeleted,
        DisconnectReason::RoomClosed => lk::DisconnectReason::RoomClosed,
        DisconnectReason::ConnectionTimeout => lk::DisconnectReason::ConnectionTimeout,
    }
}

fn track(view: &TrackView) -> lk::TrackInfo {
    let (kind, source, name, mime_type) = match view.kind {
        TrackKind::Video => (lk::TrackType::Video, lk::TrackSource::Camera, "camera", "video/VP8"),
        TrackKind::Audio => (lk::TrackType::Audio, lk::TrackSource::Microphone, "microphone", "audio/red"),
    };
    lk::TrackInfo {
        sid: view.sid.clone(),
        r#type: kind.into(),
        source: source.into(),
        name: name.to_owned(),
        mime_type: mime_type.to_owned(),
        ..lk::TrackInfo::default()
    }
}

pub(super) fn webhook(webhook: &Webhook) -> lk::WebhookEvent {
    let event = lk::WebhookEvent {
        event: webhook.event.name().to_owned(),
        id: webhook.id.clone(),
        created_at: webhook.created_at,
        ..lk::WebhookEvent::default()
    };
    match &webhook.subject {
        Subject::Room(of) => lk::WebhookEvent { room: Some(room(of)), ..event },
        Subject::Participant(of, who) => {
            lk::WebhookEvent { room: Some(room(of)), participant: Some(participant(who)), ..event }
        }
        Subject::Track(of, who, what) => lk::WebhookEvent {
            room: Some(lk::Room { sid: of.sid.clone(), name: of.name.to_string(), ..lk::Room::default() }),
            participant: Some(lk::ParticipantInfo {
                sid: who.sid.clone(),
                identity: who.identity.clone(),
                ..lk::ParticipantInfo::default()
            }),
            track: Some(track(what)),
            ..event
        },
        Subject::Egress(of) => lk::WebhookEvent { egress_info: Some(egress(of)), ..event },
    }
}

/// Reads what is to be recorded. Credentials in it are dropped: nothing here needs them.
pub(super) fn start_order(mut request: lk::RoomCompositeEgressRequest) -> Result<StartOrder, Refusal> {
    use lk::room_composite_egress_request::{Options, Output};
    for output in &mut request.file_outputs {
        output.output = None;
    }
    #[allow(deprecated, reason = "old clients still send it")]
    let legacy = match &mut request.output {
        Some(Output::File(output)) => {
            output.output = None;
            Some(output.filepath.clone())
        }
        _ => None,
    };
    let writes_none = request.file_outputs.is_empty() && legacy.is_none();
    if writes_none
        && request.stream_outputs.is_empty()
        && request.segment_outputs.is_empty()
        && request.output.is_none()
    {
        return Err(Refusal::behind("invalid_argument", "request has missing or invalid field: output"));
    }
    let filepath = request.file_outputs.first().map(|output| output.filepath.clone()).or(legacy);
    let encoding = match request.options {
        Some(Options::Preset(number)) => preset(number),
        // The model does not look at it; it is shown again from the request.
        Some(Options::Advanced(_)) | None => Encoding::default(),
    };
    Ok(StartOrder {
        room: RoomId::from_trusted(&request.room_name),
        layout: Layout::from_name(&request.layout),
        encoding,
        filepath,
        echo: Bytes::from(request.encode_to_vec()),
    })
}

fn preset(number: i32) -> Encoding {
    let known = usize::try_from(number).ok().and_then(|number| Preset::ALL.get(number).copied());
    known.map_or_else(Encoding::default, Encoding::Preset)
}

pub(super) fn new_room(request: lk::CreateRoomRequest) -> NewRoom {
    NewRoom {
        name: RoomId::from_trusted(request.name),
        metadata: request.metadata,
        empty_timeout: request.empty_timeout,
        departure_timeout: request.departure_timeout,
    }
}

pub(super) fn data_message(request: lk::SendDataRequest) -> DataMessage {
    #[allow(deprecated, reason = "old clients still send it")]
    let sids = request.destination_sids;
    let shown = &request.data[..request.data.len().min(PAYLOAD_SHOWN)];
    DataMessage {
        room: RoomId::from_trusted(request.room),
        topic: request.topic.unwrap_or_default(),
        payload: String::from_utf8_lossy(shown).into_owned(),
        to: sids.into_iter().chain(request.destination_identities).collect(),
    }
}
