//! How long we wait and how much we hold: the numbers of the design in one place.

use std::time::Duration;

use super::FileLayout;
use super::rules::Rule;

/// Uids of one room that may be unsettled at once (design 3).
pub const UNSETTLED_MAX: usize = 64;
/// Effects of one room that may be pending at once. Deletes are refused above; nothing else is.
pub const PENDING_MAX: usize = 256;
/// Commands of one room that may be begun and not answered at once; further ones are refused. Each ends at
/// its deadline.
pub const BEGUN_MAX: usize = 128;
/// Two looks that miss something count as two only this far apart (design 5).
pub const STRIKE_GAP: Duration = Duration::from_secs(5);
/// How long after its start's deadline a StartEgress call may live (design 2).
pub const CALL_GRACE: Duration = Duration::from_secs(30);
/// How long after its call's end a uid that was never seen is looked for (design 3).
pub const NEVER_SEEN: Duration = Duration::from_mins(10);
/// Empty lists of all that a uid needs after that before it is forgotten (design 3).
pub const EMPTY_LISTS: u32 = 2;
/// A uid is forgotten at this age whatever is known of it (design 3).
pub const UNSETTLED_AGE: Duration = Duration::from_hours(24);
/// How often a recording that starts is asked for, beside the webhooks.
pub const START_POLL: Duration = Duration::from_secs(1);
/// Longest pause between two looks at an unsettled uid (design 3).
pub const LOOK_CAP: Duration = Duration::from_mins(5);
/// First and longest pause between two attempts of a start that LiveKit refuses.
pub const START_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// First and longest pause between two attempts of an owed stop.
pub const STOP_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// First and longest pause between two attempts of a pending effect.
pub const EFFECT_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// What operators may set, and the form of our files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// From a start request until its answer.
    pub start_timeout: Duration,
    /// From a stop until the room is free whatever LiveKit shows.
    pub stop_timeout: Duration,
    /// How often a live recording is compared with LiveKit.
    pub reconcile_interval: Duration,
    /// How long an egress that left the room cleanly may upload before it is called failed.
    pub upload_limit: Duration,
    /// How long LiveKit may say nothing new of a recording, or show no recorder of it, before it is judged.
    pub stale_after: Duration,
    /// Where files lie.
    pub files: FileLayout,
    /// The rules that are taken away, to see whether they are needed.
    #[cfg(feature = "mutations")]
    pub without: Vec<Rule>,
}

impl Policy {
    /// See [`STRIKE_GAP`].
    #[must_use]
    pub fn strike_gap(&self) -> Duration {
        if self.keeps(Rule::StrikeTwice) { STRIKE_GAP } else { Duration::ZERO }
    }

    /// Whether a rule is kept: always, but in tests that take one away.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn keeps(&self, rule: Rule) -> bool {
        !self.without.contains(&rule)
    }

    /// Whether a rule is kept: always, but in tests that take one away.
    #[cfg(not(feature = "mutations"))]
    #[must_use]
    #[allow(clippy::unused_self, reason = "the same call with and without the feature")]
    pub const fn keeps(&self, _rule: Rule) -> bool {
        true
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(20),
            stop_timeout: Duration::from_secs(30),
            reconcile_interval: Duration::from_secs(15),
            upload_limit: Duration::from_hours(1),
            stale_after: Duration::from_mins(5),
            files: FileLayout::new("openvidu-meet"),
            #[cfg(feature = "mutations")]
            without: Vec::new(),
        }
    }
}

/// The pause before the next attempt: doubled each time, from the first to the longest.
#[must_use]
pub fn back_off((first, longest): (Duration, Duration), tries: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(tries.min(16))).min(longest)
}
