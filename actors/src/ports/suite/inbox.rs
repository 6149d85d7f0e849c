//! What every adapter of [`Inbox`] must do.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{fresh, fresh_room};
use crate::ids::NodeId;
use crate::ports::inbox::{Inbox, Waiting};

/// Runs every case.
pub async fn inbox(inbox: &dyn Inbox) {
    a_letter_waits_until_it_is_answered(inbox).await;
    the_same_letter_is_put_once(inbox).await;
    the_first_answer_stays(inbox).await;
}

fn letter(owner: &NodeId) -> Waiting {
    Waiting { id: fresh(), room: fresh_room(), owner: owner.clone(), letter: "{\"é\": 1}".to_owned() }
}

fn node() -> NodeId {
    NodeId::from_trusted(fresh())
}

async fn open(inbox: &dyn Inbox, owner: &NodeId) -> Vec<Waiting> {
    inbox.letters(owner, &BTreeSet::new(), 100).await.expect("letters")
}

async fn a_letter_waits_until_it_is_answered(inbox: &dyn Inbox) {
    let (one, other) = (node(), node());
    let letters = [letter(&one), letter(&other), letter(&one)];
    for letter in &letters {
        inbox.put_letter(letter).await.expect("put");
    }
    assert_eq!(open(inbox, &one).await, [letters[0].clone(), letters[2].clone()], "the oldest first");
    let except = |letters: &[&Waiting]| letters.iter().map(|letter| letter.id.clone()).collect();
    let first = inbox.letters(&one, &except(&[]), 1).await.expect("letters");
    assert_eq!(first, [letters[0].clone()], "a limit");
    let next = inbox.letters(&one, &except(&[&letters[0], &letters[1]]), 1).await.expect("letters");
    assert_eq!(next, [letters[2].clone()], "those that are passed over do not count");
    let addressees = inbox.addressees().await.expect("addressees");
    assert!(addressees.contains(&one) && addressees.contains(&other), "{addressees:?}");
    assert!(inbox.count_letters().await.expect("count") >= 3);
    assert_eq!(inbox.letter_answer(&letters[0].id).await.expect("answer"), None);
    inbox.answer_letter(&letters[0].id, "done").await.expect("answer it");
    assert_eq!(open(inbox, &one).await, [letters[2].clone()]);
    assert_eq!(inbox.letter_answer(&letters[0].id).await.expect("answer").as_deref(), Some("done"));
    for letter in &letters[1..] {
        inbox.answer_letter(&letter.id, "done").await.expect("answer it");
    }
    let addressees = inbox.addressees().await.expect("addressees");
    assert!(!addressees.contains(&one) && !addressees.contains(&other), "{addressees:?}");
}

async fn the_same_letter_is_put_once(inbox: &dyn Inbox) {
    let owner = node();
    let letter = letter(&owner);
    for put in join_all((0..8).map(|_| inbox.put_letter(&letter))).await {
        put.expect("put");
    }
    assert_eq!(open(inbox, &owner).await.len(), 1);
    inbox.answer_letter(&letter.id, "done").await.expect("answer it");
    inbox.put_letter(&letter).await.expect("put again");
    assert_eq!(open(inbox, &owner).await, [], "an answered letter is not open again");
}

async fn the_first_answer_stays(inbox: &dyn Inbox) {
    let letter = letter(&node());
    inbox.answer_letter(&letter.id, "nobody asked").await.expect("of no letter");
    inbox.put_letter(&letter).await.expect("put");
    for answer in ["first", "second"] {
        inbox.answer_letter(&letter.id, answer).await.expect("answer");
    }
    assert_eq!(inbox.letter_answer(&letter.id).await.expect("answer").as_deref(), Some("first"));
}
