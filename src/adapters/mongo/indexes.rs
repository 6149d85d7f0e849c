//! Indexes: Meet's, as the contract has them (`storage.md` 1.3), and our own.
//!
//! An index that is there with the same keys is left alone. Names are those that any driver gives.

use std::time::Duration;

use ::mongodb::IndexModel;
use ::mongodb::bson::{Document, doc};
use ::mongodb::options::IndexOptions;
use reelkeeper_actors::ports::{PortError, PortErrorKind};

use super::MongoStore;
use super::inbox::{ANSWERS_LAST, INBOX};

/// What the names of Meet's collections begin with.
const MEETS: &str = "meet";
/// What is ordered only while somebody may still write it.
const VIEWS_LAST: Duration = Duration::from_hours(24 * 30);
/// How long a removed row refuses a write that was begun before its removal.
const REMOVALS_LAST: Duration = Duration::from_hours(1);
/// What ends at a time of its own.
const AT_ONCE: Duration = Duration::ZERO;

/// One index.
struct Index {
    collection: &'static str,
    keys: Document,
    kind: Kind,
}

enum Kind {
    Plain,
    Unique,
    /// Documents end so long after the date in this field.
    Ends(Duration),
}

/// Every index.
fn all() -> Vec<Index> {
    let index = |collection, keys, kind| Index { collection, keys, kind };
    let by_date = |field: &str| doc! {field: 1, "startDate": -1, "_id": -1};
    let (plain, unique) = (|| Kind::Plain, || Kind::Unique);
    vec![
        index("meetglobalconfigs", doc! {"projectId": 1}, unique()),
        index("meetusers", doc! {"username": 1}, unique()),
        index("meetapikeys", doc! {"key": 1}, unique()),
        index("meetrooms", doc! {"roomId": 1}, unique()),
        index("meetrooms", doc! {"creationDate": -1, "_id": -1}, plain()),
        index("meetrooms", doc! {"roomName": 1, "creationDate": -1, "_id": -1}, plain()),
        index("meetrooms", doc! {"status": 1, "creationDate": -1, "_id": -1}, plain()),
        index("meetrooms", doc! {"autoDeletionDate": 1}, plain()),
        index("meetrecordings", doc! {"recordingId": 1}, unique()),
        index("meetrecordings", doc! {"startDate": -1, "_id": -1}, plain()),
        index("meetrecordings", by_date("roomId"), plain()),
        index("meetrecordings", by_date("roomName"), plain()),
        index("meetrecordings", by_date("status"), plain()),
        index("meetrecordings", doc! {"duration": -1, "_id": -1}, plain()),
        index("meetrecordings", doc! {"size": -1, "_id": -1}, plain()),
        index("meetmigrations", doc! {"name": 1}, unique()),
        index("meetmigrations", doc! {"status": 1}, plain()),
        index("reelkeeper_rooms", doc! {"removedAt": 1}, Kind::Ends(REMOVALS_LAST)),
        index("reelkeeper_views", doc! {"touchedAt": 1}, Kind::Ends(VIEWS_LAST)),
        index("reelkeeper_keys", doc! {"command": 1}, unique()),
        index("reelkeeper_keys", doc! {"entered": 1}, plain()),
        // Holds all that is asked for the first letters of all subjects: their bodies are not read for it.
        index("reelkeeper_outbox", doc! {"state": 1, "subject": 1, "number": 1, "due": 1, "_id": 1}, plain()),
        index("reelkeeper_outbox", doc! {"state": 1, "createdAt": 1}, plain()),
        index("reelkeeper_outbox", doc! {"state": 1, "deliveredAt": 1}, plain()),
        index("reelkeeper_outbox", doc! {"state": 1, "_id": 1}, plain()),
        index(INBOX, doc! {"answeredAt": 1, "owner": 1, "order": 1}, plain()),
        index(INBOX, doc! {"answeredAt": 1}, Kind::Ends(ANSWERS_LAST)),
        index("reelkeeper_leases", doc! {"endsAt": 1}, Kind::Ends(AT_ONCE)),
        index("reelkeeper_names", doc! {"room": 1}, plain()),
        index("reelkeeper_captions", doc! {"room": 1}, plain()),
        index("reelkeeper_captions", doc! {"endsAt": 1}, Kind::Ends(AT_ONCE)),
        index("reelkeeper_counts", doc! {"endsAt": 1}, Kind::Ends(AT_ONCE)),
        index("reelkeeper_names", doc! {"endsAt": 1}, Kind::Ends(AT_ONCE)),
    ]
}

/// Makes those that are missing. Meet's own may be otherwise, as another release left them, or may not be made by
/// this user: that is said, and stops nothing.
pub(super) async fn make(store: &MongoStore) -> Result<(), PortError> {
    let mut all = all().into_iter().peekable();
    while let Some(first) = all.next() {
        let collection = first.collection;
        let mut indexes = vec![first];
        while let Some(next) = all.next_if(|next| next.collection == collection) {
            indexes.push(next);
        }
        let subject = format!("indexes of {collection}");
        let documents = store.database.collection::<Document>(collection);
        let models = indexes.iter().map(model);
        match store.run(&subject, documents.create_indexes(models)).await {
            Err(error) if collection.starts_with(MEETS) && error.kind == PortErrorKind::Misused => {
                make_each(store, &indexes).await?;
            }
            made => drop(made?),
        }
    }
    Ok(())
}

/// The same one by one, so that one which cannot be made keeps no other away.
async fn make_each(store: &MongoStore, indexes: &[Index]) -> Result<(), PortError> {
    for index in indexes {
        let documents = store.database.collection::<Document>(index.collection);
        let subject = format!("index {} of {}", index.keys, index.collection);
        match store.run(&subject, documents.create_index(model(index))).await {
            Err(error) if error.kind != PortErrorKind::Misused => return Err(error),
            Err(error) if matches!(index.kind, Kind::Unique) => {
                tracing::error!(%error, "without this index a document may be stored twice: mend what is stored there");
            }
            Err(error) => tracing::warn!(%error, "an index is left as it is, lists may be slow"),
            Ok(_) => {}
        }
    }
    Ok(())
}

fn model(index: &Index) -> IndexModel {
    let options = match index.kind {
        Kind::Plain => IndexOptions::default(),
        Kind::Unique => IndexOptions::builder().unique(true).build(),
        Kind::Ends(after) => IndexOptions::builder().expire_after(after).build(),
    };
    IndexModel::builder().keys(index.keys.clone()).options(options).build()
}
