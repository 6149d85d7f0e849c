//! The stores behind every run of the node. They outlive it; what a plan says goes wrong with them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use reelkeeper_actors::embedded::MemoryStore;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, ListedBlob};
use reelkeeper_actors::ports::clock::Clock;
use reelkeeper_actors::recording::Timestamp;
use tokio::time::sleep;

use crate::lock;
use crate::plan::{StoreCall, StoreFault, StoreTrouble};
use crate::timeline::Timeline;

/// Rows, documents and files, and the faults of whoever keeps them.
pub struct Backing {
    pub store: MemoryStore,
    pub blobs: Arc<MemoryBlobs>,
    clock: Arc<dyn Clock>,
    timeline: Arc<Timeline>,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    asked: Vec<StoreFault>,
    away_until: Timestamp,
}

impl Backing {
    pub fn new(clock: Arc<dyn Clock>, timeline: Arc<Timeline>) -> Arc<Self> {
        let blobs = Arc::new(MemoryBlobs { clock: clock.clone(), files: Mutex::default() });
        Arc::new(Self { store: MemoryStore::new(), blobs, clock, timeline, faults: Mutex::default() })
    }

    pub fn add_fault(&self, fault: StoreFault) {
        lock(&self.faults).asked.push(fault);
    }

    pub fn go_away(&self, ms: u64) {
        lock(&self.faults).away_until = self.clock.now().plus(Duration::from_millis(ms));
    }

    /// From now on all is well.
    pub fn heal(&self) {
        *lock(&self.faults) = Faults::default();
    }

    /// Carries a call through what goes wrong with it.
    pub async fn call<T>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let trouble = self.trouble(call);
        if let Some(trouble) = trouble {
            self.timeline.tell(|| format!("  store {call:?}: {trouble:?}"));
        }
        match trouble {
            None => work.await,
            Some(StoreTrouble::Fails) => Err(PortError::unavailable("store", "as the plan says")),
            Some(StoreTrouble::AnswerLost) => {
                work.await?;
                Err(PortError::unavailable("store", "answer lost, as the plan says"))
            }
            Some(StoreTrouble::Slow { ms }) => {
                sleep(Duration::from_millis(ms)).await;
                work.await
            }
            Some(StoreTrouble::SlowAnswer { ms }) => {
                let result = work.await;
                sleep(Duration::from_millis(ms)).await;
                result
            }
        }
    }

    fn trouble(&self, call: StoreCall) -> Option<StoreTrouble> {
        let mut faults = lock(&self.faults);
        if self.clock.now() < faults.away_until {
            return Some(StoreTrouble::Fails);
        }
        let fault = faults.asked.iter_mut().find(|f| f.times > 0 && f.call.is_none_or(|c| c == call))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.does)
    }
}

/// Files in memory.
pub struct MemoryBlobs {
    clock: Arc<dyn Clock>,
    files: Mutex<BTreeMap<String, (Bytes, Timestamp)>>,
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        let files = lock(&self.files);
        Ok(files.get(key).map(|(content, modified)| BlobHead {
            size: content.len() as u64,
            modified: modified.0,
            etag: modified.0.to_string(),
        }))
    }

    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        let files = lock(&self.files);
        let Some((content, _)) = files.get(key) else { return Ok(None) };
        let at = |index: &u64| usize::try_from(*index).expect("files in memory are small");
        let piece = content.slice(at(range.start())..=at(range.end()));
        Ok(Some(Box::pin(stream::iter([Ok(piece)]))))
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        lock(&self.files).insert(key.to_owned(), (content, self.clock.now()));
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<bool, PortError> {
        Ok(lock(&self.files).remove(key).is_some())
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<ListedBlob>, PortError> {
        unreachable!("no janitor runs here")
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(())
    }
}
