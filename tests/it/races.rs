//! What happens at the same time (contract `recordings.md` 3, race tests).

use std::time::Duration;

use futures::future::join_all;
use reelkeeper_actors::ids::EgressId;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fate};

use crate::harness::{Service, Sim, quick, simulated, simulated_with};
use crate::wire::{Reply, try_send};

/// The contract's pause between a stop and the next start.
const PAUSE: Duration = Duration::from_millis(2_500);

fn statuses(replies: &[Reply]) -> Vec<u16> {
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    statuses
}

/// Starts and stops a recording and waits for its file.
async fn record(service: &Service, room: &str) -> String {
    let id = service.start_recording(room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    id
}

#[tokio::test]
async fn of_many_starts_in_one_room_one_works() {
    let (service, sim) = simulated(&[]).await;
    for at_once in [2, 2, 2, 10] {
        let room = sim.room(&service).await;
        let replies = join_all((0..at_once).map(|_| service.start_recording(&room))).await;
        let mut id = String::new();
        for reply in replies {
            match reply.status {
                201 if id.is_empty() => id = reply.id(),
                _ => drop(reply.refused(409, "Recording Error", "already")),
            }
        }
        assert_eq!(sim.calls(&room, Method::StartEgress).len(), 1);
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
    }
    service.finish().await;
}

#[tokio::test]
async fn rooms_do_not_disturb_each_other() {
    let (service, sim) = simulated(&[]).await;
    let rooms = join_all((0..5).map(|_| sim.room(&service))).await;
    let started = join_all(rooms.iter().map(|room| service.start_recording(room))).await;
    assert_eq!(statuses(&started), [201; 5]);
    let ids: Vec<_> = started.iter().map(Reply::id).collect();
    let stopped = join_all(ids.iter().map(|id| service.stop_recording(id))).await;
    assert_eq!(statuses(&stopped), [202; 5]);
    for (reply, id) in stopped.iter().zip(&ids) {
        assert_eq!(reply.id(), *id);
    }
    join_all(ids.iter().map(|id| service.until(id, "complete"))).await;
    service.finish().await;
}

#[tokio::test]
async fn a_wait_in_one_room_survives_everything_in_another() {
    let slow = Timing { activate: Duration::from_secs(2), ..quick() };
    let (service, sim) = simulated_with(slow, &[]).await;
    let (waits, other) = (sim.room(&service).await, sim.room(&service).await);
    let empty = service.room().await;
    let others = async {
        // A start that fails, one that is stopped while it waits, one in a room that does not exist.
        service.start_recording(&empty).await.refused(409, "Recording Error", "has no participants");
        service.start_recording("nowhere").await.expect(404);
        sim.trouble(
            &other,
            Method::StartEgress,
            CallTrouble::Fate(Fate::FailsToStart { error: "no".into(), code: 0 }),
        );
        service.start_recording(&other).await.refused(500, "Recording Error", "no");
        record(&service, &other).await
    };
    let (started, _) = tokio::join!(service.start_recording(&waits), others);
    let id = started.expect(201).id();
    assert_eq!(service.recording(&id).await.field("status"), "active");
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

#[tokio::test]
async fn a_room_records_again_after_a_stop() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    // At once after the end.
    let mut ids = vec![record(&service, &room).await, record(&service, &room).await];
    // 2.5 s after the stop, whatever became of the recording until then.
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    tokio::time::sleep(PAUSE).await;
    ids.extend([id, record(&service, &room).await]);
    let listed: Vec<_> = service.recordings().await.iter().rev().map(|r| r["recordingId"].clone()).collect();
    assert_eq!(listed, ids);
    service.finish().await;
}

/// The upload takes long: the room is free as soon as the recorder has left.
#[tokio::test]
async fn a_room_records_again_while_the_recording_before_uploads() {
    let slow = Timing { upload: Duration::from_secs(4), ..quick() };
    let (service, sim) = simulated_with(slow, &[]).await;
    let room = sim.room(&service).await;
    let first = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&first).await.expect(202);
    tokio::time::sleep(PAUSE).await;
    assert_eq!(service.recording(&first).await.field("status"), "ending");
    let second = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&second).await.expect(202);
    for id in [first, second] {
        service.until(&id, "complete").await;
    }
    service.finish().await;
}

#[tokio::test]
async fn a_stop_while_starting_is_remembered() {
    let slow = Timing { activate: Duration::from_secs(3), ..quick() };
    let (service, sim) = simulated_with(slow, &[]).await;
    let room = sim.room(&service).await;
    let stop = async {
        let starting =
            crate::wire::eventually("a recording that starts", async || service.recordings().await.pop());
        let starting = starting.await;
        assert_eq!(starting["status"], "starting");
        let id = starting["recordingId"].as_str().unwrap().to_owned();
        service.stop_recording(&id).await.refused(409, "Recording Error", "still starting");
        id
    };
    let (started, id) = tokio::join!(service.start_recording(&room), stop);
    started.refused(500, "Recording Error", "stopped while starting");
    service.until(&id, "aborted").await;
    assert!(!sim.calls(&room, Method::StopEgress).is_empty());
    service.delete(&id).await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn a_stop_at_the_natural_end_is_accepted_or_comes_too_late() {
    let (service, sim) = simulated(&[]).await;
    // The recording ends by itself within these milliseconds; the stop comes before, then and after.
    let rounds = (0..12_u64).map(async |round| {
        let room = sim.room(&service).await;
        let fate = Fate::ReachesLimit { after_ms: round * 10 };
        sim.trouble(&room, Method::StartEgress, CallTrouble::Fate(fate));
        let started = service.start_recording(&room).await;
        if started.status == 500 {
            // It was over before it was seen to record.
            return;
        }
        let id = started.expect(201).id();
        let stopped = service.stop_recording(&id).await;
        match stopped.status {
            202 => assert_eq!(stopped.id(), id),
            _ => drop(stopped.refused(409, "Recording Error", "already stopped")),
        }
        let ended = crate::wire::eventually("an end", async || {
            let status = service.recording(&id).await.field("status");
            ["complete", "limit_reached"].contains(&status.as_str()).then_some(())
        });
        ended.await;
    });
    join_all(rounds).await;
    service.finish().await;
}

#[tokio::test]
async fn media_and_deletion_at_the_same_time() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    for _ in 0..5 {
        let id = record(&service, &room).await;
        let content = std::fs::read(service.file(&id)).unwrap();
        let media = join_all((0..3).map(|_| try_send(service.media(&id))));
        let (media, deleted) = tokio::join!(media, service.delete(&id));
        deleted.expect(200);
        for reply in media {
            // The file, whole, or word that it is gone; a broken connection would be honest too.
            let Ok(reply) = reply else { continue };
            match reply.status {
                200 => assert_eq!(reply.body, content),
                _ => drop(reply.refused(404, "Recording Error", "not found")),
            }
        }
        service.recording(&id).await.refused(404, "Recording Error", "not found");
        assert!(!service.file(&id).exists());
    }
    service.finish().await;
}

#[tokio::test]
async fn of_many_deletions_none_fails_badly() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let id = record(&service, &room).await;
    let replies = join_all((0..10).map(|_| service.delete(&id))).await;
    assert!(replies.iter().any(|reply| reply.status == 200));
    for reply in replies {
        if reply.status != 200 {
            reply.refused(404, "Recording Error", "not found");
        }
    }
    service.finish().await;
}

#[tokio::test]
async fn a_deletion_during_a_recording_in_the_same_room() {
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let old = record(&service, &room).await;
    let (started, deleted) = tokio::join!(service.start_recording(&room), service.delete(&old));
    let id = started.expect(201).id();
    deleted.expect(200);
    service.delete(&id).await.refused(409, "Recording Error", "not stopped yet");
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

/// Every request of a recording's life, many times over, in many rooms at once.
#[tokio::test]
async fn nothing_unexpected_happens_in_a_crowd() {
    let (service, sim) = simulated(&[("REELKEEPER_START_TIMEOUT", "20s")]).await;
    let rooms = join_all((0..4).map(|_| sim.room(&service))).await;
    let crowd = rooms.iter().flat_map(|room| (0..4).map(move |_| room));
    let visitors = crowd.map(async |room| visit(&service, &sim, room).await);
    join_all(visitors).await;
    let left = service.recordings().await;
    let statuses: Vec<_> = left.iter().map(|recording| recording["status"].as_str().unwrap()).collect();
    assert!(statuses.iter().all(|status| ["complete", "ending"].contains(status)), "{statuses:?}");
    for recording in left {
        service.until(recording["recordingId"].as_str().unwrap(), "complete").await;
    }
    service.finish().await;
}

/// What one client does in a room that others use too.
async fn visit(service: &Service, sim: &Sim, room: &str) {
    for _ in 0..4 {
        let started = service.start_recording(room).await;
        if started.status != 201 {
            started.refused(409, "Recording Error", "already");
            continue;
        }
        let id = started.id();
        let stops = join_all((0..2).map(|_| service.stop_recording(&id))).await;
        assert!(stops.iter().any(|reply| reply.status == 202), "{stops:?}");
        service.until(&id, "complete").await;
        let egress = EgressId::from_trusted(id.split("--").nth(1).unwrap());
        assert!(sim.control.live().with(|world| world.egress(&egress)).is_some());
    }
}
