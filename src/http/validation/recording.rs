//! What requests about recordings may hold (contract `recordings.md` 2).

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::orchestrator::StartOptions;
use reelkeeper_actors::ports::catalog::list::PAGE_MAX;
use serde_json::Value;

use super::encoding::{encoding, layout};
use super::{Faults, Field, Object};
use crate::http::error::Failure;

/// Recordings on a page unless the client says otherwise.
const PAGE_DEFAULT: usize = 10;

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

/// Reads `maxItems` as JavaScript turns texts into numbers: above 0, rounded down, at most [`PAGE_MAX`].
///
/// # Errors
/// 422 when it is no number above 0.
pub fn max_items(text: Option<&str>) -> Result<usize, Failure> {
    let Some(text) = text.map(str::trim) else { return Ok(PAGE_DEFAULT) };
    let number = if text.is_empty() { Some(0.0) } else { number(text) };
    let Some(number) = number else {
        return Err(Failure::invalid("maxItems", "Expected number, received nan"));
    };
    if number <= 0.0 {
        return Err(Failure::invalid("maxItems", "Number must be greater than 0"));
    }
    // Saturates; a fraction below 1 would round down to a page of nothing, which helps nobody.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and above 0")]
    Ok((number.min(1e6) as usize).clamp(1, PAGE_MAX))
}

fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain || text == "Infinity" { text.parse().ok() } else { None }
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
            (
                json!({"roomId": "r", "config": {"encoding": {}}}),
                vec!["config.encoding.video", "config.encoding.audio"],
            ),
            (
                json!({"roomId": "r", "config": {"encoding": {"video": video, "audio": {"codec": "x"}}}}),
                vec![
                    "config.encoding.video.keyFrameInterval",
                    "config.encoding.video.depth",
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

    #[test]
    fn a_page_has_1_to_100_items() {
        let cases = [
            (None, Some(10)),
            (Some("1"), Some(1)),
            (Some("2.9"), Some(2)),
            (Some(" 7 "), Some(7)),
            (Some("1e3"), Some(100)),
            (Some("Infinity"), Some(100)),
            (Some("99999999999999999999999"), Some(100)),
            (Some("0.5"), Some(1)),
            (Some("0"), None),
            (Some("-1"), None),
            (Some(""), None),
            (Some("x"), None),
            (Some("nan"), None),
            (Some("inf"), None),
        ];
        for (text, expected) in cases {
            assert_eq!(max_items(text).ok(), expected, "{text:?}");
        }
    }
}
