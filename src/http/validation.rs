//! Reading requests strictly: every broken rule is reported, in zod's words (contract `access.md` 8).
//!
//! Owns the tools; what each request may hold is said in the modules below.
//! Unknown keys are dropped. Written by hand, since deriving would stop at the first fault and in other words.

pub mod access;
pub mod encoding;
pub mod list;
#[cfg(test)]
mod odd_bodies;
pub mod recording;
pub mod room;
pub mod settings;

use serde_json::{Map, Value};

use super::error::{Failure, FieldFault};

/// The text for something mandatory that is not there.
const REQUIRED: &str = "Required";

/// The rules that a request broke.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldFault>);

impl Faults {
    /// Reports one broken rule.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldFault { field: field.into(), message: message.into() });
    }

    /// Reports a text that is none of some names.
    pub fn not_one_of(&mut self, field: impl Into<String>, names: &[&str], received: &str) {
        let expected = alternatives(names);
        self.add(field, format!("Invalid enum value. Expected {expected}, received '{received}'"));
    }

    /// Takes what was read elsewhere, or reports why it was not.
    pub fn take<T>(&mut self, read: Result<T, FieldFault>) -> Option<T> {
        read.map_err(|fault| self.0.push(fault)).ok()
    }

    /// What was read, if no rule was broken.
    ///
    /// # Errors
    /// 422 with every broken rule.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Failure> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => Err(Failure::Invalid(self.0)),
        }
    }
}

/// A value that a client sent, or did not, and where.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    path: String,
    value: Option<&'a Value>,
}

/// An object that a client sent.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Field<'a> {
    /// The whole body; its path is empty.
    #[must_use]
    pub fn body(value: &'a Value) -> Self {
        Self { path: String::new(), value: Some(value) }
    }

    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was sent.
    #[must_use]
    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// An object.
    pub fn object(&self, faults: &mut Faults) -> Option<Object<'a>> {
        let map = self.read("object", Value::as_object, faults)?;
        Some(Object { path: self.path.clone(), map })
    }

    /// The items of an array, each with its place in its path.
    pub fn items(&self, faults: &mut Faults) -> Option<Vec<Self>> {
        let items = self.read("array", Value::as_array, faults)?;
        let field = |(index, value)| Field { path: format!("{}.{index}", self.path), value: Some(value) };
        Some(items.iter().enumerate().map(field).collect())
    }

    /// A text.
    pub fn text(&self, faults: &mut Faults) -> Option<&'a str> {
        self.read("string", Value::as_str, faults)
    }

    /// True or false.
    pub fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        self.read("boolean", Value::as_bool, faults)
    }

    /// A number.
    pub fn number(&self, faults: &mut Faults) -> Option<f64> {
        self.read("number", Value::as_f64, faults)
    }

    /// A number above 0.
    pub fn positive(&self, faults: &mut Faults) -> Option<f64> {
        let number = self.number(faults)?;
        if number > 0.0 {
            return Some(number);
        }
        faults.add(self.path.clone(), "Number must be greater than 0");
        None
    }

    /// One of some names.
    pub fn one_of(&self, names: &[&str], faults: &mut Faults) -> Option<&'a str> {
        let Some(value) = self.value else {
            faults.add(self.path.clone(), REQUIRED);
            return None;
        };
        let Some(text) = value.as_str() else {
            let expected = alternatives(names);
            faults.add(self.path.clone(), format!("Expected {expected}, received {}", kind(value)));
            return None;
        };
        if names.contains(&text) {
            return Some(text);
        }
        faults.not_one_of(self.path.clone(), names, text);
        None
    }

    fn read<T>(
        &self,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        let Some(value) = self.value else {
            faults.add(self.path.clone(), REQUIRED);
            return None;
        };
        let result = read(value);
        if result.is_none() {
            faults.add(self.path.clone(), format!("Expected {expected}, received {}", kind(value)));
        }
        result
    }
}

impl<'a> Object<'a> {
    /// A field that must be there.
    #[must_use]
    pub fn required(&self, key: &str) -> Field<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Field { path, value: self.map.get(key) }
    }

    /// A field that may be left out; null is not left out.
    #[must_use]
    pub fn optional(&self, key: &str) -> Option<Field<'a>> {
        self.map.contains_key(key).then(|| self.required(key))
    }
}

fn alternatives(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" | ")
}

/// What a value is, in JavaScript's words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(read: impl FnOnce(&mut Faults)) -> Vec<(String, String)> {
        let mut faults = Faults::default();
        read(&mut faults);
        faults.0.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn faults_have_zods_words_and_the_fields_path() {
        let body = json!({"a": {"b": 1, "c": null, "d": "x"}, "e": [], "f": 0});
        let found = faults(|faults| {
            let body = Field::body(&body).object(faults).unwrap();
            let a = body.required("a").object(faults).unwrap();
            a.required("b").text(faults);
            a.required("c").boolean(faults);
            a.required("d").one_of(&["y", "z"], faults);
            a.required("b").one_of(&["y", "z"], faults);
            a.required("missing").positive(faults);
            body.required("e").object(faults);
            body.required("f").positive(faults);
            assert!(body.optional("missing").is_none());
        });
        let expected = [
            ("a.b", "Expected string, received number"),
            ("a.c", "Expected boolean, received null"),
            ("a.d", "Invalid enum value. Expected 'y' | 'z', received 'x'"),
            ("a.b", "Expected 'y' | 'z', received number"),
            ("a.missing", "Required"),
            ("e", "Expected object, received array"),
            ("f", "Number must be greater than 0"),
        ];
        assert_eq!(found, expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
    }

    #[test]
    fn a_body_of_the_wrong_type_has_an_empty_path() {
        let found = faults(|faults| drop(Field::body(&json!([])).object(faults)));
        assert_eq!(found, [(String::new(), "Expected object, received array".to_owned())]);
    }
}
