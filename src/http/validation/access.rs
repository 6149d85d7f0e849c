//! What logins and requests for tokens may hold (contract `access.md` 4, `rooms.md` 6).

use reelkeeper_actors::access::claims::Attendee;
use reelkeeper_actors::access::user::{NEW_PASSWORD_MIN, PASSWORD_MIN, USERNAME_MIN};
use reelkeeper_actors::meeting::joining::PARTICIPANT_NAME_MAX;
use serde_json::Value;

use super::{Faults, Field, Object};
use crate::http::error::Failure;

/// Somebody who wants to log in. Never printed: it holds a password.
pub struct Login {
    /// Their name.
    pub username: String,
    /// What they believe to be their password.
    pub password: String,
}

/// Somebody who wants another password. Never printed.
pub struct PasswordChange {
    /// What they believe to be their password.
    pub current: String,
    /// What it is to be.
    pub new: String,
}

/// Somebody who wants to be a room's member. Never printed: it holds a secret.
pub struct MemberRequest {
    /// Says for which role.
    pub secret: String,
    /// What they want to do.
    pub wanted: Wanted,
}

/// What a room's member wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Make requests.
    Requests,
    /// Join the meeting too, under this name or one like it.
    Join {
        /// Not empty.
        name: String,
    },
    /// Join again, being in the meeting.
    JoinAgain(Attendee),
}

/// Reads `{username, password}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn login(body: &Value) -> Result<Login, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body).object(&mut faults).and_then(|body| {
        let username = at_least(&body, "username", "Username", USERNAME_MIN, &mut faults);
        let password = at_least(&body, "password", "Password", PASSWORD_MIN, &mut faults);
        Some(Login { username: username?, password: password? })
    });
    faults.finish(read)
}

/// Reads `{currentPassword, newPassword}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn password_change(body: &Value) -> Result<PasswordChange, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body).object(&mut faults).and_then(|body| {
        let current = body.required("currentPassword").text(&mut faults).map(str::to_owned);
        let new = at_least(&body, "newPassword", "New password", NEW_PASSWORD_MIN, &mut faults);
        Some(PasswordChange { current: current?, new: new? })
    });
    faults.finish(read)
}

/// Reads `{secret, grantJoinMeetingPermission?, participantName?, participantIdentity?}`.
///
/// # Errors
/// 422 with every broken rule.
pub fn member_token(body: &Value) -> Result<MemberRequest, Failure> {
    let mut faults = Faults::default();
    let read = Field::body(body).object(&mut faults).and_then(|body| {
        let secret = body.required("secret").text(&mut faults);
        if secret.is_some_and(str::is_empty) {
            faults.add("secret", "Secret is required");
        }
        let joins = body.optional("grantJoinMeetingPermission");
        let joins = joins.map_or(Some(false), |field| field.boolean(&mut faults));
        let name = optional_text(&body, "participantName", &mut faults);
        let identity = optional_text(&body, "participantIdentity", &mut faults);
        let wanted = if joins? { joining(name, identity, &mut faults)? } else { Wanted::Requests };
        Some(MemberRequest { secret: secret?.to_owned(), wanted })
    });
    faults.finish(read)
}

/// An empty identity is none.
fn joining(name: Option<&str>, identity: Option<&str>, faults: &mut Faults) -> Option<Wanted> {
    let name = name.unwrap_or_default();
    if name.is_empty() {
        let message = "participantName is required when grantJoinMeetingPermission is true";
        faults.add("participantName", message);
        return None;
    }
    if name.len() > PARTICIPANT_NAME_MAX {
        faults.add("participantName", format!("participantName cannot exceed {PARTICIPANT_NAME_MAX} bytes"));
        return None;
    }
    let name = name.to_owned();
    Some(match identity.filter(|identity| !identity.is_empty()) {
        None => Wanted::Join { name },
        Some(identity) => Wanted::JoinAgain(Attendee { identity: identity.to_owned(), name }),
    })
}

fn optional_text<'a>(body: &Object<'a>, key: &str, faults: &mut Faults) -> Option<&'a str> {
    body.optional(key)?.text(faults)
}

/// A text of so many characters, counted as JavaScript counts them.
fn at_least(body: &Object<'_>, key: &str, called: &str, least: usize, faults: &mut Faults) -> Option<String> {
    let text = body.required(key).text(faults)?;
    if text.encode_utf16().count() >= least {
        return Some(text.to_owned());
    }
    faults.add(key, format!("{called} must be at least {least} characters long"));
    None
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
    fn logins_and_passwords_have_a_least_length() {
        let cases = [
            (json!({"username": "adm", "password": "123"}), vec!["username", "password"]),
            (json!({"username": "admi", "password": "1234"}), vec![]),
            (json!({"username": 1}), vec!["username", "password"]),
            (json!({"username": "\u{1f600}\u{1f600}", "password": "    "}), vec![]),
            (json!([]), vec![""]),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(login(&body)), expected, "{body}");
        }
        let cases = [
            (json!({"currentPassword": "", "newPassword": "12345"}), vec![]),
            (json!({"currentPassword": "x", "newPassword": "1234"}), vec!["newPassword"]),
            (json!({}), vec!["currentPassword", "newPassword"]),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(password_change(&body)), expected, "{body}");
        }
    }

    #[test]
    fn who_joins_has_a_name() {
        let join = |name: &str| Wanted::Join { name: name.to_owned() };
        let again = Attendee { identity: "ann-1".to_owned(), name: "Ann".to_owned() };
        let cases = [
            (json!({"secret": "s"}), Wanted::Requests),
            (json!({"secret": "s", "participantName": "Ann"}), Wanted::Requests),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": false, "participantName": ""}),
                Wanted::Requests,
            ),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": true, "participantName": "Ann"}),
                join("Ann"),
            ),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": true, "participantName": "Ann",
                    "participantIdentity": ""}),
                join("Ann"),
            ),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": true, "participantName": "Ann",
                    "participantIdentity": "ann-1"}),
                Wanted::JoinAgain(again),
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(member_token(&body).unwrap().wanted, expected, "{body}");
        }
    }

    #[test]
    fn every_fault_of_a_request_for_a_token_is_named() {
        let long = "é".repeat(101);
        let cases = [
            (json!({}), vec!["secret"]),
            (json!({"secret": ""}), vec!["secret"]),
            (json!({"secret": "s", "grantJoinMeetingPermission": true}), vec!["participantName"]),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": true, "participantName": ""}),
                vec!["participantName"],
            ),
            (
                json!({"secret": "s", "grantJoinMeetingPermission": true, "participantName": long}),
                vec!["participantName"],
            ),
            (
                json!({"secret": 1, "grantJoinMeetingPermission": "yes", "participantName": 2,
                    "participantIdentity": null}),
                vec!["secret", "grantJoinMeetingPermission", "participantName", "participantIdentity"],
            ),
            (json!([1]), vec![""]),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(member_token(&body)), expected, "{body}");
        }
    }
}
