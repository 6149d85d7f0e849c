//! The third ring's full mode: what a browser shows and plays of a room is what its people send.
//!
//! One recording by the stand-in worker with Chromium, and a look at the file: a frame must show the
//! publisher's colours and they must move, and its tone must be heard. Encoders and machines differ, so
//! ranges are asked for, never sizes.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr, reason = "tests")]
#![allow(dead_code, reason = "it stands on the ring's stage and does not need all of it")]

mod film;
mod picture;
mod service;
mod sound;
mod stack;

use std::time::Duration;

use crate::picture::Picture;
use crate::service::{Service, webhook_url};
use crate::stack::{Stack, Tools, free_address};

/// A browser has to start first.
const START_TIMEOUT: (&str, &str) = ("REELKEEPER_START_TIMEOUT", "50s");
const LENGTH: Duration = Duration::from_secs(4);

#[tokio::test]
async fn the_file_shows_the_rooms_picture_and_plays_its_sound() {
    let address = free_address();
    let stack = Stack::start(Tools::of("full"), &webhook_url(address)).await;
    let mut worker = stack.worker("worker", "--mode full").await;
    let service = Service::start(&stack, address, &[START_TIMEOUT]).await;
    let room = service.make_room("Town Hall").await;
    let _publisher = stack.publisher(&room).await;

    let id = service.record(&room).await;
    // Nothing is awaited here: this is the length of the film.
    tokio::time::sleep(LENGTH).await;
    service.stop(&id).await.expect(202);
    service.becomes(&id, "complete").await;
    let file = stack.folder().join("film.mp4");
    let media = service.media(&id, None).await;
    assert_eq!(media.status, 200);
    std::fs::write(&file, media.body).unwrap();

    let seen = film::read(stack.tools(), &file);
    assert_eq!(seen.streams, ["audio aac", "video h264"]);
    let length = LENGTH.as_secs_f64();
    assert!((length / 2.0..length * 3.0).contains(&seen.duration), "{} s", seen.duration);
    let one = Picture::at(stack.tools(), &file, seen.duration / 2.0);
    let other = Picture::at(stack.tools(), &file, seen.duration / 2.0 + 0.5);
    for picture in [&one, &other] {
        picture.shows_the_publishers_colours();
    }
    one.differs_from(&other);
    let loudness = sound::mean_volume(stack.tools(), &file);
    assert!((-40.0..-3.0).contains(&loudness), "{loudness} dB");

    service.ends_with_nothing_owed().await;
    assert!(worker.terminate().await.success());
}
