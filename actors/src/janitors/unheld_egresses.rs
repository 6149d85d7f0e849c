//! Unheld egresses: live egresses of our form that no row holds.
//!
//! An older node's, or one that shows life after it was given up and forgotten. LiveKit lists the dead as
//! running for ever, so one whose document says that it is over counts only with its recorder in the room.

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::ids::{RecordingId, Uid};
use crate::ports::PortError;
use crate::ports::media_server::recorder_among;
use crate::recording::RecordingStatus;
use crate::recording::egress::{EgressInfo, EgressStatus};
use crate::recording::event::{Happening, Presence, Sighting, Source};

/// What our own stores know of an egress that no row holds.
struct Known {
    /// What its document shows; none if there is none.
    document: Option<RecordingStatus>,
    /// Display name of its room; none if neither its room nor a document is known.
    room_name: Option<String>,
}

/// What is known of the egress by asking LiveKit for it alone.
struct Asked {
    info: Option<EgressInfo>,
    /// Asked only if the document says that it is over.
    recorder: Presence,
}

fn judge(document: Option<RecordingStatus>, asked: Option<EgressStatus>, recorder: Presence) -> Verdict {
    let Some(status) = asked else {
        return Verdict::keep("asked for by id, LiveKit does not know it");
    };
    let now = status.recorded_as().name();
    if status.is_terminal() {
        return Verdict::keep(format!("asked for by id, it is over: {now}"));
    }
    let Some(over) = document.filter(|shown| shown.is_terminal()) else {
        return Verdict::hand_over(format!("it is {now}, and no row holds it"));
    };
    let said = format!("its document says {}", over.name());
    match recorder {
        _ if status == EgressStatus::Ending => Verdict::keep(format!("{said}, and it ends by itself")),
        Presence::Present => Verdict::hand_over(format!("{said}, but its recorder is in the room")),
        Presence::Absent | Presence::RoomEmpty => {
            Verdict::keep(format!("{said}, and its recorder is not in the room: LiveKit lists the dead"))
        }
        Presence::Unknown => Verdict::unknown(&format!("{said}, and nobody looked into the room")),
    }
}

pub(super) async fn find(finder: &Finder, listed: EgressInfo) -> Option<Finding> {
    let uid = finder.sources.policy.files.uid_of(&listed.room, listed.filepath.as_deref()?)?;
    let recording = RecordingId::new(listed.room.clone(), listed.egress.clone(), uid.clone());
    let about = |verdict| Finding::of_recording(Task::UnheldEgresses, &recording, verdict);
    match is_held(finder, &listed, &uid).await {
        Ok(true) => return None,
        Ok(false) => {}
        Err(error) => return Some(about(Verdict::unknown(&error))),
    }
    let known = match look_up(finder, &recording).await {
        Ok(known) => known,
        Err(error) => return Some(about(Verdict::unknown(&error))),
    };
    let Some(room_name) = known.room_name else {
        let why = "neither its room nor a document is known here: another application's";
        return Some(about(Verdict::keep(why)));
    };
    let asked = match finder.livekit(ask(finder, &recording, known.document)).await {
        Ok(asked) => asked,
        Err(error) => return Some(about(Verdict::unknown(&error))),
    };
    let status = asked.info.as_ref().map(|info| info.status);
    let finding = about(judge(known.document, status, asked.recorder));
    let Some(info) = asked.info else { return Some(finding) };
    let source = if asked.recorder == Presence::Present { Source::Recorder } else { Source::Call };
    let sighting = Sighting { info, source, room_name, document: known.document };
    Some(finding.asking(Ask::Tell(Box::new(Happening::EgressSeen(sighting)))))
}

/// Whether its room's row holds it. Read after the list, so one that was begun before it is held already.
async fn is_held(finder: &Finder, listed: &EgressInfo, uid: &Uid) -> Result<bool, PortError> {
    let row = finder.store(finder.sources.ledger.load(&listed.room)).await?;
    let held = |row: crate::recording::ledger::Row| {
        let known = |egress: Option<&_>| egress == Some(&listed.egress);
        row.state.tracks().any(|track| track.uid == *uid || known(track.egress.as_ref()))
    };
    Ok(row.is_some_and(held))
}

async fn look_up(finder: &Finder, recording: &RecordingId) -> Result<Known, PortError> {
    let catalog = &finder.sources.catalog;
    if let Some(stored) = finder.store(catalog.recording(recording)).await? {
        let shown = stored.recording;
        return Ok(Known { document: Some(shown.status), room_name: Some(shown.room_name) });
    }
    let room = finder.store(catalog.room(&recording.room)).await?;
    Ok(Known { document: None, room_name: room.map(|room| room.room_name) })
}

async fn ask(
    finder: &Finder,
    recording: &RecordingId,
    document: Option<RecordingStatus>,
) -> Result<Asked, crate::recording::egress::CallError> {
    let media_server = &finder.sources.media_server;
    let info = media_server.egress(&recording.egress).await?;
    let recorder = if document.is_some_and(RecordingStatus::is_terminal) {
        recorder_among(&media_server.participants(&recording.room).await?, Some(&recording.egress))
    } else {
        Presence::Unknown
    };
    Ok(Asked { info, recorder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_egress_that_no_row_holds_is_handed_over_if_it_lives() {
        use EgressStatus::{Active, Complete, Ending, Starting};
        use Presence::{Absent, Present, RoomEmpty, Unknown};
        let shown = |status| Some(status);
        let dead =
            "keep: its document says failed, and its recorder is not in the room: LiveKit lists the dead";
        let table = [
            (None, Some(Active), Unknown, "hand over: it is active, and no row holds it"),
            (None, Some(Starting), Unknown, "hand over: it is starting, and no row holds it"),
            (None, Some(Ending), Unknown, "hand over: it is ending, and no row holds it"),
            (
                shown(RecordingStatus::Active),
                Some(Active),
                Unknown,
                "hand over: it is active, and no row holds it",
            ),
            (None, Some(Complete), Unknown, "keep: asked for by id, it is over: complete"),
            (None, None, Unknown, "keep: asked for by id, LiveKit does not know it"),
            (
                shown(RecordingStatus::Failed),
                Some(Active),
                Present,
                "hand over: its document says failed, but its recorder is in the room",
            ),
            (shown(RecordingStatus::Failed), Some(Active), Absent, dead),
            (shown(RecordingStatus::Failed), Some(Active), RoomEmpty, dead),
            (
                shown(RecordingStatus::Failed),
                Some(Ending),
                Present,
                "keep: its document says failed, and it ends by itself",
            ),
            (
                shown(RecordingStatus::Complete),
                Some(Active),
                Unknown,
                "keep, unknown: its document says complete, and nobody looked into the room",
            ),
        ];
        for (document, asked, recorder, expected) in table {
            let verdict = judge(document, asked, recorder);
            let told = format!("{}: {}", verdict.name(), verdict.reason());
            assert_eq!(told, expected, "{document:?} {asked:?} {recorder:?}");
        }
    }
}
