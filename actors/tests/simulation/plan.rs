//! A history before it is played: who asks what, and what goes wrong when. All of it is data, drawn from
//! one seed (`draw.rs`), so that a failing one can be cut down and kept as a named story.

use std::time::Duration;

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::rules::Rule;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::egress::Workers;
use reelkeeper_actors::simulator::egress::mishaps::CutOff;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, What};

/// How long a node's lease usually lasts.
pub const LEASE: Duration = Duration::from_secs(15);

/// Everything that decides how a history goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Decides about what is left to chance while it is played: ids, and faults with a chance.
    pub seed: u64,
    /// How long things take in LiveKit.
    pub timing: Timing,
    /// How long we wait.
    pub pace: Pace,
    /// Nodes; with more than one, clients and webhooks come to each in turn.
    pub nodes: usize,
    /// Rooms in use.
    pub rooms: usize,
    /// What happens, in order; milliseconds from the start.
    pub steps: Vec<(u64, Step)>,
    /// Rules that are taken away, to see whether anybody notices.
    pub without: Vec<Rule>,
    /// How long a node's lease lasts, if there are several.
    pub lease: Duration,
}

/// How long we wait before we judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As in production.
    Usual,
    /// Short enough that a history sees it through.
    Brisk,
}

/// Something that happens. Rooms are numbered; `pick` counts recordings of a room from the newest.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A client starts a recording.
    Start { room: usize },
    /// A client stops a recording.
    Stop { room: usize, pick: usize },
    /// A client starts a recording under an idempotency key.
    StartOnce { room: usize, key: u64 },
    /// A client stops a recording under an idempotency key.
    StopOnce { room: usize, pick: usize, key: u64 },
    /// A client deletes a recording.
    Delete { room: usize, pick: usize },
    /// A recording is deleted with its room, whatever its state.
    Erase { room: usize, pick: usize },
    /// Everybody leaves the meeting; LiveKit closes it after a while.
    Leave { room: usize },
    /// Somebody is in the meeting again.
    Join { room: usize },
    /// LiveKit ends the meeting.
    EndMeeting { room: usize },
    /// The egress workers are busy, or there are none.
    Workers(Workers),
    /// The workers of a room's egresses are killed.
    KillWorkers { room: usize },
    /// The workers that record a room lose their connection to it.
    CutOff { room: usize, then: CutOff },
    /// LiveKit forgets every egress; workers run on.
    Forget,
    /// LiveKit cannot be reached, and reaches nobody.
    LiveKitAway { ms: u64, how: Away },
    /// What went wrong with LiveKit's calls and webhooks goes wrong no more.
    LiveKitHeals,
    /// No webhook of LiveKit arrives any more, for good.
    Deaf,
    /// An old process left a recording behind that no row holds.
    Original { room: usize, left: Left },
    /// Something goes wrong in LiveKit.
    LiveKit(Fault),
    /// LiveKit does what it was asked, and answers with this error all the same.
    Lie { method: Method, refusal: Refusal },
    /// Something goes wrong in a store.
    Store(StoreFault),
    /// No store answers for so long.
    StoresAway { ms: u64 },
    /// Something goes wrong around one of several nodes, for so long.
    Node { node: usize, trouble: NodeTrouble, ms: u64 },
    /// One of several nodes is asked to end, and comes back.
    Quit { node: usize, down_ms: u64 },
    /// All leases are lost.
    LeasesLost,
    /// The node dies at the given call to a port from here on, before it is made or just after it was
    /// carried out, and comes back after a while with another clock.
    Crash { calls: u32, moment: Moment, down_ms: u64, skew_ms: i64 },
}

/// What goes wrong around one of several nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeTrouble {
    /// It does nothing, and goes on where it stopped.
    Frozen,
    /// No letter comes or goes.
    NoPeers,
    /// No letter goes between it and those beside it; the others reach both.
    Apart,
    /// What it answers to other nodes gets lost.
    AnswersLost,
    /// The others think that it is dead.
    Suspect,
    /// It cannot reach the stores.
    NoStore,
    /// It cannot reach the leases.
    NoLeases,
    /// It cannot reach LiveKit.
    NoLiveKit,
}

/// What becomes of calls to a LiveKit that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The connection is refused.
    Refuses,
    /// Nothing comes back.
    Silent,
}

/// What an old process left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// An egress that runs, and its document.
    Running,
    /// A document with this status whose egress nobody knows.
    Document(RecordingStatus),
    /// The same, and its file.
    DocumentAndFile(RecordingStatus),
}

/// Before a call takes effect or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
}

/// What goes wrong in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault {
    /// Only these calls; none = any.
    pub call: Option<StoreCall>,
    /// How many matching ones it spares first.
    pub skip: u32,
    /// How many it hits after those.
    pub times: u32,
    /// What it does to them.
    pub does: StoreTrouble,
}

/// The calls of the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreCall {
    LoadRow,
    WriteRow,
    RemoveRow,
    ListRows,
    FindRoom,
    FindRecording,
    ListUnfinished,
    InsertRecording,
    UpdateRecording,
    RemoveRecording,
    HeadFile,
    RemoveFile,
    TakeNotice,
    FindKey,
    EnterKey,
    KeepAnswer,
    RecallAnswer,
    ForgetKeys,
    PutLetter,
    ReadLetters,
    AnswerLetter,
}

/// What becomes of a call to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTrouble {
    /// Nothing is done, an error is answered.
    Fails,
    /// It is done, an error is answered.
    AnswerLost,
    /// It is done later, if the caller still waits.
    Slow { ms: u64 },
    /// It is done, the answer comes later.
    SlowAnswer { ms: u64 },
}

impl Plan {
    /// A history that is written down, in one room of one node.
    pub fn written(timing: Timing, steps: Vec<(u64, Step)>) -> Self {
        let without = Vec::new();
        Self { seed: 1, timing, pace: Pace::Usual, nodes: 1, rooms: 1, steps, without, lease: LEASE }
    }

    /// The numbers of the lifecycle.
    pub fn policy(&self) -> Policy {
        let usual = Policy { without: self.without.clone(), ..Policy::default() };
        match self.pace {
            Pace::Usual => usual,
            Pace::Brisk => {
                Policy { stale_after: Duration::from_secs(40), upload_limit: Duration::from_mins(5), ..usual }
            }
        }
    }

    /// How often a list of participants shows nobody though somebody is there. What two looks in a row are
    /// told is believed.
    pub fn lies_about_participants(&self) -> u32 {
        let lies = self.steps.iter().map(|(_, step)| match step {
            Step::LiveKit(Fault {
                what: What::Call { method: Method::ListParticipants, does: CallTrouble::EmptyList, .. },
                times,
                ..
            }) => times.unwrap_or(u32::MAX),
            _ => 0,
        });
        lies.fold(0, u32::saturating_add)
    }

    /// Whether LiveKit ever does not show an egress that is there.
    pub fn hides_egresses(&self) -> bool {
        self.steps.iter().any(|(_, step)| match step {
            Step::LiveKit(fault) => matches!(
                &fault.what,
                What::Call { does: CallTrouble::Unlisted, .. }
                    | What::Call { method: Method::ListEgress, .. }
            ),
            step => matches!(step, Step::Forget | Step::LiveKitAway { .. }),
        })
    }

    /// Whether LiveKit may know an end that it told nobody.
    pub fn hides_ends(&self) -> bool {
        let unheard = |step: &Step| matches!(step, Step::Node { trouble: NodeTrouble::NoLiveKit, .. });
        self.hides_egresses() || self.steps.iter().any(|(_, step)| unheard(step))
    }

    /// Whether a node that lives may be taken for dead.
    pub fn takes_over(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, Step::LeasesLost | Step::Node { .. }))
    }

    /// How long, at most, nobody sees anything: the node, the stores and LiveKit are away one after the other.
    pub fn longest_silence(&self) -> Duration {
        let away = self.steps.iter().map(|(_, step)| match step {
            Step::LiveKitAway { ms, .. }
            | Step::StoresAway { ms }
            | Step::Crash { down_ms: ms, .. }
            | Step::Quit { down_ms: ms, .. }
            | Step::Node { ms, .. } => *ms,
            _ => 0,
        });
        Duration::from_millis(away.sum())
    }

    /// Whether a node is ever frozen.
    pub fn freezes(&self) -> bool {
        let frozen = |step: &Step| matches!(step, Step::Node { trouble: NodeTrouble::Frozen, .. });
        self.steps.iter().any(|(_, step)| frozen(step))
    }

    /// Whether a deadline that has passed may lie ahead again: "unwanted" could not be stored when it passed
    /// (design 4: the deadline in the row stands for it), and then the clock was set back.
    pub fn lets_deadlines_return(&self) -> bool {
        let stores =
            |step: &Step| matches!(step, Step::Store(_) | Step::StoresAway { .. } | Step::Node { .. });
        let set_back = |step: &Step| matches!(step, Step::Crash { skew_ms, .. } if *skew_ms < 0);
        let any = |of: &dyn Fn(&Step) -> bool| self.steps.iter().any(|(_, step)| of(step));
        any(&stores) && any(&set_back)
    }

    /// Whether what is decided is shown at once: the stores and the node are well, but for looks at files.
    pub fn shows_at_once(&self) -> bool {
        !self.steps.iter().any(|(_, step)| match step {
            Step::Store(fault) => fault.call != Some(StoreCall::HeadFile),
            step => matches!(step, Step::StoresAway { .. } | Step::Crash { .. } | Step::Node { .. }),
        })
    }
}
