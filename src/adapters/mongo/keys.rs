//! Idempotency keys in MongoDB.

use ::mongodb::bson::{Document, doc};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::CommandId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::keys::{IdempotencyKeys, KeptCommand, ScopedKey};
use reelkeeper_actors::recording::Timestamp;
use reelkeeper_actors::recording::effect::Answer;

use super::MongoStore;
use super::failure::{corrupt, is_duplicate, misused, of};

const KEYS: &str = "reelkeeper_keys";

/// A key as its document's id.
fn id_of(key: &ScopedKey) -> Document {
    doc! {
        "caller": &key.caller,
        "room": key.room.as_str(),
        "operation": key.operation.name(),
        "key": &key.key,
    }
}

fn to_document(key: &ScopedKey, kept: &KeptCommand) -> Result<Document, PortError> {
    let mut document = doc! {
        "_id": id_of(key),
        "command": kept.command.as_str(),
        "request": &kept.request,
        "entered": kept.entered.0,
    };
    if let Some(answer) = &kept.answer {
        document.insert("answer", written(&kept.command, answer)?);
    }
    Ok(document)
}

fn to_kept(document: &Document) -> Result<KeptCommand, PortError> {
    let unreadable = |error| corrupt(&"keys", error);
    let command = CommandId::from_trusted(document.get_str("command").map_err(unreadable)?);
    Ok(KeptCommand {
        answer: answer_in(&command, document)?,
        request: document.get_str("request").map_err(unreadable)?.to_owned(),
        entered: Timestamp(document.get_i64("entered").map_err(unreadable)?),
        command,
    })
}

fn answer_in(command: &CommandId, document: &Document) -> Result<Option<Answer>, PortError> {
    let answer = document.get_str("answer").ok().map(serde_json::from_str);
    answer.transpose().map_err(|error| corrupt(&format_args!("command {command}"), error))
}

fn written(command: &CommandId, answer: &Answer) -> Result<String, PortError> {
    serde_json::to_string(answer).map_err(|error| misused(&format_args!("command {command}"), error))
}

#[async_trait]
impl IdempotencyKeys for MongoStore {
    async fn find(&self, key: &ScopedKey) -> Result<Option<KeptCommand>, PortError> {
        let found = self.run(&key.room, self.agreed(KEYS).find_one(doc! {"_id": id_of(key)})).await?;
        found.as_ref().map(to_kept).transpose()
    }

    async fn enter(
        &self,
        key: &ScopedKey,
        new: &KeptCommand,
        oldest: Timestamp,
    ) -> Result<KeptCommand, PortError> {
        let document = to_document(key, new)?;
        // One that is not too old does not match, so that this would insert: its id refuses it.
        let too_old = doc! {"_id": id_of(key), "entered": {"$lt": oldest.0}};
        let keys = self.agreed(KEYS);
        let enter = async {
            match keys.replace_one(too_old, &document).upsert(true).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        if self.run(&key.room, enter).await? {
            return Ok(new.clone());
        }
        Ok(self.find(key).await?.unwrap_or_else(|| new.clone()))
    }

    async fn keep(&self, command: &CommandId, answer: &Answer) -> Result<bool, PortError> {
        let answer = doc! {"$literal": written(command, answer)?};
        let first_stays = vec![doc! {"$set": {"answer": {"$ifNull": ["$answer", answer]}}}];
        let keys = self.agreed(KEYS);
        let keep = keys.update_one(doc! {"command": command.as_str()}, first_stays);
        let kept = self.run(command, keep).await?;
        Ok(kept.matched_count > 0)
    }

    async fn answer_of(&self, command: &CommandId) -> Result<Option<Answer>, PortError> {
        let found = self.run(command, self.agreed(KEYS).find_one(doc! {"command": command.as_str()})).await?;
        found.map_or(Ok(None), |document| answer_in(command, &document))
    }

    async fn forget_older(&self, oldest: Timestamp, limit: usize) -> Result<usize, PortError> {
        if limit == 0 {
            // To MongoDB that means no limit.
            return Ok(0);
        }
        let old = doc! {"entered": {"$lt": oldest.0}};
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keys = self.agreed(KEYS);
        let found = keys.find(old.clone()).sort(doc! {"entered": 1}).limit(limit).projection(doc! {"_id": 1});
        let forget = async {
            let found: Vec<Document> = found.await?.try_collect().await?;
            let ids: Vec<_> = found.into_iter().filter_map(|document| document.get("_id").cloned()).collect();
            if ids.is_empty() {
                return Ok(0);
            }
            let forgotten = keys.delete_many(doc! {"$and": [{"_id": {"$in": ids}}, old]}).await?;
            Ok(forgotten.deleted_count)
        };
        let forgotten =
            self.in_time(&"keys", async { forget.await.map_err(|error| of(&"keys", &error)) }).await?;
        Ok(usize::try_from(forgotten).unwrap_or(usize::MAX))
    }
}
