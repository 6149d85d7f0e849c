//! The simulated LiveKit as a port, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use super::{START, fault, order, room};
use crate::ids::EgressId;
use crate::ports::media_server::{LiveKitEvent, LiveKitNews, MediaServer};
use crate::recording::egress::{CallError, EgressStatus};
use crate::simulator::World;
use crate::simulator::calls::{Method, Refusal};
use crate::simulator::clock::{Timing, TokioClock};
use crate::simulator::egress::{WhenFull, Workers};
use crate::simulator::faults::{CallTrouble, Fault, What};
use crate::simulator::log::Release;
use crate::simulator::media_server::SimulatedMediaServer;
use crate::simulator::rooms::NewParticipant;

fn port(world: World) -> (SimulatedMediaServer, tokio::sync::mpsc::Receiver<LiveKitEvent>) {
    let clock = Arc::new(TokioClock::starting_at(START));
    let (server, events) = SimulatedMediaServer::start(world, clock, None);
    server
        .live()
        .with(|world| world.join(&room(), NewParticipant::person("ann")).expect("the room has space"));
    (server, events)
}

fn call_fault(method: Method, does: CallTrouble) -> Fault {
    fault(What::Call { method, scope: None, does })
}

#[tokio::test(start_paused = true)]
async fn the_port_tells_its_webhooks_in_the_words_of_the_core() {
    use EgressStatus::{Active, Complete, Ending, Starting};
    let (server, mut events) = port(World::new(5, Timing::default()));
    let started = server.start_egress(&order()).await.expect("a worker is free");
    let mut seen = Vec::new();
    while seen.last() != Some(&EgressStatus::Complete) {
        let event = events.recv().await.expect("the world goes on");
        if let LiveKitNews::Egress(info) = event.news {
            if info.status == EgressStatus::Active {
                assert_eq!(server.participants(&room()).await.expect("asked").len(), 2);
                server.stop_egress(&started.egress).await.expect("a worker listens");
            }
            seen.push(info.status);
        }
    }
    assert_eq!(seen, [Starting, Active, Ending, Complete]);
    assert_eq!(server.active_egresses().await.expect("asked"), []);
    assert_eq!(server.room_egresses(&room()).await.expect("asked").len(), 1);
    assert_eq!(server.egress(&EgressId::from_trusted("EG_x")).await.expect("asked"), None);
}

#[tokio::test(start_paused = true)]
async fn calls_of_the_port_fail_as_asked() {
    let cases = [
        (CallTrouble::AnswerLost, true, None),
        (CallTrouble::HangAnswer, true, None),
        (CallTrouble::Hang, false, None),
        (CallTrouble::Cut, false, None),
        (CallTrouble::Error(Refusal::new("unavailable", "later")), false, Some("unavailable")),
    ];
    for (trouble, worked, code) in cases {
        let (server, _events) = port(World::new(5, Timing::default()));
        server.live().with(|world| world.add_fault(call_fault(Method::StartEgress, trouble.clone())));
        let error = server.start_egress(&order()).await.expect_err("it fails");
        assert_eq!(error.code(), code, "{trouble:?}: {error}");
        assert_eq!(matches!(error, CallError::NoAnswer(_)), code.is_none(), "{trouble:?}: {error}");
        assert_eq!(server.live().with(|world| world.egresses().len()), usize::from(worked), "{trouble:?}");
        assert!(server.start_egress(&order()).await.is_ok(), "{trouble:?} hits once");
    }
    let (server, _events) = port(World::new(5, Timing::default()));
    server.live().with(|world| {
        world.limit_workers(Workers { slots: Some(0), when_full: WhenFull::Hang });
        world.add_fault(call_fault(Method::ListEgress, CallTrouble::EmptyList));
    });
    let error = server.start_egress(&order()).await.expect_err("no worker");
    assert!(matches!(error, CallError::NoAnswer(_)), "{error}");
    assert_eq!(server.egress(&EgressId::from_trusted("EG_x")).await.expect("asked"), None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_appears_takes_a_start_whose_caller_is_gone() {
    let (server, mut events) = port(World::new(5, Timing::default()));
    let workers = |slots| Workers { slots, when_full: WhenFull::Unavailable };
    server.live().with(|world| world.limit_workers(workers(Some(0))));
    let gone = tokio::time::timeout(Duration::from_secs(20), server.start_egress(&order())).await;
    assert!(gone.is_err(), "it looks for longer than that");
    server.live().with(|world| world.limit_workers(workers(None)));
    while !matches!(events.recv().await.expect("the world goes on").news, LiveKitNews::Egress(_)) {}
    server.live().with(|world| world.limit_workers(workers(Some(1))));
    let error = server.start_egress(&order()).await.expect_err("the only worker is taken");
    assert_eq!(error.code(), Some("unavailable"));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_held_until_it_is_released_though_its_caller_is_gone() {
    for (trouble, how, worked_before, egresses) in [
        (CallTrouble::Hold, Release::GoOn, false, 1),
        (CallTrouble::Hold, Release::Drop, false, 0),
        (CallTrouble::HoldAnswer, Release::GoOn, true, 1),
    ] {
        let (server, mut events) = port(World::new(5, Timing::default()));
        server.live().with(|world| world.add_fault(call_fault(Method::StartEgress, trouble.clone())));
        let gone = tokio::time::timeout(Duration::from_secs(1), server.start_egress(&order())).await;
        assert!(gone.is_err(), "{trouble:?}");
        let held = server.live().with(|world| world.held());
        assert_eq!(held.len(), 1, "{trouble:?}");
        assert_eq!(held[0].worked, worked_before, "{trouble:?}");
        assert_eq!(server.live().with(|world| world.release(None, how)), 1);
        if egresses == 1 {
            while !matches!(events.recv().await.expect("the world goes on").news, LiveKitNews::Egress(_)) {}
        }
        server.ping().await.expect("it answers");
        assert_eq!(server.live().with(|world| world.egresses().len()), egresses, "{trouble:?} {how:?}");
    }
}
