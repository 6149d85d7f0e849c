//! How many wrong logins are taken (contract `access.md` 7).
//!
//! Owns the counts: by address, as the contract has it, and by account, so that many addresses together
//! guess hardly faster: once there were too many into an account, an address has one try. So whoever knows the password
//! gets in, however many others guess. A login is counted when it begins and given back unless it was wrong, so that a burst
//! gains nothing. All nodes count together; while the coordination is away, each counts by itself.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reelkeeper_actors::embedded::AloneCoordination;
use reelkeeper_actors::ports::coordination::{Coordination, Tally};

/// From the first wrong login until the count begins anew.
const WINDOW: Duration = Duration::from_mins(5);
/// Wrong logins from one address within it.
const BY_ADDRESS: u32 = 5;
/// Wrong logins into one account within it, wherever they come from, until addresses that were wrong before are not
/// listened to.
const BY_ACCOUNT: u32 = 50;
/// Characters of a username that its count is kept by.
const NAME_MAX: usize = 64;
/// Of an IPv6 address only the network counts: a subscriber has all the rest.
const NETWORK_BITS: u32 = 64;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts wrong logins.
pub struct LoginLimits {
    shared: Arc<dyn Coordination>,
    /// While the shared one is away.
    own: AloneCoordination,
}

/// What wrong logins have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Address(Option<IpAddr>),
    Account(String),
}

/// Where a login was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Shared,
    Own,
}

/// A login under way, counted as wrong until [`LoginLimits::forgive`].
#[derive(Debug)]
pub struct Attempt {
    counted: Vec<(String, Place)>,
    headers: HeaderMap,
}

/// Too many were wrong.
#[derive(Debug)]
pub struct TooMany {
    headers: HeaderMap,
}

impl LoginLimits {
    /// Counts with all nodes that share this.
    pub fn new(shared: Arc<dyn Coordination>) -> Self {
        Self { shared, own: AloneCoordination::new() }
    }

    /// Counts a login from this address into this account. An address that is not known counts as one.
    ///
    /// # Errors
    /// When there were too many wrong ones.
    pub async fn begin(&self, address: Option<IpAddr>, username: &str) -> Result<Attempt, TooMany> {
        let sources = [
            Source::Address(address.map(network)),
            Source::Account(username.chars().take(NAME_MAX).collect()),
        ];
        let mut attempt = Attempt { counted: Vec::new(), headers: HeaderMap::new() };
        let mut was_wrong_before = true;
        for source in sources {
            let (place, tally) = self.add(&source.to_string()).await;
            attempt.counted.push((source.to_string(), place));
            if tally.count > source.limit() && was_wrong_before {
                self.forgive(&attempt).await;
                let mut headers = source.headers(tally);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds_left(tally)));
                return Err(TooMany { headers });
            }
            if matches!(source, Source::Address(_)) {
                attempt.headers = source.headers(tally);
                was_wrong_before = tally.count > 1;
            }
        }
        Ok(attempt)
    }

    /// Gives a login back that was not wrong.
    pub async fn forgive(&self, attempt: &Attempt) {
        for (name, place) in &attempt.counted {
            let taken = match place {
                Place::Shared => self.shared.take_from_count(name).await,
                Place::Own => self.own.take_from_count(name).await,
            };
            if let Err(error) = taken {
                tracing::debug!(%error, "a login that was right counts as wrong until the count begins anew");
            }
        }
    }

    async fn add(&self, name: &str) -> (Place, Tally) {
        match self.shared.add_to_count(name, WINDOW).await {
            Ok(tally) => (Place::Shared, tally),
            Err(error) => {
                tracing::debug!(%error, "logins are counted by this node alone");
                let counted = self.own.add_to_count(name, WINDOW).await;
                (Place::Own, counted.unwrap_or(Tally { count: 1, ends_in: WINDOW }))
            }
        }
    }
}

/// What a subscriber has of addresses.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - NETWORK_BITS);
            IpAddr::V6((u128::from(address) & mask).into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Source {
    fn limit(&self) -> u32 {
        match self {
            Self::Address(_) => BY_ADDRESS,
            Self::Account(_) => BY_ACCOUNT,
        }
    }

    /// As the seventh draft of the standard has them.
    fn headers(&self, tally: Tally) -> HeaderMap {
        let limit = self.limit();
        let remaining = limit.saturating_sub(tally.count);
        let reset = seconds_left(tally);
        let texts = [
            (LIMIT, format!("limit={limit}, remaining={remaining}, reset={reset}")),
            (POLICY, format!("{limit};w={}", WINDOW.as_secs())),
        ];
        texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }
}

/// The name of its count.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(Some(address)) => write!(f, "login:address:{address}"),
            Self::Address(None) => f.write_str("login:address:unknown"),
            Self::Account(name) => write!(f, "login:account:{name}"),
        }
    }
}

/// Rounded up, so that who waits so long is let in.
fn seconds_left(tally: Tally) -> u64 {
    tally.ends_in.as_secs() + u64::from(tally.ends_in.subsec_nanos() > 0)
}

impl Attempt {
    /// What the answer says of the limit.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
}

/// Plain text, as the contract has it.
impl IntoResponse for TooMany {
    fn into_response(self) -> Response {
        let text = "Too many login attempts, please try again later";
        (StatusCode::TOO_MANY_REQUESTS, self.headers, text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone() -> LoginLimits {
        LoginLimits::new(Arc::new(AloneCoordination::new()))
    }

    async fn begin(limits: &LoginLimits, address: &str, username: &str) -> Result<Attempt, TooMany> {
        limits.begin(Some(address.parse().unwrap()), username).await
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn five_wrong_logins_from_an_address_are_taken_in_five_minutes() {
        let limits = alone();
        let ours = "192.0.2.1";
        for remaining in (0..BY_ADDRESS).rev() {
            let attempt = begin(&limits, ours, "admin").await.unwrap();
            let expected = format!("limit=5, remaining={remaining}, reset=300");
            assert_eq!(text(&attempt.headers(), "ratelimit"), expected);
            assert_eq!(text(&attempt.headers(), "ratelimit-policy"), "5;w=300");
        }
        for _ in 0..2 {
            let refused = begin(&limits, ours, "other").await.unwrap_err().into_response();
            assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(text(refused.headers(), "ratelimit"), "limit=5, remaining=0, reset=300");
            assert_eq!(text(refused.headers(), "retry-after"), "300");
        }
        assert!(begin(&limits, "192.0.2.2", "admin").await.is_ok(), "another address");
        assert!(begin(&limits, "::ffff:192.0.2.1", "admin").await.is_err(), "the same, written otherwise");
        tokio::time::advance(WINDOW).await;
        assert!(begin(&limits, ours, "admin").await.is_ok(), "the count began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_wrong_is_given_back() {
        let limits = alone();
        for _ in 0..100 {
            let attempt = limits.begin(None, "admin").await.unwrap();
            limits.forgive(&attempt).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_share_an_account() {
        let limits = alone();
        for n in 0..BY_ACCOUNT {
            assert!(begin(&limits, &format!("2001:db8:{n:x}::1"), "admin").await.is_ok(), "{n}");
        }
        let newcomer = "2001:db8:ffff::1";
        assert!(begin(&limits, newcomer, "admin").await.is_ok(), "who was never wrong has one try");
        for address in [newcomer, "2001:db8:0::1"] {
            let refused = begin(&limits, address, "admin").await.unwrap_err().into_response();
            assert_eq!(text(refused.headers(), "ratelimit-policy"), "50;w=300", "{address}");
        }
        assert!(begin(&limits, newcomer, "other").await.is_ok(), "another account");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_one_address() {
        let limits = alone();
        for n in 0..BY_ADDRESS {
            begin(&limits, &format!("2001:db8::{n:x}"), &format!("user{n}")).await.unwrap();
        }
        assert!(begin(&limits, "2001:db8::ffff", "another").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_count_together() {
        let shared = Arc::new(AloneCoordination::new());
        let nodes = [(); 2].map(|()| LoginLimits::new(shared.clone()));
        for n in 0..BY_ADDRESS {
            begin(&nodes[usize::from(n % 2 == 0)], "192.0.2.1", "admin").await.unwrap();
        }
        for node in &nodes {
            assert!(begin(node, "192.0.2.1", "admin").await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_others_a_node_counts_by_itself() {
        let limits = LoginLimits::new(Arc::new(crate::http::fakes::World::default()));
        for _ in 0..BY_ADDRESS {
            begin(&limits, "192.0.2.1", "admin").await.unwrap();
        }
        assert!(begin(&limits, "192.0.2.1", "admin").await.is_err());
    }
}
