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
    let ends = Budget { crashes: 1, kills: 1, clean_ends: 1, blips: 1, empty_lists: 1, stops: 1, ..NONE };
    let starts = Budget { lost_answers: 1, refusals: 1, failures: 1, ..NONE };
    let forgets = Budget { crashes: 2, flushes: 1, kills: 1, clean_ends: 1, ..NONE };
    let deletes = Budget { crashes: 1, deletes: 1, ..NONE };
    let hooks = Budget { crashes: 1, kills: 1, clean_ends: 1, ..NONE };
    let doubled = Budget { doubles: 1, stops: 1, ..NONE };
    vec![
        set("1 start", Story::new(1, 1, NONE), 150),
        set("1 start, slow store", Story::new(1, 1, NONE).with_slow_store(), 600),
        set("1 start, lost and refused and failed", Story::new(1, 1, starts), 1),
        set("1 start, a lie", Story::new(1, 1, Budget { lies: 1, ..NONE }), 25_000),
        set("1 start, all that ends a recording, crash", Story::new(1, 1, ends), 70_000),
        set("1 start, forgotten, 2 crashes", Story::new(1, 1, forgets), 14_000),
        set("1 start, deleted, crash, slow store", Story::new(1, 1, deletes).with_slow_store(), 10_000),
        set("1 start, webhooks, crash, killed, clean end", Story::new(1, 1, hooks).with_hooks(), 30_000),
        set("1 start, webhooks, doubled, stop", Story::new(1, 1, doubled).with_hooks(), 1),
        set("2 starts", Story::new(1, 2, NONE), 50_000),
        set("2 nodes, 1 start, 2nd owner", Story::new(2, 1, Budget { steals: 1, ..NONE }), 17_000),
        set(
            "2 nodes, 1 start asked elsewhere, 2nd owner, crash",
            Story::new(2, 1, Budget { steals: 1, crashes: 1, ..NONE }).asking_elsewhere(),
            30_000,
        ),
    ]
}

/// What takes minutes.
pub fn large() -> Vec<Set> {
    vec![]
}

/// A rule that is taken away, the set that shows it, and the property that breaks.
pub struct Need {
    pub rule: Rule,
    pub story: Story,
    pub breaks: &'static str,
}

pub fn needs() -> Vec<Need> {
    vec![]
}

/// A second owner while the first runs on, and a ledger that takes every write.
pub fn unfenced() -> Story {
    Story::new(2, 1, Budget { steals: 1, ..NONE }).unfenced()
}

/// A set in which a rule is looked for.
pub fn with_everything(rules: &[Rule]) -> Story {
    let b = Budget {
        crashes: 1,
        kills: 1,
        clean_ends: 1,
        blips: 1,
        empty_lists: 1,
        stops: 1,
        lies: 1,
        lost_answers: 1,
        deletes: 1,
        flushes: 1,
        failures: 1,
        refusals: 1,
        ..NONE
    };
    Story::without(rules, 1, 1, b)
}
pub fn with_two(rules: &[Rule]) -> Story {
    Story::without(rules, 2, 2, Budget { steals: 1, ..NONE })
}
pub fn with_hooks(rules: &[Rule]) -> Story {
    Story::without(
        rules,
        1,
        1,
        Budget { crashes: 1, kills: 1, clean_ends: 1, blips: 1, stops: 1, deletes: 1, ..NONE },
    )
    .with_hooks()
}
