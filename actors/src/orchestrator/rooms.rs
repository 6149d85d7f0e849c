//! Rooms as a whole: what clients change about them, how they are deleted, and who moderates their meetings.
//!
//! Carries out what `meeting/` decides. A room's document is changed field by field, by a rule that is applied to what
//! is stored then, so that a webhook and a request, here or on two nodes, cannot overwrite each other. Recordings are
//! deleted by their rooms' owners.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use tracing::Instrument as _;

use super::Orchestrator;
use super::meetings::{is_in_livekit, of_livekit};
use crate::access::claims::MemberMetadata;
use crate::access::permission::{Permissions, Role};
use crate::access::secret;
use crate::ids::{RecordingId, RoomId};
use crate::meeting::config::ConfigPatch;
use crate::meeting::deletion::{self, AtEnd, Done, Plan, Recordings};
use crate::meeting::signal::{ConfigUpdated, RoleUpdated};
use crate::meeting::status::{MeetingNews, RoomChange, RoomChanged};
use crate::meeting::{AutoDeletionPolicy, MeetingEndAction, Room, RoomStatus, WithRecordings};
use crate::ports::PortError;
use crate::ports::catalog::list::{PAGE_MAX, RecordingQuery};
use crate::ports::media_server::{DataMessage, Receivers};
use crate::recording::effect::Refusal;
use crate::recording::policy::back_off;
use crate::room::commit::bounded;

/// How often a deletion is decided anew because the room changed meanwhile.
const RACES_MAX: usize = 5;
/// Recordings of a room that are deleted at once.
const DELETIONS_AT_ONCE: usize = 10;
/// Pages of recordings that one deletion goes through: more are left to the next.
const PAGES_MAX: usize = 1_000;
/// How long after a meeting was ended LiveKit's word of it is waited for.
const WORD_COMES_WITHIN: Duration = Duration::from_secs(5);
/// First and longest pause between two tries of a deletion after a meeting, and how many there are: a janitor goes on.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const TRIES_MAX: u32 = 8;

/// Why something about a room is not done.
#[derive(Debug, thiserror::Error)]
pub enum RoomRefusal {
    /// There is no such room.
    #[error("there is no such room")]
    NotFound,
    /// Not while there is a meeting.
    #[error("the room is in a meeting")]
    InMeeting,
    /// The policy refuses the deletion.
    #[error("{}", .0.name())]
    Deletion(deletion::Refusal),
    /// Others keep changing the room.
    #[error("the room changes too often")]
    Busy,
    /// A recording could not be deleted, so the room stays.
    #[error("recording {0} could not be deleted: {1}")]
    Recording(RecordingId, Refusal),
    /// Nobody with that identity is in the meeting.
    #[error("the participant is not in the meeting")]
    NoParticipant,
    /// What the participant's metadata say cannot be read.
    #[error("the participant's metadata cannot be read")]
    BadMetadata,
    /// A dependency failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A deletion that was done, or will be.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomDeleted {
    /// What was done.
    pub done: Done,
    /// The room, if it is still there.
    pub room: Option<Room>,
}

impl Orchestrator {
    /// Changes what is possible in a room's meetings, and tells those who are in one.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn configure_room(&self, room: &RoomId, patch: ConfigPatch) -> Result<Room, RoomRefusal> {
        let RoomChanged { before, after } = self.change(room, &RoomChange::Configure(patch)).await?;
        if before.status == RoomStatus::ActiveMeeting {
            return Err(RoomRefusal::InMeeting);
        }
        let signal = ConfigUpdated::of(room, &after.config, self.shared.world.clock.now());
        let message = message(room, ConfigUpdated::TOPIC, &signal, Receivers::Everybody);
        let shared = self.shared.clone();
        let Ok(place) = shared.welcomes.clone().try_acquire_owned() else { return Ok(after) };
        let tell = async move {
            let _place = place;
            // LiveKit takes seconds to refuse a message to a room that it does not have.
            if is_in_livekit(&shared, &message.room).await.is_ok_and(|there| !there) {
                return;
            }
            if let Err(error) = shared.world.media_server.send_data(&message).await {
                tracing::debug!(room.id = %message.room, topic = message.topic, %error, "signal was not sent");
            }
        };
        // A hint: nobody waits for it, and mostly there is no LiveKit room.
        tokio::spawn(tell.in_current_span());
        Ok(after)
    }

    /// Opens a room.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn open_room(&self, room: &RoomId) -> Result<Room, RoomRefusal> {
        Ok(self.change(room, &RoomChange::Open).await?.after)
    }

    /// Closes a room: at once, or at the end of its meeting.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn close_room(&self, room: &RoomId) -> Result<Room, RoomRefusal> {
        Ok(self.change(room, &RoomChange::Close).await?.after)
    }

    async fn change(&self, room: &RoomId, change: &RoomChange) -> Result<RoomChanged, RoomRefusal> {
        let changed = bounded(&self.shared, self.shared.world.catalog.change_room(room, change)).await?;
        changed.ok_or(RoomRefusal::NotFound)
    }

    /// Deletes a room by a policy: at once, or when its meeting ends. Goes on if the caller goes away.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn delete_room(
        &self,
        room: &RoomId,
        policy: AutoDeletionPolicy,
    ) -> Result<RoomDeleted, RoomRefusal> {
        let (this, room) = (self.clone(), room.clone());
        // A node that leaves waits for it.
        let work = async move { this.carry_out_room_deletion(&room, policy).await };
        let work = self.requests.track_future(work);
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|ended| {
            Err(PortError::misused("reelkeeper", format_args!("a deletion fell: {ended}")).into())
        })
    }

    async fn carry_out_room_deletion(
        &self,
        id: &RoomId,
        policy: AutoDeletionPolicy,
    ) -> Result<RoomDeleted, RoomRefusal> {
        let catalog = &self.shared.world.catalog;
        for _ in 0..RACES_MAX {
            let room = bounded(&self.shared, catalog.room(id)).await?.ok_or(RoomRefusal::NotFound)?;
            let recordings = self.recordings_of(id).await?;
            let deleted = match deletion::plan(room.meeting(), recordings, policy) {
                Plan::Refuse(refusal) => return Err(RoomRefusal::Deletion(refusal)),
                Plan::Delete(done) => self.remove(&room).await?.then_some(RoomDeleted { done, room: None }),
                Plan::DeleteWithRecordings(done) => {
                    self.delete_recordings_of(id).await?;
                    self.remove(&room).await?.then_some(RoomDeleted { done, room: None })
                }
                Plan::Close(done) => {
                    let after = self.change(id, &RoomChange::CloseInstead).await?.after;
                    let closed = after.status == RoomStatus::Closed;
                    closed.then_some(RoomDeleted { done, room: Some(after) })
                }
                Plan::AtEnd(action, done) => self.do_at_end(id, action, policy, done).await?,
                Plan::EndMeeting(action, done) => {
                    let scheduled = self.do_at_end(id, action, policy, done).await?;
                    if scheduled.is_some()
                        && let Err(error) = self.end_meeting(id).await
                    {
                        self.undo_at_end(&room).await;
                        return Err(error.into());
                    }
                    scheduled
                }
            };
            if let Some(RoomDeleted { done, room }) = deleted {
                return Ok(RoomDeleted { done, room: room.filter(|_| done.shows_room()) });
            }
        }
        Err(RoomRefusal::Busy)
    }

    /// None if the meeting is over by now.
    async fn do_at_end(
        &self,
        room: &RoomId,
        action: MeetingEndAction,
        policy: AutoDeletionPolicy,
        done: Done,
    ) -> Result<Option<RoomDeleted>, RoomRefusal> {
        let change = RoomChange::AtEnd(action, policy.with_recordings);
        let RoomChanged { before, after } = self.change(room, &change).await?;
        let runs = before.status == RoomStatus::ActiveMeeting;
        Ok(runs.then_some(RoomDeleted { done, room: Some(after) }))
    }

    /// What was to be done at the end of a meeting that could not be ended is not done: the caller is told so.
    async fn undo_at_end(&self, before: &Room) {
        let policy = before.at_end.unwrap_or(WithRecordings::Fail);
        let change = RoomChange::AtEnd(before.meeting_end_action, policy);
        if let Err(error) = self.change(&before.room_id, &change).await {
            tracing::warn!(room.id = %before.room_id, %error, "a deletion that failed may be carried out at the meeting's end");
        }
    }

    /// Ends a meeting. LiveKit says so when it is over; if that word does not come, or there is no meeting, we see to
    /// what is to be done at its end ourselves.
    ///
    /// # Errors
    /// When LiveKit is away.
    pub async fn end_meeting(&self, room: &RoomId) -> Result<(), PortError> {
        let ended = self.shared.world.media_server.delete_room(room).await.map_err(of_livekit)?;
        let wait = if ended { WORD_COMES_WITHIN } else { Duration::ZERO };
        let (this, room) = (self.clone(), room.clone());
        let see_to_it = async move {
            tokio::time::sleep(wait).await;
            if let Err(error) = this.hear_if_over(&room).await {
                tracing::warn!(room.id = %room, %error, "whether its meeting is over is not known yet");
            }
        };
        tokio::spawn(see_to_it.in_current_span());
        Ok(())
    }

    /// Takes a meeting for over that LiveKit does not have any more.
    async fn hear_if_over(&self, id: &RoomId) -> Result<(), PortError> {
        let world = &self.shared.world;
        let room = bounded(&self.shared, world.catalog.room(id)).await?;
        let Some(room) = room.filter(|room| room.status == RoomStatus::ActiveMeeting) else { return Ok(()) };
        if is_in_livekit(&self.shared, id).await? {
            return Ok(());
        }
        self.hear(id, &news_of_end(&room)).await
    }

    /// Whether a room has recordings. What cannot be found out is no "none".
    async fn recordings_of(&self, room: &RoomId) -> Result<Recordings, PortError> {
        let query = RecordingQuery { within: Some(room.clone()), ..RecordingQuery::newest(1) };
        let page = bounded(&self.shared, self.shared.world.catalog.recordings(&query)).await?;
        Ok(if page.items.is_empty() { Recordings::None } else { Recordings::Some })
    }

    /// Deletes every recording of a room, whatever its state.
    async fn delete_recordings_of(&self, room: &RoomId) -> Result<(), RoomRefusal> {
        for _ in 0..PAGES_MAX {
            if self.delete_page_of(room).await? == Recordings::None {
                return Ok(());
            }
        }
        Err(RoomRefusal::Busy)
    }

    /// Deletes a page of a room's recordings. Returns whether there were any.
    async fn delete_page_of(&self, room: &RoomId) -> Result<Recordings, RoomRefusal> {
        let query = RecordingQuery { within: Some(room.clone()), ..RecordingQuery::newest(PAGE_MAX) };
        let page = bounded(&self.shared, self.shared.world.catalog.recordings(&query)).await?;
        if page.items.is_empty() {
            return Ok(Recordings::None);
        }
        let deletions = page.items.into_iter().map(|recording| async move {
            let id = recording.recording_id;
            match self.delete_whatever_it_does(&id).await {
                Ok(()) | Err(Refusal::NotFound) => Ok(()),
                Err(refusal) => Err(RoomRefusal::Recording(id, refusal)),
            }
        });
        let outcomes: Vec<_> = stream::iter(deletions).buffer_unordered(DELETIONS_AT_ONCE).collect().await;
        outcomes.into_iter().collect::<Result<(), RoomRefusal>>()?;
        Ok(Recordings::Some)
    }

    /// Removes a room that nothing changed meanwhile, and the names in it. Returns whether it is gone.
    async fn remove(&self, room: &Room) -> Result<bool, PortError> {
        let world = &self.shared.world;
        if !bounded(&self.shared, world.catalog.remove_room(room)).await? {
            return Ok(false);
        }
        tracing::info!(room.id = %room.room_id, "room deleted");
        if let Err(error) = bounded(&self.shared, world.coordination.free_names(&room.room_id)).await {
            tracing::debug!(room.id = %room.room_id, %error, "names of a deleted room end by themselves");
        }
        Ok(true)
    }

    /// Carries out the deletion that was due at a meeting's end. The document says that it is due until it is done, so
    /// a crash, or too much trouble, leaves it to the janitor.
    pub(super) fn delete_after_meeting(&self, room: Room) {
        let this = self.clone();
        let work = async move {
            for tries in 0..TRIES_MAX {
                match this.try_to_delete_after_meeting(&room, tries).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(room.id = %room.room_id, %error, "room cannot be deleted yet");
                        tokio::time::sleep(back_off(RETRY, tries)).await;
                    }
                }
            }
        };
        tokio::spawn(work.in_current_span());
    }

    async fn try_to_delete_after_meeting(&self, ended: &Room, tries: u32) -> Result<(), RoomRefusal> {
        let id = &ended.room_id;
        let mut pages = 0..PAGES_MAX;
        let left = loop {
            // If somebody decided otherwise meanwhile, or met again, that counts.
            let Some(room) = self.still_due(ended, tries).await? else { return Ok(()) };
            match deletion::at_end(self.recordings_of(id).await?, room.at_end) {
                AtEnd::Delete => return Ok(self.remove(&room).await.map(drop)?),
                AtEnd::DeleteWithRecordings => {
                    pages.next().ok_or(RoomRefusal::Busy)?;
                    self.delete_page_of(id).await?;
                }
                AtEnd::Close => break RoomStatus::Closed,
                AtEnd::Keep => break RoomStatus::Open,
            }
        };
        tracing::info!(room.id = %id, status = left.name(), "room has recordings and is not deleted");
        match self.change(id, &RoomChange::NotDeleted(left)).await {
            Ok(_) | Err(RoomRefusal::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The room as it is now, if it is still to be deleted after this meeting. LiveKit tells of an end before it forgets
    /// the room; if it has it later on, people meet there again, and the next news say so.
    async fn still_due(&self, ended: &Room, tries: u32) -> Result<Option<Room>, RoomRefusal> {
        let (id, world) = (&ended.room_id, &self.shared.world);
        let Some(room) = bounded(&self.shared, world.catalog.room(id)).await? else { return Ok(None) };
        if room.meeting_end_action != MeetingEndAction::Delete || room.meetings != ended.meetings {
            return Ok(None);
        }
        if tries == 0 {
            return Ok(Some(room));
        }
        if is_in_livekit(&self.shared, id).await? { Err(RoomRefusal::Busy) } else { Ok(Some(room)) }
    }

    /// Deletes a room whose date has come, by its own policy. What the policy refuses is left for the next pass.
    ///
    /// # Errors
    /// When a dependency is away.
    pub(crate) async fn expire_room(
        &self,
        room: &RoomId,
        policy: AutoDeletionPolicy,
    ) -> Result<(), PortError> {
        match self.delete_room(room, policy).await {
            Ok(deleted) => {
                tracing::info!(room.id = %room, outcome = deleted.done.name(), "room has expired");
                Ok(())
            }
            Err(RoomRefusal::NotFound | RoomRefusal::Deletion(_)) => Ok(()),
            Err(RoomRefusal::Port(error)) => Err(error),
            Err(other) => Err(PortError::unavailable("store", other)),
        }
    }

    /// Puts somebody out of a meeting. Their token stays valid.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn kick(&self, room: &RoomId, identity: &str) -> Result<(), RoomRefusal> {
        let media_server = &self.shared.world.media_server;
        let removed = media_server.remove_participant(room, identity).await.map_err(of_livekit)?;
        if removed { Ok(()) } else { Err(RoomRefusal::NoParticipant) }
    }

    /// Gives somebody in a meeting another role, and tells them and the others. The token that they have keeps its
    /// rights.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub async fn change_role(&self, room: &Room, identity: &str, role: Role) -> Result<(), RoomRefusal> {
        let (id, media_server) = (&room.room_id, &self.shared.world.media_server);
        let found = media_server.participant(id, identity).await.map_err(of_livekit)?;
        let found = found.ok_or(RoomRefusal::NoParticipant)?;
        let permissions = Permissions::of(role, room.config.recording.allow_access_to);
        let metadata = MemberMetadata::with_role(&found.metadata, role, permissions);
        let metadata = metadata.ok_or(RoomRefusal::BadMetadata)?;
        if !media_server.update_participant(id, identity, &metadata).await.map_err(of_livekit)? {
            return Err(RoomRefusal::NoParticipant);
        }
        let told = RoleUpdated::of(id, identity, role, self.shared.world.clock.now());
        let in_person = told.clone().with_secret(secret::room_secret(room, role));
        let to_them = Receivers::Identities(vec![found.identity.clone()]);
        media_server
            .send_data(&message(id, RoleUpdated::TOPIC, &in_person, to_them))
            .await
            .map_err(of_livekit)?;
        let others = media_server.participants(id).await.map_err(of_livekit)?;
        let others = others.into_iter().map(|other| other.identity).filter(|other| *other != found.identity);
        // Nobody else: to everybody, as the contract has it. No secret is in it.
        let others = Receivers::Identities(others.collect());
        media_server.send_data(&message(id, RoleUpdated::TOPIC, &told, others)).await.map_err(of_livekit)?;
        Ok(())
    }
}

/// LiveKit's word that the meeting is over which a room heard of last.
pub(crate) fn news_of_end(room: &Room) -> MeetingNews {
    MeetingNews::Finished { sid: room.last_meeting.clone().unwrap_or_default() }
}

fn message(
    room: &RoomId,
    topic: &'static str,
    payload: &impl serde::Serialize,
    to: Receivers,
) -> DataMessage {
    let payload = serde_json::to_string(payload).expect("a signal is plain data");
    DataMessage { room: room.clone(), topic, payload, to }
}
