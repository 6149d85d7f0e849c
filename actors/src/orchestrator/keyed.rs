//! Requests under an idempotency key: which command each of them is, and what it was answered before.
//!
//! Owns the way from a key to its command. Whether a command is begun is decided by the room's actor, which
//! looks it up once more: what is read here may be old by the time it gets there.

use super::{Command, Orchestrator, StartOptions, outcome};
use crate::ids::RecordingId;
use crate::meeting::Room;
use crate::ports::keys::{KeptCommand, ScopedKey};
use crate::recording::effect::{Answer, Refusal};
use crate::recording::event::Repeats;
use crate::recording::{Recording, Timestamp};

/// A request that came with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key, and what it is good for.
    pub key: ScopedKey,
    /// A digest of what is asked: whoever asks for something else under the same key is refused.
    pub digest: String,
}

impl KeyedRequest {
    fn check_against(&self, kept: &KeptCommand) -> Result<(), Refusal> {
        if kept.request == self.digest { Ok(()) } else { Err(Refusal::KeyTaken) }
    }
}

impl Orchestrator {
    /// What the request was answered before; none if it was not, so that it is to be carried out.
    ///
    /// # Errors
    /// The refusal to tell the client: the key was used for another request, or that cannot be found out.
    pub async fn answered_before(
        &self,
        asked: &KeyedRequest,
    ) -> Result<Option<Result<Recording, Refusal>>, Refusal> {
        let _admitted = self.admit()?;
        let kept = self.store(self.shared.world.keys.find(&asked.key)).await?;
        let Some(kept) = kept.filter(|kept| kept.entered >= self.oldest_key()) else { return Ok(None) };
        asked.check_against(&kept)?;
        Ok(kept.answer.map(outcome))
    }

    /// Starts a recording like [`Self::start`], once for all requests under this key.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn start_once(
        &self,
        asked: KeyedRequest,
        room: &Room,
        options: StartOptions,
    ) -> Result<Recording, Refusal> {
        let (this, room) = (self.clone(), room.clone());
        self.detached(async move {
            match this.enter(&asked).await? {
                Entered::Answered(answer) => outcome(answer),
                Entered::Command(command) => this.carry_out_start(&command, &room, options).await,
            }
        })
        .await
    }

    /// Stops a recording like [`Self::stop`], once for all requests under this key.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn stop_once(
        &self,
        asked: KeyedRequest,
        recording: &RecordingId,
    ) -> Result<Recording, Refusal> {
        let (this, recording) = (self.clone(), recording.clone());
        self.detached(async move {
            match this.enter(&asked).await? {
                Entered::Answered(answer) => outcome(answer),
                Entered::Command(command) => this.carry_out_stop(&command, &recording).await,
            }
        })
        .await
    }

    /// Forgets up to `limit` keys that are older than they are kept. Returns how many.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn forget_old_keys(&self, limit: usize) -> Result<usize, crate::ports::PortError> {
        self.shared.world.keys.forget_older(self.oldest_key(), limit).await
    }

    /// Finds the command of a key, or makes one. It is stored before anything is begun for it.
    async fn enter(&self, asked: &KeyedRequest) -> Result<Entered, Refusal> {
        let (world, fresh) = (&self.shared.world, self.fresh_command());
        let new = KeptCommand {
            command: fresh.id,
            request: asked.digest.clone(),
            entered: fresh.asked,
            answer: None,
        };
        let kept = self.store(world.keys.enter(&asked.key, &new, self.oldest_key())).await?;
        asked.check_against(&kept)?;
        Ok(match kept.answer {
            Some(answer) => Entered::Answered(answer),
            None => Entered::Command(Command {
                id: kept.command,
                repeats: Repeats::AsSameCommand,
                asked: fresh.asked,
            }),
        })
    }

    fn oldest_key(&self) -> Timestamp {
        let world = &self.shared.world;
        world.clock.now().minus(world.limits.key_retention)
    }
}

/// What stands under a key.
enum Entered {
    /// It was answered.
    Answered(Answer),
    /// It is to be carried out, unless it is under way.
    Command(Command),
}
