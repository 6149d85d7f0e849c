//! Does many things, so many at once, and measures them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use crate::Failure;
use crate::table::{Budget, Line};
use crate::usage::{Watched, Watching};

/// Nothing new begins after it.
const LIMIT: Duration = Duration::from_mins(1);

/// Adds up what several rounds measured.
pub struct Measured {
    watched: Watched,
    before_kb: Option<u64>,
    watching: Watching,
    times: Vec<Duration>,
    failed: usize,
    processor: Option<Duration>,
    /// From the first operation's begin to the last one's end, added up; no wait for quiet in it.
    working: Duration,
}

impl Measured {
    /// Nothing yet.
    pub fn of(watched: Watched) -> Self {
        Self {
            watched,
            before_kb: watched.memory_kb(),
            watching: Watching::begin(watched),
            times: Vec::new(),
            failed: 0,
            processor: Some(Duration::ZERO),
            working: Duration::ZERO,
        }
    }

    /// Does the operation for each of these, and waits until the server has nothing more to do. Returns what
    /// those that went well gave; the first failure is printed.
    pub async fn round<I, O, F>(
        &mut self,
        at_once: usize,
        of: Vec<I>,
        operation: impl Fn(I) -> F + Send + Sync + 'static,
    ) -> Vec<O>
    where
        I: Send + 'static,
        O: Send + 'static,
        F: Future<Output = Result<O, Failure>> + Send,
    {
        self.watched.quiet().await;
        let before = self.watched.processor_time();
        let begun = Instant::now();
        let (deadline, operation) = (begun + LIMIT, Arc::new(operation));
        let outcomes = futures::stream::iter(of)
            .take_while(|_| futures::future::ready(Instant::now() < deadline))
            .map(|item| {
                let operation = Arc::clone(&operation);
                tokio::spawn(async move {
                    let begun = Instant::now();
                    operation(item).await.map(|given| (begun.elapsed(), given))
                })
            })
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await;
        self.working += begun.elapsed();
        self.watched.quiet().await;
        let spent =
            self.watched.processor_time().zip(before).map(|(after, before)| after.saturating_sub(before));
        self.processor = self.processor.zip(spent).map(|(sum, spent)| sum + spent);
        self.take(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|broken| Err(broken.into()))))
    }

    fn take<O>(&mut self, outcomes: impl Iterator<Item = Result<(Duration, O), Failure>>) -> Vec<O> {
        let mut given = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok((time, good)) => {
                    self.times.push(time);
                    given.push(good);
                }
                Err(failure) => {
                    if self.failed == 0 {
                        eprintln!("went wrong: {failure}");
                    }
                    self.failed += 1;
                }
            }
        }
        given
    }

    /// How long the operations took together, from the first one's begin to the last one's end of each round.
    pub fn working(&self) -> Duration {
        self.working
    }

    /// The line of the table.
    pub fn line(self, what: &str, at_once: usize, budget: Budget) -> Line {
        let Self { watched, before_kb, watching, times, failed, processor, working } = self;
        let memory_kb = [before_kb, watching.most_kb(), watched.memory_kb()];
        Line { what: what.to_owned(), at_once, times, failed, working, processor, memory_kb, budget }
    }
}
