//! Workers that are cut off from their room, files that are late, and a LiveKit that forgets.

use super::{BEGIN, BEGUN, History, Step, line, play, room, run_until, the_egress};
use crate::ids::EgressId;
use crate::recording::egress::EgressStatus;
use crate::simulator::World;
use crate::simulator::clock::Timing;
use crate::simulator::egress::mishaps::CutOff;
use crate::simulator::faults::{CallTrouble, Fate};

const RECORDS: [&str; 3] =
    ["5 egress_started Starting", "205 participant_joined recorder", "505 egress_updated Active"];
const COMPLETE: &str = "meet/recordings/den/den--0123456789.mp4";

fn histories() -> Vec<History> {
    use Step::{CutOff as Cut, DeleteRoom, KillWorker, Stop};
    let returns = |after_ms| Cut(CutOff::Returns { after_ms });
    vec![
        ("back before anybody noticed", vec![(1_000, returns(5_000))], &[]),
        (
            "dropped, and back: it never stopped recording",
            vec![(1_000, returns(30_000))],
            &["21005 participant_left recorder ConnectionTimeout", "31005 participant_joined recorder"],
        ),
        (
            "dropped, then it gives up and uploads",
            vec![(1_000, Cut(CutOff::GivesUp { after_ms: 30_000 }))],
            &[
                "21005 participant_left recorder ConnectionTimeout",
                "31500 writes meet/recordings/den/den--0123456789.mp4",
                "31505 egress_ended Complete",
            ],
        ),
        (
            "a stop reaches it all the same",
            vec![(1_000, returns(30_000)), (25_000, Stop)],
            &[
                "21005 participant_left recorder ConnectionTimeout",
                "answer Ending",
                "25005 egress_updated Ending",
                "25500 writes meet/recordings/den/den--0123456789.mp4",
                "25505 egress_ended Complete",
            ],
        ),
        (
            "killed meanwhile: it never returns",
            vec![(1_000, returns(30_000)), (2_000, KillWorker)],
            &["21005 participant_left recorder ConnectionTimeout"],
        ),
        (
            "the room ends meanwhile: the worker uploads",
            vec![(1_000, returns(40_000)), (30_000, DeleteRoom)],
            &[
                "21005 participant_left recorder ConnectionTimeout",
                "answer",
                "30005 participant_left ann RoomDeleted",
                "30005 room_finished",
                "30500 writes meet/recordings/den/den--0123456789.mp4",
                "30505 egress_ended Complete",
            ],
        ),
    ]
}

#[test]
fn a_worker_that_is_cut_off_records_on() {
    for (name, rest, expected) in histories() {
        let script: Vec<_> = BEGIN.into_iter().chain(rest).collect();
        let expected = BEGUN.iter().chain(&RECORDS).chain(expected).map(|line| (*line).to_owned());
        assert_eq!(play(1, &script, 60_000), expected.collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_file_can_turn_up_after_its_complete() {
    let late = Step::Trouble(CallTrouble::Fate(Fate::FileIsLate { after_ms: 9_000 }));
    let script: Vec<_> = [(0, late)].into_iter().chain(BEGIN).chain([(1_000, Step::Stop)]).collect();
    let lines = play(1, &script, 60_000);
    assert_eq!(
        lines[lines.len() - 2..],
        ["1505 egress_ended Complete".to_owned(), format!("10500 writes {COMPLETE}")]
    );
}

fn begin(world: &mut World) -> EgressId {
    let mut lines = Vec::new();
    for (_, step) in BEGIN {
        super::act(world.at(super::START), &step, &mut lines);
    }
    run_until(world, super::START.plus(std::time::Duration::from_secs(1)), &mut lines);
    the_egress(world)
}

#[test]
fn what_livekit_forgot_runs_on_and_is_known_again_by_its_next_news() {
    let mut world = World::new(1, Timing::default());
    let egress = begin(&mut world);
    world.forget_egresses();
    assert_eq!(
        (world.egress(&egress), world.egresses().len(), world.egresses_of(&room()).len()),
        (None, 0, 0)
    );
    assert_eq!(world.running_egresses().len(), 1);
    assert_eq!(world.participants(&room()).len(), 2, "its recorder is still there");
    let ending = world.stop_egress(&egress).expect("its worker hears it all the same");
    assert_eq!(ending.status, EgressStatus::Ending);
    assert_eq!((world.egresses().len(), world.egresses_of(&room()).len()), (1, 0), "never again by room");
    assert_eq!(world.running_egresses().len(), 0);
    let webhooks = world.advance(super::START.plus(std::time::Duration::from_secs(5))).webhooks;
    assert!(webhooks.iter().any(|webhook| line(webhook) == "egress_updated Ending"));
}

#[test]
fn a_dead_worker_does_not_run_whatever_is_listed() {
    let mut world = World::new(1, Timing::default());
    let egress = begin(&mut world);
    assert!(world.kill_worker(&egress) && !world.cut_off(&egress, CutOff::Returns { after_ms: 1 }));
    assert_eq!(world.egress(&egress).map(|view| view.status), Some(EgressStatus::Active));
    assert_eq!((world.running_egresses().len(), world.dead_egresses()), (0, vec![egress]));
}
