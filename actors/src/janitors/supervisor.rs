//! The supervisor of a node's janitors.
//!
//! Owns that each task has its janitor: starts them, and starts fallen ones again with back-off. It never
//! fails upward: a janitor that keeps falling harms no recording, and is tried again at the longest pause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::oneshot;

use super::janitor::{Janitor, JanitorMessage, Start};
use super::{Finder, Observed, Sweeps, Task};
use crate::orchestrator::Orchestrator;
use crate::ports::clock::Entropy;
use crate::recording::policy::back_off;

/// First and longest pause before a fallen janitor is started again.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The janitors of a node, as whoever started them sees them.
pub struct Janitors {
    supervisor: ActorRef<SupervisorMessage>,
}

impl Janitors {
    /// Starts a janitor for each task; each sweeps at once.
    pub(crate) async fn start(
        orchestrator: Orchestrator,
        finder: Finder,
        entropy: Arc<dyn Entropy>,
        sweeps: Sweeps,
    ) -> Result<Self, SpawnErr> {
        let start = Made { sweeps, finder: Arc::new(finder), orchestrator, entropy };
        let (supervisor, _) = Actor::spawn(None, Supervisor, start).await?;
        Ok(Self { supervisor })
    }

    /// What a janitor shows; none while it is not there.
    pub async fn observe(&self, task: Task) -> Option<Observed> {
        let (reply, answer) = oneshot::channel();
        self.supervisor.cast(SupervisorMessage::Observe { task, reply }).ok()?;
        answer.await.ok()
    }

    /// Ends them. A pass under way ends too: whatever it did not hand over is found again by the next one.
    pub fn stop(&self) {
        self.supervisor.stop(Some("drained".to_owned()));
    }
}

enum SupervisorMessage {
    /// The pause of a fallen janitor is over.
    Restart(Task),
    Observe {
        task: Task,
        reply: oneshot::Sender<Observed>,
    },
}

impl ractor::Message for SupervisorMessage {}

/// What every janitor is made with.
struct Made {
    sweeps: Sweeps,
    finder: Arc<Finder>,
    orchestrator: Orchestrator,
    entropy: Arc<dyn Entropy>,
}

struct Supervisor;

struct SupervisorState {
    made: Made,
    janitors: BTreeMap<Task, ActorRef<JanitorMessage>>,
    /// Falls of each since the node was started.
    falls: BTreeMap<Task, u32>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Made;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        made: Made,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state = SupervisorState { made, janitors: BTreeMap::new(), falls: BTreeMap::new() };
        for task in Task::ALL {
            state.spawn(&myself, task).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Restart(task) => state.spawn(&myself, task).await?,
            SupervisorMessage::Observe { task, reply } => {
                if let Some(janitor) = state.janitors.get(&task) {
                    let _ = janitor.cast(JanitorMessage::Observe(reply));
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, _) => (cell, "it was stopped".to_owned()),
            _ => return Ok(()),
        };
        let fallen = state.janitors.iter().find(|(_, janitor)| janitor.get_id() == cell.get_id());
        let Some(task) = fallen.map(|(task, _)| *task) else { return Ok(()) };
        state.janitors.remove(&task);
        let falls = state.falls.entry(task).or_default();
        let pause = back_off(RESTART, *falls);
        *falls += 1;
        tracing::error!(
            task = task.name(),
            reason,
            falls,
            pause_ms = pause.as_millis(),
            "janitor fell, starting it again"
        );
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = myself.cast(SupervisorMessage::Restart(task));
        });
        Ok(())
    }
}

impl SupervisorState {
    async fn spawn(&mut self, myself: &ActorRef<SupervisorMessage>, task: Task) -> Result<(), SpawnErr> {
        let start = Start {
            task,
            interval: self.made.sweeps.interval(task),
            finder: self.made.finder.clone(),
            orchestrator: self.made.orchestrator.clone(),
            entropy: self.made.entropy.clone(),
        };
        let (janitor, _) = Actor::spawn_linked(None, Janitor, start, myself.get_cell()).await?;
        self.janitors.insert(task, janitor);
        Ok(())
    }
}
