//! `fields`: which parts of a document a client wants (contract `rooms.md` 4).
//!
//! A comma list of dotted paths; blanks are trimmed, unknown names ignored. A leading minus leaves a part
//! out instead; a list that does both is refused. Presentation only: nothing is looked up less for it.

use serde_json::{Map, Value};

use super::error::FieldFault;

/// Which parts to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projection {
    /// All of it.
    Everything,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

impl Projection {
    /// Reads the list.
    ///
    /// # Errors
    /// When it wants some parts in and others out.
    pub fn parse(text: Option<&str>) -> Result<Self, FieldFault> {
        let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        let (out, only): (Vec<&str>, Vec<&str>) = names.partition(|name| name.starts_with('-'));
        match (only.is_empty(), out.is_empty()) {
            (true, true) => Ok(Self::Everything),
            (false, true) => Ok(Self::Only(only.into_iter().map(str::to_owned).collect())),
            (true, false) => Ok(Self::Without(out.into_iter().map(|name| name[1..].to_owned()).collect())),
            (false, false) => Err(FieldFault::new("fields", "Fields are either included or excluded")),
        }
    }

    /// The parts of a document that are wanted.
    #[must_use]
    pub fn apply(&self, mut document: Value) -> Value {
        match self {
            Self::Everything => document,
            Self::Only(paths) => {
                let mut shown = Value::Object(Map::new());
                for path in paths {
                    copy(&document, &mut shown, path);
                }
                shown
            }
            Self::Without(paths) => {
                for path in paths {
                    remove(&mut document, path);
                }
                document
            }
        }
    }
}

fn copy(from: &Value, to: &mut Value, path: &str) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let (Some(found), Some(to)) = (from.get(key), to.as_object_mut()) else { return };
    match rest {
        None => drop(to.insert(key.to_owned(), found.clone())),
        Some(rest) if found.is_object() => {
            copy(found, to.entry(key).or_insert_with(|| Value::Object(Map::new())), rest);
        }
        Some(_) => {}
    }
}

fn remove(document: &mut Value, path: &str) {
    let Some(map) = document.as_object_mut() else { return };
    match path.split_once('.') {
        None => drop(map.shift_remove(path)),
        Some((key, rest)) => {
            if let Some(inner) = map.get_mut(key) {
                remove(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_shown_or_left_out() {
        let document = json!({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": [4]});
        let cases = [
            (None, document.clone()),
            (Some(" , "), document.clone()),
            (Some("a, f"), json!({"a": 1, "f": [4]})),
            (Some("b.d.e,b.c"), json!({"b": {"c": 2, "d": {"e": 3}}})),
            (Some("b,b.c"), json!({"b": {"c": 2, "d": {"e": 3}}})),
            (Some("x,a.y,b.x"), json!({"b": {}})),
            (Some("-b.d,-f,-x.y"), json!({"a": 1, "b": {"c": 2}})),
        ];
        for (text, expected) in cases {
            let shown = Projection::parse(text).unwrap().apply(document.clone());
            assert_eq!(shown, expected, "{text:?}");
        }
        assert!(Projection::parse(Some("a,-b")).is_err());
    }
}
