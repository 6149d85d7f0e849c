//! What is counted, and who keeps the counts.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper ends of what is measured in seconds.
const SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

const COUNTERS: [(&str, &str); 10] = [
    ("reelkeeper_claims_total", "Rooms that this node claimed."),
    ("reelkeeper_takeovers_total", "Of these, rooms of another node or of an earlier run."),
    ("reelkeeper_fenced_writes_total", "Writes, claims and answers that another owner's claim refused."),
    ("reelkeeper_recordings_total", "Recordings that are over, by status."),
    ("reelkeeper_lost_total", "Recordings whose recorder was lost."),
    (
        "reelkeeper_recovered_total",
        "Recordings that were lost or called over without a file, and have it after all.",
    ),
    ("reelkeeper_corrections_total", "Documents that late truth corrected, by the status they had and got."),
    ("reelkeeper_actor_restarts_total", "Room actors that fell and were started again."),
    ("reelkeeper_gateway_errors_total", "Letters to other nodes without an answer, by kind."),
    ("reelkeeper_swept_total", "What janitors found, by task and result."),
];
const GAUGES: [(&str, &str); 11] = [
    ("reelkeeper_dependency_up", "Whether a dependency answers."),
    ("reelkeeper_room_actors", "Room actors on this node."),
    ("reelkeeper_mailbox_messages", "Messages that room actors have not taken up yet."),
    ("reelkeeper_rooms_owned", "Rooms whose row this node's actors hold."),
    ("reelkeeper_recordings_live", "Recordings that this node's rooms hold as live."),
    ("reelkeeper_requests_under_way", "Requests and webhooks under way on this node."),
    ("reelkeeper_lease_held", "Whether this node holds its lease."),
    ("reelkeeper_inbox_letters", "Letters between nodes that nobody answered yet."),
    ("reelkeeper_outbox_waiting", "Outgoing webhooks that wait."),
    ("reelkeeper_outbox_oldest_seconds", "How long the oldest outgoing webhook waits."),
    ("reelkeeper_outbox_dead", "Outgoing webhooks that were given up."),
];

/// The recorder of this process; begins to count at the first call.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("there are buckets");
        let handle = builder.install_recorder().expect("nobody else installs one");
        for (name, text) in COUNTERS {
            describe_counter!(name, text);
        }
        for (name, text) in GAUGES {
            describe_gauge!(name, text);
        }
        describe_histogram!(
            "reelkeeper_gateway_seconds",
            Unit::Seconds,
            "Letters to other nodes, until their answer."
        );
        handle
    })
}
