//! The doctor: tries each dependency as the service would use it, and says what to do about what fails.
//!
//! Owns the checks and their findings. Each check does the real thing (writes, reads back, removes) and stops no other.
//! What stays is what the service would make too: a file, a folder, in MongoDB the mark of a removed row. What is printed is `commands/doctor.rs`'s.

mod clock_skew;
mod probe;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::clock::{SystemEntropy, fresh_claim, fresh_decision, fresh_node, fresh_uid};
use reelkeeper_actors::ports::coordination::{Coordination, Standing};
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::ports::media_server::MediaServer;
use reelkeeper_actors::ports::{PortError, PortErrorKind};
use reelkeeper_actors::recording::ledger::{RoomState, Row};
use serde::Serialize;

use crate::config::Config;

pub use self::clock_skew::SKEW_MAX;
pub use self::probe::Probe;

/// How long a node's lease lasts that is only taken to be given up.
const LEASE: Duration = Duration::from_secs(10);
/// What a file holds that is only written to be read back.
const PROBE: &[u8] = b"reelkeeper doctor";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It works.
    Ok,
    /// It works, and something about it may not be meant.
    Warning,
    /// It does not work.
    Failed,
    /// It cannot be told.
    Unknown,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty if nothing.
    pub advice: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Finding {
    /// Of a check that is over at once.
    #[must_use]
    pub fn of(
        check: &'static str,
        outcome: Outcome,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, outcome, seen: seen.into(), advice: advice.into(), took_ms: 0 }
    }
}

/// Runs a check; what it returns was seen, what it fails with is advised about.
pub async fn check(
    name: &'static str,
    what: &str,
    work: impl Future<Output = Result<String, PortError>>,
) -> Finding {
    let began = Instant::now();
    let done = work.await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (outcome, seen, advice) = match done {
        Ok(seen) => (Outcome::Ok, format!("{what}: {seen}"), String::new()),
        Err(error) => (Outcome::Failed, format!("{what}: {error}"), advice(name, &error).to_owned()),
    };
    Finding { check: name, outcome, seen, advice, took_ms }
}

/// What to do about a dependency that fails so.
fn advice(check: &str, error: &PortError) -> &'static str {
    match (check, error.kind) {
        (_, PortErrorKind::Unavailable) => {
            "start it, or mend its address and what lies between here and there"
        }
        (_, PortErrorKind::Corrupt) => {
            "what is stored there cannot be read: is it another program's, or damaged?"
        }
        ("store", PortErrorKind::Misused) => {
            "mend store.url: its path or address, its credentials and their rights"
        }
        ("coordination", PortErrorKind::Misused) => "mend coordination.url: its address and credentials",
        ("blobs", PortErrorKind::Misused) => "mend the options that begin with blobs.",
        (_, PortErrorKind::Misused) => "mend livekit.url, livekit.api_key and livekit.api_secret",
    }
}

/// A room that nobody else has.
fn nobodys_room() -> RoomId {
    RoomId::from_trusted(format!("reelkeeper-doctor-{}", fresh_uid(&SystemEntropy)))
}

/// Writes a row, reads it back, removes it.
///
/// # Errors
/// When the store is away, or does not keep what it is given.
pub async fn try_store(ledger: &dyn Ledger) -> Result<String, PortError> {
    ledger.ping().await?;
    let entropy = &SystemEntropy;
    let row = Row {
        room: nobodys_room(),
        owner: fresh_node(entropy),
        claim: fresh_claim(entropy),
        epoch: 1,
        revision: 1,
        decision: fresh_decision(entropy),
        state: RoomState::default(),
    };
    ledger.write(&row, &Expected::Absent).await?;
    let found = ledger.load(&row.room).await;
    let removed = ledger.remove(&row.room, &row.claim, row.revision).await?;
    if found?.as_ref() != Some(&row) || removed != Written::Stored {
        return Err(PortError::corrupt("store", "a row that was written did not come back as it was"));
    }
    Ok("wrote a row, read it back and removed it".to_owned())
}

/// Takes a lease, sees it, gives it up.
///
/// # Errors
/// When coordination is away, or does not keep what it is given.
pub async fn try_coordination(coordination: &dyn Coordination) -> Result<String, PortError> {
    let node: NodeId = fresh_node(&SystemEntropy);
    coordination.renew(&node, LEASE).await?;
    let lives = coordination.standing(&node).await;
    coordination.leave(&node).await?;
    if lives? != Standing::Alive || coordination.standing(&node).await? != Standing::Gone {
        return Err(PortError::corrupt("coordination", "a lease that was taken was not there, or stayed"));
    }
    let room = nobodys_room();
    coordination.hold_room(&room, LEASE).await?;
    coordination.free_room(&room).await?;
    Ok("took a lease and a lock, saw them and gave them up".to_owned())
}

/// Writes a file, reads it back, removes it.
///
/// # Errors
/// When the blob store is away, or does not keep what it is given.
pub async fn try_blobs(blobs: &dyn Blobs, subbucket: &str) -> Result<String, PortError> {
    let name = format!(".reelkeeper-doctor-{}", fresh_uid(&SystemEntropy));
    let key = if subbucket.is_empty() { name } else { format!("{subbucket}/{name}") };
    blobs.ping().await?;
    blobs.put(&key, Bytes::from_static(PROBE)).await?;
    let read = async {
        let Some(stream) = blobs.read(&key, 0..=(PROBE.len() as u64 - 1)).await? else { return Ok(None) };
        stream.try_collect::<Vec<Bytes>>().await.map(|pieces| Some(pieces.concat()))
    };
    let read = read.await;
    let removed = blobs.remove(&key).await?;
    if read?.as_deref() != Some(PROBE) || !removed {
        return Err(PortError::corrupt("blobs", format_args!("{key}: the file did not come back as it was")));
    }
    Ok("wrote a file, read it back and removed it".to_owned())
}

/// Shows LiveKit a token.
///
/// # Errors
/// When LiveKit is away, or does not take it.
pub async fn try_livekit(media_server: &dyn MediaServer) -> Result<String, PortError> {
    match media_server.ping().await {
        Ok(()) => Ok("takes our token".to_owned()),
        Err(error) if error.code() == Some("unauthenticated") => Err(PortError::misused("livekit", error)),
        Err(error) => Err(PortError::unavailable("livekit", error)),
    }
}

/// Compares the clock of LiveKit's machine with ours: a token or a webhook that seems too old is refused.
pub async fn look_at_clock(config: &Config) -> Option<Finding> {
    clock_skew::look(config).await
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::embedded::{AloneCoordination, DirectoryBlobs, MemoryStore};

    use super::*;

    #[tokio::test]
    async fn what_works_is_left_as_it_was() {
        let store = MemoryStore::new();
        assert!(try_store(&store).await.is_ok());
        assert_eq!(store.rows(None, 10).await.unwrap(), []);
        assert!(try_coordination(&AloneCoordination::new()).await.is_ok());
        let folder = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::open(folder.path()).await.unwrap();
        for subbucket in ["", "a/b"] {
            assert!(try_blobs(&blobs, subbucket).await.is_ok());
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "the sub-bucket's folder and no file");
    }

    #[tokio::test]
    async fn what_fails_is_advised_about() {
        let failing = async { Err(PortError::unavailable("store", "connection refused")) };
        let found = check("store", "mongodb://db (default)", failing).await;
        assert_eq!(found.outcome, Outcome::Failed);
        assert_eq!(found.seen, "mongodb://db (default): store is unavailable: connection refused");
        assert!(found.advice.starts_with("start it"), "{}", found.advice);
    }
}
