//! How many wrong secrets of rooms and recordings are taken (contract `access.md` 10, W5).
//!
//! Owns the counts, by address. A right secret costs nothing: only wrong ones are counted, by all nodes together, and
//! each node remembers by itself from which addresses it has to take none for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reelkeeper_actors::ports::coordination::{COUNTS_MAX, Coordination};
use tokio::time::Instant;

use super::login_limits::network;

/// From the first wrong secret until the count begins anew.
const WINDOW: Duration = Duration::from_mins(5);
/// Wrong secrets from one address within it. Whoever mistypes a link stays far below; with 40 bits to guess, and so few
/// tries, nobody gets anywhere.
const BY_ADDRESS: u32 = 200;

/// Counts wrong secrets.
pub struct SecretLimits {
    shared: Arc<dyn Coordination>,
    stopped: Mutex<HashMap<Option<IpAddr>, Instant>>,
}

/// Too many secrets from there were wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWrong {
    /// When the next one is looked at.
    pub ends_in: Duration,
}

impl SecretLimits {
    /// Counts with all nodes that share this.
    pub fn new(shared: Arc<dyn Coordination>) -> Self {
        Self { shared, stopped: Mutex::default() }
    }

    /// Whether a secret from this address is looked at. An address that is not known counts as one.
    ///
    /// # Errors
    /// When too many were wrong.
    pub fn admit(&self, address: Option<IpAddr>) -> Result<(), TooManyWrong> {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = stopped.get(&address.map(network)) else { return Ok(()) };
        let ends_in = until.saturating_duration_since(Instant::now());
        if ends_in.is_zero() {
            stopped.remove(&address.map(network));
            return Ok(());
        }
        Err(TooManyWrong { ends_in })
    }

    /// Counts a wrong secret. While the coordination is away it counts nothing.
    pub async fn count(&self, address: Option<IpAddr>) {
        let address = address.map(network);
        let name = address.map_or_else(|| "secret:unknown".to_owned(), |address| format!("secret:{address}"));
        match self.shared.add_to_count(&name, WINDOW).await {
            Ok(tally) if tally.count >= BY_ADDRESS => {
                let now = Instant::now();
                let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
                if stopped.len() >= COUNTS_MAX {
                    stopped.retain(|_, until| *until > now);
                }
                if stopped.len() < COUNTS_MAX {
                    stopped.insert(address, now + tally.ends_in);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a wrong secret was not counted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::embedded::AloneCoordination;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_is_not_listened_to_for_a_while() {
        let shared = Arc::new(AloneCoordination::new());
        let nodes = [(); 2].map(|()| SecretLimits::new(shared.clone()));
        let (theirs, other) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        for n in 0..BY_ADDRESS {
            let node = &nodes[usize::from(n % 2 == 0)];
            assert_eq!(node.admit(theirs), Ok(()), "{n}");
            node.count(theirs).await;
        }
        assert_eq!(nodes[0].admit(theirs), Err(TooManyWrong { ends_in: WINDOW }));
        nodes[1].count(theirs).await;
        assert!(nodes[1].admit(theirs).is_err(), "the other node knows after one more");
        for address in [other, None] {
            assert_eq!(nodes[0].admit(address), Ok(()));
        }
        tokio::time::advance(WINDOW).await;
        assert_eq!(nodes[0].admit(theirs), Ok(()));
    }
}
