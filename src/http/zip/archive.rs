//! An archive that is written piece by piece, without going back.
//!
//! Nothing is compressed, since video is already. Checksums stand behind each file and in the directory at the
//! end, as they are not known before. Holds no more than what was written since the last look.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// From this size on a file needs numbers of 64 bits.
const LARGE: u64 = 0xFFFF_FFFF;
/// Longest comment that we write, in bytes; the format has room for 65,535.
const COMMENT_MAX: usize = 60_000;

/// An archive under way.
pub struct Archive {
    writer: ZipWriter<StreamWriter<Outlet>>,
    outlet: Outlet,
}

impl Default for Archive {
    fn default() -> Self {
        let outlet = Outlet::default();
        Self { writer: ZipWriter::new_stream(outlet.clone()), outlet }
    }
}

impl Archive {
    /// Ends the file before and begins the next, of `size` bytes.
    ///
    /// # Errors
    /// When there is one of this name already.
    pub fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        Ok(self.writer.start_file(name, plain.large_file(size >= LARGE))?)
    }

    /// Writes a piece of the file that was begun.
    ///
    /// # Errors
    /// When there is none, or it grows beyond what was announced.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.writer.write_all(piece)
    }

    /// What was written since the last look.
    #[must_use]
    pub fn written(&self) -> Bytes {
        self.outlet.taken()
    }

    /// Ends the archive and returns the rest of it. What is missing stands in its comment.
    ///
    /// # Errors
    /// When there are more files than an archive can hold.
    pub fn finished(self, missing: &[String]) -> io::Result<Bytes> {
        let Self { mut writer, outlet } = self;
        writer.set_comment(comment(missing))?;
        writer.finish()?;
        Ok(outlet.taken())
    }
}

/// Empty if nothing is missing.
fn comment(missing: &[String]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let mut comment = "Not in this archive:\n".to_owned();
    for (index, what) in missing.iter().enumerate() {
        if comment.len() + what.len() > COMMENT_MAX {
            return format!("{comment}and {} more\n", missing.len() - index);
        }
        comment.extend([what, "\n"]);
    }
    comment
}

/// Where the writer leaves its bytes, to be fetched between its steps.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Outlet {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> Bytes {
        mem::take(&mut *self.lock()).into()
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut archive = Archive::default();
        let mut bytes = Vec::new();
        let files = [("a.mp4", "one".repeat(100)), ("é (2).mp4", "two".to_owned())];
        for (name, content) in &files {
            archive.begin(name, content.len() as u64).unwrap();
            for piece in content.as_bytes().chunks(7) {
                archive.write(piece).unwrap();
                bytes.extend_from_slice(&archive.written());
            }
            assert!(archive.written().is_empty(), "nothing is held back");
        }
        let comment = ["Recording 'x' not found".to_owned(), "é".to_owned()];
        bytes.extend_from_slice(&archive.finished(&comment).unwrap());

        let mut read = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let expected = "Not in this archive:\nRecording 'x' not found\né\n";
        assert_eq!(std::str::from_utf8(read.comment()).unwrap(), expected);
        for (index, (name, content)) in files.iter().enumerate() {
            let mut file = read.by_index(index).unwrap();
            assert_eq!(file.name().unwrap(), *name);
            assert_eq!(file.compression(), CompressionMethod::Stored);
            let mut found = String::new();
            file.read_to_string(&mut found).unwrap();
            assert_eq!(found, *content, "{name}");
        }
    }

    #[test]
    fn an_archive_of_nothing_is_one() {
        let read = ZipArchive::new(Cursor::new(Archive::default().finished(&[]).unwrap())).unwrap();
        assert_eq!((read.len(), read.comment()), (0, b"".as_slice()));
    }

    #[test]
    fn a_comment_always_fits() {
        let missing: Vec<String> = (0..100).map(|n| format!("{n}{}", "x".repeat(1_000))).collect();
        let comment = comment(&missing);
        assert!(comment.len() < usize::from(u16::MAX), "{}", comment.len());
        assert!(comment.ends_with("\nand 41 more\n"), "{}", &comment[comment.len() - 40..]);
        let bytes = Archive::default().finished(&missing).unwrap();
        assert_eq!(ZipArchive::new(Cursor::new(bytes)).unwrap().comment(), comment.as_bytes());
    }
}
