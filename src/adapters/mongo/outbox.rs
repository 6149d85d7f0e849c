//! The outbox in MongoDB.

use ::mongodb::bson::{Bson, Document, doc};
use ::mongodb::options::ReturnDocument;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::outbox::{DELIVERIES_MAX, Delivery, Letter, LetterState, Outbox, OutboxDepth};
use reelkeeper_actors::recording::Timestamp;

use super::MongoStore;
use super::documents::whole;
use super::failure::{corrupt, is_duplicate, of};

const LETTERS: &str = "reelkeeper_outbox";
const OUTBOX: &str = "outbox";

fn to_delivery(document: &Document) -> Result<Delivery, PortError> {
    let subject = format!("notice {}", document.get_str("_id").unwrap_or("without an id"));
    let text = |field| document.get_str(field).map(str::to_owned).map_err(|error| corrupt(&subject, error));
    let number = |field: &str| {
        let number = document.get(field).and_then(whole);
        number.ok_or_else(|| corrupt(&subject, format_args!("{field} is no number")))
    };
    let count = |field| u32::try_from(number(field)?).map_err(|error| corrupt(&subject, error));
    let letter = Letter {
        id: text("_id")?,
        subject: text("subject")?,
        number: count("number")?,
        event: text("event")?,
        created_at: Timestamp(number("createdAt")?),
        body: text("body")?,
    };
    let (tries, due, last_error) = (count("tries")?, Timestamp(number("due")?), text("lastError")?);
    Ok(Delivery { letter, state: LetterState::Waiting, tries, due, last_error })
}

/// Of each subject the first waiting letter: its id and when it is due.
fn firsts() -> Vec<Document> {
    vec![
        doc! {"$match": {"state": "waiting"}},
        doc! {"$sort": {"state": 1, "subject": 1, "number": 1}},
        doc! {"$group": {"_id": "$subject", "letter": {"$first": "$_id"}, "due": {"$first": "$due"}}},
    ]
}

/// As a limit of MongoDB's.
pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(DELIVERIES_MAX)).unwrap_or(i64::MAX)
}

impl MongoStore {
    async fn first_letters(&self, stages: Vec<Document>) -> Result<Vec<Document>, PortError> {
        let pipeline = [firsts(), stages].concat();
        let letters = self.agreed(LETTERS);
        let asked = letters.aggregate(pipeline).max_time(self.deadline);
        self.run(&OUTBOX, async { asked.await?.try_collect().await }).await
    }

    /// Forgets some of those letters. Returns how many.
    async fn forget(&self, those: Document, limit: usize) -> Result<usize, PortError> {
        if limit == 0 {
            // To MongoDB that means no limit.
            return Ok(0);
        }
        let letters = self.agreed(LETTERS);
        let found = letters.find(those).limit(bounded(limit)).projection(doc! {"_id": 1});
        let forget = async {
            let found: Vec<Document> = found.await?.try_collect().await?;
            let ids: Vec<_> = found.into_iter().filter_map(|letter| letter.get("_id").cloned()).collect();
            if ids.is_empty() {
                Ok(0)
            } else {
                Ok(letters.delete_many(doc! {"_id": {"$in": ids}}).await?.deleted_count)
            }
        };
        let forgotten =
            self.in_time(&OUTBOX, async { forget.await.map_err(|error| of(&OUTBOX, &error)) }).await?;
        Ok(usize::try_from(forgotten).unwrap_or(usize::MAX))
    }

    /// Changes a letter. Returns whether it was there as wanted.
    async fn change_letter(&self, id: &str, filter: Document, update: Document) -> Result<bool, PortError> {
        let subject = format!("notice {id}");
        let changed = self.run(&subject, self.agreed(LETTERS).update_one(filter, update)).await?;
        Ok(changed.matched_count > 0)
    }
}

#[async_trait]
impl Outbox for MongoStore {
    async fn put(&self, letter: &Letter) -> Result<bool, PortError> {
        let Letter { id, subject, number, event, created_at, body } = letter;
        let document = doc! {
            "_id": id,
            "subject": subject,
            "number": i64::from(*number),
            "event": event,
            "createdAt": created_at.0,
            "body": body,
            "state": "waiting",
            "tries": 0,
            "due": created_at.0,
            "lastError": "",
        };
        let letters = self.agreed(LETTERS);
        let put = async {
            match letters.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.run(&format!("notice {id}"), put).await
    }

    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let due = vec![
            doc! {"$match": {"due": {"$lte": now.0}}},
            doc! {"$sort": {"due": 1}},
            doc! {"$limit": bounded(limit)},
        ];
        let letters = self.agreed(LETTERS);
        let mut leased = Vec::new();
        for found in self.first_letters(due).await? {
            // Unless somebody else was faster.
            let unchanged = doc! {
                "_id": found.get("letter").cloned(),
                "state": "waiting",
                "due": found.get("due").cloned(),
            };
            let lease = letters
                .find_one_and_update(unchanged, doc! {"$inc": {"tries": 1}, "$set": {"due": until.0}})
                .return_document(ReturnDocument::After);
            if let Some(letter) = self.run(&OUTBOX, lease).await? {
                match to_delivery(&letter) {
                    Ok(delivery) => leased.push(delivery),
                    // Nobody can send it, and it would hold up all later ones about the same.
                    Err(error) => {
                        let id = letter.get_str("_id").unwrap_or_default();
                        self.unreadable.left_out(id, &error);
                        self.failed(id, None, "it cannot be read").await?;
                    }
                }
            }
        }
        Ok(leased)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, PortError> {
        let earliest = vec![doc! {"$group": {"_id": Bson::Null, "due": {"$min": "$due"}}}];
        let found = self.first_letters(earliest).await?;
        Ok(found.first().and_then(|found| found.get("due")).and_then(whole).map(Timestamp))
    }

    async fn delivered(&self, id: &str, at: Timestamp) -> Result<(), PortError> {
        self.change_letter(id, doc! {"_id": id}, doc! {"$set": {"state": "delivered", "deliveredAt": at.0}})
            .await
            .map(drop)
    }

    async fn failed(&self, id: &str, due: Option<Timestamp>, error: &str) -> Result<(), PortError> {
        let dead = || doc! {"state": "dead", "lastError": error};
        let change = due.map_or_else(dead, |due| doc! {"due": due.0, "lastError": error});
        self.change_letter(id, doc! {"_id": id, "state": "waiting"}, doc! {"$set": change}).await.map(drop)
    }

    async fn letters(
        &self,
        state: LetterState,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let filter = doc! {"state": state.name(), "_id": {"$gt": after.unwrap_or_default()}};
        let letters = self.agreed(LETTERS);
        let found = letters.find(filter).sort(doc! {"_id": 1}).limit(bounded(limit)).max_time(self.deadline);
        let found: Vec<Document> = self.run(&OUTBOX, async { found.await?.try_collect().await }).await?;
        let read = |letter: &Document| match to_delivery(letter) {
            Ok(delivery) => Some(Delivery { state, ..delivery }),
            Err(error) => {
                self.unreadable.left_out(letter.get_str("_id").unwrap_or_default(), &error);
                None
            }
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn replay(&self, id: &str, due: Timestamp) -> Result<bool, PortError> {
        let again = doc! {"$set": {"state": "waiting", "tries": 0, "due": due.0}};
        self.change_letter(id, doc! {"_id": id, "state": "dead"}, again).await
    }

    async fn drop_letter(&self, id: &str, at: Timestamp) -> Result<bool, PortError> {
        let open = doc! {"_id": id, "state": {"$ne": "delivered"}};
        self.change_letter(id, open, doc! {"$set": {"state": "delivered", "deliveredAt": at.0}}).await
    }

    async fn depth(&self) -> Result<OutboxDepth, PortError> {
        let by_state = vec![
            doc! {"$match": {"state": {"$in": ["waiting", "dead"]}}},
            doc! {"$group": {"_id": "$state", "count": {"$sum": 1}, "oldest": {"$min": "$createdAt"}}},
        ];
        let letters = self.agreed(LETTERS);
        let asked = letters.aggregate(by_state).max_time(self.deadline);
        let found: Vec<Document> = self.run(&OUTBOX, async { asked.await?.try_collect().await }).await?;
        let of_state = |state| found.iter().find(|one| one.get_str("_id").is_ok_and(|id| id == state));
        let count = |state| {
            of_state(state).and_then(|one| one.get("count")).and_then(whole).map_or(0, i64::unsigned_abs)
        };
        let oldest = of_state("waiting").and_then(|one| one.get("oldest")).and_then(whole).map(Timestamp);
        Ok(OutboxDepth { waiting: count("waiting"), dead: count("dead"), oldest })
    }

    async fn purge(&self, delivered: Timestamp, dead: Timestamp, limit: usize) -> Result<usize, PortError> {
        let delivered = doc! {"state": "delivered", "deliveredAt": {"$lt": delivered.0}};
        let dead = doc! {"state": "dead", "createdAt": {"$lt": dead.0}};
        Ok(self.forget(delivered, limit).await? + self.forget(dead, limit).await?)
    }
}
