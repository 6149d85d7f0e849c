//! Layout and encoding of a recording, as clients name them (contract `recordings.md` 1, `rooms.md` 2).
//!
//! Owns the words and their defaults. How they are said to LiveKit is the adapter's business.

use serde::{Deserialize, Serialize};

/// How the participants are arranged in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// All alike; also what an unknown or empty name reads as.
    #[default]
    Grid,
    /// The one who speaks large, the others small.
    Speaker,
    /// Only the one who speaks.
    SingleSpeaker,
}

impl Layout {
    /// The names that a client may give.
    pub const NAMES: [&'static str; 3] = ["grid", "speaker", "single-speaker"];

    /// The name as clients and LiveKit know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Speaker => "speaker",
            Self::SingleSpeaker => "single-speaker",
        }
    }

    /// Reads a name; unknown and empty ones are the grid.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "speaker" => Self::Speaker,
            "single-speaker" => Self::SingleSpeaker,
            _ => Self::Grid,
        }
    }
}

/// A preset by name or all its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Encoding {
    /// One of LiveKit's presets.
    Preset(Preset),
    /// Everything given.
    Advanced(Box<AdvancedEncoding>),
}

impl Default for Encoding {
    fn default() -> Self {
        Self::Preset(Preset::default())
    }
}

/// LiveKit's encoding presets that the contract knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Preset {
    /// 1280x720 at 30 frames; the default.
    #[default]
    #[serde(rename = "H264_720P_30")]
    H264P720F30,
    /// 1280x720 at 60 frames.
    #[serde(rename = "H264_720P_60")]
    H264P720F60,
    /// 1920x1080 at 30 frames.
    #[serde(rename = "H264_1080P_30")]
    H264P1080F30,
    /// 1920x1080 at 60 frames.
    #[serde(rename = "H264_1080P_60")]
    H264P1080F60,
    /// 720x1280 at 30 frames.
    #[serde(rename = "PORTRAIT_H264_720P_30")]
    PortraitP720F30,
    /// 720x1280 at 60 frames.
    #[serde(rename = "PORTRAIT_H264_720P_60")]
    PortraitP720F60,
    /// 1080x1920 at 30 frames.
    #[serde(rename = "PORTRAIT_H264_1080P_30")]
    PortraitP1080F30,
    /// 1080x1920 at 60 frames.
    #[serde(rename = "PORTRAIT_H264_1080P_60")]
    PortraitP1080F60,
}

impl Preset {
    /// Every preset, in the order of LiveKit's enum.
    pub const ALL: [Self; 8] = [
        Self::H264P720F30,
        Self::H264P720F60,
        Self::H264P1080F30,
        Self::H264P1080F60,
        Self::PortraitP720F30,
        Self::PortraitP720F60,
        Self::PortraitP1080F30,
        Self::PortraitP1080F60,
    ];

    /// The name as clients and LiveKit know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264P720F30 => "H264_720P_30",
            Self::H264P720F60 => "H264_720P_60",
            Self::H264P1080F30 => "H264_1080P_30",
            Self::H264P1080F60 => "H264_1080P_60",
            Self::PortraitP720F30 => "PORTRAIT_H264_720P_30",
            Self::PortraitP720F60 => "PORTRAIT_H264_720P_60",
            Self::PortraitP1080F30 => "PORTRAIT_H264_1080P_30",
            Self::PortraitP1080F60 => "PORTRAIT_H264_1080P_60",
        }
    }
}

/// An encoding spelled out. Unknown keys are kept, as the contract wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdvancedEncoding {
    /// The picture.
    pub video: VideoEncoding,
    /// The sound.
    pub audio: AudioEncoding,
    /// What else the client sent.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The picture of an advanced encoding. Numbers are above 0 and may have decimals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoEncoding {
    /// Pixels.
    #[serde(with = "crate::number")]
    pub width: f64,
    /// Pixels.
    #[serde(with = "crate::number")]
    pub height: f64,
    /// Frames a second.
    #[serde(with = "crate::number")]
    pub framerate: f64,
    /// One of [`VideoCodec`]'s names.
    pub codec: VideoCodec,
    /// Kilobits a second.
    #[serde(with = "crate::number")]
    pub bitrate: f64,
    /// Seconds between key frames.
    #[serde(with = "crate::number")]
    pub key_frame_interval: f64,
    /// Bits a pixel.
    #[serde(with = "crate::number")]
    pub depth: f64,
    /// What else the client sent.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The sound of an advanced encoding. Numbers are above 0 and may have decimals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioEncoding {
    /// One of [`AudioCodec`]'s names.
    pub codec: AudioCodec,
    /// Kilobits a second.
    #[serde(with = "crate::number")]
    pub bitrate: f64,
    /// Hertz.
    #[serde(with = "crate::number")]
    pub frequency: f64,
    /// What else the client sent.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Video codecs that a client may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(non_camel_case_types, reason = "the variants are LiveKit's own names")]
pub enum VideoCodec {
    /// Said to LiveKit as `H264_MAIN`.
    DEFAULT_VC,
    /// H.264, baseline profile.
    H264_BASELINE,
    /// H.264, main profile.
    H264_MAIN,
    /// H.264, high profile.
    H264_HIGH,
    /// VP8.
    VP8,
}

/// Audio codecs that a client may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(non_camel_case_types, reason = "the variants are LiveKit's own names")]
pub enum AudioCodec {
    /// Said to LiveKit as `OPUS`.
    DEFAULT_AC,
    /// Opus.
    OPUS,
    /// AAC.
    AAC,
    /// Said to LiveKit as `OPUS`.
    AC_MP3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_read_and_write_as_their_names() {
        for preset in Preset::ALL {
            let json = serde_json::to_string(&Encoding::Preset(preset)).unwrap();
            assert_eq!(json, format!("\"{}\"", preset.name()));
            assert_eq!(serde_json::from_str::<Encoding>(&json).unwrap(), Encoding::Preset(preset));
        }
    }

    #[test]
    fn an_advanced_encoding_keeps_unknown_keys_and_whole_numbers() {
        let text = r#"{"video":{"width":1280,"height":720,"framerate":29.97,"codec":"H264_MAIN","bitrate":3000,"keyFrameInterval":4,"depth":24},"audio":{"codec":"OPUS","bitrate":128,"frequency":44100},"note":1}"#;
        let encoding: Encoding = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&encoding).unwrap(), text);
    }
}
