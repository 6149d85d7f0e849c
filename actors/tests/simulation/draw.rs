//! Draws a history from a seed: some have fair weather, some foul.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::egress::mishaps::CutOff;
use reelkeeper_actors::simulator::egress::{WhenFull, Workers};
use reelkeeper_actors::simulator::faults::{CallTrouble, Fate, Fault, ListScope, WebhookTrouble, What};
use reelkeeper_actors::simulator::webhooks::EventName;

use crate::keys::with_keys;
use crate::plan::{
    Away, LEASE, Left, Moment, NodeTrouble, Pace, Plan, Step, StoreCall, StoreFault, StoreTrouble,
};

impl Plan {
    /// The history of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw { chance: StdRng::seed_from_u64(seed), until: 0, lied: false };
        draw.until = draw.one(&[5_000, 30_000, 90_000, 180_000, 900_000]);
        let rooms = draw.one(&[1, 1, 2, 3]);
        let mut steps = Vec::new();
        for _ in 0..draw.chance.random_range(3..14) {
            steps.push((draw.moment(), draw.request(rooms)));
        }
        // Some histories have fair weather, some foul.
        for _ in 0..draw.one(&[0, 1, 2, 4, 7, 12]) {
            let trouble = draw.trouble(rooms);
            steps.push((draw.moment(), trouble));
        }
        // Requests at once are drawn on purpose: a stop right after a start, two starts, a stop and its end.
        steps.sort_by_key(|(at, _)| *at);
        let pace = draw.one(&[Pace::Usual, Pace::Usual, Pace::Usual, Pace::Brisk]);
        Self { seed, timing: draw.timing(), pace, nodes: 1, rooms, steps, without: Vec::new(), lease: LEASE }
    }

    /// The history of a seed, with several nodes and what may go wrong around each of them.
    pub fn of_cluster(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        let mut draw = Draw::beside(&plan, !seed);
        plan.nodes = draw.one(&[3, 3, 4, 5]);
        for _ in 0..draw.one(&[0, 1, 2, 4, 7]) {
            let trouble = draw.node_trouble(plan.nodes);
            plan.steps.push((draw.moment(), trouble));
        }
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The history of a seed, with several nodes, of which some leave; every start and stop has a key and comes
    /// again, and what keeps keys and letters fails.
    pub fn between_nodes(seed: u64) -> Self {
        let mut plan = with_keys(Self::of_cluster(seed));
        let mut draw = Draw::beside(&plan, seed.rotate_left(32));
        for _ in 0..draw.one(&[0, 1, 2, 4]) {
            let fault = Step::Store(draw.letters());
            plan.steps.push((draw.moment(), fault));
        }
        for _ in 0..draw.one(&[0, 1, 1, 3]) {
            let trouble = draw.leave_or_loss(plan.nodes);
            plan.steps.push((draw.moment(), trouble));
        }
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }
}

/// Chance, in the words of plans.
struct Draw {
    chance: StdRng,
    /// When the last step may be, in milliseconds.
    until: u64,
    /// Whether a list of participants shows nobody once already. One such lie as a rule: two looks that are
    /// both lied to prove what they should.
    lied: bool,
}

impl Draw {
    /// What is drawn later, for a history that is there already.
    fn beside(plan: &Plan, seed: u64) -> Self {
        let until = plan.steps.last().map_or(5_000, |(at, _)| (*at).max(5_000));
        Self { chance: StdRng::seed_from_u64(seed), until, lied: true }
    }

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
            12..16 => Step::Delete { room, pick },
            16 => Step::Erase { room, pick },
            17 => Step::Leave { room },
            18 => Step::Join { room },
            _ => Step::EndMeeting { room },
        }
    }

    fn trouble(&mut self, rooms: usize) -> Step {
        let room = self.chance.random_range(0..rooms);
        match self.chance.random_range(0..30) {
            0..7 => self.livekit_call(),
            7..11 => self.webhook(),
            11 => self.lie(),
            12..16 => Step::Store(self.store()),
            16 => Step::StoresAway { ms: self.one(&[500, 3_000, 12_000, 40_000]) },
            17 => Step::Workers(Workers {
                slots: Some(self.one(&[0, 1])),
                when_full: self.one(&[WhenFull::Exhausted, WhenFull::Unavailable, WhenFull::Hang]),
            }),
            18 | 19 => Step::KillWorkers { room },
            20 | 21 => Step::CutOff { room, then: self.cut_off() },
            22 => Step::Forget,
            23 => Step::LiveKitAway {
                ms: self.one(&[500, 5_000, 25_000, 90_000]),
                how: self.one(&[Away::Refuses, Away::Silent]),
            },
            24 => self.one(&[Step::Deaf, Step::LiveKitHeals, Step::LiveKitHeals]),
            25 => Step::Original { room, left: self.left() },
            _ => self.crash(),
        }
    }

    fn node_trouble(&mut self, nodes: usize) -> Step {
        use NodeTrouble::{AnswersLost, Frozen, NoLeases, NoLiveKit, NoPeers, NoStore, Suspect};
        let trouble = self.one(&[
            Frozen,
            Frozen,
            NoPeers,
            NoPeers,
            AnswersLost,
            Suspect,
            Suspect,
            NoStore,
            NoLeases,
            NoLiveKit,
        ]);
        let ms = self.one(&[300, 3_000, 9_000, 18_000, 45_000]);
        Step::Node { node: self.chance.random_range(0..nodes), trouble, ms }
    }

    fn leave_or_loss(&mut self, nodes: usize) -> Step {
        let node = self.chance.random_range(0..nodes);
        match self.chance.random_range(0..5) {
            0 => Step::LeasesLost,
            1 => Step::Node { node, trouble: NodeTrouble::Apart, ms: self.one(&[3_000, 18_000, 45_000]) },
            _ => Step::Quit { node, down_ms: self.one(&[100, 2_000, 15_000]) },
        }
    }

    fn letters(&mut self) -> StoreFault {
        use StoreCall::{AnswerLetter, EnterKey, FindKey, KeepAnswer, PutLetter, ReadLetters, RecallAnswer};
        let calls =
            [FindKey, EnterKey, KeepAnswer, KeepAnswer, RecallAnswer, PutLetter, ReadLetters, AnswerLetter];
        StoreFault { call: Some(self.one(&calls)), ..self.store() }
    }

    fn crash(&mut self) -> Step {
        Step::Crash {
            calls: self.one(&[0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 40]),
            moment: self.one(&[Moment::Before, Moment::After]),
            down_ms: self.one(&[0, 100, 2_000, 15_000, 45_000]),
            skew_ms: self.one(&[0, 0, 0, -2_000, 3_000, -60_000, 60_000]),
        }
    }

    fn cut_off(&mut self) -> CutOff {
        let after_ms = self.one(&[2_000, 19_000, 21_000, 26_000, 40_000, 120_000]);
        self.one(&[CutOff::Returns { after_ms }, CutOff::GivesUp { after_ms }])
    }

    fn left(&mut self) -> Left {
        use RecordingStatus::{Active, Ending, Starting};
        let status = self.one(&[Starting, Active, Active, Ending]);
        self.one(&[Left::Running, Left::Running, Left::Document(status), Left::DocumentAndFile(status)])
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
            (ListEgress, 0..5) => CallTrouble::EmptyList,
            (ListParticipants, 0..4) if !std::mem::replace(&mut self.lied, true) => {
                let what = What::Call { method, scope, does: CallTrouble::EmptyList };
                return Step::LiveKit(Fault { times: Some(1), ..self.fault(what) });
            }
            _ => self.call_trouble(),
        };
        let fault = self.fault(What::Call { method, scope, does });
        let lasts = matches!(method, ListEgress | ListParticipants) && self.one(&[true, false, false]);
        Step::LiveKit(if lasts { Fault { times: None, ..fault } } else { fault })
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
        match self.chance.random_range(0..9) {
            0 => Fate::FailsToStart { error: "no browser".to_owned(), code: 500 },
            1 => Fate::StaysStarting,
            2 | 3 => Fate::ReachesLimit { after_ms: self.one(&[100, 3_000, 30_000]) },
            4 => Fate::UploadFails { error: "no bucket".to_owned() },
            5 => Fate::FileIsLost,
            6 => Fate::FileIsEmpty,
            _ => Fate::FileIsLate { after_ms: self.one(&[1_000, 20_000, 240_000]) },
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
            RemoveFile, RemoveRecording, RemoveRow, TakeNotice, UpdateRecording, WriteRow,
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
            Some(TakeNotice),
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
