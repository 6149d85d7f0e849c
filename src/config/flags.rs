//! The flags that set options, the same for every command that needs a configuration.

use std::path::PathBuf;

use super::layers::Entry;

/// The flags that set one option each, with its key.
const NAMED: [(&str, &str); 5] = [
    ("listen", "listen"),
    ("store", "store.url"),
    ("blobs", "blobs.url"),
    ("livekit", "livekit.url"),
    ("log", "log"),
];

/// The option that a flag sets, if it sets one.
pub(super) fn key_of(flag: &str) -> Option<&'static str> {
    NAMED.iter().find(|(named, _)| *named == flag).map(|(_, key)| *key)
}

/// Flags of a command line. `--set` reaches every option, the others are shorter.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// A file with options that differ from the defaults; `reelkeeper config default` prints one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port of the API
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Where rooms and recordings are kept: `sqlite://PATH` or `memory://`
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Where the files lie: `file://PATH`
    #[arg(long, value_name = "URL")]
    pub blobs: Option<String>,
    /// LiveKit's API, such as `ws://localhost:7880`, or `sim://` for the simulated one
    #[arg(long, value_name = "URL")]
    pub livekit: Option<String>,
    /// What is logged, such as `info` or `info,reelkeeper=debug`
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Any option by its key, such as `start_timeout=40s`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// What the command itself has decided: key, value and the command's name. See [`Flags::preset`].
    #[arg(skip)]
    pub preset: Vec<(String, String, String)>,
}

impl Flags {
    /// Lets a command decide an option. It wins over the environment and yields to a flag.
    pub fn preset(&mut self, command: &str, key: &str, value: &str) {
        self.preset.push((key.to_owned(), value.to_owned(), command.to_owned()));
    }

    /// All that was said, weakest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let preset =
            self.preset.iter().map(|(key, value, by)| Entry::new(key, value, &format!("command {by}")));
        let values = [&self.listen, &self.store, &self.blobs, &self.livekit, &self.log];
        let named = NAMED
            .iter()
            .zip(values)
            .filter_map(|((flag, key), value)| Some(Entry::new(key, value.as_ref()?, &format!("--{flag}"))));
        let set = self.set.iter().map(|(key, value)| Entry::new(key, value, &format!("--set {key}")));
        preset.chain(named).chain(set).collect()
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.to_owned())),
        None => Err("write KEY=VALUE".to_owned()),
    }
}
