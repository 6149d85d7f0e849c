//! Adapters: the ports of the core, spoken to real things.

pub mod livekit;
pub mod sqlite;
