//! What every adapter of [`Coordination`] must do.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::{fresh, fresh_room};
use crate::ids::{NodeId, RoomId};
use crate::ports::coordination::{Coordination, Held, Standing};

/// A lease that outlives its case.
const LONG: Duration = Duration::from_mins(1);
/// A lease that ends within its case, in whole seconds as some stores count.
const SHORT: Duration = Duration::from_secs(1);
/// How long a store may take to notice that a lease ended.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs every case.
pub async fn coordination(coordination: &dyn Coordination) {
    // First: a backend that knows nothing yet believes nobody dead for as long as the first lease lasts.
    a_lease_ends_by_itself(coordination).await;
    a_lease_says_who_lives(coordination).await;
    nodes_are_listed_with_their_addresses(coordination).await;
    a_renewed_lease_outlives_its_first_term(coordination).await;
    whoever_takes_a_place_survives(coordination).await;
    a_name_is_reserved_once_in_a_room(coordination).await;
    of_many_who_want_one_name_each_gets_another(coordination).await;
    a_reservation_ends_by_itself(coordination).await;
    captions_are_wanted_as_long_as_anybody_wants_them(coordination).await;
    a_wish_for_captions_ends_by_itself(coordination).await;
    a_count_is_shared_and_begins_anew(coordination).await;
    of_many_who_want_a_task_one_has_it(coordination).await;
    a_task_comes_free_by_itself(coordination).await;
    a_room_that_nobody_holds_is_held_again_and_again(coordination).await;
}

fn node() -> NodeId {
    NodeId::from_trusted(fresh())
}

async fn expect(coordination: &dyn Coordination, node: &NodeId, standing: Standing, when: &str) {
    assert_eq!(coordination.standing(node).await.expect("standing"), standing, "{when}");
}

async fn until_gone(coordination: &dyn Coordination, node: &NodeId) {
    let deadline = Instant::now() + PATIENCE;
    while coordination.standing(node).await.expect("standing") == Standing::Alive {
        assert!(Instant::now() < deadline, "a lease of {SHORT:?} lives after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn a_lease_says_who_lives(coordination: &dyn Coordination) {
    let (one, other) = (node(), node());
    expect(coordination, &one, Standing::Gone, "before it takes a lease").await;
    coordination.leave(&one).await.expect("leaving without a lease");
    coordination.renew(&one, LONG).await.expect("first lease");
    expect(coordination, &one, Standing::Alive, "with a lease").await;
    expect(coordination, &other, Standing::Gone, "only another node has a lease").await;
    coordination.leave(&one).await.expect("leaving");
    expect(coordination, &one, Standing::Gone, "after leaving").await;
    coordination.renew(&one, LONG).await.expect("lease after leaving");
    expect(coordination, &one, Standing::Alive, "back again").await;
    coordination.leave(&one).await.expect("leaving again");
}

async fn nodes_are_listed_with_their_addresses(coordination: &dyn Coordination) {
    let (one, other, short) = (node(), node(), node());
    coordination.renew_at(&one, "10.0.0.1:7000", LONG).await.expect("a lease");
    coordination.renew(&other, LONG).await.expect("a lease");
    coordination.renew(&short, SHORT).await.expect("a short lease");
    until_gone(coordination, &short).await;
    let listed = async |node: &NodeId| {
        let nodes = coordination.nodes().await.expect("nodes");
        let lease = nodes.into_iter().find(|lease| lease.member.node == *node)?;
        assert!(!lease.left.is_zero() && lease.left <= LONG, "{lease:?}");
        Some(lease.member.address)
    };
    assert_eq!(listed(&one).await.as_deref(), Some("10.0.0.1:7000"));
    assert_eq!(listed(&other).await.as_deref(), Some(""));
    assert_eq!(listed(&short).await, None, "its lease ended");
    coordination.renew_at(&one, "10.0.0.1:7001", LONG).await.expect("renewed elsewhere");
    assert_eq!(listed(&one).await.as_deref(), Some("10.0.0.1:7001"));
    for node in [one, other] {
        coordination.leave(&node).await.expect("leaving");
        assert_eq!(listed(&node).await, None, "it left");
    }
}

async fn a_lease_ends_by_itself(coordination: &dyn Coordination) {
    let node = node();
    coordination.renew(&node, SHORT).await.expect("a short lease");
    until_gone(coordination, &node).await;
}

async fn a_renewed_lease_outlives_its_first_term(coordination: &dyn Coordination) {
    let (node, witness) = (node(), node());
    coordination.renew(&node, SHORT).await.expect("a short lease");
    coordination.renew(&node, LONG).await.expect("the same, renewed for long");
    // A short lease taken later has ended, so the first term has too.
    coordination.renew(&witness, SHORT).await.expect("the witness's lease");
    until_gone(coordination, &witness).await;
    expect(coordination, &node, Standing::Alive, "past its first term").await;
    coordination.leave(&node).await.expect("leaving");
}

async fn reserve(coordination: &dyn Coordination, room: &RoomId, wanted: &str) -> String {
    coordination.reserve_name(room, wanted, LONG).await.expect("reserve").expect("there is space")
}

async fn a_name_is_reserved_once_in_a_room(coordination: &dyn Coordination) {
    let (room, other) = (fresh_room(), fresh_room());
    // What would be a pattern elsewhere is a name like any other.
    for (wanted, expected) in [
        ("BOB", "BOB"),
        ("BOB", "BOB_1"),
        ("BOB_1", "BOB_2"),
        ("bob", "bob_3"),
        ("B*", "B*"),
        ("[b]?", "[b]?"),
    ] {
        assert_eq!(reserve(coordination, &room, wanted).await, expected, "{wanted}");
    }
    assert_eq!(reserve(coordination, &other, "BOB").await, "BOB", "another room has its own names");
    for freed in ["bob_1", "Bob_2"] {
        coordination.free_name(&room, freed).await.expect("free");
    }
    coordination.free_name(&room, "nobody").await.expect("free what is not reserved");
    assert_eq!(reserve(coordination, &room, "Bob").await, "Bob_1", "the smallest number that is free");
    assert_eq!(reserve(coordination, &room, "Bob").await, "Bob_2");
    coordination.free_names(&room).await.expect("free all");
    assert_eq!(reserve(coordination, &room, "bob").await, "bob", "all were freed");
    assert_eq!(reserve(coordination, &other, "bob").await, "bob_1", "but in the other room");
    for room in [room, other] {
        coordination.free_names(&room).await.expect("free all");
    }
}

async fn of_many_who_want_one_name_each_gets_another(coordination: &dyn Coordination) {
    let room = fresh_room();
    let many = (0..16).map(|_| coordination.reserve_name(&room, "Ann", LONG));
    let mut names: Vec<_> = join_all(many).await.into_iter().map(|name| name.expect("reserve")).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 16, "{names:?}");
    for number in 16..200 {
        let name = reserve(coordination, &room, "Ann").await;
        assert_eq!(name, format!("Ann_{number}"), "the next, however many there are");
    }
    coordination.free_name(&room, "Ann_7").await.expect("free");
    assert_eq!(reserve(coordination, &room, "Ann").await, "Ann_7");
    coordination.free_names(&room).await.expect("free all");
}

async fn a_reservation_ends_by_itself(coordination: &dyn Coordination) {
    let room = fresh_room();
    coordination.reserve_name(&room, "Ann", SHORT).await.expect("reserve");
    let deadline = Instant::now() + PATIENCE;
    while reserve(coordination, &room, "Ann").await != "Ann" {
        assert!(Instant::now() < deadline, "a reservation of {SHORT:?} stands after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
    coordination.free_names(&room).await.expect("free all");
}

async fn wanted(coordination: &dyn Coordination, room: &RoomId) -> bool {
    coordination.are_captions_wanted(room).await.expect("asked")
}

async fn captions_are_wanted_as_long_as_anybody_wants_them(coordination: &dyn Coordination) {
    let (room, other) = (fresh_room(), fresh_room());
    // What would be a pattern elsewhere is an identity like any other.
    let (ann, star) = ("ann-1", "[a]*?\\");
    assert!(!wanted(coordination, &room).await, "nobody does yet");
    for who in [ann, ann, star] {
        coordination.want_captions(&room, who, LONG).await.expect("noted");
    }
    assert!(wanted(coordination, &room).await);
    assert!(!wanted(coordination, &other).await, "in another room nobody does");
    let decline = async |who| coordination.decline_captions(&room, who).await.expect("declined");
    assert!(decline(ann).await, "she did");
    assert!(!decline(ann).await, "no longer");
    assert!(wanted(coordination, &room).await, "somebody else still does");
    assert!(decline(star).await);
    assert!(!wanted(coordination, &room).await, "nobody is left");
    coordination.want_captions(&room, ann, LONG).await.expect("noted");
    coordination.want_captions(&other, ann, LONG).await.expect("noted");
    coordination.forget_captions(&room).await.expect("forgotten");
    assert!(
        !wanted(coordination, &room).await && wanted(coordination, &other).await,
        "one room is forgotten"
    );
    assert!(!decline(ann).await);
    coordination.forget_captions(&other).await.expect("forgotten");
}

async fn a_wish_for_captions_ends_by_itself(coordination: &dyn Coordination) {
    let room = fresh_room();
    coordination.want_captions(&room, "ann-1", SHORT).await.expect("noted");
    let deadline = Instant::now() + PATIENCE;
    while wanted(coordination, &room).await {
        assert!(Instant::now() < deadline, "a wish of {SHORT:?} stands after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn a_count_is_shared_and_begins_anew(coordination: &dyn Coordination) {
    let (name, other) = (fresh(), fresh());
    coordination.take_from_count(&name).await.expect("there is nothing to take");
    let mut counts: Vec<_> = join_all((0..8).map(|_| coordination.add_to_count(&name, LONG)))
        .await
        .into_iter()
        .map(|tally| tally.expect("counted").count)
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8], "each is counted once");
    coordination.take_from_count(&name).await.expect("taken");
    let tally = coordination.add_to_count(&name, LONG).await.expect("counted");
    assert_eq!(tally.count, 8, "one was taken again");
    assert!(!tally.ends_in.is_zero() && tally.ends_in <= LONG, "{tally:?}");
    assert_eq!(coordination.add_to_count(&other, SHORT).await.expect("counted").count, 1, "another count");
    let deadline = Instant::now() + PATIENCE;
    while coordination.add_to_count(&other, SHORT).await.expect("counted").count > 1 {
        assert!(Instant::now() < deadline, "a count of {SHORT:?} goes on after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn of_many_who_want_a_task_one_has_it(coordination: &dyn Coordination) {
    let (task, nodes) = (fresh(), [(); 8].map(|()| node()));
    let taken = join_all(nodes.iter().map(|node| coordination.take_task(&task, node, LONG))).await;
    let taken: Vec<_> = taken.into_iter().map(|taken| taken.expect("take")).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "{taken:?}");
    let holder = &nodes[taken.iter().position(|taken| *taken).expect("one has it")];
    let other = nodes.iter().find(|node| *node != holder).expect("there are more");
    let take = async |node| coordination.take_task(&task, node, LONG).await.expect("take");
    assert!(take(holder).await, "it is renewed");
    let another = fresh();
    assert!(coordination.take_task(&another, other, LONG).await.expect("take"), "another task is another");
    coordination.leave(other).await.expect("leaving");
    assert!(!take(other).await, "who leaves gives back only its own");
    coordination.leave(holder).await.expect("leaving");
    assert!(take(other).await, "it is free");
    assert!(coordination.take_task(&another, holder, LONG).await.expect("take"), "and so is the other");
}

async fn a_task_comes_free_by_itself(coordination: &dyn Coordination) {
    let (task, one, other) = (fresh(), node(), node());
    assert!(coordination.take_task(&task, &one, SHORT).await.expect("take"));
    let deadline = Instant::now() + PATIENCE;
    while !coordination.take_task(&task, &other, LONG).await.expect("take") {
        assert!(Instant::now() < deadline, "a task's lease of {SHORT:?} stands after {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn a_room_that_nobody_holds_is_held_again_and_again(coordination: &dyn Coordination) {
    let room = fresh_room();
    for _ in 0..2 {
        assert_eq!(coordination.hold_room(&room, LONG).await.expect("hold"), Held::Ours);
    }
    for _ in 0..2 {
        coordination.free_room(&room).await.expect("free");
    }
    assert_eq!(coordination.hold_room(&room, LONG).await.expect("hold"), Held::Ours);
    coordination.free_room(&room).await.expect("free");
}

/// What becomes of the one before is the adapter's: one that is alone knows of no other process.
async fn whoever_takes_a_place_survives(coordination: &dyn Coordination) {
    let (place, one, other) = (fresh(), node(), node());
    for node in [&one, &one, &other, &other] {
        coordination.renew(node, LONG).await.expect("renew");
        coordination.succeed(&place, node, LONG).await.expect("succeed");
        expect(coordination, node, Standing::Alive, "who is there lives").await;
    }
    for node in [&one, &other] {
        coordination.leave(node).await.expect("leaving");
    }
}
