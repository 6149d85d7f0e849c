//! The front door (interface only for now; bodies follow).

use crate::ids::RecordingId;
use crate::meeting::Room;
use crate::ports::PortError;
use crate::ports::media_server::LiveKitEvent;
use crate::recording::Recording;
use crate::recording::effect::Refusal;
use crate::recording::encoding::{Encoding, Layout};

/// What a client wants recorded differently from the room's configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartOptions {
    /// Instead of the room's layout.
    pub layout: Option<Layout>,
    /// Instead of the room's encoding.
    pub encoding: Option<Encoding>,
}

/// The front door: finds the room's actor and hands requests and news to it.
#[derive(Clone)]
pub struct Orchestrator {}

#[allow(clippy::unused_async, missing_docs, reason = "interface only")]
impl Orchestrator {
    /// Starts a recording; answers when it runs, or why it does not.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn start(&self, _room: &Room, _options: StartOptions) -> Result<Recording, Refusal> {
        unimplemented!()
    }
    /// Stops a recording. The room must exist and allow recording; the caller has checked that.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn stop(&self, _recording: &RecordingId) -> Result<Recording, Refusal> {
        unimplemented!()
    }
    /// Deletes a finished recording: its file, then its document.
    ///
    /// # Errors
    /// The refusal to tell the client.
    pub async fn delete(&self, _recording: &RecordingId) -> Result<(), Refusal> {
        unimplemented!()
    }
    /// Hands an incoming webhook to the room's owner; returns when it is stored, or needs not be.
    ///
    /// # Errors
    /// When it could not be stored: LiveKit should try again.
    pub async fn livekit_event(&self, _event: LiveKitEvent) -> Result<(), PortError> {
        unimplemented!()
    }
    /// Whether this node is about to leave.
    pub fn is_draining(&self) -> bool {
        false
    }
}
