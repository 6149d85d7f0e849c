//! Adapters: the ports of the core, spoken to real things.

pub mod livekit;
pub mod mp4_probe;
pub mod sqlite;
pub mod webhook_sender;
