//! What the service tells operators about itself.
//!
//! Owns how logs look and where they go, and what is counted. What is logged is decided where a failure is handled. Read
//! `telemetry/logs.rs` next.

mod logs;
pub mod metrics;

pub use self::logs::{LogFormat, TelemetryError, check_filter, init};
