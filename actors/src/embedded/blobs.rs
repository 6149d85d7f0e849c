//! Blobs in a folder (`file://`): a key is the path below it.
//!
//! Owns how keys become paths and how files are written whole. Never leaves its folder, and never says
//! "not there" while the folder itself is away: a file's absence is evidence (design 5). Unix only, as
//! it tells folders and files apart by device and inode.

mod pieces;

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::pieces::pieces;
use crate::ports::PortError;
use crate::ports::blobs::{BlobHead, Blobs, ByteStream, LISTED_MAX, ListedBlob, checked_key};

/// Every call, and every piece of a stream, ends within this.
const DEADLINE: Duration = Duration::from_secs(10);

/// Files below one folder.
#[derive(Debug, Clone)]
pub struct DirectoryBlobs {
    root: Arc<Root>,
}

/// The folder as it was found when the store was opened.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    identity: (u64, u64),
}

impl DirectoryBlobs {
    /// Opens a folder, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be made or is not a folder.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, PortError> {
        let path = path.into();
        let name = path.display().to_string();
        let root = off_thread(&name, move || {
            fs::create_dir_all(&path)?;
            let path = path.canonicalize()?;
            let identity = identity(&fs::metadata(&path)?);
            Ok(Root { path, identity })
        })
        .await?;
        Ok(Self { root: Arc::new(root) })
    }

    /// Runs one call on a file beside the async threads.
    async fn call<T: Send + 'static>(
        &self,
        key: &str,
        call: impl FnOnce(&Root, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let relative = PathBuf::from(checked_key(key)?);
        let root = Arc::clone(&self.root);
        off_thread(key, move || call(&root, &relative)).await
    }
}

#[async_trait]
impl Blobs for DirectoryBlobs {
    async fn head(&self, key: &str) -> Result<Option<BlobHead>, PortError> {
        self.call(key, |root, path| Ok(root.find(path)?.map(|(_, metadata)| head_of(&metadata)))).await
    }

    async fn read(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<ByteStream>, PortError> {
        let (first, last) = range.into_inner();
        let Some(length) = last.checked_sub(first).and_then(|distance| distance.checked_add(1)) else {
            return Err(PortError::misused("blobs", format_args!("{key}: the range {first}-{last} is none")));
        };
        let file = self.call(key, move |root, path| {
            let Some((path, _)) = root.find(path)? else { return Ok(None) };
            match File::open(path) {
                Err(error) if is_absence(&error) => Ok(None),
                opened => opened.map(Some),
            }
        });
        Ok(file.await?.map(|file| pieces(key.to_owned(), file, first, length)))
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), PortError> {
        self.call(key, move |root, path| root.put(path, &content)).await
    }

    async fn remove(&self, key: &str) -> Result<bool, PortError> {
        self.call(key, |root, path| {
            let Some((path, _)) = root.find(path)? else { return Ok(false) };
            match fs::remove_file(path) {
                Err(error) if is_absence(&error) => Ok(false),
                removed => removed.map(|()| true),
            }
        })
        .await
    }

    async fn list(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, PortError> {
        let (path, after) = (folder.to_owned(), after.unwrap_or_default().to_owned());
        self.call(folder, move |root, _| root.list(&path, &after, limit.min(LISTED_MAX))).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        let root = Arc::clone(&self.root);
        off_thread("ping", move || root.is_here()).await
    }
}

impl Root {
    /// An unmounted disk leaves an empty folder behind, in which nothing would be there.
    fn is_here(&self) -> io::Result<()> {
        if identity(&fs::metadata(&self.path)?) == self.identity {
            return Ok(());
        }
        Err(io::Error::other("the folder is not the one that was opened"))
    }

    /// The real path of a file, if it is there. Anything but a file, and a link that leads out of the
    /// folder, is not there.
    fn find(&self, relative: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
        match self.path.join(relative).canonicalize().and_then(|path| Ok((fs::metadata(&path)?, path))) {
            Ok((metadata, path)) if metadata.is_file() && path.starts_with(&self.path) => {
                Ok(Some((path, metadata)))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absence(&error) => self.is_here().map(|()| None),
            Err(error) => Err(error),
        }
    }

    /// Files below a folder, the first ones after a key. Holds no more than are wanted, however many there are.
    fn list(&self, folder: &str, after: &str, limit: usize) -> io::Result<Vec<ListedBlob>> {
        self.is_here()?;
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.path.join(&folder)) {
                Err(error) if is_absence(&error) => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let key = format!("{folder}/{name}");
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(key);
                } else if kind.is_file() && key.as_str() > after {
                    found.insert(key, entry);
                    if found.len() > limit {
                        found.pop_last();
                    }
                }
            }
        }
        let listed = found.into_iter().map(|(key, entry)| {
            let BlobHead { size, modified, .. } = head_of(&entry.metadata()?);
            Ok(ListedBlob { key, size, modified })
        });
        // One that went meanwhile is none any more.
        listed.filter(|one: &io::Result<_>| !one.as_ref().is_err_and(is_absence)).collect()
    }

    /// Writes beside the file's place and moves it there, so that no reader ever sees half of it.
    fn put(&self, relative: &Path, content: &[u8]) -> io::Result<()> {
        self.is_here()?;
        let target = self.path.join(relative);
        let folder = target.parent().unwrap_or(&self.path);
        self.make_folder(folder)?;
        let unfinished = folder.join(format!(".put-{}", uuid::Uuid::new_v4().simple()));
        let written = write_synced(&unfinished, content).and_then(|()| fs::rename(&unfinished, &target));
        if let Err(error) = written {
            // The first error says more than a failed clean-up could.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        File::open(folder)?.sync_all()
    }

    /// Makes a folder and what lies above it, each one synced into the one above, without following a
    /// link out of the store.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if self.holds(folder)? {
            return Ok(());
        }
        let above = folder.parent().unwrap_or(&self.path);
        self.make_folder(above)?;
        match fs::create_dir(folder) {
            Ok(()) => File::open(above)?.sync_all(),
            // Somebody else was faster, or it is a link to nowhere.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.holds(folder)? => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn holds(&self, folder: &Path) -> io::Result<bool> {
        match folder.canonicalize() {
            Ok(real) if real.starts_with(&self.path) => Ok(true),
            Ok(_) => Err(io::Error::other("the path leads out of the store")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Runs what may block where it may. A call given up still ends by itself.
async fn off_thread<T: Send + 'static>(
    subject: &str,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(call)).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| failed(subject, &error)),
        Ok(Err(broken)) => Err(PortError::misused("blobs", format_args!("{subject}: {broken}"))),
        Err(_) => Err(too_slow(subject)),
    }
}

fn head_of(metadata: &Metadata) -> BlobHead {
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    BlobHead {
        size: metadata.size(),
        modified: seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000),
        // The inode tells two files of one size and one moment apart.
        etag: format!("{:x}-{seconds:x}.{nanos:x}-{:x}", metadata.size(), metadata.ino()),
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A segment that is a file counts as a folder without the rest of the path.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn failed(subject: &str, error: &io::Error) -> PortError {
    PortError::unavailable("blobs", format_args!("{subject}: {error}"))
}

fn too_slow(subject: &str) -> PortError {
    PortError::unavailable("blobs", format_args!("{subject}: no answer within {} s", DEADLINE.as_secs()))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::pieces::CHUNK;
    use super::*;
    use crate::ports::PortErrorKind;

    async fn store() -> (tempfile::TempDir, DirectoryBlobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::open(folder.path().join("blobs")).await.unwrap();
        (folder, blobs)
    }

    #[tokio::test]
    async fn a_link_that_leads_out_is_not_followed() {
        let (folder, blobs) = store().await;
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, folder.path().join("blobs/link")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("blobs/dangling")).unwrap();

        assert_eq!(blobs.head("link/secret").await.unwrap(), None);
        assert!(blobs.read("link/secret", 0..=0).await.unwrap().is_none());
        blobs.remove("link/secret").await.unwrap();
        for key in ["link/new", "link/secret", "link/deep/new", "dangling/new"] {
            assert!(blobs.put(key, Bytes::from_static(b"y")).await.is_err(), "{key}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"x");
    }

    #[tokio::test]
    async fn a_folder_is_not_a_file() {
        let (_folder, blobs) = store().await;
        blobs.put("a/b", Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(blobs.head("a").await.unwrap(), None);
        assert_eq!(blobs.head("a/b/c").await.unwrap(), None);
        blobs.remove("a").await.unwrap();
        assert!(blobs.put("a/b/c", Bytes::new()).await.is_err());
        assert!(blobs.head("a/b").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn nothing_is_known_while_the_folder_is_away() {
        let (folder, blobs) = store().await;
        let (here, away) = (folder.path().join("blobs"), folder.path().join("away"));
        fs::rename(&here, &away).unwrap();
        for state in ["gone", "replaced by an empty one"] {
            let kinds = [
                blobs.head("a").await.unwrap_err().kind,
                blobs.read("a", 0..=0).await.err().unwrap().kind,
                blobs.put("a", Bytes::new()).await.unwrap_err().kind,
                blobs.remove("a").await.unwrap_err().kind,
                blobs.ping().await.unwrap_err().kind,
            ];
            assert_eq!(kinds, [PortErrorKind::Unavailable; 5], "{state}");
            fs::create_dir_all(&here).unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_midway_is_an_error() {
        let (folder, blobs) = store().await;
        blobs.put("film", vec![7; 4 * CHUNK].into()).await.unwrap();
        let mut stream = blobs.read("film", 0..=(4 * CHUNK as u64 - 1)).await.unwrap().unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        let file = File::options().write(true).open(folder.path().join("blobs/film")).unwrap();
        file.set_len(CHUNK as u64).unwrap();
        let rest: Vec<_> = stream.collect().await;
        assert!(matches!(rest.last(), Some(Err(_))), "the stream ended as if it were whole");
    }

    #[tokio::test]
    async fn a_put_leaves_nothing_else_behind() {
        let (folder, blobs) = store().await;
        blobs.put("a/b", Bytes::from_static(b"1")).await.unwrap();
        blobs.put("a/b", Bytes::from_static(b"2")).await.unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path().join("blobs/a")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
    }
}
