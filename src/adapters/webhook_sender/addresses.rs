//! Receivers that lie in a private network: reached as a rule, refused if configured so.
//!
//! A name is judged by the addresses that it resolves to, at each connection, so that it cannot change in between.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which receivers may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Every one.
    #[default]
    Anywhere,
    /// Those whose address is public.
    Public,
}

/// Why a receiver is refused.
const PRIVATE: &str = "the receiver's address is not public, and webhooks.private_receivers refuses those";

/// Resolves names to their public addresses only.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, PRIVATE).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Refuses a URL that names a private address itself, since nothing is resolved then.
///
/// # Errors
/// With the reason.
pub(super) fn check(url: &Url) -> Result<(), &'static str> {
    let literal = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    match literal.and_then(|host| host.parse().ok()) {
        Some(address) if !is_public(address) => Err(PRIVATE),
        _ => Ok(()),
    }
}

/// Whether everybody on the Internet means the same by this address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// RFC 6890 and what followed.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let special = matches!((first, second, third), (0 | 240..=255, ..) | (192, 0, 0) | (198, 18 | 19, _));
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || special)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is in use, and not all of it.
    let [first, second, ..] = address.segments();
    let is_documentation = (first, second) == (0x2001, 0x0db8) || first == 0x3fff;
    (0x2000..0x4000).contains(&first) && !is_documentation
}

/// The address of the older kind that stands in one of the newer: mapped, translated or tunnelled.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_public_or_not() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
        ];
        let public = [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ];
        for (addresses, expected) in [(&private[..], false), (&public[..], true)] {
            for address in addresses {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn a_url_with_a_private_address_is_refused() {
        let refused = [
            "http://127.0.0.1/x",
            "http://[::1]:8080/",
            "https://10.0.0.1",
            "http://0x7f.1/",
            "http://2130706433/",
        ];
        for url in refused {
            assert_eq!(check(&Url::parse(url).unwrap()), Err(PRIVATE), "{url}");
        }
        for url in ["https://example.com/hook", "http://1.1.1.1/", "http://[2606:4700::1111]/"] {
            assert_eq!(check(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_with_private_addresses_only_is_refused() {
        let resolved = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert_eq!(resolved.err().unwrap().to_string(), PRIVATE);
    }
}
