//! `demo`, interrupted: it stops its recording, says what it leaves, and does not end as if all went well.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Only a demo that hangs reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

fn interrupt(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::INT).expect("a child can be sent a signal");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_keeps_the_file_and_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_reelkeeper"))
        .args(["demo", "--seconds", "3600", "--folder"])
        .arg(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary under test runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut stderr = child.stderr.take().expect("it is piped");
    let ended = tokio::time::timeout(PATIENCE, async {
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.expect("lines of text") {
            if line.starts_with("demo: recording, 1 of") {
                interrupt(&child);
            }
            said.push(line);
        }
        let mut complaint = String::new();
        stderr.read_to_string(&mut complaint).await.expect("text");
        (child.wait().await.expect("a child can be waited for"), said, complaint)
    });
    let (status, said, complaint) = ended.await.expect("it ends in time");
    assert_eq!(status.code(), Some(1), "{said:#?}\n{complaint}");
    let file = said.last().and_then(|line| line.strip_prefix("demo: file: "));
    let file = file.unwrap_or_else(|| panic!("no file: {said:#?}\n{complaint}"));
    assert!(std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0), "{file}");
    assert!(said.iter().any(|line| line.starts_with("demo: recording is complete")), "{said:#?}");
    let words = format!(
        "reelkeeper: interrupted; the recording was stopped early and is kept in {}\n",
        folder.path().display()
    );
    assert_eq!(complaint, words);
}
