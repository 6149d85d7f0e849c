//! What every adapter of [`Coordination`] must do.

use std::time::Duration;

use tokio::time::Instant;

use super::fresh;
use crate::ids::NodeId;
use crate::ports::coordination::{Coordination, Standing};

/// A lease that outlives its case.
const LONG: Duration = Duration::from_mins(1);
/// A lease that ends within its case, in whole seconds as some stores count.
const SHORT: Duration = Duration::from_secs(1);
/// How long a store may take to notice that a lease ended.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs every case.
pub async fn coordination(coordination: &dyn Coordination) {
    a_lease_says_who_lives(coordination).await;
    a_lease_ends_by_itself(coordination).await;
    a_renewed_lease_outlives_its_first_term(coordination).await;
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
    expect(coordination, &one, Standing::Gone, "before any lease").await;
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
