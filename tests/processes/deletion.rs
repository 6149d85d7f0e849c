//! SIGKILL while a recording is deleted: its file goes first, then its document, and nothing comes back.

use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use tokio::time::sleep;

use crate::seed::chance;
use crate::stage::{Setup, Stage, Told};
use crate::truth;

/// Recordings that are deleted, each with a kill.
const REPETITIONS: usize = 24;
/// A deletion and its answer take less.
const LATEST_KILL: Duration = Duration::from_millis(25);

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_a_deletion_leaves_all_of_it_or_nothing() {
    let mut chance = chance("kills during deletions");
    let mut stage = Stage::open(Setup::default()).await;
    let names: Vec<_> = (0..REPETITIONS).map(|number| format!("deleted {number}")).collect();
    let rooms = join_all(names.iter().map(|name| stage.room(name))).await;
    let recordings = join_all(rooms.iter().map(async |room| {
        let recording = stage.started(room).await;
        stage.stopped(&recording).await;
        recording
    }))
    .await;
    truth::holds(&stage, &rooms).await;

    for recording in &recordings {
        let (api, id) = (stage.api(), recording.clone());
        let request = tokio::spawn(async move { api.delete(&id).await });
        sleep(chance.random_range(Duration::ZERO..LATEST_KILL)).await;
        stage.kill().await;
        let answer = request.await.expect("a request does not panic");
        stage.was_told(Told::Delete(recording.clone(), answer));
        stage.run().await;
        truth::holds(&stage, std::slice::from_ref(&recording.room)).await;
    }

    let deleted = recordings.iter().filter(|recording| !stage.has_file(recording)).count();
    let answered = stage.told().iter().filter(|told| matches!(told, Told::Delete(_, Some(_)))).count();
    println!("kills during deletions: {deleted} of {REPETITIONS} are gone, {answered} were answered");
    truth::holds(&stage, &rooms).await;
}
