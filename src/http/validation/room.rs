//! What requests about rooms may hold (contract `rooms.md` 1 and 2).

use std::time::Duration;

use reelkeeper_actors::access::permission::Role;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::config::{ConfigPatch, RecordingPatch};
use reelkeeper_actors::meeting::creation::{self, NewRoom};
use reelkeeper_actors::meeting::names::RoomName;
use reelkeeper_actors::meeting::{
    AllowAccessTo, AutoDeletionPolicy, RoomStatus, Switch, WithMeeting, WithRecordings,
};
use reelkeeper_actors::recording::Timestamp;
use serde_json::Value;

use super::encoding::{encoding, layout};
use super::list::{once, one_of};
use super::{Faults, Field, Object};
use crate::http::error::Failure;
use crate::http::request::QueryText;

/// Rooms that one request may name.
const IDS_MAX: usize = 1_000;
/// The name of the only capability.
const LIVE_CAPTIONS: &str = "live_captions";
/// The field with several ids.
const IDS: &str = "roomIds";
/// The same, as some clients write an array.
const IDS_AS_ARRAY: &str = "roomIds[]";

/// What an assistant does in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// It writes down what is said.
    LiveCaptions,
}

/// Reads the body of a room's creation. `least` is how far ahead a deletion must lie.
///
/// # Errors
/// 422 with every broken rule.
pub fn new_room(body: &Value, now: Timestamp, least: Duration) -> Result<NewRoom, Failure> {
    let mut faults = Faults::default();
    let read = new_room_fields(body, now, least, &mut faults);
    faults.finish(read)
}

fn new_room_fields(body: &Value, now: Timestamp, least: Duration, faults: &mut Faults) -> Option<NewRoom> {
    let body = Field::body(body).object(faults)?;
    // A field with a fault reads as absent here; the faults then keep the room from being made.
    Some(NewRoom {
        name: body.optional("roomName").and_then(|field| room_name(&field, faults)).unwrap_or_default(),
        auto_deletion_date: body
            .optional("autoDeletionDate")
            .and_then(|field| deletion_date(&field, now, least, faults)),
        auto_deletion_policy: body
            .optional("autoDeletionPolicy")
            .and_then(|field| deletion_policy(&field, faults)),
        config: body.optional("config").and_then(|field| config(&field, faults)).unwrap_or_default(),
    })
}

/// Reads `{config}`, all of whose sections may be left out.
///
/// # Errors
/// 422 with every broken rule.
pub fn config_change(body: &Value) -> Result<ConfigPatch, Failure> {
    let mut faults = Faults::default();
    let body = Field::body(body).object(&mut faults);
    let read = body.and_then(|body| config(&body.required("config"), &mut faults));
    faults.finish(read)
}

/// Reads `{status}`: `open` or `closed`.
///
/// # Errors
/// 422 with every broken rule.
pub fn status_change(body: &Value) -> Result<RoomStatus, Failure> {
    let mut faults = Faults::default();
    let body = Field::body(body).object(&mut faults);
    let read = body.and_then(|body| body.required("status").one_of(&["open", "closed"], &mut faults));
    let status = |name| if name == "open" { RoomStatus::Open } else { RoomStatus::Closed };
    faults.finish(read.map(status))
}

/// Reads `{role}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn role_change(body: &Value) -> Result<Role, Failure> {
    let mut faults = Faults::default();
    let body = Field::body(body).object(&mut faults);
    let read = body.and_then(|body| body.required("role").one_of(&["moderator", "speaker"], &mut faults));
    faults.finish(read.map(|name| if name == "moderator" { Role::Moderator } else { Role::Speaker }))
}

/// Reads `{capabilities: [{name}]}`: what an assistant is to do. Names of tomorrow are passed over, but one must be
/// left; there is only one so far.
///
/// # Errors
/// 422 with every broken rule.
pub fn assistant(body: &Value) -> Result<Capability, Failure> {
    let mut faults = Faults::default();
    let wanted = Field::body(body).object(&mut faults);
    let wanted = wanted.and_then(|body| body.required("capabilities").items(&mut faults));
    let names: Option<Vec<_>> = wanted.map(|wanted| {
        let mut names = Vec::new();
        for item in wanted {
            names.extend(item.object(&mut faults).and_then(|item| item.required("name").text(&mut faults)));
        }
        names
    });
    let read = names.and_then(|names| {
        let known = names.contains(&LIVE_CAPTIONS).then_some(Capability::LiveCaptions);
        if known.is_none() {
            faults
                .add("capabilities", format!("At least one known capability is required: '{LIVE_CAPTIONS}'"));
        }
        known
    });
    faults.finish(read)
}

/// Reads how a room is to be deleted from a query; what is left out refuses.
///
/// # Errors
/// 422 with every broken rule.
pub fn deletion(query: &QueryText, mut faults: Faults) -> Result<AutoDeletionPolicy, Failure> {
    let meeting = [
        ("fail", WithMeeting::Fail),
        ("when_meeting_ends", WithMeeting::WhenMeetingEnds),
        ("force", WithMeeting::Force),
    ];
    let recordings =
        [("fail", WithRecordings::Fail), ("close", WithRecordings::Close), ("force", WithRecordings::Force)];
    once(query, &["withMeeting", "withRecordings"], &mut faults);
    let with_meeting = one_of(query, "withMeeting", &meeting, &mut faults).unwrap_or(WithMeeting::Fail);
    let with_recordings =
        one_of(query, "withRecordings", &recordings, &mut faults).unwrap_or(WithRecordings::Fail);
    faults.finish(Some(AutoDeletionPolicy { with_meeting, with_recordings }))
}

/// Reads `roomIds`: separated by commas, or several of them; cleaned, each once, at least one and at most
/// [`IDS_MAX`]; and how they are to be deleted.
///
/// # Errors
/// 422 with every broken rule.
pub fn bulk_deletion(query: &QueryText) -> Result<(Vec<RoomId>, AutoDeletionPolicy), Failure> {
    let mut given = query.all(IDS);
    given.extend(query.all(IDS_AS_ARRAY));
    let texts: Vec<&str> = match given.as_slice() {
        [one] => one.split(',').collect(),
        several => several.iter().map(String::as_str).collect(),
    };
    let mut ids: Vec<RoomId> = Vec::new();
    for id in texts.into_iter().filter_map(|text| RoomId::clean(text.trim()).ok()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut faults = Faults::default();
    if ids.is_empty() {
        faults.add(IDS, "At least one valid roomId is required after sanitization");
    }
    if ids.len() > IDS_MAX {
        faults.add(IDS, format!("Array must contain at most {IDS_MAX} element(s)"));
    }
    let policy = deletion(query, faults)?;
    Ok((ids, policy))
}

/// Reads a room's id from the path of its deletion, where the contract names no field, and how it is to be deleted.
///
/// # Errors
/// 422 with every broken rule.
pub fn room_deletion(id: &str, query: &QueryText) -> Result<(RoomId, AutoDeletionPolicy), Failure> {
    let mut faults = Faults::default();
    let id = RoomId::clean(id).map_err(|fault| faults.add("", fault.to_string())).ok();
    let policy = deletion(query, faults)?;
    // Without an id there is a fault.
    Ok((id.ok_or_else(|| Failure::invalid("", "Invalid roomId"))?, policy))
}

/// Reads a room's id from the path.
///
/// # Errors
/// 422 when nothing is left after cleaning, or it is too long.
pub fn room_id(text: &str) -> Result<RoomId, Failure> {
    RoomId::clean(text).map_err(|fault| Failure::invalid("roomId", fault.to_string()))
}

fn room_name(field: &Field<'_>, faults: &mut Faults) -> Option<RoomName> {
    match RoomName::clean(field.text(faults)?) {
        Ok(name) => Some(name),
        Err(fault) => {
            faults.add(field.path(), fault.to_string());
            None
        }
    }
}

fn deletion_date(field: &Field<'_>, now: Timestamp, least: Duration, faults: &mut Faults) -> Option<f64> {
    let date = field.number(faults)?;
    if date <= 0.0 {
        faults.add(field.path(), "autoDeletionDate must be a positive integer");
    }
    if creation::is_late_enough(date, now, least) {
        return Some(date);
    }
    let message = format!("autoDeletionDate must be at least {} in the future", words(least));
    faults.add(field.path(), message);
    None
}

/// `1h`, `90m` or `5s`: the largest unit that divides it.
fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

fn deletion_policy(field: &Field<'_>, faults: &mut Faults) -> Option<AutoDeletionPolicy> {
    let policy = field.object(faults)?;
    let with_meeting = policy.required("withMeeting").one_of(&["when_meeting_ends", "force", "fail"], faults);
    let with_recordings = policy.required("withRecordings").one_of(&["close", "force", "fail"], faults);
    for (name, given) in [("withMeeting", with_meeting), ("withRecordings", with_recordings)] {
        if given == Some("fail") {
            let message = format!("FAIL policy is not allowed for {name} auto-deletion policy");
            faults.add(policy.required(name).path(), message);
        }
    }
    Some(AutoDeletionPolicy {
        with_meeting: match with_meeting? {
            "force" => WithMeeting::Force,
            _ => WithMeeting::WhenMeetingEnds,
        },
        with_recordings: match with_recordings? {
            "force" => WithRecordings::Force,
            _ => WithRecordings::Close,
        },
    })
}

fn config(field: &Field<'_>, faults: &mut Faults) -> Option<ConfigPatch> {
    let config = field.object(faults)?;
    Some(ConfigPatch {
        recording: config.optional("recording").and_then(|field| recording(&field, faults)),
        chat: switch(&config, "chat", faults),
        virtual_background: switch(&config, "virtualBackground", faults),
        e2ee: switch(&config, "e2ee", faults),
        captions: switch(&config, "captions", faults),
    })
}

fn switch(config: &Object<'_>, key: &str, faults: &mut Faults) -> Option<Switch> {
    let section = config.optional(key)?.object(faults)?;
    let enabled = section.required("enabled").boolean(faults)?;
    Some(Switch { enabled })
}

fn recording(field: &Field<'_>, faults: &mut Faults) -> Option<RecordingPatch> {
    let section = field.object(faults)?;
    let enabled = section.required("enabled").boolean(faults);
    let patch = RecordingPatch {
        enabled: enabled.unwrap_or_default(),
        layout: section.optional("layout").and_then(|field| layout(&field, faults)),
        encoding: section.optional("encoding").and_then(|field| encoding(&field, faults)),
        allow_access_to: section.optional("allowAccessTo").and_then(|field| access(&field, faults)),
    };
    enabled.map(|_| patch)
}

fn access(field: &Field<'_>, faults: &mut Faults) -> Option<AllowAccessTo> {
    let names = ["admin", "admin_moderator", "admin_moderator_speaker"];
    Some(match field.one_of(&names, faults)? {
        "admin" => AllowAccessTo::Admin,
        "admin_moderator" => AllowAccessTo::AdminModerator,
        _ => AllowAccessTo::AdminModeratorSpeaker,
    })
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::meeting::RoomConfig;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn faults(body: &Value) -> Vec<(String, String)> {
        match new_room(body, NOW, HOUR) {
            Err(Failure::Invalid(faults)) => faults.into_iter().map(|f| (f.field, f.message)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_full_body_is_read() {
        let encoding = json!({
            "video": {"width": 640.0, "height": 360, "framerate": 12.5, "codec": "VP8", "bitrate": 500,
                "keyFrameInterval": 2, "depth": 24, "note": "kept"},
            "audio": {"codec": "OPUS", "bitrate": 96, "frequency": 48000}
        });
        let body = json!({
            "roomName": "  Town   Hall ",
            "autoDeletionDate": 1_700_003_600_000.5,
            "autoDeletionPolicy": {"withMeeting": "force", "withRecordings": "close", "x": 1},
            "config": {
                "recording": {"enabled": true, "layout": "single-speaker", "encoding": encoding,
                    "allowAccessTo": "admin"},
                "chat": {"enabled": false}
            },
            "unknown": {"a": 1}
        });
        let new = new_room(&body, NOW, HOUR).unwrap();
        assert_eq!(new.name.as_str(), "Town Hall");
        assert_eq!(new.auto_deletion_date, Some(1_700_003_600_000.5));
        assert_eq!(new.auto_deletion_policy.unwrap().with_meeting, WithMeeting::Force);
        let config = RoomConfig::default().merged(new.config);
        assert_eq!(config.recording.allow_access_to, Some(AllowAccessTo::Admin));
        assert!(!config.chat.enabled);
        let stored = serde_json::to_value(&config.recording.encoding).unwrap();
        assert_eq!(stored["video"]["note"], "kept");
        assert_eq!(stored["video"]["width"].to_string(), "640");
        assert_eq!(new_room(&json!({}), NOW, HOUR).unwrap(), NewRoom::default());
    }

    #[test]
    fn every_fault_is_named() {
        let all = json!({
            "roomName": 7,
            "autoDeletionDate": NOW.0,
            "autoDeletionPolicy": {"withMeeting": "wait", "withRecordings": "fail"},
            "config": {"recording": {"layout": 1}, "chat": {}, "e2ee": {"enabled": "yes"}, "captions": null}
        });
        let expected = [
            ("roomName", "Expected string, received number"),
            ("autoDeletionDate", "autoDeletionDate must be at least 1h in the future"),
            (
                "autoDeletionPolicy.withMeeting",
                "Invalid enum value. Expected 'when_meeting_ends' | 'force' | 'fail', received 'wait'",
            ),
            (
                "autoDeletionPolicy.withRecordings",
                "FAIL policy is not allowed for withRecordings auto-deletion policy",
            ),
            ("config.recording.enabled", "Required"),
            ("config.recording.layout", "Expected 'grid' | 'speaker' | 'single-speaker', received number"),
            ("config.chat.enabled", "Required"),
            ("config.e2ee.enabled", "Expected boolean, received string"),
            ("config.captions", "Expected object, received null"),
        ];
        assert_eq!(faults(&all), expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
    }

    #[test]
    fn single_faults() {
        let cases = [
            (json!([1]), "", "Expected object, received array"),
            (json!({"roomName": " "}), "roomName", "roomName cannot be empty"),
            (json!({"roomName": "x".repeat(51)}), "roomName", "roomName cannot exceed 50 characters"),
            (json!({"roomName": null}), "roomName", "Expected string, received null"),
            (json!({"autoDeletionDate": null}), "autoDeletionDate", "Expected number, received null"),
            (json!({"autoDeletionDate": "1"}), "autoDeletionDate", "Expected number, received string"),
            (json!({"autoDeletionPolicy": []}), "autoDeletionPolicy", "Expected object, received array"),
            (json!({"config": "x"}), "config", "Expected object, received string"),
        ];
        for (body, field, message) in cases {
            assert_eq!(faults(&body), [(field.to_owned(), message.to_owned())], "{body}");
        }
        let past = faults(&json!({"autoDeletionDate": -1}));
        let messages: Vec<_> = past.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "autoDeletionDate must be a positive integer",
                "autoDeletionDate must be at least 1h in the future"
            ]
        );
    }
}
