//! Users in SQLite.

use async_trait::async_trait;
use reelkeeper_actors::access::user::User;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::catalog::{changed, read, written};
use super::connection::failed;

/// What errors are about: names of people do not belong into logs.
const SUBJECT: &str = "users";

const USER: &str = "SELECT password_hash, roles FROM users WHERE username = ?1";
const INSERT_USER: &str = "INSERT INTO users (username, password_hash, roles) VALUES (?1, ?2, ?3) ON CONFLICT (username) DO NOTHING";
const CHANGE_PASSWORD: &str =
    "UPDATE users SET password_hash = ?3 WHERE username = ?1 AND password_hash = ?2";

#[async_trait]
impl Accounts for SqliteStore {
    async fn user(&self, username: &str) -> Result<Option<User>, PortError> {
        let username = username.to_owned();
        self.query(&SUBJECT, move |connection| {
            let found = connection
                .prepare_cached(USER)
                .and_then(|mut statement| {
                    statement.query_row([&username], |row| <(String, String)>::try_from(row)).optional()
                })
                .map_err(|error| failed(&SUBJECT, &error))?;
            let Some((password_hash, roles)) = found else { return Ok(None) };
            Ok(Some(User { username, password_hash, roles: read(&SUBJECT, &roles)? }))
        })
        .await
    }

    async fn insert_user(&self, user: &User) -> Result<bool, PortError> {
        let (user, roles) = (user.clone(), written(&SUBJECT, &user.roles)?);
        self.commit(&SUBJECT, move |connection: &Connection| {
            let values = params![user.username, user.password_hash, roles];
            changed(connection, &SUBJECT, INSERT_USER, values)
        })
        .await
    }

    async fn change_password(&self, username: &str, from: &str, to: &str) -> Result<bool, PortError> {
        let [username, from, to] = [username, from, to].map(str::to_owned);
        self.commit(&SUBJECT, move |connection: &Connection| {
            changed(connection, &SUBJECT, CHANGE_PASSWORD, params![username, from, to])
        })
        .await
    }
}
