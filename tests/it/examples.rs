//! Every example of the OpenAPI document, carried out in one story: what it sends is taken, and what it shows is what is
//! answered, but for ids, secrets and moments of its own.

use std::collections::{BTreeMap, BTreeSet};

use reelkeeper::http::base_path::BasePath;
use reelkeeper::http::openapi::document;
use reelkeeper_actors::ports::catalog::ApiKey;
use serde_json::Value;

use crate::bearers::{Shown, send};
use crate::harness::{API_KEY, Reelkeeper, Sim, simulated};
use crate::receiver::Receiver;
use crate::wire::eventually;

/// They show this run of the process or the document itself, which no example could.
const WITHOUT: [(&str, &str); 3] =
    [("get", "/api/v1/openapi.json"), ("get", "/readyz"), ("get", "/internal-api/v1/cluster")];

/// Fields that differ from run to run; of them only the kind is compared. What they hold is known from then on.
const LIVE: [&str; 21] = [
    "accessToken",
    "autoDeletionDate",
    "creationDate",
    "dueDate",
    "duration",
    "endDate",
    "filename",
    "id",
    "key",
    "lastError",
    "moderatorUrl",
    "nextPageToken",
    "recordingId",
    "refreshToken",
    "roomId",
    "size",
    "speakerUrl",
    "startDate",
    "token",
    "tries",
    "url",
];

struct Story {
    document: Value,
    service: Reelkeeper,
    sim: Sim,
    /// What stands in the document, and what it is here.
    known: BTreeMap<String, String>,
    done: BTreeSet<(String, String)>,
}

impl Story {
    /// Carries the example of an operation out, and returns what was answered.
    async fn step(&mut self, method: &str, path: &str, shown: &Shown) -> Value {
        let operation = self.document["paths"][path][method].clone();
        let mut asked = path.to_owned();
        let mut shown = shown.clone();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = self.resolved(parameter);
            let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            if parameter["in"] == "path" {
                asked = asked.replace(&format!("{{{name}}}"), &self.live(example.as_str().unwrap()));
            } else if !example.is_null() {
                let values = example.as_array().cloned().unwrap_or_else(|| vec![example.clone()]);
                let values: Vec<_> = values.iter().map(|value| self.live(&text(value))).collect();
                shown.query.push((name.to_owned().leak(), values.join(",")));
            }
        }
        let body = self.live_value(&operation["requestBody"]["content"]["application/json"]["example"]);
        let reply = send(&self.service, &method.to_uppercase(), &asked, &shown, &body).await;
        assert!(reply.status < 300, "{method} {asked} {body}: {} {}", reply.status, reply.text());
        self.done.insert((method.to_owned(), path.to_owned()));
        let told = self.resolved(&operation["responses"][reply.status.to_string()])["content"].clone();
        if told.is_null() {
            return Value::Null;
        }
        let answered = reply.json();
        self.compare(&told["application/json"]["example"], &answered, "", &format!("{method} {path}"));
        answered
    }

    fn resolved(&self, part: &Value) -> Value {
        let reference = part.get("$ref").and_then(Value::as_str);
        reference.map_or(part, |reference| self.document.pointer(&reference[1..]).unwrap()).clone()
    }

    /// A text of the document with what is known put in its place, the longest first.
    fn live(&self, text: &str) -> String {
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_by_key(|(told, _)| std::cmp::Reverse(told.len()));
        known.into_iter().fold(text.to_owned(), |text, (told, here)| text.replace(told, here))
    }

    fn live_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.live(text)),
            Value::Array(items) => items.iter().map(|item| self.live_value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.live_value(value))).collect()
            }
            other => other.clone(),
        }
    }

    fn compare(&mut self, told: &Value, answered: &Value, field: &str, at: &str) {
        match (told, answered) {
            (Value::Object(told), Value::Object(answered)) => {
                let names =
                    |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(told), names(answered), "{at}");
                for (name, told) in told {
                    self.compare(told, &answered[name], name, &format!("{at}: {name}"));
                }
            }
            (Value::Array(told), Value::Array(answered)) => {
                assert_eq!(told.len(), answered.len(), "{at}: {answered:?}");
                for (told, answered) in told.iter().zip(answered) {
                    self.compare(told, answered, field, at);
                }
            }
            (Value::String(told), Value::String(answered)) if LIVE.contains(&field) => {
                if let Some(known) = self.known.get(told) {
                    assert_eq!(answered, known, "{at}: '{told}' was something else before");
                }
                self.learn(told, answered);
            }
            (Value::Number(_), Value::Number(_)) if LIVE.contains(&field) => {}
            _ => assert_eq!(&self.live_value(told), answered, "{at}"),
        }
    }

    /// A URL tells a secret too.
    fn learn(&mut self, told: &str, here: &str) {
        self.known.insert(told.to_owned(), here.to_owned());
        if let Some((told, here)) = told.split_once("secret=").zip(here.split_once("secret=")) {
            self.known.insert(told.1.to_owned(), here.1.to_owned());
        }
    }

    /// What an example of an answer holds, as it is here.
    fn here(&self, method: &str, path: &str, status: &str, pointer: &str) -> String {
        let responses = &self.document["paths"][path][method]["responses"];
        let example = &responses[status]["content"]["application/json"]["example"];
        self.live(example.pointer(pointer).and_then(Value::as_str).unwrap())
    }

    async fn accounts(&mut self) -> Shown {
        const LOGIN: &str = "/internal-api/v1/auth/login";
        self.step("post", LOGIN, &Shown::nothing()).await;
        let refresh = Shown::refresh(&self.here("post", LOGIN, "200", "/refreshToken"));
        let admin = Shown::access(&self.here("post", LOGIN, "200", "/accessToken"));
        self.step("get", "/internal-api/v1/users/profile", &admin).await;
        // Tokens of one second are the same, so what is told of this one may be what is known.
        self.step("post", "/internal-api/v1/auth/refresh", &refresh).await;
        admin
    }

    async fn settings(&mut self, admin: &Shown) {
        self.step("put", "/internal-api/v1/config/webhooks", admin).await;
        self.step("get", "/internal-api/v1/config/webhooks", admin).await;
        self.step("put", "/internal-api/v1/config/security", admin).await;
        self.step("get", "/internal-api/v1/config/security", &Shown::nothing()).await;
        self.step("put", "/internal-api/v1/config/rooms/appearance", admin).await;
        self.step("get", "/internal-api/v1/config/rooms/appearance", &Shown::nothing()).await;
        self.step("get", "/internal-api/v1/config/captions", &Shown::nothing()).await;
    }

    /// Returns the token of somebody in the meeting.
    async fn room(&mut self, key: &Shown) -> Shown {
        self.step("post", "/api/v1/rooms", key).await;
        self.step("get", "/api/v1/rooms", key).await;
        self.step("get", "/api/v1/rooms/{room_id}", key).await;
        self.step("put", "/api/v1/rooms/{room_id}/config", key).await;
        self.step("get", "/api/v1/rooms/{room_id}/config", key).await;
        self.step("get", "/internal-api/v1/rooms/{room_id}/roles", &Shown::nothing()).await;
        self.step("get", "/internal-api/v1/rooms/{room_id}/roles/{secret}", &Shown::nothing()).await;
        let token = self.step("post", "/internal-api/v1/rooms/{room_id}/token", &Shown::nothing()).await;
        let token = token["token"].as_str().unwrap();
        let identity = self.sim.join(token).await;
        let told = self.document["components"]["parameters"]["participantIdentity"]["example"].clone();
        self.known.insert(told.as_str().unwrap().to_owned(), identity);
        Shown::member(token)
    }

    async fn recording(&mut self, key: &Shown) {
        const RECORDING: &str = "/api/v1/recordings/{recording_id}";
        self.step("post", "/api/v1/recordings", key).await;
        self.step("post", "/api/v1/recordings/{recording_id}/stop", key).await;
        let id = self.here("post", "/api/v1/recordings", "201", "/recordingId");
        self.service.until(&id, "complete").await;
        self.step("get", RECORDING, key).await;
        self.step("get", "/api/v1/recordings", key).await;
        self.step("get", "/api/v1/recordings/{recording_id}/url", key).await;
    }

    async fn outgoing(&mut self, key: &Shown) {
        eventually("one is given up", async || {
            let page = send(&self.service, "GET", "/internal-api/v1/webhooks", key, &Value::Null).await;
            (!page.json()["webhooks"].as_array().unwrap().is_empty()).then_some(())
        })
        .await;
        self.step("get", "/internal-api/v1/webhooks", key).await;
        self.step("post", "/internal-api/v1/webhooks/{webhook_id}/replay", key).await;
        self.step("delete", "/internal-api/v1/webhooks/{webhook_id}", key).await;
    }

    /// Rooms and recordings that are only made to be deleted together.
    async fn several(&mut self, key: &Shown) {
        for (path, parameter) in [("/api/v1/recordings", "recordingIds"), ("/api/v1/rooms", "roomIds")] {
            let parameters = self.document["paths"][path]["delete"]["parameters"].clone();
            let parameters = parameters.as_array().unwrap().iter().map(|parameter| self.resolved(parameter));
            let told = parameters.into_iter().find(|told| told["name"] == parameter).unwrap();
            let room = self.sim.room(&self.service).await;
            let here = if parameter == "roomIds" {
                self.service.room().await
            } else {
                let id = self.service.start_recording(&room).await.expect(201).id();
                self.service.stop_recording(&id).await.expect(202);
                self.service.until(&id, "complete").await;
                id
            };
            self.known.insert(told["example"][0].as_str().unwrap().to_owned(), here);
            self.step("delete", path, key).await;
        }
    }

    /// Operations that have something to show.
    fn operations(&self) -> BTreeSet<(String, String)> {
        let mut operations = BTreeSet::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().into_iter().flatten();
                let good = responses.filter(|(status, _)| status.starts_with('2'));
                let shows = good.into_iter().any(|(_, told)| !told["content"]["application/json"].is_null());
                let takes = !operation["requestBody"]["content"]["application/json"].is_null();
                if shows || takes {
                    operations.insert((method.clone(), path.clone()));
                }
            }
        }
        operations
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[tokio::test]
async fn every_example_is_carried_out() {
    let (refusing, taking) = (Receiver::run(&[500; 1000]).await, Receiver::run(&[]).await);
    let settings = [("MEET_CAPTIONS_ENABLED", "true"), ("REELKEEPER_WEBHOOKS_GIVE_UP_AFTER", "1s")];
    let (service, sim) = simulated(&settings).await;
    let document = document(&BasePath::default());
    let receiver = |method: &str, path: &str| {
        let body = &document["paths"][path][method]["requestBody"]["content"]["application/json"];
        body["example"]["url"].as_str().unwrap().to_owned()
    };
    let known = BTreeMap::from([
        (receiver("put", "/internal-api/v1/config/webhooks"), refusing.url.clone()),
        (receiver("post", "/internal-api/v1/config/webhooks/test"), taking.url.clone()),
    ]);
    let mut story = Story { document, service, sim, known, done: BTreeSet::new() };
    let key = Shown::key(API_KEY);

    let admin = story.accounts().await;
    let ann = story.room(&key).await;
    story.step("post", "/internal-api/v1/ai/assistants", &ann).await;
    story.step("delete", "/internal-api/v1/ai/assistants/{assistant_id}", &ann).await;
    story.settings(&admin).await;
    story.recording(&key).await;
    story.step("get", "/internal-api/v1/analytics", &admin).await;
    story
        .step("put", "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}/role", &ann)
        .await;
    story
        .step("delete", "/internal-api/v1/meetings/{room_id}/participants/{participant_identity}", &ann)
        .await;
    story.step("delete", "/internal-api/v1/meetings/{room_id}", &ann).await;
    story.outgoing(&key).await;
    refusing.forgive();
    story.step("post", "/internal-api/v1/config/webhooks/test", &admin).await;

    story.several(&key).await;
    story.step("delete", "/api/v1/recordings/{recording_id}", &key).await;
    let room = story.here("post", "/api/v1/rooms", "201", "/roomId");
    eventually("the meeting is over", async || {
        let shown = story.service.call("GET", &format!("/api/v1/rooms/{room}")).await.json();
        (shown["status"] == "open").then_some(())
    })
    .await;
    story.step("put", "/api/v1/rooms/{room_id}/status", &key).await;
    story.step("delete", "/api/v1/rooms/{room_id}", &key).await;
    story.step("post", "/internal-api/v1/api-keys", &admin).await;
    story.step("get", "/internal-api/v1/api-keys", &admin).await;
    story.step("delete", "/internal-api/v1/api-keys", &admin).await;
    story.step("post", "/internal-api/v1/users/change-password", &admin).await;
    story.step("post", "/internal-api/v1/auth/logout", &Shown::nothing()).await;
    let key = ApiKey { key: API_KEY.to_owned(), creation_date: i64::MAX / 2 };
    story.service.catalog.replace_api_keys(&key).await.unwrap();
    let without = WITHOUT.map(|(method, path)| (method.to_owned(), path.to_owned()));
    let missing: Vec<_> =
        story.operations().into_iter().filter(|operation| !without.contains(operation)).collect();
    let missing: Vec<_> = missing.iter().filter(|operation| !story.done.contains(operation)).collect();
    assert!(missing.is_empty(), "without an example that is carried out: {missing:?}");
    story.service.finish().await;
}
