//! What every adapter of [`Catalog`] must do; its lists in `lists`.

mod lists;
mod rooms;

use futures::future::join_all;
use serde_json::json;

use self::lists::lists;
use self::rooms::rooms;
use super::{fresh, fresh_room};
use crate::ids::{EgressId, RecordingId, RoomId, Uid};
use crate::ports::catalog::{ApiKey, Catalog, StoredRecording};
use crate::recording::RecordingStatus::{
    self, Aborted, Active, Complete, Ending, Failed, LimitReached, Starting,
};
use crate::recording::encoding::{Encoding, Layout};
use crate::recording::{AccessSecrets, Recording};

/// How many at once.
const CROWD: u32 = 16;

/// Runs every case. The one about API keys wants the store without other writers of keys.
pub async fn catalog(catalog: &dyn Catalog) {
    rooms(catalog).await;
    a_recording_is_inserted_once(catalog).await;
    of_many_inserts_one_wins(catalog).await;
    a_status_moves_forward_only(catalog).await;
    of_one_status_the_newer_view_stays(catalog).await;
    of_many_updates_the_last_word_stays(catalog).await;
    absent_fields_keep_their_value(catalog).await;
    what_clients_sent_comes_back(catalog).await;
    a_removed_recording_is_gone(catalog).await;
    lists(catalog).await;
    there_is_an_api_key_at_every_moment_or_none(catalog).await;
}

/// A recording of a room, starting.
#[must_use]
pub fn recording(room: &RoomId) -> Recording {
    let egress = EgressId::from_trusted(format!("EG_{}", fresh()));
    Recording {
        recording_id: RecordingId::new(room.clone(), egress, Uid::from_trusted(&fresh()[..10])),
        room_id: room.clone(),
        room_name: "a room".to_owned(),
        status: Starting,
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filename: String::new(),
        start_date: 1_700_000_000_000.25,
        end_date: None,
        duration: None,
        size: None,
        error_code: None,
        error: None,
        details: None,
    }
}

fn stored(recording: Recording, updated_at: i64) -> StoredRecording {
    let secrets = AccessSecrets { public: fresh(), private: fresh() };
    StoredRecording { recording, secrets, updated_at }
}

fn with_status(recording: &Recording, status: RecordingStatus) -> Recording {
    Recording { status, ..recording.clone() }
}

async fn insert(catalog: &dyn Catalog, stored: &StoredRecording) {
    assert!(catalog.insert_recording(stored).await.expect("insert"), "a fresh id");
}

async fn find(catalog: &dyn Catalog, id: &RecordingId) -> StoredRecording {
    catalog.recording(id).await.expect("read").expect("it is there")
}

async fn remove(catalog: &dyn Catalog, id: &RecordingId) {
    assert!(catalog.remove_recording(id).await.expect("remove"), "it was there");
}

async fn a_recording_is_inserted_once(catalog: &dyn Catalog) {
    let first = stored(recording(&fresh_room()), 5);
    let id = &first.recording.recording_id;
    assert_eq!(catalog.recording(id).await.expect("read"), None);
    let updated = catalog.update_recording(&first.recording, 5).await.expect("update");
    assert_eq!(updated, None, "an update never inserts");
    assert_eq!(catalog.recording(id).await.expect("read"), None);

    insert(catalog, &first).await;
    assert_eq!(find(catalog, id).await, first);
    let second = stored(with_status(&first.recording, Complete), 9);
    assert!(!catalog.insert_recording(&second).await.expect("second insert"));
    assert_eq!(find(catalog, id).await, first, "an insert never updates");
    remove(catalog, id).await;
}

async fn of_many_inserts_one_wins(catalog: &dyn Catalog) {
    let recording = recording(&fresh_room());
    let rivals: Vec<_> = (0..CROWD).map(|_| stored(recording.clone(), 1)).collect();
    let answers = join_all(rivals.iter().map(|rival| catalog.insert_recording(rival))).await;
    let winner = find(catalog, &recording.recording_id).await;
    for (rival, answer) in rivals.iter().zip(answers) {
        assert_eq!(answer.expect("insert"), *rival == winner, "its secrets are stored if it won");
    }
    remove(catalog, &recording.recording_id).await;
}

async fn a_status_moves_forward_only(catalog: &dyn Catalog) {
    let moves: [(RecordingStatus, &[RecordingStatus]); 7] = [
        (Starting, &[Starting, Active, Ending, Complete, Failed, Aborted, LimitReached]),
        (Active, &[Active, Ending, Complete, Failed, Aborted, LimitReached]),
        (Ending, &[Ending, Complete, Failed, Aborted, LimitReached]),
        (Complete, &[Complete]),
        (Failed, &[Failed, Complete, LimitReached]),
        (Aborted, &[Aborted, Complete, LimitReached]),
        (LimitReached, &[LimitReached]),
    ];
    for (from, allowed) in moves {
        for to in RecordingStatus::ALL {
            let before = stored(with_status(&recording(&fresh_room()), from), 100);
            insert(catalog, &before).await;
            // Older than what is stored: between two statuses their order decides, not the time.
            let updated_at = if from == to { 100 } else { 50 };
            let view = with_status(&before.recording, to);
            let shown = catalog.update_recording(&view, updated_at).await.expect("update").expect("there");
            let after = find(catalog, &before.recording.recording_id).await;
            let expected = if allowed.contains(&to) { to } else { from };
            assert_eq!((shown.status, after.recording.status), (expected, expected), "{from:?} to {to:?}");
            let time = if allowed.contains(&to) { updated_at } else { 100 };
            assert_eq!(after.updated_at, time, "time of {from:?} to {to:?}");
            assert_eq!(after.secrets, before.secrets, "secrets never change");
            remove(catalog, &before.recording.recording_id).await;
        }
    }
}

async fn of_one_status_the_newer_view_stays(catalog: &dyn Catalog) {
    for (name, updated_at, taken) in [("older", 99, false), ("as old", 100, true), ("newer", 101, true)] {
        let before = stored(with_status(&recording(&fresh_room()), Active), 100);
        insert(catalog, &before).await;
        let view = Recording { duration: Some(1.5), ..before.recording.clone() };
        let shown = catalog.update_recording(&view, updated_at).await.expect("update").expect("there");
        let expected = if taken { &view } else { &before.recording };
        let after = find(catalog, &view.recording_id).await;
        assert_eq!((&shown, &after.recording), (expected, expected), "{name}");
        remove(catalog, &view.recording_id).await;
    }
}

async fn of_many_updates_the_last_word_stays(catalog: &dyn Catalog) {
    let before = stored(recording(&fresh_room()), 0);
    insert(catalog, &before).await;
    let views = (0..CROWD).map(|n| {
        let status = if n == CROWD / 2 { Complete } else { Active };
        let view = Recording { duration: Some(f64::from(n)), ..with_status(&before.recording, status) };
        async move { catalog.update_recording(&view, i64::from(n)).await }
    });
    for answer in join_all(views).await {
        assert!(answer.expect("update").is_some());
    }
    let after = find(catalog, &before.recording.recording_id).await;
    assert_eq!(after.recording.status, Complete, "no other view may follow a terminal one");
    assert_eq!(after.recording.duration, Some(f64::from(CROWD / 2)));
    remove(catalog, &before.recording.recording_id).await;
}

async fn absent_fields_keep_their_value(catalog: &dyn Catalog) {
    let plain = recording(&fresh_room());
    let failed = Recording {
        status: Failed,
        filename: "film.mp4".to_owned(),
        end_date: Some(2e12),
        duration: Some(1.25),
        size: Some(3e9),
        error_code: Some(500),
        error: Some("lost".to_owned()),
        details: Some("a remark".to_owned()),
        ..plain.clone()
    };
    let refuted =
        Recording { status: Complete, error: None, error_code: None, details: None, ..failed.clone() };
    let bare = |status| Recording { status, start_date: 0.0, ..plain.clone() };
    for (name, view, expected) in
        [("the same again", bare(Failed), &failed), ("late truth clears the error", bare(Complete), &refuted)]
    {
        insert(catalog, &stored(failed.clone(), 1)).await;
        let shown = catalog.update_recording(&view, 2).await.expect("update").expect("there");
        assert_eq!(shown, *expected, "{name}");
        assert_eq!(find(catalog, &plain.recording_id).await.recording, *expected, "{name}");
        remove(catalog, &plain.recording_id).await;
    }
}

async fn what_clients_sent_comes_back(catalog: &dyn Catalog) {
    let encoding = json!({
        "video": {"width": 1280, "height": 720, "framerate": 29.97, "codec": "H264_MAIN", "bitrate": 3000,
            "keyFrameInterval": 4, "depth": 24, "theirs": {"deep": [1, null]}},
        "audio": {"codec": "OPUS", "bitrate": 128, "frequency": 44100},
        "also theirs": "kept",
    });
    let encoding: Encoding = serde_json::from_value(encoding).expect("an encoding");
    let names = format!("'; DROP TABLE \"x\" -- {{$set}} é \u{1F3AC} {}", "x".repeat(10_000));
    let before = stored(Recording { encoding, room_name: names, ..recording(&fresh_room()) }, i64::MAX);
    insert(catalog, &before).await;
    assert_eq!(find(catalog, &before.recording.recording_id).await, before);
    remove(catalog, &before.recording.recording_id).await;
}

async fn a_removed_recording_is_gone(catalog: &dyn Catalog) {
    let one = stored(recording(&fresh_room()), 1);
    let id = &one.recording.recording_id;
    assert!(!catalog.remove_recording(id).await.expect("remove"), "it was never there");
    insert(catalog, &one).await;
    let has = async |room: &RoomId, uid: &Uid| catalog.has_recording(room, uid).await.expect("look");
    assert!(has(&id.room, &id.uid).await, "whatever its egress");
    assert!(!has(&fresh_room(), &id.uid).await, "another room's");
    assert!(!has(&id.room, &Uid::from_trusted(&id.uid.as_str()[1..])).await, "a part of a uid is none");
    remove(catalog, id).await;
    assert!(!has(&id.room, &id.uid).await, "it is gone");
    assert_eq!(catalog.recording(id).await.expect("read"), None);
    assert_eq!(catalog.update_recording(&one.recording, 2).await.expect("update"), None);
    assert!(!catalog.remove_recording(id).await.expect("second removal"));
}

async fn there_is_an_api_key_at_every_moment_or_none(catalog: &dyn Catalog) {
    let key = |n| ApiKey { key: format!("ovmeet-{}", fresh()), creation_date: n };
    catalog.remove_api_keys().await.expect("remove");
    let keys: Vec<_> = (0..4).map(key).collect();
    let answers = join_all(keys.iter().map(|key| catalog.insert_first_api_key(key))).await;
    let won: Vec<_> =
        answers.into_iter().zip(&keys).filter(|(won, _)| *won.as_ref().expect("insert")).collect();
    assert_eq!(won.len(), 1, "one of the first ones is stored");
    let stored = async || catalog.api_keys().await.expect("keys");
    assert!(stored().await == [won[0].1.clone()], "and it is the one that was said to be");
    assert!(!catalog.insert_first_api_key(&key(9)).await.expect("insert"), "there is one already");
    for n in 10..12 {
        let next = key(n);
        catalog.replace_api_keys(&next).await.expect("replace");
        assert!(stored().await == [next], "the new one alone");
    }
    let rivals: Vec<_> = (0..8).map(|n| key(12 + n / 4)).collect();
    for answer in join_all(rivals.iter().map(|key| catalog.replace_api_keys(key))).await {
        answer.expect("replace");
    }
    let left = stored().await;
    assert!(left.len() == 1 && rivals.contains(&left[0]), "of several at once one stays: {}", left.len());
    assert_eq!(catalog.remove_api_keys().await.expect("remove"), 1);
    assert!(stored().await.is_empty());
    assert_eq!(catalog.remove_api_keys().await.expect("remove"), 0);
    // Others may want one.
    catalog.replace_api_keys(&keys[0]).await.expect("replace");
}
