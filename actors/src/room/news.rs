//! News from outside, completed with what the stores know, before a room's actor is woken for it.

use std::sync::Arc;

use super::Shared;
use super::commit::bounded;
use crate::ids::EgressId;
use crate::ports::PortError;
use crate::recording::RecordingStatus;
use crate::recording::egress::EgressInfo;
use crate::recording::event::{Sighting, Source};

/// What a webhook about an egress is worth: none if it is another application's, or changes nothing.
pub(crate) async fn of_egress(shared: &Arc<Shared>, info: EgressInfo) -> Result<Option<Sighting>, PortError> {
    let world = &shared.world;
    let row = bounded(shared, world.ledger.load(&info.room)).await?;
    let known_by_id = row.as_ref().is_some_and(|row| {
        let mut tracks = row.state.tracks();
        tracks.any(|track| track.egress.as_ref() == Some(&info.egress))
    });
    let path = info.filepath.as_deref();
    let uid = path.and_then(|path| world.policy.files.uid_of(&info.room, path));
    if uid.is_none() && !known_by_id {
        return Ok(None);
    }
    let known = known_by_id || row.as_ref().zip(uid).is_some_and(|(row, uid)| row.state.holds(&uid));
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
