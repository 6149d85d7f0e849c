//! Beside nodes of OpenVidu Meet: its lock of a room that we record, and its news of a recording that is active.
//!
//! Only what keeps two services out of each other's way; no promise rests on it (design 7). So nothing of it is
//! owed, nothing waits for it but a start, and a lock that was lost is written again at the next look.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::Shared;
use super::commit::bounded;
use crate::ids::RoomId;
use crate::ports::PortError;
use crate::ports::coordination::Held;
use crate::recording::RecordingStatus;
use crate::recording::ledger::Owed;

/// How long one of Meet's locks is believed. Its start ends within 20 s by default, and its egress is listed by
/// then; a lock that is older stands for what LiveKit shows, or for a node that died.
const THEIRS_LAST: Duration = Duration::from_mins(1);
/// For ever: what is held for a recording that runs is never taken from anybody.
const FOR_EVER: Duration = Duration::MAX;

/// Takes the lock before a start in a room where nothing records. Without an answer the start goes on: the ledger and LiveKit's list decide.
pub(super) async fn hold(shared: &Arc<Shared>, room: &RoomId) -> Held {
    let coordination = &shared.world.coordination;
    if !coordination.stands_beside_meet() {
        return Held::Ours;
    }
    bounded(shared, coordination.hold_room(room, THEIRS_LAST)).await.unwrap_or_else(|error| {
        tracing::warn!(room.id = %room, %error, "recording begins without OpenVidu Meet's lock");
        Held::Ours
    })
}

/// Writes the lock of a room that records again, should it have been lost.
pub(super) fn keep(shared: &Arc<Shared>, room: &RoomId) {
    let (sharing, id) = (shared.clone(), room.clone());
    beside(shared, room, async move { hold_on(&sharing, &id).await });
}

/// Gives the lock of a room back that is free now.
pub(super) fn let_go(shared: &Arc<Shared>, room: &RoomId) {
    let (sharing, id) = (shared.clone(), room.clone());
    beside(shared, room, async move {
        bounded(&sharing, sharing.world.coordination.free_room(&id)).await?;
        // A start that came meanwhile has the same lock.
        if sharing.live.records(&id) { hold_on(&sharing, &id).await } else { Ok(()) }
    });
}

/// Tells Meet's nodes of a recording that is active, once its document says so.
pub(super) fn tell(shared: &Arc<Shared>, owed: &Owed) {
    let Owed::Project { recording, .. } = owed else { return };
    if recording.status == RecordingStatus::Active {
        let (sharing, recording) = (shared.clone(), recording.clone());
        beside(shared, &recording.room_id.clone(), async move {
            bounded(&sharing, sharing.world.coordination.announce_active(&recording)).await
        });
    }
}

async fn hold_on(shared: &Arc<Shared>, room: &RoomId) -> Result<(), PortError> {
    bounded(shared, shared.world.coordination.hold_room(room, FOR_EVER)).await.map(drop)
}

fn beside(
    shared: &Arc<Shared>,
    room: &RoomId,
    call: impl Future<Output = Result<(), PortError>> + Send + 'static,
) {
    if !shared.world.coordination.stands_beside_meet() {
        return;
    }
    let room = room.clone();
    let call = async move {
        if let Err(error) = call.await {
            tracing::debug!(room.id = %room, %error, "nodes of OpenVidu Meet were not told");
        }
    };
    tokio::spawn(call.in_current_span());
}
