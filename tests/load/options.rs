//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures Reelkeeper, or a compatible server, and prints a table.
///
/// Without `--base-url` it starts everything by itself. With it, the server is yours: it must use the simulated
/// LiveKit of `--simulator` (`reelkeeper simulator --delays none --webhook <the server's>`), and its recordings
/// are measured as they are found.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub struct Options {
    /// Measure the server whose API lies below this URL, such as http://127.0.0.1:6080/meet.
    #[arg(long, value_name = "URL", requires = "api_key")]
    pub base_url: Option<String>,
    /// Its process, for processor time and memory.
    #[arg(long, value_name = "PID", requires = "base_url")]
    pub pid: Option<u32>,
    /// Its API key.
    #[arg(long, value_name = "KEY", requires = "base_url")]
    pub api_key: Option<String>,
    /// The simulated LiveKit that it uses; without one, starts and webhooks are left out.
    #[arg(long, value_name = "URL", requires = "base_url")]
    pub simulator: Option<String>,
    /// LiveKit's API key, signs webhooks.
    #[arg(long, value_name = "KEY", default_value = "devkey")]
    pub livekit_key: String,
    /// LiveKit's API secret, signs webhooks.
    #[arg(long, value_name = "SECRET", default_value = "secret")]
    pub livekit_secret: String,
    /// How many recordings there are when get and lists are measured, one run of the service each.
    #[arg(
        long,
        value_name = "NUMBERS",
        value_delimiter = ',',
        default_value = "10000,100000",
        conflicts_with = "base_url"
    )]
    pub rows: Vec<usize>,
    /// Measure only these.
    #[arg(long, value_name = "PHASES", value_delimiter = ',')]
    pub only: Vec<Phase>,
    /// Size of the files that are streamed, in MB (1000 kB).
    #[arg(long, value_name = "MB", default_value_t = 200, conflicts_with = "base_url")]
    pub file_mb: u64,
    /// Clients that stream at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub clients: u16,
    /// Sends the files of this folder, and nothing else: what media is compared with. Starts itself so.
    #[arg(long, hide = true)]
    pub bare: Option<PathBuf>,
    /// Sends what this S3 server has, and nothing else. Starts itself so.
    #[arg(long, hide = true)]
    pub bare_s3: Option<String>,
    /// What our own service runs on.
    #[arg(long, value_name = "WHAT", default_value = "embedded", conflicts_with = "base_url")]
    pub on: Ground,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the service runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ground {
    /// SQLite and a folder.
    Embedded,
    /// MongoDB (a replica set of one), Redis and an S3 server, which are started too. Their paths are what
    /// `tests/stack/install light` prints.
    Backends,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// From exec until it listens; memory of a fresh process.
    Idle,
    /// Starts and stops.
    Starts,
    /// LiveKit's webhooks.
    Webhooks,
    /// Get and lists of recordings.
    Reads,
    /// Logins, tokens and rooms.
    Rooms,
    /// Files.
    Media,
    /// Several nodes; only `--on backends`.
    Cluster,
    /// Twenty thousand rooms on a node; only if asked for.
    Many,
}

impl Options {
    /// Whether a part is wanted.
    pub fn wants(&self, phase: Phase) -> bool {
        let by_itself = match phase {
            Phase::Cluster => self.on == Ground::Backends,
            Phase::Many => false,
            _ => true,
        };
        (self.only.is_empty() && by_itself) || self.only.contains(&phase)
    }
}
