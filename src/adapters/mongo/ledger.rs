//! The ledger in MongoDB: the header in fields that each write compares, the state as JSON.
//!
//! A removed row leaves its header behind for an hour, marked: a write that was begun before the removal, and
//! reaches MongoDB only after it, finds the mark and makes no row of nobody's.

use ::mongodb::bson::{Document, doc};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::{ClaimId, DecisionId, NodeId, RoomId};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::recording::ledger::Row;

use super::failure::{corrupt, is_duplicate, misused, of};
use super::{MongoStore, within};

const ROWS: &str = "reelkeeper_rooms";
/// Rows of one answer of MongoDB.
const BATCH: u32 = 100;

/// In the mark of a removed row only.
const REMOVED: &str = "removedAt";

fn there() -> Document {
    doc! {"$exists": false}
}

fn to_document(row: &Row) -> Result<Document, PortError> {
    let subject = format!("room {}", row.room);
    let state = serde_json::to_string(&row.state).map_err(|error| misused(&subject, error))?;
    Ok(doc! {
        "_id": row.room.as_str(),
        "owner": row.owner.as_str(),
        "claim": row.claim.as_str(),
        "epoch": integer(&row.room, row.epoch)?,
        "revision": integer(&row.room, row.revision)?,
        "decision": row.decision.as_str(),
        "phase": row.state.phase.name(),
        "settled": row.state.is_settled(),
        "state": state,
    })
}

fn to_row(document: &Document) -> Result<Row, PortError> {
    let subject = format!("room {}", document.get_str("_id").unwrap_or("without an id"));
    let unreadable = |error| corrupt(&subject, error);
    let text = |field| document.get_str(field).map(str::to_owned).map_err(unreadable);
    let count = |field| {
        let count = document.get_i64(field).map_err(unreadable)?;
        u64::try_from(count).map_err(|error| corrupt(&subject, error))
    };
    Ok(Row {
        room: RoomId::from_trusted(text("_id")?),
        owner: NodeId::from_trusted(text("owner")?),
        claim: ClaimId::from_trusted(text("claim")?),
        epoch: count("epoch")?,
        revision: count("revision")?,
        decision: DecisionId::from_trusted(text("decision")?),
        state: serde_json::from_str(document.get_str("state").map_err(unreadable)?)
            .map_err(|error| corrupt(&subject, error))?,
    })
}

fn integer(room: &RoomId, count: u64) -> Result<i64, PortError> {
    i64::try_from(count).map_err(|error| misused(&format_args!("room {room}"), error))
}

impl MongoStore {
    /// Makes a row where there is none, or only the mark of a removed one.
    async fn make_row(&self, row: &Row, document: Document) -> Result<Written, PortError> {
        let rows = self.agreed(ROWS);
        let insert = async {
            match rows.insert_one(&document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        if self.run(&row.room, insert).await? {
            return Ok(Written::Stored);
        }
        let mark =
            self.run(&row.room, rows.find_one(doc! {"_id": row.room.as_str(), REMOVED: {"$exists": true}}));
        let Some(mark) = mark.await? else { return self.refused(&row.room).await };
        // This very mark: a later removal leaves another one.
        let filter = doc! {
            "_id": row.room.as_str(),
            "claim": mark.get("claim").cloned(),
            "revision": mark.get("revision").cloned(),
            REMOVED: mark.get(REMOVED).cloned(),
        };
        let replaced = self.run(&row.room, rows.replace_one(filter, &document)).await?;
        if replaced.matched_count > 0 { Ok(Written::Stored) } else { self.refused(&row.room).await }
    }

    async fn refused(&self, room: &RoomId) -> Result<Written, PortError> {
        Ok(Written::Refused(self.load(room).await?.map(Box::new)))
    }
}

#[async_trait]
impl Ledger for MongoStore {
    async fn load(&self, room: &RoomId) -> Result<Option<Row>, PortError> {
        let filter = doc! {"_id": room.as_str(), REMOVED: there()};
        let found = self.run(room, self.agreed(ROWS).find_one(filter)).await?;
        found.as_ref().map(to_row).transpose()
    }

    async fn write(&self, row: &Row, expected: &Expected) -> Result<Written, PortError> {
        let document = to_document(row)?;
        let Expected::At { claim, revision } = expected else { return self.make_row(row, document).await };
        let filter = doc! {
            "_id": row.room.as_str(),
            "claim": claim.as_str(),
            "revision": integer(&row.room, *revision)?,
            REMOVED: there(),
        };
        let replaced = self.run(&row.room, self.agreed(ROWS).replace_one(filter, document)).await?;
        if replaced.matched_count > 0 { Ok(Written::Stored) } else { self.refused(&row.room).await }
    }

    async fn remove(&self, room: &RoomId, claim: &ClaimId, revision: u64) -> Result<Written, PortError> {
        let filter = doc! {
            "_id": room.as_str(),
            "claim": claim.as_str(),
            "revision": integer(room, revision)?,
            REMOVED: there(),
        };
        let mark = vec![
            doc! {"$set": {REMOVED: "$$NOW"}},
            doc! {"$unset": ["owner", "epoch", "decision", "phase", "settled", "state"]},
        ];
        let marked = self.run(room, self.agreed(ROWS).update_one(filter, mark)).await?;
        if marked.matched_count > 0 { Ok(Written::Stored) } else { self.refused(room).await }
    }

    async fn rows(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<Row>, PortError> {
        let after = after.map(RoomId::as_str).unwrap_or_default();
        let filter = doc! {"_id": {"$gt": after}, REMOVED: there()};
        let rows = self.agreed(ROWS);
        let found = rows.find(filter).sort(doc! {"_id": 1}).batch_size(BATCH).max_time(self.deadline);
        let read = async {
            let mut documents = found.await.map_err(|error| of(&"rooms", &error))?;
            let mut rows = Vec::new();
            while rows.len() < limit
                && let Some(document) = documents.try_next().await.map_err(|error| of(&"rooms", &error))?
            {
                match to_row(&document) {
                    Ok(row) => rows.push(row),
                    Err(error) => {
                        self.unreadable.left_out(document.get_str("_id").unwrap_or_default(), &error);
                    }
                }
            }
            Ok(rows)
        };
        self.in_time(&"rooms", read).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        // A primary that lost its majority answers too, and can store nothing: its own view of itself tells.
        let hello = within(self.deadline, &"ping", self.database.run_command(doc! {"hello": 1})).await?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Ok(());
        }
        Err(super::failure::unavailable(&"ping", "no server that takes writes answers"))
    }
}
