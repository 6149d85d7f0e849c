//! What moderators do in their rooms' meetings (contract `rooms.md` 6 and 8).

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::simulator::calls::{DataMessage, Method};
use serde_json::{Value, json};

use crate::bearers::{Shown, joining, member, secret, send};
use crate::harness::{Reelkeeper, Sim, folder, quick, simulated};
use crate::wire::{eventually, try_send};

fn signals(sim: &Sim, room: &str, topic: &str) -> Vec<DataMessage> {
    let sent = sim.calls(room, Method::SendData).into_iter().filter_map(|call| call.data);
    sent.filter(|message| message.topic == topic).collect()
}

#[tokio::test]
async fn a_moderator_promotes_kicks_and_ends() {
    let (service, sim) = simulated(&[]).await;
    let room = service.room().await;
    let ann = sim.join(&joining(&service, &room, "moderatorUrl", "Ann").await).await;
    let bob = sim.join(&joining(&service, &room, "speakerUrl", "Bob").await).await;
    let moderator = Shown::member(&member(&service, &room, "moderatorUrl").await);
    let base = format!("/internal-api/v1/meetings/{room}");

    let role = json!({"role": "moderator"});
    let path = format!("{base}/participants/{bob}/role");
    send(&service, "PUT", &path, &moderator, &role).await.expect(200);
    let name = RoomId::from_trusted(&room);
    let people = sim.control.live().with(|world| world.participants(&name));
    let metadata = |identity: &str| {
        let found = people.iter().find(|person| person.identity == identity).unwrap();
        serde_json::from_str::<Value>(&found.metadata).unwrap()
    };
    let bobs = metadata(&bob);
    assert_eq!((&bobs["role"], &bobs["permissions"]["canRecord"]), (&json!("moderator"), &json!(true)));
    let told = signals(&sim, &room, "meet_participant_role_updated");
    assert_eq!(
        told.iter().map(|message| message.to.clone()).collect::<Vec<_>>(),
        [vec![bob.clone()], vec![ann.clone()]]
    );
    let payloads: Vec<Value> =
        told.iter().map(|message| serde_json::from_str(&message.payload).unwrap()).collect();
    assert_eq!(payloads[0]["secret"], secret(&service, &room, "moderatorUrl").await);
    assert_eq!((payloads[1].get("secret"), &payloads[1]["newRole"]), (None, &json!("moderator")));
    assert_eq!(payloads[1]["participantIdentity"], bob);

    send(&service, "PUT", &path, &moderator, &json!({"role": "admin"})).await.expect(422);
    let nobody = format!("{base}/participants/nobody");
    send(&service, "PUT", &format!("{nobody}/role"), &moderator, &role).await.refused(
        404,
        "Participant Error",
        "nobody",
    );
    send(&service, "DELETE", &nobody, &moderator, &Value::Null).await.refused(
        404,
        "Participant Error",
        "nobody",
    );
    send(&service, "DELETE", &format!("{base}/participants/{bob}"), &moderator, &Value::Null)
        .await
        .expect(200);
    let left = sim.control.live().with(|world| world.participants(&name));
    assert_eq!(left.iter().map(|person| person.identity.as_str()).collect::<Vec<_>>(), [ann.as_str()]);

    for _ in 0..2 {
        send(&service, "DELETE", &base, &moderator, &Value::Null).await.expect(200);
    }
    eventually("the meeting is over", async || {
        let shown = service.call("GET", &format!("/api/v1/rooms/{room}")).await.json();
        (shown["status"] == "open").then_some(())
    })
    .await;
    service.finish().await;
}

#[tokio::test]
async fn a_configuration_is_told_to_the_meeting() {
    // LiveKit has the room, and we were not told: else nothing could be changed.
    let folder = folder();
    let sim = Sim::run(&folder, quick()).await;
    let service = Reelkeeper::start_in(folder, &sim.url, &[]).await;
    let (room, silent) = (service.room().await, service.room().await);
    sim.people(&room);
    let body = json!({"config": {"chat": {"enabled": false}}});
    let path = format!("/api/v1/rooms/{silent}/config");
    try_send(service.request("PUT", &path).json(&body)).await.unwrap().expect(200);
    let path = format!("/api/v1/rooms/{room}/config");
    try_send(service.request("PUT", &path).json(&body)).await.unwrap().expect(200);
    let told =
        eventually("it is told", async || signals(&sim, &room, "meet_room_config_updated").pop()).await;
    let payload: Value = serde_json::from_str(&told.payload).unwrap();
    assert_eq!((&payload["roomId"], &payload["config"]["chat"]["enabled"]), (&json!(room), &json!(false)));
    assert!(sim.calls(&silent, Method::SendData).is_empty(), "LiveKit has no such room");
    service.finish().await;
}
