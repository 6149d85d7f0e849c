//! The types of single values, and how their texts are read.
//!
//! A reader's error is the rest of a sentence about the value. It never repeats the value, which may
//! hold a secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that signs or compares with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where rooms and recordings are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// In a file; relative to the working directory unless absolute.
    Sqlite(PathBuf),
    /// In memory: lost with the process.
    Memory,
}

/// Where leases are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinationUrl {
    /// In memory: this process is alone.
    Memory,
}

/// Where the files of recordings lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobsUrl {
    /// Below a folder; relative to the working directory unless absolute.
    Folder(PathBuf),
}

impl std::str::FromStr for BlobsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        blobs(text)
    }
}

/// Which media server records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaServerUrl {
    /// A LiveKit server: `ws`, `wss`, `http` or `https`.
    Server(String),
    /// The simulated one in this process.
    Simulated,
}

/// What a URL begins with and what follows; none without `://`.
fn split(text: &str) -> Result<(&str, &str), String> {
    text.split_once("://").ok_or_else(|| "must begin with a scheme such as file://".to_owned())
}

fn unsupported(scheme: &str, later: &[&str], now: &str) -> String {
    if later.contains(&scheme) {
        format!("{scheme}:// is not in this build yet; use {now}")
    } else {
        format!("{scheme}:// is not known here; use {now}")
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("must name a path".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn store(text: &str) -> Result<StoreUrl, String> {
    match split(text)? {
        ("sqlite", rest) => path(rest).map(StoreUrl::Sqlite),
        ("memory", "") => Ok(StoreUrl::Memory),
        (scheme, _) => Err(unsupported(scheme, &["mongodb", "mongodb+srv"], "sqlite://<path> or memory://")),
    }
}

pub(super) fn coordination(text: &str) -> Result<CoordinationUrl, String> {
    match split(text)? {
        ("memory", "") => Ok(CoordinationUrl::Memory),
        (scheme, _) => Err(unsupported(scheme, &["redis", "rediss", "redis+sentinel", "store"], "memory://")),
    }
}

pub(super) fn blobs(text: &str) -> Result<BlobsUrl, String> {
    match split(text)? {
        ("file", rest) => path(rest).map(BlobsUrl::Folder),
        (scheme, _) => Err(unsupported(scheme, &["s3", "az", "gs"], "file://<path>")),
    }
}

pub(super) fn media_server(text: &str) -> Result<MediaServerUrl, String> {
    match text.strip_prefix("sim://") {
        Some("") => Ok(MediaServerUrl::Simulated),
        Some(_) => Err("must be sim:// and nothing more".to_owned()),
        None => public_url(text).map(MediaServerUrl::Server),
    }
}

/// A URL of LiveKit without a password in it.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    web_url(text, &["ws", "wss", "http", "https"])?;
    Ok(text.to_owned())
}

/// Where outgoing webhooks go. What else its URL holds is the receiver's own business.
pub(super) fn receiver(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "must be a URL that begins with http:// or https://".to_owned())
}

/// The origin of our links: without default port, and without a slash at its end.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let url = web_url(text, &["http", "https"])?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn web_url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let wanted = || format!("must begin with one of {}://", schemes.join("://, "));
    let url = Url::parse(text).map_err(|_| format!("is not a URL, and {}", wanted()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(wanted());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or fragment".to_owned());
    }
    Ok(url)
}

/// A path that begins with a slash and does not end with one; empty for the root.
pub(super) fn base_path(text: &str) -> Result<String, String> {
    let trimmed = text.trim_matches('/');
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    if trimmed
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == ".." || !part.chars().all(allowed))
    {
        return Err("must be a path of letters, digits and -_.~".to_owned());
    }
    Ok(format!("/{trimmed}"))
}

/// A folder in the blob store, without slashes at its ends; empty for none.
pub(super) fn subbucket(text: &str) -> Result<String, String> {
    let trimmed = text.trim_matches('/');
    let odd =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.chars().any(char::is_control);
    if !trimmed.is_empty() && trimmed.split('/').any(odd) {
        return Err("must be a path without empty parts, `.` and `..`".to_owned());
    }
    Ok(trimmed.to_owned())
}

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// A duration within bounds.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| "must be a number and a unit, such as 500ms, 15s, 5m or 1h".to_owned())?;
    if duration < least || duration > most {
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        return Err(format!("must be from {least} to {most}"));
    }
    Ok(duration)
}

/// A whole number within bounds.
pub(super) fn count(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// A value as it may be shown: what stands before an `@` in a URL's host part is hidden.
pub(super) fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://(hidden){}", &rest[at..]),
        None => text.to_owned(),
    }
}
