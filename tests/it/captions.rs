//! Live captions: an agent in the meeting for as long as somebody wants them (contract `rooms.md` 6 and 7).

use futures::future::join_all;
use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::Method;
use serde_json::{Value, json};

use crate::bearers::{Shown, joining, member, send};
use crate::harness::{Reelkeeper, Sim, simulated};
use crate::wire::{Reply, client, eventually, try_send};

const ASSISTANTS: &str = "/internal-api/v1/ai/assistants";
const ON: (&str, &str) = ("MEET_CAPTIONS_ENABLED", "true");

/// Somebody in a meeting: what they show, and who they are there.
struct Attendee {
    shown: Shown,
    identity: String,
}

async fn attendee(service: &Reelkeeper, sim: &Sim, room: &str, name: &str) -> Attendee {
    let token = joining(service, room, "speakerUrl", name).await;
    Attendee { identity: sim.join(&token).await, shown: Shown::member(&token) }
}

async fn ask(service: &Reelkeeper, shown: &Shown) -> Reply {
    send(service, "POST", ASSISTANTS, shown, &json!({"capabilities": [{"name": "live_captions"}]})).await
}

async fn stop(service: &Reelkeeper, shown: &Shown, id: &str) -> Reply {
    send(service, "DELETE", &format!("{ASSISTANTS}/{id}"), shown, &Value::Null).await
}

/// The ids of the agents in a room.
fn agents(sim: &Sim, room: &str) -> Vec<String> {
    let room = RoomId::from_trusted(room);
    let found = sim.control.live().with(|world| world.agents_of(&room)).unwrap_or_default();
    found.into_iter().map(|sent| sent.id).collect()
}

async fn leave(sim: &Sim, room: &str, identity: &str) {
    let path = format!("{}/control/rooms/{room}/participants/{identity}", sim.url);
    assert!(try_send(client().delete(path)).await.unwrap().status < 300);
}

#[tokio::test]
async fn one_agent_stays_as_long_as_anybody_wants_captions() {
    let (service, sim) = simulated(&[ON]).await;
    let room = service.room().await;
    let ann = attendee(&service, &sim, &room, "Ann").await;
    let bob = attendee(&service, &sim, &room, "Bob").await;
    let cid = attendee(&service, &sim, &room, "Cid").await;
    let assistant = ask(&service, &ann.shown).await.expect(200).json();
    assert_eq!(assistant["status"], "active");
    let id = assistant["id"].as_str().unwrap();
    assert_eq!(agents(&sim, &room), [id]);
    for shown in [&ann.shown, &bob.shown, &cid.shown] {
        assert_eq!(ask(&service, shown).await.expect(200).json(), assistant, "the same one for all");
    }
    assert_eq!(sim.calls(&room, Method::CreateDispatch).len(), 1);

    for _ in 0..2 {
        stop(&service, &ann.shown, id).await.expect(204);
    }
    leave(&sim, &room, &bob.identity).await;
    // Somebody who wanted none leaves too, with the webhook after that of the other.
    attendee(&service, &sim, &room, "Dee").await;
    eventually("the names are free", async || {
        let token = joining(&service, &room, "speakerUrl", "Bob").await;
        crate::bearers::claims(&token)["name"].as_str().filter(|name| *name == "Bob").map(drop)
    })
    .await;
    assert_eq!(agents(&sim, &room), [id], "one still wants captions");
    leave(&sim, &room, &cid.identity).await;
    eventually("the agent is called back", async || agents(&sim, &room).is_empty().then_some(())).await;

    let again = ask(&service, &ann.shown).await.expect(200).field("id");
    assert_ne!(again, id);
    stop(&service, &ann.shown, "of another time").await.expect(204);
    assert!(agents(&sim, &room).is_empty(), "the last wish is gone");
    service.finish().await;
}

#[tokio::test]
async fn many_who_ask_at_once_get_one_agent() {
    let (service, sim) = simulated(&[ON]).await;
    let room = service.room().await;
    let people = join_all((0..6).map(|at| {
        let name = format!("P{at}");
        let (service, sim, room) = (&service, &sim, &room);
        async move { attendee(service, sim, room, &name).await }
    }))
    .await;
    for _ in 0..3 {
        join_all(people.iter().map(async |who| drop(ask(&service, &who.shown).await.expect(200)))).await;
        assert_eq!(agents(&sim, &room).len(), 1);
        let wishes = people.iter().enumerate().map(async |(at, who)| {
            if at == 0 {
                ask(&service, &who.shown).await.expect(200)
            } else {
                stop(&service, &who.shown, "x").await
            }
        });
        join_all(wishes).await;
        assert_eq!(agents(&sim, &room).len(), 1, "the first wants them still");
        stop(&service, &people[0].shown, "x").await.expect(204);
        assert!(agents(&sim, &room).is_empty());
    }
    service.finish().await;
}

#[tokio::test]
async fn wishes_end_with_the_meeting() {
    let (service, sim) = simulated(&[ON]).await;
    let room = service.room().await;
    let ann = attendee(&service, &sim, &room, "Ann").await;
    ask(&service, &ann.shown).await.expect(200);
    let ended = try_send(client().delete(format!("{}/control/rooms/{room}", sim.url))).await.unwrap();
    assert!(ended.status < 300);
    eventually("the meeting is over", async || {
        let shown = service.call("GET", &format!("/api/v1/rooms/{room}")).await.json();
        (shown["status"] == "open").then_some(())
    })
    .await;
    let bob = attendee(&service, &sim, &room, "Bob").await;
    ask(&service, &bob.shown).await.expect(200);
    assert_eq!(agents(&sim, &room).len(), 1, "the next meeting has its own");
    eventually("the last one's wishes are forgotten", async || {
        stop(&service, &bob.shown, "x").await.expect(204);
        agents(&sim, &room).is_empty().then_some(())
    })
    .await;
    service.finish().await;
}

#[tokio::test]
async fn captions_are_refused_where_they_are_off() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let ann = attendee(&service, &sim, &room, "Ann").await;
    ask(&service, &ann.shown).await.refused(403, "Configuration Error", "MEET_CAPTIONS_ENABLED");
    stop(&service, &ann.shown, "x").await.expect(204);
    service.finish().await;

    let (service, sim) = simulated(&[ON]).await;
    let room = service.room().await;
    let ann = attendee(&service, &sim, &room, "Ann").await;
    let silent = Shown::member(&member(&service, &room, "moderatorUrl").await);
    ask(&service, &silent).await.refused(403, "Authorization Error", "permissions");
    stop(&service, &silent, "x").await.refused(403, "Authorization Error", "permissions");
    let bodies = [
        (json!({}), "capabilities"),
        (json!({"capabilities": "live_captions"}), "capabilities"),
        (json!({"capabilities": []}), "capabilities"),
        (json!({"capabilities": [{"name": "of_tomorrow"}]}), "capabilities"),
        (json!({"capabilities": [{}]}), "capabilities.0.name"),
    ];
    for (body, field) in bodies {
        let refused = send(&service, "POST", ASSISTANTS, &ann.shown, &body).await.expect(422).json();
        assert_eq!(refused["details"][0]["field"], field, "{body}: {refused}");
    }
    let tolerant = json!({"capabilities": [{"name": "of_tomorrow"}, {"name": "live_captions"}]});
    send(&service, "POST", ASSISTANTS, &ann.shown, &tolerant).await.expect(200);

    let quiet = json!({"roomName": "Quiet", "config": {"captions": {"enabled": false}}});
    let made = try_send(service.request("POST", "/api/v1/rooms").json(&quiet)).await.unwrap();
    let quiet = made.expect(201).field("roomId");
    let bob = attendee(&service, &sim, &quiet, "Bob").await;
    ask(&service, &bob.shown).await.refused(403, "Configuration Error", &quiet);
    let gone = service.room().await;
    let cid = Shown::member(&joining(&service, &gone, "speakerUrl", "Cid").await);
    let path = format!("/api/v1/rooms/{gone}?withMeeting=force&withRecordings=force");
    service.call("DELETE", &path).await.expect(200);
    eventually("the room is gone", async || {
        (service.call("GET", &format!("/api/v1/rooms/{gone}")).await.status == 404).then_some(())
    })
    .await;
    ask(&service, &cid).await.refused(404, "Room Error", &gone);
    service.finish().await;
}
