//! How long things take in a simulated LiveKit, and a clock for it that follows tokio's.

use std::time::Duration;

use tokio::time::Instant;

use crate::ports::clock::Clock;
use crate::recording::Timestamp;

/// How long things take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From a StartEgress until a worker took it.
    pub accept: Duration,
    /// From the work of a StartEgress or DeleteRoom until its answer. A real server's webhooks about it
    /// are earlier than that; so are these while `webhook` is shorter.
    pub answer: Duration,
    /// From a worker's taking an egress until its hidden recorder is in the room.
    pub join: Duration,
    /// From a worker's taking an egress until it is ACTIVE; longer than `join`.
    pub activate: Duration,
    /// From the end of recording until the recorder has left the room.
    pub leave: Duration,
    /// From there until the file is uploaded.
    pub upload: Duration,
    /// From the death of a worker until LiveKit drops its recorder (measured: 20 to 21 s).
    pub drop_dead: Duration,
    /// How long LiveKit looks for somebody who does not answer (the worker of an egress, the room of a
    /// message) before it answers with an error (measured: 3.0 s).
    pub search: Duration,
    /// How long LiveKit asks workers that are all busy before it refuses a start (measured: 4.3 s).
    pub refuse: Duration,
    /// How long LiveKit looks for any worker at all before it refuses a start (measured: 21 to 25 s).
    pub no_worker: Duration,
    /// From an event until its webhook is on its way.
    pub webhook: Duration,
    /// How long a webhook that is to be overtaken waits for another of its queue.
    pub overtake: Duration,
    /// How long a room stays that nobody ever joined, unless its creator said otherwise.
    pub empty_timeout: Duration,
    /// How long a room stays after the last one left, unless its creator said otherwise.
    pub departure_timeout: Duration,
}

impl Default for Timing {
    /// Quick where a real server is slow for no reason that matters (a browser starts, a file is
    /// uploaded); a real server's own limits everywhere else.
    fn default() -> Self {
        Self {
            accept: Duration::from_millis(50),
            answer: Duration::from_millis(10),
            join: Duration::from_millis(200),
            activate: Duration::from_millis(500),
            leave: Duration::from_millis(100),
            upload: Duration::from_millis(400),
            drop_dead: Duration::from_secs(20),
            search: Duration::from_secs(3),
            refuse: Duration::from_millis(4300),
            no_worker: Duration::from_secs(24),
            webhook: Duration::from_millis(5),
            overtake: Duration::from_secs(2),
            empty_timeout: Duration::from_mins(5),
            departure_timeout: Duration::from_secs(20),
        }
    }
}

/// A clock that runs, stands and jumps with tokio's: on a paused runtime it is the test's.
#[derive(Debug, Clone)]
pub struct TokioClock {
    start: Instant,
    at_start: Timestamp,
}

impl TokioClock {
    /// A clock that shows `at_start` now.
    #[must_use]
    pub fn starting_at(at_start: Timestamp) -> Self {
        Self { start: Instant::now(), at_start }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.at_start.plus(self.start.elapsed())
    }
}
