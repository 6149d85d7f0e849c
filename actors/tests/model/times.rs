//! Time without length: in every state it is now, and what is armed lies in a far future until it is made due.
//!
//! Owns the canonical form of an actor's state. Times, tries and numbers that only say how soon something comes
//! are made equal, so that the space stays finite and every timer may fire at any moment.

use std::collections::BTreeMap;

use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::event::{Evidence, FileEvidence, Listed, Presence};
use reelkeeper_actors::recording::ledger::{Attempt, Owed, Retry, State, Track, Wants};
use reelkeeper_actors::recording::policy::{NEVER_SEEN, Policy, STRIKE_GAP};
use reelkeeper_actors::recording::reconcile::{FileVerdict, Strikes};

use super::cues::{Due, Patience, client_name, past, uid, uid_name};
use super::world::UidName;

/// The time of every event.
pub const NOW: Timestamp = Timestamp(1_000_000_000_000);
/// The time of whatever is armed.
pub const ARMED: Timestamp = Timestamp(NOW.0 + 1_000_000_000);

/// Makes times, tries and numbers equal. Notices are not modelled: nothing waits for one.
pub fn canonical(mut state: State, policy: &Policy) -> State {
    let row = &mut state.durable;
    if let Some(current) = &mut row.current {
        calm(&mut current.track);
        current.deadline = current.deadline.map(|_| ARMED);
        current.stopping_since = current.stopping_since.map(|_| NOW);
    }
    for unsettled in &mut row.unsettled {
        calm(&mut unsettled.track);
        unsettled.since = NOW;
    }
    row.unsettled.sort_by_key(|unsettled| uid_name(&unsettled.track.uid));
    row.begun.iter_mut().for_each(|begun| begun.deadline = ARMED);
    row.pending.retain(|pending| !matches!(pending.effect, Owed::Notify(_)));
    let numbers: BTreeMap<u64, u64> = row.pending.iter().map(|p| p.number).zip(1..).collect();
    row.pending.iter_mut().for_each(|pending| pending.number = numbers[&pending.number]);
    row.effects_numbered = numbers.len() as u64;
    for pending in &mut row.pending {
        if let Owed::Project { recording, updated_at, .. } = &mut pending.effect {
            recording.end_date = None;
            *updated_at = 0;
        }
    }

    let memory = &mut state.memory;
    memory.retry_start = memory.retry_start.map(|_| ARMED);
    memory.start_tries = 0;
    for retry in memory.looks.values_mut().chain(memory.stops.values_mut()) {
        *retry = Retry { due: ARMED, tries: 0 };
    }
    let begun = memory.effects.keys().filter_map(|number| numbers.get(number));
    memory.effects = begun.map(|number| (*number, Attempt::default())).collect();
    memory.waiting.sort_by_key(|waiting| client_name(&waiting.command));
    for waiting in &mut memory.waiting {
        waiting.deadline = ARMED;
        if let Wants::Effect { number, .. } = &mut waiting.wants {
            *number = numbers[number];
        }
    }
    memory.strikes.values_mut().for_each(|strikes| *strikes = canonical_strikes(*strikes, policy));
    memory.strikes.retain(|_, strikes| *strikes != Strikes::default());
    state
}

fn calm(track: &mut Track) {
    track.call_ends = ARMED;
    if let Some(stop) = &mut track.stop {
        stop.since = NOW;
    }
}

/// Each thing was shown never, once, or by two looks far enough apart. A look that comes too soon changes nothing,
/// so that the next one is always far enough apart loses no history.
fn canonical_strikes(strikes: Strikes, policy: &Policy) -> Strikes {
    const THERE: FileEvidence = FileEvidence::There { size: 1, modified: 1, duration: Some(1) };
    let gap = policy.strike_gap();
    let verdict = strikes.file(policy);
    let (file_once, file_twice) = match verdict {
        FileVerdict::There(_) => (THERE, THERE),
        FileVerdict::NotThere => (FileEvidence::NotThere, FileEvidence::NotThere),
        FileVerdict::Open if strikes.has_file() => (THERE, FileEvidence::Unknown),
        FileVerdict::Open if strikes.is_file_near(policy) => (FileEvidence::NotThere, FileEvidence::Unknown),
        FileVerdict::Open => (FileEvidence::Unknown, FileEvidence::Unknown),
    };
    let listed = |missed: bool| if missed { Listed::Absent } else { Listed::Unknown };
    let recorder = |away: bool| if away { Presence::Absent } else { Presence::Unknown };
    let once = Evidence {
        listed: listed(strikes.is_missed()),
        recorder: recorder(strikes.is_away()),
        file: file_once,
    };
    let twice = Evidence {
        listed: listed(strikes.is_unlisted(policy)),
        recorder: recorder(strikes.is_away_for(gap)),
        file: file_twice,
    };
    let mut canonical = Strikes::default();
    canonical.take_in(&once, past(STRIKE_GAP), policy);
    canonical.take_in(&twice, NOW, policy);
    canonical
}

/// Makes one timer due.
pub fn make_due(state: &mut State, due: Due, policy: &Policy) {
    let (row, memory) = (&mut state.durable, &mut state.memory);
    match due {
        Due::Deadline => {
            if let Some(current) = &mut row.current {
                current.deadline = Some(NOW);
            }
            for waiting in memory.waiting.iter_mut().filter(|waiting| waiting.wants == Wants::Start) {
                waiting.deadline = NOW;
            }
        }
        Due::StopTimeout => {
            if let Some(current) = &mut row.current {
                current.stopping_since = Some(past(policy.stop_timeout));
            }
        }
        Due::RetryStart => memory.retry_start = Some(NOW),
        Due::Look(name) => {
            memory.looks.insert(uid(name), Retry { due: NOW, tries: 0 });
        }
        Due::Stop(name) => {
            memory.stops.insert(uid(name), Retry { due: NOW, tries: 0 });
        }
        Due::Answer(client) => {
            for waiting in memory.waiting.iter_mut().filter(|w| client_name(&w.command) == client) {
                waiting.deadline = NOW;
            }
        }
    }
}

/// Lets long waits of a uid be over.
pub fn lose_patience(state: &mut State, name: UidName, patience: Patience, policy: &Policy) {
    for unsettled in state.durable.unsettled.iter_mut().filter(|u| uid_name(&u.track.uid) == name) {
        if patience >= Patience::CallOver {
            unsettled.track.call_ends = past(NEVER_SEEN);
        }
        if patience >= Patience::LimitOver {
            unsettled.since = past(policy.upload_limit);
        }
    }
}
