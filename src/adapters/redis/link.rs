//! The connection to Redis: made when it is needed, given up when it fails.
//!
//! One connection carries all calls at once. After any outage, or when Sentinel has made another server the master,
//! the next call makes a new one; nobody has to be told.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
};
use reelkeeper_actors::ports::PortError;

use super::COORDINATION;
use super::target::{Login, Target};
use crate::adapters::awaited::awaiting;

/// What a server says that is no master any more, or none yet.
const NOT_THE_MASTER: [&str; 4] = ["READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN"];
/// What a server says to wrong credentials, or to missing rights.
const REFUSED: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

/// Where connections come from.
enum Source {
    Server {
        client: Box<Client>,
        /// The same without a password, if there is one and no user: a server that asks for none refuses any, and
        /// OpenVidu Meet, which has one by default, does not mind.
        unasked: Option<Box<Client>>,
    },
    /// Asked for the master each time.
    Sentinels(tokio::sync::Mutex<Box<SentinelClient>>),
}

/// The newest connection, and how many there were.
type Newest = (Option<MultiplexedConnection>, u64);

/// A connection and which one it is.
struct Numbered {
    connection: MultiplexedConnection,
    number: u64,
}

/// See the module.
pub(super) struct Link {
    source: Source,
    deadline: Duration,
    newest: Mutex<Newest>,
    /// Held by whoever makes one, so that those who come meanwhile share it.
    connecting: tokio::sync::Mutex<()>,
}

impl Link {
    /// Connects to nobody yet.
    pub(super) fn new(target: Target, deadline: Duration) -> Result<Self, PortError> {
        let source = match target {
            Target::Server { address, login } => {
                let info = ::redis::IntoConnectionInfo::into_connection_info(address);
                let info = info.map_err(|error| failed(&"connect", &error))?;
                let open = |login: Login| {
                    let opened = Client::open(info.clone().set_redis_settings(settings(login)));
                    opened.map(Box::new).map_err(|error| failed(&"connect", &error))
                };
                let nobody = Login { database: login.database, ..Login::default() };
                let is_default_user = login.user.is_none() && login.password.is_some();
                let unasked = is_default_user.then(|| open(nobody)).transpose()?;
                Source::Server { client: open(login)?, unasked }
            }
            Target::Sentinels { addresses, password, master, login } => {
                let built = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)
                    .and_then(|mut builder| {
                        builder = builder.set_client_to_redis_db(login.database);
                        if let Some(user) = login.user {
                            builder = builder.set_client_to_redis_username(user);
                        }
                        if let Some(password) = login.password {
                            builder = builder.set_client_to_redis_password(password.expose());
                        }
                        if let Some(password) = password {
                            builder = builder.set_client_to_sentinel_password(password.expose());
                        }
                        builder.build()
                    });
                let client = built.map_err(|error| failed(&"connect", &error))?;
                Source::Sentinels(tokio::sync::Mutex::new(Box::new(client)))
            }
        };
        Ok(Self { source, deadline, newest: Mutex::default(), connecting: tokio::sync::Mutex::default() })
    }

    /// Sends a command and waits for its answer, at most for the deadline. One that met a connection which had
    /// died since its last use is sent again: each of ours may be.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        subject: &(dyn Display + Sync),
        command: &Cmd,
    ) -> Result<T, PortError> {
        let mut used = None;
        let asking = async {
            loop {
                let known = self.newest().0.is_some();
                let Numbered { mut connection, number } = self.connection().await?;
                used = Some(number);
                let error = match command.query_async(&mut connection).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if is_lost(&error) => error,
                    Err(error) => return Err(error),
                };
                self.give_up(number);
                if !known {
                    return Err(error);
                }
            }
        };
        if let Ok(answer) = tokio::time::timeout(self.deadline, awaiting(COORDINATION, asking)).await {
            return answer.map_err(|error| failed(subject, &error));
        }
        if let Some(number) = used {
            self.give_up(number);
        }
        let detail = format_args!("{subject}: Redis gave no answer within {:?}", self.deadline);
        Err(PortError::unavailable(COORDINATION, detail))
    }

    async fn connection(&self) -> RedisResult<Numbered> {
        if let Some(open) = self.opened() {
            return Ok(open);
        }
        let _alone = self.connecting.lock().await;
        if let Some(open) = self.opened() {
            return Ok(open);
        }
        let connection = self.connect().await?;
        let mut newest = self.newest();
        let number = newest.1 + 1;
        *newest = (Some(connection.clone()), number);
        Ok(Numbered { connection, number })
    }

    fn opened(&self) -> Option<Numbered> {
        let newest = self.newest();
        newest.0.clone().map(|connection| Numbered { connection, number: newest.1 })
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The deadline of a call holds for all of it.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.deadline))
            .set_response_timeout(Some(self.deadline));
        match &self.source {
            Source::Server { client, unasked } => {
                match (client.get_multiplexed_async_connection_with_config(&config).await, unasked) {
                    (Err(error), Some(unasked)) if error.kind() == ErrorKind::AuthenticationFailed => {
                        let opened = unasked.get_multiplexed_async_connection_with_config(&config).await;
                        let mut connection = opened.map_err(|_| error.clone())?;
                        let answered = ::redis::cmd("PING").query_async::<()>(&mut connection).await;
                        answered.map(|()| connection).map_err(|_| error)
                    }
                    (connection, _) => connection,
                }
            }
            Source::Sentinels(client) => client.lock().await.get_async_connection_with_config(&config).await,
        }
    }

    /// The next call makes a new one, unless that was done already.
    fn give_up(&self, number: u64) {
        let mut newest = self.newest();
        if newest.1 == number {
            newest.0 = None;
        }
    }
}

fn settings(login: Login) -> ::redis::RedisConnectionInfo {
    let mut settings = ::redis::RedisConnectionInfo::default().set_db(login.database);
    if let Some(user) = login.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = login.password {
        settings = settings.set_password(password.expose());
    }
    settings
}

/// Whether another connection may do better.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.code().is_some_and(|code| NOT_THE_MASTER.contains(&code))
}

fn failed(subject: &dyn Display, error: &RedisError) -> PortError {
    let refused = error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| REFUSED.contains(&code));
    if refused {
        let detail = format_args!("{subject}: Redis refuses the credentials; mend those of coordination.url");
        return PortError::misused(COORDINATION, detail);
    }
    match error.kind() {
        ErrorKind::InvalidClientConfig
        | ErrorKind::Client
        | ErrorKind::Server(ServerErrorKind::ResponseError) => {
            PortError::misused(COORDINATION, format_args!("{subject}: {error}"))
        }
        _ => PortError::unavailable(COORDINATION, format_args!("{subject}: Redis: {error}")),
    }
}
