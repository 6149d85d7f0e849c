//! Adapters: the ports of the core, spoken to real things.

pub mod awaited;
pub mod blobs;
pub mod livekit;
pub mod mongo;
pub mod mp4_probe;
pub mod redis;
pub mod sqlite;
mod unreadable;
pub mod webhook_sender;
