//! What ffprobe says of a file.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::stack::Tools;

/// A file that plays.
pub struct Film {
    /// Kind and codec of each stream, such as `video h264`, in order.
    pub streams: Vec<String>,
    /// Seconds.
    pub duration: f64,
}

/// Reads a file; the test fails if it is no film.
pub fn read(tools: &Tools, file: &Path) -> Film {
    let arguments = ["-v", "error", "-of", "json", "-show_format", "-show_streams"];
    let output = Command::new(tools.path("FFPROBE")).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut streams: Vec<_> = seen["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| format!("{} {}", text(&stream["codec_type"]), text(&stream["codec_name"])))
        .collect();
    streams.sort();
    Film { streams, duration: text(&seen["format"]["duration"]).parse().unwrap() }
}
