//! The table: a line for each measurement, printed as soon as it is known.

use std::time::Duration;

/// What an operation should keep to. A figure that is not known keeps to anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// Processor time of the server for each, in ms.
    pub processor_ms: Option<f64>,
    /// Until the answer, in ms, of half of them.
    pub answer_ms: Option<f64>,
    /// The server's memory at most, in MB.
    pub memory_mb: Option<u64>,
}

impl Budget {
    /// None at all.
    pub const NONE: Self = Self { processor_ms: None, answer_ms: None, memory_mb: None };

    /// So much processor time, in ms.
    pub const fn processor(ms: f64) -> Self {
        Self { processor_ms: Some(ms), ..Self::NONE }
    }
}

/// What was measured of one operation.
pub struct Line {
    /// What was done.
    pub what: String,
    /// How many at once.
    pub at_once: usize,
    /// How long each that went well took.
    pub times: Vec<Duration>,
    /// How many went wrong.
    pub failed: usize,
    /// How long they took together, without waits between rounds.
    pub working: Duration,
    /// Processor time of the server, for all of them.
    pub processor: Option<Duration>,
    /// The server's memory before, at most, and after, in kB.
    pub memory_kb: [Option<u64>; 3],
    /// What it should keep to.
    pub budget: Budget,
}

/// Prints the head.
pub fn head() {
    println!(
        "| What | At once | Done | Failed | Per s | p50 ms | p99 ms | CPU ms each | Budget | MB before, at most, after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
}

impl Line {
    /// Prints it.
    pub fn print(mut self) {
        self.times.sort();
        let [before, most, after] = self.memory_kb.map(megabytes);
        println!(
            "| {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {before}, {most}, {after} |",
            self.what,
            self.at_once,
            self.times.len(),
            self.failed,
            self.each_second(),
            self.percentile(50),
            self.percentile(99),
            self.processor_each().map_or_else(|| "-".to_owned(), |each| format!("{each:.2}")),
            self.judged(),
        );
    }

    /// The budget in words, and what of it was missed. Times must be sorted.
    fn judged(&self) -> String {
        let Budget { processor_ms, answer_ms, memory_mb } = self.budget;
        let most_mb = self.memory_kb.iter().flatten().max().map(|kilobytes| kilobytes / 1024);
        let half = self.at(50).map(ms);
        let parts = [
            answer_ms.map(|most| verdict(&format!("{most} ms"), half.is_none_or(|half| half <= most))),
            processor_ms.map(|most| {
                verdict(&format!("{most} ms CPU"), self.processor_each().is_none_or(|each| each <= most))
            }),
            memory_mb.map(|most| verdict(&format!("{most} MB"), most_mb.is_none_or(|used| used <= most))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Processor time of the server for each operation, in ms; those that failed cost it too.
    pub fn processor_each(&self) -> Option<f64> {
        let count = u32::try_from(self.times.len() + self.failed).ok().filter(|count| *count > 0)?;
        Some(ms(self.processor?) / f64::from(count))
    }

    #[allow(clippy::cast_precision_loss, reason = "there are far fewer than 2^52")]
    fn each_second(&self) -> f64 {
        self.times.len() as f64 / self.working.as_secs_f64().max(f64::EPSILON)
    }

    fn percentile(&self, percent: usize) -> String {
        self.at(percent).map_or_else(|| "-".to_owned(), |time| format!("{:.1}", ms(time)))
    }

    fn at(&self, percent: usize) -> Option<Duration> {
        let last = self.times.len().saturating_sub(1);
        self.times.get((self.times.len() * percent / 100).min(last)).copied()
    }
}

/// A budget in words, and that it was missed if it was.
pub fn verdict(budget: &str, kept: bool) -> String {
    if kept { budget.to_owned() } else { format!("{budget}: missed") }
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Memory in MB, from kB as the kernel counts them.
pub fn megabytes(kilobytes: Option<u64>) -> String {
    let tenths = kilobytes.map(|kilobytes| kilobytes * 10 / 1024);
    tenths.map_or_else(|| "-".to_owned(), |tenths| format!("{}.{}", tenths / 10, tenths % 10))
}
