//! Reconcile: what looks at the world prove about one uid.
//!
//! Owns the strength of evidence (design 5): what LiveKit lists, the hidden participant, the file. A failed
//! call is no evidence at all; "not there" is believed only after two successful looks some time apart; a
//! list that misses too much at once is wrong. What follows from it is `lifecycle/looks.rs`'s.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Timestamp;
use super::egress::{EgressInfo, EgressStatus};
use super::event::{Evidence, FileEvidence, Listed, Presence};
use super::policy::Policy;
use super::rules::Rule;
use crate::ids::EgressId;

const NS_PER_MS: i64 = 1_000_000;
/// Fewer live recordings than this say nothing about a list that misses them.
const ENOUGH_TO_DOUBT: usize = 3;

/// What successful looks at one uid showed, and since when without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strikes {
    /// LiveKit does not list it.
    unlisted: Option<Span>,
    /// Its recorder is not in the room.
    away: Option<Span>,
    /// Its file is missing or empty.
    no_file: Option<Span>,
    /// Its file is there, just so long.
    file: Option<(File, Span)>,
}

/// From the first look that showed something until the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: Timestamp,
    last: Timestamp,
}

impl Span {
    fn at(at: Timestamp) -> Self {
        Self { first: at, last: at }
    }

    fn until(self, at: Timestamp) -> Self {
        Self { last: at, ..self }
    }

    fn spans(self, least: Duration) -> bool {
        self.last.since(self.first) >= least
    }
}

/// Something is shown once more.
fn strike(span: &mut Option<Span>, at: Timestamp) {
    span.get_or_insert(Span::at(at)).last = at;
}

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Bytes, more than 0.
    pub size: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified: i64,
    /// How long it plays, in milliseconds, if it says so.
    pub duration: Option<i64>,
}

/// What the looks so far have proved about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileVerdict {
    /// It is there and has stopped growing.
    There(File),
    /// It is missing or empty.
    NotThere,
    /// Neither is proved.
    Open,
}

impl Strikes {
    /// Takes a look in.
    pub fn take_in(&mut self, evidence: &Evidence, at: Timestamp, policy: &Policy) {
        match evidence.listed {
            Listed::Found(_) => self.unlisted = None,
            Listed::Absent => strike(&mut self.unlisted, at),
            Listed::Unknown if !policy.keeps(Rule::FailedCallProvesNothing) => {
                strike(&mut self.unlisted, at);
            }
            Listed::Doubtful | Listed::Unknown => {}
        }
        match evidence.recorder {
            Presence::Present => self.away = None,
            Presence::Absent | Presence::RoomEmpty => strike(&mut self.away, at),
            Presence::Unknown => {}
        }
        match evidence.file {
            FileEvidence::There { size, modified, duration } if size > 0 => {
                self.no_file = None;
                let same = self.file.filter(|(file, _)| file.size == size).map(|(_, span)| span);
                let span = same.map_or(Span::at(at), |span| span.until(at));
                self.file = Some((File { size, modified, duration }, span));
            }
            FileEvidence::There { .. } | FileEvidence::NotThere => self.no_file(at),
            FileEvidence::Unknown if !policy.keeps(Rule::UnknownFileStaysOpen) => self.no_file(at),
            FileEvidence::Unknown => {}
        }
    }

    fn no_file(&mut self, at: Timestamp) {
        self.file = None;
        strike(&mut self.no_file, at);
    }

    /// LiveKit said that its recorder left: one look more proves it.
    pub fn recorder_left(&mut self, at: Timestamp) {
        self.away.get_or_insert(Span::at(at));
    }

    /// LiveKit shows it, whatever a look missed.
    pub fn is_shown(&mut self) {
        self.unlisted = None;
    }

    /// Whether something was missed that the next look may prove.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.unlisted.is_some() || self.away.is_some()
    }

    /// Whether the last that LiveKit said of it is that it does not know it.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.unlisted.is_some()
    }

    /// Whether LiveKit does not know it, by two looks.
    #[must_use]
    pub fn is_unlisted(&self, policy: &Policy) -> bool {
        self.unlisted.is_some_and(|span| span.spans(policy.strike_gap()))
    }

    /// Whether the last that was heard of its recorder is that it is not in the room.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Whether its recorder was out of the room for so long, by at least two looks, or its leave and a look.
    #[must_use]
    pub fn is_away_for(&self, least: Duration) -> bool {
        self.away.is_some_and(|span| span.spans(least))
    }

    /// Whether the last look at its file found one.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether its file was looked at, and one look more may prove something.
    #[must_use]
    pub fn is_file_near(&self, policy: &Policy) -> bool {
        (self.file.is_some() || self.no_file.is_some()) && self.file(policy) == FileVerdict::Open
    }

    /// What is proved about its file.
    #[must_use]
    pub fn file(&self, policy: &Policy) -> FileVerdict {
        let gap = policy.strike_gap();
        match (self.file, self.no_file) {
            (Some((file, span)), _) if span.spans(gap) => FileVerdict::There(file),
            (None, Some(span)) if span.spans(gap) => FileVerdict::NotThere,
            _ => FileVerdict::Open,
        }
    }
}

/// A recording that this node holds as live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its egress.
    pub egress: EgressId,
    /// Whether the last look at its room showed its recorder.
    pub recorder: Presence,
}

/// Whether a list of all live egresses must be wrong: it misses more than half of at least three recordings,
/// or shows nothing at all while recorders of ours sit in rooms (design 5).
#[must_use]
pub fn list_is_wrong(live: &[Live], listed: &BTreeSet<EgressId>) -> bool {
    let missing = live.iter().filter(|live| !listed.contains(&live.egress)).count();
    let too_many = live.len() >= ENOUGH_TO_DOUBT && missing * 2 > live.len();
    let recorders_sit = live.iter().any(|live| live.recorder == Presence::Present);
    too_many || (listed.is_empty() && recorders_sit)
}

/// Whether an egress may run that LiveKit lists and of which nobody here knows anything, not even a document:
/// one that was deleted, say, after its worker died. LiveKit lists it for ever, and its recorder is gone.
#[must_use]
pub fn may_run(info: &EgressInfo, recorder: Presence, at: Timestamp, policy: &Policy) -> bool {
    let gone = matches!(recorder, Presence::Absent | Presence::RoomEmpty);
    let listed_for = at.since(Timestamp(info.updated_at / NS_PER_MS));
    match info.status {
        EgressStatus::Starting => !gone || listed_for < policy.stale_after,
        EgressStatus::Active => !gone,
        EgressStatus::Ending => !gone || listed_for < policy.upload_limit,
        _ => true,
    }
}

/// Whether such an egress may keep a start out. What uploads blocks nothing, and what lost its worker meanwhile
/// is listed as uploading for ever.
#[must_use]
pub fn may_block(info: &EgressInfo, recorder: Presence, at: Timestamp, policy: &Policy) -> bool {
    info.status != EgressStatus::Ending && may_run(info, recorder, at, policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: FileEvidence = FileEvidence::There { size: 10, modified: 7, duration: Some(4_000) };
    const GONE: (Listed, Presence, FileEvidence) = (Listed::Absent, Presence::Absent, FileEvidence::NotThere);

    /// After each look, what is proved.
    fn proved(looks: &[(i64, (Listed, Presence, FileEvidence))]) -> Vec<String> {
        let (mut strikes, policy) = (Strikes::default(), Policy::default());
        let mut proved = Vec::new();
        for (at, (listed, recorder, file)) in looks.iter().cloned() {
            strikes.take_in(&Evidence { listed, recorder, file }, Timestamp(at), &policy);
            let mut words = Vec::new();
            if strikes.is_unlisted(&policy) {
                words.push("unlisted");
            }
            if strikes.is_away_for(policy.strike_gap()) {
                words.push("away");
            }
            match strikes.file(&policy) {
                FileVerdict::There(_) => words.push("file"),
                FileVerdict::NotThere => words.push("no file"),
                FileVerdict::Open => {}
            }
            proved.push(words.join(", "));
        }
        proved
    }

    #[test]
    fn only_two_looks_five_seconds_apart_prove_that_something_is_missing() {
        let looks = [(0, GONE), (4_999, GONE), (5_000, GONE)];
        assert_eq!(proved(&looks), ["", "", "unlisted, away, no file"]);
    }

    #[test]
    fn a_failed_call_proves_nothing_and_forgets_nothing() {
        let failed = (Listed::Unknown, Presence::Unknown, FileEvidence::Unknown);
        let looks = [(0, GONE), (5_000, failed), (5_001, GONE)];
        assert_eq!(proved(&looks), ["", "", "unlisted, away, no file"]);
    }

    #[test]
    fn a_list_that_is_doubted_proves_nothing_and_forgets_nothing() {
        let doubtful = (Listed::Doubtful, Presence::Unknown, FileEvidence::Unknown);
        let unlisted = (Listed::Absent, Presence::Unknown, FileEvidence::Unknown);
        let looks = [(0, unlisted.clone()), (9_000, doubtful), (9_001, unlisted)];
        assert_eq!(proved(&looks), ["", "", "unlisted"]);
    }

    #[test]
    fn a_recorder_that_is_back_was_never_away() {
        let back = (Listed::Absent, Presence::Present, FileEvidence::Unknown);
        let looks = [(0, GONE), (6_000, back), (12_000, GONE), (16_999, GONE)];
        assert_eq!(proved(&looks), ["", "unlisted", "unlisted, no file", "unlisted, no file"]);
    }

    #[test]
    fn a_file_counts_once_it_has_stopped_growing() {
        let file = |size| {
            let file = FileEvidence::There { size, modified: 7, duration: None };
            (Listed::Unknown, Presence::Unknown, file)
        };
        let looks = [(0, file(0)), (5_000, file(10)), (10_000, file(20)), (15_000, file(20))];
        assert_eq!(proved(&looks), ["", "", "", "file"]);
        let vanished = [(0, file(10)), (5_000, GONE), (9_999, GONE), (10_000, GONE)];
        assert_eq!(proved(&vanished)[1], "");
        assert!(proved(&vanished)[3].ends_with("no file"));
    }

    #[test]
    fn an_empty_file_is_no_file() {
        let empty = FileEvidence::There { size: 0, modified: 7, duration: None };
        let looks = [(0, empty), (5_000, FileEvidence::NotThere), (5_001, HERE), (5_002, empty)];
        let looks = looks.map(|(at, file)| (at, (Listed::Unknown, Presence::Unknown, file)));
        assert_eq!(proved(&looks), ["", "no file", "", ""]);
    }

    #[test]
    fn a_list_is_wrong_when_it_misses_most_or_contradicts_the_rooms() {
        let live = |egress: &str, recorder| Live { egress: EgressId::from_trusted(egress), recorder };
        let (there, unknown) = (Presence::Present, Presence::Unknown);
        let table: [(&[Live], &[&str], bool); 7] = [
            (&[], &[], false),
            (&[live("a", unknown), live("b", unknown)], &[], false),
            (&[live("a", unknown), live("b", unknown), live("c", unknown)], &["a"], true),
            (&[live("a", unknown), live("b", unknown), live("c", unknown)], &["a", "b"], false),
            (
                &[live("a", unknown), live("b", unknown), live("c", unknown), live("d", unknown)],
                &["a", "b"],
                false,
            ),
            (&[live("a", there)], &[], true),
            (&[live("a", there)], &["other"], false),
        ];
        for (live, listed, wrong) in table {
            let listed = listed.iter().map(|egress| EgressId::from_trusted(*egress)).collect();
            assert_eq!(list_is_wrong(live, &listed), wrong, "{live:?} {listed:?}");
        }
    }
}
