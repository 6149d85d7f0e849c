//! The real backends under this ring: with `REELKEEPER_IT_ON=backends` in the environment its tests run on MongoDB,
//! Redis and S3 instead of what is embedded.
//!
//! All tests of a run share the three; each has a database and a bucket of its own, and rooms that nobody else has.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use tempfile::TempDir;

use crate::backends::{self, ACCESS_KEY, SECRET_KEY};

/// Chooses them.
const SWITCH: &str = "REELKEEPER_IT_ON";

/// Where they listen.
pub struct Backed {
    mongo: u16,
    redis: u16,
    s3: u16,
    /// Buckets are folders in it.
    buckets: PathBuf,
}

/// The backends of this run; none if it uses what is embedded.
pub fn backed() -> Option<&'static Backed> {
    static BACKED: OnceLock<Option<Backed>> = OnceLock::new();
    BACKED.get_or_init(|| (std::env::var(SWITCH).as_deref() == Ok("backends")).then(start)).as_ref()
}

/// Starts them in a thread that lives as long as the process, and they with it.
fn start() -> Backed {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mongo, redis, s3) =
                (backends::mongo().await, backends::redis("").await, backends::s3().await);
            let buckets = s3.buckets();
            let backed = Backed { mongo: mongo.port(), redis: redis.port(), s3: s3.port(), buckets };
            tell.send(backed).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the backends start")
}

/// A folder whose name may also be that of a bucket and of a database.
pub fn folder() -> TempDir {
    let name = format!("it-{}", uuid::Uuid::new_v4().simple());
    tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir().unwrap()
}

/// A Redis database that goes with a folder: whoever shares one counts as another node.
fn database(folder: &Path) -> usize {
    static KNOWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap();
    let found = known.iter().position(|known| known == folder);
    found.unwrap_or_else(|| {
        known.push(folder.to_owned());
        known.len() - 1
    })
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

impl Backed {
    /// The bucket that goes with a folder, as a folder.
    pub fn bucket(&self, folder: &Path) -> PathBuf {
        let bucket = self.buckets.join(name(folder));
        std::fs::create_dir_all(&bucket).unwrap();
        bucket
    }

    /// What makes a service with this folder use them.
    pub fn settings(&self, folder: &Path) -> Vec<(&'static str, String)> {
        self.bucket(folder);
        let name = name(folder);
        vec![
            ("REELKEEPER_STORE", backends::mongo_uri(self.mongo, name)),
            ("REELKEEPER_COORDINATION", format!("redis://127.0.0.1:{}/{}", self.redis, database(folder))),
            // A service that a test leaves lying is dead soon.
            ("REELKEEPER_LEASE_TTL", "3s".to_owned()),
            ("REELKEEPER_BLOBS", format!("s3://{name}")),
            ("REELKEEPER_BLOBS_ENDPOINT", format!("http://127.0.0.1:{}", self.s3)),
            ("REELKEEPER_BLOBS_PATH_STYLE", "true".to_owned()),
            ("REELKEEPER_BLOBS_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("REELKEEPER_BLOBS_SECRET_KEY", SECRET_KEY.to_owned()),
        ]
    }
}
