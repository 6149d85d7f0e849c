//! The source tree as text. Counts on rustfmt: an item ends at the brace below its first letter.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 3] = ["target", "data", "node_modules"];

/// Everything below the root that is ours.
pub struct Tree {
    pub root: PathBuf,
    /// Relative to the root.
    pub files: Vec<String>,
    pub rust: Vec<Rust>,
}

/// A Rust file.
pub struct Rust {
    /// Relative to the root.
    pub name: String,
    pub lines: Vec<String>,
}

/// A function and its length.
pub struct Function {
    pub name: String,
    pub lines: usize,
}

impl Tree {
    pub fn read() -> Self {
        let actors = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = actors.parent().expect("the package lies in the workspace").to_owned();
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        files.sort();
        let rust = files.iter().filter(|name| has_extension(name, "rs")).map(|name| Rust::read(&root, name));
        Self { rust: rust.collect(), root, files }
    }
}

/// Whether a file's name ends with a dot and this.
pub fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("our folders can be read") {
        let path = entry.expect("our folders can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || NOT_OURS.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files);
        } else if let Ok(relative) = path.strip_prefix(root) {
            files.push(relative.to_string_lossy().into_owned());
        }
    }
}

impl Rust {
    fn read(root: &Path, name: &str) -> Self {
        let text = fs::read_to_string(root.join(name)).expect("our files are text");
        Self { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// Whether it is this module's file or lies in its folder.
    pub fn is_in(&self, module: &str) -> bool {
        self.name.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    }

    /// The lines that are not comments, with their numbers.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.lines.iter().enumerate().map(|(index, line)| (index + 1, line.trim()));
        numbered.filter(|(_, line)| !line.starts_with("//"))
    }

    /// The functions with a body of more than one line.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (start, line) in self.lines.iter().enumerate() {
            let Some(name) = item(line).filter(|(keyword, _)| *keyword == "fn").map(|(_, name)| name) else {
                continue;
            };
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            let length = self.lines[start..].iter().position(|line| line.starts_with(&end));
            // A declaration without a body ends before any brace.
            let declared =
                self.lines[start..].iter().position(|line| line.ends_with(';')).unwrap_or(usize::MAX);
            let opened = self.lines[start..].iter().position(|line| line.contains('{')).unwrap_or(usize::MAX);
            if let Some(length) = length.filter(|_| opened <= declared) {
                functions.push(Function { name: name.to_owned(), lines: length + 1 });
            }
        }
        functions
    }

    /// The signatures of the functions that are not for tests, each on one line.
    pub fn signatures(&self) -> Vec<String> {
        let mut signatures = Vec::new();
        for (start, line) in self.lines.iter().enumerate() {
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            if item(line).is_some_and(|(keyword, _)| keyword == "fn") {
                let rest = &self.lines[start..];
                let length = rest.iter().position(|line| line.ends_with(['{', '}', ';']));
                let words: Vec<_> =
                    rest.iter().take(length.unwrap_or_default() + 1).map(|line| line.trim()).collect();
                signatures.push(words.join(" "));
            }
        }
        signatures
    }

    /// The names of its items. A test's name is a sentence, not a name.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut before = "";
        for line in &self.lines {
            match item(line) {
                Some(("fn", _)) if before.contains("test") => {}
                Some((_, name)) => names.push(name),
                None => {}
            }
            before = line;
        }
        names
    }
}

/// The keyword and the name of the item that a line begins, if it begins one.
fn item(line: &str) -> Option<(&'static str, &str)> {
    let mut words = line.trim_start().split([' ', '(', ')']).filter(|word| !word.is_empty());
    loop {
        let word = words.next()?;
        let keywords = ["fn", "struct", "enum", "trait", "type", "mod", "static", "macro_rules!"];
        if let Some(keyword) = keywords.into_iter().find(|keyword| *keyword == word) {
            let name = words.next()?;
            return Some((keyword, name.split(|c: char| !c.is_alphanumeric() && c != '_').next()?));
        }
        if !["pub", "crate", "super", "in", "const", "async", "unsafe", "default"].contains(&word) {
            return None;
        }
    }
}

/// The relative links of a page, without what follows `#`.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    relative.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty())
}
