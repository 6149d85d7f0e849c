//! What the kernel says of a process: processor time and memory.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// Between two looks at the memory.
const PAUSE: Duration = Duration::from_millis(20);
/// A process that used no processor time for this long has done what it was asked for.
const QUIET: Duration = Duration::from_millis(100);
/// A process that is never quiet is waited for no longer.
const QUIET_WITHIN: Duration = Duration::from_secs(3);

/// A process that is watched; one that is not known shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Watched(pub Option<u32>);

impl Watched {
    /// Processor time of all its threads so far, in user and kernel mode; in steps of 10 ms on most machines.
    pub fn processor_time(self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0?)).ok()?;
        // The name stands in brackets and may hold anything. Behind it utime is the 12th field, stime the 13th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Duration::from_millis(ticks * 1000 / per_second))
    }

    /// Resident memory, in kB.
    pub fn memory_kb(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Waits until it has nothing more to do.
    pub async fn quiet(self) {
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut before = self.processor_time();
        while before.is_some() && Instant::now() < deadline {
            sleep(QUIET).await;
            let now = self.processor_time();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Remembers the most memory that a process had; looks until it is dropped.
pub struct Watching {
    most_kb: Arc<AtomicU64>,
    looking: AbortHandle,
}

impl Watching {
    /// Begins to look.
    pub fn begin(watched: Watched) -> Self {
        let most_kb = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most_kb);
        let looking = tokio::spawn(async move {
            while let Some(memory) = watched.memory_kb() {
                seen.fetch_max(memory, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
        });
        Self { most_kb, looking: looking.abort_handle() }
    }

    /// The most so far, in kB; none if nothing was seen.
    pub fn most_kb(&self) -> Option<u64> {
        Some(self.most_kb.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
