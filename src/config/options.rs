//! The table of options: the key in a file, the variable, and whether it is a secret.
//!
//! What each one means and its default are in `config/default.toml`, which is compiled in.

/// All defaults, commented.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// How alike two names must be for one to be offered for the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Its key in a file, with dots between tables.
    pub key: &'static str,
    /// Our own variable for it.
    pub variable: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

const fn open(key: &'static str, variable: &'static str) -> Spec {
    Spec { key, variable, secret: false }
}

const fn secret(key: &'static str, variable: &'static str) -> Spec {
    Spec { key, variable, secret: true }
}

/// Every option, in the order of `config/default.toml`. A variable is `REELKEEPER_` and the key in
/// capitals, but for the four URLs, whose names are shorter (design 2).
pub const OPTIONS: &[Spec] = &[
    open("listen", "REELKEEPER_LISTEN"),
    open("base_path", "REELKEEPER_BASE_PATH"),
    open("base_url", "REELKEEPER_BASE_URL"),
    open("name_id", "REELKEEPER_NAME_ID"),
    open("cors_origin", "REELKEEPER_CORS_ORIGIN"),
    open("trust_proxy", "REELKEEPER_TRUST_PROXY"),
    secret("initial_api_key", "REELKEEPER_INITIAL_API_KEY"),
    open("initial_admin_user", "REELKEEPER_INITIAL_ADMIN_USER"),
    secret("initial_admin_password", "REELKEEPER_INITIAL_ADMIN_PASSWORD"),
    open("guess_limits", "REELKEEPER_GUESS_LIMITS"),
    open("captions", "REELKEEPER_CAPTIONS"),
    open("data_folder", "REELKEEPER_DATA_FOLDER"),
    open("start_timeout", "REELKEEPER_START_TIMEOUT"),
    open("stop_timeout", "REELKEEPER_STOP_TIMEOUT"),
    open("request_timeout", "REELKEEPER_REQUEST_TIMEOUT"),
    open("reconcile_interval", "REELKEEPER_RECONCILE_INTERVAL"),
    open("upload_limit", "REELKEEPER_UPLOAD_LIMIT"),
    open("locks_gc_interval", "REELKEEPER_LOCKS_GC_INTERVAL"),
    open("lock_grace", "REELKEEPER_LOCK_GRACE"),
    open("stale_gc_interval", "REELKEEPER_STALE_GC_INTERVAL"),
    open("stale_after", "REELKEEPER_STALE_AFTER"),
    open("unheld_gc_interval", "REELKEEPER_UNHELD_GC_INTERVAL"),
    open("unknown_files_gc_interval", "REELKEEPER_UNKNOWN_FILES_GC_INTERVAL"),
    open("rooms_gc_interval", "REELKEEPER_ROOMS_GC_INTERVAL"),
    open("room_status_gc_interval", "REELKEEPER_ROOM_STATUS_GC_INTERVAL"),
    open("due_rows_interval", "REELKEEPER_DUE_ROWS_INTERVAL"),
    open("min_auto_delete", "REELKEEPER_MIN_AUTO_DELETE"),
    open("key_retention", "REELKEEPER_KEY_RETENTION"),
    open("meeting_empty_timeout", "REELKEEPER_MEETING_EMPTY_TIMEOUT"),
    open("meeting_departure_timeout", "REELKEEPER_MEETING_DEPARTURE_TIMEOUT"),
    open("lease_ttl", "REELKEEPER_LEASE_TTL"),
    open("drain_timeout", "REELKEEPER_DRAIN_TIMEOUT"),
    open("log", "REELKEEPER_LOG"),
    open("log_format", "REELKEEPER_LOG_FORMAT"),
    open("startup_timeout", "REELKEEPER_STARTUP_TIMEOUT"),
    open("store.url", "REELKEEPER_STORE"),
    open("store.database", "REELKEEPER_STORE_DATABASE"),
    open("store.deadline", "REELKEEPER_STORE_DEADLINE"),
    open("store.queue", "REELKEEPER_STORE_QUEUE"),
    open("store.connections", "REELKEEPER_STORE_CONNECTIONS"),
    open("coordination.url", "REELKEEPER_COORDINATION"),
    open("coordination.prefix", "REELKEEPER_COORDINATION_PREFIX"),
    open("coordination.deadline", "REELKEEPER_COORDINATION_DEADLINE"),
    open("cluster.single_node", "REELKEEPER_CLUSTER_SINGLE_NODE"),
    open("cluster.listen", "REELKEEPER_CLUSTER_LISTEN"),
    open("cluster.advertise", "REELKEEPER_CLUSTER_ADVERTISE"),
    secret("cluster.secret", "REELKEEPER_CLUSTER_SECRET"),
    open("cluster.tls_cert", "REELKEEPER_CLUSTER_TLS_CERT"),
    open("cluster.tls_key", "REELKEEPER_CLUSTER_TLS_KEY"),
    open("cluster.tls_ca", "REELKEEPER_CLUSTER_TLS_CA"),
    open("cluster.tls_name", "REELKEEPER_CLUSTER_TLS_NAME"),
    open("cluster.inbox_interval", "REELKEEPER_CLUSTER_INBOX_INTERVAL"),
    open("blobs.url", "REELKEEPER_BLOBS"),
    open("blobs.subbucket", "REELKEEPER_BLOBS_SUBBUCKET"),
    open("blobs.endpoint", "REELKEEPER_BLOBS_ENDPOINT"),
    open("blobs.region", "REELKEEPER_BLOBS_REGION"),
    secret("blobs.access_key", "REELKEEPER_BLOBS_ACCESS_KEY"),
    secret("blobs.secret_key", "REELKEEPER_BLOBS_SECRET_KEY"),
    open("blobs.path_style", "REELKEEPER_BLOBS_PATH_STYLE"),
    open("blobs.sse_type", "REELKEEPER_BLOBS_SSE_TYPE"),
    open("blobs.sse_kms_key_id", "REELKEEPER_BLOBS_SSE_KMS_KEY_ID"),
    open("blobs.sse_kms_context", "REELKEEPER_BLOBS_SSE_KMS_CONTEXT"),
    open("blobs.account", "REELKEEPER_BLOBS_ACCOUNT"),
    secret("blobs.account_key", "REELKEEPER_BLOBS_ACCOUNT_KEY"),
    open("blobs.deadline", "REELKEEPER_BLOBS_DEADLINE"),
    open("livekit.url", "REELKEEPER_LIVEKIT"),
    open("livekit.public_url", "REELKEEPER_LIVEKIT_PUBLIC_URL"),
    open("livekit.api_key", "REELKEEPER_LIVEKIT_API_KEY"),
    secret("livekit.api_secret", "REELKEEPER_LIVEKIT_API_SECRET"),
    open("livekit.call_timeout", "REELKEEPER_LIVEKIT_CALL_TIMEOUT"),
    open("livekit.calls_in_flight", "REELKEEPER_LIVEKIT_CALLS_IN_FLIGHT"),
    open("livekit.starts_in_flight", "REELKEEPER_LIVEKIT_STARTS_IN_FLIGHT"),
    open("livekit.signals_in_flight", "REELKEEPER_LIVEKIT_SIGNALS_IN_FLIGHT"),
    open("media.delivery", "REELKEEPER_MEDIA_DELIVERY"),
    open("media.link_lasts", "REELKEEPER_MEDIA_LINK_LASTS"),
    open("webhooks.initial_enabled", "REELKEEPER_WEBHOOKS_INITIAL_ENABLED"),
    open("webhooks.initial_url", "REELKEEPER_WEBHOOKS_INITIAL_URL"),
    open("webhooks.private_receivers", "REELKEEPER_WEBHOOKS_PRIVATE_RECEIVERS"),
    open("webhooks.timeout", "REELKEEPER_WEBHOOKS_TIMEOUT"),
    open("webhooks.in_flight", "REELKEEPER_WEBHOOKS_IN_FLIGHT"),
    open("webhooks.longest_pause", "REELKEEPER_WEBHOOKS_LONGEST_PAUSE"),
    open("webhooks.give_up_after", "REELKEEPER_WEBHOOKS_GIVE_UP_AFTER"),
    open("webhooks.forget_after", "REELKEEPER_WEBHOOKS_FORGET_AFTER"),
    open("limits.body_bytes", "REELKEEPER_LIMITS_BODY_BYTES"),
    open("limits.requests_in_flight", "REELKEEPER_LIMITS_REQUESTS_IN_FLIGHT"),
    open("limits.commands_per_room", "REELKEEPER_LIMITS_COMMANDS_PER_ROOM"),
    open("limits.media_in_flight", "REELKEEPER_LIMITS_MEDIA_IN_FLIGHT"),
    open("limits.webhooks_in_flight", "REELKEEPER_LIMITS_WEBHOOKS_IN_FLIGHT"),
    open("limits.head_timeout", "REELKEEPER_LIMITS_HEAD_TIMEOUT"),
];

/// The option with this key.
#[must_use]
pub fn with_key(key: &str) -> Option<&'static Spec> {
    OPTIONS.iter().find(|option| option.key == key)
}

/// The key that somebody may have meant.
#[must_use]
pub fn similar_key(key: &str) -> Option<&'static str> {
    similar(key, OPTIONS.iter().map(|option| option.key))
}

/// The variable that somebody may have meant.
#[must_use]
pub fn similar_variable(variable: &str) -> Option<&'static str> {
    similar(variable, OPTIONS.iter().map(|option| option.variable))
}

fn similar(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_its_key_in_capitals_but_for_the_urls() {
        for option in OPTIONS {
            let key = option.key.strip_suffix(".url").unwrap_or(option.key);
            let derived = format!("REELKEEPER_{}", key.replace('.', "_").to_uppercase());
            assert_eq!(option.variable, derived);
        }
    }

    #[test]
    fn the_file_of_defaults_names_every_option_and_its_variable() {
        let table: toml::Table = DEFAULT_TOML.parse().unwrap();
        let mut keys: Vec<String> = Vec::new();
        for (name, value) in &table {
            match value.as_table() {
                Some(inner) => keys.extend(inner.keys().map(|key| format!("{name}.{key}"))),
                None => keys.push(name.clone()),
            }
        }
        let mut known: Vec<_> = OPTIONS.iter().map(|option| option.key.to_owned()).collect();
        keys.sort();
        known.sort();
        assert_eq!(keys, known);
        for option in OPTIONS {
            let named = DEFAULT_TOML.contains(&format!("{}.", option.variable))
                || DEFAULT_TOML.contains(&format!("{};", option.variable));
            assert!(named, "{}", option.variable);
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let table = [
            ("start_timeuot", Some("start_timeout")),
            ("livekit.api_secrt", Some("livekit.api_secret")),
            ("store.uri", Some("store.url")),
            ("something.else", None),
        ];
        for (key, expected) in table {
            assert_eq!(similar_key(key), expected, "{key}");
        }
        assert_eq!(similar_variable("REELKEEPER_STOREE"), Some("REELKEEPER_STORE"));
    }
}
