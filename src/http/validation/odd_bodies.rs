//! Bodies that nobody expects: whatever is sent is read, or refused with the rules that it breaks.

use std::time::Duration;

use proptest::prelude::proptest;
use reelkeeper_actors::recording::Timestamp;
use serde_json::{Value, json};

use super::{access, recording, room};
use crate::http::error::Failure;
use crate::http::odd;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Most rules that one body can break.
const FAULTS_MAX: usize = 64;

fn good_room() -> Value {
    json!({
        "roomName": "Town Hall",
        "autoDeletionDate": NOW.0 + 7_200_000,
        "autoDeletionPolicy": {"withMeeting": "force", "withRecordings": "close"},
        "config": {
            "recording": {
                "enabled": true,
                "layout": "speaker",
                "encoding": {
                    "video": {"width": 640, "height": 360, "framerate": 30, "codec": "H264_MAIN", "bitrate": 500,
                        "keyFrameInterval": 2, "depth": 24},
                    "audio": {"codec": "OPUS", "bitrate": 96, "frequency": 48_000}
                },
                "allowAccessTo": "admin_moderator"
            },
            "chat": {"enabled": true},
            "virtualBackground": {"enabled": false},
            "e2ee": {"enabled": false},
            "captions": {"enabled": true}
        }
    })
}

fn good_start() -> Value {
    json!({"roomId": "town_hall-1", "config": {"layout": "grid", "encoding": "H264_720P_30"}})
}

fn good_member() -> Value {
    json!({"secret": "0123456789", "grantJoinMeetingPermission": true, "participantName": "Ann"})
}

type Reader = fn(&Value) -> Result<(), Failure>;

/// Every reader of a body, what it is for, and what it takes.
fn readers() -> [(&'static str, Value, Reader); 5] {
    [
        ("new room", good_room(), |body| room::new_room(body, NOW, Duration::from_hours(1)).map(drop)),
        ("start", good_start(), |body| recording::start(body).map(drop)),
        ("member token", good_member(), |body| access::member_token(body).map(drop)),
        ("login", json!({"username": "admin", "password": "admin"}), |body| access::login(body).map(drop)),
        ("password change", json!({"currentPassword": "admin", "newPassword": "another"}), |body| {
            access::password_change(body).map(drop)
        }),
    ]
}

/// Read, or refused with at least one broken rule, each in words.
fn check(what: &str, body: &Value, read: Result<(), Failure>) {
    match read {
        Ok(()) => {}
        Err(Failure::Invalid(faults)) => {
            assert!((1..=FAULTS_MAX).contains(&faults.len()), "{what}: {} faults in {body}", faults.len());
            assert!(faults.iter().all(|fault| !fault.message.is_empty()), "{what}: {faults:?}");
        }
        Err(other) => panic!("{what}: {other:?} for {body}"),
    }
}

#[test]
fn a_good_body_is_read() {
    for (what, good, read) in readers() {
        assert!(read(&good).is_ok(), "{what}");
    }
}

proptest! {
    #![proptest_config(odd::repeatable())]
    #[test]
    fn whatever_is_sent_is_read_or_refused_with_reasons(value in odd::value()) {
        for (what, _, read) in readers() {
            check(what, &value, read(&value));
        }
    }

    #[test]
    fn a_room_with_odd_places_is_read_or_refused_with_reasons(body in odd::changed(good_room())) {
        let [(what, _, read), ..] = readers();
        check(what, &body, read(&body));
    }

    #[test]
    fn a_start_with_odd_places_is_read_or_refused_with_reasons(body in odd::changed(good_start())) {
        let [_, (what, _, read), ..] = readers();
        check(what, &body, read(&body));
    }

    #[test]
    fn a_member_with_odd_places_is_read_or_refused_with_reasons(body in odd::changed(good_member())) {
        let [_, _, (what, _, read), ..] = readers();
        check(what, &body, read(&body));
    }
}
