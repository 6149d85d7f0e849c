//! Checks: each value by itself, then those that must fit together. Every fault is collected.
//!
//! Owns faults and their words. Never stops at the first one, and never repeats a secret.

use std::fmt;
use std::time::Duration;

use super::layers::{DEFAULT, Layers};
use super::options::{self, Spec};
use super::{Config, MediaServerUrl, StoreUrl, values};

/// Shown for a secret.
const HIDDEN: &str = "(hidden)";
/// LiveKit's own example of a secret, which everybody knows.
const KNOWN_SECRET: &str = "secret";
/// A month: longer waits are slips of the pen.
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// One thing that must be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// About a source as a whole: a file, or something in it that is no option.
    #[must_use]
    pub fn of_source(source: &str, problem: impl fmt::Display) -> Self {
        Self(format!("{source}: {problem}"))
    }

    /// About an option's value.
    #[must_use]
    fn of_value(option: &Spec, value: &str, source: &str, problem: impl fmt::Display) -> Self {
        let shown = shown(option, value);
        Self(format!("{} ({}): \"{shown}\" from {source}: {problem}", option.key, option.variable))
    }

    /// About an option that does not go with another.
    ///
    /// # Panics
    /// For a key that is no option: a slip of ours.
    #[must_use]
    pub(super) fn of_option(key: &str, problem: impl fmt::Display) -> Self {
        let option = options::with_key(key).expect("it is in the table");
        Self(format!("{key} ({}): {problem}", option.variable))
    }

    /// Whether it is about this option.
    pub(super) fn is_about(&self, key: &str) -> bool {
        self.0.strip_prefix(key).is_some_and(|rest| rest.starts_with(" ("))
    }

    /// About an option that must be set.
    #[must_use]
    fn unset(option: &Spec, problem: impl fmt::Display) -> Self {
        Self(format!("{} ({}) is not set; {problem}", option.key, option.variable))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that must be mended, and what may not be meant, which is often why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// At least one.
    pub faults: Vec<Fault>,
    /// Such as a variable with a slip of the pen in its name.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "the configuration has {} {noun}", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

impl std::error::Error for Faults {}

/// Something that works and may not be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An option as it is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option's key.
    pub key: &'static str,
    /// Its value as text; a secret is hidden, and what is not set is empty.
    pub value: String,
    /// Where it was said: `default`, a variable, a flag, a file or a command.
    pub source: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = \"{}\" ({})", self.key, self.value, self.source)
    }
}

fn shown(option: &Spec, value: &str) -> String {
    if option.secret && !value.is_empty() { HIDDEN.to_owned() } else { values::shown(value) }
}

/// Reads values one by one and collects what is wrong. A faulty value is replaced by its default, so
/// that the rest can be checked too; such a configuration is never given out.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    pub(super) faults: Vec<Fault>,
    pub(super) settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers) -> Self {
        Self { layers, faults: Vec::new(), settings: Vec::new() }
    }

    /// An option that has a default.
    pub(super) fn value<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> T {
        let (option, text, source) = self.look(key);
        match read(&text) {
            Ok(value) => value,
            Err(problem) => {
                self.faults.push(Fault::of_value(option, &text, &source, problem));
                let default = self.layers.default_of(key).unwrap_or_default();
                read(&default).expect("every default in config/default.toml can be read")
            }
        }
    }

    /// An option that may be empty.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (option, text, source) = self.look(key);
        if text.is_empty() {
            return None;
        }
        match read(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults.push(Fault::of_value(option, &text, &source, problem));
                None
            }
        }
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&mut self, key: &'static str, least: Duration) -> Duration {
        self.value(key, |text| values::duration(text, least, LONGEST))
    }

    /// A duration of at least `least` that stays below `bound`.
    pub(super) fn duration_below(&mut self, key: &'static str, least: Duration, bound: Duration) -> Duration {
        self.value(key, |text| values::duration(text, least, bound.saturating_sub(Duration::from_secs(1))))
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&mut self, key: &'static str, most: usize) -> usize {
        self.value(key, |text| values::count(text, 1, most))
    }

    /// Which media server; it has no default, so that nobody records into a simulation unawares.
    pub(super) fn media_server(&mut self) -> MediaServerUrl {
        let before = self.faults.len();
        let url = self.optional("livekit.url", values::media_server);
        if url.is_none() && self.faults.len() == before {
            let option = options::with_key("livekit.url").expect("it is in the table");
            let problem =
                "name LiveKit's API, such as ws://localhost:7880 (LIVEKIT_URL works too), or sim://";
            self.faults.push(Fault::unset(option, problem));
        }
        url.unwrap_or(MediaServerUrl::Simulated)
    }

    fn look(&mut self, key: &'static str) -> (&'static Spec, String, String) {
        let option = options::with_key(key).expect("every option that is read is in the table");
        let (text, source) = self.layers.find(key).unwrap_or_else(|| (String::new(), DEFAULT.to_owned()));
        self.settings.push(Setting { key, value: shown(option, &text), source: source.clone() });
        (option, text, source)
    }
}

/// What fits together but may not be meant.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let real = matches!(config.livekit.url, MediaServerUrl::Server(_));
    if real && config.livekit.api_secret.expose() == KNOWN_SECRET {
        let text = "livekit.api_secret is LiveKit's well-known example; whoever knows it may do anything";
        warnings.push(Warning(text.to_owned()));
    }
    if config.store.url == StoreUrl::Memory {
        let text = "store.url is memory://; rooms and recordings are lost with the process";
        warnings.push(Warning(text.to_owned()));
    }
    if config.livekit.call_timeout >= config.request_timeout {
        let text = "livekit.call_timeout is not below request_timeout; one slow call uses a request up";
        warnings.push(Warning(text.to_owned()));
    }
    if config.key_retention <= config.start_timeout {
        let text = "key_retention is not above start_timeout; a start that is sent again may begin twice";
        warnings.push(Warning(text.to_owned()));
    }
    warnings
}
