//! Webhook sender: one attempt to deliver an outgoing webhook.

use async_trait::async_trait;

use super::outbox::Letter;

/// Why an attempt failed, for the log and for whoever looks at dead letters. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SendError(pub String);

/// Sends outgoing webhooks.
///
/// Demands: an attempt ends within a bounded time; only an answer of the receiver that says so (2xx) is a
/// success.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Sends a letter once, to the configured receiver.
    ///
    /// # Errors
    /// When the receiver did not say that it took it, or there is none.
    async fn send(&self, letter: &Letter) -> Result<(), SendError>;

    /// Sends a letter once, to this receiver.
    ///
    /// # Errors
    /// When the receiver did not say that it took it.
    async fn send_to(&self, receiver: &str, letter: &Letter) -> Result<(), SendError>;
}
