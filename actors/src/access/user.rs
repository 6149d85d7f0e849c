//! Users who log in (contract `access.md` 4).
//!
//! Owns what is stored of them and when an access token still stands for one. A token carries the mark of
//! the password that it was issued under, so a change of the password ends every older token, whoever
//! changed it and wherever.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Denied;

/// Shortest username that can log in, in characters.
pub const USERNAME_MIN: usize = 4;
/// Shortest password that can log in, in characters.
pub const PASSWORD_MIN: usize = 4;
/// Shortest new password, in characters.
pub const NEW_PASSWORD_MIN: usize = 5;

/// Hex characters of a hash that make its mark.
const MARK_LENGTH: usize = 16;

/// What a user may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Runs the whole installation.
    Admin,
    /// Is logged in.
    User,
    /// Another program.
    App,
}

/// Somebody who can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Unique.
    pub username: String,
    /// By bcrypt. Never logged, never returned.
    pub password_hash: String,
    /// What they may be.
    pub roles: Vec<UserRole>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("User");
        shown.field("username", &self.username).field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl User {
    /// The one account that a fresh installation has.
    #[must_use]
    pub fn first_admin(username: &str, password_hash: String) -> Self {
        let roles = vec![UserRole::Admin, UserRole::User];
        Self { username: username.to_owned(), password_hash, roles }
    }

    /// Names the password without telling anything of it: each hash has a salt of its own.
    #[must_use]
    pub fn password_mark(&self) -> String {
        let mut mark = format!("{:x}", Sha256::digest(self.password_hash.as_bytes()));
        mark.truncate(MARK_LENGTH);
        mark
    }
}

/// Whom an access or refresh token stands for, its signature, issuer and time being right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserToken {
    /// The username.
    pub username: String,
    /// [`User::password_mark`] when it was issued.
    pub password_mark: String,
}

impl UserToken {
    /// Whether the token still stands for this stored user. The roles are always the stored ones.
    ///
    /// # Errors
    /// [`Denied::UnknownUser`], or [`Denied::BadToken`] if the password was changed since.
    pub fn stands_for(&self, stored: Option<User>) -> Result<User, Denied> {
        let user = stored.filter(|user| user.username == self.username).ok_or(Denied::UnknownUser)?;
        if user.password_mark() == self.password_mark { Ok(user) } else { Err(Denied::BadToken) }
    }
}

/// The user, if they have this role.
///
/// # Errors
/// [`Denied::NotPermitted`].
pub fn with_role(user: User, role: UserRole) -> Result<User, Denied> {
    if user.roles.contains(&role) { Ok(user) } else { Err(Denied::NotPermitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(hash: &str) -> User {
        User::first_admin("admin", hash.to_owned())
    }

    #[test]
    fn a_token_stands_for_its_user_until_the_password_changes() {
        let token = UserToken { username: "admin".to_owned(), password_mark: user("old").password_mark() };
        let table = [
            (Some(user("old")), Ok(user("old"))),
            (Some(user("new")), Err(Denied::BadToken)),
            (Some(User { username: "Admin".to_owned(), ..user("old") }), Err(Denied::UnknownUser)),
            (None, Err(Denied::UnknownUser)),
        ];
        for (stored, expected) in table {
            assert_eq!(token.stands_for(stored.clone()), expected, "{stored:?}");
        }
    }

    #[test]
    fn a_role_is_had_or_not() {
        let app = User { roles: vec![UserRole::App], ..user("x") };
        let table = [
            (user("x"), UserRole::Admin, true),
            (user("x"), UserRole::User, true),
            (user("x"), UserRole::App, false),
            (app, UserRole::Admin, false),
        ];
        for (user, role, has) in table {
            assert_eq!(with_role(user.clone(), role).is_ok(), has, "{user:?} {role:?}");
        }
    }

    #[test]
    fn what_is_printed_holds_no_hash() {
        let shown = format!("{:?}", user("$2b$10$hush"));
        assert!(shown.contains("admin") && !shown.contains("hush"), "{shown}");
        assert_eq!(user("a").password_mark(), "ca978112ca1bbdca", "the beginning of its SHA-256");
    }
}
