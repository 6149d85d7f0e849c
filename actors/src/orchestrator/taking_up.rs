//! Taking up what nobody looks after: at the start, and whenever a janitor found something.
//!
//! Owns the way from a finding to the room's owner. What a finding is, the janitors say; what follows from it,
//! the owner decides.

use std::sync::Arc;
use std::time::Duration;

use super::{Orchestrator, TakenUp};
use crate::janitors::{Ask, Finder, Finding, Janitors, Pass, Sweeps, Task, Verdict};
use crate::ports::PortError;
use crate::recording::rules::Rule;
use crate::room::commit::bounded;

impl Orchestrator {
    /// Takes up every room that an earlier run left unfinished, and every recording that is not over though
    /// no row holds it. Returns how many there were.
    ///
    /// # Errors
    /// When the store is away, or something in it cannot be read; what was found is taken up, and the janitors
    /// find the rest.
    pub async fn take_up(&self) -> Result<TakenUp, PortError> {
        // Nothing is judged by its age here.
        let finder = Arc::new(self.finder(Duration::ZERO));
        let rows = self.shared.world.policy.keeps(Rule::TakeUpRows);
        let rooms = if rows { self.take_up_all(&finder, Task::DueRows).await? } else { 0 };
        let recordings = self.take_up_all(&finder, Task::UnheldRecordings).await?;
        Ok(TakenUp { rooms, recordings })
    }

    async fn take_up_all(&self, finder: &Arc<Finder>, task: Task) -> Result<usize, PortError> {
        let mut pass = Pass::begin(finder.clone(), task);
        let (mut taken_up, mut unknown) = (0, None);
        while let Some(findings) = pass.next_findings().await? {
            for finding in findings {
                match &finding.verdict {
                    Verdict::HandOver(_) => {
                        taken_up += 1;
                        // Whether it is stored matters to nobody: until then it is found again.
                        let this = self.clone();
                        tokio::spawn(async move { this.hand_over(&finding).await });
                    }
                    Verdict::Keep(_) | Verdict::Report(_) => {}
                    Verdict::Unknown(why) => unknown = Some(format!("room '{}': {why}", finding.room)),
                }
            }
        }
        unknown.map_or(Ok(taken_up), |why| Err(PortError::unavailable("store", why)))
    }

    /// Starts the janitors; each sweeps at once, then by its interval.
    ///
    /// # Errors
    /// When an actor cannot be started.
    pub async fn start_janitors(&self, sweeps: Sweeps) -> Result<Janitors, ractor::SpawnErr> {
        let (finder, entropy) = (self.finder(sweeps.lock_grace), self.shared.world.entropy.clone());
        Janitors::start(self.clone(), finder, entropy, sweeps).await
    }

    fn finder(&self, lock_grace: Duration) -> Finder {
        Finder::of_node(&self.shared, &self.supervisor, lock_grace)
    }

    /// Takes, or keeps, a task's lease for this node. Returns whether it has it.
    ///
    /// # Errors
    /// When coordination is away: then nobody knows who sweeps.
    pub(crate) async fn take_task(&self, task: &str, lasts: Duration) -> Result<bool, PortError> {
        let world = &self.shared.world;
        bounded(&self.shared, world.coordination.take_task(task, &world.node, lasts)).await
    }

    /// Gives a janitor's finding to the room's owner, if it is to be given; returns when that is stored.
    ///
    /// # Errors
    /// When it could not be stored: it will be found again.
    pub(crate) async fn hand_over(&self, finding: &Finding) -> Result<(), PortError> {
        match finding.ask() {
            Some(Ask::Wake) => {
                self.wake(&finding.room);
                Ok(())
            }
            // A sweeper may have been suspended since it looked.
            Some(Ask::Tell(what)) => self.tell_anew(&finding.room, (**what).clone()).await,
            Some(Ask::MeetingIsOver(news)) => self.hear(&finding.room, news).await,
            Some(Ask::Expire(policy)) => self.expire_room(&finding.room, *policy).await,
            None => Ok(()),
        }
    }
}
