//! Page tokens: a place in a list as clients carry it (contract `storage.md` 1.4).
//!
//! Owns the form: standard base64 of `{"fieldValue", "id"}`. A token is not signed and gives no right to
//! anything; what may be shown is decided anew for each page.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reelkeeper_actors::number;
use reelkeeper_actors::ports::catalog::list::{Cursor, DocumentId, SortValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Written with padding, read with or without, as the original reads them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    field_value: Value,
    id: String,
}

/// Writes the token of a place.
#[must_use]
pub fn encode(place: &Cursor) -> String {
    let field_value = match &place.value {
        SortValue::Missing => Value::Null,
        // A number that JSON cannot hold sorts nothing.
        SortValue::Number(number) => {
            number::serialize(number, serde_json::value::Serializer).unwrap_or_default()
        }
        SortValue::Text(text) => Value::from(text.as_str()),
    };
    let token = Token { field_value, id: place.id.to_string() };
    BASE64.encode(serde_json::to_string(&token).expect("a token is plain data"))
}

/// Reads a token; none if it is malformed. Whether the list is sorted by such a value is not looked at.
#[must_use]
pub fn decode(text: &str) -> Option<Cursor> {
    // A plus that a client did not encode arrives as a blank.
    let bytes = BASE64.decode(text.replace(' ', "+")).ok()?;
    let token: Token = serde_json::from_slice(&bytes).ok()?;
    let value = match token.field_value {
        Value::Null => SortValue::Missing,
        Value::Number(number) => SortValue::Number(number.as_f64()?),
        Value::String(text) => SortValue::Text(text),
        _ => return None,
    };
    Some(Cursor { value, id: DocumentId::parse(&token.id).ok()? })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
    use proptest::test_runner::RngSeed;

    use super::*;

    fn place(value: SortValue) -> Cursor {
        Cursor { value, id: DocumentId::of_insertion(0xabc) }
    }

    #[test]
    fn a_token_has_the_contracts_form() {
        let cases = [
            (SortValue::Missing, "null"),
            (SortValue::Number(1_700_000_000_000.0), "1700000000000"),
            (SortValue::Number(1_700_000_000_000.25), "1700000000000.25"),
            (SortValue::Text("é \"x\" ~?".to_owned()), r#""é \"x\" ~?""#),
        ];
        for (value, shown) in cases {
            let token = encode(&place(value.clone()));
            let json = general_purpose::STANDARD.decode(&token).unwrap();
            let expected = format!(r#"{{"fieldValue":{shown},"id":"000000000000000000000abc"}}"#);
            assert_eq!(String::from_utf8(json).unwrap(), expected);
            for spelled in [token.clone(), token.trim_end_matches('=').to_owned(), token.replace('+', " ")] {
                assert_eq!(decode(&spelled), Some(place(value.clone())), "{spelled}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        let id = "65f0c0ffee0000000000ffff";
        let cases = [
            "null".to_owned(),
            "{}".to_owned(),
            format!(r#"{{"id":"{id}"}}"#),
            r#"{"fieldValue":1}"#.to_owned(),
            r#"{"fieldValue":1,"id":7}"#.to_owned(),
            r#"{"fieldValue":1,"id":"7"}"#.to_owned(),
            format!(r#"{{"fieldValue":true,"id":"{id}"}}"#),
            format!(r#"{{"fieldValue":[1],"id":"{id}"}}"#),
            format!(r#"{{"fieldValue":{{"$ne":null}},"id":"{id}"}}"#),
            format!(r#"{{"fieldValue":1e999,"id":"{id}"}}"#),
            format!(r#"{{"fieldValue":1,"id":"{id}"}}x"#),
        ];
        for json in cases {
            assert_eq!(decode(&general_purpose::STANDARD.encode(&json)), None, "{json}");
        }
        for text in ["", "=", "!", "é", "eyJ", "\u{0}", &"A".repeat(60_000)] {
            assert_eq!(decode(text), None, "{text:.20}");
        }
        let known = general_purpose::STANDARD.encode(format!(r#"{{"id":"{id}","more":1,"fieldValue":"a"}}"#));
        assert!(decode(&known).is_some(), "the order is no matter, nor what we do not know");
    }

    fn any_value() -> impl Strategy<Value = SortValue> {
        let number = any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite());
        prop_oneof![
            Just(SortValue::Missing),
            number.prop_map(SortValue::Number),
            any::<String>().prop_map(SortValue::Text)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]
        #[test]
        fn a_token_is_read_as_it_was_written(value in any_value(), number in any::<u64>()) {
            let place = Cursor { value, id: DocumentId::of_insertion(number) };
            proptest::prop_assert_eq!(decode(&encode(&place)), Some(place));
        }

        #[test]
        fn any_text_is_a_token_or_none(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            for text in [text, general_purpose::STANDARD.encode(bytes)] {
                if let Some(place) = decode(&text) {
                    proptest::prop_assert_eq!(decode(&encode(&place)), Some(place));
                }
            }
        }
    }
}
