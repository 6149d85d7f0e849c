//! What always holds of a room actor's state, whatever happened. Checked after every decision in debug
//! builds and in simulation.

use std::collections::BTreeSet;

use super::ledger::{Phase, State};

/// Names the invariants that a state breaks; empty for a sound one.
#[must_use]
pub fn broken(state: &State) -> Vec<&'static str> {
    let (row, memory) = (&state.durable, &state.memory);
    let uids: Vec<_> = row
        .current
        .iter()
        .map(|current| &current.track.uid)
        .chain(row.unsettled.iter().map(|unsettled| &unsettled.track.uid))
        .collect();
    let may_send_is_current = memory.may_send.as_ref().is_none_or(|uid| {
        row.phase == Phase::Starting
            && row.current.as_ref().is_some_and(|c| c.track.uid == *uid && c.track.egress.is_none())
    });
    let numbers: Vec<u64> = row.pending.iter().map(|pending| pending.number).collect();
    let rules = [
        ("a current recording holds the room exactly when it is not idle", {
            (row.phase == Phase::Idle) == row.current.is_none()
        }),
        ("only the intent at hand may be sent, and only before its egress is known", may_send_is_current),
        ("a command that was begun waits for its answer", {
            let mut begun = row.begun.iter();
            begun.all(|begun| memory.waiting.iter().any(|waiting| waiting.command == begun.command))
        }),
        ("each uid is held once", uids.iter().collect::<BTreeSet<_>>().len() == uids.len()),
        ("pending effects are in order and numbered", {
            numbers.is_sorted() && numbers.last().is_none_or(|last| *last <= row.effects_numbered)
        }),
        ("a recording that is over holds no room", {
            row.current.as_ref().is_none_or(|current| {
                current.track.seen.as_ref().is_none_or(|info| !info.status.is_terminal())
            })
        }),
    ];
    rules.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
}

/// Panics on a broken invariant in debug builds: it is a bug of ours.
pub fn check(state: &State) {
    if cfg!(debug_assertions) {
        let broken = broken(state);
        assert!(broken.is_empty(), "room '{}' breaks: {}", state.room, broken.join("; "));
    }
}
