//! A pass: one sweep of a task over everything there is.
//!
//! Owns pages, batches and where a pass goes on after an outage. A failure of one candidate is its own: it
//! ends a pass only if the dependency does not answer anything else either.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::join_all;

use super::finder::{Candidate, Finder, Place};
use super::{Finding, Task, Verdict};
use crate::ports::PortError;

/// Candidates that are judged, and handed over, at the same time (contract `recordings.md` 8).
const BATCH: usize = 10;

/// One sweep, and how far it has come.
pub struct Pass {
    finder: Arc<Finder>,
    task: Task,
    page: VecDeque<Candidate>,
    is_last_page: bool,
    after: Option<Place>,
}

impl Pass {
    /// A pass from the beginning.
    #[must_use]
    pub fn begin(finder: Arc<Finder>, task: Task) -> Self {
        Self { finder, task, page: VecDeque::new(), is_last_page: false, after: None }
    }

    /// The findings of the next candidates; none when there are no more candidates. No findings among them
    /// means nothing: the next ones may bring some.
    ///
    /// # Errors
    /// When a dependency is away. The next call then goes on after the last findings, with fresh candidates.
    pub async fn next_findings(&mut self) -> Result<Option<Vec<Finding>>, PortError> {
        if self.page.is_empty() && !self.is_last_page {
            let page = self.finder.page(self.task, self.after.as_ref()).await?;
            (self.page, self.is_last_page) = (page.candidates.into(), page.is_last);
        }
        let batch: Vec<Candidate> = self.page.drain(..self.page.len().min(BATCH)).collect();
        let Some(last) = batch.last().map(Candidate::place) else { return Ok(None) };
        let judging = batch.into_iter().map(|candidate| self.finder.judge(self.task, candidate));
        let findings: Vec<Finding> = join_all(judging).await.into_iter().flatten().collect();
        if findings.iter().any(|finding| matches!(finding.verdict, Verdict::Unknown(_)))
            && let Err(away) = self.finder.check(self.task).await
        {
            // What waits here may be long over when the dependency is back.
            (self.page, self.is_last_page) = (VecDeque::new(), false);
            return Err(away);
        }
        self.after = Some(last);
        Ok(Some(findings))
    }
}
