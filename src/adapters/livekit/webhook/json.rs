//! Protobuf's JSON, read leniently: what cannot be read is as if it were not there.
//!
//! A generated reader refuses a whole event for one enum name that it does not know. This one takes keys
//! in camelCase and snake_case, enums as names or numbers, whole numbers as numbers or texts, and reads
//! only the fields that [`super::super::egress`] and [`super::super::rooms`] use. An enum value that is
//! not known becomes [`UNKNOWN`], never the first value of the enum.

use livekit_protocol as proto;
use proto::room_composite_egress_request::{Options, Output};
use proto::{egress_info as info, participant_info as participant};
use serde_json::Value;

/// Stands for an enum value that is not known; no enum of LiveKit has it.
pub(super) const UNKNOWN: i32 = -1;

static NULL: Value = Value::Null;

/// The fields of an object; anything else has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// The value under a camelCase name or its snake_case twin, null if there is none.
    fn value(self, name: &str) -> &'a Value {
        self.0.get(name).or_else(|| self.0.get(snake(name))).unwrap_or(&NULL)
    }

    pub(super) fn object(self, name: &str) -> Self {
        Self(self.value(name))
    }

    fn is_there(self) -> bool {
        self.0.is_object()
    }

    fn list(self, name: &str) -> impl Iterator<Item = Self> {
        self.value(name).as_array().into_iter().flatten().map(Self)
    }

    pub(super) fn text(self, name: &str) -> String {
        self.value(name).as_str().unwrap_or_default().to_owned()
    }

    fn flag(self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or_default()
    }

    #[allow(clippy::cast_possible_truncation, reason = "cutting off is the point; `as` saturates")]
    fn whole(self, name: &str) -> i64 {
        let value = self.value(name);
        let exact = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        exact.unwrap_or_else(|| self.decimal(name) as i64)
    }

    fn small(self, name: &str) -> i32 {
        let bounded = self.whole(name).clamp(i32::MIN.into(), i32::MAX.into());
        i32::try_from(bounded).unwrap_or_default()
    }

    fn decimal(self, name: &str) -> f64 {
        let value = self.value(name);
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|number| number.is_finite()).unwrap_or_default()
    }

    fn choice(self, name: &str, from_name: impl Fn(&str) -> Option<i32>) -> i32 {
        let number = match self.value(name) {
            Value::Null => Some(0),
            Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
            Value::String(text) => from_name(text).or_else(|| text.parse().ok()),
            _ => None,
        };
        number.unwrap_or(UNKNOWN)
    }
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

pub(super) fn egress_info(fields: Fields<'_>) -> proto::EgressInfo {
    let composite = fields.object("roomComposite");
    let file = fields.object("file");
    #[allow(deprecated, reason = "older servers give only this one")]
    let result = file.is_there().then(|| info::Result::File(file_info(file)));
    proto::EgressInfo {
        egress_id: fields.text("egressId"),
        room_id: fields.text("roomId"),
        room_name: fields.text("roomName"),
        status: fields.choice("status", |name| proto::EgressStatus::from_str_name(name).map(Into::into)),
        started_at: fields.whole("startedAt"),
        ended_at: fields.whole("endedAt"),
        updated_at: fields.whole("updatedAt"),
        file_results: fields.list("fileResults").map(|file| file_info(file)).collect(),
        error: fields.text("error"),
        error_code: fields.small("errorCode"),
        details: fields.text("details"),
        request: composite.is_there().then(|| info::Request::RoomComposite(room_composite(composite))),
        result,
        ..Default::default()
    }
}

fn file_info(fields: Fields<'_>) -> proto::FileInfo {
    proto::FileInfo {
        filename: fields.text("filename"),
        duration: fields.whole("duration"),
        size: fields.whole("size"),
        ..Default::default()
    }
}

fn room_composite(fields: Fields<'_>) -> proto::RoomCompositeEgressRequest {
    let file = fields.object("file");
    #[allow(deprecated, reason = "older servers give only this one")]
    let output = file.is_there().then(|| Output::File(file_output(file)));
    let advanced = fields.object("advanced");
    let preset =
        fields.choice("preset", |name| proto::EncodingOptionsPreset::from_str_name(name).map(Into::into));
    let options = match (advanced.is_there(), preset) {
        (true, _) => Some(Options::Advanced(encoding_options(advanced))),
        (false, 0) => None,
        (false, preset) => Some(Options::Preset(preset)),
    };
    proto::RoomCompositeEgressRequest {
        room_name: fields.text("roomName"),
        layout: fields.text("layout"),
        file_outputs: fields.list("fileOutputs").map(|file| file_output(file)).collect(),
        output,
        options,
        ..Default::default()
    }
}

fn file_output(fields: Fields<'_>) -> proto::EncodedFileOutput {
    proto::EncodedFileOutput { filepath: fields.text("filepath"), ..Default::default() }
}

fn encoding_options(fields: Fields<'_>) -> proto::EncodingOptions {
    proto::EncodingOptions {
        width: fields.small("width"),
        height: fields.small("height"),
        depth: fields.small("depth"),
        framerate: fields.small("framerate"),
        audio_codec: fields
            .choice("audioCodec", |name| proto::AudioCodec::from_str_name(name).map(Into::into)),
        audio_bitrate: fields.small("audioBitrate"),
        audio_frequency: fields.small("audioFrequency"),
        video_codec: fields
            .choice("videoCodec", |name| proto::VideoCodec::from_str_name(name).map(Into::into)),
        video_bitrate: fields.small("videoBitrate"),
        key_frame_interval: fields.decimal("keyFrameInterval"),
        ..Default::default()
    }
}

pub(super) fn participant_info(fields: Fields<'_>) -> proto::ParticipantInfo {
    let permission = fields.object("permission");
    #[allow(deprecated, reason = "the only sign that an older egress gives")]
    let permission = proto::ParticipantPermission {
        hidden: permission.flag("hidden"),
        recorder: permission.flag("recorder"),
        ..Default::default()
    };
    proto::ParticipantInfo {
        sid: fields.text("sid"),
        identity: fields.text("identity"),
        name: fields.text("name"),
        kind: fields.choice("kind", |name| participant::Kind::from_str_name(name).map(Into::into)),
        permission: Some(permission),
        disconnect_reason: fields
            .choice("disconnectReason", |name| proto::DisconnectReason::from_str_name(name).map(Into::into)),
        ..Default::default()
    }
}
