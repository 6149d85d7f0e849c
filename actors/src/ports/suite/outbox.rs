//! What every adapter of [`Outbox`] must do.
//!
//! Letters of this suite are due long before any real one, so that a shared store does not hand out others.

use super::fresh;
use crate::ports::outbox::{Delivery, Letter, LetterState, Outbox};
use crate::recording::Timestamp;

/// Enough to lease everything of this suite at once.
const MANY: usize = 100;
const THEN: Timestamp = Timestamp(1_000);
const LATER: Timestamp = Timestamp(1_001);

/// Runs every case.
pub async fn outbox(outbox: &dyn Outbox) {
    a_letter_is_put_in_once(outbox).await;
    letters_about_the_same_go_one_by_one(outbox).await;
    a_lease_comes_up_again(outbox).await;
    a_dead_letter_lets_the_next_go(outbox).await;
    what_was_delivered_long_ago_is_forgotten(outbox).await;
    dead_letters_are_replayed_or_dropped(outbox).await;
}

fn letter(subject: &str, number: u32) -> Letter {
    Letter {
        id: format!("{subject}.{number}"),
        subject: subject.to_owned(),
        number,
        event: "recordingStarted".to_owned(),
        created_at: THEN,
        body: format!("{{\"event\":\"recordingStarted\",\"data\":\"'\u{e9} {number}\"}}"),
    }
}

async fn lease(outbox: &dyn Outbox, subject: &str, now: i64, until: i64) -> Vec<Delivery> {
    let mut leased = outbox.lease(Timestamp(now), Timestamp(until), MANY).await.expect("lease");
    leased.retain(|delivery| delivery.letter.subject == subject);
    leased
}

async fn take(outbox: &dyn Outbox, letters: &[Letter]) {
    for letter in letters {
        outbox.delivered(&letter.id, THEN).await.expect("delivered");
    }
}

async fn a_letter_is_put_in_once(outbox: &dyn Outbox) {
    let letter = letter(&fresh(), 1);
    assert!(outbox.put(&letter).await.expect("put"), "a new letter");
    let changed = Letter { body: "another".to_owned(), ..letter.clone() };
    assert!(!outbox.put(&changed).await.expect("put again"), "a known letter");
    let leased = lease(outbox, &letter.subject, 1_000, 2_000).await;
    assert_eq!(leased.len(), 1);
    assert_eq!((&leased[0].letter, leased[0].tries), (&letter, 1), "what was put in first");
    outbox.delivered(&letter.id, THEN).await.expect("delivered");
    assert!(!outbox.put(&letter).await.expect("put after delivery"), "a delivered letter is remembered");
    assert!(
        lease(outbox, &letter.subject, 9_000, 9_001).await.is_empty(),
        "a delivered letter is not leased"
    );
}

async fn letters_about_the_same_go_one_by_one(outbox: &dyn Outbox) {
    let (one, other) = (fresh(), fresh());
    let letters = [letter(&one, 2), letter(&one, 1), letter(&other, 1)];
    for letter in &letters {
        outbox.put(letter).await.expect("put");
    }
    let mut numbers = Vec::new();
    for now in [1_000, 1_001, 1_002] {
        let leased = lease(outbox, &one, now, 500_000).await;
        numbers.push(leased.iter().map(|delivery| delivery.letter.number).collect::<Vec<_>>());
        if let Some(delivery) = leased.first() {
            outbox.delivered(&delivery.letter.id, THEN).await.expect("delivered");
        }
    }
    assert_eq!(numbers, [vec![1], vec![2], vec![]]);
    take(outbox, &letters).await;
}

async fn a_lease_comes_up_again(outbox: &dyn Outbox) {
    let letter = letter(&fresh(), 1);
    outbox.put(&letter).await.expect("put");
    assert_eq!(lease(outbox, &letter.subject, 1_000, 5_000).await.len(), 1);
    assert!(lease(outbox, &letter.subject, 4_999, 6_000).await.is_empty(), "it is leased");
    assert!(outbox.next_due().await.expect("next due").is_some(), "something is due some time");
    let again = lease(outbox, &letter.subject, 5_000, 9_000).await;
    assert_eq!(again.iter().map(|delivery| delivery.tries).collect::<Vec<_>>(), [2], "its carrier died");
    outbox.failed(&letter.id, Some(Timestamp(7_000)), "no answer").await.expect("failed");
    assert!(lease(outbox, &letter.subject, 6_999, 9_000).await.is_empty(), "it waits");
    let third = lease(outbox, &letter.subject, 7_000, 9_000).await;
    assert_eq!(third.first().map(|delivery| delivery.last_error.as_str()), Some("no answer"));
    take(outbox, &[letter]).await;
}

async fn a_dead_letter_lets_the_next_go(outbox: &dyn Outbox) {
    let subject = fresh();
    let (first, second) = (letter(&subject, 1), letter(&subject, 2));
    outbox.put(&first).await.expect("put");
    outbox.put(&second).await.expect("put");
    let before = outbox.depth().await.expect("depth");
    lease(outbox, &subject, 1_000, 5_000).await;
    outbox.failed(&first.id, None, "gone").await.expect("given up");
    let after = outbox.depth().await.expect("depth");
    assert!(after.dead > before.dead && after.waiting < before.waiting, "{before:?} then {after:?}");
    let next = lease(outbox, &subject, 1_001, 5_000).await;
    assert_eq!(next.iter().map(|delivery| delivery.letter.number).collect::<Vec<_>>(), [2]);
    take(outbox, &[first, second]).await;
}

async fn dead_letters_are_replayed_or_dropped(outbox: &dyn Outbox) {
    let letters = [letter(&fresh(), 1), letter(&fresh(), 1)];
    let [first, second] = &letters;
    for letter in &letters {
        outbox.put(letter).await.expect("put");
        assert!(!outbox.replay(&letter.id, THEN).await.expect("replay"), "it waits already");
        outbox.failed(&letter.id, None, "gone").await.expect("given up");
    }
    let dead = async || {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = outbox.letters(LetterState::Dead, after.as_deref(), 1).await.expect("letters");
            let Some(last) = page.last() else { break };
            assert_eq!((page.len(), last.state), (1, LetterState::Dead), "no more than wanted");
            after = Some(last.letter.id.clone());
            found.extend(page.into_iter().filter(|one| letters.contains(&one.letter)));
        }
        found.len()
    };
    assert_eq!(dead().await, 2);
    assert!(outbox.replay(&first.id, Timestamp(3_000)).await.expect("replay"));
    assert!(outbox.drop_letter(&second.id, THEN).await.expect("drop"));
    assert_eq!(dead().await, 0);
    assert!(!outbox.drop_letter(&second.id, THEN).await.expect("drop"), "it is gone");
    assert!(!outbox.replay(&fresh(), THEN).await.expect("replay"), "there is none");
    assert!(lease(outbox, &first.subject, 2_999, 9_000).await.is_empty(), "it is due later");
    let again = lease(outbox, &first.subject, 3_000, 9_000).await;
    assert_eq!(again.iter().map(|delivery| delivery.tries).collect::<Vec<_>>(), [1], "from the beginning");
    take(outbox, &letters).await;
}

async fn what_was_delivered_long_ago_is_forgotten(outbox: &dyn Outbox) {
    let letter = letter(&fresh(), 1);
    outbox.put(&letter).await.expect("put");
    outbox.delivered(&letter.id, THEN).await.expect("delivered");
    outbox.purge(THEN, THEN, MANY).await.expect("purge");
    assert!(!outbox.put(&letter).await.expect("put"), "what was delivered just then is remembered");
    while outbox.purge(LATER, THEN, MANY).await.expect("purge") > 0 {}
    assert!(outbox.put(&letter).await.expect("put"), "it was forgotten");
    outbox.failed(&letter.id, None, "gone").await.expect("given up");
    while outbox.purge(LATER, THEN, MANY).await.expect("purge") > 0 {}
    assert!(!outbox.put(&letter).await.expect("put"), "what was given up just then is kept");
    while outbox.purge(LATER, LATER, MANY).await.expect("purge") > 0 {}
    assert!(outbox.put(&letter).await.expect("put"), "it was forgotten too");
    take(outbox, &[letter]).await;
    while outbox.purge(LATER, THEN, MANY).await.expect("purge") > 0 {}
}
