//! Layout and encoding, which a room's configuration and a start share (contract `rooms.md` 2).

use reelkeeper_actors::recording::encoding::{Encoding, Layout, Preset};
use serde::Deserialize;
use serde_json::Value;

use super::{Faults, Field, Object};

const VIDEO_CODECS: [&str; 5] = ["DEFAULT_VC", "H264_BASELINE", "H264_MAIN", "H264_HIGH", "VP8"];
const AUDIO_CODECS: [&str; 4] = ["DEFAULT_AC", "OPUS", "AAC", "AC_MP3"];
const VIDEO_NUMBERS: [&str; 6] = ["width", "height", "framerate", "bitrate", "keyFrameInterval", "depth"];
const AUDIO_NUMBERS: [&str; 2] = ["bitrate", "frequency"];

/// Reads a layout by its name.
pub fn layout(field: &Field<'_>, faults: &mut Faults) -> Option<Layout> {
    field.one_of(&Layout::NAMES, faults).map(Layout::from_name)
}

/// Reads a preset's name, or an object with everything in it. Its extra keys are kept.
pub fn encoding(field: &Field<'_>, faults: &mut Faults) -> Option<Encoding> {
    let value = field.value()?;
    if value.is_object() {
        advanced(&field.object(faults)?, field.path(), faults)?;
    } else if value.is_string() {
        field.one_of(&Preset::ALL.map(Preset::name), faults)?;
    } else {
        faults.add(field.path(), "Expected a preset or an object with video and audio");
        return None;
    }
    let read = Encoding::deserialize(value);
    if read.is_err() {
        faults.add(field.path(), "Invalid encoding");
    }
    read.ok()
}

/// None if a rule is broken.
fn advanced(object: &Object<'_>, path: &str, faults: &mut Faults) -> Option<()> {
    let absent = |key: &&str| object.required(key).value().is_none_or(Value::is_null);
    if ["video", "audio"].iter().any(absent) {
        faults.add(path, "Both video and audio configuration are required");
        return None;
    }
    let video = section(&object.required("video"), &VIDEO_NUMBERS, &VIDEO_CODECS, faults);
    let audio = section(&object.required("audio"), &AUDIO_NUMBERS, &AUDIO_CODECS, faults);
    video.and(audio)
}

fn section(field: &Field<'_>, numbers: &[&str], codecs: &[&str], faults: &mut Faults) -> Option<()> {
    let object = field.object(faults)?;
    let keys = numbers.iter().copied().chain(["codec"]);
    let missing: Vec<_> = keys.filter(|key| object.required(key).value().is_none()).collect();
    if !missing.is_empty() {
        faults.add(field.path(), format!("Missing required fields: {}", missing.join(", ")));
    }
    let mut all = Some(());
    for key in numbers {
        all = object.required(key).positive(faults).and(all);
    }
    object.required("codec").one_of(codecs, faults).and(all)
}
