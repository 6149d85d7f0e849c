//! Carries effects out beside the actor, and sends what came of them back as events.
//!
//! Owns the calls to the ports. Decides nothing: what a failure means is the core's business.

use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::actor::Own;
use super::commit::bounded;
use super::{RoomMessage, Shared, news};
use crate::ids::{EgressId, RoomId, Uid};
use crate::ports::PortError;
use crate::ports::catalog::StoredRecording;
use crate::ports::media_server::ParticipantKind;
use crate::recording::effect::Effect;
use crate::recording::egress::{CallError, EgressInfo};
use crate::recording::event::{Evidence, FileEvidence, Happening, Listed, Presence, Sighting, Source};
use crate::recording::ledger::Owed;

/// Begins an effect. Its outcome goes to the actor, marked with the claim under which it was begun.
pub(super) fn run(
    shared: &Arc<Shared>,
    room: &RoomId,
    effect: Effect,
    actor: ActorRef<RoomMessage>,
    generation: u64,
) {
    let (shared, room) = (shared.clone(), room.clone());
    tokio::spawn(async move {
        if let Some(what) = carry_out(&shared, &room, effect).await {
            // An actor that is gone has a successor, which looks for itself.
            let _ = actor.cast(RoomMessage::Own(Own::Outcome { generation, what }));
        }
    });
}

async fn carry_out(shared: &Arc<Shared>, room: &RoomId, effect: Effect) -> Option<Happening> {
    let media_server = &shared.world.media_server;
    match effect {
        Effect::LookBeforeStart { uid, known } => {
            let result = look_before_start(shared, room, &known).await;
            Some(Happening::RoomLooked { uid, result })
        }
        Effect::StartEgress { uid, order } => {
            tracing::info!(room.id = %room, uid = %uid, "asking LiveKit to record");
            let result = media_server.start_egress(&order).await;
            log_call(room, "StartEgress", &result);
            Some(Happening::StartAnswered { uid, result })
        }
        Effect::StopEgress { uid: _, egress } => {
            tracing::info!(room.id = %room, egress.id = %egress, "asking LiveKit to stop recording");
            let result = media_server.stop_egress(&egress).await;
            log_call(room, "StopEgress", &result);
            Some(Happening::StopAnswered { egress, result })
        }
        Effect::Look { uid, egress, livekit, key } => {
            let evidence = look(shared, room, &uid, egress.as_ref(), livekit, &key).await;
            Some(Happening::Looked { uid, evidence })
        }
        Effect::Identify { egress } => identify(shared, room, &egress).await,
        Effect::Carry { number, owed } => match carry(shared, &owed).await {
            Ok(()) => Some(Happening::EffectDone { number }),
            Err(error) => {
                tracing::warn!(room.id = %room, recording.id = %owed.recording(), %error, "effect stays owed");
                Some(Happening::EffectFailed { number })
            }
        },
        Effect::Answer { .. } => None,
    }
}

fn log_call(room: &RoomId, call: &str, result: &Result<EgressInfo, CallError>) {
    match result {
        Ok(info) => {
            tracing::info!(room.id = %room, egress.id = %info.egress, status = info.status.recorded_as().name(), "{call} answered");
        }
        Err(error) => tracing::warn!(room.id = %room, %error, "{call} failed"),
    }
}

/// The live egresses of our form in a room. One that the row does not hold is asked by id, since the list
/// may be old.
async fn look_before_start(
    shared: &Arc<Shared>,
    room: &RoomId,
    known: &[Uid],
) -> Result<Vec<Sighting>, CallError> {
    let world = &shared.world;
    let mut live = Vec::new();
    for info in world.media_server.room_egresses(room).await? {
        let path = info.filepath.as_deref();
        let Some(uid) = path.and_then(|path| world.policy.files.uid_of(room, path)) else { continue };
        if info.status.is_terminal() {
            continue;
        }
        let info =
            if known.contains(&uid) { Some(info) } else { world.media_server.egress(&info.egress).await? };
        let Some(info) = info else { continue };
        let sighting = news::sighting(shared, info, Source::Call).await;
        live.push(sighting.map_err(|error| CallError::NoAnswer(error.to_string()))?);
    }
    Ok(live)
}

async fn look(
    shared: &Arc<Shared>,
    room: &RoomId,
    uid: &Uid,
    egress: Option<&EgressId>,
    livekit: bool,
    key: &str,
) -> Evidence {
    if !livekit {
        let file = look_at_file(shared, key).await;
        return Evidence { listed: Listed::Unknown, recorder: Presence::Unknown, file };
    }
    let listed = match egress {
        Some(egress) => match shared.world.media_server.egress(egress).await {
            Ok(Some(info)) => Listed::Found(Box::new(info)),
            Ok(None) => Listed::Absent,
            Err(_) => Listed::Unknown,
        },
        None => look_in_lists(shared, room, uid).await,
    };
    if listed != Listed::Absent {
        return Evidence { listed, recorder: Presence::Unknown, file: FileEvidence::Unknown };
    }
    let recorder = look_at_recorder(shared, room, egress).await;
    let file = look_at_file(shared, key).await;
    Evidence { listed, recorder, file }
}

/// Looks for a uid whose egress is not known: in the room's list, which may lack it, then in the list of all.
async fn look_in_lists(shared: &Arc<Shared>, room: &RoomId, uid: &Uid) -> Listed {
    let files = &shared.world.policy.files;
    let find = |list: Vec<EgressInfo>| {
        list.into_iter().find(|info| {
            let path = info.filepath.as_deref();
            info.room == *room && path.and_then(|path| files.uid_of(room, path)).as_ref() == Some(uid)
        })
    };
    let Ok(in_room) = shared.world.media_server.room_egresses(room).await else { return Listed::Unknown };
    if let Some(info) = find(in_room) {
        return Listed::Found(Box::new(info));
    }
    match shared.active_list.get(shared).await {
        Ok(all) => find(all.to_vec()).map_or(Listed::Absent, |info| Listed::Found(Box::new(info))),
        Err(()) => Listed::Unknown,
    }
}

async fn look_at_recorder(shared: &Arc<Shared>, room: &RoomId, egress: Option<&EgressId>) -> Presence {
    let Ok(participants) = shared.world.media_server.participants(room).await else {
        return Presence::Unknown;
    };
    let present = match egress {
        Some(egress) => participants.iter().any(|p| p.identity == egress.as_str()),
        None => participants.iter().any(|p| p.kind == ParticipantKind::Recorder),
    };
    if present { Presence::Present } else { Presence::Absent }
}

async fn look_at_file(shared: &Arc<Shared>, key: &str) -> FileEvidence {
    match bounded(shared, shared.world.blobs.head(key)).await {
        Ok(Some(head)) => FileEvidence::There { size: head.size, modified: head.modified },
        Ok(None) => FileEvidence::NotThere,
        Err(error) => {
            tracing::warn!(%error, "blob store cannot say whether a file is there");
            FileEvidence::Unknown
        }
    }
}

async fn identify(shared: &Arc<Shared>, room: &RoomId, egress: &EgressId) -> Option<Happening> {
    let info = match shared.world.media_server.egress(egress).await {
        Ok(found) => found?,
        Err(error) => {
            // The janitors find it again.
            tracing::warn!(room.id = %room, egress.id = %egress, %error, "unknown egress cannot be identified");
            return None;
        }
    };
    news::sighting(shared, info, Source::Call).await.ok().map(Happening::EgressSeen)
}

async fn carry(shared: &Arc<Shared>, owed: &Owed) -> Result<(), PortError> {
    let world = &shared.world;
    match owed {
        Owed::Project { recording, updated_at, secrets } => {
            if let Some(secrets) = secrets {
                let stored = StoredRecording {
                    recording: (**recording).clone(),
                    secrets: secrets.clone(),
                    updated_at: *updated_at,
                };
                if bounded(shared, world.catalog.insert_recording(&stored)).await? {
                    return Ok(());
                }
            }
            bounded(shared, world.catalog.update_recording(recording, *updated_at)).await?;
            Ok(())
        }
        Owed::Remove { recording, key } => {
            bounded(shared, world.blobs.remove(key)).await?;
            bounded(shared, world.catalog.remove_recording(recording)).await?;
            Ok(())
        }
    }
}

/// The list of all egresses that are not over, shared by the looks that need it: one call at a time, and at
/// most one per interval. A look is served only from a list that was asked for after the look began.
#[derive(Default)]
pub(crate) struct ActiveList {
    last: Mutex<Option<Listing>>,
}

struct Listing {
    asked: Instant,
    result: Result<Arc<[EgressInfo]>, ()>,
}

impl ActiveList {
    async fn get(&self, shared: &Arc<Shared>) -> Result<Arc<[EgressInfo]>, ()> {
        let began = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(listing) = last.as_ref() {
            if listing.asked >= began {
                return listing.result.clone();
            }
            tokio::time::sleep_until(listing.asked + shared.world.limits.list_all_interval).await;
        }
        let asked = Instant::now();
        let result = shared.world.media_server.active_egresses().await;
        if let Err(error) = &result {
            tracing::warn!(%error, "list of all egresses failed");
        }
        let result = result.map(Arc::from).map_err(|_| ());
        *last = Some(Listing { asked, result: result.clone() });
        result
    }
}
