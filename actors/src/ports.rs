//! The ports: what the core asks of the world, in its own words.
//!
//! Each port is one trait whose doc states its demands, with one small error. Adapters implement them:
//! `embedded/` here, everything that needs a service or an SDK in the root package. Every adapter of a
//! port passes the same suite (`ports/suite/`, feature `suites`).

pub mod accounts;
pub mod blobs;
pub mod catalog;
pub mod clock;
pub mod coordination;
pub mod inbox;
pub mod keys;
pub mod ledger;
pub mod media_probe;
pub mod media_server;
pub mod notifier;
pub mod outbox;
pub mod peers;
pub mod settings;
#[cfg(any(test, feature = "suites"))]
pub mod suite;
pub mod webhook_sender;

use std::fmt;

/// Why an adapter could not do what was asked. One kind for each thing a caller can do about it.
#[derive(Debug, thiserror::Error)]
#[error("{dependency} {kind}: {detail}")]
pub struct PortError {
    /// The dependency as operators know it: `store`, `coordination`, `blobs`, `livekit`.
    pub dependency: &'static str,
    /// What a caller can do about it.
    pub kind: PortErrorKind,
    /// What happened, in lower case, naming the id; never a secret.
    pub detail: String,
}

/// What a caller can do about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// It is away or too slow. Whether the call took effect is not known. A repeat may help.
    Unavailable,
    /// What is stored cannot be read. A repeat does not help.
    Corrupt,
    /// The adapter was used or configured wrongly. A repeat does not help.
    Misused,
}

impl PortErrorKind {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

impl fmt::Display for PortErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "is unavailable",
            Self::Corrupt => "holds something unreadable",
            Self::Misused => "refused the request",
        })
    }
}

impl PortError {
    /// The dependency is away or too slow.
    #[must_use]
    pub fn unavailable(dependency: &'static str, detail: impl fmt::Display) -> Self {
        Self { dependency, kind: PortErrorKind::Unavailable, detail: detail.to_string() }
    }

    /// Something stored cannot be read.
    #[must_use]
    pub fn corrupt(dependency: &'static str, detail: impl fmt::Display) -> Self {
        Self { dependency, kind: PortErrorKind::Corrupt, detail: detail.to_string() }
    }

    /// The adapter was used or configured wrongly.
    #[must_use]
    pub fn misused(dependency: &'static str, detail: impl fmt::Display) -> Self {
        Self { dependency, kind: PortErrorKind::Misused, detail: detail.to_string() }
    }
}
