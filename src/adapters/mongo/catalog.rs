//! The catalog in MongoDB: Meet's documents, and beside them what only we know of them.
//!
//! A document is changed field by field, only where it differs and only if nobody changed the same meanwhile, so
//! that what a newer release or an operator keeps in it survives. LiveKit's time of the last view lies in
//! `reelkeeper_views`, and what only we know of a room's meetings in `reelkeeper_meetings`: Meet knows neither.

use std::collections::HashMap;

use ::mongodb::Collection;
use ::mongodb::bson::oid::ObjectId;
use ::mongodb::bson::{DateTime, Document, doc};
use ::mongodb::options::Hint;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use reelkeeper_actors::ids::{RecordingId, RoomId, Uid};
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::meeting::RoomStatus;
use reelkeeper_actors::meeting::status::{RoomChange, RoomChanged};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{Page, RecordingQuery, RoomQuery};
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, Counts, RoomsDue, StoredRecording};
use reelkeeper_actors::recording::{Recording, RecordingStatus};

use super::difference::Difference;
use super::documents::{
    of_api_key, of_meetings, of_recording, of_room, recording_fields, room_fields, to_api_key, to_recording,
    to_room, to_secrets, whole, with_meetings,
};
use super::failure::{is_bad_hint, is_duplicate, misused, of};
use super::{Agreed, MongoStore};

pub(super) const ROOMS: &str = "meetrooms";
pub(super) const RECORDINGS: &str = "meetrecordings";
pub(super) const API_KEYS: &str = "meetapikeys";
const MEETINGS: &str = "reelkeeper_meetings";
const VIEWS: &str = "reelkeeper_views";

/// How a change of a document that others may change too ended.
pub(super) enum Change<T> {
    Done(T),
    /// Somebody else changed it first.
    Lost,
}

impl MongoStore {
    /// Inserts a document; false if its id is taken.
    pub(super) async fn insert(
        &self,
        collection: &str,
        id: &str,
        document: Document,
    ) -> Result<bool, PortError> {
        let documents = self.agreed(collection);
        let insert = async {
            match documents.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.run(&id, insert).await
    }

    /// Changes a document, unless somebody else did so first.
    pub(super) async fn change(
        &self,
        collection: &str,
        id: (&str, &str),
        difference: Difference,
    ) -> Result<Change<()>, PortError> {
        let Difference { unchanged, update } = difference;
        let mut filter = doc! {id.0: id.1};
        filter.extend(unchanged);
        if update.is_empty() {
            // Nothing is to be written, which is as true only if the document is as it was read.
            let found = self.run(&id.1, self.agreed(collection).count_documents(filter)).await?;
            return Ok(if found > 0 { Change::Done(()) } else { Change::Lost });
        }
        let changed = self.run(&id.1, self.agreed(collection).update_one(filter, update)).await?;
        Ok(if changed.matched_count > 0 { Change::Done(()) } else { Change::Lost })
    }

    async fn stored_room(&self, room: &RoomId) -> Result<Option<(Document, Room)>, PortError> {
        let found = self.run(room, self.agreed(ROOMS).find_one(doc! {"roomId": room.as_str()})).await?;
        let Some(document) = found else { return Ok(None) };
        let meeting = self.run(room, self.agreed(MEETINGS).find_one(doc! {"_id": room.as_str()})).await?;
        let read = with_meetings(to_room(document.clone())?, meeting.as_ref());
        Ok(Some((document, read)))
    }

    /// The room's document first: after a crash in between, or if somebody was faster with what lies beside it, the same
    /// change once more does no harm. `begun` is the room before the first try that changed it.
    async fn try_to_change(
        &self,
        id: &RoomId,
        change: &RoomChange,
        begun: &mut Option<Room>,
    ) -> Result<Change<Option<RoomChanged>>, PortError> {
        let Some((document, before)) = self.stored_room(id).await? else { return Ok(Change::Done(None)) };
        let after = before.clone().changed(change);
        let mut difference = Difference::between(&document, &room_fields(&before)?, &room_fields(&after)?);
        difference.raise_version(&document);
        difference.unchanged.extend(standing(&document));
        if let Change::Lost = self.change(ROOMS, ("roomId", id.as_str()), difference).await? {
            return Ok(Change::Lost);
        }
        let (known, known_before) = (of_meetings(&after), of_meetings(&before));
        let first = begun.get_or_insert(before);
        if known != known_before && !self.remember(id, known, known_before).await? {
            return Ok(Change::Lost);
        }
        Ok(Change::Done(Some(RoomChanged { before: first.clone(), after })))
    }

    /// Writes what lies beside a room, unless somebody else did so first. Returns whether it was written.
    async fn remember(&self, id: &RoomId, known: Document, before: Document) -> Result<bool, PortError> {
        let meetings = self.agreed(MEETINGS);
        // As it was read, or not there yet; with neither, making it fails since its id is taken.
        let mut as_read = before;
        for field in ["last", "atEnd"] {
            as_read.entry(field.to_owned()).or_insert(doc! {"$exists": false}.into());
        }
        let write = async {
            match meetings.replace_one(as_read, known).upsert(true).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.run(id, write).await
    }

    async fn with_meetings_of(&self, rooms: Vec<Room>) -> Result<Vec<Room>, PortError> {
        let ids: Vec<_> = rooms.iter().map(|room| room.room_id.to_string()).collect();
        let meetings = self.agreed(MEETINGS);
        let found = meetings.find(doc! {"_id": {"$in": ids}});
        let found: Vec<Document> = self.run(&"meetings", async { found.await?.try_collect().await }).await?;
        let by_id: HashMap<&str, &Document> =
            found.iter().filter_map(|meeting| Some((meeting.get_str("_id").ok()?, meeting))).collect();
        let complete = |room: Room| {
            let meeting = by_id.get(room.room_id.as_str()).copied();
            with_meetings(room, meeting)
        };
        Ok(rooms.into_iter().map(complete).collect())
    }

    /// LiveKit's times of these recordings' last views.
    async fn views(&self, ids: Vec<String>) -> Result<HashMap<String, i64>, PortError> {
        let views = self.collection(VIEWS, Agreed::ByPrimary);
        let found = views.find(doc! {"_id": {"$in": ids}});
        let found: Vec<Document> = self.run(&"views", async { found.await?.try_collect().await }).await?;
        let read = |view: &Document| {
            Some((view.get_str("_id").ok()?.to_owned(), view.get("updatedAt").and_then(whole)?))
        };
        Ok(found.iter().filter_map(read).collect())
    }

    async fn stored_recording(
        &self,
        id: &RecordingId,
    ) -> Result<Option<(Document, StoredRecording)>, PortError> {
        let text = id.to_string();
        let found = self.run(id, self.agreed(RECORDINGS).find_one(doc! {"recordingId": &text})).await?;
        let Some(document) = found else { return Ok(None) };
        let updated_at = self.views(vec![text.clone()]).await?.remove(&text).unwrap_or_default();
        let (recording, secrets) = (to_recording(document.clone())?, to_secrets(&document)?);
        Ok(Some((document, StoredRecording { recording, secrets, updated_at })))
    }

    /// The view's time first, and only if it is still the one that was compared: of two views with one status
    /// the older one then finds a time that refuses it, whichever of them writes the document first.
    async fn try_to_update(
        &self,
        newer: &Recording,
        updated_at: i64,
    ) -> Result<Change<Option<Recording>>, PortError> {
        let id = &newer.recording_id;
        let Some((document, mut stored)) = self.stored_recording(id).await? else {
            return Ok(Change::Done(None));
        };
        let (before, seen) = (stored.recording.clone(), stored.updated_at);
        if !stored.take_over(newer, updated_at) {
            return Ok(Change::Done(Some(before)));
        }
        if !self.set_view(id, seen, updated_at).await? {
            return Ok(Change::Lost);
        }
        let mut difference = Difference::between(
            &document,
            &recording_fields(&before)?,
            &recording_fields(&stored.recording)?,
        );
        difference.unchanged.insert("status", document.get("status").cloned());
        let changed = self.change(RECORDINGS, ("recordingId", &id.to_string()), difference).await?;
        Ok(match changed {
            Change::Done(()) => Change::Done(Some(stored.recording)),
            Change::Lost => Change::Lost,
        })
    }

    /// Brings a view's time from one value to another. Returns whether it still had the first.
    async fn set_view(&self, id: &RecordingId, seen: i64, updated_at: i64) -> Result<bool, PortError> {
        let views = self.collection(VIEWS, Agreed::ByPrimary);
        let set = doc! {"$set": {"updatedAt": updated_at, "touchedAt": DateTime::now()}};
        let same = doc! {"_id": id.to_string(), "updatedAt": seen};
        // One that is not known counts as 0. One that is, with another time, refuses a second of its id.
        let set = views.update_one(same, set).upsert(seen == 0);
        let set = async {
            match set.await {
                Ok(set) => Ok(set.matched_count > 0 || set.upserted_id.is_some()),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.run(id, set).await
    }
}

/// What every rule of rooms looks at, changed or not: a write counts only if it is still so.
fn standing(document: &Document) -> Document {
    let field = |field: &str| {
        let seen = document.get(field).cloned();
        (field.to_owned(), seen.unwrap_or_else(|| doc! {"$exists": false}.into()))
    };
    ["status", "meetingEndAction"].map(field).into_iter().collect()
}

#[async_trait]
impl Catalog for MongoStore {
    async fn insert_room(&self, room: &Room) -> Result<(), PortError> {
        if self.insert(ROOMS, room.room_id.as_str(), of_room(room)?).await? {
            return Ok(());
        }
        Err(misused(&format_args!("room {}", room.room_id), "it exists"))
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, PortError> {
        Ok(self.stored_room(room).await?.map(|(_, room)| room))
    }

    async fn change_room(
        &self,
        room: &RoomId,
        change: &RoomChange,
    ) -> Result<Option<RoomChanged>, PortError> {
        let mut begun = None;
        let until_nobody_is_faster = async {
            loop {
                if let Change::Done(changed) = self.try_to_change(room, change, &mut begun).await? {
                    return Ok(changed);
                }
            }
        };
        self.in_time(room, until_nobody_is_faster).await
    }

    async fn remove_room(&self, seen: &Room) -> Result<bool, PortError> {
        let id = &seen.room_id;
        let Some((document, stored)) = self.stored_room(id).await? else { return Ok(true) };
        if stored.standing() != seen.standing() {
            return Ok(false);
        }
        let mut filter = doc! {"roomId": id.as_str()};
        filter.extend(standing(&document));
        let removed = self.run(id, self.agreed(ROOMS).delete_one(filter)).await?;
        if removed.deleted_count == 0 {
            return Ok(self.stored_room(id).await?.is_none());
        }
        self.run(id, self.agreed(MEETINGS).delete_one(doc! {"_id": id.as_str()})).await?;
        Ok(true)
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Page<Room>, PortError> {
        let page = async {
            let mut page = self.page(query).await?;
            page.items = self.with_meetings_of(page.items).await?;
            Ok(page)
        };
        self.in_time(&"rooms", Box::pin(page)).await
    }

    async fn rooms_due(
        &self,
        due: RoomsDue,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Room>, PortError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let mut filter = doc! {"roomId": {"$gt": after}};
        filter.extend(match due {
            RoomsDue::ToBeDeletedBefore(time) => doc! {"autoDeletionDate": {"$lt": time.0}},
            RoomsDue::InMeeting => doc! {"status": RoomStatus::ActiveMeeting.name()},
        });
        let rooms = self.agreed(ROOMS);
        let read = async {
            let found = rooms.find(filter).sort(doc! {"roomId": 1}).max_time(self.deadline).await;
            let mut documents = found.map_err(|error| of(&"rooms", &error))?;
            let mut read = Vec::new();
            while read.len() < limit
                && let Some(document) = documents.try_next().await.map_err(|error| of(&"rooms", &error))?
            {
                let id = document.get_str("roomId").unwrap_or_default().to_owned();
                match to_room(document) {
                    Ok(room) => read.push(room),
                    Err(error) => self.unreadable.left_out(&id, &error),
                }
            }
            self.with_meetings_of(read).await
        };
        self.in_time(&"rooms", Box::pin(read)).await
    }

    async fn counts(&self) -> Result<Counts, PortError> {
        let (rooms, recordings) = (self.agreed(ROOMS), self.agreed(RECORDINGS));
        let in_meeting = doc! {"status": RoomStatus::ActiveMeeting.name()};
        let complete = doc! {"status": RecordingStatus::Complete.name()};
        let count = async |collection: &Collection<Document>, filter| {
            self.run(&"counts", collection.count_documents(filter)).await
        };
        Ok(Counts {
            rooms: count(&rooms, doc! {}).await?,
            active_rooms: count(&rooms, in_meeting).await?,
            recordings: count(&recordings, doc! {}).await?,
            complete_recordings: count(&recordings, complete).await?,
        })
    }

    async fn insert_recording(&self, stored: &StoredRecording) -> Result<bool, PortError> {
        let id = &stored.recording.recording_id;
        let document = of_recording(&stored.recording, &stored.secrets)?;
        // Its time first: a document without one would take any view for a newer one.
        let views = self.collection(VIEWS, Agreed::ByPrimary);
        let first = doc! {"$setOnInsert": {"updatedAt": stored.updated_at, "touchedAt": DateTime::now()}};
        let first = views.update_one(doc! {"_id": id.to_string()}, first).upsert(true);
        let first = async {
            match first.await {
                Err(error) if !is_duplicate(&error) => Err(error),
                _ => Ok(()),
            }
        };
        self.run(id, first).await?;
        self.insert(RECORDINGS, &id.to_string(), document).await
    }

    async fn update_recording(
        &self,
        recording: &Recording,
        updated_at: i64,
    ) -> Result<Option<Recording>, PortError> {
        let until_nobody_is_faster = async {
            loop {
                if let Change::Done(updated) = self.try_to_update(recording, updated_at).await? {
                    return Ok(updated);
                }
            }
        };
        self.in_time(&recording.recording_id, Box::pin(until_nobody_is_faster)).await
    }

    async fn recording(&self, recording: &RecordingId) -> Result<Option<StoredRecording>, PortError> {
        Ok(self.stored_recording(recording).await?.map(|(_, stored)| stored))
    }

    async fn has_recording(&self, room: &RoomId, uid: &Uid) -> Result<bool, PortError> {
        // A uid is letters and digits. The ids of a room lie side by side in the index, and nothing else is read.
        let of_room =
            doc! {"$gte": format!("{room}--"), "$lt": format!("{room}-."), "$regex": format!("--{uid}$")};
        let recordings = self.agreed(RECORDINGS);
        let found = recordings.find_one(doc! {"recordingId": of_room});
        let found = found.projection(doc! {"_id": 0, "recordingId": 1});
        Ok(self.run(room, found).await?.is_some())
    }

    async fn recordings(&self, query: &RecordingQuery) -> Result<Page<Recording>, PortError> {
        self.in_time(&"recordings", self.page(query)).await
    }

    async fn unfinished_recordings(
        &self,
        after: Option<&RecordingId>,
        limit: usize,
    ) -> Result<Vec<StoredRecording>, PortError> {
        let statuses: Vec<_> =
            RecordingStatus::ALL.into_iter().filter(|status| !status.is_terminal()).collect();
        let statuses: Vec<_> = statuses.into_iter().map(RecordingStatus::name).collect();
        let after = after.map(ToString::to_string).unwrap_or_default();
        let filter = doc! {"status": {"$in": statuses}, "recordingId": {"$gt": after}};
        let recordings = self.agreed(RECORDINGS);
        // There is never much that is not over, so it is found by its status and sorted. Without that index, which
        // is Meet's, MongoDB finds another way.
        let by_status = Hint::Keys(doc! {"status": 1, "startDate": -1, "_id": -1});
        let find = || recordings.find(filter.clone()).sort(doc! {"recordingId": 1}).max_time(self.deadline);
        let read = async {
            let found = match find().hint(by_status).await {
                Err(error) if is_bad_hint(&error) => find().await,
                found => found,
            };
            let mut documents = found.map_err(|error| of(&"recordings", &error))?;
            let mut read = Vec::new();
            while read.len() < limit
                && let Some(document) =
                    documents.try_next().await.map_err(|error| of(&"recordings", &error))?
            {
                let secrets = to_secrets(&document);
                let id = document.get_str("recordingId").unwrap_or_default().to_owned();
                match to_recording(document).and_then(|recording| Ok((recording, secrets?))) {
                    Ok(pair) => read.push(pair),
                    Err(error) => self.unreadable.left_out(&id, &error),
                }
            }
            Ok(read)
        };
        let read = self.in_time(&"recordings", read).await?;
        let mut times =
            self.views(read.iter().map(|(one, _)| one.recording_id.to_string()).collect()).await?;
        let stored = read.into_iter().map(|(recording, secrets)| {
            let updated_at = times.remove(&recording.recording_id.to_string()).unwrap_or_default();
            StoredRecording { recording, secrets, updated_at }
        });
        Ok(stored.collect())
    }

    async fn remove_recording(&self, recording: &RecordingId) -> Result<bool, PortError> {
        let id = recording.to_string();
        let removed =
            self.run(recording, self.agreed(RECORDINGS).delete_one(doc! {"recordingId": &id})).await?;
        let views = self.collection(VIEWS, Agreed::ByPrimary);
        self.run(recording, views.delete_one(doc! {"_id": id})).await?;
        Ok(removed.deleted_count > 0)
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, PortError> {
        let keys = self.agreed(API_KEYS);
        let found = keys.find(doc! {}).sort(doc! {"creationDate": 1, "_id": 1});
        let found: Vec<Document> = self.run(&"api keys", async { found.await?.try_collect().await }).await?;
        found.iter().map(to_api_key).collect()
    }

    async fn insert_first_api_key(&self, key: &ApiKey) -> Result<bool, PortError> {
        self.insert_first(API_KEYS, of_api_key(key)).await
    }

    async fn replace_api_keys(&self, key: &ApiKey) -> Result<(), PortError> {
        let (id, date) = (ObjectId::new(), key.creation_date);
        let mut document = of_api_key(key);
        document.insert("_id", id);
        self.insert(API_KEYS, "api keys", document).await?;
        // Of several who do this at once all agree on which is the last, so that one stays.
        let of_the_same_moment = doc! {"creationDate": date, "_id": {"$lt": id}};
        let older = doc! {"$or": [{"creationDate": {"$lt": date}}, of_the_same_moment]};
        self.run(&"api keys", self.agreed(API_KEYS).delete_many(older)).await.map(drop)
    }

    async fn remove_api_keys(&self) -> Result<u64, PortError> {
        let removed = self.run(&"api keys", self.agreed(API_KEYS).delete_many(doc! {})).await?;
        Ok(removed.deleted_count)
    }
}
