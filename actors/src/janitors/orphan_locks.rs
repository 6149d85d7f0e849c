//! Orphan locks: rooms that are being recorded, by their row, though nothing records them.
//!
//! A lock is a row whose phase is not idle. Its owner looks by itself; this is for one that does not, whatever
//! the reason. A live recording keeps its room, with or without publishers (contract `deviations.md`).

use std::time::Duration;

use super::finder::Finder;
use super::{Ask, Finding, Task, Verdict};
use crate::ids::{RecordingId, RoomId};
use crate::ports::media_server::recorder_among;
use crate::recording::Timestamp;
use crate::recording::egress::{CallError, EgressInfo, EgressStatus};
use crate::recording::event::{Happening, Presence};
use crate::recording::ledger::{Current, Phase, Row, Track};

const NS_PER_MS: i64 = 1_000_000;

/// What LiveKit shows behind a lock.
#[derive(Debug, Clone, Copy)]
struct Behind {
    /// The egress, asked for by its id, or looked for by its uid in the room's list; none if it is not known.
    egress: Option<EgressStatus>,
    /// Its recorder; anybody's if the egress is not known.
    recorder: Presence,
}

/// What the row alone says; none if LiveKit must be asked.
fn judge_row(phase: Phase, current: &Current, at: Timestamp, grace: Duration) -> Option<Verdict> {
    let starts = matches!(phase, Phase::Starting | Phase::Uncertain);
    let deadline = current.deadline.filter(|_| starts);
    if deadline.is_some_and(|deadline| at < deadline.plus(grace)) {
        return Some(Verdict::keep("a start is judged by its deadline alone"));
    }
    let young = at.since(age_begins(&current.track)) < grace;
    young.then(|| Verdict::keep(format!("it is younger than {grace:?}")))
}

/// When it began to record, or until when its StartEgress could begin it.
fn age_begins(track: &Track) -> Timestamp {
    let seen = track.seen.as_ref().map(|info| Timestamp(info.started_at.max(0) / NS_PER_MS));
    seen.unwrap_or(track.call_ends)
}

fn judge(behind: Behind) -> Verdict {
    match (behind.recorder, behind.egress) {
        (Presence::Present, _) => Verdict::keep("its recorder is in the room"),
        (Presence::Unknown, _) => Verdict::unknown(&"nobody looked into the room"),
        (Presence::RoomEmpty, _) => Verdict::hand_over("nobody is in the room, or LiveKit has no such room"),
        (Presence::Absent, None) => Verdict::hand_over("LiveKit knows no egress of it"),
        (Presence::Absent, Some(status)) if status.is_terminal() => {
            Verdict::hand_over(format!("its egress is over: {}", status.recorded_as().name()))
        }
        (Presence::Absent, Some(_)) => {
            Verdict::keep("LiveKit lists its egress as live; its recorder is its owner's to look for")
        }
    }
}

pub(super) async fn find(finder: &Finder, row: Row) -> Option<Finding> {
    let current = row.state.current.as_ref().filter(|_| row.state.phase != Phase::Idle)?;
    let grace = finder.sources.lock_grace;
    let verdict = match judge_row(row.state.phase, current, finder.now(), grace) {
        Some(verdict) => verdict,
        None => match finder.livekit(look_behind(finder, &row.room, &current.track)).await {
            Ok(behind) => judge(behind),
            Err(error) => Verdict::unknown(&error),
        },
    };
    let uid = current.track.uid.clone();
    let finding = match &current.track.egress {
        Some(egress) => {
            let recording = RecordingId::new(row.room.clone(), egress.clone(), uid.clone());
            Finding::of_recording(Task::OrphanLocks, &recording, verdict)
        }
        None => Finding::new(Task::OrphanLocks, row.room.clone(), verdict),
    };
    Some(finding.asking(Ask::Tell(Box::new(Happening::FoundOrphan { uid }))))
}

async fn look_behind(finder: &Finder, room: &RoomId, track: &Track) -> Result<Behind, CallError> {
    let media_server = &finder.sources.media_server;
    let participants = media_server.participants(room).await?;
    let egress = if let Some(egress) = &track.egress {
        media_server.egress(egress).await?
    } else {
        let files = &finder.sources.policy.files;
        let uid = |info: &EgressInfo| files.uid_of(room, info.filepath.as_deref()?);
        let listed = media_server.room_egresses(room).await?;
        listed.into_iter().find(|info| uid(info).as_ref() == Some(&track.uid))
    };
    let recorder = recorder_among(&participants, track.egress.as_ref());
    Ok(Behind { egress: egress.map(|info| info.status), recorder })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EgressId, Uid};
    use crate::recording::AccessSecrets;
    use crate::recording::encoding::{Encoding, Layout};

    const GRACE: Duration = Duration::from_secs(30);

    fn current(started_at_ms: Option<i64>, call_ends: i64, deadline: Option<i64>) -> Current {
        let info = |ms: i64| EgressInfo {
            egress: EgressId::from_trusted("EG_1"),
            room: RoomId::from_trusted("room"),
            status: EgressStatus::Active,
            filepath: None,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: String::new(),
            started_at: ms * NS_PER_MS,
            ended_at: 0,
            updated_at: 0,
            duration: 0,
            size: 0,
            error: String::new(),
            error_code: 0,
            details: String::new(),
        };
        let track = Track {
            uid: Uid::from_trusted("u1"),
            egress: None,
            secrets: AccessSecrets { public: String::new(), private: String::new() },
            call_ends: Timestamp(call_ends),
            seen: started_at_ms.map(|ms| Box::new(info(ms))),
            ran: false,
            recorder_seen: false,
            left: None,
            shown: None,
            stop: None,
        };
        Current {
            track,
            command: None,
            deadline: deadline.map(Timestamp),
            layout: Layout::Grid,
            encoding: Encoding::default(),
            stopping_since: None,
        }
    }

    #[test]
    fn a_young_lock_and_a_start_in_time_are_kept_without_asking_livekit() {
        use Phase::{Active, Starting, Stopping, Uncertain};
        let (young, start) = ("it is younger than 30s", "a start is judged by its deadline alone");
        let table = [
            (Active, current(Some(1_000), 0, None), 30_999, Some(young)),
            (Active, current(Some(1_000), 0, None), 31_000, None),
            (Stopping, current(Some(1_000), 0, None), 31_000, None),
            // LiveKit's clock is ahead of ours.
            (Active, current(Some(90_000), 0, None), 31_000, Some(young)),
            (Starting, current(None, 50_000, Some(20_000)), 49_999, Some(start)),
            (Uncertain, current(None, 50_000, Some(20_000)), 50_000, Some(young)),
            (Uncertain, current(None, 50_000, Some(20_000)), 80_000, None),
            (Starting, current(None, 0, None), 31_000, None),
        ];
        for (phase, current, at, expected) in table {
            let verdict = judge_row(phase, &current, Timestamp(at), GRACE);
            assert_eq!(verdict, expected.map(Verdict::keep), "{phase:?} at {at}");
        }
    }

    #[test]
    fn a_lock_is_an_orphan_when_nothing_is_behind_it() {
        use EgressStatus::{Aborted, Active, Complete, Ending, Starting};
        use Presence::{Absent, Present, RoomEmpty, Unknown};
        let listed = "keep: LiveKit lists its egress as live; its recorder is its owner's to look for";
        let empty = "hand over: nobody is in the room, or LiveKit has no such room";
        let table = [
            (Some(Active), Present, "keep: its recorder is in the room"),
            (None, Present, "keep: its recorder is in the room"),
            (Some(Active), Absent, listed),
            (Some(Starting), Absent, listed),
            (Some(Ending), Absent, listed),
            (Some(Complete), Absent, "hand over: its egress is over: complete"),
            (Some(Aborted), Absent, "hand over: its egress is over: aborted"),
            (None, Absent, "hand over: LiveKit knows no egress of it"),
            (None, RoomEmpty, empty),
            // LiveKit lists the dead as running for ever.
            (Some(Active), RoomEmpty, empty),
            (None, Unknown, "keep, unknown: nobody looked into the room"),
        ];
        for (egress, recorder, expected) in table {
            let verdict = judge(Behind { egress, recorder });
            let shown = format!("{}: {}", verdict.name(), verdict.reason());
            assert_eq!(shown, expected, "{egress:?} {recorder:?}");
        }
    }
}
