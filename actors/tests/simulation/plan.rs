//! A history before it is played: who asks what, and what goes wrong when. All of it is data, drawn from
//! one seed, so that a failing one can be cut down and kept as a named story.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::egress::{WhenFull, Workers};
use reelkeeper_actors::simulator::faults::{CallTrouble, Fate, Fault, ListScope, WebhookTrouble, What};
use reelkeeper_actors::simulator::webhooks::EventName;

/// Everything that decides how a history goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Decides about what is left to chance while it is played: ids, and faults with a chance.
    pub seed: u64,
    /// How long things take in LiveKit.
    pub timing: Timing,
    /// Rooms in use.
    pub rooms: usize,
    /// What happens, in order; milliseconds from the start.
    pub steps: Vec<(u64, Step)>,
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
    /// Everybody leaves the meeting; LiveKit closes it after a while.
    Leave { room: usize },
    /// Somebody is in the meeting again.
    Join { room: usize },
    /// LiveKit ends the meeting.
    EndMeeting { room: usize },
    /// The egress workers are busy, or there are none.
    Workers(Workers),
    /// Something goes wrong in LiveKit.
    LiveKit(Fault),
    /// LiveKit does what it was asked, and answers with this error all the same.
    Lie { method: Method, refusal: Refusal },
    /// Something goes wrong in a store.
    Store(StoreFault),
    /// No store answers for so long.
    StoresAway { ms: u64 },
    /// The node dies at the given call to a port from here on, before it is made or just after it was
    /// carried out, and comes back after a while with another clock.
    Crash { calls: u32, moment: Moment, down_ms: u64, skew_ms: i64 },
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
    FindKey,
    EnterKey,
    KeepAnswer,
    RecallAnswer,
    ForgetKeys,
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
    /// The history of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw { chance: StdRng::seed_from_u64(seed), until: 0, lied: false };
        draw.until = draw.one(&[5_000, 30_000, 90_000, 180_000]);
        let rooms = draw.one(&[1, 1, 2, 3]);
        let mut steps = Vec::new();
        for _ in 0..draw.chance.random_range(3..14) {
            steps.push((draw.moment(), draw.request(rooms)));
        }
        // Some histories have fair weather, some foul.
        for _ in 0..draw.one(&[0, 1, 2, 4, 7, 12]) {
            let trouble = draw.trouble();
            steps.push((draw.moment(), trouble));
        }
        // Requests at once are drawn on purpose: a stop right after a start, two starts, a stop and its end.
        steps.sort_by_key(|(at, _)| *at);
        Self { seed, timing: draw.timing(), rooms, steps }
    }
}

/// Chance, in the words of plans.
struct Draw {
    chance: StdRng,
    /// When the last step may be, in milliseconds.
    until: u64,
    /// Whether a list shows nothing once already. One such lie at a time: two looks that are both lied to
    /// prove what they should.
    lied: bool,
}

impl Draw {
    fn one<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.chance).expect("there is something to choose from").clone()
    }

    fn moment(&mut self) -> u64 {
        match self.chance.random_range(0..4) {
            // In the first seconds, where everything is tight.
            0 => self.chance.random_range(0..3_000),
            // On the second, where things coincide.
            1 => 1_000 * self.chance.random_range(0..self.until / 1_000),
            _ => self.chance.random_range(0..self.until),
        }
    }

    fn timing(&mut self) -> Timing {
        let mut ms = |of: &[u64]| Duration::from_millis(self.one(of));
        let join = ms(&[200, 200, 1_000, 2_500]);
        Timing {
            accept: ms(&[50, 50, 500, 2_000, 8_000]),
            join,
            activate: join + ms(&[100, 300, 2_000, 8_000]),
            leave: ms(&[100, 100, 1_000, 6_000]),
            upload: ms(&[0, 400, 5_000, 40_000]),
            webhook: ms(&[0, 5, 5, 300]),
            ..Timing::default()
        }
    }

    fn request(&mut self, rooms: usize) -> Step {
        let room = self.chance.random_range(0..rooms);
        let pick = self.one(&[0, 0, 0, 1, 2]);
        match self.chance.random_range(0..20) {
            0..7 => Step::Start { room },
            7..12 => Step::Stop { room, pick },
            12..17 => Step::Delete { room, pick },
            17 => Step::Leave { room },
            18 => Step::Join { room },
            _ => Step::EndMeeting { room },
        }
    }

    fn trouble(&mut self) -> Step {
        match self.chance.random_range(0..20) {
            0..6 => self.livekit_call(),
            6..10 => self.webhook(),
            10 => self.lie(),
            11..15 => Step::Store(self.store()),
            15 => Step::StoresAway { ms: self.one(&[500, 3_000, 12_000, 40_000]) },
            16 => Step::Workers(Workers {
                slots: Some(self.one(&[0, 1])),
                when_full: self.one(&[WhenFull::Exhausted, WhenFull::Unavailable, WhenFull::Hang]),
            }),
            _ => Step::Crash {
                calls: self.one(&[0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 40]),
                moment: self.one(&[Moment::Before, Moment::After]),
                down_ms: self.one(&[0, 100, 2_000, 15_000, 45_000]),
                skew_ms: self.one(&[0, 0, 0, -2_000, 3_000, -60_000, 60_000]),
            },
        }
    }

    fn fault(&mut self, what: What) -> Fault {
        let times = self.one(&[Some(1), Some(1), Some(2), Some(4)]);
        Fault { what, room: None, skip: self.one(&[0, 0, 0, 1, 2]), times, chance: 1.0 }
    }

    fn livekit_call(&mut self) -> Step {
        use Method::{ListEgress, ListParticipants, StartEgress, StopEgress};
        let method = self.one(&[
            StartEgress,
            StartEgress,
            StartEgress,
            StopEgress,
            StopEgress,
            ListEgress,
            ListParticipants,
        ]);
        let scope = match method {
            ListEgress => self.one(&[None, Some(ListScope::Id), Some(ListScope::Room), Some(ListScope::All)]),
            _ => None,
        };
        let does = match (method, self.chance.random_range(0..10)) {
            (StartEgress, 0..3) => CallTrouble::Fate(self.fate()),
            (StartEgress, 3) => CallTrouble::Unlisted,
            (ListEgress | ListParticipants, 0..5) if !std::mem::replace(&mut self.lied, true) => {
                let what = What::Call { method, scope, does: CallTrouble::EmptyList };
                return Step::LiveKit(Fault { times: Some(1), ..self.fault(what) });
            }
            _ => self.call_trouble(),
        };
        Step::LiveKit(self.fault(What::Call { method, scope, does }))
    }

    fn call_trouble(&mut self) -> CallTrouble {
        let ms = self.one(&[300, 2_000, 9_000, 19_500, 30_000, 48_000, 70_000]);
        match self.chance.random_range(0..8) {
            0 | 1 => CallTrouble::Error(self.refusal()),
            2 => CallTrouble::Delay { ms },
            3 => CallTrouble::DelayAnswer { ms },
            4 => CallTrouble::Hang,
            5 => CallTrouble::HangAnswer,
            6 => CallTrouble::Cut,
            _ => CallTrouble::AnswerLost,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.chance.random_range(0..7) {
            0 => Fate::FailsToStart { error: "no browser".to_owned(), code: 500 },
            1 => Fate::StaysStarting,
            2 | 3 => Fate::ReachesLimit { after_ms: self.one(&[100, 3_000, 30_000]) },
            4 => Fate::UploadFails { error: "no bucket".to_owned() },
            5 => Fate::FileIsLost,
            _ => Fate::FileIsEmpty,
        }
    }

    fn refusal(&mut self) -> Refusal {
        let codes = [
            "unavailable",
            "unavailable",
            "resource_exhausted",
            "internal",
            "unknown",
            "deadline_exceeded",
            "invalid_argument",
            "not_found",
            "failed_precondition",
            "permission_denied",
        ];
        Refusal::new(self.one(&codes), "as the plan says")
    }

    fn lie(&mut self) -> Step {
        let method = self.one(&[Method::StartEgress, Method::StartEgress, Method::StopEgress]);
        let codes = ["unavailable", "resource_exhausted", "internal", "deadline_exceeded"];
        Step::Lie { method, refusal: Refusal::new(self.one(&codes), "done all the same") }
    }

    fn webhook(&mut self) -> Step {
        use EventName::{EgressEnded, EgressStarted, EgressUpdated, ParticipantLeft};
        let webhook = self.one(&[EgressStarted, EgressUpdated, EgressUpdated, EgressEnded, ParticipantLeft]);
        let ms = self.one(&[100, 1_000, 6_000, 31_000, 100_000]);
        let does = match self.chance.random_range(0..6) {
            0..3 => WebhookTrouble::Lost,
            3 => WebhookTrouble::Doubled,
            4 => WebhookTrouble::Delayed { ms },
            _ => WebhookTrouble::Overtaken,
        };
        let mut fault = self.fault(What::Webhook { webhook, does });
        fault.times = self.one(&[Some(1), Some(2), None]);
        Step::LiveKit(fault)
    }

    fn store(&mut self) -> StoreFault {
        use StoreCall::{
            FindRecording, FindRoom, HeadFile, InsertRecording, ListRows, ListUnfinished, LoadRow,
            RemoveFile, RemoveRecording, RemoveRow, UpdateRecording, WriteRow,
        };
        let calls = [
            None,
            Some(LoadRow),
            Some(WriteRow),
            Some(WriteRow),
            Some(WriteRow),
            Some(WriteRow),
            Some(RemoveRow),
            Some(RemoveRow),
            Some(ListRows),
            Some(FindRoom),
            Some(FindRecording),
            Some(ListUnfinished),
            Some(InsertRecording),
            Some(InsertRecording),
            Some(UpdateRecording),
            Some(RemoveRecording),
            Some(HeadFile),
            Some(RemoveFile),
        ];
        let ms = self.one(&[50, 1_000, 4_900, 5_100, 12_000]);
        let does = match self.chance.random_range(0..5) {
            0 | 1 => StoreTrouble::Fails,
            2 => StoreTrouble::AnswerLost,
            3 => StoreTrouble::Slow { ms },
            _ => StoreTrouble::SlowAnswer { ms },
        };
        StoreFault {
            call: self.one(&calls),
            skip: self.one(&[0, 0, 1, 2, 3, 5, 8]),
            times: self.one(&[1, 1, 1, 2, 3, 6, 12]),
            does,
        }
    }
}
