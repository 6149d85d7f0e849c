//! The simulated LiveKit: a model of its rooms, its egress and its webhooks.
//!
//! Owns what a LiveKit server would know and do: rooms, participants, egresses with a real server's timing,
//! statuses and webhooks, and the faults that are asked of it. It is driven by a given time and a seed: no
//! clock, no IO, no task of its own, so that the same seed and the same calls give the same history. What it
//! wants done (webhooks to deliver, files to write) comes out of [`World::advance`].
//!
//! It never decides anything about recordings, and it is no substitute for the real server: texts and
//! orders were taken from LiveKit 1.13, and the test command runs the main paths against that too.
//!
//! Reading order: [`calls`] (what may be asked), [`egress`] (the life of an egress), [`rooms`],
//! [`agents`], [`webhooks`], [`faults`]; then [`live`], which puts a world on a clock, and [`media_server`], which
//! shows it as a port. LiveKit's HTTP face is in the root package.

pub mod agents;
pub mod calls;
pub mod clock;
pub mod egress;
pub mod faults;
pub mod live;
pub mod log;
pub mod media_server;
pub mod rooms;
#[cfg(test)]
mod tests;
pub mod views;
pub mod webhooks;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::clock::Timing;
use self::egress::{Egress, FileToWrite, Workers};
use self::faults::FaultBook;
use self::log::CallLog;
use self::rooms::Room;
use self::views::DisconnectReason;
use self::webhooks::Webhook;
use crate::ids::{EgressId, RoomId};
use crate::recording::Timestamp;

const NS_PER_MS: i64 = 1_000_000;
/// Characters of the random part of LiveKit's ids.
const ID_LENGTH: usize = 12;
const ID_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

/// Everything a LiveKit server knows, and what it is about to do.
///
/// What is asked of it happens at the time of the last [`Self::at`] or [`Self::advance`].
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    last_stamp: i64,
    rng: StdRng,
    timing: Timing,
    sample: Sample,
    workers: Workers,
    rooms: BTreeMap<RoomId, Room>,
    egresses: BTreeMap<EgressId, Egress>,
    faults: FaultBook,
    calls: CallLog,
    agenda: BTreeMap<(Timestamp, u64), Due>,
    overtaken: BTreeMap<String, Webhook>,
    sequence: u64,
    outputs: Outputs,
}

/// What a world wants done, in order.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Outputs {
    /// To be delivered to whoever listens.
    pub webhooks: Vec<Webhook>,
    /// To be written; the world hears how it went by [`World::file_written`].
    pub files: Vec<FileToWrite>,
}

impl Outputs {
    fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.files.is_empty()
    }
}

/// The file that every simulated egress uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The whole file.
    pub content: Bytes,
    /// How long it plays.
    pub duration: Duration,
}

impl Default for Sample {
    fn default() -> Self {
        Self { content: Bytes::from_static(b"stands for a recording\n"), duration: Duration::from_secs(4) }
    }
}

/// Something that will happen by itself.
#[derive(Debug, Clone, PartialEq)]
enum Due {
    RecorderJoins(EgressId),
    Activates(EgressId),
    ReachesLimit(EgressId),
    RecorderLeaves(EgressId, DisconnectReason),
    RecorderIsMissed(EgressId),
    RecorderReturns(EgressId),
    WorkerGivesUp(EgressId),
    Uploads(EgressId),
    FileIsThere(Box<FileToWrite>),
    RoomMayClose { room: RoomId, sid: String },
    Delivers(Box<Webhook>),
    StopsWaiting { key: String, webhook: String },
}

impl World {
    /// An empty server whose chance comes from `seed`.
    #[must_use]
    pub fn new(seed: u64, timing: Timing) -> Self {
        Self {
            now: Timestamp::default(),
            last_stamp: 0,
            rng: StdRng::seed_from_u64(seed),
            timing,
            sample: Sample::default(),
            workers: Workers::default(),
            rooms: BTreeMap::new(),
            egresses: BTreeMap::new(),
            faults: FaultBook::default(),
            calls: CallLog::default(),
            agenda: BTreeMap::new(),
            overtaken: BTreeMap::new(),
            sequence: 0,
            outputs: Outputs::default(),
        }
    }

    /// The same world, whose egresses upload this file.
    #[must_use]
    pub fn with_sample(mut self, sample: Sample) -> Self {
        self.sample = sample;
        self
    }

    /// How long things take here.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Does everything that is due and hands out what is to be done outside. A time that lies before an
    /// earlier one counts as that one.
    pub fn advance(&mut self, now: Timestamp) -> Outputs {
        self.at(now);
        std::mem::take(&mut self.outputs)
    }

    /// When [`Self::advance`] has something to do next; none if nothing will happen by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() {
            return Some(self.now);
        }
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does everything that is due by then; everything asked of the world afterwards happens then.
    pub fn at(&mut self, now: Timestamp) -> &mut Self {
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            self.carry_out(due);
        }
        self.now = self.now.max(now);
        self
    }

    fn carry_out(&mut self, due: Due) {
        match due {
            Due::RecorderJoins(egress) => self.recorder_joins(&egress),
            Due::Activates(egress) => self.egress_activates(&egress),
            Due::ReachesLimit(egress) => self.egress_reaches_limit(&egress),
            Due::RecorderLeaves(egress, reason) => self.recorder_leaves(&egress, reason),
            Due::RecorderIsMissed(egress) => self.recorder_is_missed(&egress),
            Due::RecorderReturns(egress) => self.recorder_returns(&egress),
            Due::WorkerGivesUp(egress) => self.worker_gives_up(&egress),
            Due::Uploads(egress) => self.egress_uploads(&egress),
            Due::FileIsThere(file) => self.outputs.files.push(*file),
            Due::RoomMayClose { room, sid } => self.close_if_empty(&room, &sid),
            Due::Delivers(webhook) => self.outputs.webhooks.push(*webhook),
            Due::StopsWaiting { key, webhook } => self.stop_waiting(&key, &webhook),
        }
    }

    fn schedule(&mut self, after: Duration, due: Due) {
        self.sequence += 1;
        self.agenda.insert((self.now.plus(after), self.sequence), due);
    }

    /// Nanoseconds since 1970, each larger than the one before, with decimals below a millisecond as a
    /// real server shows them.
    fn stamp(&mut self) -> i64 {
        let within: i64 = self.rng.random_range(0..NS_PER_MS);
        self.last_stamp = (self.now.0 * NS_PER_MS + within).max(self.last_stamp + 1);
        self.last_stamp
    }

    fn fresh_id(&mut self, prefix: &str) -> String {
        let mut id = String::from(prefix);
        for _ in 0..ID_LENGTH {
            id.push(char::from(ID_ALPHABET[self.rng.random_range(0..ID_ALPHABET.len())]));
        }
        id
    }
}
