//! OpenVidu Meet's variables, as far as they mean one of our options (contract `storage.md` 7).
//!
//! Owns which of their names say what; those of the backends are in `meet_backends.rs`. A name of ours wins over
//! any of them. Variables of Meet that mean nothing here are passed over in silence.

use std::collections::BTreeMap;

use super::layers::Entry;
use super::meet_backends;

struct Name {
    variable: &'static str,
    key: &'static str,
    /// What an empty value means.
    empty: Empty,
    /// How its value is said in ours.
    reads: fn(&str) -> String,
}

#[derive(PartialEq, Eq)]
enum Empty {
    IsUnset,
    IsAValue,
}

const fn name(variable: &'static str, key: &'static str, empty: Empty) -> Name {
    Name { variable, key, empty, reads: str::to_owned }
}

/// For one key, a later name wins over an earlier one.
const NAMES: &[Name] = &[
    Name {
        variable: "SERVER_PORT",
        key: "listen",
        empty: Empty::IsUnset,
        reads: |port| format!("0.0.0.0:{port}"),
    },
    name("MEET_BASE_PATH", "base_path", Empty::IsUnset),
    name("MEET_BASE_URL", "base_url", Empty::IsAValue),
    name("MEET_NAME_ID", "name_id", Empty::IsUnset),
    name("SERVER_CORS_ORIGIN", "cors_origin", Empty::IsUnset),
    name("SERVER_TRUST_PROXY", "trust_proxy", Empty::IsUnset),
    name("MEET_INITIAL_API_KEY", "initial_api_key", Empty::IsAValue),
    Name {
        variable: "MEET_INITIAL_WEBHOOK_ENABLED",
        key: "webhooks.initial_enabled",
        empty: Empty::IsUnset,
        reads: |enabled| (enabled == "true").to_string(),
    },
    name("MEET_INITIAL_WEBHOOK_URL", "webhooks.initial_url", Empty::IsUnset),
    name("MEET_INITIAL_ADMIN_USER", "initial_admin_user", Empty::IsUnset),
    name("MEET_INITIAL_ADMIN_PASSWORD", "initial_admin_password", Empty::IsUnset),
    Name {
        variable: "NODE_ENV",
        key: "guess_limits",
        empty: Empty::IsUnset,
        reads: |environment| (environment != "test").to_string(),
    },
    Name {
        variable: "MEET_CAPTIONS_ENABLED",
        key: "captions",
        empty: Empty::IsUnset,
        reads: |enabled| (enabled == "true").to_string(),
    },
    name("MEETING_EMPTY_TIMEOUT", "meeting_empty_timeout", Empty::IsUnset),
    name("MEETING_DEPARTURE_TIMEOUT", "meeting_departure_timeout", Empty::IsUnset),
    Name { variable: "MEET_LOG_LEVEL", key: "log", empty: Empty::IsUnset, reads: log_level },
    name("LIVEKIT_URL", "livekit.url", Empty::IsUnset),
    name("LIVEKIT_URL_PRIVATE", "livekit.url", Empty::IsUnset),
    name("LIVEKIT_URL", "livekit.public_url", Empty::IsUnset),
    name("LIVEKIT_API_KEY", "livekit.api_key", Empty::IsAValue),
    name("LIVEKIT_API_SECRET", "livekit.api_secret", Empty::IsAValue),
];

/// Their names for an option, the strongest first.
pub fn names_of(key: &str) -> impl Iterator<Item = &'static str> {
    let own = NAMES.iter().rev().filter(move |name| name.key == key).map(|name| name.variable);
    own.chain(meet_backends::names_of(key))
}

/// What Meet's variables say, in order of precedence, weakest first.
#[must_use]
pub fn entries(env: &BTreeMap<String, String>) -> Vec<Entry> {
    let mut entries = meet_backends::entries(env);
    for name in NAMES {
        match env.get(name.variable) {
            Some(value) if !(value.is_empty() && name.empty == Empty::IsUnset) => {
                entries.push(Entry::new(name.key, &(name.reads)(value), name.variable));
            }
            _ => {}
        }
    }
    entries
}

/// Their levels, said in ours; what is none of them is left to the check of the filter.
fn log_level(level: &str) -> String {
    match level {
        "verbose" => "debug".to_owned(),
        "silly" => "trace".to_owned(),
        other => other.to_owned(),
    }
}
