//! Blob stores of clouds: the port's suite over each, and what their failures read like.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use reelkeeper::adapters::blobs::azure_google::CloudBlobs;
use reelkeeper::adapters::blobs::s3::S3Blobs;
use reelkeeper::config::{BlobsConfig, BlobsUrl, Secret};
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::ports::{PortErrorKind, suite};

use crate::servers::{self, BUCKET, Backend, SECRET_KEY, azure, blobs, google, s3};

/// A cloud: its server, and how it is reached.
struct Cloud {
    service: Backend,
    url: BlobsUrl,
}

impl Cloud {
    async fn all() -> [Self; 3] {
        let bucket = || BUCKET.to_owned();
        let (s3, azure, google) = tokio::join!(s3(), azure(), google());
        [
            Self { service: s3, url: BlobsUrl::S3 { bucket: bucket() } },
            Self { service: azure, url: BlobsUrl::Azure { container: bucket() } },
            Self { service: google, url: BlobsUrl::Google { bucket: bucket() } },
        ]
    }

    fn config(&self) -> BlobsConfig {
        blobs(self.url.clone(), self.service.port())
    }
}

async fn open(config: &BlobsConfig) -> Box<dyn Blobs> {
    match &config.url {
        BlobsUrl::S3 { bucket } => Box::new(S3Blobs::connect(config, bucket).await),
        BlobsUrl::Azure { container } => Box::new(CloudBlobs::azure(config, container).unwrap()),
        BlobsUrl::Google { bucket } => Box::new(CloudBlobs::google(config, bucket).unwrap()),
        BlobsUrl::Folder(_) => panic!("a folder is no cloud"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_is_a_blob_store() {
    for cloud in Cloud::all().await {
        println!("{:?}", cloud.url);
        suite::blobs(&*open(&cloud.config()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_anybody_read_one_file_for_a_while() {
    // The stand-in for Google's has no key to sign with.
    let [s3, azure, _] = Cloud::all().await;
    for cloud in [s3, azure] {
        let blobs = open(&cloud.config()).await;
        blobs.put("a/a-film.mp4", Bytes::from_static(b"0123456789")).await.unwrap();
        let link =
            blobs.link("a/a-film.mp4", Duration::from_mins(5)).await.unwrap().expect("a cloud has links");
        let read = async |link: &str| {
            reqwest::Client::new().get(link).header("range", "bytes=2-4").send().await.unwrap()
        };
        let answer = read(&link).await;
        assert_eq!(
            (answer.status().as_u16(), &*answer.text().await.unwrap()),
            (206, "234"),
            "{:?}",
            cloud.url
        );
        for forged in [link.replace("film", "tape"), link.split('?').next().unwrap().to_owned()] {
            let status = read(&forged).await.status();
            assert!(status.is_client_error(), "{:?}: {status}", cloud.url);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_no_absent_file() {
    for cloud in Cloud::all().await {
        let mut config = cloud.config();
        config.url = match config.url {
            BlobsUrl::S3 { .. } => BlobsUrl::S3 { bucket: "nowhere".to_owned() },
            BlobsUrl::Azure { .. } => BlobsUrl::Azure { container: "nowhere".to_owned() },
            _ => BlobsUrl::Google { bucket: "nowhere".to_owned() },
        };
        let blobs = open(&config).await;
        for (call, error) in [
            ("ping", blobs.ping().await.expect_err("ping")),
            ("head", blobs.head("a/film.mp4").await.expect_err("head")),
            ("remove", blobs.remove("a/film.mp4").await.expect_err("remove")),
            ("read", blobs.read("a/film.mp4", 0..=9).await.err().expect("read")),
        ] {
            // The stand-in for Google's answers 500, which is as little an absence.
            if !matches!(cloud.url, BlobsUrl::Google { .. }) {
                assert_eq!(error.kind, PortErrorKind::Misused, "{:?} {call}: {error}", cloud.url);
            }
            assert!(error.to_string().contains("nowhere"), "{call}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_said_without_them() {
    let [s3, azure, _] = Cloud::all().await;
    for cloud in [s3, azure] {
        let mut config = cloud.config();
        let wrong = || Secret::new("d3Jvbmctc2VjcmV0LWtleQ==");
        config.keys = config.keys.map(|(access, _)| (access, wrong()));
        config.account = config.account.map(|(account, _)| (account, wrong()));
        let blobs = open(&config).await;
        let error = blobs.ping().await.expect_err("wrong keys");
        assert_eq!(error.kind, PortErrorKind::Misused, "{error}");
        let text = error.to_string();
        assert!(!text.contains(SECRET_KEY) && !text.contains("d3Jvbmct"), "{text}");
        assert!(text.contains("mend"), "says what to do: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_away_or_frozen_is_named_in_time() {
    for mut cloud in Cloud::all().await {
        let config = BlobsConfig { deadline: Duration::from_secs(1), ..cloud.config() };
        let blobs = open(&config).await;
        blobs.put("film.mp4", Bytes::from_static(b"0123456789")).await.unwrap();
        cloud.service.freeze();
        is_unavailable(&*blobs, "frozen").await;
        cloud.service.thaw();
        crate::stack::eventually("it answers again", async || blobs.head("film.mp4").await.ok().flatten())
            .await;
        cloud.service.kill().await;
        is_unavailable(&*blobs, "away").await;
        cloud.service.start_again().await;
        crate::stack::eventually("it answers again", async || blobs.ping().await.ok().or(Some(()))).await;
    }
}

async fn is_unavailable(blobs: &dyn Blobs, how: &str) {
    let began = Instant::now();
    let error = blobs.head("film.mp4").await.expect_err(how);
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{how}: {error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{how}: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_stops_coming_ends_with_an_error() {
    const SIZE: usize = 32 * 1024 * 1024;
    let service = s3().await;
    let url = BlobsUrl::S3 { bucket: BUCKET.to_owned() };
    let patient = BlobsConfig { deadline: Duration::from_mins(1), ..servers::blobs(url, service.port()) };
    // A busy machine takes its time for so much.
    open(&patient).await.put("film.mp4", Bytes::from(vec![7; SIZE])).await.unwrap();
    let blobs = open(&BlobsConfig { deadline: Duration::from_secs(2), ..patient }).await;
    let mut stream = blobs.read("film.mp4", 0..=(SIZE as u64 - 1)).await.unwrap().unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    service.freeze();
    let rest: Vec<_> = stream.collect().await;
    let error = rest.last().unwrap().as_ref().expect_err("it ended as if it were whole");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    service.thaw();
}
