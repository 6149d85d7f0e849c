//! The bytes of an opened file, piece by piece, at the reader's pace.
//!
//! Owns how a file is read while it is sent. What the system holds in memory is copied at once, by the task that
//! wants it; what lies on the disk is read beside the async threads. Both write into memory that is used again, so
//! that a stream costs a few pieces however long it is. Measured on a file of 200 MB: a thread's help for each piece,
//! and fresh memory for each piece, cost as much processor time again as reading and sending it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;

use super::{DEADLINE, failed, too_slow};
use crate::ports::PortError;
use crate::ports::blobs::ByteStream;

/// Bytes of one piece of a stream; a reader holds about two of them.
pub(super) const CHUNK: usize = 128 * 1024;
/// Pieces that a stream keeps for later. More are in use only while a client is slow to take them.
const SPARE_MAX: usize = 2;

/// A file that is being read.
struct Reading {
    key: String,
    file: Arc<File>,
    at: u64,
    left: u64,
    spare: Spare,
}

/// The memory of pieces that were taken and sent.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

/// Memory on its way to the client; it comes back when it was sent.
struct Lent {
    memory: Vec<u8>,
    filled: usize,
    spare: Spare,
}

/// `left` bytes of a file, beginning at `at`. Reads one piece only when the last one was taken.
pub(super) fn pieces(key: String, file: File, at: u64, left: u64) -> ByteStream {
    let reading = Reading { key, file: Arc::new(file), at, left, spare: Spare::default() };
    Box::pin(stream::try_unfold(reading, |mut reading| async move {
        if reading.left == 0 {
            return Ok(None);
        }
        let piece = reading.next_piece().await?;
        Ok(Some((piece, reading)))
    }))
}

impl Reading {
    async fn next_piece(&mut self) -> Result<Bytes, PortError> {
        let wanted = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut memory = self.spare.take();
        let filled;
        if let Some(read) = read_from_memory(&self.file, &mut memory[..wanted], self.at) {
            filled = read.map_err(|error| failed(&self.key, &error))?;
        } else {
            (filled, memory) = self.read_from_disk(memory, wanted).await?;
        }
        if filled == 0 {
            let (key, left) = (&self.key, self.left);
            return Err(PortError::unavailable(
                "blobs",
                format_args!("{key}: the file ends {left} bytes early"),
            ));
        }
        self.at += filled as u64;
        self.left -= filled as u64;
        Ok(Bytes::from_owner(Lent { memory, filled, spare: self.spare.clone() }))
    }

    async fn read_from_disk(
        &self,
        mut memory: Vec<u8>,
        wanted: usize,
    ) -> Result<(usize, Vec<u8>), PortError> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        let read = tokio::task::spawn_blocking(move || {
            let read = file.read_at(&mut memory[..wanted], at)?;
            Ok((read, memory))
        });
        match tokio::time::timeout(DEADLINE, read).await {
            Ok(Ok(read)) => read.map_err(|error: io::Error| failed(&self.key, &error)),
            Ok(Err(broken)) => Err(PortError::misused("blobs", format_args!("{}: {broken}", self.key))),
            Err(_) => Err(too_slow(&self.key)),
        }
    }
}

/// What the system has in memory of these bytes, without waiting for a disk; none if that would take one, or if
/// it cannot be told.
#[cfg(target_os = "linux")]
fn read_from_memory(file: &File, memory: &mut [u8], at: u64) -> Option<io::Result<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    match preadv2(file, &mut [io::IoSliceMut::new(memory)], at, ReadWriteFlags::NOWAIT) {
        Ok(read) => Some(Ok(read)),
        Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_from_memory(_file: &File, _memory: &mut [u8], _at: u64) -> Option<io::Result<usize>> {
    None
}

impl Spare {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| vec![0; CHUNK])
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(std::mem::take(&mut self.memory));
        }
    }
}
