//! The promises (design 1), checked on a history that was played: while it is quiet, and at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::ports::blobs::Blobs as _;
use reelkeeper_actors::ports::catalog::Catalog as _;
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::egress::EgressStatus;
use reelkeeper_actors::recording::ledger::Phase;
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{RecordingStatus, Timestamp};
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::views::EgressView;

use crate::lock;
use crate::stage::{Answer, Asked, Stage, Told};

/// How long after the last fault everything is found that runs and should not: the longest pause between
/// two looks at an unsettled uid, the longest call, and a stop.
const QUIET_WITHIN: Duration = Duration::from_mins(8);
/// How long after that nothing is left to do: a uid that was never seen is looked for during 10 min.
const SETTLED_WITHIN: Duration = Duration::from_mins(80);
/// A start and its deadline, and what the process needs around it.
const START_ANSWERED: Duration = Duration::from_secs(21);
/// Any other request.
const OTHERS_ANSWERED: Duration = Duration::from_secs(11);

/// A promise that was broken: which, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    pub promise: &'static str,
    pub how: String,
}

/// The promises that a history broke so far.
pub struct Promises {
    stage: Arc<Stage>,
    broken: BTreeSet<Broken>,
}

impl Promises {
    pub fn of(stage: Arc<Stage>) -> Self {
        Self { stage, broken: BTreeSet::new() }
    }

    /// All that were broken.
    pub fn broken(self) -> Vec<Broken> {
        self.broken.into_iter().collect()
    }

    fn expect(&mut self, promise: &'static str, holds: bool, how: impl FnOnce() -> String) {
        if !holds {
            let how = how();
            self.stage.around.timeline.tell(|| format!("BROKEN: {promise}: {how}"));
            self.broken.insert(Broken { promise, how });
        }
    }

    /// Waits until it is quiet, and checks what then holds.
    pub async fn check_quiet(&mut self) {
        let stage = self.stage.clone();
        let answered = stage.all_answered(Duration::from_mins(2)).await;
        self.expect("every request ends", answered, || "somebody still waits".to_owned());
        let quiet = stage.within(QUIET_WITHIN, async || self.unrest().await.is_empty()).await;
        let unrest = self.unrest().await;
        self.expect("it becomes quiet", quiet, || unrest.join(", "));
        self.each_surplus_is_stopped();
        self.answers_come_in_time();
    }

    /// What still goes on that should come to an end by itself.
    async fn unrest(&self) -> Vec<String> {
        let mut unrest = Vec::new();
        for row in self.stage.rows().await {
            if !matches!(row.state.phase, Phase::Idle | Phase::Active) {
                unrest.push(format!("{} is {:?}", row.room, row.state.phase));
            }
            if !row.state.pending.is_empty() {
                unrest.push(format!("{} owes {:?}", row.room, row.state.pending));
            }
        }
        let held = self.held().await;
        for egress in self.live() {
            if held.get(egress.room()) != Some(&egress.egress) {
                unrest.push(format!("{} runs in {}, which does not know it", egress.egress, egress.room()));
            }
        }
        unrest
    }

    /// The egress that each recording room holds.
    async fn held(&self) -> BTreeMap<RoomId, reelkeeper_actors::ids::EgressId> {
        let rows = self.stage.rows().await.into_iter();
        let current = rows.filter_map(|row| Some((row.room, row.state.current?.track.egress?)));
        current.collect()
    }

    fn egresses(&self) -> Vec<EgressView> {
        self.stage.around.livekit.live().with(|world| world.egresses())
    }

    fn live(&self) -> Vec<EgressView> {
        let live =
            |egress: &EgressView| matches!(egress.status, EgressStatus::Starting | EgressStatus::Active);
        self.egresses().into_iter().filter(live).collect()
    }

    /// At most one egress per room runs, and none whose start was answered with an error or whose stop was
    /// promised.
    fn each_surplus_is_stopped(&mut self) {
        let mut rooms = BTreeMap::<RoomId, Vec<String>>::new();
        for egress in self.live() {
            rooms.entry(egress.room().clone()).or_default().push(egress.egress.to_string());
            let wanted = self.is_wanted(&egress);
            self.expect("after an error whatever starts late is stopped", wanted, || {
                format!("{} runs in {}", egress.egress, egress.room())
            });
            let stop = self.promised_stop(&egress);
            self.expect("a promised stop is carried out", stop.is_none(), || {
                format!(
                    "{} runs though: {}",
                    egress.egress,
                    stop.map(|told| told.to_string()).unwrap_or_default()
                )
            });
        }
        for (room, live) in rooms {
            self.expect("at most one recording per room", live.len() < 2, || {
                format!("in {room} run {}", live.join(", "))
            });
        }
    }

    /// Whether a start that was answered 201, or not at all, can have begun this egress.
    fn is_wanted(&self, egress: &EgressView) -> bool {
        let called = self.called_at(egress);
        let told = lock(&self.stage.told);
        let mut starts = told.iter().filter(|told| told.what == Asked::Start && told.room == *egress.room());
        starts.any(|told| match &told.answer {
            Answer::Recording(recording) => recording.recording_id.egress == egress.egress,
            Answer::Nothing => {
                told.asked <= called && called <= told.asked.plus(Policy::default().start_timeout)
            }
            Answer::Refused(_) | Answer::Deleted => false,
        })
    }

    fn called_at(&self, egress: &EgressView) -> Timestamp {
        let calls = self.stage.around.livekit.live().with(|world| world.calls());
        let path = &egress.order.filepath;
        let call = calls.iter().find(|call| call.method == Method::StartEgress && call.path == *path);
        call.expect("every egress was asked for").at
    }

    /// An answer to a stop after which the egress may not run on.
    fn promised_stop(&self, egress: &EgressView) -> Option<Told> {
        let told = lock(&self.stage.told);
        let promised = told.iter().find(|told| {
            let Asked::Stop(id) = &told.what else { return false };
            let promises = match &told.answer {
                Answer::Recording(_) => true,
                Answer::Refused(refusal) => matches!(
                    refusal,
                    Refusal::StopOwed
                        | Refusal::StillStarting
                        | Refusal::AlreadyStopped
                        | Refusal::StopFailed { .. }
                ),
                Answer::Nothing | Answer::Deleted => false,
            };
            id.egress == egress.egress && promises
        });
        promised.cloned()
    }

    fn answers_come_in_time(&mut self) {
        let all = lock(&self.stage.told).clone();
        for told in all {
            let limit = if told.what == Asked::Start { START_ANSWERED } else { OTHERS_ANSWERED };
            let took = told.answered.since(told.asked);
            let in_time = told.answer == Answer::Nothing || took <= limit;
            self.expect("every answer comes in time", in_time, || told.to_string());
        }
    }

    /// Each room can be used: what records is stopped, then a start works, and so does its stop.
    pub async fn check_rooms(&mut self) {
        let stage = self.stage.clone();
        for index in 0..stage.rooms.len() {
            let room = stage.rooms[index].room_id.clone();
            let held = self.held().await.get(&room).cloned();
            if let Some(egress) = held {
                let found =
                    stage.documents(&room).await.into_iter().find(|r| r.recording_id.egress == egress);
                let id = found.map(|recording| recording.recording_id);
                self.expect("what runs is shown", id.is_some(), || {
                    format!("{egress} in {room} has no document")
                });
                let Some(id) = id else { continue };
                self.stop(index, id).await;
            }
            let free = stage.within(Duration::from_secs(31), async || !self.held().await.contains_key(&room));
            let free = free.await;
            self.expect("no room is blocked", free, || format!("{room} is held after its stop"));
            let answer = self.ask_alone(index, Asked::Start).await;
            let Some(Answer::Recording(recording)) = &answer else {
                self.expect("no room is blocked", false, || format!("start in {room}: {answer:?}"));
                continue;
            };
            self.stop(index, recording.recording_id.clone()).await;
        }
    }

    /// Stops a recording that runs, or that has just ended by itself.
    async fn stop(&mut self, room: usize, id: RecordingId) {
        let answer = self.ask_alone(room, Asked::Stop(id.clone())).await;
        let stopped = match answer {
            Some(Answer::Recording(_)) => true,
            Some(Answer::Refused(Refusal::AlreadyStopped)) => {
                self.live().iter().all(|egress| egress.egress != id.egress)
            }
            _ => false,
        };
        self.expect("what runs can be stopped", stopped, || format!("{id}: {answer:?}"));
    }

    async fn ask_alone(&self, room: usize, what: Asked) -> Option<Answer> {
        let before = lock(&self.stage.told).len();
        self.stage.ask(room, what);
        self.stage.all_answered(Duration::from_mins(2)).await;
        let told = lock(&self.stage.told);
        told.get(before).map(|told| told.answer.clone())
    }

    /// Waits until nothing is left to do, and checks the whole history.
    pub async fn check_end(&mut self) {
        let stage = self.stage.clone();
        let settled = stage.within(SETTLED_WITHIN, async || stage.rows().await.is_empty()).await;
        let rows = stage.rows().await;
        self.expect("everything is settled in the end", settled, || {
            let left: Vec<_> = rows.iter().map(|row| format!("{}: {:?}", row.room, row.state)).collect();
            left.join("; ")
        });
        let actors = stage.active_rooms().await;
        self.expect("idle actors leave", actors == Some(0) || !settled, || format!("{actors:?} are left"));
        let live = self.live();
        self.expect("nothing runs in the end", live.is_empty(), || format!("{live:?}"));
        self.each_uid_is_started_once();
        let all = lock(&stage.told).clone();
        for told in all {
            self.check_answer(&told).await;
        }
        self.check_documents().await;
        for fall in stage.around.timeline.falls() {
            self.expect("no actor falls", false, || fall);
        }
    }

    fn each_uid_is_started_once(&mut self) {
        let calls = self.stage.around.livekit.live().with(|world| world.calls());
        let mut paths = BTreeSet::new();
        for call in calls.into_iter().filter(|call| call.method == Method::StartEgress) {
            let path = call.path.unwrap_or_default();
            let first = paths.insert(path.clone());
            self.expect("each uid is started at most once", first, || path);
        }
    }

    /// What the answer to a request says is true.
    async fn check_answer(&mut self, told: &Told) {
        let egresses = self.egresses();
        match (&told.what, &told.answer) {
            (Asked::Start, Answer::Recording(recording)) => {
                let id = &recording.recording_id;
                let egress = egresses.iter().find(|egress| egress.egress == id.egress);
                let ran_since =
                    egress.and_then(|egress| egress.file.as_ref()).map_or(0, |file| file.started_at);
                let ran = ran_since > 0 && ran_since / 1_000_000 <= told.answered.0;
                self.expect("201 means that it runs", ran, || format!("{told}: LiveKit shows {egress:?}"));
                let shown = self.document(id).await;
                let deleted = self.was_deleted(id);
                self.expect(
                    "a recording that was answered 201 has its document",
                    shown.is_some() || deleted,
                    || told.to_string(),
                );
            }
            (Asked::Delete(id), Answer::Deleted) => {
                let shown = self.document(id).await;
                self.expect("deleted stays deleted", shown.is_none(), || format!("{id} is {shown:?} again"));
                let egress = egresses.iter().find(|egress| egress.egress == id.egress);
                let left = self.has_file(egress.expect("what was shown was recorded")).await;
                self.expect("the file of a deleted recording is gone", !left, || id.to_string());
            }
            _ => {}
        }
    }

    /// Whether an egress's file is there and holds something.
    async fn has_file(&self, egress: &EgressView) -> bool {
        let Some(file) = &egress.file else { return false };
        let head = self.stage.around.backing.blobs.head(&file.filename).await.expect("memory answers");
        head.is_some_and(|head| head.size > 0)
    }

    /// Whether a document says that something is wrong, or is gone.
    async fn admits(&self, id: &RecordingId) -> bool {
        let found = self.stage.around.backing.store.recording(id).await.expect("memory answers");
        found.is_none_or(|stored| stored.recording.error.is_some())
    }

    async fn document(&self, id: &RecordingId) -> Option<RecordingStatus> {
        let found = self.stage.around.backing.store.recording(id).await.expect("memory answers");
        found.map(|stored| stored.recording.status)
    }

    /// Whether somebody asked for its deletion, whatever came of it.
    fn was_deleted(&self, id: &RecordingId) -> bool {
        let told = lock(&self.stage.told);
        told.iter().any(|told| told.what == Asked::Delete(id.clone()))
    }

    /// What LiveKit recorded is there, and every document says how its egress ended.
    async fn check_documents(&mut self) {
        for egress in self.egresses() {
            let path = egress.order.filepath.clone().unwrap_or_default();
            let uid = path.rsplit("--").next().unwrap_or_default();
            let uid = reelkeeper_actors::ids::Uid::from_trusted(uid);
            let id = RecordingId::new(egress.room().clone(), egress.egress.clone(), uid);
            let shown = self.document(&id).await;
            let recorded = egress.status.recorded_as();
            if recorded.has_file() {
                let kept = shown.is_some() || self.was_deleted(&id);
                self.expect("what LiveKit recorded is never lost", kept, || {
                    format!("{id} is {recorded:?} and has no document")
                });
                let right = shown.is_none_or(|shown| shown == recorded);
                self.expect("what LiveKit recorded is never mislabelled", right, || {
                    format!("{id} is {recorded:?} and shown as {shown:?}")
                });
                let honest = self.has_file(&egress).await || self.admits(&id).await;
                self.expect("a missing file is admitted", honest, || format!("{id} has no file"));
            }
            let over = shown.is_none_or(RecordingStatus::is_terminal);
            self.expect("every document says how it ended", over, || format!("{id} is shown as {shown:?}"));
        }
    }
}
