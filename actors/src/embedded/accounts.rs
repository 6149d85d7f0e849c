//! Users in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{MemoryStore, lock};
use crate::access::user::User;
use crate::ports::PortError;
use crate::ports::accounts::Accounts;

/// By their names.
pub(super) type Users = BTreeMap<String, User>;

#[async_trait]
impl Accounts for MemoryStore {
    async fn user(&self, username: &str) -> Result<Option<User>, PortError> {
        Ok(lock(&self.users).get(username).cloned())
    }

    async fn insert_user(&self, user: &User) -> Result<bool, PortError> {
        let mut users = lock(&self.users);
        if users.contains_key(&user.username) {
            return Ok(false);
        }
        users.insert(user.username.clone(), user.clone());
        Ok(true)
    }

    async fn change_password(&self, username: &str, from: &str, to: &str) -> Result<bool, PortError> {
        let mut users = lock(&self.users);
        match users.get_mut(username) {
            Some(user) if user.password_hash == from => {
                to.clone_into(&mut user.password_hash);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
