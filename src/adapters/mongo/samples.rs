//! Documents as each release of OpenVidu Meet left them: what is read of them, and that what we write is the same.
//!
//! The files are MongoDB's extended JSON, typed as Meet's driver writes (contract `storage.md` 1.2).

use ::mongodb::bson::Document;

use super::documents::{
    of_api_key, of_recording, of_room, of_settings, of_user, to_api_key, to_recording, to_room, to_secrets,
    to_settings, to_user,
};

fn sample(text: &str) -> Document {
    serde_json::from_str(text).unwrap()
}

/// The document as we would write it anew, beside what is there: without the id, in the same order.
fn same_again(written: &Document, sample: &Document) {
    let mut expected = sample.clone();
    expected.remove("_id");
    let sorted = |document: &Document| {
        let mut fields: Vec<_> =
            document.iter().map(|(field, value)| format!("{field}: {value:?}")).collect();
        fields.sort();
        fields.join("\n")
    };
    assert_eq!(sorted(written), sorted(&expected));
}

#[test]
fn rooms_of_each_release_are_read() {
    for (name, text) in [
        ("room_v1_release_3_5", include_str!("samples/room_v1_release_3_5.json")),
        ("room_without_a_version", include_str!("samples/room_without_a_version.json")),
        ("room_v2_release_3_6", include_str!("samples/room_v2_release_3_6.json")),
    ] {
        let room = to_room(sample(text)).unwrap();
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&room).unwrap());
    }
}

#[test]
fn recordings_of_each_release_are_read() {
    for (name, text) in [
        ("recording_v1_release_3_5", include_str!("samples/recording_v1_release_3_5.json")),
        ("recording_v2_release_3_6", include_str!("samples/recording_v2_release_3_6.json")),
        ("recording_that_starts", include_str!("samples/recording_that_starts.json")),
    ] {
        let recording = to_recording(sample(text)).unwrap();
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&recording).unwrap());
        assert_eq!(to_secrets(&sample(text)).unwrap().private, "bbbbbbbbbb");
    }
}

#[test]
fn what_we_write_is_what_the_original_wrote() {
    let room = sample(include_str!("samples/room_v2_release_3_6.json"));
    same_again(&of_room(&to_room(room.clone()).unwrap()).unwrap(), &reordered(room));
    let recording = sample(include_str!("samples/recording_v2_release_3_6.json"));
    let (read, secrets) = (to_recording(recording.clone()).unwrap(), to_secrets(&recording).unwrap());
    same_again(&of_recording(&read, &secrets).unwrap(), &recording);
    let user = sample(include_str!("samples/user.json"));
    same_again(&of_user(&to_user(&user).unwrap()).unwrap(), &user);
    let key = sample(include_str!("samples/api_key.json"));
    same_again(&of_api_key(&to_api_key(&key).unwrap()), &key);
    let config = sample(include_str!("samples/global_config.json"));
    same_again(&of_settings(&to_settings(config.clone()).unwrap()).unwrap(), &config);
}

/// The order of fields within the configuration means nothing to anybody.
fn reordered(mut room: Document) -> Document {
    let config = room.get_document_mut("config").unwrap();
    let fields = ["recording", "chat", "virtualBackground", "e2ee", "captions"];
    *config = fields.iter().map(|field| ((*field).to_owned(), config.get(field).cloned().unwrap())).collect();
    room
}

#[test]
fn what_cannot_be_read_is_named() {
    let mut recording = sample(include_str!("samples/recording_v2_release_3_6.json"));
    recording.insert("status", "EGRESS_COMPLETE");
    let error = to_recording(recording).unwrap_err().to_string();
    assert!(error.contains("town_hall-abcdef123456789--EG_abc123--0123456789"), "{error}");
    let mut room = sample(include_str!("samples/room_v2_release_3_6.json"));
    room.remove("config");
    assert!(to_room(room).unwrap_err().to_string().contains("town_hall-abcdef123456789"));
}
