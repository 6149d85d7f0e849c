//! What every adapter of [`Settings`] must do.

use futures::future::join_all;

use super::fresh;
use crate::ports::settings::Settings;
use crate::settings::{GlobalSettings, Security, SettingsChange, Webhooks};

/// How many at once.
const CROWD: usize = 8;

/// Runs every case. Wants a store whose settings nobody else uses; they are another project's afterwards.
pub async fn settings(settings: &dyn Settings) {
    let project = fresh();
    let webhooks = |url: Option<&str>| Webhooks { enabled: true, url: url.map(str::to_owned) };
    let first = GlobalSettings::first(&project, webhooks(Some("https://a.example")));
    let crowd = join_all((0..CROWD).map(|_| settings.insert_first_settings(&first))).await;
    let stored = crowd.into_iter().filter(|stored| *stored.as_ref().expect("insert")).count();
    assert_eq!(stored, 1, "of many at once one stores them");
    assert_eq!(settings.settings().await.expect("read").as_ref(), Some(&first));

    let other = GlobalSettings::first(&project, webhooks(None));
    assert!(!settings.insert_first_settings(&other).await.expect("insert"), "those of the same project stay");
    let mut expected = first.clone();
    let mut security: Security = first.security_config.clone();
    security.authentication.auth_mode_to_access_room = crate::settings::AuthMode::AllUsers;
    for change in [SettingsChange::Security(security), SettingsChange::Webhooks(webhooks(None))] {
        expected.change(&change);
        let changed = settings.change_settings(&change).await.expect("change");
        assert_eq!(changed.as_ref(), Some(&expected), "{change:?}");
        assert_eq!(settings.settings().await.expect("read").as_ref(), Some(&expected), "{change:?}");
    }
    let another = GlobalSettings::first(&fresh(), webhooks(None));
    assert!(
        settings.insert_first_settings(&another).await.expect("insert"),
        "another project\'s are replaced"
    );
    assert_eq!(settings.settings().await.expect("read"), Some(another));
}
