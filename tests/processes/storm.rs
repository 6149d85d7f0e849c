//! SIGKILL at any moment, while rooms are started, stopped and cleared, and webhooks arrive, or are lost,
//! doubled and late.

use std::time::Duration;

use futures::future::{join, join_all};
use rand::Rng as _;
use rand::rngs::StdRng;
use reelkeeper_actors::ids::RoomId;
use serde_json::json;
use tokio::time::sleep;

use crate::livekit::recording_of;
use crate::seed::chance;
use crate::stage::{Setup, Stage};
use crate::truth;

const ROUNDS: u32 = 30;
const ROOMS: usize = 4;
const CLIENTS_PER_ROOM: usize = 2;
/// More than a client gets done in a round.
const WISHES: usize = 60;
/// From the moment it listens until it is killed.
const LATEST_KILL: Duration = Duration::from_millis(700);

/// What a client does next; the number chooses among the recordings that it can be done to.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Start,
    Stop(usize),
    Delete(usize),
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_lose_nothing() {
    let mut chance = chance("kills at any moment");
    let mut stage = Stage::open(Setup::default()).await;
    let names: Vec<_> = (0..ROOMS).map(|number| format!("storm {number}")).collect();
    let rooms = join_all(names.iter().map(|name| stage.room(name))).await;
    trouble_webhooks(&stage);

    for _ in 0..ROUNDS {
        let kill_after = chance.random_range(Duration::ZERO..LATEST_KILL);
        let clients = rooms.iter().flat_map(|room| [room; CLIENTS_PER_ROOM]);
        let clients = clients.map(|room| client(&stage, room, wishes(&mut chance)));
        let clients: Vec<_> = clients.collect();
        let kill = async {
            sleep(kill_after).await;
            stage.process().send_kill();
        };
        join(join_all(clients), kill).await;
        stage.kill().await;
        stage.run().await;
    }

    stage.livekit.clear_faults();
    truth::holds(&stage, &rooms).await;
    let egresses: usize = rooms.iter().map(|room| stage.livekit.egresses(room).len()).sum();
    let taken = stage.livekit.webhook_answers().iter().filter(|status| **status == 200).count();
    let requests = stage.told().len();
    println!(
        "kills at any moment: {ROUNDS}, {requests} requests, {egresses} egresses, {taken} webhooks taken"
    );
    for room in &rooms {
        truth::room_is_usable(&stage, room).await;
    }
}

fn trouble_webhooks(stage: &Stage) {
    for webhook in ["egress_started", "egress_updated", "egress_ended", "participant_left"] {
        for does in [json!("lost"), json!("doubled"), json!("overtaken"), json!({ "delayed": { "ms": 300 } })]
        {
            stage.livekit.fault(json!({ "webhook": webhook, "does": does, "times": null, "chance": 0.15 }));
        }
    }
}

fn wishes(chance: &mut StdRng) -> Vec<Wish> {
    let mut wish = || match chance.random_range(0..8) {
        0..=3 => Wish::Start,
        4..=6 => Wish::Stop(chance.random_range(0..8)),
        _ => Wish::Delete(chance.random_range(0..8)),
    };
    (0..WISHES).map(|_| wish()).collect()
}

/// Carries out wishes until the service is gone.
async fn client(stage: &Stage, room: &RoomId, wishes: Vec<Wish>) {
    for wish in wishes {
        let mut known = stage.livekit.egresses(room);
        let answer = match wish {
            Wish::Start => stage.start(room).await,
            Wish::Stop(which) => {
                known.retain(|egress| !egress.status.is_terminal());
                let Some(egress) = known.get(which % known.len().max(1)) else { continue };
                stage.stop(&recording_of(egress)).await
            }
            Wish::Delete(which) => {
                known.retain(|egress| egress.status.is_terminal());
                let Some(egress) = known.get(which % known.len().max(1)) else { continue };
                stage.delete(&recording_of(egress)).await
            }
        };
        if answer.is_none() {
            return;
        }
    }
}
