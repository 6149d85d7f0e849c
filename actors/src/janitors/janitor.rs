//! The janitor itself: an actor that sweeps for one task, again and again.
//!
//! Owns the schedule: the first pass at once, then an interval with jitter after each; after a pass that met
//! trouble it tries again soon, with back-off, and one that an outage interrupted goes on where it stopped.
//! The pass runs beside the actor. What a finding leads to is the room's owner's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::pass::Pass;
use super::{Counts, Finder, Finding, Observed, Task, Verdict};
use crate::orchestrator::Orchestrator;
use crate::ports::PortError;
use crate::ports::clock::Entropy;
use crate::recording::policy::back_off;

/// First and longest pause after a pass that met trouble; never longer than the interval.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The jitter is a fraction of the interval, at most one in this many.
const JITTER: u32 = 10;

/// Shortest and longest lease of a task: a sweeper that died is replaced so soon. Between them it is the interval.
const LEASE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

fn lease(interval: Duration) -> Duration {
    interval.clamp(LEASE.0, LEASE.1)
}

/// What a janitor is told.
pub(super) enum JanitorMessage {
    /// It is time.
    Sweep,
    /// A pass came to its end, or to an outage.
    Swept(Box<Swept>),
    /// A pass panicked.
    Fell(String),
    /// Shows the state.
    Observe(oneshot::Sender<Observed>),
}

impl ractor::Message for JanitorMessage {}

/// See [`JanitorMessage::Swept`].
pub(super) struct Swept {
    pass: Pass,
    counts: Counts,
    ended: Result<Ended, PortError>,
}

/// How a pass came to its end.
enum Ended {
    /// Everything was looked at.
    Whole,
    /// Another node sweeps.
    Elsewhere,
}

/// Sweeps for one task.
pub(super) struct Janitor;

/// What a janitor is made with.
pub(super) struct Start {
    pub(super) task: Task,
    pub(super) interval: Duration,
    pub(super) finder: Arc<Finder>,
    pub(super) orchestrator: Orchestrator,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The actor's state.
pub(super) struct JanitorState {
    start: Start,
    myself: ActorRef<JanitorMessage>,
    /// A pass that an outage interrupted, and what it brought so far.
    interrupted: Option<(Pass, Counts)>,
    passes: u64,
    last: Counts,
    tries: u32,
    /// The pass under way, or the wait for the next; it ends with the actor, however that ends. Whatever was
    /// not handed over then is found again.
    busy: AbortOnDropHandle<()>,
}

impl Actor for Janitor {
    type Msg = JanitorMessage;
    type State = JanitorState;
    type Arguments = Start;

    async fn pre_start(
        &self,
        myself: ActorRef<JanitorMessage>,
        start: Start,
    ) -> Result<JanitorState, ActorProcessingErr> {
        let busy = beside(wait(myself.clone(), Duration::ZERO, None));
        let (last, interrupted) = (Counts::default(), None);
        Ok(JanitorState { start, myself, interrupted, passes: 0, last, tries: 0, busy })
    }

    async fn handle(
        &self,
        _myself: ActorRef<JanitorMessage>,
        message: JanitorMessage,
        janitor: &mut JanitorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            JanitorMessage::Sweep => janitor.sweep(),
            JanitorMessage::Swept(swept) => janitor.swept(*swept),
            JanitorMessage::Fell(reason) => return Err(reason.into()),
            JanitorMessage::Observe(reply) => {
                let _ = reply.send(janitor.observe());
            }
        }
        Ok(())
    }
}

impl JanitorState {
    /// Begins a pass, or goes on with one that was interrupted.
    fn sweep(&mut self) {
        let (finder, task) = (self.start.finder.clone(), self.start.task);
        let (pass, counts) =
            self.interrupted.take().unwrap_or_else(|| (Pass::begin(finder, task), Counts::default()));
        let (orchestrator, myself) = (self.start.orchestrator.clone(), self.myself.clone());
        let lasts = lease(self.start.interval);
        self.busy = beside(async move {
            let sweeping = sweep(pass, counts, (task, lasts), &orchestrator);
            let swept = AssertUnwindSafe(sweeping).catch_unwind().await;
            let _ = myself.cast(match swept {
                Ok(swept) => JanitorMessage::Swept(Box::new(swept)),
                Err(_) => JanitorMessage::Fell("its pass panicked".to_owned()),
            });
        });
    }

    fn swept(&mut self, swept: Swept) {
        let Swept { pass, counts, ended } = swept;
        let (task, interval) = (self.start.task.name(), self.start.interval);
        let (pause, held) = match ended {
            Ok(Ended::Elsewhere) => {
                tracing::debug!(task, "another node sweeps");
                self.tries = 0;
                // It may die, and then its lease ends.
                (lease(interval).min(interval), None)
            }
            Ok(Ended::Whole) => {
                log_pass(task, counts);
                (self.last, self.passes) = (counts, self.passes + 1);
                self.tries = if counts.failed == 0 { 0 } else { self.tries + 1 };
                let keeps = self.start.task.is_for_one_node();
                let kept = keeps.then(|| (self.start.orchestrator.clone(), task, lease(interval)));
                (self.pause(), kept)
            }
            Err(error) => {
                if self.tries == 0 {
                    tracing::warn!(task, %error, "sweep interrupted, it goes on when that is back");
                }
                self.interrupted = Some((pass, counts));
                self.tries += 1;
                (self.pause(), None)
            }
        };
        self.busy = beside(wait(self.myself.clone(), pause, held));
    }

    fn pause(&self) -> Duration {
        let interval = self.start.interval;
        match self.tries {
            0 => interval + jitter(&*self.start.entropy, interval / JITTER),
            // What fails for ever is tried no more often than the interval says, in the end.
            tries if self.interrupted.is_none() => back_off((RETRY.0, interval), tries - 1),
            tries => back_off((RETRY.0, RETRY.1.min(interval)), tries - 1),
        }
    }

    fn observe(&self) -> Observed {
        Observed { task: self.start.task, passes: self.passes, last: self.last, tries: self.tries }
    }
}

fn beside(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work))
}

/// Waits for the next pass. Whoever made the last one keeps the task's lease meanwhile, so that no other node makes one.
async fn wait(
    janitor: ActorRef<JanitorMessage>,
    pause: Duration,
    held: Option<(Orchestrator, &'static str, Duration)>,
) {
    let keeping = async {
        let Some((orchestrator, task, lasts)) = held else { return std::future::pending().await };
        loop {
            tokio::time::sleep(lasts / 3).await;
            if let Err(error) = orchestrator.take_task(task, lasts).await {
                tracing::debug!(task, %error, "lease of a task could not be renewed");
            }
        }
    };
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = keeping => {}
    }
    let _ = janitor.cast(JanitorMessage::Sweep);
}

/// Sweeps to the end, or until a dependency is away or another node sweeps.
async fn sweep(
    mut pass: Pass,
    mut counts: Counts,
    (task, lasts): (Task, Duration),
    orchestrator: &Orchestrator,
) -> Swept {
    let sweeping = async {
        loop {
            // Before each page: whoever lost its lease meanwhile has a successor.
            if task.is_for_one_node() && !orchestrator.take_task(task.name(), lasts).await? {
                return Ok(Ended::Elsewhere);
            }
            match pass.next_findings().await? {
                Some(findings) => hand_over(&findings, &mut counts, orchestrator).await,
                None => return Ok(Ended::Whole),
            }
        }
    };
    let ended = sweeping.await;
    Swept { pass, counts, ended }
}

/// Gives findings to their rooms' owners, all at once, and counts them.
async fn hand_over(findings: &[Finding], counts: &mut Counts, orchestrator: &Orchestrator) {
    let handing_over = findings.iter().map(|finding| orchestrator.hand_over(finding));
    for (finding, taken) in findings.iter().zip(join_all(handing_over).await) {
        let (task, egress) = (finding.task.name(), finding.egress.as_ref().map(ToString::to_string));
        let (room, reason) = (&finding.room, finding.verdict.reason());
        match (&finding.verdict, taken) {
            (_, Err(error)) => {
                counts.add_failed();
                tracing::warn!(task, room.id = %room, egress.id = egress, %error, "owner cannot be asked");
                continue;
            }
            (Verdict::HandOver(_), Ok(())) => {
                tracing::debug!(task, room.id = %room, egress.id = egress, reason, "handed over");
            }
            (Verdict::Unknown(_), Ok(())) => {
                tracing::warn!(task, room.id = %room, egress.id = egress, reason, "cannot be judged, kept");
            }
            (Verdict::Report(_), Ok(())) => {
                tracing::warn!(task, room.id = %room, egress.id = egress, reason, "somebody should look");
            }
            (Verdict::Keep(_), Ok(())) => {}
        }
        counts.add(finding);
    }
}

/// One line for a pass that found anything out of order; what is only kept is in order.
fn log_pass(task: &'static str, counts: Counts) {
    let Counts { found, handed_over, reported, kept, failed } = counts;
    for (result, count) in
        [("handed_over", handed_over), ("reported", reported), ("kept", kept), ("failed", failed)]
    {
        metrics::counter!("reelkeeper_swept_total", "task" => task, "result" => result)
            .increment(count as u64);
    }
    if handed_over + reported + failed > 0 {
        tracing::info!(task, found, handed_over, reported, kept, failed, "swept");
    } else if found > 0 {
        tracing::debug!(task, found, handed_over, reported, kept, failed, "swept");
    }
}

/// A chance duration from zero up to the longest, so that the janitors of many nodes do not sweep in step.
fn jitter(entropy: &dyn Entropy, longest: Duration) -> Duration {
    let drawn = entropy.draw();
    longest * u32::from(drawn[0]) / u32::from(u8::MAX)
}
