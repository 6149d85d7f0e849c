//! Meet's global configuration (contract `access.md` 6, `storage.md` 1.3).
//!
//! Owns its shape, its first values and how a change is merged into it. Pure.

use serde::{Deserialize, Serialize};

use crate::access::permission::Role;

/// The one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalSettings {
    /// Which installation it belongs to.
    pub project_id: String,
    /// Who must log in.
    pub security_config: Security,
    /// Where outgoing webhooks go.
    pub webhooks_config: Webhooks,
    /// How rooms look.
    pub rooms_config: Rooms,
}

/// Who must log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// The only thing there is to say of it.
    pub authentication: Authentication,
}

/// How and when users log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// How.
    pub auth_method: AuthMethod,
    /// Who must be logged in to become a member of a room.
    pub auth_mode_to_access_room: AuthMode,
}

/// How users log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// There is one way.
    pub r#type: AuthMethodType,
}

/// The one way of logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethodType {
    /// There is one account.
    SingleUser,
}

/// Who must be logged in to become a member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Nobody: a secret is enough.
    None,
    /// Whoever comes with a moderator's secret.
    ModeratorsOnly,
    /// Everybody.
    AllUsers,
}

/// Where outgoing webhooks go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhooks {
    /// Whether any are sent.
    pub enabled: bool,
    /// Their receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How rooms look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rooms {
    /// Colours.
    #[serde(default)]
    pub appearance: Appearance,
}

/// Colours of rooms.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Appearance {
    /// None, or one.
    #[serde(default)]
    pub themes: Vec<Theme>,
}

/// Colours. Each is `#` and 3, 4, 6 or 8 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the contract's own names")]
pub struct Theme {
    pub name: String,
    pub enabled: bool,
    pub base_theme: BaseTheme,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface_color: Option<String>,
}

/// What a theme begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the contract's own names")]
pub enum BaseTheme {
    Light,
    Dark,
}

/// What a client wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsChange {
    /// Who must log in.
    Security(Security),
    /// Where outgoing webhooks go; a URL that is left out stays.
    Webhooks(Webhooks),
    /// How rooms look; colours that are left out stay.
    Theme(Box<Theme>),
}

impl GlobalSettings {
    /// Those of a fresh installation.
    #[must_use]
    pub fn first(project_id: &str, webhooks: Webhooks) -> Self {
        let auth_method = AuthMethod { r#type: AuthMethodType::SingleUser };
        let authentication = Authentication { auth_method, auth_mode_to_access_room: AuthMode::None };
        Self {
            project_id: project_id.to_owned(),
            security_config: Security { authentication },
            webhooks_config: webhooks,
            rooms_config: Rooms::default(),
        }
    }

    /// Takes a client's change in.
    pub fn change(&mut self, change: &SettingsChange) {
        match change {
            SettingsChange::Security(security) => self.security_config = security.clone(),
            SettingsChange::Webhooks(Webhooks { enabled, url }) => {
                let url = url.clone().or_else(|| self.webhooks_config.url.take());
                self.webhooks_config = Webhooks { enabled: *enabled, url };
            }
            SettingsChange::Theme(theme) => {
                let themes = &mut self.rooms_config.appearance.themes;
                let before = std::mem::take(themes).into_iter().next();
                themes.push((**theme).clone().over(before));
            }
        }
    }

    /// Whether whoever comes with this role's secret must be logged in.
    #[must_use]
    pub fn asks_for_login(&self, role: Role) -> bool {
        match self.security_config.authentication.auth_mode_to_access_room {
            AuthMode::None => false,
            AuthMode::ModeratorsOnly => role == Role::Moderator,
            AuthMode::AllUsers => true,
        }
    }

    /// Where outgoing webhooks go, if any are sent.
    #[must_use]
    pub fn receiver(&self) -> Option<&str> {
        let Webhooks { enabled, url } = &self.webhooks_config;
        url.as_deref().filter(|url| *enabled && !url.is_empty())
    }
}

impl Theme {
    fn over(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            background_color: self.background_color.or(before.background_color),
            primary_color: self.primary_color.or(before.primary_color),
            secondary_color: self.secondary_color.or(before.secondary_color),
            accent_color: self.accent_color.or(before.accent_color),
            surface_color: self.surface_color.or(before.surface_color),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first() -> GlobalSettings {
        GlobalSettings::first("meet", Webhooks { enabled: true, url: Some("https://a.example".to_owned()) })
    }

    #[test]
    fn the_first_values_are_the_contracts() {
        let expected = json!({
            "projectId": "meet",
            "securityConfig": {"authentication": {"authMethod": {"type": "single_user"}, "authModeToAccessRoom": "none"}},
            "webhooksConfig": {"enabled": true, "url": "https://a.example"},
            "roomsConfig": {"appearance": {"themes": []}},
        });
        assert_eq!(serde_json::to_value(first()).unwrap(), expected);
    }

    #[test]
    fn what_is_left_out_of_a_change_stays() {
        let mut settings = first();
        settings.change(&SettingsChange::Webhooks(Webhooks { enabled: false, url: None }));
        assert_eq!(
            (settings.webhooks_config.url.as_deref(), settings.receiver()),
            (Some("https://a.example"), None)
        );
        let theme = |name: &str, accent: Option<&str>| Theme {
            name: name.to_owned(),
            enabled: true,
            base_theme: BaseTheme::Dark,
            background_color: None,
            primary_color: None,
            secondary_color: None,
            accent_color: accent.map(str::to_owned),
            surface_color: None,
        };
        for theme in [theme("a", Some("#fff")), theme("b", None)] {
            settings.change(&SettingsChange::Theme(Box::new(theme)));
        }
        assert_eq!(settings.rooms_config.appearance.themes, [theme("b", Some("#fff"))]);
    }
}
