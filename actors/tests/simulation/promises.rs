//! The promises (design 1), checked on a history that was played: while it is quiet, and at its end. What
//! was answered is in `answers.rs`, what is shown in `documents.rs`.
//!
//! Every bound has its reason beside it. None is checked before all is well again, since what waits for a
//! store, or for a LiveKit that is away, waits for as long as that lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reelkeeper_actors::ids::{EgressId, RecordingId, RoomId};
use reelkeeper_actors::ports::inbox::Inbox as _;
use reelkeeper_actors::recording::effect::Refusal;
use reelkeeper_actors::recording::ledger::Phase;
use reelkeeper_actors::simulator::calls::Method;
use reelkeeper_actors::simulator::log::CallOutcome;

use crate::lock;
use crate::stage::{Answer, Asked, Stage};
use crate::truth::{Truth, is_in_room, recording_of};

/// How long after the last fault everything is found that runs and should not, and what is dead holds no room:
/// the longest pause between two looks at an unsettled uid (5 min) or the time until a recorder that was never
/// seen is missed (as long), the longest call, and a stop.
const QUIET_WITHIN: Duration = Duration::from_mins(8);
/// How long after the upload limit nothing is left to do: a uid that was never seen is looked for during 10 min
/// after its call's end, and the longest pause between looks is 5 min.
const SETTLED_AFTER_LIMIT: Duration = Duration::from_mins(20);
/// How long a room is held after LiveKit dropped the recorder of a dead worker, whatever webhook was lost: an
/// interval between looks (15 s), the time between two of them (5 s), and calls that take as long as they may.
const DEAD_HOLDS_ROOM: Duration = Duration::from_secs(35);
/// A room that was told to stop is free after the stop timeout.
const STOPPED_HOLDS_ROOM: Duration = Duration::from_secs(31);

/// A room that was told to stop and whose recorder was seen is free soon after that has left, however long the upload takes: the next look
/// comes after a second.
const LEFT_HOLDS_ROOM: Duration = Duration::from_secs(5);
/// What was asked of a store while it was slow comes to an end.
const SLOWEST_STORE: Duration = Duration::from_secs(15);

/// A promise that was broken: which, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    pub promise: &'static str,
    pub how: String,
}

/// The promises that a history broke so far.
pub struct Promises {
    pub(super) stage: Arc<Stage>,
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

    pub fn expect(&mut self, promise: &'static str, holds: bool, how: impl FnOnce() -> String) {
        if !holds {
            let how = how();
            self.stage.around.timeline.tell(|| format!("BROKEN: {promise}: {how}"));
            self.broken.insert(Broken { promise, how });
        }
    }

    /// Waits until it is quiet, and checks what then holds.
    pub async fn check_quiet(&mut self) {
        let stage = self.stage.clone();
        self.check_dead_rooms().await;
        let answered = stage.all_answered(Duration::from_mins(2)).await;
        self.expect("every request ends", answered, || "somebody still waits".to_owned());
        let quiet = stage.within(QUIET_WITHIN, async || self.unrest().await.is_empty()).await;
        let unrest = self.unrest().await;
        self.expect("it becomes quiet", quiet, || unrest.join(", "));
        self.each_surplus_is_stopped().await;
        self.answers_come_in_time();
    }

    /// A room is not held for long by an egress whose worker is dead.
    async fn check_dead_rooms(&mut self) {
        if Truth::now(&self.stage).dead.is_empty() {
            return;
        }
        tokio::time::sleep(self.stage.plan.timing.drop_dead + DEAD_HOLDS_ROOM).await;
        let dead = Truth::now(&self.stage).dead;
        for row in self.stage.rows().await {
            let Some(current) = row.state.current.filter(|_| row.state.phase == Phase::Active) else {
                continue;
            };
            // One whose recorder was never seen is missed for longer; see `QUIET_WITHIN`.
            let Some(egress) = current.track.egress.filter(|_| current.track.recorder_seen) else { continue };
            let blocks = dead.contains(&egress) && !is_in_room(&self.stage, &row.room, egress.as_str());
            self.expect("no room is held for long by something dead", !blocks, || {
                format!("{} is held by {egress}", row.room)
            });
        }
    }

    /// What still goes on that should come to an end by itself.
    async fn unrest(&self) -> Vec<String> {
        let mut unrest = Vec::new();
        let truth = Truth::now(&self.stage);
        for row in self.stage.rows().await {
            if !matches!(row.state.phase, Phase::Idle | Phase::Active) {
                unrest.push(format!("{} is {:?}", row.room, row.state.phase));
            }
            if !row.state.pending.is_empty() {
                unrest.push(format!("{} owes {:?}", row.room, row.state.pending));
            }
            let egress = row.state.current.and_then(|current| current.track.egress);
            if let Some(egress) = egress.filter(|egress| !truth.runs(egress)) {
                unrest.push(format!("{} is held by {egress}, which does not run", row.room));
            }
        }
        let mut starts = truth.calls.iter().filter(|call| call.method == Method::StartEgress);
        if starts.any(|call| call.outcome == CallOutcome::Waiting) {
            unrest.push("LiveKit has not carried out a start yet".to_owned());
        }
        let letters = self.stage.around.network.inbox.count_letters().await.expect("memory answers");
        if letters > 0 {
            unrest.push(format!("{letters} letters are not read"));
        }
        let stopping = self.stopping().await;
        let held = self.held().await;
        let originals = lock(&self.stage.originals).clone();
        for egress in truth.findable(&self.stage).await {
            let original = originals.iter().any(|id| id.egress == egress.egress);
            if original && stopping.contains(&egress.egress) {
                unrest.push(format!("{} is to be stopped", egress.egress));
            }
            if !original && held.get(egress.room()) != Some(&egress.egress) {
                unrest.push(format!("{} runs in {}, which does not know it", egress.egress, egress.room()));
            }
        }
        unrest
    }

    /// The egresses whose stop is owed.
    async fn stopping(&self) -> BTreeSet<EgressId> {
        let rows = self.stage.rows().await;
        let owed = rows.iter().flat_map(|row| row.state.tracks()).filter(|track| track.stop.is_some());
        owed.filter_map(|track| track.egress.clone()).collect()
    }

    /// The egress that each recording room holds.
    async fn held(&self) -> BTreeMap<RoomId, EgressId> {
        let rows = self.stage.rows().await.into_iter();
        let current = rows.filter_map(|row| Some((row.room, row.state.current?.track.egress?)));
        current.collect()
    }

    /// Each room can be used: what records is stopped, then a start works, and so does its stop.
    pub async fn check_rooms(&mut self) {
        let stage = self.stage.clone();
        tokio::time::sleep(SLOWEST_STORE).await;
        for index in 0..stage.rooms.len() {
            let room = stage.rooms[index].room_id.clone();
            let truth = Truth::now(&stage);
            let running = truth.findable(&stage).await.into_iter();
            for egress in running.filter(|egress| *egress.room() == room) {
                let id = recording_of(egress);
                let shown = stage.shown(&id).await;
                // Deleted when it was lost: it is stopped when it is back.
                let gone = self.was_deleted(&id) && lock(&stage.shaken).contains(&id.egress);
                self.expect("what runs is shown", gone || shown.is_some(), || {
                    format!("{id} has no document")
                });
                if shown.is_some() {
                    self.stop(index, id).await;
                }
            }
            self.becomes_free(&room).await;
            let answer = self.ask_alone(index, Asked::Start).await;
            let Some(Answer::Recording(recording)) = &answer else {
                self.expect("no room is blocked", false, || format!("start in {room}: {answer:?}"));
                continue;
            };
            self.stop(index, recording.recording_id.clone()).await;
            self.becomes_free(&room).await;
        }
    }

    /// A room is free once the recorder has left, at the latest after the stop timeout.
    async fn becomes_free(&mut self, room: &RoomId) {
        let stage = self.stage.clone();
        let rows = stage.rows().await.into_iter();
        let mut tracks =
            rows.filter(|row| row.room == *room).filter_map(|row| Some(row.state.current?.track));
        let seen = tracks.any(|track| track.recorder_seen && track.stop.is_some());
        let soon = stage.plan.timing.leave + LEFT_HOLDS_ROOM;
        let limit = if seen { soon.min(STOPPED_HOLDS_ROOM) } else { STOPPED_HOLDS_ROOM };
        let free = stage.within(limit, async || !self.held().await.contains_key(room)).await;
        self.expect("no room is blocked", free, || format!("{room} is held after its stop"));
    }

    /// Stops a recording that runs, or that has just ended by itself.
    async fn stop(&mut self, room: usize, id: RecordingId) {
        let answer = self.ask_alone(room, Asked::Stop(id.clone())).await;
        let stopped = match answer {
            Some(Answer::Recording(_)) => true,
            // One that lost its connection is called over, and stopped when it is back.
            Some(Answer::Refused(Refusal::AlreadyStopped)) => {
                !Truth::now(&self.stage).runs(&id.egress) || lock(&self.stage.shaken).contains(&id.egress)
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
        let limit = stage.plan.policy().upload_limit + SETTLED_AFTER_LIMIT;
        let settled = stage.within(limit, async || stage.rows().await.is_empty()).await;
        let rows = stage.rows().await;
        self.expect("everything is settled in the end", settled, || {
            let left: Vec<_> = rows.iter().map(|row| format!("{}: {:?}", row.room, row.state)).collect();
            left.join("; ")
        });
        let actors = stage.active_rooms().await;
        // Whoever was taken for dead while nothing changed finds out by a janitor (`due_rows`), and there is none here.
        let left = settled && !stage.plan.takes_over();
        self.expect("idle actors leave", actors == Some(0) || !left, || format!("{actors:?} are left"));
        let truth = Truth::now(&stage);
        let running = truth.findable(&stage).await;
        self.expect("nothing runs in the end", running.is_empty(), || format!("{running:?}"));
        self.each_uid_is_started_once(&truth);
        self.check_answers(&truth).await;
        self.check_documents(&truth).await;
        self.check_verdicts();
        for fall in stage.around.timeline.falls() {
            self.expect("no actor falls", false, || fall);
        }
    }

    fn each_uid_is_started_once(&mut self, truth: &Truth) {
        let mut paths = BTreeSet::new();
        for call in truth.calls.iter().filter(|call| call.method == Method::StartEgress) {
            let path = call.path.clone().unwrap_or_default();
            let first = paths.insert(path.clone());
            self.expect("each uid is started at most once", first, || path);
        }
    }
}
