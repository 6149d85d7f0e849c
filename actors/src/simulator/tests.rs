//! Histories of a simulated LiveKit, as data.

mod mishaps;
mod port;

use std::time::Duration;

use super::calls::{Method, Reply, Request, Worked};
use super::clock::Timing;
use super::egress::mishaps::CutOff;
use super::egress::{WhenFull, Workers};
use super::faults::{CallTrouble, Fate, Fault, WebhookTrouble, What};
use super::log::CallOutcome;
use super::rooms::NewParticipant;
use super::views::{DisconnectReason, StartOrder};
use super::webhooks::{EventName, Subject, Webhook};
use super::{Outputs, World};
use crate::ids::{EgressId, RoomId};
use crate::recording::Timestamp;
use crate::recording::egress::{EgressOrder, EgressStatus};
use crate::recording::encoding::{Encoding, Layout};

const START: Timestamp = Timestamp(1_800_000_000_000);

fn room() -> RoomId {
    RoomId::from_trusted("den")
}

fn order() -> EgressOrder {
    EgressOrder {
        room: room(),
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filepath: "meet/recordings/den/den--0123456789".to_owned(),
    }
}

/// What a script does to the world.
#[derive(Debug, Clone)]
enum Step {
    Join(&'static str),
    Leave(&'static str),
    Start,
    Stop,
    DeleteRoom,
    KillWorker,
    CutOff(CutOff),
    Slots(u32),
    Trouble(CallTrouble),
    WebhookTrouble(EventName, WebhookTrouble),
}

/// A script, the milliseconds from its start, and what came of it as lines.
fn play(seed: u64, script: &[(u64, Step)], until_ms: u64) -> Vec<String> {
    let mut world = World::new(seed, Timing::default());
    let mut lines = Vec::new();
    for (at, step) in script {
        run_until(&mut world, START.plus(Duration::from_millis(*at)), &mut lines);
        act(&mut world, step, &mut lines);
    }
    run_until(&mut world, START.plus(Duration::from_millis(until_ms)), &mut lines);
    lines
}

fn run_until(world: &mut World, until: Timestamp, lines: &mut Vec<String>) {
    while let Some(at) = world.next_due().filter(|at| *at <= until) {
        let Outputs { webhooks, files } = world.advance(at);
        let ms = at.since(START).as_millis();
        lines.extend(webhooks.iter().map(|webhook| format!("{ms} {}", line(webhook))));
        for file in files {
            lines.push(format!("{ms} writes {}", file.key));
            world.file_written(&file.egress, Ok(()));
        }
    }
    world.at(until);
}

fn line(webhook: &Webhook) -> String {
    let name = webhook.event.name();
    match &webhook.subject {
        Subject::Room(_) => name.to_owned(),
        Subject::Participant(_, participant) | Subject::Track(_, participant, _) => {
            let who = if participant.hidden { "recorder" } else { &participant.identity };
            let why = participant.left.map(|reason| format!(" {reason:?}")).unwrap_or_default();
            format!("{name} {who}{why}")
        }
        Subject::Egress(egress) => {
            let error = if egress.error.is_empty() { String::new() } else { format!(", {}", egress.error) };
            format!("{name} {:?}{error}", egress.status)
        }
    }
}

fn fault(what: What) -> Fault {
    Fault { what, room: None, skip: 0, times: Some(1), chance: 1.0 }
}

fn the_egress(world: &World) -> EgressId {
    world.egresses().last().expect("an egress was started").egress.clone()
}

fn ask(world: &mut World, request: &Request, lines: &mut Vec<String>) {
    let plan = world.receive(request);
    let mut worked = world.work(&plan, request.clone());
    while let Worked::Again(wait) = worked {
        run_until(world, world.now.plus(wait), lines);
        worked = world.work(&plan, request.clone());
    }
    let told = match &worked {
        Worked::Answer(Ok(Reply::Egress(egress))) => format!("answer {:?}", egress.status),
        Worked::Answer(Ok(_)) => "answer".to_owned(),
        Worked::Answer(Err(refusal)) => format!("refused {}", refusal.code),
        Worked::After(wait, refusal) => format!("refused {} after {} ms", refusal.code, wait.as_millis()),
        Worked::Again(_) | Worked::Hang => "hangs".to_owned(),
    };
    world.finish(plan.call, CallOutcome::Answered);
    lines.push(told);
}

fn act(world: &mut World, step: &Step, lines: &mut Vec<String>) {
    match step.clone() {
        Step::Join(identity) => {
            let silent = NewParticipant { publishes: false, ..NewParticipant::person(identity) };
            world.join(&room(), silent).expect("the room has space");
        }
        Step::Leave(identity) => assert!(world.leave(&room(), identity, DisconnectReason::ClientInitiated)),
        Step::Start => ask(world, &Request::StartEgress(StartOrder::from(&order())), lines),
        Step::Stop => {
            let egress = the_egress(world);
            ask(world, &Request::StopEgress(egress), lines);
        }
        Step::DeleteRoom => ask(world, &Request::DeleteRoom(room()), lines),
        Step::KillWorker => {
            let egress = the_egress(world);
            assert!(world.kill_worker(&egress));
        }
        Step::CutOff(then) => {
            let egress = the_egress(world);
            assert!(world.cut_off(&egress, then));
        }
        Step::Slots(slots) => {
            world.limit_workers(Workers { slots: Some(slots), when_full: WhenFull::Exhausted });
        }
        Step::Trouble(does) => {
            world.add_fault(fault(What::Call { method: Method::StartEgress, scope: None, does }));
        }
        Step::WebhookTrouble(webhook, does) => {
            world.add_fault(fault(What::Webhook { webhook, does }));
        }
    }
}

/// What a history is about, its steps after [`BEGIN`], and its lines.
type History = (&'static str, Vec<(u64, Step)>, &'static [&'static str]);

/// What every history of one recorded room begins with.
const BEGIN: [(u64, Step); 2] = [(0, Step::Join("ann")), (0, Step::Start)];
const BEGUN: [&str; 3] = ["answer Starting", "5 room_started", "5 participant_joined ann"];

fn ends_of_an_active_egress() -> Vec<History> {
    use Step::{DeleteRoom, Leave, Stop};
    vec![
        (
            "stopped",
            vec![(2_000, Stop)],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "505 egress_updated Active",
                "answer Ending",
                "2005 egress_updated Ending",
                "2105 participant_left recorder ClientInitiated",
                "2500 writes meet/recordings/den/den--0123456789.mp4",
                "2505 egress_ended Complete",
            ],
        ),
        (
            "stopped twice, then once more when it is over",
            vec![(2_000, Stop), (2_050, Stop), (3_000, Stop)],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "505 egress_updated Active",
                "answer Ending",
                "2005 egress_updated Ending",
                "answer Ending",
                "2105 participant_left recorder ClientInitiated",
                "2500 writes meet/recordings/den/den--0123456789.mp4",
                "2505 egress_ended Complete",
                "refused failed_precondition after 3000 ms",
            ],
        ),
        (
            "room deleted: no ENDING",
            vec![(2_000, DeleteRoom)],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "505 egress_updated Active",
                "answer",
                "2005 participant_left recorder RoomDeleted",
                "2005 participant_left ann RoomDeleted",
                "2005 room_finished",
                "2500 writes meet/recordings/den/den--0123456789.mp4",
                "2505 egress_ended Complete",
            ],
        ),
        (
            "room emptied: the recorder stays until it closes",
            vec![(2_000, Leave("ann"))],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "505 egress_updated Active",
                "2005 participant_left ann ClientInitiated",
                "22005 participant_left recorder RoomClosed",
                "22005 room_finished",
                "22500 writes meet/recordings/den/den--0123456789.mp4",
                "22505 egress_ended Complete",
            ],
        ),
    ]
}

fn ends_before_and_without_an_end() -> Vec<History> {
    use Step::{KillWorker, Stop};
    vec![
        (
            "stopped while starting, its recorder on the way",
            vec![(100, Stop)],
            &[
                "5 egress_started Starting",
                "answer Aborted",
                "105 egress_ended Aborted, Stop called before pipeline could start",
                "205 participant_connection_aborted recorder SignalClose",
            ],
        ),
        (
            "stopped while starting, its recorder there",
            vec![(300, Stop)],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "answer Aborted",
                "305 egress_ended Aborted, Stop called before pipeline could start",
                "405 participant_left recorder ClientInitiated",
            ],
        ),
        (
            "worker killed: nothing but the recorder's leave, much later",
            vec![(2_000, KillWorker), (3_000, Stop)],
            &[
                "5 egress_started Starting",
                "205 participant_joined recorder",
                "505 egress_updated Active",
                "refused deadline_exceeded after 3000 ms",
                "22005 participant_left recorder ConnectionTimeout",
            ],
        ),
        (
            "worker killed before its recorder came: silence",
            vec![(100, KillWorker)],
            &["5 egress_started Starting"],
        ),
    ]
}

#[test]
fn histories_are_those_of_a_real_server() {
    for (name, rest, expected) in
        ends_of_an_active_egress().into_iter().chain(ends_before_and_without_an_end())
    {
        let script: Vec<_> = BEGIN.into_iter().chain(rest).collect();
        let expected: Vec<_> = BEGUN.iter().chain(expected).map(|line| (*line).to_owned()).collect();
        assert_eq!(play(1, &script, 60_000), expected, "{name}");
    }
}

#[test]
fn an_egress_can_go_wrong() {
    let fate = |fate| vec![(0, Step::Trouble(CallTrouble::Fate(fate)))];
    let words = "no disk".to_owned();
    let stopped = |wanted| fate(wanted).into_iter().chain([(600, Step::Stop)]).collect::<Vec<_>>();
    let cases: [History; 5] = [
        (
            "fails to start",
            fate(Fate::FailsToStart { error: words.clone(), code: 500 }),
            &["505 egress_ended Failed, no disk", "605 participant_left recorder ClientInitiated"],
        ),
        ("stays starting", fate(Fate::StaysStarting), &[]),
        (
            "reaches its limit",
            fate(Fate::ReachesLimit { after_ms: 100 }),
            &[
                "505 egress_updated Active",
                "705 participant_left recorder ClientInitiated",
                "1100 writes meet/recordings/den/den--0123456789.mp4",
                "1105 egress_ended LimitReached, Session limit reached",
            ],
        ),
        (
            "cannot upload",
            stopped(Fate::UploadFails { error: words }),
            &[
                "505 egress_updated Active",
                "answer Ending",
                "605 egress_updated Ending",
                "705 participant_left recorder ClientInitiated",
                "1105 egress_ended Failed, no disk",
            ],
        ),
        (
            "its file is lost",
            stopped(Fate::FileIsLost),
            &[
                "505 egress_updated Active",
                "answer Ending",
                "605 egress_updated Ending",
                "705 participant_left recorder ClientInitiated",
                "1105 egress_ended Complete",
            ],
        ),
    ];
    for (name, steps, expected) in cases {
        let mut script = steps[..1].to_vec();
        script.extend(BEGIN);
        script.extend_from_slice(&steps[1..]);
        assert_eq!(play(1, &script, 10_000)[5..], *expected, "{name}");
    }
    let refused = play(1, &[(0, Step::Slots(0)), BEGIN[0].clone(), BEGIN[1].clone()], 10_000);
    assert_eq!(refused, [BEGUN[1], BEGUN[2], "refused resource_exhausted"]);
}

#[test]
fn webhooks_get_lost_doubled_delayed_and_overtaken() {
    use WebhookTrouble::{Delayed, Doubled, Lost, Overtaken};
    let cases: [(WebhookTrouble, &[&str]); 4] = [
        (Lost, &["5 egress_started Starting", "1005 egress_ended Complete"]),
        (
            Doubled,
            &[
                "5 egress_started Starting",
                "505 egress_updated Active",
                "505 egress_updated Active",
                "1005 egress_ended Complete",
            ],
        ),
        (
            Delayed { ms: 600 },
            &["5 egress_started Starting", "1005 egress_ended Complete", "1105 egress_updated Active"],
        ),
        (
            Overtaken,
            &["5 egress_started Starting", "1005 egress_ended Complete", "1005 egress_updated Active"],
        ),
    ];
    for (trouble, expected) in cases {
        let mut script = vec![(0, Step::WebhookTrouble(EventName::EgressUpdated, trouble))];
        script.extend(BEGIN);
        script.push((500, Step::WebhookTrouble(EventName::EgressUpdated, Lost)));
        script.push((500, Step::Stop));
        let mut lines = play(1, &script, 10_000);
        lines.retain(|line| line.contains("egress_"));
        assert_eq!(lines, expected, "{trouble:?}");
    }
    let alone =
        [(0, Step::WebhookTrouble(EventName::EgressEnded, Overtaken)), BEGIN[0].clone(), BEGIN[1].clone()];
    let script: Vec<_> = alone.into_iter().chain([(500, Step::Stop)]).collect();
    assert!(
        play(1, &script, 10_000).contains(&"3000 egress_ended Complete".to_owned()),
        "sent alone in the end"
    );
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_seed_another() {
    let history = |seed: u64| {
        let mut world = World::new(seed, Timing::default());
        let chance = Fault {
            times: None,
            chance: 0.5,
            ..fault(What::Webhook { webhook: EventName::TrackPublished, does: WebhookTrouble::Lost })
        };
        world.at(START).add_fault(chance);
        for number in 0..20 {
            let who = NewParticipant::person(&format!("p{number}"));
            world.join(&room(), who).expect("the room has space");
        }
        let request = Request::StartEgress(StartOrder::from(&order()));
        let plan = world.receive(&request);
        world.work(&plan, request);
        world.advance(START.plus(Duration::from_secs(2))).webhooks
    };
    for seed in [0, 1, 77] {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
    assert_ne!(history(1), history(2));
    let tracks = history(1).iter().filter(|webhook| webhook.event == EventName::TrackPublished).count();
    assert!((1..40).contains(&tracks), "chance hits some and spares some: {tracks} of 40 came");
}

#[test]
fn the_answer_to_a_stop_names_the_length_so_far_and_the_end_that_of_the_file() {
    let mut world = World::new(1, Timing::default());
    world.at(START).join(&room(), NewParticipant::person("ann")).expect("the room has space");
    let request = Request::StartEgress(StartOrder::from(&order()));
    let plan = world.receive(&request);
    let started = world.work(&plan, request);
    assert!(
        matches!(started, Worked::Answer(Ok(Reply::Egress(view))) if view.started_at == 0 && view.file.is_some())
    );
    let egress = the_egress(&world);
    let stopped =
        world.at(START.plus(Duration::from_secs(10))).stop_egress(&egress).expect("a worker listens");
    let ending = stopped.to_domain();
    assert_eq!(
        (ending.status, ending.details.as_str()),
        (EgressStatus::Ending, "End reason: StopEgress API")
    );
    assert!(ending.filename.ends_with("den--0123456789.mp4") && ending.started_at > 0);
    assert!((9_400_000_000..9_600_000_000).contains(&ending.duration), "{}", ending.duration);
    assert_eq!(
        world.egress(&egress).map(|view| view.to_domain().duration),
        Some(0),
        "the store does not know it"
    );
    let outputs = world.advance(START.plus(Duration::from_secs(12)));
    let bytes = outputs.files[0].content.len();
    world.file_written(&egress, Ok(()));
    let complete = world.egress(&egress).expect("it is remembered").to_domain();
    assert_eq!(complete.size, i64::try_from(bytes).expect("small"));
    assert_eq!(complete.duration, 4_000_000_000);
    assert!(complete.ended_at == complete.updated_at && complete.ended_at > complete.started_at);
}

#[test]
fn faults_read_as_json() {
    let cases = [
        r#"{"method":"StopEgress","does":{"error":{"code":"unavailable","msg":"later"}},"skip":0,"times":1,"chance":1.0}"#,
        r#"{"method":"ListEgress","scope":"room","does":"empty_list","room":"den","skip":2,"times":null,"chance":0.5}"#,
        r#"{"webhook":"egress_ended","does":{"delayed":{"ms":5}},"skip":0,"times":1,"chance":1.0}"#,
    ];
    for text in cases {
        let fault: Fault = serde_json::from_str(text).expect(text);
        assert_eq!(serde_json::to_string(&fault).expect("a fault can be written"), text);
    }
    let short: Fault =
        serde_json::from_str(r#"{"method":"StartEgress","does":"answer_lost"}"#).expect("defaults");
    assert_eq!((short.skip, short.times), (0, Some(1)));
}
