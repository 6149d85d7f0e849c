//! The words for outgoing webhooks that cannot be sent or found (contract `access.md` 6).

use axum::http::StatusCode;

use super::{Answer, Failure, name};

/// Why something about outgoing webhooks is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookFailure {
    /// The receiver did not take a test, or there is no key to sign it with.
    NotTaken(String),
    /// There is none with this id, in a state that allows it.
    Unknown(String),
}

impl From<WebhookFailure> for Failure {
    fn from(why: WebhookFailure) -> Self {
        Self::Webhook(why)
    }
}

impl WebhookFailure {
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::NotTaken(why) => {
                let message = format!("The webhook could not be sent: {why}");
                Answer::new(StatusCode::BAD_REQUEST, name::WEBHOOK, message)
            }
            Self::Unknown(id) => {
                Answer::new(StatusCode::NOT_FOUND, name::WEBHOOK, format!("Webhook '{id}' not found"))
            }
        }
    }
}
