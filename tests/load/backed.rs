//! MongoDB, Redis and an S3 server under the service: `--on backends`.

use std::path::Path;

use ::redis::cmd;
use futures::TryStreamExt as _;
use mongodb::bson::Document;
use reelkeeper::adapters::blobs::s3::S3Blobs;
use reelkeeper::adapters::mongo::documents::of_recording;
use reelkeeper::adapters::mongo::{MongoConfig, MongoStore};
use reelkeeper::config::{BlobsUrl, Secret};
use reelkeeper_actors::ports::catalog::StoredRecording;

use crate::Failure;
use crate::backends::{self, ACCESS_KEY, Backend, SECRET_KEY};

/// The bucket: a folder beside whatever else lies in a stage's.
pub const BUCKET: &str = "blobs";
const DATABASE: &str = "load";
/// Documents written at once.
const BATCH: usize = 5_000;

/// The three; gone when dropped.
pub struct Backed {
    mongo: Backend,
    redis: Backend,
    s3: Backend,
}

impl Backed {
    /// Starts them, installed first if need be; the bucket is the folder `blobs` in this one.
    pub async fn start(folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder.join(BUCKET))?;
        let (mongo, redis, s3) =
            tokio::join!(backends::mongo(), backends::redis(""), backends::s3_over(folder));
        Ok(Self { mongo, redis, s3 })
    }

    /// What makes a service use them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("REELKEEPER_STORE", backends::mongo_uri(self.mongo.port(), DATABASE)),
            ("REELKEEPER_COORDINATION", format!("redis://127.0.0.1:{}", self.redis.port())),
            ("REELKEEPER_BLOBS", format!("s3://{BUCKET}")),
            ("REELKEEPER_BLOBS_ENDPOINT", format!("http://{}", self.s3_address())),
            ("REELKEEPER_BLOBS_PATH_STYLE", "true".to_owned()),
            ("REELKEEPER_BLOBS_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("REELKEEPER_BLOBS_SECRET_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// Where the S3 server listens.
    pub fn s3_address(&self) -> String {
        format!("127.0.0.1:{}", self.s3.port())
    }

    /// A client of the bucket.
    pub async fn bucket(&self) -> S3Blobs {
        let url = BlobsUrl::S3 { bucket: BUCKET.to_owned() };
        S3Blobs::connect(&backends::blobs(url, self.s3.port()), BUCKET).await
    }

    /// Stores recordings, as the service would have.
    pub async fn seed(&self, recordings: impl Iterator<Item = StoredRecording>) -> Result<(), Failure> {
        let uri = backends::mongo_uri(self.mongo.port(), DATABASE);
        // Makes the indexes.
        let config = MongoConfig {
            uri: Secret::new(&uri),
            database: None,
            deadline: std::time::Duration::from_secs(30),
            connections: 4,
        };
        MongoStore::connect(&config).await?.close().await;
        let database = mongodb::Client::with_uri_str(&uri).await?.database(DATABASE);
        let documents = database.collection::<Document>("meetrecordings");
        let made = recordings.map(|stored| of_recording(&stored.recording, &stored.secrets));
        futures::stream::iter(made)
            .map_err(Failure::from)
            .try_chunks(BATCH)
            .map_err(|error| Failure::from(error.to_string()))
            .try_for_each(|batch| async {
                documents.insert_many(batch).await.map(drop).map_err(Failure::from)
            })
            .await
    }

    /// How many commands Redis was sent since it started: what we send are scripts and news.
    pub async fn redis_commands(&self) -> Result<u64, Failure> {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}/", self.redis.port()))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let stats: String = cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
        let calls = stats.lines().filter_map(|line| {
            let (name, rest) = line.split_once(":calls=")?;
            let sent = matches!(name, "cmdstat_eval" | "cmdstat_publish");
            sent.then(|| rest.split(',').next()?.parse::<u64>().ok()).flatten()
        });
        Ok(calls.sum())
    }
}
