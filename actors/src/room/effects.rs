//! Carries effects out beside the actor, and sends what came of them back as events.
//!
//! Owns the calls to the ports. Decides nothing: what a failure means is the core's business.

use std::sync::Arc;

use ractor::ActorRef;

use super::actor::Own;
use super::commit::{self, Claim, bounded};
use super::{RoomMessage, Shared, meet, news};
use crate::ids::{ClaimId, CommandId, EgressId, RoomId, Uid};
use crate::ports::PortError;
use crate::ports::blobs::BlobHead;
use crate::ports::catalog::StoredRecording;
use crate::ports::coordination::Held;
use crate::ports::media_server::{DataMessage, Receivers, recorder_among};
use crate::recording::FILE_MISSING;
use crate::recording::effect::{Depth, Effect};
use crate::recording::egress::{CallError, EgressInfo};
use crate::recording::event::{
    Evidence, FileEvidence, Happening, Listed, Presence, Recall, Sighting, Source,
};
use crate::recording::ledger::Owed;
use crate::recording::reconcile;
use crate::recording::rules::Rule;
use crate::recording::signal::Signal;

/// Begins an effect. Its outcome goes to the actor, marked with the claim under which it was begun.
pub(super) fn run(
    shared: &Arc<Shared>,
    room: &RoomId,
    effect: Effect,
    actor: ActorRef<RoomMessage>,
    (generation, claim): (u64, ClaimId),
) {
    let (shared, room) = (shared.clone(), room.clone());
    tokio::spawn(async move {
        if is_first_showing(&effect)
            && !shared.world.cluster.lease.is_endless()
            && commit::look_at_claim(&shared, &room, &claim).await == Claim::Gone
        {
            // Whoever owns the room by now may have shown and deleted it.
            let _ = actor.cast(RoomMessage::Own(Own::ReadAgain));
            return;
        }
        if let Some(what) = carry_out(&shared, &room, effect).await {
            // An actor that is gone has a successor, which looks for itself.
            let _ = actor.cast(RoomMessage::Own(Own::Outcome { generation, what }));
        }
    });
}

/// Whether an effect makes a document, which a late one would bring back.
fn is_first_showing(effect: &Effect) -> bool {
    matches!(effect, Effect::Carry { owed: Owed::Project { secrets: Some(_), .. }, .. })
}

async fn carry_out(shared: &Arc<Shared>, room: &RoomId, effect: Effect) -> Option<Happening> {
    let media_server = &shared.world.media_server;
    match effect {
        Effect::LookBeforeStart { uid, known } => {
            let result = look_before_start(shared, room, &known).await;
            // What is seen to record says more than a lock; whose lock stands for nothing, only an empty list says.
            let nothing_records = result.as_ref().is_ok_and(Vec::is_empty);
            Some(if nothing_records && meet::hold(shared, room).await == Held::Theirs {
                Happening::RoomLocked { uid }
            } else {
                Happening::RoomLooked { uid, result }
            })
        }
        Effect::StartEgress { uid, order } => {
            tracing::info!(room.id = %room, uid = %uid, "asking LiveKit to record");
            let result = if_held(shared, media_server.start_egress(&order)).await;
            log_call(room, "StartEgress", &result);
            Some(Happening::StartAnswered { uid, result })
        }
        Effect::StopEgress { uid: _, egress } => {
            tracing::info!(room.id = %room, egress.id = %egress, "asking LiveKit to stop recording");
            let result = if_held(shared, media_server.stop_egress(&egress)).await;
            log_call(room, "StopEgress", &result);
            Some(Happening::StopAnswered { egress, result })
        }
        Effect::Look { uid, egress, depth, key } => {
            let evidence = look(shared, room, &uid, egress.as_ref(), depth, &key).await;
            Some(Happening::Looked { uid, evidence })
        }
        Effect::Identify { egress } => identify(shared, room, &egress).await,
        Effect::Recall { request } => {
            let kept = recall(shared, request.command()).await;
            Some(Happening::Recalled { request, kept })
        }
        Effect::Carry { number, owed } => match carry(shared, &owed).await {
            Ok(carried) => {
                log_carried(room, &owed);
                meet::tell(shared, &owed);
                Some(match carried {
                    Carried::Done => Happening::EffectDone { number },
                    Carried::FileRemoved => Happening::FileRemoved { number },
                })
            }
            Err(error) => {
                let recording = owed.recording().map(ToString::to_string);
                tracing::warn!(room.id = %room, recording.id = recording, %error, "effect stays owed");
                Some(Happening::EffectFailed { number, dependency: error.dependency })
            }
        },
        Effect::Signal(signal) => {
            send_signal(shared, signal).await;
            None
        }
        Effect::Answer { .. } => None,
    }
}

/// Calls LiveKit for something that changes anything, if this node's lease still holds.
async fn if_held(
    shared: &Arc<Shared>,
    call: impl Future<Output = Result<EgressInfo, CallError>>,
) -> Result<EgressInfo, CallError> {
    if shared.world.cluster.lease.is_held() {
        call.await
    } else {
        Err(CallError::NotSent("this node's lease has lapsed".to_owned()))
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

/// Says how a recording ended, or that it is gone, as soon as clients are told so.
fn log_carried(room: &RoomId, owed: &Owed) {
    match owed {
        Owed::Project { recording, .. } if recording.error.as_deref() == Some(FILE_MISSING) => {
            let id = &recording.recording_id;
            tracing::warn!(
                room.id = %room, recording.id = %id, egress.id = %id.egress,
                "LiveKit called it complete, and its file is missing or empty"
            );
        }
        Owed::Project { recording, .. } if recording.status.is_terminal() => {
            let id = &recording.recording_id;
            tracing::info!(
                room.id = %room, recording.id = %id, egress.id = %id.egress,
                status = recording.status.name(), size_bytes = recording.size, error = recording.error,
                "recording is over"
            );
        }
        Owed::Project { .. } | Owed::Notify(_) | Owed::Keep { .. } => {}
        Owed::Remove { recording: id, .. } => {
            tracing::info!(room.id = %room, recording.id = %id, egress.id = %id.egress, "recording deleted");
        }
    }
}

/// The live egresses of our form in a room. One that the row does not hold is asked by id, since the list
/// may be old, and of one that has no document either it is asked whether its recorder is there.
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
        let sighting = sighting.map_err(|error| CallError::NoAnswer(error.to_string()))?;
        if sighting.document.is_some()
            || known.contains(&uid)
            || may_block(shared, room, &sighting.info).await
        {
            live.push(sighting);
        }
    }
    Ok(live)
}

async fn may_block(shared: &Arc<Shared>, room: &RoomId, info: &EgressInfo) -> bool {
    let recorder = look_at_recorder(shared, room, Some(&info.egress)).await;
    reconcile::may_block(info, recorder, shared.world.clock.now(), &shared.world.policy)
}

async fn look(
    shared: &Arc<Shared>,
    room: &RoomId,
    uid: &Uid,
    egress: Option<&EgressId>,
    depth: Depth,
    key: &str,
) -> Evidence {
    if depth == Depth::File {
        let file = look_at_file(shared, key).await;
        return Evidence { listed: Listed::Unknown, recorder: Presence::Unknown, file };
    }
    let listed = match egress {
        Some(egress) => look_by_id(shared, egress).await,
        None => look_in_lists(shared, room, uid).await,
    };
    let missing = matches!(listed, Listed::Absent | Listed::Doubtful);
    let recorder = match depth {
        _ if missing => look_at_recorder(shared, room, egress).await,
        Depth::Room | Depth::Everything => look_at_recorder(shared, room, egress).await,
        Depth::Egress | Depth::File => Presence::Unknown,
    };
    let file = match depth {
        _ if missing => look_at_file(shared, key).await,
        Depth::Everything => look_at_file(shared, key).await,
        Depth::Egress | Depth::Room | Depth::File => FileEvidence::Unknown,
    };
    if let Some(egress) = egress {
        shared.live.saw_recorder(room, egress, recorder);
    }
    Evidence { listed, recorder, file }
}

/// Asks for an egress by its id. One that is not there is believed to be missing only if the list of all does
/// not miss too much else.
async fn look_by_id(shared: &Arc<Shared>, egress: &EgressId) -> Listed {
    match shared.world.media_server.egress(egress).await {
        Ok(Some(info)) => Listed::Found(Box::new(info)),
        Ok(None) => match shared.active_list.get().await {
            Ok(list) if list.is_doubted => Listed::Doubtful,
            Ok(_) => Listed::Absent,
            Err(_) => Listed::Unknown,
        },
        Err(_) => Listed::Unknown,
    }
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
    if !shared.world.policy.keeps(Rule::ListOfAll) {
        return Listed::Absent;
    }
    match shared.active_list.get().await {
        Ok(list) => match find(list.egresses.to_vec()) {
            Some(info) => Listed::Found(Box::new(info)),
            None if list.is_doubted => Listed::Doubtful,
            None => Listed::Absent,
        },
        Err(_) => Listed::Unknown,
    }
}

async fn look_at_recorder(shared: &Arc<Shared>, room: &RoomId, egress: Option<&EgressId>) -> Presence {
    match shared.world.media_server.participants(room).await {
        Ok(participants) => recorder_among(&participants, egress),
        Err(_) if !shared.world.policy.keeps(Rule::FailedCallProvesNothing) => Presence::Absent,
        Err(_) => Presence::Unknown,
    }
}

async fn look_at_file(shared: &Arc<Shared>, key: &str) -> FileEvidence {
    match bounded(shared, shared.world.blobs.head(key)).await {
        Ok(Some(head)) => {
            let duration = duration_of_file(shared, key, &head).await;
            FileEvidence::There { size: head.size, modified: head.modified, duration }
        }
        Ok(None) => FileEvidence::NotThere,
        Err(error) => {
            tracing::warn!(%error, "blob store cannot say whether a file is there");
            FileEvidence::Unknown
        }
    }
}

/// How long a file plays, if it says so. A file that cannot be read is there all the same.
async fn duration_of_file(shared: &Arc<Shared>, key: &str, head: &BlobHead) -> Option<i64> {
    if head.size == 0 {
        return None;
    }
    let probed = bounded(shared, shared.world.media_probe.duration(key, head.size)).await;
    probed.unwrap_or_else(|error| {
        tracing::warn!(key, %error, "length of a file cannot be read");
        None
    })
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

/// A signal is a hint: whoever misses it sees the recording when asking for it.
async fn send_signal(shared: &Arc<Shared>, signal: Signal) {
    let room = signal.payload.room_id.clone();
    let payload = match serde_json::to_string(&signal.payload) {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(room.id = %room, %error, "signal cannot be written");
            return;
        }
    };
    let to = Receivers::Everybody;
    let message = DataMessage { room: room.clone(), topic: signal.topic, payload, to };
    if let Err(error) = shared.world.media_server.send_data(&message).await {
        tracing::debug!(room.id = %room, topic = signal.topic, %error, "signal was not sent");
    }
}

async fn recall(shared: &Arc<Shared>, command: &CommandId) -> Recall {
    match bounded(shared, shared.world.keys.answer_of(command)).await {
        Ok(Some(answer)) => Recall::Answered(answer),
        Ok(None) => Recall::NotAnswered,
        Err(error) => {
            tracing::warn!(command.id = %command, %error, "it is not known whether a command was answered");
            Recall::Unknown
        }
    }
}

/// What carrying out a pending effect showed.
enum Carried {
    Done,
    /// There was a file to remove.
    FileRemoved,
}

async fn carry(shared: &Arc<Shared>, owed: &Owed) -> Result<Carried, PortError> {
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
                    return Ok(Carried::Done);
                }
            }
            bounded(shared, world.catalog.update_recording(recording, *updated_at)).await?;
        }
        Owed::Notify(notice) => bounded(shared, world.notifier.take(notice)).await?,
        Owed::Remove { recording, key } => {
            let was_there = bounded(shared, world.blobs.remove(key)).await?;
            bounded(shared, world.catalog.remove_recording(recording)).await?;
            if was_there {
                return Ok(Carried::FileRemoved);
            }
        }
        Owed::Keep { command, answer } => {
            if !bounded(shared, world.keys.keep(command, answer)).await? {
                tracing::warn!(command.id = %command, "answer cannot be kept: its key is forgotten");
            }
        }
    }
    Ok(Carried::Done)
}
