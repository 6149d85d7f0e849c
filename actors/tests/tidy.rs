//! The rules of the house that no compiler keeps: sizes, names, what is pure, what depends on what, links,
//! licences. Reads the source tree of both packages; each rule names every place that breaks it.

#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/tree.rs"]
mod tree;

use std::fs;
use std::path::Path;

use self::tree::{Rust, Tree};

const LINES_OF_A_FILE: usize = 500;
const LINES_OF_A_FUNCTION: usize = 70;
/// Words that say nothing about what a thing is.
const EMPTY_WORDS: [&str; 7] = ["manager", "service", "helper", "util", "common", "job", "mutex"];
/// What decisions may not know: clocks, chance, the process, and who carries them out.
const IMPURE: [&str; 10] = [
    "SystemTime",
    "Instant",
    "tokio",
    "rand::",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "crate::ports",
];
/// What only the root package may depend on.
const OUTSIDE: [&str; 12] = [
    "axum", "tower", "hyper", "reqwest", "livekit", "rusqlite", "mongodb", "redis", "aws", "azure",
    "opendal", "sqlx",
];

/// Fails and names every place.
fn no_places(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n{}", places.join("\n"));
}

fn places(of: impl Fn(&Rust) -> Vec<String>) -> Vec<String> {
    let tree = Tree::read();
    assert!(tree.rust.len() > 50, "the source tree was not found below {}", tree.root.display());
    tree.rust.iter().flat_map(of).collect()
}

#[test]
fn files_are_short() {
    let long = |file: &Rust| match file.lines.len() {
        lines if lines < LINES_OF_A_FILE => Vec::new(),
        lines => vec![format!("{}: {lines} lines", file.name)],
    };
    no_places("a file has fewer than 500 lines", &places(long));
}

#[test]
fn functions_are_short() {
    let long = |file: &Rust| {
        let functions = file.functions().into_iter();
        let long = functions.filter(|function| function.lines >= LINES_OF_A_FUNCTION);
        long.map(|function| format!("{}: {}, {} lines", file.name, function.name, function.lines)).collect()
    };
    no_places("a function has fewer than 70 lines", &places(long));
    let seen: usize = Tree::read().rust.iter().map(|file| file.functions().len()).sum();
    assert!(seen > 500, "only {seen} functions were seen: are they formatted otherwise now?");
}

#[test]
fn a_module_lies_beside_its_folder() {
    let named_mod = |file: &Rust| Vec::from_iter(file.name.ends_with("/mod.rs").then(|| file.name.clone()));
    no_places("foo.rs beside foo/, no mod.rs", &places(named_mod));
}

#[test]
fn every_file_says_what_it_owns() {
    let silent = |file: &Rust| {
        let speaks = file.lines.first().is_some_and(|line| line.starts_with("//! "));
        Vec::from_iter((!speaks).then(|| file.name.clone()))
    };
    no_places("a file begins with a module doc", &places(silent));
}

#[test]
fn names_say_something() {
    let empty = |name: &str| words(name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str()));
    let mut places = places(|file| {
        let named = file.names().into_iter().filter(|name| empty(name));
        named.map(|name| format!("{}: {name}", file.name)).collect()
    });
    let files = Tree::read().files;
    places.extend(files.into_iter().filter(|file| empty(file.rsplit('/').next().unwrap_or(file))));
    no_places("names that say nothing", &places);
}

#[test]
fn no_function_takes_a_bare_yes_or_no() {
    let bare = |file: &Rust| {
        let is_for_tests =
            ["/tests", "_tests", "tests/", "/fakes"].iter().any(|part| file.name.contains(part));
        let signatures = if is_for_tests { Vec::new() } else { file.signatures() };
        let bare = signatures.into_iter().filter(|signature| signature.contains(": bool"));
        bare.map(|signature| format!("{}: {signature}", file.name)).collect()
    };
    no_places("a choice that is handed over has a name: take an enum instead of a bool", &places(bare));
}

/// The words of a name, in singular and lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if !letter.is_alphanumeric() || letter.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.into_iter().map(|word| word.strip_suffix('s').unwrap_or(&word).to_owned()).collect()
}

#[test]
fn decisions_are_pure() {
    let impure = |file: &Rust| {
        if !["recording", "meeting", "access"]
            .iter()
            .any(|module| file.is_in(&format!("actors/src/{module}")))
        {
            return Vec::new();
        }
        let numbered = file.code().filter(|(_, line)| IMPURE.iter().any(|word| line.contains(word)));
        numbered.map(|(number, line)| format!("{}:{number}: {line}", file.name)).collect()
    };
    no_places("recording/, meeting/ and access/ are pure", &places(impure));
}

#[test]
fn the_core_depends_on_no_server_and_no_sdk() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies = manifest.lines().filter_map(|line| line.split_once([' ', '.', '=']));
    let outside = |name: &str| OUTSIDE.iter().any(|outside| name.starts_with(outside));
    let found = dependencies.filter(|(name, _)| outside(name)).map(|(name, _)| name.to_owned());
    no_places("actors/ depends on none of these", &found.collect::<Vec<_>>());
}

#[test]
fn links_lead_somewhere() {
    let tree = Tree::read();
    let pages = tree.files.iter().filter(|file| tree::has_extension(file, "md"));
    let mut broken = Vec::new();
    for page in pages {
        let path = tree.root.join(page);
        let text = fs::read_to_string(&path).unwrap();
        let folder = path.parent().unwrap_or(&tree.root);
        let dead = tree::links(&text).filter(|link| !folder.join(link).exists());
        broken.extend(dead.map(|link| format!("{page}: {link}")));
    }
    no_places("relative links in pages", &broken);
}

#[test]
fn licences_are_permissive() {
    let refused = licences::of_all_dependencies().into_iter();
    let refused = refused.filter(|(_, licence)| !licences::is_allowed(licence));
    let places: Vec<String> = refused.map(|(package, licence)| format!("{package}: {licence}")).collect();
    no_places("licences that are not on the list", &places);
}

#[test]
fn an_expression_of_licences_is_read_as_it_is_meant() {
    let table = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT/GPL-3.0", true),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
        ("ISC AND (GPL-3.0-only OR LGPL-3.0-only)", false),
        ("GPL-3.0-only AND MIT OR ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0", false),
        ("", false),
        ("MIT OR", false),
    ];
    for (expression, allowed) in table {
        assert_eq!(licences::is_allowed(expression), allowed, "{expression:?}");
    }
}
