//! The suites that every adapter of a port must pass.
//!
//! Owns what a port's doc demands, as cases that panic where a demand is not met. A suite may run against
//! a store that others use: each case draws its own ids, asserts about those only, and removes what it
//! made. Never waits without a deadline. Read the traits in the modules beside this one first.

mod accounts;
mod blobs;
mod catalog;
mod coordination;
mod inbox;
mod keys;
mod ledger;
mod outbox;
mod settings;

pub use self::accounts::accounts;
pub use self::blobs::blobs;
pub use self::catalog::{catalog, recording};
pub use self::coordination::coordination;
pub use self::inbox::inbox;
pub use self::keys::keys;
pub use self::ledger::ledger;
pub use self::outbox::outbox;
pub use self::settings::settings;

use crate::ids::RoomId;

/// A text nobody else uses.
fn fresh() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A room nobody else uses.
fn fresh_room() -> RoomId {
    RoomId::from_trusted(format!("suite-{}", fresh()))
}
