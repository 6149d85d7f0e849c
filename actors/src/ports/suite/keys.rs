//! What every adapter of [`IdempotencyKeys`] must do.

use futures::future::join_all;

use super::{fresh, fresh_room};
use crate::ids::CommandId;
use crate::ports::keys::{IdempotencyKeys, KeptCommand, Operation, ScopedKey};
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Refusal};

/// How many at once.
const CROWD: u64 = 24;
/// Entered then, unless a case says otherwise; long before anything that somebody else may keep.
const THEN: Timestamp = Timestamp(1_000_000);

/// Runs every case.
pub async fn keys(keys: &dyn IdempotencyKeys) {
    a_key_stands_for_one_command(keys).await;
    of_many_commands_under_one_key_one_is_entered(keys).await;
    the_same_text_elsewhere_is_another_key(keys).await;
    a_first_answer_stays(keys).await;
    every_answer_comes_back_as_it_was(keys).await;
    an_old_key_is_used_anew(keys).await;
    old_keys_are_forgotten_the_oldest_first(keys).await;
}

fn key() -> ScopedKey {
    // Every character that a key may have.
    let key = (' '..='~').collect();
    ScopedKey { caller: fresh(), room: fresh_room(), operation: Operation::Start, key }
}

fn new() -> KeptCommand {
    KeptCommand { command: CommandId::from_trusted(fresh()), request: fresh(), entered: THEN, answer: None }
}

fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}

async fn enter(keys: &dyn IdempotencyKeys, key: &ScopedKey, new: &KeptCommand) -> KeptCommand {
    keys.enter(key, new, THEN).await.expect("enter")
}

/// Removes what the cases left: nobody else keeps anything that is so old.
async fn clear(keys: &dyn IdempotencyKeys) {
    while keys.forget_older(Timestamp(THEN.0 + 1), 100).await.expect("forget") > 0 {}
}

async fn a_key_stands_for_one_command(keys: &dyn IdempotencyKeys) {
    let (key, first, second) = (key(), new(), new());
    assert_eq!(keys.find(&key).await.expect("find"), None);
    assert_eq!(keys.answer_of(&first.command).await.expect("answer of"), None);
    assert_eq!(enter(keys, &key, &first).await, first);
    assert_eq!(enter(keys, &key, &second).await, first);
    assert_eq!(enter(keys, &key, &first).await, first);
    assert_eq!(keys.find(&key).await.expect("find"), Some(first));
    assert!(!keys.keep(&second.command, &refused(Refusal::StopOwed)).await.expect("keep"));
    assert_eq!(keys.answer_of(&second.command).await.expect("answer of"), None);
    clear(keys).await;
}

async fn of_many_commands_under_one_key_one_is_entered(keys: &dyn IdempotencyKeys) {
    let key = key();
    let crowd: Vec<KeptCommand> = (0..CROWD).map(|_| new()).collect();
    let told = join_all(crowd.iter().map(|new| enter(keys, &key, new))).await;
    let kept = keys.find(&key).await.expect("find").expect("one was entered");
    assert!(crowd.contains(&kept));
    assert!(told.iter().all(|told| *told == kept), "{told:?}");
    clear(keys).await;
}

async fn the_same_text_elsewhere_is_another_key(keys: &dyn IdempotencyKeys) {
    let here = key();
    let elsewhere = [
        here.clone(),
        ScopedKey { caller: fresh(), ..here.clone() },
        ScopedKey { room: fresh_room(), ..here.clone() },
        ScopedKey { operation: Operation::Stop, ..here.clone() },
        ScopedKey { key: here.key.to_uppercase(), ..here.clone() },
        ScopedKey { key: format!("{} ", here.key), ..here.clone() },
    ];
    let commands: Vec<_> = elsewhere.iter().map(|_| new()).collect();
    for (key, new) in elsewhere.iter().zip(&commands) {
        assert_eq!(enter(keys, key, new).await, *new, "{key:?}");
    }
    for (key, new) in elsewhere.iter().zip(&commands) {
        assert_eq!(keys.find(key).await.expect("find").as_ref(), Some(new), "{key:?}");
    }
    clear(keys).await;
}

async fn a_first_answer_stays(keys: &dyn IdempotencyKeys) {
    let (key, new) = (key(), new());
    enter(keys, &key, &new).await;
    let (first, second) = (refused(Refusal::TimedOutStarting), refused(Refusal::StopOwed));
    for answer in [&first, &first, &second] {
        assert!(keys.keep(&new.command, answer).await.expect("keep"));
        assert_eq!(keys.answer_of(&new.command).await.expect("answer of").as_ref(), Some(&first));
    }
    let kept = KeptCommand { answer: Some(first), ..new };
    assert_eq!(keys.find(&key).await.expect("find"), Some(kept.clone()));
    assert_eq!(enter(keys, &key, &super::keys::new()).await, kept);
    clear(keys).await;
}

async fn every_answer_comes_back_as_it_was(keys: &dyn IdempotencyKeys) {
    let reason = || "'\"\\ é \u{1F3AC} \u{0}".to_owned();
    let answers = [
        Answer::Recording(Box::new(super::catalog::recording(&fresh_room()))),
        refused(Refusal::AlreadyRecording),
        refused(Refusal::TimedOutStarting),
        refused(Refusal::StartFailed { reason: reason() }),
        refused(Refusal::StillStarting),
        refused(Refusal::AlreadyStopped),
        refused(Refusal::StopFailed { reason: reason() }),
        refused(Refusal::StopOwed),
    ];
    for answer in answers {
        assert!(answer.may_be_kept(), "{answer:?}");
        let (key, new) = (key(), new());
        enter(keys, &key, &new).await;
        assert!(keys.keep(&new.command, &answer).await.expect("keep"));
        assert_eq!(keys.answer_of(&new.command).await.expect("answer of"), Some(answer));
    }
    clear(keys).await;
}

async fn an_old_key_is_used_anew(keys: &dyn IdempotencyKeys) {
    let (key, old, later) = (key(), new(), Timestamp(THEN.0 + 1));
    enter(keys, &key, &old).await;
    assert!(keys.keep(&old.command, &refused(Refusal::StopOwed)).await.expect("keep"));
    let new = KeptCommand { entered: later, ..new() };
    assert_eq!(keys.enter(&key, &new, later).await.expect("enter"), new);
    assert_eq!(keys.find(&key).await.expect("find"), Some(new.clone()));
    // The old command is forgotten with its answer.
    assert_eq!(keys.answer_of(&old.command).await.expect("answer of"), None);
    assert!(!keys.keep(&old.command, &refused(Refusal::StopOwed)).await.expect("keep"));
    assert_eq!(keys.answer_of(&new.command).await.expect("answer of"), None);
    while keys.forget_older(Timestamp(THEN.0 + 2), 100).await.expect("forget") > 0 {}
}

async fn old_keys_are_forgotten_the_oldest_first(keys: &dyn IdempotencyKeys) {
    let aged = [3, 1, 2].map(|age| (key(), KeptCommand { entered: Timestamp(age), ..new() }));
    for (key, new) in &aged {
        keys.enter(key, new, Timestamp(0)).await.expect("enter");
    }
    let left = async || {
        let mut left = Vec::new();
        for (key, new) in &aged {
            if keys.find(key).await.expect("find").is_some() {
                left.push(new.entered.0);
            }
        }
        left
    };
    for (oldest, limit, forgotten, stay) in [
        (1, 9, 0, vec![3, 1, 2]),
        (3, 0, 0, vec![3, 1, 2]),
        (3, 1, 1, vec![3, 2]),
        (3, 9, 1, vec![3]),
        (4, 9, 1, vec![]),
    ] {
        assert_eq!(keys.forget_older(Timestamp(oldest), limit).await.expect("forget"), forgotten);
        assert_eq!(left().await, stay, "older than {oldest}, at most {limit}");
    }
}
