//! News from outside, completed with what the stores know, before a room's actor is woken for it.
//!
//! Owns whether an actor is woken at all: for an event that changes nothing, no room is claimed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;
use super::commit::bounded;
use crate::ids::{EgressId, RoomId};
use crate::ports::PortError;
use crate::recording::egress::EgressInfo;
use crate::recording::event::{Sighting, Source};

/// What a webhook about an egress is worth: none if it is another application's, or changes nothing.
pub(crate) async fn of_egress(shared: &Arc<Shared>, info: EgressInfo) -> Result<Option<Sighting>, PortError> {
    let world = &shared.world;
    let held = egresses_held_in(shared, &info.room).await?;
    let known_by_id = held.as_ref().is_some_and(|egresses| egresses.contains(&info.egress));
    let path = info.filepath.as_deref();
    let of_our_form = path.is_some_and(|path| world.policy.files.uid_of(&info.room, path).is_some());
    if !of_our_form && !known_by_id {
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
    Ok(worth_it.then_some(sighting))
}

/// Whether a room has a row, so that its recorder's leave may mean something.
pub(crate) async fn is_held(shared: &Arc<Shared>, room: &RoomId) -> Result<bool, PortError> {
    Ok(egresses_held_in(shared, room).await?.is_some())
}

/// The egresses in a room's row, if it has one: known on this node if its actor is here, else read.
async fn egresses_held_in(
    shared: &Arc<Shared>,
    room: &RoomId,
) -> Result<Option<BTreeSet<EgressId>>, PortError> {
    if let Some(held) = shared.live.egresses_held_in(room) {
        return Ok(Some(held));
    }
    let row = bounded(shared, shared.world.ledger.load(room)).await?;
    Ok(row.map(|row| row.state.egresses().cloned().collect()))
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
