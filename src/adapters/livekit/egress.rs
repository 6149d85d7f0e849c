//! Egresses: the request that we send and every view of an egress that LiveKit gives.
//!
//! Owns how layout, encoding and file are said in protobuf and read back (contract `recordings.md` 1).
//! Never judges whether an egress is ours: that is in the path, and the core's to read.

use livekit_protocol as proto;
use proto::room_composite_egress_request::{Options, Output};
use proto::{EncodingOptionsPreset as ProtoPreset, egress_info};
use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressOrder, EgressStatus};
use reelkeeper_actors::recording::encoding::{
    AdvancedEncoding, AudioCodec, AudioEncoding, Encoding, Layout, Preset, VideoCodec, VideoEncoding,
};

/// Why a view of an egress cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It has no id.
    #[error("an egress without id")]
    NoId,
    /// Its status is newer than this program, and says nothing to it.
    #[error("egress {egress} has the unknown status {status}")]
    UnknownStatus {
        /// The egress.
        egress: String,
        /// LiveKit's number for it, -1 for an unknown name.
        status: i32,
    },
}

/// The request for an order. The file is given twice, as older and newer servers look for it.
#[must_use]
pub fn request(order: &EgressOrder) -> proto::RoomCompositeEgressRequest {
    let file = proto::EncodedFileOutput {
        file_type: proto::EncodedFileType::DefaultFiletype.into(),
        filepath: order.filepath.clone(),
        disable_manifest: true,
        output: None,
    };
    #[allow(deprecated, reason = "servers before `file_outputs` read only this one")]
    let output = Output::File(file.clone());
    proto::RoomCompositeEgressRequest {
        room_name: order.room.as_str().to_owned(),
        layout: order.layout.name().to_owned(),
        file_outputs: vec![file],
        output: Some(output),
        options: options(&order.encoding),
        ..Default::default()
    }
}

/// Reads the one egress that an answer is about.
///
/// # Errors
/// [`CallError::NoAnswer`] if it cannot be read: then the answer says nothing about the egress.
pub fn answered(info: proto::EgressInfo) -> Result<EgressInfo, CallError> {
    read(info).map_err(|problem| CallError::NoAnswer(problem.to_string()))
}

/// Reads a list.
///
/// Whoever looks into a list may conclude that what it lacks is gone. So an item that may be ours and
/// cannot be read makes the whole list no answer. One that cannot be ours, having no file of a room
/// composite, is left out: nobody looks for it.
///
/// # Errors
/// [`CallError::NoAnswer`] in that case.
pub fn listed(items: Vec<proto::EgressInfo>) -> Result<Vec<EgressInfo>, CallError> {
    let mut readable = Vec::with_capacity(items.len());
    for item in items {
        let maybe_ours = filepath(&item).is_some();
        match read(item) {
            Ok(info) => readable.push(info),
            Err(problem) if maybe_ours => return Err(CallError::NoAnswer(problem.to_string())),
            Err(problem) => tracing::debug!(%problem, "left out of the list of egresses"),
        }
    }
    Ok(readable)
}

/// The egress in our words.
///
/// # Errors
/// When it has no id, or a status that is not known here.
pub fn read(info: proto::EgressInfo) -> Result<EgressInfo, Unreadable> {
    if info.egress_id.is_empty() {
        return Err(Unreadable::NoId);
    }
    let Some(status) = status(info.status) else {
        return Err(Unreadable::UnknownStatus { egress: info.egress_id, status: info.status });
    };
    let (layout, encoding) = composite(&info)
        .map(|request| (Layout::from_name(&request.layout), encoding(request.options.as_ref())))
        .unwrap_or_default();
    let filepath = filepath(&info).map(str::to_owned);
    let file = file_result(&info).cloned().unwrap_or_default();
    Ok(EgressInfo {
        egress: EgressId::from_trusted(info.egress_id),
        room: RoomId::from_trusted(info.room_name),
        status,
        filepath,
        layout,
        encoding,
        filename: file.filename,
        started_at: info.started_at,
        ended_at: info.ended_at,
        updated_at: info.updated_at,
        duration: file.duration,
        size: file.size,
        error: info.error,
        error_code: info.error_code,
        details: info.details,
    })
}

fn status(number: i32) -> Option<EgressStatus> {
    use proto::EgressStatus as Proto;
    Some(match Proto::try_from(number).ok()? {
        Proto::EgressStarting => EgressStatus::Starting,
        Proto::EgressActive => EgressStatus::Active,
        Proto::EgressEnding => EgressStatus::Ending,
        Proto::EgressComplete => EgressStatus::Complete,
        Proto::EgressFailed => EgressStatus::Failed,
        Proto::EgressAborted => EgressStatus::Aborted,
        Proto::EgressLimitReached => EgressStatus::LimitReached,
    })
}

fn composite(info: &proto::EgressInfo) -> Option<&proto::RoomCompositeEgressRequest> {
    match &info.request {
        Some(egress_info::Request::RoomComposite(request)) => Some(request),
        _ => None,
    }
}

/// Where a room composite with one file writes to; the legacy field counts if the newer one is unused.
fn filepath(info: &proto::EgressInfo) -> Option<&str> {
    let request = composite(info)?;
    #[allow(deprecated, reason = "older servers know only this one")]
    match (request.file_outputs.as_slice(), &request.output) {
        ([file], _) | ([], Some(Output::File(file))) => Some(&file.filepath),
        _ => None,
    }
}

fn file_result(info: &proto::EgressInfo) -> Option<&proto::FileInfo> {
    #[allow(deprecated, reason = "older servers know only this one")]
    let legacy = match &info.result {
        Some(egress_info::Result::File(file)) => Some(file),
        _ => None,
    };
    info.file_results.first().or(legacy)
}

/// The default preset is number 0 in LiveKit's enum and is said by saying nothing (contract `recordings.md` 1).
fn options(encoding: &Encoding) -> Option<Options> {
    match encoding {
        Encoding::Preset(Preset::H264P720F30) => None,
        Encoding::Preset(preset) => Some(Options::Preset(proto_preset(*preset).into())),
        Encoding::Advanced(advanced) => Some(Options::Advanced(proto_advanced(advanced))),
    }
}

fn proto_preset(preset: Preset) -> ProtoPreset {
    match preset {
        Preset::H264P720F30 => ProtoPreset::H264720p30,
        Preset::H264P720F60 => ProtoPreset::H264720p60,
        Preset::H264P1080F30 => ProtoPreset::H2641080p30,
        Preset::H264P1080F60 => ProtoPreset::H2641080p60,
        Preset::PortraitP720F30 => ProtoPreset::PortraitH264720p30,
        Preset::PortraitP720F60 => ProtoPreset::PortraitH264720p60,
        Preset::PortraitP1080F30 => ProtoPreset::PortraitH2641080p30,
        Preset::PortraitP1080F60 => ProtoPreset::PortraitH2641080p60,
    }
}

/// Protobuf has whole numbers where clients may send decimals; those are cut off.
#[allow(clippy::cast_possible_truncation, reason = "cutting off is the point; `as` saturates")]
fn proto_advanced(encoding: &AdvancedEncoding) -> proto::EncodingOptions {
    let (video, audio) = (&encoding.video, &encoding.audio);
    proto::EncodingOptions {
        width: video.width as i32,
        height: video.height as i32,
        depth: video.depth as i32,
        framerate: video.framerate as i32,
        video_codec: match video.codec {
            VideoCodec::DEFAULT_VC | VideoCodec::H264_MAIN => proto::VideoCodec::H264Main,
            VideoCodec::H264_BASELINE => proto::VideoCodec::H264Baseline,
            VideoCodec::H264_HIGH => proto::VideoCodec::H264High,
            VideoCodec::VP8 => proto::VideoCodec::Vp8,
        }
        .into(),
        video_bitrate: video.bitrate as i32,
        key_frame_interval: video.key_frame_interval,
        audio_codec: match audio.codec {
            AudioCodec::DEFAULT_AC | AudioCodec::OPUS | AudioCodec::AC_MP3 => proto::AudioCodec::Opus,
            AudioCodec::AAC => proto::AudioCodec::Aac,
        }
        .into(),
        audio_bitrate: audio.bitrate as i32,
        audio_frequency: audio.frequency as i32,
        ..Default::default()
    }
}

/// Nothing, and a preset that the contract does not know, read as the default preset.
fn encoding(options: Option<&Options>) -> Encoding {
    match options {
        Some(Options::Advanced(advanced)) => Encoding::Advanced(Box::new(read_advanced(advanced))),
        Some(Options::Preset(number)) => {
            let preset = Preset::ALL.into_iter().find(|preset| i32::from(proto_preset(*preset)) == *number);
            Encoding::Preset(preset.unwrap_or_default())
        }
        None => Encoding::default(),
    }
}

/// A field that is 0 was not said; the contract names what is then read, 128 kbit/s of video included.
fn read_advanced(options: &proto::EncodingOptions) -> AdvancedEncoding {
    let or = |value: i32, default: i32| f64::from(if value == 0 { default } else { value });
    AdvancedEncoding {
        video: VideoEncoding {
            width: or(options.width, 1920),
            height: or(options.height, 1080),
            framerate: or(options.framerate, 30),
            codec: match proto::VideoCodec::try_from(options.video_codec) {
                Ok(proto::VideoCodec::H264Baseline) => VideoCodec::H264_BASELINE,
                Ok(proto::VideoCodec::H264High) => VideoCodec::H264_HIGH,
                Ok(proto::VideoCodec::Vp8) => VideoCodec::VP8,
                Ok(proto::VideoCodec::DefaultVc | proto::VideoCodec::H264Main) | Err(_) => {
                    VideoCodec::H264_MAIN
                }
            },
            bitrate: or(options.video_bitrate, 128),
            key_frame_interval: if options.key_frame_interval == 0.0 {
                4.0
            } else {
                options.key_frame_interval
            },
            depth: or(options.depth, 24),
            extra: serde_json::Map::new(),
        },
        audio: AudioEncoding {
            codec: match proto::AudioCodec::try_from(options.audio_codec) {
                Ok(proto::AudioCodec::Aac) => AudioCodec::AAC,
                Ok(proto::AudioCodec::AcMp3) => AudioCodec::AC_MP3,
                Ok(proto::AudioCodec::DefaultAc | proto::AudioCodec::Opus) | Err(_) => AudioCodec::OPUS,
            },
            bitrate: or(options.audio_bitrate, 128),
            frequency: or(options.audio_frequency, 44_100),
            extra: serde_json::Map::new(),
        },
        extra: serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests;
