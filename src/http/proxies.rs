//! Proxies in front of us, and which of their words about the client are believed (contract `access.md` 7).
//!
//! What is not believed is taken from the request before anybody reads it: whoever finds a forwarded header later may
//! go by it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::HttpState;
use super::request::ClientAddress;

/// Only said by a proxy in front of us.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";
/// The same, of the scheme that the client used.
pub(super) const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Proxies in a row that may be believed.
const HOPS_MAX: u8 = 32;
/// Networks that have a name, as Express has them.
const NAMED: [(&str, &[&str]); 3] = [
    ("loopback", &["127.0.0.1/8", "::1/128"]),
    ("linklocal", &["169.254.0.0/16", "fe80::/10"]),
    ("uniquelocal", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]),
];

/// Which proxies are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxies {
    /// So many that stand in a row before us, whatever their addresses; 0: nobody.
    Nearest(u8),
    /// Those in these networks.
    Within(Vec<IpNet>),
}

impl Default for TrustedProxies {
    fn default() -> Self {
        Self::Nearest(0)
    }
}

/// `true` means the nearest one: with more of them, their number or their networks have to be said.
impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(Self::Nearest(1)),
            "false" => Ok(Self::Nearest(0)),
            number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let hops = number.parse().ok().filter(|hops| *hops <= HOPS_MAX);
                hops.map(Self::Nearest)
                    .ok_or_else(|| format!("must be at most {HOPS_MAX} as a number of proxies"))
            }
            list => {
                let networks =
                    list.split(',').map(|item| networks(item.trim())).collect::<Result<Vec<_>, _>>();
                Ok(Self::Within(networks?.concat()))
            }
        }
    }
}

fn networks(item: &str) -> Result<Vec<IpNet>, String> {
    if let Some((_, named)) = NAMED.iter().find(|(name, _)| *name == item) {
        return Ok(named.iter().filter_map(|network| network.parse().ok()).collect());
    }
    let network = item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| vec![network]).map_err(|_| {
        format!(
            "must be true, false, a number of proxies, or a list of addresses, networks, loopback, linklocal and \
             uniquelocal: '{item}' is none of them"
        )
    })
}

impl TrustedProxies {
    /// Whether who speaks to us is believed, `hops` of them having been believed before.
    fn trusts(&self, speaker: IpAddr, hops: usize) -> bool {
        match self {
            Self::Nearest(trusted) => hops < usize::from(*trusted),
            Self::Within(networks) => {
                networks.iter().any(|network| network.contains(&speaker.to_canonical()))
            }
        }
    }

    /// Where a request comes from: the first address that is not a proxy's whom we believe. What such a proxy says may
    /// be no address, then it is the proxy's own.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let said = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let said: Vec<&str> = said.flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for (hops, before) in said.into_iter().rev().enumerate() {
            let Some(before) = before.trim().parse().ok().filter(|_| self.trusts(client, hops)) else {
                break;
            };
            client = before;
        }
        client
    }
}

/// Finds out where each request comes from, and takes from it what nobody whom we believe has said.
pub async fn believe(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let proxies = &state.settings.trusted_proxies;
    let client = peer.map(|peer| proxies.client(peer, request.headers()));
    if !peer.is_some_and(|peer| proxies.trusts(peer, 0)) {
        request.headers_mut().remove(FORWARDED_FOR);
        request.headers_mut().remove(FORWARDED_PROTO);
    }
    request.extensions_mut().insert(ClientAddress(client));
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_express_is_read() {
        let cases = [
            ("true", Ok(TrustedProxies::Nearest(1))),
            ("false", Ok(TrustedProxies::Nearest(0))),
            (" 2 ", Ok(TrustedProxies::Nearest(2))),
            (
                "10.0.0.0/8, 192.0.2.1",
                Ok(TrustedProxies::Within(networks_of(&["10.0.0.0/8", "192.0.2.1/32"]))),
            ),
            ("loopback", Ok(TrustedProxies::Within(networks_of(&["127.0.0.1/8", "::1/128"])))),
            ("33", Err("at most 32")),
            ("False", Err("'False' is none")),
            ("loopback,", Err("'' is none")),
            ("", Err("'' is none")),
            ("10.0.0.0/33", Err("'10.0.0.0/33' is none")),
        ];
        for (text, expected) in cases {
            match (text.parse::<TrustedProxies>(), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{text:?}"),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{text:?}: {problem}"),
                (read, _) => panic!("{text:?} is read as {read:?}"),
            }
        }
    }

    fn networks_of(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_believed_as_far_as_those_who_say_it() {
        let cases: [(&str, &str, &[&str], &str); 14] = [
            ("false", "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("true", "192.0.2.1", &[], "192.0.2.1"),
            ("true", "192.0.2.1", &["203.0.113.9"], "203.0.113.9"),
            ("true", "192.0.2.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("true", "192.0.2.1", &["198.51.100.7", "x, 2001:db8::1"], "2001:db8::1"),
            ("true", "192.0.2.1", &["203.0.113.9, unknown"], "192.0.2.1"),
            ("true", "192.0.2.1", &["203.0.113.9,"], "192.0.2.1"),
            ("2", "192.0.2.1", &["203.0.113.9, 192.0.2.2"], "203.0.113.9"),
            ("2", "192.0.2.1", &["198.51.100.7, 203.0.113.9, 192.0.2.2"], "203.0.113.9"),
            ("2", "192.0.2.1", &["192.0.2.2"], "192.0.2.2"),
            ("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.0/8", "10.1.1.1", &["198.51.100.7, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
            ("loopback,uniquelocal", "::1", &["203.0.113.9, 192.168.0.1, fc00::1"], "203.0.113.9"),
        ];
        for (trusted, peer, said, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let client = proxies(trusted).client(peer.parse().unwrap(), &headers);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{trusted} {peer} {said:?}");
        }
    }
}
