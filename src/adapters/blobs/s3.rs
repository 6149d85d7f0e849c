//! S3, and what speaks its interface.
//!
//! Owns how files are asked for, and what S3's answers mean to a caller and to whoever runs the service. The
//! SDK repeats what may be repeated, within the deadline.

use std::error::Error;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::ServerSideEncryption;
use bytes::Bytes;
use futures::stream;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::blobs::{BlobHead, Blobs, ByteStream, LISTED_MAX, ListedBlob, checked_key};

use super::{BLOBS, exactly, length_of};
use crate::adapters::awaited::awaiting;
use crate::config::{BlobsConfig, Encryption};

/// Tries of one call, all within its deadline.
const ATTEMPTS: u32 = 3;

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Blobs {
    client: Client,
    bucket: String,
    encryption: Encryption,
    deadline: Duration,
}

impl S3Blobs {
    /// Makes a client for a bucket. Asks nothing of it yet, but AWS's chain for keys if none are given.
    pub async fn connect(config: &BlobsConfig, bucket: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.deadline)
            .operation_attempt_timeout(config.deadline)
            .operation_timeout(config.deadline);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(config.region.clone()))
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            // A slow reader is no stalled stream; a silent one is noticed by the transfer itself.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some((access, secret)) = &config.keys {
            let keys = Credentials::new(access.expose(), secret.expose(), None, None, "configuration");
            loader = loader.credentials_provider(keys);
        }
        let shared = loader.load().await;
        let mut options = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(config.path_style)
            // Not every server of the interface knows checksums.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &config.endpoint {
            options = options.endpoint_url(endpoint.as_str());
        }
        Self {
            client: Client::from_conf(options.build()),
            bucket: bucket.to_owned(),
            encryption: config.encryption.clone(),
            deadline: config.deadline,
        }
    }

    /// Waits for an answer, not longer than a call may take: the SDK's own deadline knows nothing of a
    /// connection that is made but not answered while keys are asked for.
    async fn within<T, E>(
        &self,
        subject: &str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<Result<T, SdkError<E>>, PortError> {
        let answer = tokio::time::timeout(self.deadline, awaiting(BLOBS, call)).await;
        answer.map_err(|_| {
            let detail =
                format_args!("{subject} in bucket {}: no answer within {:?}", self.bucket, self.deadline);
            PortError::unavailable(BLOBS, detail)
        })
    }

    /// The answer, or why there is none.
    async fn answered<T, E>(
        &self,
        subject: &str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, PortError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.within(subject, call).await?.map_err(|error| self.failed(&subject, &error))
    }

    /// The answer, or none if there is no such file: believed only if its bucket answers.
    async fn found<T, E>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<Option<T>, PortError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match self.within(key, call).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if status_of(&error) == Some(404) && error.code() != Some("NoSuchBucket") => {
                self.ping().await.map(|()| None)
            }
            Err(error) => Err(self.failed(&key, &error)),
        }
    }

    fn failed<E>(&self, subject: &dyn Display, error: &SdkError<E>) -> PortError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let bucket = &self.bucket;
        let Some(status) = status_of(error) else {
            let cause = DisplayErrorContext(error);
            return PortError::unavailable(BLOBS, format_args!("{subject} in bucket {bucket}: {cause}"));
        };
        let code = error.code().unwrap_or("no code");
        let said = error.message().map(|message| format!(": {message}")).unwrap_or_default();
        let advice = advice(code, status);
        let detail = format!("{subject} in bucket {bucket}: status {status}, {code}{said}{advice}");
        match status {
            400..=499 if !matches!(status, 408 | 429) => PortError::misused(BLOBS, detail),
            _ => PortError::unavailable(BLOBS, detail),
        }
    }
}

fn status_of<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What whoever runs the service can do about an answer.
fn advice(code: &str, status: u16) -> &'static str {
    match (code, status) {
        ("NoSuchBucket", _) => "; make the bucket, or mend blobs.url",
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken", _) => {
            "; mend blobs.access_key and blobs.secret_key"
        }
        ("AccessDenied", _) | (_, 401 | 403) => {
            "; the keys need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject in it"
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, 301) => {
            "; mend blobs.region or blobs.endpoint"
        }
        _ => "",
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        checked_key(key)?;
        let call = Box::pin(self.client.head_object().bucket(&self.bucket).key(key).send());
        let Some(head) = self.found(key, call).await? else { return Ok(None) };
        Ok(Some(BlobHead {
            size: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default(),
            modified: head.last_modified().and_then(|time| time.to_millis().ok()).unwrap_or_default(),
            etag: head.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
        }))
    }

    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        checked_key(key)?;
        let (first, last) = range.into_inner();
        let length = length_of(key, first, last)?;
        let range = format!("bytes={first}-{last}");
        let call = Box::pin(self.client.get_object().bucket(&self.bucket).key(key).range(range).send());
        let Some(answer) = self.found(key, call).await? else { return Ok(None) };
        let subject = format!("{key} in bucket {}", self.bucket);
        let named = subject.clone();
        let pieces = stream::unfold(answer.body, move |mut body| {
            let named = named.clone();
            async move {
                let piece = body.next().await?;
                let piece =
                    piece.map_err(|error| PortError::unavailable(BLOBS, format_args!("{named}: {error}")));
                Some((piece, body))
            }
        });
        Ok(Some(exactly(length, &subject, self.deadline, Box::pin(pieces))))
    }

    async fn link(&self, key: &str, lasts: Duration) -> Result<Option<String>, PortError> {
        checked_key(key)?;
        let lasts = PresigningConfig::expires_in(lasts);
        let lasts = lasts.map_err(|error| PortError::misused(BLOBS, format_args!("{key}: {error}")))?;
        let call = Box::pin(self.client.get_object().bucket(&self.bucket).key(key).presigned(lasts));
        Ok(Some(self.answered(key, call).await?.uri().to_owned()))
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        checked_key(key)?;
        let mut call = self.client.put_object().bucket(&self.bucket).key(key).body(content.into());
        call = match &self.encryption {
            Encryption::None => call,
            Encryption::Store => call.server_side_encryption(ServerSideEncryption::Aes256),
            Encryption::Kms { key_id, context } => call
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .set_ssekms_key_id(key_id.clone())
                .set_ssekms_encryption_context(context.clone()),
        };
        self.answered(key, Box::pin(call.send())).await.map(drop)
    }

    async fn remove(&self, key: &str) -> Result<bool, PortError> {
        // S3 removes what is not there without a word.
        if self.head(key).await?.is_none() {
            return Ok(false);
        }
        let call = Box::pin(self.client.delete_object().bucket(&self.bucket).key(key).send());
        self.answered(key, call).await.map(|_| true)
    }

    async fn list(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, PortError> {
        let most = i32::try_from(limit.min(LISTED_MAX)).unwrap_or(i32::MAX);
        let list =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(format!("{folder}/")).max_keys(most);
        let list = list.set_start_after(after.map(str::to_owned));
        let listed = self.answered(folder, Box::pin(list.send())).await?;
        let read = listed.contents().iter().filter_map(|object| {
            Some(ListedBlob {
                key: object.key()?.to_owned(),
                size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                modified: object.last_modified().and_then(|time| time.to_millis().ok()).unwrap_or_default(),
            })
        });
        Ok(read.collect())
    }

    async fn ping(&self) -> Result<(), PortError> {
        let call = Box::pin(self.client.list_objects_v2().bucket(&self.bucket).max_keys(1).send());
        self.answered("a list of one key", call).await.map(drop)
    }
}
