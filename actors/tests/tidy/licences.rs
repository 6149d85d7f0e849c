//! What our dependencies ask of us, as their manifests say it.

use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named.
const ALLOWED: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
];

/// Every package that is built here, and its licence expression; empty if it names none.
pub fn of_all_dependencies() -> Vec<(String, String)> {
    let platform = host();
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", &platform];
    let output = cargo(&arguments);
    let metadata: Value = serde_json::from_slice(&output).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    packages.iter().map(|package| (text(package, "id"), text(package, "license"))).collect()
}

fn host() -> String {
    let version = String::from_utf8(cargo(&["--version", "--verbose"])).expect("cargo writes text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("cargo knows its host").to_owned()
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo can be run");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether an SPDX expression can be met with the licences that we allow. AND binds closer than OR; the
/// slash of old manifests is an OR; an exception only ever allows more.
pub fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words);
    allowed == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

fn all_of(words: &mut Words<'_>) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut Words<'_>) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let allowed = any_of(words)?;
        return words.next_if_eq(&")").map(|_| allowed);
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next()?;
    }
    Some(ALLOWED.contains(&word))
}
