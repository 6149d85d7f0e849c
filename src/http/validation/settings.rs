//! What requests about the global configuration may hold (contract `access.md` 6).

use reelkeeper_actors::settings::{
    AuthMethod, AuthMethodType, AuthMode, Authentication, BaseTheme, Security, Theme, Webhooks,
};
use reqwest::Url;
use serde_json::Value;

use super::{Faults, Field, Object};
use crate::http::error::Failure;

/// Longest name of a theme.
const NAME_MAX: usize = 50;

/// Reads `{enabled, url?}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn webhooks(body: &Value) -> Result<Webhooks, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body).object(&mut faults).and_then(|body| {
        let enabled = body.required("enabled").boolean(&mut faults);
        let url = body.optional("url").and_then(|field| receiver(&field, &mut faults));
        if enabled == Some(true) && body.optional("url").is_none() {
            faults.add("url", "URL is required when webhooks are enabled");
        }
        Some(Webhooks { enabled: enabled?, url })
    });
    faults.finish(read)
}

/// Reads `{url}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn webhook_test(body: &Value) -> Result<String, Failure> {
    let mut faults = Faults::default();
    let body = Field::body(body).object(&mut faults);
    let read = body.and_then(|body| receiver(&body.required("url"), &mut faults));
    faults.finish(read)
}

fn receiver(field: &Field<'_>, faults: &mut Faults) -> Option<String> {
    let text = field.text(faults)?;
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(text.to_owned()),
        Ok(_) => {
            faults.add(field.path(), "URL must start with http:// or https://");
            None
        }
        Err(_) => {
            faults.add(field.path(), "Invalid url");
            None
        }
    }
}

/// Reads `{authentication: {authMethod: {type}, authModeToAccessRoom}}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn security(body: &Value) -> Result<Security, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body)
        .object(&mut faults)
        .and_then(|body| body.required("authentication").object(&mut faults))
        .and_then(|authentication| {
            let method = authentication.required("authMethod").object(&mut faults);
            let method =
                method.and_then(|method| method.required("type").one_of(&["single_user"], &mut faults));
            let modes = ["none", "moderators_only", "all_users"];
            let mode = authentication.required("authModeToAccessRoom").one_of(&modes, &mut faults);
            method?;
            let auth_mode_to_access_room = match mode? {
                "moderators_only" => AuthMode::ModeratorsOnly,
                "all_users" => AuthMode::AllUsers,
                _ => AuthMode::None,
            };
            let auth_method = AuthMethod { r#type: AuthMethodType::SingleUser };
            Some(Security { authentication: Authentication { auth_method, auth_mode_to_access_room } })
        });
    faults.finish(read)
}

/// Reads `{appearance: {themes: [one theme]}}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn appearance(body: &Value) -> Result<Theme, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body)
        .object(&mut faults)
        .and_then(|body| body.required("appearance").object(&mut faults))
        .and_then(|appearance| {
            let field = appearance.required("themes");
            let items = field.items(&mut faults)?;
            if items.len() != 1 {
                faults.add(field.path(), "There must be exactly one theme defined");
            }
            let mut read = |item: &Field<'_>| theme(&item.object(&mut faults)?, &mut faults);
            items.iter().map(&mut read).fold(None, Option::or)
        });
    faults.finish(read)
}

fn theme(theme: &Object<'_>, faults: &mut Faults) -> Option<Theme> {
    let name = name(&theme.required("name"), faults);
    let enabled = theme.required("enabled").boolean(faults);
    let base = theme.required("baseTheme").one_of(&["light", "dark"], faults);
    let mut color = |key| theme.optional(key).and_then(|field| color(&field, faults));
    let [background_color, primary_color, secondary_color, accent_color, surface_color] =
        ["backgroundColor", "primaryColor", "secondaryColor", "accentColor", "surfaceColor"].map(&mut color);
    Some(Theme {
        name: name?,
        enabled: enabled?,
        base_theme: if base? == "dark" { BaseTheme::Dark } else { BaseTheme::Light },
        background_color,
        primary_color,
        secondary_color,
        accent_color,
        surface_color,
    })
}

fn name(field: &Field<'_>, faults: &mut Faults) -> Option<String> {
    let text = field.text(faults)?;
    if text.is_empty() {
        faults.add(field.path(), "Theme name cannot be empty");
    }
    if text.encode_utf16().count() > NAME_MAX {
        faults.add(field.path(), format!("Theme name cannot exceed {NAME_MAX} characters"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_plain) {
        faults.add(field.path(), "Theme name can only contain letters, numbers, hyphens and underscores");
    }
    // With a fault nothing is stored.
    Some(text.to_owned())
}

/// `#` and 3, 4, 6 or 8 hex digits.
fn color(field: &Field<'_>, faults: &mut Faults) -> Option<String> {
    let text = field.text(faults)?;
    let digits = text.strip_prefix('#').unwrap_or_default();
    let is_color =
        matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_color {
        faults.add(field.path(), "Must be a valid hex color with the hash prefix");
    }
    is_color.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields<T>(read: Result<T, Failure>) -> Vec<String> {
        match read {
            Err(Failure::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_receiver_is_a_web_url_and_needed_to_turn_webhooks_on() {
        let cases = [
            (json!({"enabled": true, "url": "https://a.example/x"}), vec![]),
            (json!({"enabled": false}), vec![]),
            (json!({"enabled": true}), vec!["url"]),
            (json!({"enabled": true, "url": "ftp://a.example"}), vec!["url"]),
            (json!({"enabled": false, "url": "a"}), vec!["url"]),
            (json!({"url": 1}), vec!["enabled", "url"]),
            (json!([]), vec![""]),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(webhooks(&body)), expected, "{body}");
        }
        assert_eq!(fields(webhook_test(&json!({}))), ["url"]);
    }

    #[test]
    fn security_says_both_things() {
        let good = json!({"authentication": {"authMethod": {"type": "single_user"}, "authModeToAccessRoom": "all_users"}});
        assert_eq!(security(&good).unwrap().authentication.auth_mode_to_access_room, AuthMode::AllUsers);
        let cases = [
            (json!({}), vec!["authentication"]),
            (
                json!({"authentication": {}}),
                vec!["authentication.authMethod", "authentication.authModeToAccessRoom"],
            ),
            (
                json!({"authentication": {"authMethod": {"type": "x"}, "authModeToAccessRoom": "y"}}),
                vec!["authentication.authMethod.type", "authentication.authModeToAccessRoom"],
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(security(&body)), expected, "{body}");
        }
    }

    #[test]
    fn there_is_one_theme_with_a_name_and_colors() {
        let with = |theme: Value| json!({"appearance": {"themes": [theme]}});
        let good = json!({"name": "a_B-1", "enabled": true, "baseTheme": "dark", "accentColor": "#12aBcD"});
        assert_eq!(appearance(&with(good)).unwrap().accent_color.as_deref(), Some("#12aBcD"));
        let cases = [
            (json!({"appearance": {"themes": []}}), vec!["appearance.themes"]),
            (
                json!({"appearance": {"themes": [{"name": "a", "enabled": true, "baseTheme": "dark"}, 7]}}),
                vec!["appearance.themes", "appearance.themes.1"],
            ),
            (
                with(json!({"name": "a b", "baseTheme": "x", "primaryColor": "123"})),
                vec![
                    "appearance.themes.0.name",
                    "appearance.themes.0.enabled",
                    "appearance.themes.0.baseTheme",
                    "appearance.themes.0.primaryColor",
                ],
            ),
            (
                with(json!({"name": "", "enabled": true, "baseTheme": "dark"})),
                vec!["appearance.themes.0.name", "appearance.themes.0.name"],
            ),
            (
                with(json!({"name": " ".repeat(51), "enabled": true, "baseTheme": "dark"})),
                vec!["appearance.themes.0.name", "appearance.themes.0.name"],
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(appearance(&body)), expected, "{body}");
        }
    }
}
