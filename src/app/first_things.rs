//! What a fresh installation begins with (contract `access.md` 4): the global configuration, the first admin and the
//! first API key.
//!
//! Owns their making, once, and the warning while the admin's password is the one from the configuration. The global
//! configuration is stored last, so that it stands for all of them: whoever finds it makes nothing, and an API key that
//! was deleted stays deleted. Later changes of the options have no effect, as in the original.

use std::sync::Arc;

use reelkeeper_actors::access::user::{PASSWORD_MIN, USERNAME_MIN, User};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog};
use reelkeeper_actors::ports::clock::{Clock, SystemClock};
use reelkeeper_actors::settings::{GlobalSettings, Webhooks};

use super::parts::Stores;
use crate::config::{Config, InitialAdmin, Secret};
use crate::http::passwords::{Compared, Passwords};

/// Makes what is not there yet. Repeatable: whatever stopped it is made good by the next try.
pub(super) async fn prepare(
    stores: &Stores,
    passwords: &Passwords,
    config: &Config,
) -> Result<(), PortError> {
    let first = first_settings(config);
    match stores.settings.settings().await? {
        Some(kept) if kept.project_id == first.project_id => {
            warn_of_what_has_no_effect(&*stores.catalog, config, &kept).await
        }
        _ => {
            make_first_admin(&*stores.accounts, passwords, &config.initial_admin).await?;
            make_first_api_key(&*stores.catalog, config.initial_api_key.as_ref()).await?;
            if stores.settings.insert_first_settings(&first).await? {
                tracing::info!("stored the first global configuration");
            }
            Ok(())
        }
    }
}

fn first_settings(config: &Config) -> GlobalSettings {
    let webhooks = Webhooks {
        // Without a key there is nothing to sign with.
        enabled: config.webhooks.initial_enabled && config.initial_api_key.is_some(),
        url: Some(config.webhooks.initial_url.clone().unwrap_or_default()),
    };
    GlobalSettings::first(&config.name_id, webhooks)
}

async fn warn_of_what_has_no_effect(
    catalog: &dyn Catalog,
    config: &Config,
    stored: &GlobalSettings,
) -> Result<(), PortError> {
    let url = config.webhooks.initial_url.as_deref();
    if url.is_some() && url != stored.webhooks_config.url.as_deref() {
        tracing::warn!("webhooks.initial_url has no effect: the store has another one, set it over the API");
    }
    if stored.receiver().is_some() && config.base_url.is_none() {
        tracing::warn!(
            "base_url is not set: until somebody manages rooms here, notices about meetings tell of http://localhost"
        );
    }
    let Some(key) = &config.initial_api_key else { return Ok(()) };
    if catalog.api_keys().await?.iter().all(|stored| stored.key != key.expose()) {
        tracing::warn!("initial_api_key has no effect: this is not the first start, make a key over the API");
    }
    Ok(())
}

async fn make_first_api_key(catalog: &dyn Catalog, key: Option<&Secret>) -> Result<(), PortError> {
    let Some(key) = key else { return Ok(()) };
    let key = ApiKey { key: key.expose().to_owned(), creation_date: SystemClock.now().0 };
    if catalog.insert_first_api_key(&key).await? {
        tracing::info!("stored the initial API key");
    }
    Ok(())
}

async fn make_first_admin(
    accounts: &dyn Accounts,
    passwords: &Passwords,
    initial: &InitialAdmin,
) -> Result<(), PortError> {
    let (username, password) = (initial.username.as_str(), initial.password.expose());
    if accounts.user(username).await?.is_none() {
        let hash = passwords.hash(password.to_owned()).await?;
        if accounts.insert_user(&User::first_admin(username, hash)).await? {
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

    #[tokio::test]
    async fn an_admin_who_is_there_stays() {
        let (store, passwords) = (MemoryStore::new(), Passwords::default());
        for password in ["first", "second"] {
            let initial = InitialAdmin { username: "admin".to_owned(), password: Secret::new(password) };
            make_first_admin(&store, &passwords, &initial).await.unwrap();
        }
        let hash = store.user("admin").await.unwrap().map(|user| user.password_hash);
        let compared = passwords.compare("first".to_owned(), hash).await.unwrap();
        assert_eq!(compared, Compared::Same, "later changes of the options have no effect");
    }
}
