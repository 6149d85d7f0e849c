//! The types of single values, and how their texts are read.
//!
//! A reader's error is the rest of a sentence about the value. It never repeats the value, which may
//! hold a secret.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::adapters::redis::target::Target;
use crate::adapters::webhook_sender::Reach;

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
    /// In MongoDB: its URI, which may hold a password.
    Mongo(Secret),
}

/// Where leases are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinationUrl {
    /// In memory: this process is alone.
    Memory,
    /// In the store's MongoDB.
    Store,
    /// In Redis.
    Redis(Target),
}

/// Where the files of recordings lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobsUrl {
    /// Below a folder; relative to the working directory unless absolute.
    Folder(PathBuf),
    /// In a bucket of S3, or of what speaks its interface.
    S3 {
        /// The bucket's name.
        bucket: String,
    },
    /// In a container of Azure Blob Storage.
    Azure {
        /// The container's name.
        container: String,
    },
    /// In a bucket of Google Cloud Storage.
    Google {
        /// The bucket's name.
        bucket: String,
    },
}

/// How S3 encrypts at rest what we write. LiveKit's egress has settings of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    None,
    /// With keys of S3 (`SSE-S3`).
    Store,
    /// With keys of KMS (`SSE-KMS`).
    Kms {
        /// The key; none: the account's own.
        key_id: Option<String>,
        /// The encryption context, as base64 of JSON.
        context: Option<String>,
    },
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

fn unknown(scheme: &str, known: &str) -> String {
    format!("{scheme}:// is not known here; use {known}")
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
        ("mongodb" | "mongodb+srv", "") => Err("must name a host".to_owned()),
        ("mongodb" | "mongodb+srv", _) => Ok(StoreUrl::Mongo(Secret::new(text))),
        (scheme, _) => Err(unknown(scheme, "sqlite://<path>, memory:// or mongodb://<host>")),
    }
}

pub(super) fn coordination(text: &str) -> Result<CoordinationUrl, String> {
    match split(text)? {
        ("memory", "") => Ok(CoordinationUrl::Memory),
        ("store", "") => Ok(CoordinationUrl::Store),
        ("redis" | "rediss" | "redis+sentinel", _) => Target::parse(text).map(CoordinationUrl::Redis),
        (scheme, _) => Err(unknown(scheme, "memory://, store://, redis://, rediss:// or redis+sentinel://")),
    }
}

pub(super) fn blobs(text: &str) -> Result<BlobsUrl, String> {
    match split(text)? {
        ("file", rest) => path(rest).map(BlobsUrl::Folder),
        ("s3", rest) => bucket(rest).map(|bucket| BlobsUrl::S3 { bucket }),
        ("az", rest) => bucket(rest).map(|container| BlobsUrl::Azure { container }),
        ("gs", rest) => bucket(rest).map(|bucket| BlobsUrl::Google { bucket }),
        (scheme, _) => {
            Err(unknown(scheme, "file://<path>, s3://<bucket>, az://<container> or gs://<bucket>"))
        }
    }
}

/// A bucket's name and nothing more: a folder in it is the sub-bucket.
fn bucket(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('/').unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err("must name a bucket and nothing more; a folder in it is blobs.subbucket".to_owned());
    }
    Ok(name.to_owned())
}

/// Where a cloud's interface is spoken.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    web_url(text, &["http", "https"])
}

/// The name of a database.
pub(super) fn database(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/\\.\"$*<>:|?".contains(c);
    if text.len() > 63 || text.chars().any(odd) {
        return Err("must be a name of at most 63 bytes without blanks and /\\.\"$*<>:|?".to_owned());
    }
    Ok(text.to_owned())
}

/// How S3 encrypts: Meet's words.
pub(super) fn encryption(text: &str) -> Result<Encryption, String> {
    match text {
        "SSE-S3" => Ok(Encryption::Store),
        "SSE-KMS" => Ok(Encryption::Kms { key_id: None, context: None }),
        _ => Err("must be SSE-S3 or SSE-KMS, or empty".to_owned()),
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
pub(super) fn receiver(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let wanted = || "must be a URL that begins with http:// or https://".to_owned();
    // As it was written: clients are shown it so.
    url.map(|_| text.to_owned()).ok_or_else(wanted)
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

/// Which receivers of outgoing webhooks may be reached.
pub(super) fn reach(text: &str) -> Result<Reach, String> {
    match text {
        "allow" => Ok(Reach::Anywhere),
        "refuse" => Ok(Reach::Public),
        _ => Err("must be allow or refuse".to_owned()),
    }
}

/// Whether clients are sent to the bucket for files.
pub(super) fn redirects(text: &str) -> Result<bool, String> {
    match text {
        "stream" => Ok(false),
        "redirect" => Ok(true),
        _ => Err("must be stream or redirect".to_owned()),
    }
}

/// How other machines call an address.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', ' ', '@']) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid { Ok(text.to_owned()) } else { Err("must be a host and a port, such as node-1:7946".to_owned()) }
}

/// What only nodes of one cluster know.
pub(super) fn cluster_secret(text: &str) -> Result<Secret, String> {
    if text.len() < 16 { Err("must have at least 16 characters".to_owned()) } else { Ok(Secret::new(text)) }
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

/// A value as it may be shown: all that stands before its last `@` is hidden, since a password may hold whatever
/// else separates, and so are secrets in its query.
pub(super) fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rfind('@').map_or_else(|| rest.to_owned(), |at| format!("(hidden){}", &rest[at..]));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let Some((path, query)) = rest.split_once('?') else {
        return format!("{scheme}{separator}{rest}");
    };
    let shown: Vec<String> = query.split('&').map(shown_parameter).collect();
    format!("{scheme}{separator}{path}?{}", shown.join("&"))
}

/// A parameter of a query, without its value if its name sounds like a secret.
fn shown_parameter(parameter: &str) -> String {
    const SECRETS: [&str; 5] = ["password", "secret", "token", "properties", "key"];
    match parameter.split_once('=') {
        Some((name, _)) if SECRETS.iter().any(|word| name.to_lowercase().contains(word)) => {
            format!("{name}=(hidden)")
        }
        _ => parameter.to_owned(),
    }
}
