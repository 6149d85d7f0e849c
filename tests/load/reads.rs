//! Get and lists, on as many recordings as lie there.

use serde_json::Value;

use crate::Failure;
use crate::measure::Measured;
use crate::processes::Stage;
use crate::table::Budget;

/// What is asked for, how often, and its budgets of processor time on embedded backends and on real ones, in ms.
/// No path: a recording by its id.
const QUESTIONS: [(&str, Option<&str>, usize, [f64; 2]); 3] = [
    ("get", None, 4000, [0.1, 0.15]),
    ("page of 10", Some("recordings?maxItems=10"), 2000, [0.3, 0.4]),
    ("page of 100", Some("recordings?maxItems=100"), 500, [1.5, 2.0]),
];
/// How many clients at once.
const CROWDS: [usize; 2] = [1, 16];

/// Measures them; `rows` says in words how many recordings there are, `ids` names some.
pub async fn measure(stage: &Stage, rows: &str, ids: &[String]) -> Result<(), Failure> {
    for (what, path, count, budgets) in QUESTIONS {
        let budget = Budget::processor(budgets[usize::from(stage.backed.is_some())]);
        for at_once in CROWDS {
            let paths = (0..count).map(|number| match path {
                Some(path) => path.to_owned(),
                None => format!("recordings/{}", ids[number % ids.len()]),
            });
            let mut measured = Measured::of(stage.watched);
            let api = stage.api.clone();
            let ask = move |path: String| {
                let api = api.clone();
                async move { api.get(&path).await.map(drop) }
            };
            measured.round(at_once, paths.collect(), ask).await;
            measured.line(&format!("{what}, {rows}"), at_once, budget).print();
        }
    }
    Ok(())
}

/// A recording as a list shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Size of its file, in bytes; 0 if not known.
    pub size: u64,
}

/// The newest recordings with a file.
pub async fn newest(stage: &Stage) -> Result<Vec<Shown>, Failure> {
    let page = stage.api.get("recordings?maxItems=100&status=complete").await?;
    let listed = page["recordings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = listed.iter().filter_map(|shown: &Value| {
        let id = shown["recordingId"].as_str()?.to_owned();
        Some(Shown { id, size: shown["size"].as_u64().unwrap_or_default() })
    });
    Ok(shown.collect())
}
