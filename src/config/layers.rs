//! The layers of the configuration, each value with the name of its source.
//!
//! Owns precedence: later layers win, value by value. Never judges a value; [`super::check`] does.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::check::Fault;
use super::options::{self, OPTIONS};
use super::{Flags, meet_env};

/// The source of a value that nobody set.
pub const DEFAULT: &str = "default";
/// What every variable of ours begins with.
const PREFIX: &str = "REELKEEPER_";

/// One value from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The option's key.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// Where it was said.
    pub source: String,
}

impl Entry {
    /// This value, said there.
    #[must_use]
    pub fn new(key: &str, value: &str, source: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), source: source.to_owned() }
    }
}

impl Provider for Entry {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, Value::from(self.value.clone()));
        Ok(Map::from([(Profile::Default, nested.into_dict().unwrap_or_default())]))
    }
}

/// All layers, one over the other.
#[derive(Debug)]
pub struct Layers {
    merged: Figment,
    defaults: Figment,
}

/// What was found while the layers were read.
#[derive(Debug, Default)]
pub struct Remarks {
    /// What must be mended.
    pub faults: Vec<Fault>,
    /// What may be meant otherwise.
    pub warnings: Vec<String>,
}

impl Layers {
    /// The lowest layer alone.
    #[must_use]
    pub fn defaults() -> Self {
        // That every key in it is an option is tested.
        let defaults = entries_of(options::DEFAULT_TOML, DEFAULT, &mut Remarks::default());
        let defaults = merge(Figment::new(), defaults);
        Self { merged: defaults.clone(), defaults }
    }

    /// Reads all layers; the file is the one that the flags name.
    #[must_use]
    pub fn read(flags: &Flags, env: &BTreeMap<String, String>) -> (Self, Remarks) {
        let mut remarks = Remarks::default();
        let Self { defaults, mut merged } = Self::defaults();
        if let Some(path) = &flags.config {
            let source = format!("file {}", path.display());
            match std::fs::read_to_string(path) {
                Ok(text) => merged = merge(merged, entries_of(&text, &source, &mut remarks)),
                Err(error) => {
                    let problem = format!("it cannot be read: {error}");
                    remarks.faults.push(Fault::of_source(&source, problem));
                }
            }
        }
        merged = merge(merged, meet_env::entries(env));
        merged = merge(merged, our_variables(env, &mut remarks));
        merged = merge(merged, known(flags.entries(), &mut remarks));
        (Self { merged, defaults }, remarks)
    }

    /// An option's value and its source.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<(String, String)> {
        let value = self.merged.find_value(key).ok()?;
        let source = self.merged.get_metadata(value.tag())?.name.clone().into_owned();
        Some((value.into_string()?, source))
    }

    /// An option's default.
    #[must_use]
    pub fn default_of(&self, key: &str) -> Option<String> {
        self.defaults.find_value(key).ok()?.into_string()
    }
}

fn merge(figment: Figment, entries: Vec<Entry>) -> Figment {
    entries.into_iter().fold(figment, Figment::merge)
}

fn our_variables(env: &BTreeMap<String, String>, remarks: &mut Remarks) -> Vec<Entry> {
    for name in env.keys().filter(|name| name.starts_with(PREFIX)) {
        if OPTIONS.iter().all(|option| option.variable != name) {
            let offer = options::similar_variable(name).map(|other| format!("; is {other} meant?"));
            remarks
                .warnings
                .push(format!("{name} is no option and does nothing{}", offer.unwrap_or_default()));
        }
    }
    OPTIONS
        .iter()
        .filter_map(|option| {
            let value = env.get(option.variable).filter(|value| !value.is_empty())?;
            Some(Entry::new(option.key, value, option.variable))
        })
        .collect()
}

/// The entries of a file. Its own words never get into a fault, since they may hold a secret.
fn entries_of(text: &str, source: &str, remarks: &mut Remarks) -> Vec<Entry> {
    match text.parse::<toml::Table>() {
        Ok(table) => {
            let mut entries = Vec::new();
            flatten("", &toml::Value::Table(table), source, &mut entries, remarks);
            known(entries, remarks)
        }
        Err(error) => {
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            let problem = format!("it is not TOML, at line {line}: {}", error.message());
            remarks.faults.push(Fault::of_source(source, problem));
            Vec::new()
        }
    }
}

fn flatten(key: &str, value: &toml::Value, source: &str, entries: &mut Vec<Entry>, remarks: &mut Remarks) {
    let text = match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, source, entries, remarks);
            }
            return;
        }
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => value.to_string(),
        toml::Value::Datetime(_) | toml::Value::Array(_) => {
            remarks.faults.push(Fault::of_source(source, format!("{key} must be a single text or number")));
            return;
        }
    };
    entries.push(Entry::new(key, &text, source));
}

/// Drops what is no option, with a fault that offers a similar one.
fn known(mut entries: Vec<Entry>, remarks: &mut Remarks) -> Vec<Entry> {
    entries.retain(|entry| {
        let known = options::with_key(&entry.key).is_some();
        if !known {
            let offer = options::similar_key(&entry.key).map(|other| format!("; is {other} meant?"));
            let problem = format!("{} is no option{}", entry.key, offer.unwrap_or_default());
            remarks.faults.push(Fault::of_source(&entry.source, problem));
        }
        known
    });
    entries
}
