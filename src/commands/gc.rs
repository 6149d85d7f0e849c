//! `gc --dry-run`: what the janitors of a service would do now, and why.
//!
//! Owns what is printed. Finds and judges with the same code as the janitors, beside a service that runs or
//! without one, and changes nothing: sweeping is the service's.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use reelkeeper_actors::janitors::{Counts, Finder, Finding, Pass, Task};

use super::Failure;
use crate::app;
use crate::config::{Config, Flags, process_env};
use crate::telemetry;

/// Exit code of a command line that asks for what this command does not do.
const MISUSED: u8 = 2;

/// What to look at.
#[derive(Debug, Clone, clap::Args)]
pub struct GcArgs {
    /// Print what a sweep would do, and do nothing; without it the command only says who sweeps
    #[arg(long)]
    pub dry_run: bool,
    /// The options of the service that would sweep
    #[command(flatten)]
    pub flags: Flags,
}

/// Says why nothing is swept without `--dry-run`.
#[must_use]
#[allow(clippy::print_stderr, reason = "the last words of a command that failed")]
pub fn refuse() -> ExitCode {
    eprintln!(
        "reelkeeper: sweeping is done by the service while it runs (`reelkeeper serve`); \
         `reelkeeper gc --dry-run` prints what it would do now"
    );
    ExitCode::from(MISUSED)
}

/// Prints every candidate with its verdict, then a summary.
///
/// # Errors
/// All faults of the configuration at once; when the store cannot be read or LiveKit cannot be asked, after
/// what could be found out was printed.
pub async fn run(args: GcArgs) -> Result<(), Failure> {
    let (config, warnings) = Config::load(&args.flags, process_env())?;
    telemetry::init(&config.log.filter, config.log.format, &app::new_node())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let finder = Arc::new(Finder::new(app::janitors_sources(&config).await?));
    let mut shown = Shown { out: io::stdout(), unswept: Vec::new(), unknown: 0 };
    // Which rooms have no actor only the process with the actors knows.
    for task in Task::ALL.into_iter().filter(|task| *task != Task::DueRows) {
        shown.sweep(Pass::begin(finder.clone(), task), task).await?;
    }
    shown.end()
}

/// What was printed so far.
struct Shown<W> {
    out: W,
    /// Tasks that could not be swept.
    unswept: Vec<&'static str>,
    /// Candidates of which something could not be found out.
    unknown: usize,
}

impl<W: Write> Shown<W> {
    async fn sweep(&mut self, mut pass: Pass, task: Task) -> io::Result<()> {
        let mut counts = Counts::default();
        loop {
            match pass.next_findings().await {
                Ok(Some(findings)) => {
                    for finding in findings {
                        counts.add(&finding);
                        writeln!(self.out, "{}", line(&finding))?;
                    }
                }
                Ok(None) => return self.swept(task, counts),
                Err(error) => {
                    self.unswept.push(task.name());
                    let name = task.name();
                    return writeln!(self.out, "{name}: not swept, everything is kept: {error}");
                }
            }
        }
    }

    fn swept(&mut self, task: Task, counts: Counts) -> io::Result<()> {
        let Counts { found, handed_over, reported, kept, failed } = counts;
        self.unknown += failed;
        let name = task.name();
        writeln!(
            self.out,
            "{name}: {found} found, {handed_over} to be handed over, {reported} to be looked at, {kept} to be kept, {failed} unknown"
        )
    }

    fn end(mut self) -> Result<(), Failure> {
        let name = Task::DueRows.name();
        writeln!(self.out, "{name}: only the service itself knows which rooms have no actor")?;
        writeln!(self.out, "nothing was changed")?;
        if !self.unswept.is_empty() {
            return Err(format!("could not sweep {}; try again later", self.unswept.join(", ")).into());
        }
        if self.unknown > 0 {
            return Err(format!("{} candidates could not be judged; they are kept", self.unknown).into());
        }
        Ok(())
    }
}

/// A finding on one line.
fn line(finding: &Finding) -> String {
    let recording = finding.recording.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let egress = finding.egress.as_ref().map_or("-", |egress| egress.as_str());
    let (task, room) = (finding.task.name(), &finding.room);
    let (verdict, reason) = (finding.verdict.name(), finding.verdict.reason());
    format!("{task}: {verdict}: room={room} recording={recording} egress={egress}: {reason}")
}
