//! How many wrong logins are taken (contract `access.md` 7).
//!
//! Owns the counts: by address, as the contract has it, and by account, so that many addresses together
//! guess no faster. A login is counted when it begins and given back unless it was wrong, so that a burst
//! gains nothing. In the memory of this process: several nodes take so many each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

/// From the first wrong login until the count begins anew.
const WINDOW: Duration = Duration::from_mins(5);
/// Wrong logins from one address within it.
const BY_ADDRESS: u32 = 5;
/// Wrong logins into one account within it, wherever they come from. Far more: whoever is below it can lock
/// out nobody but themselves.
const BY_ACCOUNT: u32 = 50;
/// Counts that are kept; beyond it the ones that end first are dropped.
const COUNTS_MAX: usize = 10_000;
/// Characters of a username that its count is kept by.
const NAME_MAX: usize = 64;
/// Of an IPv6 address only the network counts: a subscriber has all the rest.
const NETWORK_BITS: u32 = 64;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts wrong logins.
#[derive(Debug, Default)]
pub struct LoginLimits(Mutex<BTreeMap<Source, Count>>);

/// What wrong logins have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Address(Option<IpAddr>),
    Account(String),
}

#[derive(Debug, Clone, Copy)]
struct Count {
    ends: Instant,
    wrong: u32,
}

/// A login under way, counted as wrong until [`LoginLimits::forgive`].
#[derive(Debug)]
pub struct Attempt {
    sources: [Source; 2],
    headers: HeaderMap,
}

/// Too many were wrong.
#[derive(Debug)]
pub struct TooMany {
    headers: HeaderMap,
}

impl LoginLimits {
    /// Counts a login from this address into this account. An address that is not known counts as one.
    ///
    /// # Errors
    /// When there were too many wrong ones.
    pub fn begin(&self, address: Option<IpAddr>, username: &str) -> Result<Attempt, TooMany> {
        let sources = [
            Source::Address(address.map(network)),
            Source::Account(username.chars().take(NAME_MAX).collect()),
        ];
        let now = Instant::now();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| count.ends > now);
        for source in &sources {
            if let Some(count) = counts.get(source).filter(|count| count.wrong >= source.limit()) {
                let mut headers = source.headers(*count, now);
                headers.insert(header::RETRY_AFTER, HeaderValue::from(count.seconds_left(now)));
                return Err(TooMany { headers });
            }
        }
        for source in &sources {
            let count = counts.entry(source.clone()).or_insert(Count { ends: now + WINDOW, wrong: 0 });
            count.wrong += 1;
        }
        while counts.len() > COUNTS_MAX {
            let first = counts.iter().min_by_key(|(_, count)| count.ends).map(|(source, _)| source.clone());
            first.and_then(|source| counts.remove(&source));
        }
        let headers = counts.get(&sources[0]).map(|count| sources[0].headers(*count, now));
        Ok(Attempt { headers: headers.unwrap_or_default(), sources })
    }

    /// Gives a login back that was not wrong.
    pub fn forgive(&self, attempt: &Attempt) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for source in &attempt.sources {
            if let Some(count) = counts.get_mut(source) {
                count.wrong = count.wrong.saturating_sub(1);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
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
    fn headers(&self, count: Count, now: Instant) -> HeaderMap {
        let limit = self.limit();
        let remaining = limit.saturating_sub(count.wrong);
        let reset = count.seconds_left(now);
        let texts = [
            (LIMIT, format!("limit={limit}, remaining={remaining}, reset={reset}")),
            (POLICY, format!("{limit};w={}", WINDOW.as_secs())),
        ];
        texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }
}

impl Count {
    /// Rounded up, so that who waits so long is let in.
    fn seconds_left(self, now: Instant) -> u64 {
        let left = self.ends.duration_since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
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

    fn begin(limits: &LoginLimits, address: &str, username: &str) -> Result<Attempt, TooMany> {
        limits.begin(Some(address.parse().unwrap()), username)
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn five_wrong_logins_from_an_address_are_taken_in_five_minutes() {
        let limits = LoginLimits::default();
        let ours = "192.0.2.1";
        for remaining in (0..BY_ADDRESS).rev() {
            let attempt = begin(&limits, ours, "admin").unwrap();
            let expected = format!("limit=5, remaining={remaining}, reset=300");
            assert_eq!(text(&attempt.headers(), "ratelimit"), expected);
            assert_eq!(text(&attempt.headers(), "ratelimit-policy"), "5;w=300");
        }
        let refused = begin(&limits, ours, "other").unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(text(refused.headers(), "ratelimit"), "limit=5, remaining=0, reset=300");
        assert_eq!(text(refused.headers(), "retry-after"), "300");
        assert!(begin(&limits, "192.0.2.2", "admin").is_ok(), "another address");
        assert!(begin(&limits, "::ffff:192.0.2.1", "admin").is_err(), "the same, written otherwise");
        tokio::time::advance(WINDOW).await;
        assert!(begin(&limits, ours, "admin").is_ok(), "the count began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_wrong_is_given_back() {
        let limits = LoginLimits::default();
        for _ in 0..100 {
            let attempt = limits.begin(None, "admin").unwrap();
            limits.forgive(&attempt);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_share_an_account() {
        let limits = LoginLimits::default();
        for n in 0..BY_ACCOUNT {
            assert!(begin(&limits, &format!("2001:db8:{n:x}::1"), "admin").is_ok(), "{n}");
        }
        let refused = begin(&limits, "2001:db8:ffff::1", "admin").unwrap_err().into_response();
        assert_eq!(text(refused.headers(), "ratelimit-policy"), "50;w=300");
        assert!(begin(&limits, "2001:db8:ffff::1", "other").is_ok(), "another account");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_one_address_and_counts_are_bounded() {
        let limits = LoginLimits::default();
        for n in 0..BY_ADDRESS {
            begin(&limits, &format!("2001:db8::{n:x}"), &format!("user{n}")).unwrap();
        }
        assert!(begin(&limits, "2001:db8::ffff", "another").is_err());
        for n in 0..COUNTS_MAX {
            let _ = begin(&limits, &format!("10.1.{}.{}", n / 256 % 256, n % 256), &format!("name{n}"));
        }
        assert!(limits.0.lock().unwrap().len() <= COUNTS_MAX);
    }
}
