//! The core ring's cluster: several nodes in one process, over shared embedded stores, the simulated LiveKit and a
//! network between them that can be cut, on a paused clock.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "cluster/owners.rs"]
mod owners;
#[path = "cluster/stage.rs"]
mod stage;
