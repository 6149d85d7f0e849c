//! Stale recordings: LiveKit says nothing new of them, and nobody but recorders is in their room.
//!
//! Only recordings that a row holds; those that none holds are `unheld_recordings`' business. Their owner
//! stops them, and calls them aborted when the upload limit passes without an end (contract `deviations.md`).

use std::time::Duration;

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::ids::{RecordingId, Uid};
use crate::ports::catalog::StoredRecording;
use crate::ports::media_server::is_attended;
use crate::recording::Timestamp;
use crate::recording::egress::{CallError, EgressInfo, EgressStatus};
use crate::recording::event::Happening;
use crate::recording::ledger::{Phase, RoomState};

const NS_PER_MS: i64 = 1_000_000;

/// How a row holds a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// As a start that has its deadline.
    Starts,
    /// It was found stale before.
    BeingStopped,
    /// Anything else.
    Otherwise,
}

/// What LiveKit shows of an egress and its room.
#[derive(Debug, Clone, Copy)]
struct Shown {
    /// The egress, asked for by id; none if LiveKit does not know it.
    egress: Option<(EgressStatus, i64)>,
    /// Whether anybody but recorders is in the room.
    is_attended: bool,
}

fn held(row: &RoomState, uid: &Uid) -> Option<Held> {
    let track = row.tracks().find(|track| track.uid == *uid)?;
    let is_current = row.current.as_ref().is_some_and(|current| current.track.uid == *uid);
    Some(if is_current && matches!(row.phase, Phase::Starting | Phase::Uncertain) {
        Held::Starts
    } else if track.stop.is_some_and(|stop| stop.stale) {
        Held::BeingStopped
    } else {
        Held::Otherwise
    })
}

/// What row and document alone say; none if LiveKit must be asked.
fn judge_row(held: Held, updated_at: i64, at: Timestamp, stale_after: Duration) -> Option<Verdict> {
    match held {
        Held::Starts => Some(Verdict::keep("a start is judged by its deadline alone")),
        Held::BeingStopped => Some(Verdict::keep("it was found stale before and is being stopped")),
        Held::Otherwise => judge_silence(updated_at, at, stale_after),
    }
}

fn judge_silence(updated_at: i64, at: Timestamp, stale_after: Duration) -> Option<Verdict> {
    let recent = at.since(Timestamp(updated_at / NS_PER_MS)) < stale_after;
    recent.then(|| Verdict::keep(format!("LiveKit said something new within {stale_after:?}")))
}

fn judge(shown: Shown, at: Timestamp, stale_after: Duration) -> Verdict {
    let Some((status, updated_at)) = shown.egress else {
        return Verdict::keep("LiveKit does not know its egress; its owner looks for it and its file");
    };
    if status.is_terminal() {
        let status = status.recorded_as().name();
        return Verdict::keep(format!("its egress is over ({status}); its owner will see it"));
    }
    if updated_at == 0 {
        return Verdict::keep("LiveKit does not say when it last changed");
    }
    if let Some(verdict) = judge_silence(updated_at, at, stale_after) {
        return verdict;
    }
    if shown.is_attended {
        return Verdict::keep("somebody is in the room");
    }
    let silence = format!("LiveKit said nothing new for {stale_after:?}");
    Verdict::hand_over(format!("{silence}, and nobody but recorders is in the room"))
}

pub(super) async fn find(finder: &Finder, stored: StoredRecording) -> Option<Finding> {
    let recording = stored.recording.recording_id;
    let row = match finder.store(finder.sources.ledger.load(&recording.room)).await {
        Ok(row) => row?,
        Err(error) => {
            let verdict = Verdict::unknown(&error);
            return Some(Finding::of_recording(Task::StaleRecordings, &recording, verdict));
        }
    };
    let held = held(&row.state, &recording.uid)?;
    let (at, stale_after) = (finder.now(), finder.sources.policy.stale_after);
    if let Some(verdict) = judge_row(held, stored.updated_at, at, stale_after) {
        return Some(Finding::of_recording(Task::StaleRecordings, &recording, verdict));
    }
    let shown = finder.livekit(look(finder, &recording)).await;
    let verdict = match &shown {
        Ok(shown) => judge(*shown, at, stale_after),
        Err(error) => Verdict::unknown(error),
    };
    let updated_at = shown.ok().and_then(|shown| shown.egress).map_or(0, |(_, updated_at)| updated_at);
    let stale = Happening::FoundStale { recording: recording.clone(), updated_at };
    let finding = Finding::of_recording(Task::StaleRecordings, &recording, verdict);
    Some(finding.asking(Ask::Tell(Box::new(stale))))
}

async fn look(finder: &Finder, recording: &RecordingId) -> Result<Shown, CallError> {
    let media_server = &finder.sources.media_server;
    let egress: Option<EgressInfo> = media_server.egress(&recording.egress).await?;
    let participants = media_server.participants(&recording.room).await?;
    let is_attended = is_attended(&participants);
    Ok(Shown { egress: egress.map(|info| (info.status, info.updated_at)), is_attended })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_AFTER: Duration = Duration::from_mins(5);
    const NOW: Timestamp = Timestamp(1_000_000);
    /// The last moment that is silence for long enough, in nanoseconds.
    const LONG_AGO: i64 = 700_000 * NS_PER_MS;

    fn told(verdict: &Verdict) -> String {
        format!("{}: {}", verdict.name(), verdict.reason())
    }

    #[test]
    fn what_row_and_document_say_spares_livekit_the_question() {
        let recent = "keep: LiveKit said something new within 300s";
        let table = [
            (Held::Starts, LONG_AGO, Some("keep: a start is judged by its deadline alone")),
            (Held::BeingStopped, LONG_AGO, Some("keep: it was found stale before and is being stopped")),
            (Held::Otherwise, LONG_AGO + NS_PER_MS, Some(recent)),
            (Held::Otherwise, LONG_AGO, None),
            // Not known: the original wrote no such time.
            (Held::Otherwise, 0, None),
        ];
        for (held, updated_at, expected) in table {
            let verdict = judge_row(held, updated_at, NOW, STALE_AFTER);
            assert_eq!(verdict.as_ref().map(told).as_deref(), expected, "{held:?} {updated_at}");
        }
    }

    #[test]
    fn only_silence_in_a_room_without_participants_is_stale() {
        use EgressStatus::{Active, Ending, Failed, Starting};
        let stale = "hand over: LiveKit said nothing new for 300s, and nobody but recorders is in the room";
        let table = [
            (Some((Active, LONG_AGO)), false, stale),
            (Some((Ending, LONG_AGO)), false, stale),
            (Some((Starting, LONG_AGO)), false, stale),
            (Some((Active, LONG_AGO)), true, "keep: somebody is in the room"),
            (Some((Active, LONG_AGO + NS_PER_MS)), false, "keep: LiveKit said something new within 300s"),
            (Some((Active, 0)), false, "keep: LiveKit does not say when it last changed"),
            (Some((Failed, LONG_AGO)), false, "keep: its egress is over (failed); its owner will see it"),
            (None, false, "keep: LiveKit does not know its egress; its owner looks for it and its file"),
        ];
        for (egress, is_attended, expected) in table {
            let verdict = judge(Shown { egress, is_attended }, NOW, STALE_AFTER);
            assert_eq!(told(&verdict), expected, "{egress:?}, attended: {is_attended}");
        }
    }
}
