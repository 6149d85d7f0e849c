//! Accounts: who can log in.

use async_trait::async_trait;

use super::PortError;
use crate::access::user::User;

/// Stores users.
///
/// Demands: each call is atomic; what was stored is seen by the next read of any caller; every call ends
/// within a bounded time; a hash is never logged.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// A user by their name, letter case included.
    ///
    /// # Errors
    /// When the store is away, or what is stored cannot be read.
    async fn user(&self, username: &str) -> Result<Option<User>, PortError>;

    /// Stores a user unless there is one of that name. Returns whether they were stored.
    ///
    /// # Errors
    /// When the store is away.
    async fn insert_user(&self, user: &User) -> Result<bool, PortError>;

    /// Replaces the hash of a user's password if it is still `from`. Returns whether it was.
    ///
    /// # Errors
    /// When the store is away; it may have been replaced all the same.
    async fn change_password(&self, username: &str, from: &str, to: &str) -> Result<bool, PortError>;
}
