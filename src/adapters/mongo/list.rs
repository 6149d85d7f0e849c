//! Lists of recordings and rooms in MongoDB, walked along an index.
//!
//! Owns how a query becomes filters. MongoDB compares nothing with a missing value, though the index holds them
//! at its low end; so a list is walked in stretches, one after the other, until the page is full. Recordings by a
//! room's name have no index of Meet's: MongoDB keeps the best of what it sees.

use ::mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use futures::TryStreamExt as _;
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{
    Cursor, DocumentId, Listing, NamePart, Order, Page, RecordingQuery, RoomQuery, SortValue, Walk,
};
use reelkeeper_actors::recording::Recording;

use super::MongoStore;
use super::catalog::{RECORDINGS, ROOMS};
use super::documents::{to_recording, to_room};
use super::failure::of;

/// Longest part of a name in bytes that is looked for; no name is nearly that long, and no longer one is a pattern.
const PART_MAX: usize = 4_096;
/// Letters that mean something in a regular expression.
const SPECIAL: &str = r"\^$.|?*+()[]{}-/#";

/// A list of what lies in a collection.
pub(super) trait Collection: Listing<Item: Send> + Clone + Send + Sync {
    /// The collection.
    const NAME: &'static str;
    /// What is listed, in errors.
    const SUBJECT: &'static str;
    /// The field with the documents' own ids.
    const ID: &'static str;
    /// Fields that no list needs.
    const HIDDEN: &'static [&'static str];

    /// Reads a document.
    fn read(document: Document) -> Result<Self::Item, PortError>;

    /// What the filters ask, all of it.
    fn filters(&self) -> Vec<Document>;

    /// The same list behind a place.
    fn behind(self, place: Cursor) -> Self;
}

impl Collection for RecordingQuery {
    const NAME: &'static str = RECORDINGS;
    const SUBJECT: &'static str = "recordings";
    const ID: &'static str = "recordingId";
    const HIDDEN: &'static [&'static str] = &["accessSecrets"];

    fn read(document: Document) -> Result<Recording, PortError> {
        to_recording(document)
    }

    fn filters(&self) -> Vec<Document> {
        let mut all = Vec::new();
        if let Some(room) = &self.within {
            all.push(doc! {"roomId": room.as_str()});
        }
        let by_id = self.room_id.as_ref().map(|room| doc! {"roomId": room.as_str()});
        let by_name = self.room_name.as_ref().map(with_name);
        match (by_id, by_name) {
            (Some(by_id), Some(by_name)) => all.push(doc! {"$or": [by_id, by_name]}),
            (by_id, by_name) => all.extend(by_id.into_iter().chain(by_name)),
        }
        all.extend(self.status.map(|status| doc! {"status": status.name()}));
        all
    }

    fn behind(self, place: Cursor) -> Self {
        Self { after: Some(place), ..self }
    }
}

impl Collection for RoomQuery {
    const NAME: &'static str = ROOMS;
    const SUBJECT: &'static str = "rooms";
    const ID: &'static str = "roomId";
    const HIDDEN: &'static [&'static str] = &[];

    fn read(document: Document) -> Result<Room, PortError> {
        to_room(document)
    }

    fn filters(&self) -> Vec<Document> {
        let by_name = self.room_name.as_ref().map(with_name);
        by_name.into_iter().chain(self.status.map(|status| doc! {"status": status.name()})).collect()
    }

    fn behind(self, place: Cursor) -> Self {
        Self { after: Some(place), ..self }
    }
}

fn with_name(part: &NamePart) -> Document {
    let matches = pattern(part).map(|pattern| doc! {"$regex": pattern, "$options": "i"});
    doc! {"roomName": matches.unwrap_or_else(|| doc! {"$in": []})}
}

impl MongoStore {
    /// Reads one page. Documents that cannot be read are stepped over, and read on for.
    pub(super) async fn page<L: Collection>(&self, list: &L) -> Result<Page<L::Item>, PortError> {
        let size = list.page_size();
        let mut found = Vec::new();
        let mut rest = list.clone();
        loop {
            // One more than the page says whether another follows.
            let wanted = size + 1 - found.len();
            let documents = self.next_documents(&rest, wanted).await?;
            let is_all = documents.len() < wanted;
            for document in documents {
                let place = place_of(rest.walk().field, &document);
                let id = document.get_str(L::ID).unwrap_or_default().to_owned();
                match L::read(document) {
                    Ok(item) if list.shows(&item) => found.push((place.clone(), item)),
                    Ok(_) => {}
                    Err(error) => self.unreadable.left_out(&id, &error),
                }
                rest = rest.behind(place);
            }
            if is_all || found.len() > size {
                break;
            }
        }
        let next = (found.len() > size).then(|| found[size - 1].0.clone());
        Ok(Page { items: found.into_iter().take(size).map(|(_, item)| item).collect(), next })
    }

    /// Up to so many documents behind the list's place, in its order.
    async fn next_documents<L: Collection>(
        &self,
        list: &L,
        wanted: usize,
    ) -> Result<Vec<Document>, PortError> {
        let (collection, walk) = (self.agreed(L::NAME), list.walk());
        let hidden: Document = L::HIDDEN.iter().map(|field| ((*field).to_owned(), Bson::Int32(0))).collect();
        let mut documents = Vec::new();
        for stretch in stretches(&walk) {
            let left = wanted - documents.len();
            if left == 0 {
                break;
            }
            let found = collection
                .find(filter(list.filters(), stretch))
                .sort(sort(&walk))
                .limit(i64::try_from(left).unwrap_or(i64::MAX))
                .projection(hidden.clone())
                .max_time(self.deadline);
            let mut found = found.await.map_err(|error| of(&L::SUBJECT, &error))?;
            while let Some(document) = found.try_next().await.map_err(|error| of(&L::SUBJECT, &error))? {
                documents.push(document);
            }
        }
        Ok(documents)
    }
}

/// Where a document stands in a list, readable or not.
fn place_of(field: &str, document: &Document) -> Cursor {
    let value = match document.get(field) {
        Some(Bson::Int32(number)) => SortValue::Number(f64::from(*number)),
        #[allow(clippy::cast_precision_loss, reason = "JavaScript knows no other number")]
        Some(Bson::Int64(number)) => SortValue::Number(*number as f64),
        Some(Bson::Double(number)) => SortValue::Number(*number),
        Some(Bson::String(text)) => SortValue::Text(text.clone()),
        _ => SortValue::Missing,
    };
    let id = document.get_object_id("_id").ok().and_then(|id| DocumentId::parse(&id.to_hex()).ok());
    Cursor { value, id: id.unwrap_or(DocumentId::of_insertion(0)) }
}

/// The order of a list.
fn sort(walk: &Walk<'_>) -> Document {
    let way = match walk.order {
        Order::Ascending => 1,
        Order::Descending => -1,
    };
    doc! {walk.field: way, "_id": way}
}

/// What follows the cursor, in the order of the list.
fn stretches(walk: &Walk<'_>) -> Vec<Document> {
    let field = walk.field;
    let Some(Cursor { value, id }) = walk.after else { return vec![Document::new()] };
    let id = ObjectId::parse_str(id.to_string()).map_or(Bson::MinKey, Bson::ObjectId);
    let beyond = match walk.order {
        Order::Ascending => "$gt",
        Order::Descending => "$lt",
    };
    let value = match value {
        SortValue::Missing => None,
        SortValue::Number(number) => Some(Bson::Double(*number)),
        SortValue::Text(text) => Some(Bson::String(text.clone())),
    };
    match (value, walk.order) {
        (Some(value), order) => {
            let equal = doc! {field: value.clone(), "_id": {beyond: id}};
            let farther = doc! {field: {beyond: value}};
            let missing = doc! {field: Bson::Null};
            if order == Order::Ascending { vec![equal, farther] } else { vec![equal, farther, missing] }
        }
        (None, order) => {
            let equal = doc! {field: Bson::Null, "_id": {beyond: id}};
            // Whatever is there: comparisons stay within a type.
            let lowest = if walk.is_by_text() { "".into() } else { Bson::Double(f64::NEG_INFINITY) };
            let present = doc! {field: {"$gte": lowest}};
            if order == Order::Ascending { vec![equal, present] } else { vec![equal] }
        }
    }
}

/// What is asked of documents, and one of the stretches.
fn filter(mut all: Vec<Document>, stretch: Document) -> Document {
    if !stretch.is_empty() {
        all.push(stretch);
    }
    match all.len() {
        0 => Document::new(),
        1 => all.remove(0),
        _ => doc! {"$and": all},
    }
}

/// A part of a name as a pattern in which nothing is one. Letters are folded one by one there, so the one letter
/// that folds to two is said by hand. None for what no name holds: MongoDB takes it for no pattern at all.
fn pattern(part: &NamePart) -> Option<String> {
    if part.folded().contains('\0') || part.folded().len() > PART_MAX {
        return None;
    }
    let mut pattern = String::new();
    for letter in part.folded().chars() {
        if SPECIAL.contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    Some(pattern.replace("ss", "(?:ss|ß)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_a_pattern() {
        for (part, expected) in [
            ("Town Hall", "town hall"),
            (".*", r"\.\*"),
            ("[a-z]{2}", r"\[a\-z\]\{2\}"),
            ("\\", r"\\"),
            ("STRASSE", "stra(?:ss|ß)e"),
            ("", ""),
        ] {
            assert_eq!(pattern(&NamePart::new(part)).unwrap(), expected, "{part}");
        }
        for part in ["\0".to_owned(), ".".repeat(PART_MAX + 1)] {
            assert_eq!(pattern(&NamePart::new(&part)), None);
        }
    }
}
