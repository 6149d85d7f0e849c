//! Unheld recordings: documents that say that a recording is not over, though no row holds it.
//!
//! An older process wrote them, or the original did. Needs no LiveKit: the owner looks.

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::ids::RecordingId;
use crate::ports::PortError;
use crate::ports::catalog::StoredRecording;
use crate::recording::RecordingStatus;
use crate::recording::event::Happening;
use crate::recording::ledger::RoomState;

/// What is to become of a document, seen again after its room's row; none if the row holds it or it is over.
fn judge(row: Option<&RoomState>, recording: &RecordingId, now: Option<RecordingStatus>) -> Option<Verdict> {
    let status = now.filter(|status| !status.is_terminal())?;
    if row.is_some_and(|row| row.holds(&recording.uid)) {
        return None;
    }
    let pending = row.iter().flat_map(|row| &row.pending);
    if pending.filter_map(|pending| pending.effect.recording()).any(|owed| owed == recording) {
        return Some(Verdict::keep("its row still owes its document"));
    }
    Some(Verdict::hand_over(format!("its document says {}, and no row holds it", status.name())))
}

pub(super) async fn find(finder: &Finder, stored: StoredRecording) -> Option<Finding> {
    let recording = stored.recording.recording_id;
    match look(finder, &recording).await {
        Ok((row, document)) => {
            let status = document.as_ref().map(|document| document.recording.status);
            let verdict = judge(row.as_ref(), &recording, status)?;
            let finding = Finding::of_recording(Task::UnheldRecordings, &recording, verdict);
            let unheld = Happening::Unheld(Box::new(document?.into()));
            Some(finding.asking(Ask::Tell(Box::new(unheld))))
        }
        Err(error) => {
            let verdict = Verdict::unknown(&error);
            Some(Finding::of_recording(Task::UnheldRecordings, &recording, verdict))
        }
    }
}

/// The row first: a row that is gone has brought its documents up to date, so the document read after it is
/// not one that was over meanwhile.
async fn look(
    finder: &Finder,
    recording: &RecordingId,
) -> Result<(Option<RoomState>, Option<StoredRecording>), PortError> {
    let row = finder.store(finder.sources.ledger.load(&recording.room)).await?.map(|row| row.state);
    if row.as_ref().is_some_and(|row| row.holds(&recording.uid)) {
        return Ok((row, None));
    }
    Ok((row, finder.store(finder.sources.catalog.recording(recording)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EgressId, RoomId, Uid};
    use crate::recording::ledger::{Owed, Pending};

    #[test]
    fn a_document_that_is_not_over_belongs_to_a_row() {
        let id = |uid: &str| {
            RecordingId::new(
                RoomId::from_trusted("room"),
                EgressId::from_trusted("EG_1"),
                Uid::from_trusted(uid),
            )
        };
        let owes = |uid: &str| RoomState {
            pending: vec![Pending {
                number: 1,
                effect: Owed::Remove { recording: id(uid), key: String::new() },
            }],
            ..RoomState::default()
        };
        let active = Some(RecordingStatus::Active);
        let unheld = "hand over: its document says active, and no row holds it";
        let table = [
            (None, active, Some(unheld)),
            (Some(RoomState::default()), active, Some(unheld)),
            (Some(owes("u2")), active, Some(unheld)),
            (Some(owes("u1")), active, Some("keep: its row still owes its document")),
            // Over, or deleted, since the page was read.
            (None, Some(RecordingStatus::Complete), None),
            (None, None, None),
        ];
        for (row, now, expected) in table {
            let verdict = judge(row.as_ref(), &id("u1"), now);
            let told = verdict.map(|verdict| format!("{}: {}", verdict.name(), verdict.reason()));
            assert_eq!(told.as_deref(), expected, "{row:?} {now:?}");
        }
    }
}
