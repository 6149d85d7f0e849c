//! Chance that can be had again.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Names the variable that repeats a history's moments; how the machine interleaves them is not in it.
const VARIABLE: &str = "REELKEEPER_TEST_SEED";

/// Chance from the seed in the environment, else from a new one; it is printed, and shown if the test fails.
pub fn chance(what: &str) -> StdRng {
    let given = std::env::var(VARIABLE).ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(rand::random::<u64>);
    println!("{what}: {VARIABLE}={seed}");
    StdRng::seed_from_u64(seed)
}
