//! Whether a film can be heard.

use std::path::Path;
use std::process::Command;

use crate::stack::Tools;

/// How loud a film is on average, in dB below full scale.
pub fn mean_volume(tools: &Tools, file: &Path) -> f64 {
    let output = Command::new(tools.path("FFMPEG"))
        .args(["-nostdin", "-i"])
        .arg(file)
        .args(["-vn", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, after) = said.split_once("mean_volume: ").unwrap_or_else(|| panic!("no volume: {said}"));
    after.split_whitespace().next().unwrap().parse().unwrap()
}
