//! The OpenAPI document against the router and the core's words, and how it is served.

use std::collections::BTreeSet;

use axum::http::header;
use reelkeeper_actors::ports::catalog::list::RecordingSort;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::encoding::{Layout, Preset};
use serde_json::{Value, json};

use super::{API, call, default_app, request, send};
use crate::http::base_path::BasePath;
use crate::http::openapi::document;
use crate::http::{AT_ROOT, INTERNAL, PUBLIC};

/// All that a route may be asked with; HEAD goes with GET.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const ROUTER: &str = include_str!("../../http.rs");
const STORED: &str = include_str!("../openapi/document.json");

fn default_document() -> Value {
    document(&BasePath::default())
}

/// Method and path of each operation, as the router spells them.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let base = if item.get("servers").is_some() { "" } else { "/meet" };
        let methods = item.as_object().unwrap().keys().filter(|key| METHODS.contains(&key.as_str()));
        methods.map(move |method| (method.clone(), format!("{base}{path}")))
    });
    operations.collect()
}

#[tokio::test]
async fn every_route_has_an_entry_and_no_other() {
    let app = default_app().await;
    let below = PUBLIC.iter().chain(&INTERNAL).map(|path| format!("/meet{path}"));
    let mut routed = BTreeSet::new();
    for path in below.chain(AT_ROOT.map(str::to_owned)) {
        let asked = path.replace(['{', '}'], "");
        for method in METHODS {
            let reply = call(&app, &method.to_uppercase(), &asked, "").await;
            if reply.json()["error"] != "Path Not Found" {
                routed.insert((method.to_owned(), path.clone()));
            }
        }
    }
    assert_eq!(operations(&default_document()), routed);
    // Only what stands in those lists was asked for.
    assert!(!ROUTER.contains(".route(\""), "the path of a route comes from a list");
}

#[test]
fn the_stored_document_is_the_one_of_a_service_as_it_comes() {
    let printed = default_document();
    assert!(format!("{printed:#}\n") == STORED, "openapi/document.json is not written as it is printed");
    assert_eq!(printed["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (base, url) in [("", "/"), ("a/b", "/a/b")] {
        let base = BasePath::parse(base).unwrap();
        assert_eq!(document(&base)["servers"][0]["url"], url);
    }
}

#[test]
fn the_document_knows_the_cores_words() {
    let document = default_document();
    let schema = |name: &str| &document["components"]["schemas"][name]["enum"];
    assert_eq!(schema("RecordingStatus"), &json!(RecordingStatus::ALL.map(RecordingStatus::name)));
    assert_eq!(schema("EncodingPreset"), &json!(Preset::ALL.map(Preset::name)));
    assert_eq!(schema("Layout"), &json!(Layout::NAMES));
    let parameters = document["paths"]["/api/v1/recordings"]["get"]["parameters"].as_array().unwrap();
    let sort = parameters.iter().find(|parameter| parameter["name"] == "sortField").unwrap();
    assert_eq!(sort["schema"]["enum"], json!(RecordingSort::ALL.map(RecordingSort::name)));
}

#[test]
fn every_reference_leads_somewhere_and_nothing_lies_unused() {
    let document = default_document();
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    for reference in &referred {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(
                referred.contains(&format!("#/components/{kind}/{name}")),
                "nothing refers to {kind} {name}"
            );
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn document_and_page_are_served_to_anybody_and_may_be_kept() {
    let app = default_app().await;
    for (path, content_type) in [("openapi.json", "application/json"), ("docs", "text/html; charset=utf-8")] {
        let path = format!("{API}/{path}");
        let mut anybody = request("GET", &path, "");
        anybody.headers_mut().remove("x-api-key");
        let reply = send(&app, anybody).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, content_type), "{path}");
        assert_eq!(reply.header("cache-control"), "public, max-age=300");
        for (etag, status) in [(reply.header("etag"), 304), ("\"another\"", 200)] {
            let mut again = request("GET", &path, "");
            again.headers_mut().insert(header::IF_NONE_MATCH, etag.parse().unwrap());
            let again = send(&app, again).await;
            assert_eq!((again.status, again.body.is_empty()), (status, status == 304), "{path} {etag}");
            assert_eq!(again.header("etag"), reply.header("etag"));
        }
    }
    assert_eq!(call(&app, "GET", &format!("{API}/openapi.json"), "").await.json(), default_document());
}

#[tokio::test]
async fn the_page_holds_the_document_and_loads_nothing() {
    let app = default_app().await;
    let reply = call(&app, "GET", &format!("{API}/docs"), "").await;
    assert!(reply.header("content-security-policy").starts_with("default-src 'none';"));
    let page = std::str::from_utf8(&reply.body).unwrap();
    let (before, rest) = page.split_once(r#"id="document">"#).unwrap();
    let (held, after) = rest.split_once("</script>").unwrap();
    for outside in ["://", "src=", "@import", "url(", "fetch(", "innerHTML", "{{"] {
        assert!(![before, after].iter().any(|part| part.contains(outside)), "{outside} stands in the page");
    }
    assert_eq!(serde_json::from_str::<Value>(held).unwrap(), default_document());
}
