//! Meetings: who is let in, and what LiveKit tells of them.
//!
//! Carries out what `meeting/` decides: the LiveKit room is made, the name reserved, the status stored. No
//! room actor is woken, since nothing here touches a recording.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use super::Orchestrator;
use crate::access::claims::{Attendee, MemberMetadata};
use crate::access::permission::Role;
use crate::ids::RoomId;
use crate::meeting::joining::{self, MeetingSettings, RoomOrder, STAY_LASTS};
use crate::meeting::notice::{self, MeetingEvent};
use crate::meeting::status::{MeetingNews, RoomChange, RoomChanged};
use crate::meeting::{MeetingEndAction, Room, RoomStatus};
use crate::ports::PortError;
use crate::ports::catalog::list::RecordingQuery;
use crate::ports::media_server::{DataMessage, ParticipantKind, Receivers};
use crate::recording::egress::{CallError, StartClass, classify_start};
use crate::recording::signal::RoomStatusPayload;
use crate::room::Shared;
use crate::room::commit::bounded;

/// Recordings that whoever comes in is told of.
const TOLD_OF: usize = 10;

/// Why somebody may not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinRefusal {
    /// The room is closed.
    #[error("the room is closed")]
    Closed,
    /// Nobody with that identity is in the meeting.
    #[error("the participant is not in the meeting")]
    NoParticipant,
    /// Who has that identity has another role.
    #[error("the participant has another role")]
    OtherRole,
    /// Too many names are reserved in the room.
    #[error("no name is left")]
    NoNameLeft,
    /// A dependency failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Orchestrator {
    /// Lets somebody new into a meeting: its LiveKit room is there then, and nobody else has their name.
    ///
    /// # Errors
    /// See [`JoinRefusal`].
    pub async fn invite(
        &self,
        room: &Room,
        settings: &MeetingSettings,
        wanted_name: &str,
    ) -> Result<Attendee, JoinRefusal> {
        refuse_if_closed(room)?;
        let world = &self.shared.world;
        world.media_server.create_room(&RoomOrder::of(room, settings)).await.map_err(of_livekit)?;
        let reserved = world.coordination.reserve_name(&room.room_id, wanted_name, STAY_LASTS);
        let name = bounded(&self.shared, reserved).await?.ok_or(JoinRefusal::NoNameLeft)?;
        Ok(Attendee { identity: joining::identity(&name, world.entropy.draw()), name })
    }

    /// Lets somebody who is in the meeting in again, under the name they say. Their role there must be the
    /// one that they ask for: else any secret of the room would do for anybody's identity.
    ///
    /// # Errors
    /// See [`JoinRefusal`].
    pub async fn invite_again(&self, room: &Room, role: Role, who: &Attendee) -> Result<(), JoinRefusal> {
        refuse_if_closed(room)?;
        let found = self.shared.world.media_server.participant(&room.room_id, &who.identity).await;
        // Recorders and agents were let in by us: nobody may take their place.
        let found = found.map_err(of_livekit)?.filter(|found| found.kind == ParticipantKind::Standard);
        let found = found.ok_or(JoinRefusal::NoParticipant)?;
        match MemberMetadata::role_in(&found.metadata) {
            Some(theirs) if theirs != role => Err(JoinRefusal::OtherRole),
            // Somebody whom another way let in has no role that could differ.
            _ => Ok(()),
        }
    }

    /// Stores what is known of a room's meeting by now, and tells the application. Names go with a meeting that is
    /// over, and so does a room that was to be deleted after it.
    pub(crate) async fn hear(&self, room: &RoomId, news: &MeetingNews) -> Result<(), PortError> {
        let (shared, world) = (&self.shared, &self.shared.world);
        let Some(before) = bounded(shared, world.catalog.room(room)).await? else { return Ok(()) };
        let Some(change) = self.believed(&before, news).await? else { return Ok(()) };
        let foreseen = RoomChanged { after: before.clone().changed(&change), before };
        if let Some(notice) = notice::of(&foreseen, news, world.clock.now()) {
            // First: once the room is changed nobody would make up for it. The same news once more give the same notice,
            // which is known by then.
            bounded(shared, world.notifier.take_meeting(&notice)).await?;
        }
        let Some(changed) = bounded(shared, world.catalog.change_room(room, &change)).await? else {
            return Ok(());
        };
        let heard = notice::of(&changed, news, world.clock.now());
        if heard.is_some_and(|notice| notice.event == MeetingEvent::Ended) {
            // Before the rest: it needs nothing of the coordination, which may be away.
            if changed.after.meeting_end_action == MeetingEndAction::Delete {
                self.delete_after_meeting(changed.after);
            }
            bounded(shared, world.coordination.free_names(room)).await?;
            bounded(shared, world.coordination.forget_captions(room)).await?;
        }
        Ok(())
    }

    /// What news change in a room; none if they are in doubt and LiveKit says otherwise.
    async fn believed(&self, room: &Room, news: &MeetingNews) -> Result<Option<RoomChange>, PortError> {
        if !room.doubts(news) {
            return Ok(Some(RoomChange::Heard(news.clone())));
        }
        let there = is_in_livekit(&self.shared, &room.room_id).await?;
        let agrees = there == matches!(news, MeetingNews::Started { .. });
        Ok(agrees.then(|| RoomChange::Seen(news.clone(), room.meetings)))
    }
}

fn refuse_if_closed(room: &Room) -> Result<(), JoinRefusal> {
    if room.status == RoomStatus::Closed { Err(JoinRefusal::Closed) } else { Ok(()) }
}

/// Whether LiveKit has a room.
pub(super) async fn is_in_livekit(shared: &Arc<Shared>, room: &RoomId) -> Result<bool, PortError> {
    let found = shared.world.media_server.existing_rooms(std::slice::from_ref(room)).await;
    Ok(found.map_err(of_livekit)?.contains(room))
}

/// What LiveKit refuses for good is a fault of ours, or of its keys: coming again does not help.
pub(super) fn of_livekit(error: CallError) -> PortError {
    match classify_start(&error) {
        StartClass::RefusedForGood => PortError::misused("LiveKit", error),
        StartClass::Refused | StartClass::Unknown => PortError::unavailable("LiveKit", error),
    }
}

/// Tells somebody who came into a meeting of the recordings in its room: a hint, sent once. LiveKit is not
/// kept waiting for it, since it tells its other news only then; `place` is its own among those under way.
pub(super) fn welcome(shared: &Arc<Shared>, room: RoomId, sid: String, place: OwnedSemaphorePermit) {
    let shared = shared.clone();
    let work = async move {
        let _place = place;
        if let Err(error) = send_status(&shared, &room, sid).await {
            tracing::debug!(room.id = %room, topic = RoomStatusPayload::TOPIC, %error, "signal was not sent");
        }
    };
    tokio::spawn(work.in_current_span());
}

async fn send_status(shared: &Arc<Shared>, room: &RoomId, sid: String) -> Result<(), PortError> {
    let catalog = &shared.world.catalog;
    if bounded(shared, catalog.room(room)).await?.is_none() {
        return Ok(());
    }
    let of_room = RecordingQuery { within: Some(room.clone()), ..RecordingQuery::newest(TOLD_OF) };
    let newest = bounded(shared, catalog.recordings(&of_room)).await?.items;
    let payload = serde_json::to_string(&RoomStatusPayload::of(&newest));
    let message = DataMessage {
        room: room.clone(),
        topic: RoomStatusPayload::TOPIC,
        payload: payload.expect("a signal is plain data"),
        to: Receivers::Sids(vec![sid]),
    };
    shared.world.media_server.send_data(&message).await.map_err(of_livekit)
}
