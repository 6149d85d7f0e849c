//! The lock that keeps a second process off a database file.
//!
//! SQLite itself would let several processes write; then nobody could say which one owns the rooms, as
//! there is no coordination between them (design 2).

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use reelkeeper_actors::ports::PortError;

use super::STORE;
use super::connection::unavailable;

/// Enough to name a holder.
const NAME_MAX: u64 = 256;

/// Held as long as it lives. The operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Locks `<database>.lock`, never the database itself: closing any handle of that would lose SQLite's
    /// own locks. The file stays behind, since removing it could take it from under the next holder.
    pub(super) fn take(database: &Path) -> Result<Self, PortError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let shown = Path::new(&path).display();
        let failed = |error| unavailable(&shown, error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let detail = format!("{} is in use by {}", database.display(), holder(&mut file));
                return Err(PortError::misused(STORE, detail));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let name = format!("process {} on {}", std::process::id(), host());
        file.set_len(0).and_then(|()| file.write_all(name.as_bytes())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Who wrote its name into the lock file; it may not have come that far yet.
fn holder(file: &mut File) -> String {
    let mut name = String::new();
    let read = file.rewind().and_then(|()| file.take(NAME_MAX).read_to_string(&mut name));
    if read.is_err() || name.is_empty() { "another process".to_owned() } else { name }
}

fn host() -> String {
    // What a person reads; an empty one would only look like a fault.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "this host".to_owned() } else { name.trim().to_owned() }
}
