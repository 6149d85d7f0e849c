//! Properties over random histories of events, in any order, doubled and lost.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use reelkeeper_actors::ids::Uid;
use reelkeeper_actors::recording::effect::{Answer, Effect};
use reelkeeper_actors::recording::egress::{EgressStatus, LeaveReason};
use reelkeeper_actors::recording::event::{Happening, Presence, Sighting, Source};
use reelkeeper_actors::recording::invariants;
use reelkeeper_actors::recording::ledger::{Memory, Owed};
use reelkeeper_actors::recording::lifecycle::{Commit, next_wake};
use reelkeeper_actors::recording::{Recording, RecordingStatus};

use crate::story::{
    Story, command, delete, delete_by_force, file, found, gone, looked_into_room, lost, name_of,
    recorder_left, runs, seen, start, start_failed, started, stop, stop_failed, stopped, twirp, webhook,
};

fn status() -> impl Strategy<Value = EgressStatus> {
    use EgressStatus::{Aborted, Active, Complete, Ending, Failed, LimitReached, Starting};
    prop::sample::select(vec![Starting, Active, Ending, Complete, Failed, Aborted, LimitReached])
}

fn document() -> impl Strategy<Value = Option<RecordingStatus>> {
    prop::option::of(prop::sample::select(RecordingStatus::ALL.to_vec()))
}

fn happening() -> impl Strategy<Value = Happening> {
    let uid = || prop::sample::select(vec!["u1", "u2", "u3", "u7"]);
    let code = prop::sample::select(vec!["unavailable", "invalid_argument", "not_found", "internal"]);
    prop_oneof![
        2 => (0..1000_u32).prop_map(|n| start(&format!("start{n}"))),
        2 => (0..1000_u32, uid(), document()).prop_map(|(n, u, d)| stop(&format!("stop{n}"), u, 0, d)),
        1 => (0..1000_u32, uid(), document()).prop_map(|(n, u, d)| delete(&format!("delete{n}"), u, 0, d)),
        1 => (0..1000_u32, uid(), document())
            .prop_map(|(n, u, d)| delete_by_force(&format!("force{n}"), u, 0, d)),
        1 => Just(Happening::TakenUp),
        4 => Just(Happening::Tick),
        3 => (uid(), uid(), status()).prop_map(|(u, other, s)| looked_into_room(u, &[(other, s)])),
        3 => (uid(), status()).prop_map(|(u, s)| started(u, s)),
        2 => (uid(), code.clone()).prop_map(|(u, c)| start_failed(u, twirp(c, "no"))),
        1 => uid().prop_map(|u| start_failed(u, lost())),
        2 => (uid(), status()).prop_map(|(u, s)| stopped(u, s)),
        2 => (uid(), code).prop_map(|(u, c)| stop_failed(u, twirp(c, "no"))),
        4 => (uid(), status(), document()).prop_map(|(u, s, d)| webhook(u, s, d)),
        1 => (uid(), status(), document()).prop_map(|(u, s, d)| seen(u, s, d, Source::Call)),
        1 => (uid(), status(), document()).prop_map(|(u, s, d)| seen(u, s, d, Source::Recorder)),
        1 => Just(Happening::Cancelled { command: command("start") }),
        1 => uid().prop_map(|u| Happening::FoundOrphan { uid: Uid::from_trusted(u) }),
        2 => (uid(), status()).prop_map(|(u, s)| found(u, s)),
        2 => uid().prop_map(gone),
        2 => (uid(), prop::option::of(0..3_u64)).prop_map(|(u, size)| file(u, size)),
        1 => uid().prop_map(|u| recorder_left(u, LeaveReason::Clean)),
        2 => (1..40_u64).prop_map(|number| Happening::EffectDone { number }),
        1 => (1..40_u64).prop_map(|number| Happening::EffectFailed { number, dependency: "blobs" }),
    ]
}

/// What the documents show; none for one that was removed or never made.
type Documents = BTreeMap<Uid, Option<RecordingStatus>>;

/// What an event says of a document is what was shown last; of one never shown here, what chance says.
fn agree_with_documents(what: &mut Happening, shown: &mut Documents) {
    let (uid, document) = match what {
        Happening::StopRequested(request) => (&request.recording.uid, &mut request.document),
        Happening::DeleteRequested(request) => (&request.recording.uid, &mut request.document),
        Happening::EgressSeen(sighting) => return agree_sighting(sighting, shown),
        Happening::RoomLooked { result: Ok(listed), .. } => {
            return listed.iter_mut().for_each(|sighting| agree_sighting(sighting, shown));
        }
        _ => return,
    };
    agree(&uid.clone(), document, shown);
}

fn agree_sighting(sighting: &mut Sighting, shown: &mut Documents) {
    let uid = Uid::from_trusted(sighting.info.egress.as_str().replace("EG_", "u"));
    agree(&uid, &mut sighting.document, shown);
}

fn agree(uid: &Uid, document: &mut Option<RecordingStatus>, shown: &mut Documents) {
    if let Some(status) = shown.get(uid) {
        *document = *status;
    } else {
        // Only what another node recorded has a document that was not shown here.
        *document = document.filter(|_| uid.as_str() == "u7");
        shown.insert(uid.clone(), *document);
    }
}

/// The same histories in every run, and others with `REELKEEPER_SEED`; more of them with `PROPTEST_CASES`.
#[allow(clippy::print_stdout, reason = "whoever sees a history fail wants to play it again")]
fn config() -> ProptestConfig {
    let seed = std::env::var("REELKEEPER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}");
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: given.unwrap_or(1_000),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happens: no invariant breaks, each uid is started at most once, each request is answered at
    /// most once, a document never moves back, and nothing is done about a state that is not committed.
    #[test]
    fn any_history_keeps_the_rules(
        history in prop::collection::vec((0..8_000_i64, happening()), 1..60)
    ) {
        let mut story = Story::new();
        story.store_works = false;
        let mut now = 0;
        let mut sent: Vec<Uid> = Vec::new();
        let mut answered = Vec::new();
        let mut shown = Documents::new();
        let mut asked: Vec<_> = Vec::new();
        for (pause, mut what) in history {
            now += pause;
            agree_with_documents(&mut what, &mut shown);
            let command = match &what {
                Happening::StartRequested(r) => Some(r.command.clone()),
                Happening::StopRequested(r) => Some(r.command.clone()),
                Happening::DeleteRequested(r) => Some(r.command.clone()),
                _ => None,
            };
            if let Some(command) = command {
                prop_assume!(!asked.contains(&command));
                asked.push(command);
            }
            if what == Happening::TakenUp {
                // Only a process that knows nothing takes a row up.
                story.state.memory = Memory::default();
            }
            let before = story.state.durable.clone();
            let decision = story.decide(now, what);
            prop_assert_eq!(decision.commit == Commit::Nothing, before == decision.state.durable);
            for effect in &decision.effects {
                match effect {
                    Effect::StartEgress { uid, .. } => {
                        prop_assert!(!sent.contains(uid), "{uid} is started twice");
                        sent.push(uid.clone());
                    }
                    Effect::Answer { command, answer } => {
                        prop_assert!(!answered.contains(command), "{command} is answered twice");
                        if let Answer::Recording(recording) = answer {
                            let uid = &recording.recording_id.uid;
                            prop_assert!(!uid.as_str().is_empty());
                        }
                        answered.push(command.clone());
                    }
                    Effect::Carry { owed: Owed::Project { recording, .. }, .. } => {
                        let uid = recording.recording_id.uid.clone();
                        let old = shown.insert(uid.clone(), Some(recording.status));
                        if let Some(Some(old)) = old {
                            let again = old == recording.status;
                            prop_assert!(again || old.may_become(recording.status), "{uid}: {old:?}");
                        }
                    }
                    Effect::Carry { owed: Owed::Remove { recording, .. }, .. } => {
                        shown.insert(recording.uid.clone(), None);
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(invariants::broken(&decision.state), Vec::<&str>::new());
            story.state = decision.state;
        }
        let under_way = story.state.memory.effects.values().any(|attempt| attempt.due.is_none());
        let planned = next_wake(&story.state, &story.policy).is_some();
        prop_assert!(story.state.durable.is_settled() || under_way || planned, "nobody will go on");
    }

    /// Any order of what is heard of one recording, with duplicates and gaps, ends in the same document, and
    /// nothing is left of it, once LiveKit's own answer and the looks at its room and its file are in.
    #[test]
    fn any_order_of_news_ends_the_same(
        (end, heard) in prop::sample::select(End::ALL.to_vec()).prop_flat_map(|end| {
            (Just(end), prop::collection::vec(prop::sample::select(end.news()), 0..14))
        })
    ) {
        let in_order = Heard::of(end, &end.news());
        let otherwise = Heard::of(end, &heard);
        prop_assert_eq!(otherwise.shown(), in_order.shown(), "{:?} after {}", end, otherwise.story.tell());
        prop_assert!(otherwise.story.state.durable.is_settled(), "{:?} after {}", end, otherwise.story.tell());
        // Each notice once, and none after a later one.
        prop_assert!(otherwise.notices.is_sorted_by(|a, b| a < b), "{:?}", otherwise.notices);
    }
}

/// How a recording ended, whatever was heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was stopped, and its file is there.
    Stopped,
    /// Its meeting ended, so it never showed ENDING, and its file is there.
    MeetingOver,
    /// It reached LiveKit's limit.
    Limit,
    /// LiveKit says that it failed.
    Failed,
    /// Its worker died; LiveKit lists it for ever.
    Killed,
}

impl End {
    const ALL: [Self; 5] = [Self::Stopped, Self::MeetingOver, Self::Limit, Self::Failed, Self::Killed];

    /// What LiveKit says in the end.
    fn status(self) -> EgressStatus {
        match self {
            Self::Stopped | Self::MeetingOver => EgressStatus::Complete,
            Self::Limit => EgressStatus::LimitReached,
            Self::Failed => EgressStatus::Failed,
            Self::Killed => EgressStatus::Active,
        }
    }

    /// What can be heard of it, in the order in which it happens.
    fn news(self) -> Vec<Happening> {
        use EgressStatus::{Active, Ending, Starting};
        let mut news = vec![
            started("u1", Starting),
            webhook("u1", Starting, None),
            found("u1", Starting),
            webhook("u1", Active, None),
            runs("u1", Presence::Present, None),
        ];
        match self {
            Self::Stopped => news.extend([stopped("u1", Ending), webhook("u1", Ending, None)]),
            Self::Killed => news.push(recorder_left("u1", LeaveReason::Lost)),
            Self::MeetingOver | Self::Limit | Self::Failed => {}
        }
        if self == Self::Killed {
            news.push(runs("u1", Presence::Absent, None));
        } else {
            news.extend([recorder_left("u1", LeaveReason::Clean), webhook("u1", self.status(), None)]);
        }
        news
    }
}

/// What was made of what was heard of one recording.
struct Heard {
    story: Story,
    document: Option<Recording>,
    notices: Vec<u32>,
}

impl Heard {
    /// Ten milliseconds lie between any two pieces of news. Then the evidence comes: at once, after the time for
    /// which a recorder is missed that was never seen, and after the upload limit.
    fn of(end: End, news: &[Happening]) -> Self {
        let mut heard = Self { story: Story::new(), document: None, notices: Vec::new() };
        heard.takes(0, start("start"));
        heard.takes(1, looked_into_room("u1", &[]));
        for (index, what) in news.iter().enumerate() {
            heard.takes(10 * (1 + i64::try_from(index).expect("a few events")), what.clone());
        }
        let size = end.status().recorded_as().has_file().then_some(1_000);
        for at in [15_000, 21_000, 330_000, 336_000, 4_000_000, 4_006_000] {
            heard.takes(at, Happening::Tick);
            let evidence = match end {
                End::Killed => runs("u1", Presence::Absent, None),
                _ => found("u1", end.status()),
            };
            heard.takes(at + 1, evidence);
            heard.takes(at + 2, file("u1", size));
        }
        heard
    }

    /// Something happens; what is owed for it is carried out at once.
    fn takes(&mut self, at: i64, what: Happening) {
        let mut happenings = std::collections::VecDeque::from([what]);
        while let Some(what) = happenings.pop_front() {
            let decision = self.story.decide(at, what.clone());
            for effect in &decision.effects {
                let Effect::Carry { number, owed } = effect else { continue };
                happenings.push_back(Happening::EffectDone { number: *number });
                match (owed, &mut self.document) {
                    (Owed::Project { recording, .. }, None) => self.document = Some((**recording).clone()),
                    (Owed::Project { recording, .. }, Some(shown)) => {
                        assert!(
                            shown.status.may_become(recording.status),
                            "{} moves back",
                            self.story.tell()
                        );
                        shown.merge(recording);
                    }
                    (Owed::Notify(notice), _) => self.notices.push(notice.number),
                    (Owed::Remove { .. } | Owed::Keep { .. }, _) => {}
                }
            }
            self.story.told.push(format!("{at} {}", name_of(&what)));
            self.story.state = decision.state;
        }
    }

    /// What clients see in the end, but for when we gave it up ourselves.
    fn shown(&self) -> Option<Recording> {
        let mut shown = self.document.clone()?;
        if shown.status == RecordingStatus::Failed {
            shown.end_date = None;
        }
        Some(shown)
    }
}
