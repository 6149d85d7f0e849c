//! Takes the rules of the lifecycle away, one after the other, to see that the promises need them.
//!
//! Each has a history that breaks a promise without it: of chance (`NEEDED`), or written for it (`needs.rs`).
//! A rule that no history needs stands in `COVERED`, with what covers it, and a history that keeps every
//! promise without either of the two, but not without both.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use reelkeeper_actors::recording::rules::Rule;

use crate::plan::Plan;
use crate::{from_environment, needs, play};

/// How many other histories are tried when the known one does not notice; `REELKEEPER_HISTORIES` tries more.
const TRIED: u64 = 200;

/// Seeds of histories that break a promise without the rule.
const NEEDED: [(Rule, u64); 21] = [
    (Rule::CommitBeforeEffect, 152),
    (Rule::RecogniseOwnCommit, 2849),
    (Rule::RepeatEffects, 105),
    (Rule::OnlySaverSends, 8),
    (Rule::NeverRepeatUnknown, 30),
    (Rule::FreshUidAfterRefusal, 155),
    (Rule::RefusedStaysUnsettled, 155),
    (Rule::TimedOutStaysUnsettled, 11),
    (Rule::StopUnwanted, 11),
    (Rule::StopAfterDeadline, 61),
    (Rule::StopStaysOwed, 36),
    (Rule::StopTimeoutFrees, 88),
    (Rule::RecorderLeftFrees, 3),
    (Rule::LossFreesRoom, 7),
    (Rule::CleanLeaveUploads, 3),
    (Rule::UploadLimit, 7),
    (Rule::LateTruth, 11),
    (Rule::VerifyFile, 26),
    (Rule::PollBesideWebhooks, 7),
    (Rule::TakeUpRows, 7),
    (Rule::TakeUpDocuments, 32),
];

/// What makes a rule look needless here.
struct Cover {
    rule: Rule,
    by: Rule,
    reason: &'static str,
    history: fn() -> Plan,
}

const COVERED: [Cover; 2] = [
    Cover {
        rule: Rule::DoubtWrongList,
        by: Rule::RecorderProvesLife,
        reason: "a list that misses what runs judges nobody whose recorder is in the room",
        history: needs::history_of_wrong_lists,
    },
    Cover {
        rule: Rule::FindOwnStart,
        by: Rule::RecogniseOwnCommit,
        reason: "with one node no commit of a start is taken for another's",
        history: || Plan::of(974),
    },
];

/// The first promise that a history breaks without some rules; a test that falls is one too.
fn broken(history: &Plan, without: &[Rule]) -> Option<String> {
    let plan = Plan { without: without.to_vec(), ..history.clone() };
    match catch_unwind(AssertUnwindSafe(|| play(&plan, false))) {
        Ok(outcome) => outcome.broken.first().map(|broken| broken.promise.to_owned()),
        Err(_) => Some("no history falls".to_owned()),
    }
}

/// How it shows that a rule is needed: the promise that breaks without it, and in which history.
fn need_of(rule: Rule) -> Option<String> {
    if let Some(promise) = needs::history(rule).and_then(|history| broken(&history, &[rule])) {
        return Some(format!("\"{promise}\", a history of its own"));
    }
    let known = NEEDED.iter().filter(|(of, _)| *of == rule).map(|(_, seed)| *seed);
    let tried = 1..=from_environment("REELKEEPER_HISTORIES").unwrap_or(TRIED);
    let told = |seed| Some(format!("\"{}\", seed {seed}", broken(&Plan::of(seed), &[rule])?));
    known.chain(tried).find_map(told)
}

#[test]
fn every_rule_is_needed_or_covered() {
    let (mut told, mut needless) = (String::new(), Vec::new());
    for rule in Rule::ALL {
        let cover = COVERED.iter().find(|cover| cover.rule == rule);
        let need = match cover {
            None => need_of(rule),
            Some(Cover { by, reason, history, .. }) => {
                let both = broken(&history(), &[rule, *by]);
                both.map(|promise| format!("covered by {by:?} ({reason}); without both \"{promise}\""))
            }
        };
        match need {
            Some(need) => drop(writeln!(told, "{rule:?}: {need}")),
            None => needless.push(rule),
        }
    }
    println!("{told}");
    assert!(needless.is_empty(), "nothing notices that these are gone: {needless:?}\n{told}");
}

#[test]
fn the_histories_of_rules_keep_every_promise_with_them() {
    let own = Rule::ALL.into_iter().filter_map(|rule| Some((rule, needs::history(rule)?, Vec::new())));
    let alone = COVERED.iter().flat_map(|cover| {
        [cover.rule, cover.by].map(|without| (cover.rule, (cover.history)(), vec![without]))
    });
    for (rule, history, without) in own.chain(alone) {
        assert_eq!(broken(&history, &without), None, "the history of {rule:?}, without {without:?}");
    }
}
