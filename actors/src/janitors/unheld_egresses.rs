//! Unheld egresses: live egresses of our form that no row holds.
//!
//! An older node's, or one that shows life after it was given up and forgotten. LiveKit lists the dead as
//! running for ever, so one whose document is gone, or says that it is over, counts only with its recorder in
//! the room.

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::ids::{RecordingId, Uid};
use crate::ports::PortError;
use crate::ports::media_server::recorder_among;
use crate::recording::egress::{CallError, EgressInfo, EgressStatus};
use crate::recording::event::{Happening, Presence, Sighting, Source};
use crate::recording::ledger::Row;
use crate::recording::policy::Policy;
use crate::recording::reconcile::may_run;
use crate::recording::{RecordingStatus, Timestamp};

/// What our own stores know of an egress that no row holds.
struct Known {
    /// What its document shows; none if there is none.
    document: Option<RecordingStatus>,
    /// Display name of its room; none if neither its room nor a document is known.
    room_name: Option<String>,
}

/// What LiveKit says of the egress when asked for it alone.
struct Asked {
    info: Option<EgressInfo>,
    /// Unknown, if a document says that the egress is not over: its owner looks.
    recorder: Presence,
}

fn judge(document: Option<RecordingStatus>, asked: &Asked, at: Timestamp, policy: &Policy) -> Verdict {
    let Some(info) = &asked.info else {
        return Verdict::keep("asked for by id, LiveKit does not know it");
    };
    let now = info.status.recorded_as().name();
    if info.status.is_terminal() {
        return Verdict::keep(format!("asked for by id, it is over: {now}"));
    }
    match document {
        Some(over) if over.is_terminal() => judge_called_over(over, info.status, asked.recorder),
        None if !may_run(info, asked.recorder, at, policy) => {
            Verdict::keep("it has no document, and its recorder is not in the room: LiveKit lists the dead")
        }
        Some(_) | None => Verdict::hand_over(format!("it is {now}, and no row holds it")),
    }
}

fn judge_called_over(over: RecordingStatus, now: EgressStatus, recorder: Presence) -> Verdict {
    let said = format!("its document says {}", over.name());
    match recorder {
        _ if now == EgressStatus::Ending => Verdict::keep(format!("{said}, and it ends by itself")),
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
    let finding = about(judge(known.document, &asked, finder.now(), &finder.sources.policy));
    let Some(info) = asked.info else { return Some(finding) };
    let source = if asked.recorder == Presence::Present { Source::Recorder } else { Source::Call };
    let sighting = Sighting { info, source, room_name, document: known.document };
    Some(finding.asking(Ask::Tell(Box::new(Happening::EgressSeen(sighting)))))
}

/// Whether its room's row holds it. Read after the list, so one that was begun before it is held already.
async fn is_held(finder: &Finder, listed: &EgressInfo, uid: &Uid) -> Result<bool, PortError> {
    let row = finder.store(finder.sources.ledger.load(&listed.room)).await?;
    let held = |row: Row| {
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
) -> Result<Asked, CallError> {
    let media_server = &finder.sources.media_server;
    let info = media_server.egress(&recording.egress).await?;
    let recorder = if document.is_some_and(|shown| !shown.is_terminal()) {
        Presence::Unknown
    } else {
        recorder_among(&media_server.participants(&recording.room).await?, Some(&recording.egress))
    };
    Ok(Asked { info, recorder })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EgressId, RoomId};
    use crate::recording::encoding::{Encoding, Layout};

    const NOW: Timestamp = Timestamp(1_000_000);

    /// An egress that LiveKit changed so many seconds ago.
    fn info(status: EgressStatus, seconds_ago: i64) -> EgressInfo {
        EgressInfo {
            egress: EgressId::from_trusted("EG_1"),
            room: RoomId::from_trusted("room"),
            status,
            filepath: None,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: String::new(),
            started_at: 0,
            ended_at: 0,
            updated_at: (NOW.0 / 1_000 - seconds_ago) * 1_000_000_000,
            duration: 0,
            size: 0,
            error: String::new(),
            error_code: 0,
            details: String::new(),
        }
    }

    #[test]
    fn an_egress_that_no_row_holds_is_handed_over_if_it_lives() {
        use EgressStatus::{Active, Complete, Ending, Starting};
        use Presence::{Absent, Present, RoomEmpty, Unknown};
        let (live, failed) = (Some(RecordingStatus::Active), Some(RecordingStatus::Failed));
        let runs = "hand over: it is active, and no row holds it";
        let dead =
            "keep: its document says failed, and its recorder is not in the room: LiveKit lists the dead";
        let deleted = "keep: it has no document, and its recorder is not in the room: LiveKit lists the dead";
        let starts = "hand over: it is starting, and no row holds it";
        let unknown = "keep, unknown: its document says failed, and nobody looked into the room";
        let back = "hand over: its document says failed, but its recorder is in the room";
        let ends = "keep: its document says failed, and it ends by itself";
        let table = [
            (None, Some((Active, 600)), Present, runs),
            (None, Some((Active, 600)), Absent, deleted),
            (None, Some((Starting, 299)), RoomEmpty, starts),
            (None, Some((Starting, 300)), RoomEmpty, deleted),
            (None, Some((Ending, 3_599)), Absent, "hand over: it is ending, and no row holds it"),
            (None, Some((Ending, 3_600)), Absent, deleted),
            (None, Some((Ending, 3_600)), Present, "hand over: it is ending, and no row holds it"),
            (live, Some((Active, 600)), Unknown, runs),
            (live, Some((Complete, 600)), Unknown, "keep: asked for by id, it is over: complete"),
            (None, None, Absent, "keep: asked for by id, LiveKit does not know it"),
            (failed, Some((Active, 600)), Present, back),
            (failed, Some((Active, 600)), Absent, dead),
            (failed, Some((Active, 600)), RoomEmpty, dead),
            (failed, Some((Ending, 600)), Present, ends),
            (failed, Some((Active, 600)), Unknown, unknown),
        ];
        for (document, egress, recorder, expected) in table {
            let asked = Asked { info: egress.map(|(status, ago)| info(status, ago)), recorder };
            let verdict = judge(document, &asked, NOW, &Policy::default());
            let told = format!("{}: {}", verdict.name(), verdict.reason());
            assert_eq!(told, expected, "{document:?} {egress:?} {recorder:?}");
        }
    }
}
