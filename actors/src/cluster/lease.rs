//! This node's lease, as the node itself sees it.
//!
//! Others take our rooms when our lease ends; so we stop acting before it can have ended, by a clock that goes on
//! while the machine is suspended (design 7). The claims keep everything safe all the same: this only keeps a node
//! that was away from doing in vain what its successor does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Tells how long the machine is up, suspension included.
pub type Uptime = fn() -> Duration;

/// What of a lease a node uses before it stops by itself, in thirds.
const USED_THIRDS: u32 = 2;

/// See the module.
#[derive(Debug)]
pub struct OwnLease {
    /// None: it never ends.
    terms: Option<(Duration, Uptime)>,
    /// When the last renewal that succeeded was begun.
    renewed: Mutex<Option<Duration>>,
}

impl OwnLease {
    /// The lease of a node that is alone.
    #[must_use]
    pub fn without_end() -> Self {
        Self { terms: None, renewed: Mutex::default() }
    }

    /// Whether it never ends: there is nobody else.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.terms.is_none()
    }

    /// A lease that lasts for `ttl` after each renewal. It is not held yet.
    #[must_use]
    pub fn lasting(ttl: Duration, uptime: Uptime) -> Self {
        Self { terms: Some((ttl, uptime)), renewed: Mutex::default() }
    }

    /// The time to remember when a renewal begins.
    #[must_use]
    pub fn begin_renewal(&self) -> Duration {
        self.terms.map_or(Duration::ZERO, |(_, uptime)| uptime())
    }

    /// A renewal that was begun then has succeeded. Returns whether the lease was not held before.
    pub fn renewed(&self, begun: Duration) -> bool {
        let lapsed = !self.is_held();
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        *renewed = (*renewed).max(Some(begun));
        lapsed
    }

    /// Whether this node may act.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let Some((ttl, uptime)) = self.terms else { return true };
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|renewed| uptime().saturating_sub(renewed) < ttl * USED_THIRDS / 3)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static UP: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[test]
    fn a_node_stops_before_its_lease_can_have_ended() {
        let up = |seconds| UP.set(Duration::from_secs(seconds));
        let lease = OwnLease::lasting(Duration::from_secs(15), || UP.get());
        assert!(!lease.is_held(), "nothing was renewed yet");
        up(100);
        let begun = lease.begin_renewal();
        up(103);
        assert!(lease.renewed(begun), "it was not held before");
        for (at, held) in [(103, true), (109, true), (110, false), (200, false)] {
            up(at);
            assert_eq!(lease.is_held(), held, "{at} s: it counts from when the renewal was begun");
        }
        let begun = lease.begin_renewal();
        assert!(lease.renewed(begun) && lease.is_held() && !lease.renewed(begun));
        assert!(OwnLease::without_end().is_held());
    }
}
