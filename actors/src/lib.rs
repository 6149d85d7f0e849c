//! The core of Reelkeeper: decisions, ports, embedded adapters and actors.
//!
//! Reading order: [`ids`], [`recording`] (the pure lifecycle), [`ports`], then `room` (the actor that
//! carries decisions out), `orchestrator` (the front door) and `janitors` (what looks for what was left behind). `ARCHITECTURE.md` beside this crate's
//! `Cargo.toml` has the picture.

#![forbid(unsafe_code)]

pub mod access;
pub mod cluster;
pub mod embedded;
pub mod ids;
pub mod janitors;
pub mod meeting;
pub mod number;
pub mod orchestrator;
pub mod outbox;
pub mod ports;
pub mod recording;
pub mod room;
pub mod settings;
pub mod simulator;
