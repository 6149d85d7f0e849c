//! What nobody expects in a request, for property tests: odd values, and good ones with a place or two made odd.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Number, Value, json};

/// The same cases in every run. `PROPTEST_CASES` tries more of them.
pub fn repeatable() -> proptest::prelude::ProptestConfig {
    proptest::prelude::ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    }
}

/// Any text: empty, long, of other scripts, of nothing that can be seen.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9_-]{0,120}",
        Just("x".repeat(70_000)),
        Just("\u{0}\u{202e}\u{feff}".to_owned()),
        Just("../../etc/passwd".to_owned()),
        Just("__proto__".to_owned()),
        Just("' OR 1=1 --".to_owned()),
        Just("{{7*7}}${7*7}".to_owned()),
    ]
}

/// Any JSON value, not very deep.
pub fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        Just(json!(0)),
        Just(json!(-0.0)),
        Just(json!(1e308)),
        Just(json!(5e-324)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            Just(nested(100)),
        ]
    })
}

/// Lists in lists, as deep as JSON is read.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| json!([inner]))
}

/// What becomes of one place of a value.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove,
    Add(String, Value),
}

/// This value with up to three places changed; with none, it is itself.
pub fn changed(good: Value) -> impl Strategy<Value = Value> {
    let change = prop_oneof![
        4 => value().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => (text(), value()).prop_map(|(key, value)| Change::Add(key, value)),
    ];
    vec((any::<Index>(), change), 0..3).prop_map(move |changes| {
        let mut value = good.clone();
        for (place, change) in changes {
            let places = places(&value);
            let place = &places[place.index(places.len())];
            apply(&mut value, place, change);
        }
        value
    })
}

/// Pointers to every place of a value, itself included.
fn places(value: &Value) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let mut all = vec![String::new()];
    for (key, value) in below {
        all.extend(places(value).into_iter().map(|rest| format!("/{key}{rest}")));
    }
    all
}

fn apply(value: &mut Value, place: &str, change: Change) {
    let Some(found) = value.pointer_mut(place) else { return };
    match (change, found) {
        (Change::Replace(new), found) => *found = new,
        (Change::Add(key, new), Value::Object(fields)) => drop(fields.insert(key, new)),
        (Change::Add(_, new), Value::Array(items)) => items.push(new),
        (Change::Add(..), _) => {}
        (Change::Remove, _) => {
            let Some((above, key)) = place.rsplit_once('/') else { return };
            if let Some(Value::Object(fields)) = value.pointer_mut(above) {
                fields.remove(&key.replace("~1", "/").replace("~0", "~"));
            }
        }
    }
}
