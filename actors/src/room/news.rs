//! News from outside, completed with what the stores know, before a room's actor is woken for it.
//!
//! Owns whether an actor is woken at all: for an event that changes nothing, no room is claimed.

use std::sync::Arc;

use super::Shared;
use super::commit::bounded;
use super::live::Held;
use crate::ids::{EgressId, RoomId};
use crate::ports::PortError;
use crate::recording::RecordingStatus;
use crate::recording::egress::EgressInfo;
use crate::recording::event::{Sighting, Source};

/// What a webhook about an egress is worth: none if it is another application's, or changes nothing.
pub(crate) async fn of_egress(shared: &Arc<Shared>, info: EgressInfo) -> Result<Option<Sighting>, PortError> {
    let world = &shared.world;
    let held = held_in(shared, &info.room).await?;
    let path = info.filepath.as_deref();
    let uid = path.and_then(|path| world.policy.files.uid_of(&info.room, path));
    let known = held.as_ref().is_some_and(|held| held.knows(&info.egress, uid.as_ref()));
    if uid.is_none() && !known {
        return Ok(None);
    }
    let status = info.status.recorded_as();
    let sighting = sighting(shared, info, Source::Webhook).await?;
    let worth_it = match sighting.document {
        _ if held.is_some() => true,
        // The row is gone: only late truth, or the end of a recording that no row holds, changes anything.
        Some(shown) => shown != status && shown.may_become(status),
        None if status.is_terminal() => false,
        None => bounded(shared, world.catalog.room(&sighting.info.room)).await?.is_some(),
    };
    if !worth_it {
        return Ok(None);
    }
    let is_over = status.is_terminal() || sighting.document.is_some_and(RecordingStatus::is_terminal);
    if known || is_over { Ok(Some(sighting)) } else { identify(shared, &sighting.info.egress).await }
}

/// A webhook may be old: of an egress that nobody holds LiveKit itself says whether it lives, before the
/// webhook is acknowledged. None if LiveKit does not know it.
async fn identify(shared: &Arc<Shared>, egress: &EgressId) -> Result<Option<Sighting>, PortError> {
    match shared.world.media_server.egress(egress).await {
        Ok(Some(info)) => sighting(shared, info, Source::Call).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(PortError::unavailable("LiveKit", error)),
    }
}

/// Whether a room has a row, so that its recorder's leave may mean something.
pub(crate) async fn is_held(shared: &Arc<Shared>, room: &RoomId) -> Result<bool, PortError> {
    Ok(held_in(shared, room).await?.is_some())
}

/// What a room's row holds, if it has one: known on this node if its actor is here, else read.
async fn held_in(shared: &Arc<Shared>, room: &RoomId) -> Result<Option<Held>, PortError> {
    if let Some(held) = shared.live.held_in(room) {
        return Ok(Some(held));
    }
    let row = bounded(shared, shared.world.ledger.load(room)).await?;
    Ok(row.map(|row| Held::of(&row.state)))
}

/// Completes a view of an egress with what the catalog knows.
pub(crate) async fn sighting(
    shared: &Arc<Shared>,
    info: EgressInfo,
    source: Source,
) -> Result<Sighting, PortError> {
    let world = &shared.world;
    let uid = info.filepath.as_deref().and_then(|path| world.policy.files.uid_of(&info.room, path));
    let document = match uid {
        Some(uid) => {
            let id = crate::ids::RecordingId::new(info.room.clone(), info.egress.clone(), uid);
            bounded(shared, world.catalog.recording(&id)).await?
        }
        None => None,
    };
    let room_name = if let Some(document) = &document {
        document.recording.room_name.clone()
    } else {
        let room = bounded(shared, world.catalog.room(&info.room)).await?;
        room.map_or_else(|| info.room.to_string(), |room| room.room_name)
    };
    let document = document.map(|document| document.recording.status);
    Ok(Sighting { info, source, room_name, document })
}
