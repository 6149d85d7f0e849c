//! What lies there before the service starts, written by the service's own adapters.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _};
use reelkeeper::adapters::sqlite::{SqliteConfig, SqliteStore};
use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::ports::catalog::{Catalog as _, StoredRecording};
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::{AccessSecrets, FileLayout, Recording, RecordingStatus};

use crate::Failure;

/// Among how many rooms recordings are spread.
const ROOMS: usize = 100;
/// Writes that wait at once: they share their syncs.
const AT_ONCE: usize = 256;
/// 14 Nov 2023, in milliseconds since 1970: before any run.
const FIRST_MS: f64 = 1_700_000_000_000.0;
/// How far recordings lie apart, in milliseconds.
const APART_MS: f64 = 60_000.0;
/// The service's default sub-bucket.
const SUBBUCKET: &str = "openvidu-meet";
const MEGABYTE: usize = 1_000_000;

/// Stores so many finished recordings, with files of this size in MB.
pub async fn recordings(folder: &Path, count: usize, megabytes: u64) -> Result<(), Failure> {
    let store = SqliteStore::open(SqliteConfig::new(folder.join("reelkeeper.db"))).await?;
    let stored = futures::stream::iter(0..count).map(|number| {
        let store = &store;
        async move { store.insert_recording(&finished(number, megabytes)).await.map(drop) }
    });
    stored.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    store.close().await?;
    Ok(())
}

/// Writes the files of the first recordings.
pub fn files(folder: &Path, count: usize, megabytes: u64) -> Result<(), Failure> {
    for number in 0..count {
        let key = FileLayout::new(SUBBUCKET).blob_key(&finished(number, megabytes).recording);
        let path = folder.join("blobs").join(key);
        std::fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
        let piece = vec![number.to_le_bytes()[0] | 1; MEGABYTE];
        let mut file = std::fs::File::create(path)?;
        for _ in 0..megabytes {
            std::io::Write::write_all(&mut file, &piece)?;
        }
    }
    Ok(())
}

/// Where the file of a recording lies, below the folder of files.
pub fn key_of(recording: &str) -> Result<String, Failure> {
    let id = RecordingId::parse(recording)?;
    Ok(format!("{}.mp4", FileLayout::new(SUBBUCKET).egress_path(&id.room, &id.uid)))
}

/// The id of a recording by its number.
pub fn id(number: usize) -> RecordingId {
    RecordingId::new(
        RoomId::from_trusted(format!("load-{}", number % ROOMS)),
        EgressId::from_trusted(format!("EG_load{number:08}")),
        Uid::from_trusted(format!("load{number:08}")),
    )
}

/// A finished recording by its number, with a file of this size in MB.
#[allow(clippy::cast_precision_loss, reason = "neither is that many")]
pub fn finished(number: usize, megabytes: u64) -> StoredRecording {
    let id = id(number);
    let begun = FIRST_MS + number as f64 * APART_MS;
    let recording = Recording {
        room_id: id.room.clone(),
        room_name: format!("Load {}", number % ROOMS),
        status: RecordingStatus::Complete,
        layout: Layout::default(),
        encoding: Encoding::default(),
        filename: format!("{}--{}.mp4", id.room, id.uid),
        start_date: begun,
        end_date: Some(begun + APART_MS),
        duration: Some(APART_MS / 1000.0),
        size: Some((megabytes * MEGABYTE as u64) as f64),
        error_code: None,
        error: None,
        details: Some("End reason: StopEgress API".to_owned()),
        recording_id: id,
    };
    let secrets = AccessSecrets { public: format!("p{number:09}"), private: format!("s{number:09}") };
    StoredRecording { recording, secrets, updated_at: 0 }
}
