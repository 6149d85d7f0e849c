//! Answers and webhooks without what must differ: ids, times, sizes, and what the simulator leaves out.

use std::collections::BTreeMap;
use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::livekits::Sent;
use crate::node::Answer;

/// Fields whose values are made up anew each time; that they are there counts.
const MADE_UP: &[&str] = &[
    "id",
    "sid",
    "egress_id",
    "room_id",
    "created_at",
    "creation_time",
    "creation_time_ms",
    "started_at",
    "ended_at",
    "updated_at",
    "joined_at",
    "joined_at_ms",
    "duration",
    "size",
    "location",
];

/// Fields that LiveKit fills from what a client or the server can do. Nobody who records reads them, and
/// the simulator leaves them out.
const NOT_SIMULATED: &[&str] = &[
    // Of a room and a participant.
    "enabled_codecs",
    "turn_password",
    "version",
    "client_protocol",
    "capabilities",
    "data_tracks",
    // Of a track: how it is encoded and carried.
    "mid",
    "codecs",
    "stream",
    "layers",
    "simulcast",
    "width",
    "height",
    "backup_codec_policy",
    "packet_trailer_features",
];

/// What LiveKit brings up to date in a room a little later than it sends a webhook about it.
const LAGGING: &[&str] = &["num_participants", "num_publishers", "active_recording"];

/// An answer.
#[derive(PartialEq, Eq)]
pub struct Said {
    call: String,
    status: u16,
    content_type: String,
    body: String,
}

impl Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n    {} {}\n    {}", self.call, self.status, self.content_type, self.body)
    }
}

impl Said {
    pub fn of(call: &str, answer: &Answer) -> Self {
        let text = String::from_utf8_lossy(&answer.body);
        let body = match serde_json::from_slice(&answer.body) {
            Ok(body) => normal(body, &[]).to_string(),
            // LiveKit repeats the token that it refuses; the simulator does not, on purpose.
            Err(_) if text.starts_with("invalid token") => "invalid token".to_owned(),
            Err(_) => text.trim().to_owned(),
        };
        let content_type = answer.header("content-type").to_owned();
        Self { call: without_ids(call), status: answer.status, content_type, body }
    }
}

/// A webhook.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    step: &'static str,
    /// Whether it is about an egress: LiveKit keeps the order among those and among all others, and none
    /// between the two.
    of_egress: bool,
    place: usize,
    title: String,
    claims: Vec<String>,
    content_type: String,
    body: String,
}

impl Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, title, claims, content_type, body, .. } = self;
        write!(f, "{step}: {title}\n    {content_type}, token with {claims:?}\n    {body}")
    }
}

/// The webhooks of a step.
pub fn told(step: &'static str, sent: &[Sent]) -> Vec<Told> {
    let mut told: Vec<_> = sent.iter().enumerate().map(|(at, sent)| tell(step, at, sent)).collect();
    told.sort();
    for (place, told) in told.iter_mut().enumerate() {
        told.place = place;
    }
    told
}

fn tell(step: &'static str, at: usize, sent: &Sent) -> Told {
    let title = sent.title();
    // Nobody promises which track comes first, nor who is put out of a room first.
    let unordered = title.starts_with("track_") || (step == "deleted" && title == "participant_left");
    let place = if unordered { 0 } else { at + 1 };
    let header = |name: &str| sent.headers[name].to_str().unwrap().to_owned();
    let claims = URL_SAFE_NO_PAD.decode(header("authorization").split('.').nth(1).unwrap()).unwrap();
    let claims: Map<String, Value> = serde_json::from_slice(&claims).unwrap();
    let mut claims: Vec<_> = claims.into_iter().map(|(name, _)| name).collect();
    claims.sort();
    Told {
        step,
        of_egress: sent.body.get("egressInfo").is_some(),
        place,
        title,
        claims,
        content_type: header("content-type"),
        body: normal(sent.body.clone(), LAGGING).to_string(),
    }
}

/// Fails with all differences.
#[track_caller]
pub fn compare<T: Debug + PartialEq>(real: &[T], simulated: &[T]) {
    let show =
        |side: &[T], at: usize| side.get(at).map_or_else(|| "nothing".to_owned(), |said| format!("{said:?}"));
    let length = real.len().max(simulated.len());
    let differ = (0..length).filter(|at| real.get(*at) != simulated.get(*at));
    let differences: Vec<_> = differ
        .map(|at| format!("real:      {}\nsimulated: {}\n", show(real, at), show(simulated, at)))
        .collect();
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

/// The same without the values and fields that do not count, and with lists, which come in no order, sorted.
fn normal(value: Value, left_out: &[&str]) -> Value {
    match value {
        Value::Object(fields) => {
            let named = fields.into_iter().map(|(spelled, value)| (snake(&spelled), spelled, value));
            let kept = named.filter(|(name, ..)| {
                !NOT_SIMULATED.contains(&name.as_str()) && !left_out.contains(&name.as_str())
            });
            let normal = kept.map(|(name, spelled, value)| {
                let is_there = value != "0" && value != "";
                let hidden = MADE_UP.contains(&name.as_str()) && is_there;
                (spelled, if hidden { "*".into() } else { normal(value, left_out) })
            });
            // Whether a map keeps its fields sorted depends on how serde_json was built.
            Value::Object(normal.collect::<BTreeMap<_, _>>().into_iter().collect())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| normal(item, left_out)).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::String(text) => Value::String(without_ids(&text)),
        other => other,
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The id of an egress is made up wherever it stands.
fn without_ids(text: &str) -> String {
    let Some((before, id)) = text.split_once("EG_") else { return text.to_owned() };
    let rest = id.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    format!("{before}EG_*{rest}")
}
