//! What an admin sets for all rooms: who must log in, where webhooks go, how rooms look, the API key (contract
//! `access.md` 5 and 6).

use serde_json::{Value, json};

use crate::bearers::{Shown, ask_for_token, login, secret, send};
use crate::harness::{API_KEY, Reelkeeper, simulated};
use crate::receiver::{Receiver, signature};
use crate::restart::Lasting;
use crate::wire::{Reply, eventually};

const CONFIG: &str = "/internal-api/v1/config";

struct Admin<'a> {
    service: &'a Reelkeeper,
    shown: Shown,
}

impl<'a> Admin<'a> {
    async fn of(service: &'a Reelkeeper) -> Self {
        Self { service, shown: Shown::access(&login(service, "admin", "admin").await.access) }
    }

    async fn send(&self, verb: &str, path: &str, body: &Value) -> Reply {
        send(self.service, verb, path, &self.shown, body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null).await.expect(200).json()
    }
}

#[tokio::test]
async fn who_must_log_in_is_set_for_all_rooms() {
    let (service, _sim) = simulated(&[]).await;
    let admin = Admin::of(&service).await;
    let path = format!("{CONFIG}/security");
    let security = |mode: &str| json!({"authentication": {"authMethod": {"type": "single_user"}, "authModeToAccessRoom": mode}});
    assert_eq!(admin.get(&path).await, security("none"));
    let room = service.room().await;
    let body = |secret: &str| json!({"secret": secret});
    let (moderator, speaker) =
        (secret(&service, &room, "moderatorUrl").await, secret(&service, &room, "speakerUrl").await);
    for (mode, moderators, speakers) in
        [("none", 200, 200), ("moderators_only", 401, 200), ("all_users", 401, 401)]
    {
        admin.send("PUT", &path, &security(mode)).await.expect(200);
        assert_eq!(admin.get(&path).await, security(mode));
        assert_eq!(ask_for_token(&service, &room, &body(&moderator)).await.status, moderators, "{mode}");
        assert_eq!(ask_for_token(&service, &room, &body(&speaker)).await.status, speakers, "{mode}");
        let tokens = format!("/internal-api/v1/rooms/{room}/token");
        admin.send("POST", &tokens, &body(&moderator)).await.expect(200);
    }
    ask_for_token(&service, &room, &body("wrong")).await.refused(400, "Room Error", "");
    admin.send("PUT", &path, &json!({})).await.expect(422);
    service.finish().await;
}

#[tokio::test]
async fn webhooks_go_where_the_admin_says() {
    let (service, sim) = simulated(&[]).await;
    let (admin, receiver) = (Admin::of(&service).await, Receiver::run(&[]).await);
    let path = format!("{CONFIG}/webhooks");
    assert_eq!(admin.get(&path).await, json!({"enabled": false, "url": ""}));
    admin.send("PUT", &path, &json!({"enabled": true})).await.expect(422);
    admin.send("PUT", &path, &json!({"enabled": true, "url": receiver.url})).await.expect(200);
    let room = sim.room(&service).await;
    let told = eventually("the meeting is told", async || receiver.all().pop()).await;
    assert_eq!(told.body["data"]["roomId"], room);
    admin.send("PUT", &path, &json!({"enabled": false})).await.expect(200);
    assert_eq!(admin.get(&path).await, json!({"enabled": false, "url": receiver.url}));

    let test = format!("{path}/test");
    let before = receiver.all().len();
    admin.send("POST", &test, &json!({"url": receiver.url})).await.expect(200);
    let tested = receiver.all().pop().unwrap();
    assert_eq!((receiver.all().len(), &tested.body["event"]), (before + 1, &json!("testEvent")));
    assert!(tested.body["data"]["message"].is_string());
    assert_eq!(tested.signature, signature(API_KEY, &tested.timestamp, &tested.text));
    let refusing = Receiver::run(&[500]).await;
    admin.send("POST", &test, &json!({"url": refusing.url})).await.refused(400, "Webhook Error", "500");
    admin.send("POST", &test, &json!({"url": "http://127.0.0.1:1/"})).await.refused(400, "Webhook Error", "");
    admin.send("POST", &test, &json!({"url": "file:///x"})).await.expect(422);
    send(&service, "POST", &test, &Shown::nothing(), &json!({"url": receiver.url})).await.refused(
        401,
        "Authentication Error",
        "",
    );
    service.finish().await;
}

#[tokio::test]
async fn rooms_look_as_the_admin_says() {
    let (service, _sim) = simulated(&[]).await;
    let admin = Admin::of(&service).await;
    let path = format!("{CONFIG}/rooms/appearance");
    let look = |theme: Value| json!({"appearance": {"themes": [theme]}});
    assert_eq!(admin.get(&path).await, json!({"appearance": {"themes": []}}));
    let dark = json!({"name": "dark", "enabled": true, "baseTheme": "dark", "accentColor": "#fff"});
    admin.send("PUT", &path, &look(dark)).await.expect(200);
    let light = json!({"name": "light", "enabled": false, "baseTheme": "light"});
    admin.send("PUT", &path, &look(light)).await.expect(200);
    let expected = json!({"name": "light", "enabled": false, "baseTheme": "light", "accentColor": "#fff"});
    assert_eq!(admin.get(&path).await, look(expected));
    let refused =
        admin.send("PUT", &path, &look(json!({"name": "a b", "enabled": true, "baseTheme": "dark"}))).await;
    assert_eq!(refused.expect(422).json()["details"][0]["field"], "appearance.themes.0.name");
    assert_eq!(admin.get(&format!("{CONFIG}/captions")).await, json!({"enabled": false}));
    service.finish().await;
}

#[tokio::test]
async fn there_is_one_api_key_and_it_can_be_replaced() {
    let (service, _sim) = simulated(&[]).await;
    let admin = Admin::of(&service).await;
    let path = "/internal-api/v1/api-keys";
    assert_eq!(admin.get(path).await[0]["key"], API_KEY);
    let made = admin.send("POST", path, &Value::Null).await.expect(201).json();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("ovmeet-") && key.len() == "ovmeet-".len() + 32, "{key}");
    assert_eq!(admin.get(path).await, json!([made]));
    service.call("GET", "/api/v1/rooms").await.refused(401, "Authentication Error", "Invalid API key");
    send(&service, "GET", "/api/v1/rooms", &Shown::key(key), &Value::Null).await.expect(200);
    for _ in 0..2 {
        admin.send("DELETE", path, &Value::Null).await.expect(200);
    }
    send(&service, "GET", "/api/v1/rooms", &Shown::key(key), &Value::Null).await.expect(401);
    service.finish().await;
}

/// Also where the configuration still names it.
#[tokio::test]
async fn an_api_key_that_was_deleted_stays_deleted() {
    let lasting = Lasting::begin().await;
    let service = lasting.reelkeeper(&[]).await;
    service.call("GET", "/api/v1/rooms").await.expect(200);
    let path = "/internal-api/v1/api-keys";
    Admin::of(&service).await.send("DELETE", path, &Value::Null).await.expect(200);
    service.stop().await;
    let service = lasting.reelkeeper(&[]).await;
    assert_eq!(Admin::of(&service).await.get(path).await, json!([]));
    service.call("GET", "/api/v1/rooms").await.refused(401, "Authentication Error", "API key");
    service.stop().await;
}

#[tokio::test]
async fn an_admin_sees_how_much_there_is() {
    let (service, sim) = simulated(&[]).await;
    let admin = Admin::of(&service).await;
    let room = sim.room(&service).await;
    service.room().await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    eventually("the meeting is counted", async || {
        let seen = admin.get("/internal-api/v1/analytics").await;
        (seen == json!({"totalRooms": 2, "activeRooms": 1, "totalRecordings": 1, "completeRecordings": 1}))
            .then_some(())
    })
    .await;
    service.finish().await;
}

#[tokio::test]
async fn webhooks_that_were_given_up_are_seen_sent_again_or_dropped() {
    let refusing = Receiver::run(&[500; 8]).await;
    let settings = [&refusing.settings()[..], &[("REELKEEPER_WEBHOOKS_GIVE_UP_AFTER", "1s")]].concat();
    let (service, sim) = simulated(&settings).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    let path = "/internal-api/v1/webhooks";
    let dead = eventually("one is given up", async || {
        let page = service.call("GET", path).await.expect(200).json();
        page["webhooks"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&dead["state"], &dead["event"]), (&json!("dead"), &json!("recordingStarted")));
    assert!(dead["lastError"].as_str().unwrap().contains("500"), "{dead}");
    let first = dead["id"].as_str().unwrap();
    service.call("POST", &format!("{path}/{first}/replay")).await.expect(200);
    eventually("it is delivered", async || {
        let page =
            service.call("GET", &format!("{path}?state=delivered&maxItems=100")).await.expect(200).json();
        page["webhooks"].as_array().unwrap().iter().any(|one| one["id"] == first).then_some(())
    })
    .await;
    service.call("POST", &format!("{path}/{first}/replay")).await.refused(404, "Webhook Error", first);
    service.call("DELETE", &format!("{path}/{first}")).await.refused(404, "Webhook Error", first);
    service.call("GET", &format!("{path}?state=x")).await.expect(422);
    service.until(&id, "complete").await;
    service.finish().await;
}

/// What `reelkeeper webhooks` prints and how it exits, on either stream.
async fn command(service: &Reelkeeper, args: &[&str]) -> (bool, String) {
    let url = format!("http://{}/meet", service.address);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_reelkeeper"));
    command.env_clear().env("REELKEEPER_API_KEY", API_KEY).arg("webhooks").args(args);
    let output = command.args(["--service", &url]).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn the_same_by_command() {
    let refusing = Receiver::run(&[500; 6]).await;
    let settings = [&refusing.settings()[..], &[("REELKEEPER_WEBHOOKS_GIVE_UP_AFTER", "1s")]].concat();
    let (service, sim) = simulated(&settings).await;
    let room = sim.room(&service).await;
    let id = service.start_recording(&room).await.expect(201).id();
    service.stop_recording(&id).await.expect(202);
    service.until(&id, "complete").await;
    let first = eventually("one is given up", async || {
        let (ok, text) = command(&service, &["list"]).await;
        assert!(ok, "{text}");
        let line = text.lines().find(|line| line.contains("recordingStarted"))?.to_owned();
        assert!(line.contains("  dead  ") && line.contains(" tries  ") && line.contains("500"), "{line}");
        line.split("  ").next().map(str::to_owned)
    })
    .await;
    let (ok, text) = command(&service, &["replay", "nobody"]).await;
    assert!(!ok && text.contains("nobody FAILED:") && text.contains("404"), "{text}");
    assert_eq!(command(&service, &["replay", "--all"]).await, (true, format!("{first} is sent again\n")));
    eventually("it is delivered", async || {
        let (_, delivered) = command(&service, &["list", "--state", "delivered", "--json"]).await;
        let ids = delivered.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone());
        ids.into_iter().any(|id| id == first.as_str()).then_some(())
    })
    .await;
    assert_eq!(command(&service, &["list"]).await, (true, String::new()));
    let (ok, text) = command(&service, &["drop", "nobody", &first]).await;
    assert!(!ok && text.contains("2 of 2 could not be changed"), "{text}");
    service.finish().await;
}
