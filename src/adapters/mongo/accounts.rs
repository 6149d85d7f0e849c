//! Users in MongoDB, and how only one of many API keys becomes the first.
//!
//! API keys have no field of which there may be one only, so the first one gets an id that no second one can have.

use ::mongodb::bson::oid::ObjectId;
use ::mongodb::bson::{Document, doc};
use async_trait::async_trait;
use reelkeeper_actors::access::user::User;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::accounts::Accounts;

use super::MongoStore;
use super::documents::{of_user, to_user};
use super::failure::is_duplicate;

/// What errors are about: names of people do not belong into logs.
const SUBJECT: &str = "users";
pub(super) const USERS: &str = "meetusers";
/// Twelve bytes, as every id of MongoDB.
const FIRST_ID: [u8; 12] = *b"reelkeeper-1";

impl MongoStore {
    /// Inserts a document into a collection that has none. Returns whether it was inserted.
    pub(super) async fn insert_first(
        &self,
        collection: &str,
        mut document: Document,
    ) -> Result<bool, PortError> {
        let documents = self.agreed(collection);
        if self.run(&collection, documents.find_one(doc! {}).projection(doc! {"_id": 1})).await?.is_some() {
            return Ok(false);
        }
        document.insert("_id", ObjectId::from_bytes(FIRST_ID));
        let insert = async {
            match documents.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.run(&collection, insert).await
    }
}

#[async_trait]
impl Accounts for MongoStore {
    async fn user(&self, username: &str) -> Result<Option<User>, PortError> {
        let found = self.run(&SUBJECT, self.agreed(USERS).find_one(doc! {"username": username})).await?;
        found.as_ref().map(to_user).transpose()
    }

    async fn insert_user(&self, user: &User) -> Result<bool, PortError> {
        self.insert(USERS, SUBJECT, of_user(user)?).await
    }

    async fn change_password(&self, username: &str, from: &str, to: &str) -> Result<bool, PortError> {
        let same = doc! {"username": username, "passwordHash": from};
        let users = self.agreed(USERS);
        let change = users.update_one(same, doc! {"$set": {"passwordHash": to}});
        Ok(self.run(&SUBJECT, change).await?.matched_count > 0)
    }
}
