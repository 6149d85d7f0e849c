//! Every (phase, event) pair, printed. The snapshot is the documentation of the lifecycle.

use reelkeeper_actors::ids::Uid;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::{EgressStatus, LeaveReason};
use reelkeeper_actors::recording::event::{Happening, Source};
use reelkeeper_actors::recording::ledger::Phase;

use crate::story::{
    DEADLINE, Story, command, delete, file, found, found_stale, gone, looked_into_room, lost, name_of,
    recorder_left, seen, start, start_failed, started, stop, stop_failed, stopped, summary, twirp, unheld,
    webhook,
};

/// A story that stands in the phase, with `u1` as the current uid where there is one. A start stands there
/// twice: while its call is under way, and when LiveKit has taken it.
fn at(phase: Phase, called: bool) -> Story {
    let mut story = Story::new();
    match phase {
        Phase::Idle => {}
        Phase::Starting if called => {
            story.then(0, start("start")).then(1, looked_into_room("u1", &[]));
        }
        Phase::Starting => {
            story.then(0, start("start")).then(1, looked_into_room("u1", &[]));
            story.then(2, started("u1", EgressStatus::Starting));
        }
        Phase::Uncertain => {
            story.then(0, start("start")).then(1, looked_into_room("u1", &[])).crash(2);
        }
        Phase::Active => {
            story.then(0, start("start")).then(1, looked_into_room("u1", &[]));
            story.then(2, started("u1", EgressStatus::Active));
        }
        Phase::Stopping => {
            story.then(0, start("start")).then(1, looked_into_room("u1", &[]));
            story.then(2, started("u1", EgressStatus::Active));
            story.then(3, stop("first stop", "u1", 3, Some(RecordingStatus::Active)));
        }
    }
    assert_eq!(story.state.durable.phase, phase);
    story
}

fn document(phase: Phase) -> Option<RecordingStatus> {
    match phase {
        Phase::Idle | Phase::Uncertain => None,
        Phase::Starting => Some(RecordingStatus::Starting),
        Phase::Active | Phase::Stopping => Some(RecordingStatus::Active),
    }
}

fn events(phase: Phase) -> Vec<(i64, Happening)> {
    use EgressStatus::{Aborted, Active, Complete, Ending, Failed, LimitReached, Starting};
    let shown = document(phase);
    let mut events = vec![
        (10, start("again")),
        (10, stop("stop", "u1", 10, shown)),
        (10, stop("stop", "u9", 10, None)),
        (10, delete("delete", "u1", 10, shown)),
        (10, delete("delete", "u8", 10, Some(RecordingStatus::Complete))),
        (10, Happening::TakenUp),
        (10, Happening::Tick),
        (DEADLINE + 15_000, Happening::Tick),
        (10, looked_into_room("u1", &[("u7", Active)])),
        (10, Happening::RoomLocked { uid: Uid::from_trusted("u1") }),
        (10, start_failed("u1", twirp("unavailable", "no worker"))),
        (10, start_failed("u1", twirp("invalid_argument", "no"))),
        (10, start_failed("u1", lost())),
        (10, stop_failed("u1", twirp("not_found", "no such egress"))),
        (10, stop_failed("u1", twirp("permission_denied", "no"))),
        (10, stop_failed("u1", lost())),
        (10, stopped("u1", Ending)),
    ];
    for status in [Starting, Active, Ending, Complete, Failed, Aborted, LimitReached] {
        events.push((10, webhook("u1", status, shown)));
    }
    events.extend([
        (10, webhook("u7", Active, None)),
        (10, seen("u7", Active, None, Source::Call)),
        (10, webhook("u7", Complete, Some(RecordingStatus::Failed))),
        (10, found("u1", Active)),
        (10, gone("u1")),
        (10, file("u1", Some(5))),
        (10, recorder_left("u1", LeaveReason::Clean)),
        (10, recorder_left("u1", LeaveReason::Lost)),
        (10, unheld("u7", RecordingStatus::Starting)),
        (10, unheld("u7", RecordingStatus::Active)),
        (10, unheld("u7", RecordingStatus::Ending)),
        (400_000, found_stale("u1", 2_000)),
        (10, Happening::Cancelled { command: command("start") }),
        (10, Happening::FoundOrphan { uid: Uid::from_trusted("u1") }),
        (10, seen("u7", Active, Some(RecordingStatus::Failed), Source::Call)),
        (10, seen("u7", Active, Some(RecordingStatus::Failed), Source::Recorder)),
        (10, Happening::EffectDone { number: 1 }),
        (10, Happening::FileRemoved { number: 1 }),
        (10, Happening::EffectFailed { number: 1, dependency: "blobs" }),
    ]);
    events
}

#[test]
fn the_table_of_every_phase_and_event() {
    let mut table = String::new();
    let stands = Phase::ALL.map(|phase| (phase, false));
    for (phase, called) in [(Phase::Starting, true)].into_iter().chain(stands) {
        let remark = if called { ", the call under way" } else { "" };
        table.extend([&format!("{phase:?}"), remark, "\n"]);
        for (time, event) in events(phase) {
            let mut story = at(phase, called);
            let decision = story.decide(time, event.clone());
            let line = format!("  {:<46} {}", name_of(&event), summary(&story.state, &decision));
            table.push_str(line.trim_end());
            table.push('\n');
        }
    }
    insta::assert_snapshot!(table);
}
