//! The core ring's janitors: the production actors over embedded stores and the simulated LiveKit, on a paused
//! clock. What a verdict is made of is in the tables beside each task; here it is whether sweeps come, survive
//! what fails, and bring about what they are for.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "janitors/outages.rs"]
mod outages;
#[path = "janitors/stage.rs"]
mod stage;
#[path = "janitors/stores.rs"]
mod stores;
#[path = "janitors/sweeps.rs"]
mod sweeps;
