//! The programs that `tests/stack/install` provides.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What `tests/run` puts before the names that `install` prints.
const PREFIX: &str = "REELKEEPER_STACK_";

/// Paths by the names that `install` prints.
pub struct Tools(HashMap<String, PathBuf>);

impl Tools {
    /// The tools of a kind of stack, `light` or `full`: those that `tests/run` has handed over, else
    /// installed now. One test binary needs one kind.
    pub fn of(kind: &str) -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(|| Self::handed_over().unwrap_or_else(|| Self::install(kind)))
    }

    fn handed_over() -> Option<Self> {
        let all = std::env::vars().filter_map(|(name, value)| {
            name.strip_prefix(PREFIX).map(|name| (name.to_owned(), PathBuf::from(value)))
        });
        let tools = Self(all.collect());
        tools.0.contains_key("LIVEKIT_SERVER").then_some(tools)
    }

    fn install(kind: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/install");
        let output = Command::new(script).arg(kind).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "the {kind} stack cannot be installed");
        let lines = String::from_utf8(output.stdout).unwrap();
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).collect())
    }

    pub fn path(&self, name: &str) -> &Path {
        self.0.get(name).unwrap_or_else(|| panic!("tests/stack/install does not name {name}"))
    }
}
