//! The inbox in MongoDB: letters for owners that cannot be spoken to.

use std::collections::BTreeSet;
use std::time::Duration;

use ::mongodb::bson::oid::ObjectId;
use ::mongodb::bson::{Document, doc};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::inbox::{Inbox, Waiting};

use super::MongoStore;
use super::failure::{is_duplicate, of};
use super::outbox::bounded;

pub(super) const INBOX: &str = "reelkeeper_inbox";
/// How long an answer is kept.
pub(super) const ANSWERS_LAST: Duration = Duration::from_hours(24);

fn to_waiting(document: &Document) -> Option<Waiting> {
    let text = |field| document.get_str(field).ok().map(str::to_owned);
    Some(Waiting {
        id: text("_id")?,
        room: RoomId::from_trusted(text("room")?),
        owner: NodeId::from_trusted(text("owner")?),
        letter: text("letter")?,
    })
}

#[async_trait]
impl Inbox for MongoStore {
    async fn put_letter(&self, waiting: &Waiting) -> Result<(), PortError> {
        let letters = self.agreed(INBOX);
        let document = doc! {
            "_id": &waiting.id, "room": waiting.room.as_str(), "owner": waiting.owner.as_str(),
            "letter": &waiting.letter, "order": ObjectId::new(),
        };
        let put = async {
            match letters.insert_one(document).await {
                Err(error) if is_duplicate(&error) => Ok(()),
                put => put.map(drop),
            }
        };
        self.run(&waiting.room, put).await
    }

    async fn letters(
        &self,
        owner: &NodeId,
        except: &BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<Waiting>, PortError> {
        let letters = self.agreed(INBOX);
        let except: Vec<&str> = except.iter().map(String::as_str).collect();
        let wanted = doc! {"answeredAt": null, "owner": owner.as_str(), "_id": {"$nin": except}};
        let found =
            letters.find(wanted).sort(doc! {"order": 1}).limit(bounded(limit)).max_time(self.deadline);
        let read = async {
            let found: Vec<Document> = async { found.await?.try_collect().await }
                .await
                .map_err(|error: ::mongodb::error::Error| of(&INBOX, &error))?;
            Ok(found.iter().filter_map(to_waiting).collect())
        };
        self.in_time(&INBOX, read).await
    }

    async fn addressees(&self) -> Result<BTreeSet<NodeId>, PortError> {
        let letters = self.agreed(INBOX);
        let owners = letters.distinct("owner", doc! {"answeredAt": null}).max_time(self.deadline);
        let owners = self.run(&INBOX, async { owners.await }).await?;
        Ok(owners.iter().filter_map(|owner| owner.as_str().map(NodeId::from_trusted)).collect())
    }

    async fn count_letters(&self) -> Result<u64, PortError> {
        let letters = self.agreed(INBOX);
        let count = letters.count_documents(doc! {"answeredAt": null}).max_time(self.deadline);
        self.run(&INBOX, async { count.await }).await
    }

    async fn answer_letter(&self, id: &str, answer: &str) -> Result<(), PortError> {
        let letters = self.agreed(INBOX);
        let open = doc! {"_id": id, "answeredAt": {"$exists": false}};
        let answer = vec![doc! {"$set": {"answer": {"$literal": answer}, "answeredAt": "$$NOW"}}];
        self.run(&id, async { letters.update_one(open, answer).await }).await.map(drop)
    }

    async fn letter_answer(&self, id: &str) -> Result<Option<String>, PortError> {
        let letters = self.agreed(INBOX);
        let found = self.run(&id, async { letters.find_one(doc! {"_id": id}).await }).await?;
        Ok(found.and_then(|letter| letter.get_str("answer").ok().map(str::to_owned)))
    }
}
