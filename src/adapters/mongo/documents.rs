//! Documents: how rooms, recordings, users and keys lie in Meet's collections.
//!
//! Owns their shapes (contract `storage.md` 1.2 and 1.3): numbers as JavaScript writes them, absent instead of
//! null, `schemaVersion` and `__v`; and what an old document lacks. Reads what any release up to 3.7 wrote. Pure.

use std::fmt::Display;

use ::mongodb::bson::{Bson, Document, deserialize_from_document, doc, serialize_to_document};
use reelkeeper_actors::access::user::User;
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::ApiKey;
use reelkeeper_actors::recording::{AccessSecrets, Recording};
use reelkeeper_actors::settings::GlobalSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::{corrupt, misused};

/// Versions of the shapes that we write.
pub(super) const ROOM_VERSION: i32 = 2;
const RECORDING_VERSION: i32 = 2;
const USER_VERSION: i32 = 1;
const API_KEY_VERSION: i32 = 1;
const SETTINGS_VERSION: i32 = 1;
/// Largest whole number that a double holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A new room's document.
///
/// # Errors
/// `Misused` when a value has no place in a document.
pub fn of_room(room: &Room) -> Result<Document, PortError> {
    Ok(versioned(room_fields(room)?, ROOM_VERSION))
}

/// What of a room may change.
///
/// # Errors
/// As above.
pub fn room_fields(room: &Room) -> Result<Document, PortError> {
    let mut fields = fields(&room.room_id, room)?;
    // Ours alone, so it lies elsewhere.
    for ours in ["lastMeeting", "meetings", "atEnd"] {
        fields.remove(ours);
    }
    Ok(fields)
}

/// What only we know of a room's meetings, as a document of its own.
#[must_use]
pub fn of_meetings(room: &Room) -> Document {
    let mut document = doc! {"_id": room.room_id.as_str(), "count": i64::from(room.meetings)};
    if let Some(last) = &room.last_meeting {
        document.insert("last", last);
    }
    if let Some(at_end) = room.at_end.and_then(|at_end| ::mongodb::bson::serialize_to_bson(&at_end).ok()) {
        document.insert("atEnd", at_end);
    }
    document
}

/// The room with what only we know of its meetings.
#[must_use]
pub fn with_meetings(room: Room, meetings: Option<&Document>) -> Room {
    let Some(known) = meetings else { return room };
    let at_end = known.get("atEnd").cloned();
    Room {
        last_meeting: known.get_str("last").map(str::to_owned).ok(),
        meetings: known.get("count").and_then(whole).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        at_end: at_end.and_then(|at_end| ::mongodb::bson::deserialize_from_bson(at_end).ok()),
        ..room
    }
}

/// The global configuration's document.
///
/// # Errors
/// `Misused` when a value has no place in a document.
pub fn of_settings(settings: &GlobalSettings) -> Result<Document, PortError> {
    Ok(versioned(settings_fields(settings)?, SETTINGS_VERSION))
}

/// What of the global configuration may change.
///
/// # Errors
/// As above.
pub fn settings_fields(settings: &GlobalSettings) -> Result<Document, PortError> {
    fields(&"settings", settings)
}

/// Reads the global configuration, whatever release wrote it.
///
/// # Errors
/// `Corrupt` when something is missing for which there is no default.
pub fn to_settings(mut document: Document) -> Result<GlobalSettings, PortError> {
    fill(&mut document, doc! {"roomsConfig": {"appearance": {"themes": []}}});
    read(&"settings", document)
}

/// Reads a room, whatever release wrote it.
///
/// # Errors
/// `Corrupt` when something is missing for which there is no default.
pub fn to_room(mut document: Document) -> Result<Room, PortError> {
    let id = named(&document, "roomId");
    fill(&mut document, doc! {"status": "open", "meetingEndAction": "none"});
    if let Ok(config) = document.get_document_mut("config") {
        fill(config, doc! {"e2ee": {"enabled": false}, "captions": {"enabled": true}});
    }
    if let Some(Bson::Double(millis)) = document.get("creationDate") {
        let whole = millis.trunc();
        document.insert("creationDate", whole);
    }
    read(&id, document)
}

/// A new recording's document.
///
/// # Errors
/// `Misused` when a value has no place in a document.
pub fn of_recording(recording: &Recording, secrets: &AccessSecrets) -> Result<Document, PortError> {
    let mut document = recording_fields(recording)?;
    document.insert("accessSecrets", doc! {"public": &secrets.public, "private": &secrets.private});
    Ok(versioned(document, RECORDING_VERSION))
}

/// What of a recording may change. A name or a date that is not known yet is absent.
///
/// # Errors
/// As above.
pub fn recording_fields(recording: &Recording) -> Result<Document, PortError> {
    let mut fields = fields(&recording.recording_id, recording)?;
    if recording.filename.is_empty() {
        fields.remove("filename");
    }
    if recording.start_date == 0.0 {
        fields.remove("startDate");
    }
    Ok(fields)
}

/// Reads a recording, whatever release wrote it.
///
/// # Errors
/// `Corrupt` when something is missing for which there is no default.
pub fn to_recording(mut document: Document) -> Result<Recording, PortError> {
    let id = named(&document, "recordingId");
    fill(&mut document, doc! {"layout": "grid", "encoding": "H264_720P_30", "filename": "", "startDate": 0});
    read(&id, document)
}

/// A recording's secrets.
///
/// # Errors
/// `Corrupt` when there are none.
pub fn to_secrets(document: &Document) -> Result<AccessSecrets, PortError> {
    let secrets = document.get_document("accessSecrets").ok();
    let secret = |name| Some(secrets?.get_str(name).ok()?.to_owned());
    match (secret("public"), secret("private")) {
        (Some(public), Some(private)) => Ok(AccessSecrets { public, private }),
        _ => Err(corrupt(&named(document, "recordingId"), "it has no access secrets")),
    }
}

/// A new user's document.
///
/// # Errors
/// `Misused` when a value has no place in a document.
pub fn of_user(user: &User) -> Result<Document, PortError> {
    let User { username, password_hash, roles } = user;
    let roles: Result<Vec<Bson>, _> = roles.iter().map(::mongodb::bson::serialize_to_bson).collect();
    let roles = roles.map_err(|error| misused(&"users", error))?;
    Ok(versioned(doc! {"username": username, "passwordHash": password_hash, "roles": roles}, USER_VERSION))
}

/// Reads a user. Names of people do not belong into logs.
///
/// # Errors
/// `Corrupt` when something is missing.
pub fn to_user(document: &Document) -> Result<User, PortError> {
    let unreadable = |error| corrupt(&"users", error);
    let roles = document.get("roles").cloned().unwrap_or_else(|| Bson::Array(vec!["user".into()]));
    Ok(User {
        username: document.get_str("username").map_err(unreadable)?.to_owned(),
        password_hash: document.get_str("passwordHash").map_err(unreadable)?.to_owned(),
        roles: ::mongodb::bson::deserialize_from_bson(roles).map_err(|error| corrupt(&"users", error))?,
    })
}

/// A new API key's document.
#[must_use]
pub fn of_api_key(key: &ApiKey) -> Document {
    let date = as_javascript(Bson::Int64(key.creation_date));
    versioned(doc! {"key": &key.key, "creationDate": date}, API_KEY_VERSION)
}

/// Reads an API key.
///
/// # Errors
/// `Corrupt` when something is missing.
pub fn to_api_key(document: &Document) -> Result<ApiKey, PortError> {
    let key = document.get_str("key").map_err(|error| corrupt(&"api keys", error))?.to_owned();
    let creation_date = document.get("creationDate").and_then(whole).unwrap_or_default();
    Ok(ApiKey { key, creation_date })
}

/// A number of any type, without decimals.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a double beyond 64 bits becomes the largest number there is"
)]
pub fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

fn versioned(mut fields: Document, version: i32) -> Document {
    fields.insert("schemaVersion", version);
    fields.insert("__v", 0);
    fields
}

/// How errors name a document.
fn named(document: &Document, id: &str) -> String {
    document.get_str(id).unwrap_or("a document without an id").to_owned()
}

/// Adds what is absent or null.
fn fill(document: &mut Document, defaults: Document) {
    for (field, value) in defaults {
        if matches!(document.get(&field), None | Some(Bson::Null)) {
            document.insert(field, value);
        }
    }
}

fn fields(subject: &dyn Display, resource: &impl Serialize) -> Result<Document, PortError> {
    let document = serialize_to_document(resource).map_err(|error| misused(subject, error))?;
    Ok(document.into_iter().map(|(field, value)| (field, as_javascript(value))).collect())
}

fn read<T: DeserializeOwned>(subject: &dyn Display, document: Document) -> Result<T, PortError> {
    deserialize_from_document(plain(document)).map_err(|error| corrupt(subject, error))
}

/// As JavaScript's driver writes it: 32 bits if it is whole and fits, else a double.
fn as_javascript(value: Bson) -> Bson {
    #[allow(clippy::cast_precision_loss, reason = "JavaScript knows no other number")]
    let number = match value {
        Bson::Int64(number) => number as f64,
        Bson::Double(number) => number,
        Bson::Document(document) => {
            return Bson::Document(
                document.into_iter().map(|(f, value)| (f, as_javascript(value))).collect(),
            );
        }
        Bson::Array(values) => return Bson::Array(values.into_iter().map(as_javascript).collect()),
        other => return other,
    };
    #[allow(clippy::cast_possible_truncation, reason = "whole and within 32 bits here")]
    if number.fract() == 0.0 && number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX) {
        Bson::Int32(number as i32)
    } else {
        Bson::Double(number)
    }
}

/// Without nulls, which stand for nothing wherever they are, and with whole numbers.
fn plain(document: Document) -> Document {
    let there = document.into_iter().filter(|(_, value)| !matches!(value, Bson::Null));
    there.map(|(field, value)| (field, whole_numbers_whole(value))).collect()
}

/// For types that want whole numbers: what is whole is one, whatever its type was.
fn whole_numbers_whole(value: Bson) -> Bson {
    match value {
        #[allow(clippy::cast_possible_truncation, reason = "whole and exact here")]
        Bson::Double(number) if number.fract() == 0.0 && number.abs() <= EXACT => Bson::Int64(number as i64),
        Bson::Int32(number) => Bson::Int64(number.into()),
        Bson::Document(document) => Bson::Document(plain(document)),
        Bson::Array(values) => Bson::Array(values.into_iter().map(whole_numbers_whole).collect()),
        other => other,
    }
}
