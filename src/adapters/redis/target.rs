//! The URLs of Redis, and of Redis behind Sentinel.

use std::collections::BTreeMap;

use ::redis::ConnectionAddr;
use percent_encoding::percent_decode_str;

use crate::config::Secret;

/// Redis' port if none is said, and Sentinel's.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// What Sentinel calls the master if nobody says otherwise; OpenVidu Meet's default.
const MASTER: &str = "openvidu";

/// Where Redis is.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One server.
    Server {
        /// Where, and whether over TLS.
        address: ConnectionAddr,
        /// As whom.
        login: Login,
    },
    /// Whichever server Sentinels say is the master.
    Sentinels {
        /// Where they are.
        addresses: Vec<ConnectionAddr>,
        /// Opens them.
        password: Option<Secret>,
        /// What they call the master.
        master: String,
        /// As whom at the master.
        login: Login,
    },
}

/// As whom, and in which database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login {
    /// The user; none is Redis' default one.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// The database's number.
    pub database: i64,
}

impl Target {
    /// The database's number.
    #[must_use]
    pub fn database(&self) -> i64 {
        match self {
            Self::Server { login, .. } | Self::Sentinels { login, .. } => login.database,
        }
    }

    /// Reads `redis://[user:password@]host[:port][/database]`, the same with `rediss://` (over TLS), or
    /// `redis+sentinel://[user:password@]host[:port],...[/database]?master=...&sentinel_password=...`. What could be
    /// mistaken is percent-encoded.
    ///
    /// # Errors
    /// The rest of a sentence about the URL, which never repeats it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("must begin with redis://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, hosts) = place.rsplit_once('@').unwrap_or(("", place));
        let login = login(who, database)?;
        let mut options = options(query)?;
        let target = match scheme {
            "redis" => Self::Server { address: plain(hosts, PORT)?, login },
            "rediss" => {
                let (host, port) = host_and_port(hosts, PORT)?;
                let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                Self::Server { address, login }
            }
            "redis+sentinel" => Self::Sentinels {
                addresses: hosts
                    .split(',')
                    .map(|host| plain(host.trim(), SENTINEL_PORT))
                    .collect::<Result<_, _>>()?,
                password: options
                    .remove("sentinel_password")
                    .filter(|text| !text.is_empty())
                    .map(Secret::new),
                master: options.remove("master").unwrap_or_else(|| MASTER.to_owned()),
                login,
            },
            _ => return Err("must begin with redis://, rediss:// or redis+sentinel://".to_owned()),
        };
        match options.keys().next() {
            Some(name) => Err(format!("has a parameter {name} that is not known here")),
            None => Ok(target),
        }
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "has percent-encoded bytes that are no text".to_owned())
}

fn login(who: &str, database: &str) -> Result<Login, String> {
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let filled = |text: &str| decoded(text).map(|text| Some(text).filter(|text| !text.is_empty()));
    let database = match database {
        "" => Some(0),
        number => number.parse().ok().filter(|number| *number >= 0),
    };
    Ok(Login {
        user: filled(user)?,
        password: filled(password)?.map(Secret::new),
        database: database.ok_or("must end with the number of a database, such as /0")?,
    })
}

fn options(query: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn plain(text: &str, usual: u16) -> Result<ConnectionAddr, String> {
    host_and_port(text, usual).map(|(host, port)| ConnectionAddr::Tcp(host, port))
}

/// A host, in brackets if it is an address of IPv6, and its port.
fn host_and_port(text: &str, usual: u16) -> Result<(String, u16), String> {
    let wanted = || "must name a host, and a port if it is another, such as cache:6379".to_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wanted())?),
        _ => (text, usual),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { Err(wanted()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str, database: i64) -> Login {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Login { user: filled(user), password: filled(password).map(Secret::new), database }
    }

    fn tcp(host: &str, port: u16) -> ConnectionAddr {
        ConnectionAddr::Tcp(host.to_owned(), port)
    }

    #[test]
    fn a_server_is_read() {
        let cases = [
            ("redis://cache", tcp("cache", 6379), login("", "", 0)),
            ("redis://cache:1/3", tcp("cache", 1), login("", "", 3)),
            ("redis://:p%40ss:w@cache:1/", tcp("cache", 1), login("", "p@ss:w", 0)),
            ("redis://me:secret@[::1]:1/2", tcp("::1", 1), login("me", "secret", 2)),
            ("redis://[::1]", tcp("::1", 6379), login("", "", 0)),
        ];
        for (url, address, login) in cases {
            assert_eq!(Target::parse(url), Ok(Target::Server { address, login }), "{url}");
        }
        let tls = Target::parse("rediss://cache").unwrap();
        assert!(matches!(
            tls,
            Target::Server { address: ConnectionAddr::TcpTls { insecure: false, .. }, .. }
        ));
    }

    #[test]
    fn sentinels_are_read() {
        let url = "redis+sentinel://:p@a:1, b/2?master=m%26m&sentinel_password=s%3Ds";
        let expected = Target::Sentinels {
            addresses: vec![tcp("a", 1), tcp("b", 26379)],
            password: Some(Secret::new("s=s")),
            master: "m&m".to_owned(),
            login: login("", "p", 2),
        };
        assert_eq!(Target::parse(url), Ok(expected));
        let usual = Target::parse("redis+sentinel://a?sentinel_password=");
        assert!(
            matches!(usual, Ok(Target::Sentinels { master, password: None, .. }) if master == "openvidu")
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_without_it() {
        let cases = [
            "redis",
            "http://hush",
            "redis://",
            "redis://:hush@",
            "redis://:hush@cache:port",
            "redis://:hush@cache/zero",
            "redis://:hush@cache/-1",
            "redis://:hush%ff@cache",
            "redis://:hush@cache?sentinel_password=x",
            "redis+sentinel://a,,b",
        ];
        for url in cases {
            let problem = Target::parse(url).expect_err(url);
            assert!(!problem.contains("hush") && problem.contains(' '), "{url}: {problem}");
        }
    }
}
