//! How far LiveKit's clock is from ours, as its answers say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use super::{Finding, Outcome};
use crate::config::{Config, MediaServerUrl};

/// Farther apart they may refuse each other's tokens.
pub const SKEW_MAX: Duration = Duration::from_secs(30);

/// Asks LiveKit for anything and reads the date of the answer; none if there is no LiveKit, or no date.
pub(super) async fn look(config: &Config) -> Option<Finding> {
    let MediaServerUrl::Server(url) = &config.livekit.url else { return None };
    let url = url.replacen("ws", "http", usize::from(url.starts_with("ws")));
    let client = reqwest::Client::builder().timeout(config.livekit.call_timeout).build().ok()?;
    let answer = client.get(url).send().await.ok()?;
    let here = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let there = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
    let there = Duration::from_secs(u64::try_from(there.secs()).ok()?);
    Some(judge(here, there))
}

fn judge(here: Duration, there: Duration) -> Finding {
    // LiveKit's date has whole seconds.
    let apart = here.abs_diff(there).saturating_sub(Duration::from_secs(1));
    let seen = format!("LiveKit's clock and ours are {} s apart at most", apart.as_secs() + 1);
    if apart <= SKEW_MAX {
        return Finding::of("clock", Outcome::Ok, seen, "");
    }
    let advice = "let both machines follow a time server; tokens and webhooks are refused otherwise";
    Finding::of("clock", Outcome::Failed, seen, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        let at = Duration::from_secs;
        for (here, there, outcome) in [
            (at(1000), at(1000), Outcome::Ok),
            (at(1031), at(1000), Outcome::Ok),
            (at(1000), at(1031), Outcome::Ok),
            (at(1032), at(1000), Outcome::Failed),
            (at(1000), at(5000), Outcome::Failed),
        ] {
            assert_eq!(judge(here, there).outcome, outcome, "{here:?} {there:?}");
        }
    }
}
