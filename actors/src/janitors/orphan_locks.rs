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

/// A row whose phase is not idle.
#[derive(Debug, Clone, Copy)]
struct Lock {
    phase: Phase,
    /// Of a start.
    deadline: Option<Timestamp>,
    /// When it began to record, or until when its StartEgress could begin it.
    since: Timestamp,
}

impl Lock {
    fn of(phase: Phase, current: &Current) -> Self {
        let track = &current.track;
        let began = track.seen.as_ref().map(|info| Timestamp(info.started_at.max(0) / NS_PER_MS));
        Self { phase, deadline: current.deadline, since: began.unwrap_or(track.call_ends) }
    }
}

/// What the row alone says; none if LiveKit must be asked.
fn judge_row(lock: Lock, at: Timestamp, grace: Duration) -> Option<Verdict> {
    let starts = matches!(lock.phase, Phase::Starting | Phase::Uncertain);
    let deadline = lock.deadline.filter(|_| starts);
    if deadline.is_some_and(|deadline| at < deadline.plus(grace)) {
        return Some(Verdict::keep("a start is judged by its deadline alone"));
    }
    let young = at.since(lock.since) < grace;
    young.then(|| Verdict::keep(format!("it is younger than {grace:?}")))
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
    let verdict = match judge_row(Lock::of(row.state.phase, current), finder.now(), grace) {
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

    #[test]
    fn a_young_lock_and_a_start_in_time_are_kept_without_asking_livekit() {
        use Phase::{Active, Starting, Stopping, Uncertain};
        let (young, start) = ("it is younger than 30s", "a start is judged by its deadline alone");
        let table = [
            (Active, None, 1_000, 30_999, Some(young)),
            (Active, None, 1_000, 31_000, None),
            (Stopping, None, 1_000, 31_000, None),
            // LiveKit's clock is ahead of ours.
            (Active, None, 90_000, 31_000, Some(young)),
            (Starting, Some(20_000), 50_000, 49_999, Some(start)),
            (Uncertain, Some(20_000), 50_000, 50_000, Some(young)),
            (Uncertain, Some(20_000), 50_000, 80_000, None),
            (Starting, None, 0, 31_000, None),
        ];
        for (phase, deadline, since, at, expected) in table {
            let lock = Lock { phase, deadline: deadline.map(Timestamp), since: Timestamp(since) };
            let verdict = judge_row(lock, Timestamp(at), Duration::from_secs(30));
            assert_eq!(verdict, expected.map(Verdict::keep), "{lock:?} at {at}");
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
