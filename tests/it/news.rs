//! LiveKit's news: lost, doubled, reordered, or the only source there is (design 4 and 6).

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use livekit_protocol::EgressStatus;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Reelkeeper, simulated, simulated_silent};
use crate::livekit::{Act, FILE_SIZE, Method, Scripted, Shows, in_webhook, uid};
use crate::signing::Signature;
use crate::wire::eventually;

const FOREVER: usize = 10_000;

/// The last part of a scripted recording's life: its upload.
fn upload(service: &Reelkeeper, livekit: &Scripted, id: &str) -> livekit_protocol::EgressInfo {
    service.write_file(id, b"a file");
    livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressComplete)
}

/// No webhook ever comes: looking is enough.
#[tokio::test]
async fn a_livekit_that_sends_no_webhooks_is_looked_at() {
    let (service, sim) = simulated_silent(&[]).await;
    let (stopped, emptied) = (sim.room(&service).await, sim.room(&service).await);
    let ids = [&stopped, &emptied].map(async |room| service.start_recording(room).await.expect(201).id());
    let ids = join_all(ids).await;
    service.stop_recording(&ids[0]).await.expect(202);
    // This one ends by itself.
    sim.control
        .live()
        .with(|world| world.delete_room(&reelkeeper_actors::ids::RoomId::from_trusted(&*emptied)));
    for id in &ids {
        let complete = service.until(id, "complete").await;
        assert_eq!(complete["duration"], 4, "{complete}");
    }
    service.finish().await;
}

/// After a stop the end is looked for at once, not when the next comparison is due.
#[tokio::test]
async fn the_end_after_a_stop_is_looked_for() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_RECONCILE_INTERVAL", "1h")]).await;
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    upload(&service, &livekit, &id);
    service.until(&id, "complete").await;
    service.finish().await;
}

/// No look ever works once a recording begins: webhooks are enough.
#[tokio::test]
async fn a_livekit_that_cannot_list_is_believed_by_its_webhooks() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let room = service.room().await;
    livekit.people(&room);
    livekit.newborn(&room, EgressStatus::EgressStarting, "");
    livekit.script(&room, Method::ListById, vec![Act::Plain(500, ""); FOREVER]);
    let webhooks = async {
        let egress = eventually("an egress", async || livekit.egresses(&room).pop()).await;
        service.tell(&in_webhook("egress_started", &egress)).await.expect(200);
        let active = livekit.change(&egress.egress_id, EgressStatus::EgressActive);
        service.tell(&in_webhook("egress_updated", &active)).await.expect(200);
    };
    let (started, ()) = tokio::join!(service.start_recording(&room), webhooks);
    let id = started.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    let complete = upload(&service, &livekit, &id);
    // Once the webhook is answered, everybody can see it.
    service.tell(&in_webhook("egress_ended", &complete)).await.expect(200);
    let shown = service.until(&id, "complete").await;
    assert_eq!((&shown["size"], &shown["endDate"]), (&json!(FILE_SIZE), &json!(1_700_000_007_000_i64)));
    service.finish().await;
}

/// The webhook overtakes the answer to StartEgress.
#[tokio::test]
async fn a_webhook_before_the_answer_is_believed() {
    let checks = [Shows::All, Shows::Little].map(async |shows| {
        let livekit = Scripted::run(shows).await;
        let service = Reelkeeper::start(&livekit.url, &[]).await;
        let room = service.room().await;
        livekit.people(&room);
        let answer = Arc::new(Notify::new());
        livekit.script(&room, Method::Start, [Act::Wait(answer.clone())]);
        let webhooks = async {
            let egress = eventually("an egress", async || livekit.egresses(&room).pop()).await;
            let mut event = in_webhook("egress_updated", &egress);
            if shows == Shows::Little {
                let known = ["egressId", "roomName", "status"];
                event["egressInfo"].as_object_mut().unwrap().retain(|key, _| known.contains(&key.as_str()));
            }
            for _ in 0..3 {
                service.tell(&event).await.expect(200);
            }
            answer.notify_one();
        };
        let (started, ()) = tokio::join!(service.start_recording(&room), webhooks);
        let id = started.expect(201).id();
        assert_eq!(service.recordings().await.len(), 1);
        service.stop_recording(&id).await.expect(202);
        upload(&service, &livekit, &id);
        service.until(&id, "complete").await;
        service.finish().await;
    });
    join_all(checks).await;
}

/// Every webhook of a recording's life again, twenty times each, in any order, during it and after it.
#[tokio::test]
async fn doubled_and_reordered_webhooks_change_nothing() {
    let seed = 20;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (service, sim) = simulated(&[]).await;
    let room = sim.room(&service).await;
    let sent = |event: &'static str| {
        let sim = &sim;
        async move {
            eventually(event, async || {
                sim.control.sent().iter().any(|sent| sent.event == event).then_some(())
            })
            .await;
        }
    };
    let again = async |service: &Reelkeeper, random: &mut StdRng| {
        let sent = sim.control.sent().into_iter().map(|sent| sent.body.into_bytes());
        let mut bodies: Vec<_> = sent.flat_map(|body| vec![body; 20]).collect();
        bodies.shuffle(random);
        let told = bodies.into_iter().map(|body| async {
            service.tell_signed(body, &Signature::default()).await.expect(200);
        });
        join_all(told).await;
    };

    let id = service.start_recording(&room).await.expect(201).id();
    sent("egress_updated").await;
    let active = service.recording(&id).await.json();
    again(&service, &mut random).await;
    assert_eq!(service.recordings().await, [active]);

    service.stop_recording(&id).await.expect(202);
    let complete = service.until(&id, "complete").await;
    sent("egress_ended").await;
    again(&service, &mut random).await;
    assert_eq!(service.recordings().await, [complete]);

    // A room that records again is not confused by what is told of the recording before.
    let next = service.start_recording(&room).await.expect(201).id();
    again(&service, &mut random).await;
    let statuses: Vec<Value> = service.recordings().await.iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["active", "complete"]);
    service.stop_recording(&next).await.expect(202);
    service.until(&next, "complete").await;

    // Of a deleted recording nothing comes back.
    for id in [&id, &next] {
        service.delete(id).await.expect(200);
    }
    again(&service, &mut random).await;
    assert_eq!(service.recordings().await, Vec::<Value>::new());
    service.finish().await;
}

/// What LiveKit tells in the life of a recording; each comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Starting,
    Active,
    Ending,
    Complete,
    RecorderLeft,
}

/// All orders of these.
fn orders(of: &[Told]) -> Vec<Vec<Told>> {
    let [first, rest @ ..] = of else { return vec![Vec::new()] };
    let shorter = orders(rest);
    let placed = shorter.iter().flat_map(|order| {
        (0..=order.len()).map(|at| {
            let mut order = order.clone();
            order.insert(at, *first);
            order
        })
    });
    placed.collect()
}

/// Webhooks in each order that there is, and nothing else that tells of an egress.
#[tokio::test]
async fn every_order_of_a_recordings_webhooks_leads_to_the_same_end() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[]).await;
    let all = [Told::Starting, Told::Active, Told::Ending, Told::Complete, Told::RecorderLeft];
    let orders = orders(&all);
    assert_eq!(orders.len(), 120);
    let livekit = &livekit;
    let lives = orders.iter().map(async |order| {
        let room = service.room().await;
        livekit.people(&room);
        livekit.newborn(&room, EgressStatus::EgressStarting, "");
        livekit.script(&room, Method::ListById, vec![Act::Plain(500, ""); 100]);
        let life = async {
            let starting = eventually("an egress", async || livekit.egresses(&room).pop()).await;
            let egress = starting.egress_id.clone();
            let id = format!("{room}--{egress}--{}", uid(&livekit.calls(&room, Method::Start)[0].path));
            // As large as LiveKit says: on a slow machine the file itself is the first proof of the end.
            service.write_file(&id, &vec![0; usize::try_from(FILE_SIZE).unwrap()]);
            let [active, ending, complete] =
                [EgressStatus::EgressActive, EgressStatus::EgressEnding, EgressStatus::EgressComplete]
                    .map(|status| livekit.change(&egress, status));
            for told in order.iter().flat_map(|told| [told; 2]) {
                let event = match told {
                    Told::Starting => in_webhook("egress_started", &starting),
                    Told::Active => in_webhook("egress_updated", &active),
                    Told::Ending => in_webhook("egress_updated", &ending),
                    Told::Complete => in_webhook("egress_ended", &complete),
                    Told::RecorderLeft => recorder_left(&room, &egress, "CLIENT_INITIATED"),
                };
                service.tell_until_taken(&event).await;
            }
            id
        };
        let (started, id) = tokio::join!(service.start_recording(&room), life);
        let at = |wanted| order.iter().position(|told| *told == wanted);
        let in_time = at(Told::Active) < at(Told::Ending).min(at(Told::Complete));
        started.expect(if in_time { 201 } else { 500 });
        let shown = service.until(&id, "complete").await;
        assert_eq!((&shown["size"], shown.get("error")), (&json!(FILE_SIZE), None), "{order:?}: {shown}");
    });
    // All at once a slow machine would not answer each start in time.
    stream::iter(lives).buffer_unordered(12).collect::<Vec<()>>().await;
    service.finish().await;
}

fn recorder_left(room: &str, egress: &str, reason: &str) -> Value {
    json!({"event": "participant_left", "room": {"name": room},
        "participant": {"identity": egress, "kind": "EGRESS", "disconnectReason": reason}})
}

/// A leave that is long past, or never was: whoever looks sees the recorder sit in the room.
#[tokio::test]
async fn a_leave_is_believed_only_while_the_recorder_is_away() {
    let (service, sim) = simulated(&[("REELKEEPER_RECONCILE_INTERVAL", "1h")]).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    let egress = id.split("--").nth(1).unwrap();
    for reason in ["CONNECTION_TIMEOUT", "CLIENT_INITIATED", "ROOM_DELETED", "OF_TOMORROW"] {
        service.tell(&recorder_left(&room, egress, reason)).await.expect(200);
        eventually("the recorder is seen", async || {
            let track = service.rows().await.pop()?.state.current?.track;
            (track.recorder_seen && track.left.is_none()).then_some(())
        })
        .await;
        assert_eq!(service.recording(&id).await.field("status"), "active", "{reason}");
    }
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    service.finish().await;
}

/// A status of tomorrow, or fields of another type, cost no more than the news they carry.
#[tokio::test]
async fn webhooks_are_read_leniently() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, &[("REELKEEPER_RECONCILE_INTERVAL", "1h")]).await;
    let room = service.room().await;
    livekit.people(&room);
    let id = service.start_recording(&room).await.expect(201).id();
    let active = service.recording(&id).await.json();
    let egress = livekit.egresses(&room).remove(0);
    let with = |field: &str, value: Value| {
        let mut event = in_webhook("egress_updated", &egress);
        event["egressInfo"][field] = value;
        event
    };
    let strange = [
        with("status", json!("EGRESS_OF_TOMORROW")),
        with("status", json!(77)),
        with("status", json!(null)),
        with("egressId", json!(7)),
        with("roomName", json!(["x"])),
        with("fileResults", json!("x")),
        with("updatedAt", json!({"a": 1})),
        with("tomorrow", json!({"a": [1, 2, 3]})),
        json!({}),
        json!({"event": 7}),
        json!({"event": "egress_updated"}),
        json!({"event": "egress_updated", "egressInfo": "x"}),
        json!({"event": "egress_of_tomorrow", "egressInfo": {"egressId": egress.egress_id}}),
    ];
    for event in strange {
        service.tell(&event).await.expect(200);
        assert_eq!(service.recording(&id).await.json(), active, "{event}");
    }
    // An enum as a number, names in snake case.
    let ending = json!({"event": "egress_updated", "egress_info": {"egress_id": egress.egress_id,
        "room_name": room, "status": 2, "updated_at": egress.updated_at + 1}});
    service.tell(&ending).await.expect(200);
    service.until(&id, "ending").await;
    let ended = upload(&service, &livekit, &id);
    service.tell(&in_webhook("egress_ended", &ended)).await.expect(200);
    service.until(&id, "complete").await;
    service.finish().await;
}
