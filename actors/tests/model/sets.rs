//! The sets of nodes, starts and faults, and what breaks without its rule.

use reelkeeper_actors::recording::rules::Rule;

use super::story::Story;
use super::world::Budget;

/// A set to explore.
pub struct Set {
    pub name: &'static str,
    pub story: Story,
    /// Fewer states than this mean that the model has lost something.
    pub least: usize,
}

const NONE: Budget = Budget {
    crashes: 0,
    steals: 0,
    lost_answers: 0,
    refusals: 0,
    lies: 0,
    kills: 0,
    clean_ends: 0,
    blips: 0,
    empty_lists: 0,
    flushes: 0,
    failures: 0,
    doubles: 0,
    stops: 0,
    deletes: 0,
};

fn set(name: &'static str, story: Story, least: usize) -> Set {
    Set { name, story, least }
}

/// Small enough for every test run.
pub fn small() -> Vec<Set> {
    let crash = Budget { crashes: 1, ..NONE };
    let ends = Budget { crashes: 1, kills: 1, clean_ends: 1, blips: 1, empty_lists: 1, stops: 1, ..NONE };
    let starts = Budget { lost_answers: 1, refusals: 1, failures: 1, ..NONE };
    let forgets = Budget { crashes: 2, flushes: 1, kills: 1, clean_ends: 1, ..NONE };
    let deletes = Budget { crashes: 1, deletes: 1, ..NONE };
    let hooks = Budget { crashes: 1, kills: 1, clean_ends: 1, ..NONE };
    let doubled = Budget { doubles: 1, ..NONE };
    vec![
        set("1 start", Story::new(1, 1, NONE), 150),
        set("1 start, slow store", Story::new(1, 1, NONE).with_slow_store(), 600),
        set("1 start, lost and refused and failed", Story::new(1, 1, starts), 3_000),
        set("1 start, late timers", Story::new(1, 1, crash).with_late_timers(), 600),
        set("1 start, a lie", Story::new(1, 1, Budget { lies: 1, ..NONE }), 25_000),
        set("1 start, all that ends a recording, crash", Story::new(1, 1, ends), 70_000),
        set("1 start, forgotten, 2 crashes", Story::new(1, 1, forgets), 14_000),
        set("1 start, deleted, crash, slow store", Story::new(1, 1, deletes).with_slow_store(), 10_000),
        set("1 start, webhooks, crash, killed, clean end", Story::new(1, 1, hooks).with_hooks(), 30_000),
        set("1 start, webhooks, doubled", Story::new(1, 1, doubled).with_hooks(), 9_000),
        set("2 starts", Story::new(1, 2, NONE), 50_000),
        set("2 nodes, 1 start, 2nd owner", Story::new(2, 1, Budget { steals: 1, ..NONE }), 17_000),
        set(
            "2 nodes, 1 start asked elsewhere, 2nd owner, crash",
            Story::new(2, 1, Budget { steals: 1, crashes: 1, ..NONE }).asking_elsewhere(),
            30_000,
        ),
    ]
}

/// What takes minutes each.
pub fn large() -> Vec<Set> {
    let steal = Budget { steals: 1, ..NONE };
    let ends = Budget { crashes: 1, kills: 1, clean_ends: 1, empty_lists: 1, stops: 1, ..steal };
    let two = Budget { crashes: 1, kills: 1, clean_ends: 1, ..NONE };
    let hooks = Budget { crashes: 1, kills: 1, clean_ends: 1, blips: 1, stops: 1, ..NONE };
    let shaken = Budget { flushes: 1, blips: 1, ..steal };
    let starts = Budget { lost_answers: 1, refusals: 1, failures: 1, ..NONE };
    vec![
        set("2 nodes, 1 start, 2nd owner, slow store", Story::new(2, 1, steal).with_slow_store(), 700_000),
        set("2 nodes, 1 start, 2nd owner, forgotten, recorder away", Story::new(2, 1, shaken), 500_000),
        set(
            "1 start, webhooks, all that ends a recording, crash",
            Story::new(1, 1, hooks).with_hooks(),
            500_000,
        ),
        set("2 starts, crash, killed, clean end", Story::new(1, 2, two), 1_000_000),
        set("2 starts, lost and refused and failed", Story::new(1, 2, starts), 500_000),
        set("2 nodes, 1 start, 2nd owner, webhooks", Story::new(2, 1, steal).with_hooks(), 3_000_000),
        set("2 nodes, 1 start, 2nd owner, all that ends a recording", Story::new(2, 1, ends), 3_000_000),
        set("3 nodes, 1 start, 3rd owner", Story::new(3, 1, Budget { steals: 2, ..NONE }), 1_000_000),
        set(
            "2 starts, late timers, crash",
            Story::new(1, 2, Budget { crashes: 1, ..NONE }).with_late_timers(),
            250_000,
        ),
        set("2 nodes, 1 start, 2nd owner, late timers", Story::new(2, 1, steal).with_late_timers(), 18_000),
        set("3 starts", Story::new(1, 3, NONE), 3_000_000),
        set("2 nodes, 2 starts, 2nd owner", Story::new(2, 2, steal), 3_000_000),
        set("2 starts, webhooks", Story::new(1, 2, NONE).with_hooks(), 3_000_000),
        set(
            "2 nodes, 1 start, 2nd owner, clocks that differ",
            Story::new(2, 1, steal).with_differing_clocks(),
            100_000,
        ),
        set("2 nodes, 1 start, 2nd owner, a lie", Story::new(2, 1, Budget { lies: 1, ..steal }), 1_000_000),
    ]
}

/// A rule that is taken away, and a set that shows it.
pub struct Need {
    pub rule: Rule,
    pub story: Story,
}

/// Rules of the lifecycle that the model needs. The others show in what it leaves out; see `tests/simulation`.
pub fn needs() -> Vec<Need> {
    let crash = Budget { crashes: 1, ..NONE };
    let killed = Budget { kills: 1, ..NONE };
    let flushed = Budget { flushes: 1, blips: 1, clean_ends: 1, ..NONE };
    let stolen = Budget { steals: 1, ..NONE };
    let refused = Budget { refusals: 1, ..NONE };
    let needs = [
        (Rule::RepeatEffects, 1, Budget { crashes: 1, ..killed }),
        (Rule::OnlySaverSends, 1, crash),
        (Rule::NeverRepeatUnknown, 1, Budget { lost_answers: 1, ..NONE }),
        (Rule::FreshUidAfterRefusal, 1, refused),
        (Rule::RefusedStaysUnsettled, 1, Budget { lies: 1, ..NONE }),
        (Rule::TimedOutStaysUnsettled, 1, NONE),
        (Rule::StopUnwanted, 1, NONE),
        (Rule::StopStaysOwed, 1, NONE),
        (Rule::StopTimeoutFrees, 1, Budget { stops: 1, ..killed }),
        (Rule::LossFreesRoom, 1, killed),
        (Rule::LossWithoutSighting, 1, killed),
        (Rule::UploadLimit, 1, Budget { stops: 1, ..killed }),
        (Rule::StopLostLife, 2, stolen),
        (Rule::FileFirst, 1, flushed),
        (Rule::UnknownFileStaysOpen, 1, flushed),
        (Rule::LateTruth, 1, NONE),
        (Rule::PollBesideWebhooks, 1, NONE),
    ];
    let story = |(rule, nodes, budget): (Rule, usize, Budget)| {
        let story = Story::without(&[rule], nodes, 1, budget);
        let slow = matches!(rule, Rule::RepeatEffects);
        Need { rule, story: if slow { story.with_slow_store() } else { story } }
    };
    needs.map(story).into()
}

/// A second owner while the first runs on, and a ledger that takes every write.
pub fn unfenced() -> Story {
    Story::new(2, 1, Budget { steals: 1, ..NONE }).unfenced()
}

/// A deleted recording whose worker is dead, and a webhook that is older than the upload limit.
pub fn ancient_webhook() -> Story {
    let budget = Budget { kills: 1, deletes: 1, ..NONE };
    Story::new(1, 1, budget).with_ancient_hooks()
}
