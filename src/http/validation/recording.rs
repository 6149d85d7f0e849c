//! What requests about recordings may hold (contract `recordings.md` 2).

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::orchestrator::StartOptions;
use serde_json::Value;

use super::encoding::{encoding, layout};
use super::{Faults, Field, Object};
use crate::http::error::Failure;
use crate::http::request::QueryText;

/// Opens one recording, in its query.
const SECRET: &str = "secret";

/// Reads `{roomId, config?: {layout?, encoding?}}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn start(body: &Value) -> Result<(RoomId, StartOptions), Failure> {
    let mut faults = Faults::default();
    let read = start_fields(body, &mut faults);
    faults.finish(read)
}

fn start_fields(body: &Value, faults: &mut Faults) -> Option<(RoomId, StartOptions)> {
    let body = Field::body(body).object(faults)?;
    let room = room_id(&body, faults);
    let options = body.optional("config").map_or_else(
        || Some(StartOptions::default()),
        |config| {
            let config = config.object(faults)?;
            Some(StartOptions {
                layout: config.optional("layout").and_then(|field| layout(&field, faults)),
                encoding: config.optional("encoding").and_then(|field| encoding(&field, faults)),
            })
        },
    );
    Some((room?, options?))
}

fn room_id(body: &Object<'_>, faults: &mut Faults) -> Option<RoomId> {
    let field = body.required("roomId");
    match RoomId::clean(field.text(faults)?) {
        Ok(room) => Some(room),
        Err(fault) => {
            faults.add(field.path(), fault.to_string());
            None
        }
    }
}

/// Reads a recording's id from the path; `field` is the name that a fault is reported under.
///
/// # Errors
/// 422 when it is none.
pub fn recording_id(text: &str, field: &'static str) -> Result<RecordingId, Failure> {
    RecordingId::parse(text).map_err(|fault| Failure::invalid(field, fault.to_string()))
}

/// Reads the id of a recording that is to be seen, and the secret that may open it.
///
/// # Errors
/// 422 with every broken rule.
pub fn shown_recording(id: &str, query: &QueryText) -> Result<(RecordingId, Option<String>), Failure> {
    let mut faults = Faults::default();
    let id = RecordingId::parse(id).map_err(|fault| faults.add("params.recordingId", fault.to_string())).ok();
    if query.count(SECRET) > 1 {
        faults.add("query.secret", "Expected string, received array");
    }
    faults.finish(id).map(|id| (id, query.get(SECRET)))
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::recording::encoding::{Encoding, Layout, Preset};
    use serde_json::json;

    use super::*;

    fn fields(body: &Value) -> Vec<String> {
        match start(body) {
            Err(Failure::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_start_names_a_room_and_may_differ_from_its_configuration() {
        let body =
            json!({"roomId": "a/b-1", "x": 1, "config": {"layout": "speaker", "encoding": "H264_1080P_60"}});
        let (room, options) = start(&body).unwrap();
        assert_eq!(room.as_str(), "ab-1");
        assert_eq!(options.layout, Some(Layout::Speaker));
        assert_eq!(options.encoding, Some(Encoding::Preset(Preset::H264P1080F60)));
        assert_eq!(start(&json!({"roomId": "r"})).unwrap().1, StartOptions::default());
    }

    #[test]
    fn every_fault_of_a_start_is_named() {
        let long = "x".repeat(101);
        let video = json!({"width": 1, "height": 1, "framerate": 1, "codec": "VP8", "bitrate": 1,
            "keyFrameInterval": 0, "depth": "24"});
        let cases = [
            (json!([]), vec![""]),
            (json!({}), vec!["roomId"]),
            (json!({"roomId": 1}), vec!["roomId"]),
            (json!({"roomId": null}), vec!["roomId"]),
            (json!({"roomId": ""}), vec!["roomId"]),
            (json!({"roomId": "///"}), vec!["roomId"]),
            (json!({"roomId": long}), vec!["roomId"]),
            (json!({"roomId": "r", "config": null}), vec!["config"]),
            (json!({"roomId": "", "config": {"layout": "x"}}), vec!["roomId", "config.layout"]),
            (json!({"roomId": "r", "config": {"encoding": 7}}), vec!["config.encoding"]),
            (json!({"roomId": "r", "config": {"encoding": "x"}}), vec!["config.encoding"]),
            (json!({"roomId": "r", "config": {"encoding": {"video": video}}}), vec!["config.encoding"]),
            (
                json!({"roomId": "r", "config": {"encoding": {"video": video, "audio": {"codec": "x"}}}}),
                vec![
                    "config.encoding.video.keyFrameInterval",
                    "config.encoding.video.depth",
                    "config.encoding.audio",
                    "config.encoding.audio.bitrate",
                    "config.encoding.audio.frequency",
                    "config.encoding.audio.codec",
                ],
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(&body), expected, "{body}");
        }
    }
}
