//! A room with somebody in it, on services of its own.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::film;
use crate::node::{Node, webhook_url};
use crate::stack::{Process, Stack, Tools, eventually, free_address};

/// What becomes of LiveKit's webhooks.
pub enum Webhooks {
    Arrive,
    /// They go to an address where nobody listens.
    AreLost,
}

/// LiveKit, our service, and somebody who publishes in a room.
pub struct Meeting {
    pub room: String,
    pub node: Node,
    publisher: Process,
    workers: Vec<Process>,
    pub stack: Stack,
}

impl Meeting {
    /// One with an egress worker. `options` are variables of the service's environment.
    pub async fn start(webhooks: Webhooks, options: &[(&'static str, &str)]) -> Self {
        let mut meeting = Self::without_worker(webhooks, options).await;
        meeting.add_worker("").await;
        meeting
    }

    pub async fn without_worker(webhooks: Webhooks, options: &[(&'static str, &str)]) -> Self {
        let address = free_address();
        let told = match webhooks {
            Webhooks::Arrive => address,
            Webhooks::AreLost => free_address(),
        };
        let stack = Stack::start(Tools::of("light"), &webhook_url(told)).await;
        Self::on(stack, address, options).await
    }

    /// One on services that run, whose LiveKit tells this address.
    pub async fn on(stack: Stack, address: SocketAddr, options: &[(&'static str, &str)]) -> Self {
        let node = Node::start(&stack, address, options).await;
        let room = node.make_room("Town Hall").await;
        let publisher = stack.publisher(&room).await;
        Self { room, node, publisher, workers: Vec::new(), stack }
    }

    /// A worker with these options (`tests/stack/README.md`).
    pub async fn add_worker(&mut self, options: &str) {
        let name = format!("worker-{}", self.workers.len() + 1);
        self.workers.push(self.stack.worker(&name, options).await);
    }

    pub async fn kill_workers(&mut self) {
        for mut worker in self.workers.drain(..) {
            worker.kill().await;
        }
    }

    /// Ends the meeting on LiveKit.
    pub async fn delete_room(&self) {
        self.stack.livekit("RoomService/DeleteRoom", json!({"room": self.room})).await;
    }

    /// People meet again in a room that was deleted.
    pub async fn meet_again(&mut self) {
        self.publisher = self.stack.publisher(&self.room).await;
    }

    /// Waits until LiveKit shows the recorder of a recording no more.
    pub async fn recorder_leaves(&self, recording: &str) {
        let identity = egress_of(recording);
        eventually(&format!("recorder {identity} has left"), async || {
            let room = json!({"room": self.room});
            let listed = self.stack.livekit("RoomService/ListParticipants", room).await;
            let mut people = listed["participants"].as_array().unwrap().iter();
            people.all(|person| person["identity"] != identity).then_some(())
        })
        .await;
    }

    /// Waits until LiveKit shows the egress of a recording with this status.
    pub async fn egress_becomes(&self, recording: &str, status: &str) {
        let egress = json!({"egressId": egress_of(recording)});
        eventually(&format!("the egress of '{recording}' is {status}"), async || {
            let listed = self.stack.livekit("Egress/ListEgress", egress.clone()).await;
            (listed["items"][0]["status"] == status).then_some(())
        })
        .await;
    }

    /// That a complete recording has its file, which plays and can be fetched.
    pub async fn is_kept(&self, recording: &str) {
        let shown = self.node.get(&format!("recordings/{recording}")).await.expect(200);
        assert_eq!((&shown["status"], shown.get("error")), (&"complete".into(), None), "{shown}");
        let uid = recording.rsplit("--").next().unwrap();
        let room = &self.room;
        let file = self.stack.blobs().join(format!("openvidu-meet/recordings/{room}/{room}--{uid}.mp4"));
        let media = self.node.media(recording, None).await;
        assert_eq!(media.status, 200, "media of '{recording}'");
        assert!(media.body == std::fs::read(&file).unwrap(), "the media of '{recording}' is not its file");
        assert_eq!(shown["size"], media.body.len(), "{shown}");
        assert!(film::read(self.stack.tools(), &file).duration > 0.0);
    }

    /// Waits until LiveKit lists the room's egresses with these statuses, in any order.
    pub async fn egresses_become(&self, statuses: &[&str]) {
        eventually(&format!("LiveKit lists {statuses:?}"), async || {
            let listed = self.stack.livekit("Egress/ListEgress", json!({"roomName": self.room})).await;
            let items = listed["items"].as_array().unwrap();
            let mut seen: Vec<_> = items.iter().filter_map(|egress| egress["status"].as_str()).collect();
            seen.sort_unstable();
            (seen == statuses).then_some(())
        })
        .await;
    }

    /// Waits until the room's recordings have these statuses and errors, in any order.
    pub async fn recordings_become(&self, expected: &[(&str, &str)]) {
        eventually(&format!("the recordings are {expected:?}"), async || {
            let listed = self.node.recordings_of(&self.room).await;
            let text =
                |recording: &Value, name: &str| recording[name].as_str().unwrap_or_default().to_owned();
            let mut seen: Vec<_> = listed
                .iter()
                .map(|recording| (text(recording, "status"), text(recording, "error")))
                .collect();
            seen.sort();
            let seen = seen.iter().map(|(status, error)| (status.as_str(), error.as_str()));
            seen.eq(expected.iter().copied()).then_some(())
        })
        .await;
    }
}

fn egress_of(recording: &str) -> &str {
    recording.split("--").nth(1).unwrap()
}
