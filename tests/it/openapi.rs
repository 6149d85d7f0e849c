//! Every answer that a test gets, held against the OpenAPI document: that its status is told there for this
//! route, and that headers and body are as described. `wire::try_send` asks for it.
//!
//! The check is stricter than a client may be: what the document does not name must not be there, and a part
//! of a resource is taken only from who asked for parts with `fields`.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reelkeeper::http::base_path::BasePath;
use reelkeeper::http::openapi::document;
use reqwest::header::HeaderMap;
use reqwest::{Method, Request};
use serde_json::{Value, json};

use crate::harness::simulated;
use crate::wire::{Reply, try_send};

/// What begins with this is asked of the simulated LiveKit, not of us.
const LIVEKITS: [&str; 2] = ["/control", "/twirp"];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&BasePath::default()));
/// Made once each: by the schema's text and by what may be asked.
static VALIDATORS: LazyLock<Mutex<BTreeMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// What was asked.
pub struct Asked {
    method: Method,
    path: String,
    wants_parts: bool,
}

impl Asked {
    /// What a request asks.
    pub fn of(request: &Request) -> Self {
        let url = request.url();
        let wants_parts = url.query_pairs().any(|(name, _)| name == "fields");
        Self { method: request.method().clone(), path: url.path().to_owned(), wants_parts }
    }

    /// Fails the test if the answer is not as the document says.
    #[track_caller]
    pub fn is_answered_by(&self, reply: &Reply) {
        let Self { method, path, .. } = self;
        if let Err(fault) = self.check(reply) {
            let body = String::from_utf8_lossy(&reply.body[..reply.body.len().min(2_000)]);
            panic!("{method} {path} {} is not as the document says: {fault}\n{body}", reply.status);
        }
    }

    fn check(&self, reply: &Reply) -> Result<(), String> {
        if self.method == Method::OPTIONS || LIVEKITS.iter().any(|begin| self.path.starts_with(begin)) {
            return Ok(());
        }
        let Some(operation) = operation(&self.method, &self.path) else { return self.is_unknown(reply) };
        let response = operation["responses"].get(reply.status.to_string()).ok_or("no such status")?;
        let response = resolved(response);
        self.has_headers(response, &reply.headers)?;
        match response.get("content") {
            None if reply.body.is_empty() => Ok(()),
            None => Err("no body is told of".to_owned()),
            Some(content) => self.has_content(content, reply),
        }
    }

    fn is_unknown(&self, reply: &Reply) -> Result<(), String> {
        let error = json!({"$ref": "#/components/schemas/Error", "properties": {"error": {"const": "Path Not Found"}}});
        match (reply.status, &self.method) {
            (404, &Method::HEAD) => Ok(()),
            (404, _) => self.fits(&error, &reply.json()),
            _ => Err("no such route".to_owned()),
        }
    }

    fn has_headers(&self, response: &Value, headers: &HeaderMap) -> Result<(), String> {
        for (name, told) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let value = headers.get(name).ok_or(format!("the header {name} is not there"))?;
            let text = value.to_str().map_err(|error| format!("{name}: {error}"))?;
            let is_number = told["schema"]["type"] == "integer";
            let number = is_number.then(|| text.parse::<i64>().ok()).flatten();
            let value = number.map_or_else(|| Value::from(text), Value::from);
            self.fits(&told["schema"], &value).map_err(|fault| format!("{name}: {fault}"))?;
        }
        Ok(())
    }

    fn has_content(&self, content: &Value, reply: &Reply) -> Result<(), String> {
        let essence = reply.header("content-type").split(';').next().unwrap_or_default();
        let told = content.get(essence).ok_or(format!("content of type '{essence}' is not told of"))?;
        let Some(schema) = told.get("schema").filter(|_| self.method != Method::HEAD) else { return Ok(()) };
        let value = if essence == "application/json" {
            serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?
        } else {
            Value::from(reply.text())
        };
        self.fits(schema, &value)
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = format!("{} {schema}", self.wants_parts);
        let validator = validators.entry(key).or_insert_with(|| self.validator(schema));
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|fault| format!("{fault} at '{}'", fault.instance_path()))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut components = DOCUMENT["components"].clone();
        if !self.wants_parts {
            let schemas = components["schemas"].as_object_mut().unwrap();
            let parts = schemas.iter_mut().filter(|(name, _)| name.ends_with("Parts"));
            parts.for_each(|(_, schema)| *schema = Value::Bool(false));
        }
        let mut schema = schema.clone();
        close(&mut schema);
        close(&mut components);
        schema["components"] = components;
        jsonschema::draft202012::new(&schema).unwrap()
    }
}

/// Lets no object have properties that are not named, unless it says that it may.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("type").is_some_and(|kind| kind == "object") && map.contains_key("properties") {
                map.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}

/// Fails the test if an outgoing webhook is not as the document says.
#[track_caller]
pub fn is_told(body: &Value) {
    let event = body["event"].as_str().unwrap_or_default();
    let told = &DOCUMENT["webhooks"][event]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(told.is_object(), "no such event: {body}");
    let all = Asked { method: Method::POST, path: String::new(), wants_parts: false };
    if let Err(fault) = all.fits(told, body) {
        panic!("a notice is not as the document says: {fault}\n{body}");
    }
}

fn resolved(part: &Value) -> &Value {
    let reference = part.get("$ref").and_then(Value::as_str);
    reference.map_or(part, |reference| DOCUMENT.pointer(&reference[1..]).unwrap())
}

/// Where two paths fit, the first wins, as in the router.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let method = if *method == Method::HEAD { "get" } else { &method.as_str().to_lowercase() };
    let mut paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let found = paths.find(|(told, item)| {
        let base = if item.get("servers").is_some() { "" } else { "/meet" };
        is_of(&format!("{base}{told}"), path)
    });
    found.and_then(|(_, item)| item.get(method))
}

/// Letter case and one slash at the end are no matter.
fn is_of(told: &str, path: &str) -> bool {
    let path: Vec<_> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let told: Vec<_> = told.split('/').collect();
    let fits = |(told, asked): (&&str, &&str)| {
        if told.starts_with('{') { !asked.is_empty() } else { told.eq_ignore_ascii_case(asked) }
    };
    path.len() == told.len() && told.iter().zip(&path).all(fits)
}

#[tokio::test]
async fn what_the_service_shows_is_what_answers_are_held_against() {
    let (service, _sim) = simulated(&[]).await;
    assert_eq!(service.call("GET", "/api/v1/openapi.json").await.expect(200).json(), *DOCUMENT);
    let page = try_send(service.bare("GET", "/MEET/api/v1/docs/")).await.unwrap().expect(200);
    assert!(page.text().contains("startRecording"));
    service.finish().await;
}

#[test]
fn an_answer_that_is_not_as_described_is_found() {
    let told = json!({"error": "Room Error", "message": "Room 'r' not found"});
    let room = "/meet/api/v1/rooms/r";
    let cases = [
        ("GET", room, 404, told.clone(), None),
        ("PATCH", room, 200, told.clone(), Some("no such route")),
        ("GET", "/meet/api/v1/room", 404, told.clone(), Some("Path Not Found")),
        ("GET", room, 409, told.clone(), Some("no such status")),
        ("GET", room, 503, told.clone(), Some("the header Retry-After is not there")),
        ("GET", room, 404, json!({"error": "Recording Error", "message": ""}), Some("'/error'")),
        ("GET", room, 404, json!({"error": "Room Error"}), Some("\"message\" is a required property")),
        ("GET", room, 404, json!({"error": "Room Error", "message": "", "x": 1}), Some("'x'")),
        ("GET", room, 200, json!({"roomId": "r"}), Some("anyOf")),
        ("GET", &format!("{room}?fields=roomId"), 200, json!({"roomId": "r"}), None),
    ];
    for (method, path, status, body, expected) in cases {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let asked = Asked::of(&Request::new(method, format!("http://host{path}").parse().unwrap()));
        let headers =
            HeaderMap::from_iter([("content-type".parse().unwrap(), "application/json".parse().unwrap())]);
        let reply = Reply { status, headers, body: body.to_string().into() };
        let found = asked.check(&reply);
        match expected {
            None => assert_eq!(found, Ok(()), "{path} {status} {body}"),
            Some(fragment) => assert!(found.clone().unwrap_err().contains(fragment), "{body}: {found:?}"),
        }
    }
}
