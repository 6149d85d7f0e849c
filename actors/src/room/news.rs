//! News from outside, completed with what the stores know, before a room's actor is woken for it.

use std::sync::Arc;

use super::Shared;
use super::commit::bounded;
use crate::ports::PortError;
use crate::recording::egress::EgressInfo;
use crate::recording::event::{Sighting, Source};

/// What a webhook about an egress is worth: none if it is another application's, or changes nothing.
pub(crate) async fn of_egress(shared: &Arc<Shared>, info: EgressInfo) -> Result<Option<Sighting>, PortError> {
    let world = &shared.world;
    let row = bounded(shared, world.ledger.load(&info.room)).await?;
    let known_by_id = row.as_ref().is_some_and(|row| {
        let current = row.state.current.iter().map(|current| &current.track);
        let unsettled = row.state.unsettled.iter().map(|unsettled| &unsettled.track);
        current.chain(unsettled).any(|track| track.egress.as_ref() == Some(&info.egress))
    });
    let path = info.filepath.as_deref();
    let of_our_form = path.is_some_and(|path| world.policy.files.uid_of(&info.room, path).is_some());
    if !of_our_form && !known_by_id {
        return Ok(None);
    }
    let status = info.status.recorded_as();
    let held = row.is_some();
    let sighting = sighting(shared, info, Source::Webhook).await?;
    let worth_it = match sighting.document {
        _ if held => true,
        // The row is gone: only late truth, or the end of a recording that no row holds, changes anything.
        Some(shown) => shown != status && shown.may_become(status),
        None if status.is_terminal() => false,
        None => bounded(shared, world.catalog.room(&sighting.info.room)).await?.is_some(),
    };
    Ok(worth_it.then_some(sighting))
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
