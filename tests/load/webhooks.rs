//! LiveKit's webhooks, sent by ourselves so that nothing but the server takes time.
//!
//! One kind tells of a recording that runs, with a newer time each; the other of somebody who comes into a room.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Failure;
use crate::measure::Measured;
use crate::options::Options;
use crate::processes::Stage;
use crate::starts;
use crate::table::Budget;

/// How many at once, and how many of them.
const CROWDS: [(usize, usize); 3] = [(1, 500), (16, 2000), (64, 4000)];
/// Recordings that run meanwhile.
const ROOMS: usize = 64;
/// How long a token is good, in seconds, as LiveKit's.
const TOKEN_S: u64 = 300;
/// Of one, in ms: processor time on embedded backends and on real ones.
const PROCESSOR_MS: [f64; 2] = [0.4, 0.6];

/// Measures them, and the memory with 64 recordings that run.
pub async fn measure(stage: &Stage, options: &Options) -> Result<(), Failure> {
    let Some(simulator) = &stage.simulator else { return Ok(()) };
    let rooms = starts::rooms(&stage.api, simulator, ROOMS).await?;
    let mut recordings = Vec::new();
    for room in &rooms {
        recordings.push(stage.api.start(room).await?);
    }
    stage.watched.quiet().await;
    let budget = Budget::processor(PROCESSOR_MS[usize::from(stage.backed.is_some())]);
    let told = simulator.sent().await?;
    let of_egresses = latest(&told, "egress_updated", &rooms);
    let of_people = latest(&told, "participant_joined", &rooms);
    for (what, bodies) in
        [("webhook: a recording's egress", of_egresses), ("webhook: somebody comes in", of_people)]
    {
        for (at_once, count) in CROWDS {
            let mut measured = Measured::of(stage.watched);
            let api = stage.api.clone();
            let send = move |(token, body)| {
                let api = api.clone();
                async move { api.webhook(token, body).await }
            };
            measured.round(at_once, signed(&bodies, count, options)?, send).await;
            measured.line(what, at_once, budget).print();
        }
    }
    for recording in recordings {
        stage.api.stop(&recording).await?;
    }
    Ok(())
}

/// The last webhook of a kind about each of the rooms; about recorders none but those of egresses.
fn latest(sent: &[Value], event: &str, rooms: &[String]) -> Vec<Value> {
    let mut found = HashMap::new();
    for webhook in sent.iter().filter(|webhook| webhook["event"] == event) {
        let body: Value =
            webhook["body"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let identity = body["participant"]["identity"].as_str().unwrap_or_default();
        let room = body["room"]["name"].as_str().or(body["egressInfo"]["roomName"].as_str());
        if let Some(room) =
            room.filter(|room| !identity.starts_with("EG_") && rooms.iter().any(|one| one == room))
        {
            found.insert(room.to_owned(), body);
        }
    }
    found.into_values().collect()
}

/// So many webhooks after these, each newer than the one before, with their tokens.
fn signed(bodies: &[Value], count: usize, options: &Options) -> Result<Vec<(String, String)>, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let key = EncodingKey::from_secret(options.livekit_secret.as_bytes());
    let mut signed = Vec::new();
    for (number, mut body) in (0..count).zip(bodies.iter().cycle().cloned()) {
        body["id"] = json!(format!("EV_load{number}{}", now.as_nanos()));
        if body["egressInfo"].is_object() {
            let updated_at = now.as_nanos() + number as u128;
            body["egressInfo"]["updatedAt"] = json!(updated_at.to_string());
        }
        let body = body.to_string();
        let claims = json!({
            "iss": options.livekit_key,
            "nbf": now.as_secs(),
            "exp": now.as_secs() + TOKEN_S,
            "sha256": STANDARD.encode(Sha256::digest(&body)),
        });
        signed.push((jsonwebtoken::encode(&Header::default(), &claims, &key)?, body));
    }
    Ok(signed)
}
