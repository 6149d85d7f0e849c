//! A service that starts on what an earlier one left.

use std::sync::Arc;

use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::faults::CallTrouble;
use reelkeeper_actors::simulator::log::Release;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Left, Reelkeeper, Sim, folder, quick};
use crate::wire::{eventually, try_send};

/// A folder and a LiveKit that outlive services.
pub struct Lasting {
    pub folder: Arc<TempDir>,
    pub sim: Sim,
}

impl Lasting {
    pub async fn begin() -> Self {
        let folder = folder();
        let sim = Sim::run(&folder, quick()).await;
        Self { folder, sim }
    }

    /// Where the store is.
    pub fn store(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("reelkeeper.db").display())
    }

    /// The next run of the service, on another port, of which LiveKit is told.
    pub async fn reelkeeper(&self, settings: &[(&str, &str)]) -> Reelkeeper {
        let store = self.store();
        let settings = [&[("REELKEEPER_STORE", store.as_str())], settings].concat();
        let service = Reelkeeper::start_in(self.folder.clone(), &self.sim.url, &settings).await;
        self.sim.tell(&service);
        service
    }
}

#[tokio::test]
async fn everything_is_still_there_and_what_runs_runs_on() {
    let lasting = Lasting::begin().await;
    let service = lasting.reelkeeper(&[]).await;
    let (runs, ends, done) = (
        lasting.sim.room(&service).await,
        lasting.sim.room(&service).await,
        lasting.sim.room(&service).await,
    );
    let done = service.start_recording(&done).await.expect(201).id();
    service.stop_recording(&done).await.expect(202);
    service.until(&done, "complete").await;
    let runs = service.start_recording(&runs).await.expect(201).id();
    let ending = service.start_recording(&ends).await.expect(201).id();
    let room = service.call("GET", &format!("/api/v1/rooms/{ends}")).await.json();
    let before = service.recordings().await;
    service.finish_with(Left::Running(2)).await;

    // This one ends while nobody is there to be told.
    let ended = reelkeeper_actors::ids::RoomId::from_trusted(&*ends);
    assert!(lasting.sim.control.live().with(|world| world.delete_room(&ended)));

    let service = lasting.reelkeeper(&[]).await;
    let found = service.call("GET", &format!("/api/v1/rooms/{ends}")).await.json();
    for field in ["roomId", "roomName", "creationDate", "config", "status"] {
        assert_eq!(found[field], room[field], "{field}");
    }
    let complete = service.until(&ending, "complete").await;
    assert_eq!(complete["duration"], 4, "{complete}");
    let listed: Vec<Value> = service.recordings().await.iter().map(|r| r["recordingId"].clone()).collect();
    let expected: Vec<Value> = before.iter().map(|r| r["recordingId"].clone()).collect();
    assert_eq!(listed, expected);
    assert_eq!(service.recording(&runs).await.field("status"), "active");
    let room = runs.split("--").next().unwrap().to_owned();
    service.start_recording(&room).await.refused(409, "Recording Error", "already");
    service.stop_recording(&runs).await.expect(202);
    service.until(&runs, "complete").await;
    try_send(service.media(&done)).await.unwrap().expect(200);
    assert_eq!(lasting.sim.calls(&room, Method::StartEgress).len(), 1);
    service.finish().await;
}

/// The service goes while LiveKit has a start before it: it is looked for, never asked for again.
#[tokio::test]
async fn a_start_that_was_interrupted_is_found_and_not_repeated() {
    // Whether LiveKit has done the work when the service goes.
    for trouble in [CallTrouble::Hold, CallTrouble::HoldAnswer] {
        let lasting = Lasting::begin().await;
        let service = lasting.reelkeeper(&[("REELKEEPER_DRAIN_TIMEOUT", "0s")]).await;
        let room = lasting.sim.room(&service).await;
        lasting.sim.trouble(&room, Method::StartEgress, trouble);
        let start = try_send(
            service.request("POST", "/api/v1/recordings").json(&serde_json::json!({"roomId": room})),
        );
        let start = tokio::spawn(start);
        eventually("LiveKit holds the call", async || {
            let held = lasting.sim.control.live().with(|world| world.held().len());
            (held == 1).then_some(())
        })
        .await;
        service.stop().await;
        // Neither 201 nor a refusal is known to be true; no answer is an answer here.
        if let Ok(reply) = start.await.unwrap() {
            assert_eq!(reply.status, 503, "{}", reply.text());
        }

        let service = lasting.reelkeeper(&[]).await;
        lasting.sim.control.live().with(|world| world.release(None, Release::GoOn));
        let id = eventually("the recording is adopted", async || {
            let recording = service.recordings().await.pop()?;
            (recording["status"] == "active").then(|| recording["recordingId"].as_str().unwrap().to_owned())
        })
        .await;
        service.start_recording(&room).await.refused(409, "Recording Error", "already");
        assert_eq!(lasting.sim.calls(&room, Method::StartEgress).len(), 1);
        service.stop_recording(&id).await.expect(202);
        service.until(&id, "complete").await;
        service.finish().await;
    }
}

/// A stop that was owed when the service went is carried out by the next one.
#[tokio::test]
async fn a_stop_that_was_owed_is_carried_out() {
    let lasting = Lasting::begin().await;
    let settings = [("REELKEEPER_DRAIN_TIMEOUT", "0s"), ("REELKEEPER_REQUEST_TIMEOUT", "1s")];
    let service = lasting.reelkeeper(&settings).await;
    let room = lasting.sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    for _ in 0..3 {
        lasting.sim.trouble(&room, Method::StopEgress, CallTrouble::Cut);
    }
    service.stop_recording(&id).await.refused(503, "Service Unavailable", "will be carried out");
    service.stop().await;

    let service = lasting.reelkeeper(&[]).await;
    service.until(&id, "complete").await;
    service.finish().await;
}

/// The second process on a store must not start.
#[tokio::test]
async fn a_store_has_one_service() {
    let lasting = Lasting::begin().await;
    let service = lasting.reelkeeper(&[]).await;
    let store = lasting.store();
    let settings = [("REELKEEPER_STORE", store.as_str())];
    let second = Reelkeeper::try_start(&lasting.folder, &lasting.sim.url, &settings).await;
    let problem = second.expect_err("the store is taken");
    assert!(problem.contains(&std::process::id().to_string()), "names the holder: {problem}");
    service.call("GET", "/api/v1/recordings").await.expect(200);
    service.finish().await;
}
