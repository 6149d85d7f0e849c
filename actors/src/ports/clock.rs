//! Time, ids and randomness: what events bring into the pure core.

use crate::ids::{ClaimId, CommandId, DecisionId, NodeId, Uid};
use crate::recording::{AccessSecrets, Timestamp};

/// Characters of a uid and of an access secret.
const SHORT_ID: usize = 10;

/// Tells the time. What decides needs one that is steady while the process runs ([`SteadyClock`]); what is
/// compared with other machines, such as the age of a signature, needs the machine's own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's clock as it was at first, and steady from then on: a clock that is set while the process
/// runs moves no deadline. A suspended machine's time stands still, like that of its timers.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    began: Timestamp,
    since: std::time::Instant,
}

impl SteadyClock {
    /// Takes the machine's time.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: SystemClock.now(), since: std::time::Instant::now() }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.began.plus(self.since.elapsed())
    }
}

/// Draws bytes nobody can guess; a seeded source in tests.
pub trait Entropy: Send + Sync {
    /// Sixteen fresh bytes.
    fn draw(&self) -> [u8; 16];
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn draw(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }
}

fn hex(entropy: &dyn Entropy, length: usize) -> String {
    // The last bytes of a version 4 UUID are all random; its version digit lies before them.
    let bytes = entropy.draw();
    let mut text = format!("{:032x}", u128::from_le_bytes(bytes));
    text.truncate(length);
    text
}

fn uuid(entropy: &dyn Entropy) -> String {
    uuid::Builder::from_random_bytes(entropy.draw()).into_uuid().to_string()
}

/// A fresh uid: ten lowercase hex characters.
#[must_use]
pub fn fresh_uid(entropy: &dyn Entropy) -> Uid {
    Uid::from_trusted(hex(entropy, SHORT_ID))
}

/// A fresh secret of ten hex characters (40 bits, as the contract has it).
#[must_use]
pub fn fresh_secret(entropy: &dyn Entropy) -> String {
    hex(entropy, SHORT_ID)
}

/// Fresh secrets for a recording.
#[must_use]
pub fn fresh_secrets(entropy: &dyn Entropy) -> AccessSecrets {
    AccessSecrets { public: fresh_secret(entropy), private: fresh_secret(entropy) }
}

/// A fresh fencing token.
#[must_use]
pub fn fresh_claim(entropy: &dyn Entropy) -> ClaimId {
    ClaimId::from_trusted(uuid(entropy))
}

/// A fresh name for a commit.
#[must_use]
pub fn fresh_decision(entropy: &dyn Entropy) -> DecisionId {
    DecisionId::from_trusted(uuid(entropy))
}

/// A fresh name for a client's request.
#[must_use]
pub fn fresh_command(entropy: &dyn Entropy) -> CommandId {
    CommandId::from_trusted(uuid(entropy))
}

/// A fresh name for one run of a node.
#[must_use]
pub fn fresh_node(entropy: &dyn Entropy) -> NodeId {
    NodeId::from_trusted(uuid(entropy))
}
