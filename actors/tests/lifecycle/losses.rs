//! Stories of loss: workers that die, recorders that leave or come back, uploads that never end, lists that
//! lie, and recordings that no row holds.

use reelkeeper_actors::ids::Uid;
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::egress::EgressStatus::{Active, Complete, Ending, Starting};
use reelkeeper_actors::recording::egress::LeaveReason;
use reelkeeper_actors::recording::event::{FileEvidence, Happening, Listed, Presence, Source};

use crate::story::{
    Story, delete, file, found, found_stale, gone, looked, looked_into_room, recorder_left, runs, seen,
    start, start_until, started, stop, stopped, unheld, webhook,
};

const STARTING: Option<RecordingStatus> = Some(RecordingStatus::Starting);
const ACTIVE: Option<RecordingStatus> = Some(RecordingStatus::Active);
const FAILED: Option<RecordingStatus> = Some(RecordingStatus::Failed);
const HOUR: i64 = 3_600_000;

/// A recording whose recorder was seen in the room at 15.5 s.
fn seen_recording() -> Story {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Starting)).then(500, webhook("u1", Active, STARTING));
    story.then(15_500, Happening::Tick).then(15_510, runs("u1", Presence::Present, None));
    story.told.clear();
    story
}

#[test]
fn a_killed_worker_frees_the_room_and_its_recording_failed() {
    let mut story = seen_recording();
    story.then(20_000, recorder_left("u1", LeaveReason::Lost)).then(20_000, Happening::Tick);
    story.then(20_010, runs("u1", Presence::Absent, None)).then(25_010, Happening::Tick);
    story.then(25_020, runs("u1", Presence::Absent, None));
    story.told.push("the room can record again".to_owned());
    story.then(25_030, start_until("second", 45_000));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_killed_worker_is_noticed_though_no_webhook_comes() {
    let mut story = seen_recording();
    story.then(30_510, Happening::Tick).then(30_520, runs("u1", Presence::Absent, None));
    story.then(35_520, Happening::Tick).then(35_530, runs("u1", Presence::Absent, None));
    story.then(40_530, Happening::Tick).then(40_540, runs("u1", Presence::Absent, None));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_worker_killed_before_its_recorder_was_seen_is_missed_for_longer() {
    let mut story = Story::new();
    story.then(0, start("start")).then(5, looked_into_room("u1", &[]));
    story.then(10, started("u1", Active));
    for at in [15_010, 150_000, 315_009, 315_010] {
        story.then(at, runs("u1", Presence::Absent, None));
    }
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_recorder_that_is_back_at_the_second_look_is_not_lost() {
    let mut story = seen_recording();
    story.then(20_000, recorder_left("u1", LeaveReason::Lost)).then(20_000, Happening::Tick);
    story.then(20_010, runs("u1", Presence::Absent, None)).then(25_010, Happening::Tick);
    story.then(25_020, runs("u1", Presence::Present, None)).then(40_020, Happening::Tick);
    story.then(40_030, runs("u1", Presence::Absent, None));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_recorder_that_is_back_after_it_was_lost_is_stopped_and_its_file_kept() {
    let mut story = seen_recording();
    story
        .then(20_000, recorder_left("u1", LeaveReason::Lost))
        .then(20_010, runs("u1", Presence::Absent, None));
    story.then(25_020, runs("u1", Presence::Absent, None)).then(25_030, start_until("second", 45_000));
    story.told.push("it is back".to_owned());
    story.then(26_020, runs("u1", Presence::Present, None)).then(26_100, stopped("u1", Ending));
    story.then(27_000, webhook("u1", Complete, FAILED)).then(27_000, Happening::Tick);
    story.then(27_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn after_a_clean_leave_the_room_is_free_and_the_upload_goes_on() {
    let mut story = seen_recording();
    story
        .then(20_000, recorder_left("u1", LeaveReason::Clean))
        .then(20_010, runs("u1", Presence::RoomEmpty, None));
    story
        .then(25_020, runs("u1", Presence::RoomEmpty, None))
        .then(31_000, runs("u1", Presence::RoomEmpty, None));
    story.then(90_000, webhook("u1", Complete, Some(RecordingStatus::Ending))).then(90_000, Happening::Tick);
    story.then(90_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_meeting_that_is_over_means_a_clean_leave_whatever_webhook_was_lost() {
    let mut story = seen_recording();
    story
        .then(30_510, runs("u1", Presence::RoomEmpty, None))
        .then(35_520, runs("u1", Presence::RoomEmpty, None));
    story.then(42_000, runs("u1", Presence::RoomEmpty, None)).then(60_000, found("u1", Complete));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_file_that_has_stopped_growing_completes_a_recording_that_shows_no_end() {
    let mut story = seen_recording();
    story
        .then(20_000, recorder_left("u1", LeaveReason::Clean))
        .then(20_010, runs("u1", Presence::RoomEmpty, None));
    story
        .then(25_020, runs("u1", Presence::RoomEmpty, Some(4)))
        .then(30_030, runs("u1", Presence::RoomEmpty, Some(9)));
    story.then(35_040, runs("u1", Presence::RoomEmpty, Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn an_upload_that_never_ends_is_given_up_at_its_limit() {
    let mut story = seen_recording();
    story.then(20_000, stop("stop", "u1", 20_000, ACTIVE)).then(20_010, stopped("u1", Ending));
    story.then(20_500, recorder_left("u1", LeaveReason::Clean));
    let ending = |recorder| {
        looked(
            "u1",
            Listed::Found(Box::new(crate::story::info("u1", Ending))),
            recorder,
            FileEvidence::NotThere,
        )
    };
    story.then(30_000, ending(Presence::Absent)).then(40_000, ending(Presence::Absent));
    story.then(20_500 + HOUR, Happening::Tick).then(20_510 + HOUR, ending(Presence::Absent));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_lost_recording_that_uploads_after_all_is_complete() {
    let mut story = seen_recording();
    story
        .then(20_000, recorder_left("u1", LeaveReason::Lost))
        .then(20_010, runs("u1", Presence::Absent, None));
    story.then(25_020, runs("u1", Presence::Absent, None));
    story.told.push("it had only lost its connection".to_owned());
    story.then(26_020, found("u1", Complete)).then(26_020, Happening::Tick).then(26_030, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_file_that_turns_up_after_its_recording_was_deleted_goes_too() {
    let mut story = seen_recording();
    story.then(20_000, webhook("u1", Complete, ACTIVE)).then(20_000, Happening::Tick);
    story.then(20_010, file("u1", None)).then(26_000, file("u1", None));
    story.then(30_000, delete("delete", "u1", 30_000, Some(RecordingStatus::Complete)));
    story.told.push("the file turns up".to_owned());
    story.then(90_000, Happening::Tick).then(90_010, file("u1", Some(9)));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_list_that_is_doubted_decides_nothing() {
    let mut story = seen_recording();
    let doubtful = || looked("u1", Listed::Doubtful, Presence::Unknown, FileEvidence::NotThere);
    story.then(30_510, doubtful()).then(40_000, doubtful()).then(50_000, doubtful());
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_participant_list_that_fails_decides_nothing() {
    let mut story = seen_recording();
    for at in [30_510, 40_000, 50_000] {
        story.then(at, runs("u1", Presence::Unknown, None));
    }
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_document_without_a_row_is_taken_up_and_fails_if_livekit_knows_nothing() {
    let mut story = Story::new();
    story.then(0, unheld("u7", RecordingStatus::Active)).then(0, Happening::Tick);
    story.then(10, gone("u7")).then(5_010, Happening::Tick).then(5_020, gone("u7"));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_document_without_a_row_whose_egress_runs_is_adopted() {
    let mut story = Story::new();
    story.then(0, unheld("u7", RecordingStatus::Starting)).then(10, runs("u7", Presence::Present, None));
    story.then(20, start("start")).then(30, stop("stop", "u7", 30, ACTIVE)).then(40, stopped("u7", Ending));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_document_without_a_row_that_ends_blocks_nothing() {
    let mut story = Story::new();
    story.then(0, unheld("u7", RecordingStatus::Ending)).then(5, start("start"));
    story.then(10, found("u7", Complete)).then(10, Happening::Tick).then(20, file("u7", Some(9)));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_start_of_an_older_process_that_never_records_frees_the_room_after_its_time() {
    let mut story = Story::new();
    story.then(0, unheld("u7", RecordingStatus::Starting)).then(10, found("u7", Starting));
    story.then(20_000, Happening::Tick);
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_stale_recording_is_stopped_and_aborted_when_it_never_ends() {
    let mut story = seen_recording();
    story.then(300_000, found_stale("u1", 2_000)).then(310_000, found_stale("u1", 2_000));
    story.then(340_000, Happening::Tick).then(340_010, runs("u1", Presence::RoomEmpty, None));
    story
        .then(350_000, runs("u1", Presence::RoomEmpty, None))
        .then(340_000 + HOUR, runs("u1", Presence::RoomEmpty, None));
    insta::assert_snapshot!(story.tell());
    assert!(story.state.durable.is_settled());
}

#[test]
fn a_recording_of_which_livekit_has_just_spoken_is_not_stale() {
    let mut story = seen_recording();
    story.then(301_999, found_stale("u1", 2_000)).then(400_000, found_stale("u1", 399_000));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_recording_behind_which_nothing_was_found_is_looked_at_at_once() {
    let mut story = seen_recording();
    story.then(16_000, Happening::FoundOrphan { uid: Uid::from_trusted("u1") }).then(16_000, Happening::Tick);
    story.then(16_010, gone("u1")).then(21_010, Happening::Tick).then(21_020, gone("u1"));
    insta::assert_snapshot!(story.tell());
}

#[test]
fn a_recording_called_failed_that_runs_unheld_is_stopped_and_its_file_kept() {
    let mut story = Story::new();
    // LiveKit lists the dead as running for ever: only the recorder in the room shows life.
    story.then(0, seen("u7", Active, FAILED, Source::Call));
    story.then(10, seen("u7", Active, FAILED, Source::Recorder)).then(20, stopped("u7", Ending));
    story.then(30, start("start")).then(40, webhook("u7", Complete, FAILED)).then(40, Happening::Tick);
    story.then(50, file("u7", Some(9)));
    insta::assert_snapshot!(story.tell());
}
