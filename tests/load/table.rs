//! The table: a line for each measurement, printed as soon as it is known.

use std::time::Duration;

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
    /// Processor time of the server, for all of them.
    pub processor: Option<Duration>,
    /// The server's memory before, at most, and after, in kB.
    pub memory_kb: [Option<u64>; 3],
    /// What it should keep to, in words.
    pub budget: &'static str,
}

/// Prints the head.
pub fn head() {
    println!(
        "| What | At once | Done | Failed | p50 ms | p99 ms | CPU ms each | Budget | MB before, at most, after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
}

impl Line {
    /// Prints it.
    pub fn print(mut self) {
        self.times.sort();
        let [before, most, after] = self.memory_kb.map(megabytes);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {before}, {most}, {after} |",
            self.what,
            self.at_once,
            self.times.len(),
            self.failed,
            self.percentile(50),
            self.percentile(99),
            self.processor_each().map_or_else(|| "-".to_owned(), |each| format!("{each:.2}")),
            self.budget,
        );
    }

    /// Processor time of the server for each operation, in ms; those that failed cost it too.
    pub fn processor_each(&self) -> Option<f64> {
        let count = u32::try_from(self.times.len() + self.failed).ok().filter(|count| *count > 0)?;
        Some(ms(self.processor?) / f64::from(count))
    }

    fn percentile(&self, percent: usize) -> String {
        let last = self.times.len().saturating_sub(1);
        let at = (self.times.len() * percent / 100).min(last);
        self.times.get(at).map_or_else(|| "-".to_owned(), |time| format!("{:.1}", ms(*time)))
    }
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
