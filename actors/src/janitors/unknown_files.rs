//! Unknown files: in our folder and of our form, and no document or row knows them.
//!
//! Only reported: what nobody knows may be somebody's only copy. A file younger than a day is not looked at, since
//! until then a row may still bring its document.

use super::finder::Finder;
use super::{Finding, Task, Verdict};
use crate::ids::{RoomId, Uid};
use crate::ports::PortError;
use crate::ports::blobs::ListedBlob;
use crate::recording::Timestamp;
use crate::recording::policy::UNSETTLED_AGE;

/// What is to become of a file; none if it is known, or not ours to judge.
fn judge(file: &ListedBlob, known: Known) -> Option<Verdict> {
    let ListedBlob { key, size, .. } = file;
    let why = || format!("no document and no row knows the file '{key}' of {size} bytes");
    (known == Known::No).then(|| Verdict::report(why()))
}

/// Whether anything of ours knows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

fn is_young(file: &ListedBlob, at: Timestamp) -> bool {
    at.since(Timestamp(file.modified)) < UNSETTLED_AGE
}

pub(super) async fn find(finder: &Finder, file: ListedBlob) -> Option<Finding> {
    let (room, uid) = finder.sources.policy.files.recording_of(&file.key)?;
    if is_young(&file, finder.now()) {
        return None;
    }
    let verdict = match look(finder, &room, &uid).await {
        Ok(known) => judge(&file, known)?,
        Err(error) => Verdict::unknown(&error),
    };
    Some(Finding::new(Task::UnknownFiles, room, verdict))
}

/// The row first: one that is gone has brought its documents up to date.
async fn look(finder: &Finder, room: &RoomId, uid: &Uid) -> Result<Known, PortError> {
    let sources = &finder.sources;
    let row = finder.store(sources.ledger.load(room)).await?;
    let is_known = row.is_some_and(|row| row.state.holds(uid))
        || finder.store(sources.catalog.has_recording(room, uid)).await?;
    Ok(if is_known { Known::Yes } else { Known::No })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_old_and_unknown_is_reported() {
        let file = ListedBlob { key: "a/b.mp4".to_owned(), size: 7, modified: 1_000 };
        assert_eq!(judge(&file, Known::Yes), None);
        let verdict = judge(&file, Known::No).unwrap();
        assert_eq!(verdict.name(), "report");
        assert_eq!(verdict.reason(), "no document and no row knows the file 'a/b.mp4' of 7 bytes");
        let day = Timestamp(1_000).plus(UNSETTLED_AGE);
        assert!(is_young(&file, day.minus(Duration::from_millis(1))) && !is_young(&file, day));
    }
}
