//! Numbers as JavaScript writes them: a whole number has no `.0`.
//!
//! Clients of the contract compare bodies as text in places, and MongoDB holds whole numbers as integers.

use serde::{Deserialize, Deserializer, Serializer};

/// Largest whole number that a double holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes a whole number as an integer, everything else as it is.
///
/// # Errors
/// Those of the serializer.
#[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53 here")]
pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// Reads any number.
///
/// # Errors
/// When the value is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    f64::deserialize(deserializer)
}

/// The same for a number that may be absent.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a number that is there; pair it with `skip_serializing_if`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => super::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a number, or nothing.
    ///
    /// # Errors
    /// When the value is neither a number nor null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Option::<f64>::deserialize(deserializer)
    }
}
