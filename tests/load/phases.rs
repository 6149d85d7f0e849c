//! The order of the measurements, each on a fresh folder: idle, starts, webhooks, reads, rooms, media, several
//! nodes.

use std::time::{Duration, Instant};

use crate::backed::Backed;
use crate::options::{Ground, Options, Phase};
use crate::processes::Stage;
use crate::reads::Shown;
use crate::table::{self, Budget, Line};
use crate::{Failure, cluster, many, media, reads, rooms, seed, starts, webhooks};

/// How often it is executed until it listens.
const RUNS: usize = 10;
/// Recordings that are asked for by their ids.
const ASKED_FOR: usize = 1000;
/// Memory before anybody comes, in MB.
const IDLE_MB: u64 = 25;
/// Files of recordings that nobody streams, in MB: what their documents say.
const SMALL_MB: u64 = 1;

/// Measures what is wanted.
pub async fn run(options: &Options) -> Result<(), Failure> {
    table::head();
    if options.base_url.is_some() {
        return of_another(options).await;
    }
    if options.wants(Phase::Idle) {
        idle(options).await?;
    }
    if options.wants(Phase::Starts) {
        starts::measure(&empty(options).await?).await?;
    }
    if options.wants(Phase::Webhooks) {
        webhooks::measure(&empty(options).await?, options).await?;
    }
    if options.wants(Phase::Reads) {
        for rows in options.rows.iter().copied().filter(|rows| *rows > 0) {
            let stage = seeded(options, rows, SMALL_MB, 0).await?;
            // Spread over all of them.
            let apart = (rows / ASKED_FOR).max(1);
            let ids: Vec<_> = (0..rows).step_by(apart).map(|number| seed::id(number).to_string()).collect();
            reads::measure(&stage, &format!("{rows} recordings"), &ids).await?;
        }
    }
    if options.wants(Phase::Rooms) {
        rooms::measure(&empty(options).await?).await?;
    }
    if options.wants(Phase::Media) {
        let stage = seeded(options, media::FILES, options.file_mb, media::FILES).await?;
        let shown = reads::newest(&stage).await?;
        media::measure(&stage, options, &shown).await?;
    }
    if options.wants(Phase::Cluster) {
        cluster::measure(options).await?;
    }
    if options.wants(Phase::Many) {
        let folder = tempfile::tempdir()?;
        many::measure(&Stage::open(options, folder, None, &many::SETTINGS).await?).await?;
    }
    Ok(())
}

/// On whatever another's server has.
async fn of_another(options: &Options) -> Result<(), Failure> {
    let stage = empty(options).await?;
    if options.wants(Phase::Starts) {
        starts::measure(&stage).await?;
    }
    if options.wants(Phase::Webhooks) {
        webhooks::measure(&stage, options).await?;
    }
    let shown = reads::newest(&stage).await?;
    if options.wants(Phase::Reads) && !shown.is_empty() {
        let ids: Vec<String> = shown.iter().map(|shown| shown.id.clone()).collect();
        reads::measure(&stage, "as found", &ids).await?;
    }
    if options.wants(Phase::Rooms) {
        rooms::measure(&stage).await?;
    }
    let with_files: Vec<Shown> =
        shown.into_iter().filter(|shown| shown.size > 0).take(media::FILES).collect();
    if options.wants(Phase::Media) && !with_files.is_empty() {
        media::measure(&stage, options, &with_files).await?;
    }
    Ok(())
}

async fn empty(options: &Options) -> Result<Stage, Failure> {
    seeded(options, 0, SMALL_MB, 0).await
}

/// So many recordings, of which the first have files of this size in MB.
async fn seeded(options: &Options, rows: usize, megabytes: u64, files: usize) -> Result<Stage, Failure> {
    let folder = tempfile::tempdir()?;
    seed::files(folder.path(), files, megabytes)?;
    let backed = match options.on {
        Ground::Backends if options.base_url.is_none() => Some(Backed::start(folder.path()).await?),
        _ => None,
    };
    match &backed {
        _ if rows == 0 => {}
        Some(backed) => backed.seed((0..rows).map(|number| seed::finished(number, megabytes))).await?,
        None => seed::recordings(folder.path(), rows, megabytes).await?,
    }
    Stage::open(options, folder, backed, &[]).await
}

/// How soon it listens, and what it needs before anybody comes.
async fn idle(options: &Options) -> Result<(), Failure> {
    let mut stage = empty(options).await?;
    let (mut times, mut processor) = (Vec::new(), Duration::ZERO);
    for _ in 0..RUNS {
        let begun = Instant::now();
        stage.restart(options)?;
        times.push(begun.elapsed());
        stage.watched.quiet().await;
        processor += stage.watched.processor_time().unwrap_or_default();
    }
    let memory_kb = [None, None, stage.watched.memory_kb()];
    let what = "exec until it listens".to_owned();
    let budget = Budget { memory_mb: Some(IDLE_MB), ..Budget::NONE };
    let working = times.iter().sum();
    Line { what, at_once: 1, times, failed: 0, working, processor: Some(processor), memory_kb, budget }
        .print();
    Ok(())
}
