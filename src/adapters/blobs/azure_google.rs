//! Azure Blob Storage and Google Cloud Storage, both through one client library.
//!
//! Owns how each is reached, and what their answers mean to a caller. The library repeats what may be repeated,
//! within the deadline.

use std::error::Error as _;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Method;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload,
    RetryConfig, StaticCredentialProvider,
};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, LISTED_MAX, ListedBlob, checked_key};

use super::{BLOBS, exactly, length_of};
use crate::adapters::awaited::awaiting;
use crate::config::BlobsConfig;

/// Repeats of one call, all within its deadline.
const RETRIES: usize = 2;
/// Nothing lies below it: a list of it says whether the bucket answers, and nothing more.
const NOWHERE: &str = "reelkeeper-ping";

/// A container or a bucket.
#[derive(Debug, Clone)]
pub struct CloudBlobs {
    store: Arc<dyn ObjectStore>,
    /// The same, as what signs links.
    signer: Arc<dyn Signer>,
    /// `container x` or `bucket x`, for errors.
    place: String,
    deadline: Duration,
}

impl CloudBlobs {
    /// Makes a client for a container of Azure. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Misused` when account, key or endpoint cannot be used.
    pub fn azure(config: &BlobsConfig, container: &str) -> Result<Self, PortError> {
        let place = format!("container {container}");
        let mut builder = MicrosoftAzureBuilder::new()
            .with_container_name(container)
            .with_retry(retries(config.deadline))
            .with_client_options(client(config));
        if let Some((account, key)) = &config.account {
            builder = builder.with_account(account).with_access_key(key.expose());
        }
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned());
        }
        match builder.build() {
            Ok(store) => Ok(Self::new(Arc::new(store), place, config)),
            // Its words may hold the key.
            Err(_) => Err(PortError::misused(
                BLOBS,
                format_args!("{place}: mend blobs.account, blobs.account_key and blobs.endpoint"),
            )),
        }
    }

    /// Makes a client for a bucket of Google's, with the application's default credentials; without any if the
    /// endpoint is plain HTTP, as emulators have it. Asks nothing of it yet.
    ///
    /// # Errors
    /// `Misused` when there are no credentials, or they cannot be used.
    pub fn google(config: &BlobsConfig, bucket: &str) -> Result<Self, PortError> {
        let place = format!("bucket {bucket}");
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retries(config.deadline))
            .with_client_options(client(config));
        if let Some(endpoint) = &config.endpoint {
            let address = endpoint.as_str().trim_end_matches('/');
            builder = builder.with_base_url(address);
            if endpoint.scheme() == "http" {
                let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
                builder = builder.with_credentials(Arc::new(nobody));
            }
        }
        match builder.build() {
            Ok(store) => Ok(Self::new(Arc::new(store), place, config)),
            Err(error) => {
                let detail = format_args!(
                    "{place}: {error}; set GOOGLE_APPLICATION_CREDENTIALS, or run where an account is attached"
                );
                Err(PortError::misused(BLOBS, detail))
            }
        }
    }

    fn new(store: Arc<impl ObjectStore + Signer>, place: String, config: &BlobsConfig) -> Self {
        Self { signer: store.clone(), store, place, deadline: config.deadline }
    }

    fn path(key: &str) -> Result<Path, PortError> {
        let parsed = Path::parse(checked_key(key)?);
        parsed.map_err(|error| PortError::misused(BLOBS, format_args!("{key:?} is no key: {error}")))
    }

    async fn within<T>(
        &self,
        subject: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, PortError> {
        let answer = tokio::time::timeout(self.deadline, awaiting(BLOBS, call)).await;
        answer.map_err(|_| {
            let detail = format_args!("{subject} in {}: no answer within {:?}", self.place, self.deadline);
            PortError::unavailable(BLOBS, detail)
        })
    }

    /// The answer, or none if there is no such file: believed only if its container answers.
    async fn found<T>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, PortError> {
        match self.within(key, call).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::NotFound { .. }) => self.ping().await.map(|()| None),
            Err(error) => Err(failed(&self.place, &key, &error)),
        }
    }
}

fn retries(deadline: Duration) -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: deadline }
}

fn client(config: &BlobsConfig) -> ClientOptions {
    let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    // A file may take as long as its reader does; a silence may not.
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(config.deadline)
        .with_read_timeout(config.deadline)
        .with_allow_http(plain)
}

fn failed(place: &str, subject: &dyn Display, error: &Error) -> PortError {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = inner.source();
    }
    let detail = |advice: &str| format!("{subject} in {place}: {said}{advice}");
    let status = match error {
        Error::NotFound { .. } => Some(404),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Some(403),
        Error::InvalidPath { .. } | Error::NotSupported { .. } => Some(400),
        _ => status_in(&said),
    };
    match status {
        Some(404) => PortError::misused(BLOBS, detail("; make it, or mend blobs.url")),
        Some(401 | 403) => {
            let advice = "; mend the credentials, or their rights to list, read, write and delete";
            PortError::misused(BLOBS, detail(advice))
        }
        Some(400) => PortError::misused(BLOBS, detail("")),
        _ => PortError::unavailable(BLOBS, detail("")),
    }
}

/// The status that an answer had. The library keeps it for some calls in its words only.
fn status_in(said: &str) -> Option<u16> {
    let (_, behind) = said.split_once("status code: ")?;
    behind.get(..3)?.parse().ok()
}

#[async_trait]
impl Blobs for CloudBlobs {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        let path = Self::path(key)?;
        let Some(meta) = self.found(key, self.store.head(&path)).await? else { return Ok(None) };
        Ok(Some(BlobHead {
            size: meta.size,
            modified: meta.last_modified.timestamp_millis(),
            etag: meta.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
        }))
    }

    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        let path = Self::path(key)?;
        let (first, last) = range.into_inner();
        let length = length_of(key, first, last)?;
        let options =
            GetOptions { range: Some(GetRange::Bounded(first..first + length)), ..Default::default() };
        let Some(answer) = self.found(key, self.store.get_opts(&path, options)).await? else {
            return Ok(None);
        };
        let subject = format!("{key} in {}", self.place);
        let (named, place) = (key.to_owned(), self.place.clone());
        let pieces = answer.into_stream().map_err(move |error| failed(&place, &named, &error));
        Ok(Some(exactly(length, &subject, self.deadline, Box::pin(pieces))))
    }

    async fn link(&self, key: &str, lasts: Duration) -> Result<Option<String>, PortError> {
        let path = Self::path(key)?;
        let signed = self.signer.signed_url(Method::GET, &path, lasts);
        let signed = self.within(key, signed).await?;
        signed.map(|url| Some(url.into())).map_err(|error| failed(&self.place, &key, &error))
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        let path = Self::path(key)?;
        let put = self.store.put(&path, PutPayload::from_bytes(content));
        self.within(key, put).await?.map(drop).map_err(|error| failed(&self.place, &key, &error))
    }

    async fn remove(&self, key: &str) -> Result<bool, PortError> {
        let path = Self::path(key)?;
        Ok(self.found(key, self.store.delete(&path)).await?.is_some())
    }

    async fn list(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, PortError> {
        let folder_path = Self::path(folder)?;
        let offset = after.map(Self::path).transpose()?;
        let listed = async {
            let listed = match &offset {
                Some(offset) => self.store.list_with_offset(Some(&folder_path), offset),
                None => self.store.list(Some(&folder_path)),
            };
            // Not every server of the interface knows offsets.
            let behind = listed.try_filter(|meta| {
                let is_behind = offset.as_ref().is_none_or(|offset| meta.location > *offset);
                std::future::ready(is_behind)
            });
            behind.take(limit.min(LISTED_MAX)).try_collect::<Vec<_>>().await
        };
        let listed = self.within(folder, listed).await?;
        let listed = listed.map_err(|error| failed(&self.place, &folder, &error))?;
        let read = listed.into_iter().map(|meta| ListedBlob {
            key: meta.location.to_string(),
            size: meta.size,
            modified: meta.last_modified.timestamp_millis(),
        });
        Ok(read.collect())
    }

    async fn ping(&self) -> Result<(), PortError> {
        let nowhere = Path::from(NOWHERE);
        let first = async { self.store.list(Some(&nowhere)).next().await.transpose() };
        let subject = "a list of nothing";
        self.within(subject, first).await?.map(drop).map_err(|error| failed(&self.place, &subject, &error))
    }
}
