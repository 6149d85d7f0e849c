//! Archives over the router, and over a real connection where it matters how that ends.

use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use reelkeeper_actors::recording::RecordingStatus::{self, Active, Complete, Failed, LimitReached};
use tower::ServiceExt;
use zip::ZipArchive;

use super::media::served;
use super::{API, KEY, app, call, default_app, recording, request, send, world};
use crate::http::HttpSettings;

fn download(ids: &[String]) -> String {
    format!("{API}/recordings/download?recordingIds={}", ids.join(","))
}

fn ids(statuses: &[RecordingStatus]) -> Vec<String> {
    statuses.iter().map(|status| recording(*status).recording_id.to_string()).collect()
}

/// Names and contents, and the comment.
fn unpacked(bytes: Vec<u8>) -> (Vec<(String, String)>, String) {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        files.push((file.name().unwrap().into_owned(), content));
    }
    (files, String::from_utf8(archive.comment().to_vec()).unwrap())
}

#[tokio::test]
async fn an_archive_holds_what_is_there_and_names_what_is_not() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let mut asked = ids(&[LimitReached, Active, Complete, Failed, Complete]);
    asked.insert(1, "room-1--EG_none--u".to_owned());
    let reply = call(&app, "GET", &download(&asked), "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/zip");
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"recordings.zip\"");
    let (files, comment) = unpacked(reply.body.to_vec());
    let expected = [
        ("room-1--EG_limit_reached--limitreached.mp4", "limit_reached"),
        ("room-1--EG_complete--complete.mp4", "complete"),
        ("room-1--EG_complete--complete (2).mp4", "complete"),
    ];
    assert_eq!(files, expected.map(|(name, content)| (name.to_owned(), content.to_owned())));
    let missing = "Not in this archive:\n\
        Recording 'room-1--EG_none--u' not found\n\
        Recording 'room-1--EG_active--active' is not stopped yet\n\
        Recording 'room-1--EG_failed--failed' has no file, its status is 'failed'\n";
    assert_eq!(comment, missing);

    world.blobs.lock().unwrap().clear();
    let (files, comment) = unpacked(call(&app, "GET", &download(&asked), "").await.body.to_vec());
    assert!(files.is_empty());
    assert!(comment.contains("File of recording 'room-1--EG_complete--complete' not found\n"), "{comment}");
}

#[tokio::test]
async fn a_file_that_goes_while_the_archive_is_sent_is_named_too() {
    let world = world();
    let app = app(&world, HttpSettings::default()).await;
    let path = download(&ids(&[Complete, LimitReached]));
    let mut body = app.oneshot(request("GET", &path, "")).await.unwrap().into_body();
    let mut bytes = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    world.blobs.lock().unwrap().clear();
    bytes.extend_from_slice(&body.collect().await.unwrap().to_bytes());
    let (files, comment) = unpacked(bytes);
    assert_eq!(files, [("room-1--EG_complete--complete.mp4".to_owned(), "complete".to_owned())]);
    let missing = "File of recording 'room-1--EG_limit_reached--limitreached' not found";
    assert_eq!(comment, format!("Not in this archive:\n{missing}\n"));
}

#[tokio::test]
async fn a_file_that_breaks_breaks_the_archive() {
    let world = world();
    let base = served(app(&world, HttpSettings::default()).await).await;
    let url = format!("{base}{}", download(&ids(&[Complete, LimitReached])));
    for breaks in [false, true] {
        world.blobs_break.store(breaks, Ordering::SeqCst);
        let request = reqwest::Client::new().get(&url).header("x-api-key", KEY);
        let archive = async { request.send().await?.error_for_status()?.bytes().await }.await;
        assert_eq!(archive.is_ok(), !breaks);
    }
}

#[tokio::test]
async fn an_archive_holds_its_place_until_it_ends_or_nobody_wants_it() {
    let app = app(&world(), HttpSettings { media_concurrency: 1, ..HttpSettings::default() }).await;
    let path = download(&ids(&[Complete, LimitReached]));
    let first = app.clone().oneshot(request("GET", &path, "")).await.unwrap();
    assert_eq!(call(&app, "GET", &path, "").await.status, 503);
    first.into_body().collect().await.unwrap();

    let mut second = app.clone().oneshot(request("GET", &path, "")).await.unwrap().into_body();
    second.frame().await.unwrap().unwrap();
    assert_eq!(call(&app, "GET", &path, "").await.status, 503);
    drop(second);
    assert_eq!(call(&app, "GET", &path, "").await.status, 200);
    assert_eq!(call(&app, "HEAD", &path, "").await.status, 200);
    assert_eq!(call(&app, "GET", &path, "").await.status, 200);
}

#[tokio::test]
async fn an_archive_takes_the_key_and_ids() {
    let app = default_app().await;
    let path = download(&ids(&[Complete]));
    let strange = send(&app, Request::get(&path).body(Body::empty()).unwrap()).await;
    assert_eq!((strange.status, &strange.json()["error"]), (401, &"Authentication Error".into()));
    let messy = path.replace("/recordings/download", "/Recordings/DOWNLOAD/");
    assert_eq!(call(&app, "GET", &messy, "").await.status, 200);
    let many = vec![ids(&[Complete])[0].clone(); 101];
    let too_many = call(&app, "GET", &download(&many), "").await;
    let message = "Array must contain at most 100 element(s)";
    assert_eq!((too_many.status, &too_many.json()["details"][0]["message"]), (422, &message.into()));
    let (files, _) = unpacked(call(&app, "GET", &download(&many[1..]), "").await.body.to_vec());
    assert_eq!(files.len(), 100);
}
