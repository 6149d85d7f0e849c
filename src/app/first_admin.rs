//! The account of a fresh installation (contract `access.md` 4).
//!
//! Owns its making, once, and the warning while its password is the one from the configuration. Later
//! changes of the options have no effect, as in the original.

use std::sync::Arc;

use reelkeeper_actors::access::user::{PASSWORD_MIN, USERNAME_MIN, User};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;

use crate::config::InitialAdmin;
use crate::http::passwords::{Compared, Passwords};

/// Makes the first admin if there is no user yet; returns once they can log in.
pub(super) async fn keep(
    accounts: &Arc<dyn Accounts>,
    passwords: &Passwords,
    initial: &InitialAdmin,
) -> Result<(), PortError> {
    let (username, password) = (initial.username.as_str(), initial.password.expose());
    if accounts.user(username).await?.is_none() {
        let hash = passwords.hash(password.to_owned()).await?;
        if accounts.insert_first_user(&User::first_admin(username, hash)).await? {
            tracing::info!(user.name = username, "made the first admin");
            warn_of_what_is_too_short(username, password);
        }
    }
    Ok(())
}

/// Says if the password is still the one from the configuration. That takes a hash, so nobody should wait for it.
pub(super) async fn warn_of_initial_password(
    accounts: Arc<dyn Accounts>,
    passwords: Passwords,
    initial: InitialAdmin,
) {
    let stored = accounts.user(&initial.username).await.ok().flatten();
    let Some(hash) = stored.map(|user| user.password_hash) else { return };
    let compared = passwords.compare(initial.password.expose().to_owned(), Some(hash)).await;
    if matches!(compared, Ok(Compared::Same)) {
        let username = &initial.username;
        tracing::warn!(
            user.name = username,
            "the password is still the one from the configuration; change it"
        );
    }
}

fn warn_of_what_is_too_short(username: &str, password: &str) {
    let length = |text: &str| text.encode_utf16().count();
    if length(username) < USERNAME_MIN || length(password) < PASSWORD_MIN {
        tracing::warn!(
            username_min = USERNAME_MIN,
            password_min = PASSWORD_MIN,
            "the first admin can never log in: the username or the password is too short"
        );
    }
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::embedded::MemoryStore;

    use super::*;
    use crate::config::Secret;

    fn initial(username: &str, password: &str) -> InitialAdmin {
        InitialAdmin { username: username.to_owned(), password: Secret::new(password) }
    }

    #[tokio::test]
    async fn only_a_fresh_installation_gets_an_admin() {
        let (store, passwords): (Arc<dyn Accounts>, _) = (Arc::new(MemoryStore::new()), Passwords::default());
        keep(&store, &passwords, &initial("admin", "first")).await.unwrap();
        keep(&store, &passwords, &initial("admin", "second")).await.unwrap();
        keep(&store, &passwords, &initial("another", "third")).await.unwrap();
        assert_eq!(store.user("another").await.unwrap(), None);
        let hash = store.user("admin").await.unwrap().map(|user| user.password_hash);
        let compared = passwords.compare("first".to_owned(), hash).await.unwrap();
        assert_eq!(compared, Compared::Same, "later changes of the options have no effect");
    }
}
