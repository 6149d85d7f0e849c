//! Where this process runs, as far as only one process can run there.
//!
//! Whoever listens on an address of a machine knows that the one who did before is dead, so its rooms need not wait
//! until its lease ends.

use std::net::SocketAddr;
use std::time::Duration;

use reelkeeper_actors::ids::NodeId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::coordination::Coordination;

/// How long a place is remembered; longer than any lease.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Takes the place that this process listens at, which says that whoever had it before is gone.
pub(super) async fn take(
    coordination: &dyn Coordination,
    node: &NodeId,
    address: SocketAddr,
    wanted: SocketAddr,
) -> Result<(), PortError> {
    // A port that nobody asked for tells nothing of who had it before.
    if wanted.port() == 0 {
        return Ok(());
    }
    coordination.succeed(&name(address), node, REMEMBERED).await
}

/// Names the machine and the address. Containers have a name of their own each; of machines that were copied with
/// theirs, one ends the other's lease when it starts, which costs the other a renewal and nothing else.
fn name(address: SocketAddr) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}/{host}/{address}", machine.trim())
}
