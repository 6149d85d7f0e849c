//! Requests and views, as tables.

use serde_json::json;

use super::*;

fn order(encoding: Encoding) -> EgressOrder {
    EgressOrder {
        room: RoomId::from_trusted("room-1"),
        layout: Layout::Speaker,
        encoding,
        filepath: "openvidu-meet/recordings/room-1/room-1--0123456789".to_owned(),
    }
}

fn advanced(video: &serde_json::Value, audio: &serde_json::Value) -> Encoding {
    serde_json::from_value(json!({ "video": video, "audio": audio })).unwrap()
}

/// What LiveKit would show of an egress that was started with this request.
fn shown(request: proto::RoomCompositeEgressRequest) -> proto::EgressInfo {
    proto::EgressInfo {
        egress_id: "EG_1".to_owned(),
        room_name: request.room_name.clone(),
        request: Some(egress_info::Request::RoomComposite(request)),
        ..Default::default()
    }
}

#[test]
#[allow(deprecated, reason = "both fields are sent")]
fn a_request_names_the_file_twice() {
    let request = request(&order(Encoding::default()));
    let Some(Output::File(legacy)) = &request.output else { panic!("no legacy file") };
    assert_eq!(request.file_outputs.as_slice(), std::slice::from_ref(legacy));
    assert_eq!(legacy.filepath, "openvidu-meet/recordings/room-1/room-1--0123456789");
    assert_eq!(legacy.file_type, 0);
    assert!(legacy.disable_manifest);
    assert_eq!(legacy.output, None);
    assert_eq!((request.room_name.as_str(), request.layout.as_str()), ("room-1", "speaker"));
    assert_eq!(request.options, None);
}

#[test]
fn every_preset_survives_the_round_trip() {
    for (number, preset) in (0..).zip(Preset::ALL) {
        let order = order(Encoding::Preset(preset));
        let request = request(&order);
        assert_eq!(request.options, (number > 0).then_some(Options::Preset(number)), "{preset:?}");
        assert_eq!(ProtoPreset::try_from(number).unwrap().as_str_name(), preset.name());
        let info = read(shown(request)).unwrap();
        assert_eq!(info.encoding, order.encoding);
        assert_eq!(info.layout, order.layout);
        assert_eq!(info.filepath.as_deref(), Some(order.filepath.as_str()));
    }
}

#[test]
fn every_layout_survives_the_round_trip() {
    for layout in [Layout::Grid, Layout::Speaker, Layout::SingleSpeaker] {
        let order = EgressOrder { layout, ..order(Encoding::default()) };
        assert_eq!(read(shown(request(&order))).unwrap().layout, layout);
    }
}

#[test]
fn advanced_options_are_cut_and_named_as_livekit_wants_them() {
    let table = [
        ("DEFAULT_VC", proto::VideoCodec::H264Main, "H264_MAIN"),
        ("H264_BASELINE", proto::VideoCodec::H264Baseline, "H264_BASELINE"),
        ("H264_MAIN", proto::VideoCodec::H264Main, "H264_MAIN"),
        ("H264_HIGH", proto::VideoCodec::H264High, "H264_HIGH"),
        ("VP8", proto::VideoCodec::Vp8, "VP8"),
    ];
    let sound = [
        ("DEFAULT_AC", proto::AudioCodec::Opus, "OPUS"),
        ("OPUS", proto::AudioCodec::Opus, "OPUS"),
        ("AAC", proto::AudioCodec::Aac, "AAC"),
        ("AC_MP3", proto::AudioCodec::Opus, "OPUS"),
    ];
    for ((video, said_video, read_video), (audio, said_audio, read_audio)) in
        table.iter().flat_map(|video| sound.iter().map(move |audio| (video, audio)))
    {
        let asked = advanced(
            &json!({"width": 1280.9, "height": 720, "framerate": 29.97, "codec": video, "bitrate": 3000.5,
                   "keyFrameInterval": 2.5, "depth": 24, "more": 1}),
            &json!({"codec": audio, "bitrate": 96, "frequency": 48000.9}),
        );
        let request = request(&order(asked));
        let Some(Options::Advanced(said)) = request.options else { panic!("no advanced options") };
        assert_eq!((said.width, said.height, said.framerate, said.video_bitrate), (1280, 720, 29, 3000));
        assert_eq!((said.depth, said.audio_bitrate, said.audio_frequency), (24, 96, 48_000));
        assert!((said.key_frame_interval - 2.5).abs() < f64::EPSILON);
        assert_eq!((said.video_codec(), said.audio_codec()), (*said_video, *said_audio));
        let expected = advanced(
            &json!({"width": 1280, "height": 720, "framerate": 29, "codec": read_video, "bitrate": 3000,
                   "keyFrameInterval": 2.5, "depth": 24}),
            &json!({"codec": read_audio, "bitrate": 96, "frequency": 48000}),
        );
        assert_eq!(read(shown(request)).unwrap().encoding, expected);
    }
}

#[test]
fn fields_that_were_not_said_read_as_the_contract_names_them() {
    let request = proto::RoomCompositeEgressRequest {
        options: Some(Options::Advanced(proto::EncodingOptions::default())),
        ..request(&order(Encoding::default()))
    };
    let expected = advanced(
        &json!({"width": 1920, "height": 1080, "framerate": 30, "codec": "H264_MAIN", "bitrate": 128,
               "keyFrameInterval": 4, "depth": 24}),
        &json!({"codec": "OPUS", "bitrate": 128, "frequency": 44100}),
    );
    assert_eq!(read(shown(request)).unwrap().encoding, expected);
}

#[test]
fn an_unknown_preset_or_layout_reads_as_the_default() {
    let request = proto::RoomCompositeEgressRequest {
        layout: "mosaic".to_owned(),
        options: Some(Options::Preset(99)),
        ..request(&order(Encoding::default()))
    };
    let info = read(shown(request)).unwrap();
    assert_eq!((info.layout, info.encoding), (Layout::Grid, Encoding::default()));
}

#[test]
#[allow(deprecated, reason = "older servers give only the legacy fields")]
fn only_a_room_composite_with_one_file_has_a_path() {
    let file = |path: &str| proto::EncodedFileOutput { filepath: path.to_owned(), ..Default::default() };
    let composite = |file_outputs: Vec<proto::EncodedFileOutput>, output: Option<Output>| {
        Some(egress_info::Request::RoomComposite(proto::RoomCompositeEgressRequest {
            file_outputs,
            output,
            ..Default::default()
        }))
    };
    let web = proto::WebEgressRequest { file_outputs: vec![file("w")], ..Default::default() };
    let stream = Output::Stream(proto::StreamOutput::default());
    let table = [
        (composite(vec![file("new")], None), Some("new")),
        (composite(vec![file("new")], Some(Output::File(file("old")))), Some("new")),
        (composite(vec![], Some(Output::File(file("old")))), Some("old")),
        (composite(vec![file("a"), file("b")], None), None),
        (composite(vec![], Some(stream)), None),
        (composite(vec![], None), None),
        (Some(egress_info::Request::Web(web)), None),
        (None, None),
    ];
    for (request, expected) in table {
        let info = proto::EgressInfo { egress_id: "EG_1".to_owned(), request, ..Default::default() };
        assert_eq!(read(info.clone()).unwrap().filepath.as_deref(), expected, "{info:?}");
    }
}

#[test]
#[allow(deprecated, reason = "older servers give only the legacy fields")]
fn the_file_is_read_from_its_results_or_the_legacy_field() {
    let file = |name: &str| proto::FileInfo {
        filename: name.to_owned(),
        duration: 2_500_000_000,
        size: 4096,
        ..Default::default()
    };
    let base = proto::EgressInfo {
        egress_id: "EG_1".to_owned(),
        room_name: "room-1".to_owned(),
        status: proto::EgressStatus::EgressComplete.into(),
        started_at: 1,
        ended_at: 2,
        updated_at: 3,
        error: "e".to_owned(),
        error_code: 400,
        details: "d".to_owned(),
        ..Default::default()
    };
    let legacy = Some(egress_info::Result::File(file("old.mp4")));
    let table = [
        (
            proto::EgressInfo { file_results: vec![file("new.mp4")], result: legacy.clone(), ..base.clone() },
            "new.mp4",
        ),
        (proto::EgressInfo { result: legacy, ..base.clone() }, "old.mp4"),
        (base, ""),
    ];
    for (info, filename) in table {
        let info = read(info).unwrap();
        assert_eq!(info.filename, filename);
        let figures = if filename.is_empty() { (0, 0) } else { (2_500_000_000, 4096) };
        assert_eq!((info.duration, info.size), figures);
        assert_eq!((info.started_at, info.ended_at, info.updated_at), (1, 2, 3));
        assert_eq!((info.error.as_str(), info.error_code, info.details.as_str()), ("e", 400, "d"));
        assert_eq!(info.status, EgressStatus::Complete);
    }
}

#[test]
fn every_status_is_known_and_an_unknown_one_is_no_evidence() {
    let known = EgressStatus::Starting;
    assert_eq!(status(0), Some(known));
    for number in 0..7 {
        let name = proto::EgressStatus::try_from(number).unwrap().as_str_name().to_lowercase();
        assert_eq!(format!("egress_{}", status(number).unwrap().recorded_as().name()), name);
    }
    let mut strange = shown(request(&order(Encoding::default())));
    strange.status = 7;
    let expected = CallError::NoAnswer("egress EG_1 has the unknown status 7".to_owned());
    assert_eq!(answered(strange.clone()), Err(expected.clone()));
    let mut readable = strange.clone();
    readable.status = 1;
    assert_eq!(listed(vec![readable.clone(), strange.clone()]), Err(expected));

    let foreign = proto::EgressInfo { request: None, ..strange };
    let listed = listed(vec![foreign, readable]).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        answered(proto::EgressInfo::default()),
        Err(CallError::NoAnswer("an egress without id".to_owned()))
    );
}
