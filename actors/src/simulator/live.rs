//! A world on a clock.
//!
//! Owns waiting: delays and holds of calls, the time until something happens by itself, the writing of
//! files. It works on tokio's time, so on a paused runtime a test moves it. It decides nothing: what is to
//! be waited for, the world says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::World;
use super::calls::{Plan, Refusal, Reply, Request, Worked};
use super::egress::FileToWrite;
use super::faults::CallTrouble;
use super::log::{CallId, CallOutcome, Release};
use super::webhooks::Webhook;
use crate::ids::EgressId;
use crate::ports::blobs::Blobs;
use crate::ports::clock::Clock;

/// Longest that a call is held, or left without an answer, before its connection is broken.
const PATIENCE: Duration = Duration::from_mins(10);

/// A world on a clock, for everybody who talks to it.
pub struct LiveWorld {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    changed: Notify,
}

/// How a call went on its way to the caller.
enum Carried {
    Answered(Result<Reply, Refusal>),
    /// The connection is to be broken.
    Lost,
    /// No answer, and no end either.
    Hangs,
}

impl LiveWorld {
    /// Puts a world on a clock.
    #[must_use]
    pub fn new(world: World, clock: Arc<dyn Clock>) -> Arc<Self> {
        let live = Self { world: Mutex::new(world), clock, changed: Notify::new() };
        live.with(|_| ());
        Arc::new(live)
    }

    /// Looks at the world, or changes it, as it is now.
    pub fn with<R>(&self, look: impl FnOnce(&mut World) -> R) -> R {
        let seen = look(self.lock().at(self.clock.now()));
        self.changed.notify_waiters();
        seen
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic in a test's closure must not hide what the test says about it.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a call through: its faults, its work, its answer. None when the connection is to be broken
    /// without one. A caller that goes away does not undo the call: LiveKit works on what it received.
    pub async fn call(self: &Arc<Self>, request: Request) -> Option<Result<Reply, Refusal>> {
        let live = Arc::clone(self);
        let carried = tokio::spawn(async move { live.carry(request).await }).await;
        match carried {
            Ok(Carried::Answered(answer)) => Some(answer),
            Ok(Carried::Lost) | Err(_) => None,
            Ok(Carried::Hangs) => {
                sleep(PATIENCE).await;
                None
            }
        }
    }

    async fn carry(&self, request: Request) -> Carried {
        let plan = self.with(|world| world.receive(&request));
        let carried = self.carry_out(&plan, request).await;
        let outcome = match &carried {
            Carried::Answered(Ok(_)) => CallOutcome::Answered,
            Carried::Answered(Err(refusal)) => CallOutcome::Refused(refusal.clone()),
            Carried::Lost | Carried::Hangs => CallOutcome::Lost,
        };
        self.with(|world| world.finish(plan.call, outcome));
        carried
    }

    async fn carry_out(&self, plan: &Plan, request: Request) -> Carried {
        let faults = &plan.faults;
        if faults.has(&CallTrouble::Hold) && self.held(plan.call).await == Release::Drop {
            return Carried::Lost;
        }
        sleep(plan.usual_delay + faults.delay()).await;
        if faults.has(&CallTrouble::Cut) {
            return Carried::Lost;
        }
        if faults.has(&CallTrouble::Hang) {
            return Carried::Hangs;
        }
        let answer = loop {
            match self.with(|world| world.work(plan, request.clone())) {
                Worked::Answer(answer) => break answer,
                Worked::After(wait, refusal) => {
                    sleep(wait).await;
                    break Err(refusal);
                }
                Worked::Again(wait) => sleep(wait).await,
                Worked::Hang => return Carried::Hangs,
            }
        };
        if faults.has(&CallTrouble::HoldAnswer) && self.held(plan.call).await == Release::Drop {
            return Carried::Lost;
        }
        sleep(plan.usual_delay_of_answer + faults.delay_answer()).await;
        if faults.has(&CallTrouble::HangAnswer) {
            return Carried::Hangs;
        }
        if faults.has(&CallTrouble::AnswerLost) {
            return Carried::Lost;
        }
        Carried::Answered(answer)
    }

    async fn held(&self, call: CallId) -> Release {
        self.with(|world| world.hold(call));
        let released = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(release) = self.lock().release_of(call) {
                    return release;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, released).await.unwrap_or(Release::Drop)
    }

    /// Lets time pass for the world until dropped: writes its files, and hands out its webhooks in order.
    /// Without a blob store every file counts as written.
    pub async fn pump(&self, blobs: Option<Arc<dyn Blobs>>, mut deliver: impl FnMut(Webhook)) {
        let mut writing = JoinSet::new();
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = self.clock.now();
            let (outputs, next) = {
                let mut world = self.lock();
                (world.advance(now), world.next_due())
            };
            for file in outputs.files {
                writing.spawn(write(blobs.clone(), file));
            }
            outputs.webhooks.into_iter().for_each(&mut deliver);
            let due = async {
                match next {
                    Some(at) => sleep(at.since(now)).await,
                    None => std::future::pending().await,
                }
            };
            // In order, since chance would make two runs of the same history differ.
            tokio::select! {
                biased;
                () = changed => {}
                () = due => {}
                Some(Ok((egress, result))) = writing.join_next() => {
                    self.with(|world| world.file_written(&egress, result));
                }
            }
        }
    }
}

async fn write(blobs: Option<Arc<dyn Blobs>>, file: FileToWrite) -> (EgressId, Result<(), String>) {
    let result = match blobs {
        Some(blobs) => blobs.put(&file.key, file.content).await.map_err(|error| error.to_string()),
        None => Ok(()),
    };
    (file.egress, result)
}
