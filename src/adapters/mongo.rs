//! MongoDB: ledger, keys, catalog, outbox and accounts (`mongodb://`), and with `store://` coordination too.
//!
//! Owns the connection, how long a call may take and what its failures mean. Meet's own collections have Meet's
//! shapes and indexes, so that both can read them (contract `storage.md` 1); what only we know is in collections
//! that begin with `reelkeeper_`. Every decision is acknowledged by a majority and read back from it. Read
//! [`documents`] for the shapes, then `ledger` and `catalog`.

mod accounts;
mod catalog;
mod coordination;
mod difference;
pub mod documents;
mod failure;
mod inbox;
mod indexes;
mod keys;
mod ledger;
mod list;
mod outbox;
#[cfg(test)]
mod samples;
mod settings;

use std::fmt::Display;
use std::future::IntoFuture;
use std::time::Duration;

use ::mongodb::bson::{Document, doc};
use ::mongodb::options::{
    ClientOptions, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use ::mongodb::{Client, Collection, Database};
use reelkeeper_actors::ports::PortError;

use super::awaited::awaiting;
use super::unreadable::Unreadable;
use crate::config::Secret;

pub use self::coordination::MongoCoordination;

/// The dependency's name in errors.
const STORE: &str = "store";
/// The database of OpenVidu Meet.
const DATABASE: &str = "openvidu-meet";
/// How we call ourselves in MongoDB's logs.
const APP_NAME: &str = "reelkeeper";

/// How to reach a store.
#[derive(Debug, Clone)]
pub struct MongoConfig {
    /// MongoDB's own URI; may hold a password.
    pub uri: Secret,
    /// The database; none: the URI's, else that of OpenVidu Meet.
    pub database: Option<String>,
    /// Within which every call ends.
    pub deadline: Duration,
    /// Connections to each server at most.
    pub connections: u32,
}

/// A store in MongoDB; implements [`Ledger`](reelkeeper_actors::ports::ledger::Ledger),
/// [`IdempotencyKeys`](reelkeeper_actors::ports::keys::IdempotencyKeys),
/// [`Catalog`](reelkeeper_actors::ports::catalog::Catalog),
/// [`Outbox`](reelkeeper_actors::ports::outbox::Outbox) and
/// [`Accounts`](reelkeeper_actors::ports::accounts::Accounts).
///
/// A call that was given up may still be carried out later. The ledger's conditions make that harmless; a
/// document that is inserted so late that its deletion was carried out before it would come back.
pub struct MongoStore {
    client: Client,
    database: Database,
    unreadable: Unreadable,
    deadline: Duration,
}

/// How well a collection's writes and reads are agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    /// By a majority: survives the loss of the primary.
    ByAll,
    /// By the primary: enough for what only orders or speeds up.
    ByPrimary,
}

impl MongoStore {
    /// Connects, asks for an answer and makes the indexes that are missing. One attempt.
    ///
    /// # Errors
    /// `Misused` when the URI, the credentials or their rights are wrong; `Unavailable` when no primary answers.
    pub async fn connect(config: &MongoConfig) -> Result<Self, PortError> {
        let store = Self::connect_to_look(config).await?;
        indexes::make(&store).await?;
        Ok(store)
    }

    /// Connects and asks for an answer, for those who only look: nothing is made. One attempt.
    ///
    /// # Errors
    /// As above.
    pub async fn connect_to_look(config: &MongoConfig) -> Result<Self, PortError> {
        let mut options =
            within(config.deadline, &"connect", ClientOptions::parse(config.uri.expose())).await?;
        let patience = config.deadline / 2;
        options.app_name = Some(APP_NAME.to_owned());
        options.connect_timeout = Some(patience);
        options.server_selection_timeout = Some(patience);
        options.max_pool_size = Some(config.connections);
        // What was decided is read where it was decided: a secondary may lag behind (contract, weakness 17).
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let named = config.database.clone().or_else(|| options.default_database.clone());
        let name = named.unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options).map_err(|error| failure::of(&"connect", &error))?;
        let database = client.database(&name);
        let store = Self { client, database, unreadable: Unreadable::default(), deadline: config.deadline };
        store.run(&"ping", store.database.run_command(doc! {"ping": 1})).await?;
        Ok(store)
    }

    /// Whether the user may change what the service changes of Meet's: nothing is found, so nothing is changed.
    ///
    /// # Errors
    /// `Misused` when they may not; names the collection.
    pub async fn check_rights(&self) -> Result<(), PortError> {
        for name in
            [catalog::ROOMS, catalog::RECORDINGS, catalog::API_KEYS, accounts::USERS, settings::SETTINGS]
        {
            let (documents, nobody) = (self.agreed(name), doc! {"_id": "reelkeeper-doctor"});
            self.run(&name, documents.find_one(nobody.clone())).await?;
            self.run(&name, documents.update_one(nobody.clone(), doc! {"$set": {"seen": true}})).await?;
            self.run(&name, documents.delete_one(nobody)).await?;
        }
        Ok(())
    }

    /// Closes its connections. Later calls fail.
    pub async fn close(&self) {
        // What is under way is waited for by those who asked for it.
        let closing = self.client.clone().shutdown().immediate(true);
        if tokio::time::timeout(self.deadline, closing.into_future()).await.is_err() {
            tracing::warn!("connections to the store could not be closed in time; they end with the process");
        }
    }

    /// A collection whose writes a majority has on disk when they are answered, and whose reads show nothing
    /// that could be taken back.
    fn agreed(&self, name: &str) -> Collection<Document> {
        self.collection(name, Agreed::ByAll)
    }

    fn collection(&self, name: &str, agreed: Agreed) -> Collection<Document> {
        let (reads, writes) = match agreed {
            Agreed::ByAll => {
                let writes =
                    WriteConcern::builder().w(::mongodb::options::Acknowledgment::Majority).journal(true);
                (ReadConcern::majority(), writes.w_timeout(self.deadline).build())
            }
            Agreed::ByPrimary => (ReadConcern::local(), WriteConcern::nodes(1)),
        };
        let options = CollectionOptions::builder().read_concern(reads).write_concern(writes).build();
        self.database.collection_with_options(name, options)
    }

    /// The same for several calls in a row, whose failures are read already.
    async fn in_time<T>(
        &self,
        subject: &(dyn Display + Sync),
        calls: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let done = tokio::time::timeout(self.deadline, awaiting(STORE, calls)).await;
        done.unwrap_or_else(|_| Err(too_slow(subject, self.deadline)))
    }

    /// Waits for an answer, at most for the deadline. `subject` names in errors what it is about.
    async fn run<T>(
        &self,
        subject: &(dyn Display + Sync),
        call: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
    ) -> Result<T, PortError> {
        within(self.deadline, subject, call).await
    }
}

/// The driver has deadlines for its connections only.
async fn within<T>(
    deadline: Duration,
    subject: &(dyn Display + Sync),
    call: impl IntoFuture<Output = ::mongodb::error::Result<T>>,
) -> Result<T, PortError> {
    match tokio::time::timeout(deadline, awaiting(STORE, call.into_future())).await {
        Ok(answer) => answer.map_err(|error| failure::of(subject, &error)),
        Err(_) => Err(too_slow(subject, deadline)),
    }
}

fn too_slow(subject: &dyn Display, deadline: Duration) -> PortError {
    failure::unavailable(subject, format_args!("no answer within {deadline:?}"))
}
