//! Reconcile: what a look at the world says about one uid.
//!
//! Owns the strength of evidence (design 5): what LiveKit lists, the hidden participant, the file. A failed
//! call is no evidence at all; "absent" is believed only after two successful looks some time apart.

use super::Timestamp;
use super::egress::EgressInfo;
use super::event::{Evidence, FileEvidence, Listed, Presence};
use super::ledger::Look;
use super::policy::STRIKE_GAP;

/// What to make of a look.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// LiveKit shows it.
    Shown(Box<EgressInfo>),
    /// Nothing is proved; look again later.
    Wait,
    /// It was missed, for the first time or too soon after: look again after [`STRIKE_GAP`].
    Missed,
    /// Twice missed, no hidden participant and no file: it is gone.
    Missing,
    /// LiveKit does not know it, but its file is there and has stopped growing.
    FileComplete {
        /// Bytes.
        size: u64,
        /// When it was last written, in milliseconds since 1970.
        modified: i64,
    },
}

/// Judges a look at a uid, and keeps in `look` what the next one needs to know.
#[must_use]
pub fn judge(look: &mut Look, evidence: &Evidence, at: Timestamp) -> Verdict {
    match &evidence.listed {
        Listed::Found(info) => {
            (look.missed_since, look.file) = (None, None);
            return Verdict::Shown(info.clone());
        }
        Listed::Unknown => return Verdict::Wait,
        Listed::Absent => {}
    }
    match (evidence.recorder, evidence.file) {
        (Presence::Present, _) => {
            look.missed_since = None;
            Verdict::Wait
        }
        (Presence::Unknown, _) | (_, FileEvidence::Unknown) => Verdict::Wait,
        (Presence::Absent, FileEvidence::There { size, modified }) => judge_file(look, size, modified, at),
        (Presence::Absent, FileEvidence::NotThere) => {
            look.file = None;
            let first = *look.missed_since.get_or_insert(at);
            if at.since(first) >= STRIKE_GAP { Verdict::Missing } else { Verdict::Missed }
        }
    }
}

fn judge_file(look: &mut Look, size: u64, modified: i64, at: Timestamp) -> Verdict {
    look.missed_since = None;
    if size == 0 {
        look.file = None;
        return Verdict::Missed;
    }
    let first = match look.file {
        Some((same, first)) if same == size => first,
        _ => at,
    };
    look.file = Some((size, first));
    if at.since(first) >= STRIKE_GAP { Verdict::FileComplete { size, modified } } else { Verdict::Missed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: (Listed, Presence, FileEvidence) = (Listed::Absent, Presence::Absent, FileEvidence::NotThere);

    fn verdicts(looks: &[(i64, (Listed, Presence, FileEvidence))]) -> Vec<&'static str> {
        let mut look = Look { due: Timestamp(0), tries: 0, missed_since: None, file: None };
        let mut judged = Vec::new();
        for (at, (listed, recorder, file)) in looks.iter().cloned() {
            let evidence = Evidence { listed, recorder, file };
            judged.push(match judge(&mut look, &evidence, Timestamp(at)) {
                Verdict::Shown(_) => "shown",
                Verdict::Wait => "wait",
                Verdict::Missed => "missed",
                Verdict::Missing => "missing",
                Verdict::FileComplete { .. } => "file",
            });
        }
        judged
    }

    #[test]
    fn it_is_gone_only_after_two_looks_five_seconds_apart() {
        assert_eq!(verdicts(&[(0, GONE), (4_999, GONE), (5_000, GONE)]), ["missed", "missed", "missing"]);
    }

    #[test]
    fn a_failed_call_proves_nothing_and_forgets_nothing() {
        let failed = (Listed::Unknown, Presence::Unknown, FileEvidence::Unknown);
        assert_eq!(verdicts(&[(0, GONE), (5_000, failed), (5_001, GONE)]), ["missed", "wait", "missing"]);
    }

    #[test]
    fn a_recorder_in_the_room_or_an_unknown_file_keeps_it() {
        let present = (Listed::Absent, Presence::Present, FileEvidence::NotThere);
        let no_store = (Listed::Absent, Presence::Absent, FileEvidence::Unknown);
        assert_eq!(
            verdicts(&[(0, GONE), (6_000, present), (12_000, no_store), (18_000, GONE)]),
            ["missed", "wait", "wait", "missed"]
        );
    }

    #[test]
    fn a_file_counts_once_it_has_stopped_growing() {
        let file = |size| (Listed::Absent, Presence::Absent, FileEvidence::There { size, modified: 7 });
        assert_eq!(
            verdicts(&[(0, file(0)), (5_000, file(10)), (10_000, file(20)), (15_000, file(20))]),
            ["missed", "missed", "missed", "file"]
        );
    }
}
