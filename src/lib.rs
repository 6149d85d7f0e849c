//! Reelkeeper, the service: adapters, HTTP and commands around the core in `reelkeeper-actors`.
//!
//! Reading order: [`app`] joins the parts, [`http`] has all routes on one screen, [`adapters`] translate.

#![forbid(unsafe_code)]

pub mod adapters;
pub mod app;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod http;
pub mod simulator;
pub mod telemetry;
