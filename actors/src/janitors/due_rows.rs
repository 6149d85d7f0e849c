//! Due rows: rows whose room has no actor, whose owner is gone, or whose owner has an actor here beside it.
//!
//! What is due in a row (a look, a stop, an effect) is known to the actor alone, so a row without one waits
//! for ever: its actor fell and was put aside, or the store was away when it was to be taken up.

use super::finder::{Actors, Finder};
use super::{Ask, Finding, Task, Verdict};
use crate::ports::PortError;
use crate::ports::coordination::Standing;
use crate::recording::ledger::Row;

/// Who owns a row.
#[derive(Debug)]
enum Owner {
    /// This run of this node, which has no actor of it.
    ThisNode,
    /// Another one, which lives or does not.
    Another(Standing),
    /// Another one that lives, and this node has an actor, which may believe in a claim that was taken from it.
    AnotherBesideUs,
}

fn judge(owner: Result<Owner, PortError>) -> Verdict {
    match owner {
        Ok(Owner::ThisNode) => Verdict::hand_over("its room has no actor"),
        Ok(Owner::Another(Standing::Gone)) => Verdict::hand_over("its owner is gone"),
        Ok(Owner::AnotherBesideUs) => Verdict::hand_over("its owner lives, and there is an actor here"),
        Ok(Owner::Another(Standing::Alive)) => Verdict::keep("its owner lives"),
        Err(error) => Verdict::unknown(&error),
    }
}

pub(super) async fn find(finder: &Finder, actors: &Actors, row: Row) -> Option<Finding> {
    let is_awake = actors.is_awake(&row.room).await;
    let owner = match (row.owner == actors.node, is_awake) {
        (true, true) => return None,
        (true, false) => Ok(Owner::ThisNode),
        (false, _) => match actors.standing(finder, &row.owner).await {
            Ok(Standing::Alive) if is_awake => Ok(Owner::AnotherBesideUs),
            standing => standing.map(Owner::Another),
        },
    };
    Some(Finding::new(Task::DueRows, row.room, judge(owner)).asking(Ask::Wake))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_woken_unless_its_owner_may_live() {
        let table = [
            (Ok(Owner::ThisNode), "hand over: its room has no actor"),
            (Ok(Owner::Another(Standing::Gone)), "hand over: its owner is gone"),
            (Ok(Owner::Another(Standing::Alive)), "keep: its owner lives"),
            (Ok(Owner::AnotherBesideUs), "hand over: its owner lives, and there is an actor here"),
            (
                Err(PortError::unavailable("coordination", "away")),
                "keep, unknown: coordination is unavailable: away",
            ),
        ];
        for (owner, expected) in table {
            let verdict = judge(owner);
            assert_eq!(format!("{}: {}", verdict.name(), verdict.reason()), expected);
        }
    }
}
