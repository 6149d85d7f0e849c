//! LiveKit's JSON answers: names in `snake_case`, fields without a value shown with their empty one.
//!
//! Owns that form. Webhooks have the other form of proto3 JSON (`camelCase`, empty fields left out), and
//! requests may be in either.

use serde_json::{Map, Value, json};

/// Objects whose keys are data, not names.
const MAPS: [&str; 2] = ["attributes", "tags"];

/// Turns the `camelCase` form into the one that LiveKit answers with.
pub(super) fn as_answered(value: Value, empty: &Value) -> Value {
    filled(snake(value), empty)
}

fn snake(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = fields.into_iter().map(|(key, value)| {
                let value = if MAPS.contains(&key.as_str()) { value } else { snake(value) };
                (snake_name(&key), value)
            });
            Value::Object(renamed.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(snake).collect()),
        other => other,
    }
}

fn snake_name(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Adds the fields of `empty` that are missing. An array in `empty` that has an item shows what each item
/// looks like; an object under a name in brackets is looked into only where the value is there.
fn filled(value: Value, empty: &Value) -> Value {
    match (value, empty) {
        (Value::Object(fields), Value::Object(empties)) => Value::Object(fill(fields, empties)),
        (Value::Array(items), Value::Array(empties)) => match empties.first() {
            Some(empty) => Value::Array(items.into_iter().map(|item| filled(item, empty)).collect()),
            None => Value::Array(items),
        },
        (value, _) => value,
    }
}

fn fill(mut fields: Map<String, Value>, empties: &Map<String, Value>) -> Map<String, Value> {
    for (name, empty) in empties {
        if let Some(optional) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            if let Some(value) = fields.get_mut(optional) {
                *value = filled(value.take(), empty);
            }
            continue;
        }
        let value = match fields.remove(name) {
            Some(value) => filled(value, empty),
            None if empty.is_array() => json!([]),
            None => empty.clone(),
        };
        fields.insert(name.clone(), value);
    }
    fields
}

pub(super) fn egress() -> Value {
    let file = json!({
        "filename": "", "started_at": "0", "ended_at": "0", "duration": "0", "size": "0", "location": "",
    });
    let output = json!({"file_type": "DEFAULT_FILETYPE", "filepath": "", "disable_manifest": false});
    let request = json!({
        "room_name": "", "layout": "", "audio_only": false, "audio_mixing": "DEFAULT_MIXING", "video_only": false,
        "custom_base_url": "", "[file]": output, "file_outputs": [output], "stream_outputs": [],
        "segment_outputs": [], "image_outputs": [], "webhooks": [],
    });
    json!({
        "egress_id": "", "room_id": "", "room_name": "", "source_type": "EGRESS_SOURCE_TYPE_WEB",
        "status": "EGRESS_STARTING", "started_at": "0", "ended_at": "0", "updated_at": "0",
        "[room_composite]": request, "stream_results": [], "file_results": [file], "segment_results": [],
        "image_results": [], "error": "", "error_code": 0, "details": "", "manifest_location": "",
        "backup_storage_used": false, "retry_count": 0, "[file]": file,
    })
}

pub(super) fn egresses() -> Value {
    json!({"items": [egress()], "next_page_token": null})
}

pub(super) fn room() -> Value {
    json!({
        "sid": "", "name": "", "empty_timeout": 0, "departure_timeout": 0, "max_participants": 0,
        "creation_time": "0", "creation_time_ms": "0", "turn_password": "", "enabled_codecs": [], "metadata": "",
        "num_participants": 0, "num_publishers": 0, "active_recording": false, "version": null,
    })
}

pub(super) fn rooms() -> Value {
    json!({"rooms": [room()]})
}

pub(super) fn participant() -> Value {
    let track = json!({
        "sid": "", "type": "AUDIO", "name": "", "muted": false, "width": 0, "height": 0, "simulcast": false,
        "disable_dtx": false, "source": "UNKNOWN", "layers": [], "mime_type": "", "mid": "", "codecs": [],
        "stereo": false, "disable_red": false, "encryption": "NONE", "stream": "", "version": null,
        "audio_features": [],
    });
    let permission = json!({
        "can_subscribe": false, "can_publish": false, "can_publish_data": false, "can_publish_sources": [],
        "hidden": false, "recorder": false, "can_update_metadata": false, "agent": false,
        "can_subscribe_metrics": false, "can_manage_agent_session": false,
    });
    json!({
        "sid": "", "identity": "", "state": "JOINING", "tracks": [track], "metadata": "", "joined_at": "0",
        "joined_at_ms": "0", "name": "", "version": 0, "[permission]": permission, "region": "",
        "is_publisher": false, "kind": "STANDARD", "attributes": {}, "disconnect_reason": "UNKNOWN_REASON",
        "kind_details": [],
    })
}

pub(super) fn participants() -> Value {
    json!({"participants": [participant()]})
}

pub(super) fn dispatch() -> Value {
    json!({
        "id": "", "agent_name": "", "room": "", "metadata": "",
        "state": {"jobs": [], "created_at": "0", "deleted_at": "0"},
    })
}

pub(super) fn dispatches() -> Value {
    json!({"agent_dispatches": [dispatch()]})
}
