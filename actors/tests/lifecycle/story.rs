//! Words in which tests tell what happens to a room, and a short form of what was decided.

use reelkeeper_actors::ids::{CommandId, EgressId, RecordingId, RoomId, Uid};
use reelkeeper_actors::recording::effect::{Answer, Depth, Effect};
use reelkeeper_actors::recording::egress::{CallError, EgressInfo, EgressStatus, LeaveReason};
use reelkeeper_actors::recording::encoding::{Encoding, Layout};
use reelkeeper_actors::recording::event::{
    Attendance, DeleteRequest, Event, Evidence, FileEvidence, Fresh, Happening, Listed, Presence, Recall,
    Repeats, Sighting, SoFar, Source, StartRequest, StopRequest, Unfinished, UnheldRecording,
};
use reelkeeper_actors::recording::ledger::{Owed, State};
use reelkeeper_actors::recording::lifecycle::{Commit, Decision, transition};
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::{AccessSecrets, Recording, RecordingStatus, Timestamp};

pub const ROOM: &str = "room";
/// The start's deadline in every story: twenty seconds after its beginning.
pub const DEADLINE: i64 = 20_000;

pub fn room() -> RoomId {
    RoomId::from_trusted(ROOM)
}

pub fn command(name: &str) -> CommandId {
    CommandId::from_trusted(name)
}

/// The egress of a uid in every story: `u1` is recorded by `EG_1`.
pub fn egress(uid: &str) -> EgressId {
    EgressId::from_trusted(uid.replace('u', "EG_"))
}

pub fn info(uid: &str, status: EgressStatus) -> EgressInfo {
    let over = status.is_terminal();
    EgressInfo {
        egress: egress(uid),
        room: room(),
        status,
        filepath: Some(Policy::default().files.egress_path(&room(), &Uid::from_trusted(uid))),
        layout: Layout::Grid,
        encoding: Encoding::default(),
        filename: format!("openvidu-meet/recordings/room/room--{uid}.mp4"),
        started_at: 1_000_000_000,
        ended_at: if over { 9_000_000_000 } else { 0 },
        updated_at: 2_000_000_000,
        duration: if status.recorded_as().has_file() { 8_000_000_000 } else { 0 },
        size: if status.recorded_as().has_file() { 1000 } else { 0 },
        error: if status == EgressStatus::Failed { "no disk".to_owned() } else { String::new() },
        error_code: 0,
        details: String::new(),
    }
}

pub fn start(name: &str) -> Happening {
    start_until(name, DEADLINE)
}

pub fn start_until(name: &str, deadline: i64) -> Happening {
    Happening::StartRequested(StartRequest {
        so_far: SoFar::default(),
        command: command(name),
        deadline: Timestamp(deadline),
        repeats: Repeats::Never,
        attendance: Attendance::Somebody,
        room_name: "Room".to_owned(),
        layout: Layout::Grid,
        encoding: Encoding::default(),
    })
}

pub fn recording(uid: &str) -> RecordingId {
    RecordingId::new(room(), egress(uid), Uid::from_trusted(uid))
}

pub fn stop(name: &str, uid: &str, at: i64, document: Option<RecordingStatus>) -> Happening {
    let (command, recording) = (command(name), recording(uid));
    let (deadline, repeats) = (Timestamp(at + 10_000), Repeats::Never);
    Happening::StopRequested(StopRequest { command, deadline, repeats, recording, document })
}

pub fn delete(name: &str, uid: &str, at: i64, document: Option<RecordingStatus>) -> Happening {
    Happening::DeleteRequested(DeleteRequest {
        command: command(name),
        deadline: Timestamp(at + 10_000),
        recording: recording(uid),
        key: format!("openvidu-meet/recordings/room/room--{uid}.mp4"),
        document,
        unfinished: Unfinished::Refuse,
    })
}

/// The same with its room, whatever its state.
pub fn delete_by_force(name: &str, uid: &str, at: i64, document: Option<RecordingStatus>) -> Happening {
    match delete(name, uid, at, document) {
        Happening::DeleteRequested(request) => {
            Happening::DeleteRequested(DeleteRequest { unfinished: Unfinished::Abort, ..request })
        }
        other => other,
    }
}

pub fn looked_into_room(uid: &str, listed: &[(&str, EgressStatus)]) -> Happening {
    let listed = listed.iter().map(|(uid, status)| Sighting {
        info: info(uid, *status),
        source: Source::Call,
        room_name: "Room".to_owned(),
        document: None,
    });
    let listed = listed.collect();
    Happening::RoomLooked { uid: Uid::from_trusted(uid), result: Ok(listed) }
}

pub fn started(uid: &str, status: EgressStatus) -> Happening {
    Happening::StartAnswered { uid: Uid::from_trusted(uid), result: Ok(info(uid, status)) }
}

pub fn start_failed(uid: &str, error: CallError) -> Happening {
    Happening::StartAnswered { uid: Uid::from_trusted(uid), result: Err(error) }
}

pub fn stopped(uid: &str, status: EgressStatus) -> Happening {
    Happening::StopAnswered { egress: egress(uid), result: Ok(info(uid, status)) }
}

pub fn stop_failed(uid: &str, error: CallError) -> Happening {
    Happening::StopAnswered { egress: egress(uid), result: Err(error) }
}

pub fn webhook(uid: &str, status: EgressStatus, document: Option<RecordingStatus>) -> Happening {
    seen(uid, status, document, Source::Webhook)
}

pub fn seen(uid: &str, status: EgressStatus, document: Option<RecordingStatus>, source: Source) -> Happening {
    let room_name = "Room".to_owned();
    Happening::EgressSeen(Sighting { info: info(uid, status), source, room_name, document })
}

pub fn recorder_left(uid: &str, reason: LeaveReason) -> Happening {
    Happening::RecorderLeft { egress: egress(uid), reason }
}

pub fn looked(uid: &str, listed: Listed, recorder: Presence, file: FileEvidence) -> Happening {
    Happening::Looked { uid: Uid::from_trusted(uid), evidence: Evidence { listed, recorder, file } }
}

pub fn found(uid: &str, status: EgressStatus) -> Happening {
    let listed = Listed::Found(Box::new(info(uid, status)));
    looked(uid, listed, Presence::Unknown, FileEvidence::Unknown)
}

/// LiveKit lists it as running, and this is how its recorder and its file look.
pub fn runs(uid: &str, recorder: Presence, size: Option<u64>) -> Happening {
    let file = size.map_or(FileEvidence::NotThere, |size| FileEvidence::There {
        size,
        modified: 7_000,
        duration: Some(3_000),
    });
    looked(uid, Listed::Found(Box::new(info(uid, EgressStatus::Active))), recorder, file)
}

/// A document without a row, as the original writes it.
pub fn unheld(uid: &str, status: RecordingStatus) -> Happening {
    let recording =
        Recording { status, ..info(uid, EgressStatus::Active).to_recording(&uid_of(uid), "Room") };
    Happening::Unheld(Box::new(UnheldRecording { recording, updated_at: 2_000_000_000 }))
}

fn uid_of(uid: &str) -> Uid {
    Uid::from_trusted(uid)
}

pub fn found_stale(uid: &str, updated_ms: i64) -> Happening {
    Happening::FoundStale { recording: recording(uid), updated_at: updated_ms * 1_000_000 }
}

pub fn gone(uid: &str) -> Happening {
    looked(uid, Listed::Absent, Presence::Absent, FileEvidence::NotThere)
}

pub fn file(uid: &str, size: Option<u64>) -> Happening {
    let file = size.map_or(FileEvidence::NotThere, |size| FileEvidence::There {
        size,
        modified: 7_000,
        duration: Some(3_000),
    });
    looked(uid, Listed::Unknown, Presence::Unknown, file)
}

pub fn twirp(code: &str, message: &str) -> CallError {
    CallError::Answered { status: 500, code: Some(code.to_owned()), message: message.to_owned() }
}

pub fn lost() -> CallError {
    CallError::NoAnswer("connection reset".to_owned())
}

/// A room to which things happen one after the other. Fresh uids are `u1`, `u2`, ... in the order of events
/// that used one.
pub struct Story {
    pub state: State,
    pub policy: Policy,
    next_uid: u32,
    /// Carried out at once unless a story says otherwise.
    pub store_works: bool,
    pub told: Vec<String>,
}

impl Story {
    pub fn new() -> Self {
        Self {
            state: State::fresh(room()),
            policy: Policy::default(),
            next_uid: 1,
            store_works: true,
            told: Vec::new(),
        }
    }

    /// Something happens; pending effects are carried out at once while the store works.
    pub fn then(&mut self, at: i64, what: Happening) -> &mut Self {
        let mut happenings = vec![what];
        while let Some(what) = happenings.pop() {
            let decision = self.decide(at, what.clone());
            if self.store_works {
                for effect in &decision.effects {
                    if let Effect::Carry { number, .. } = effect {
                        happenings.insert(0, Happening::EffectDone { number: *number });
                    }
                }
            }
            let line = format!("{:>6} {} => {}", at, name_of(&what), summary(&self.state, &decision));
            self.state = decision.state;
            self.told.push(line.trim_end().to_owned());
        }
        self
    }

    pub fn decide(&mut self, at: i64, what: Happening) -> Decision {
        while self.holds(&format!("u{}", self.next_uid)) {
            self.next_uid += 1;
        }
        let uid = format!("u{}", self.next_uid);
        let secrets = AccessSecrets { public: format!("p{uid}"), private: format!("s{uid}") };
        let fresh = Fresh { uid: Uid::from_trusted(uid.clone()), secrets };
        let event = Event { at: Timestamp(at), fresh, what };
        let decision = transition(&self.state, &event, &self.policy);
        let row = &decision.state.durable;
        let used = row.current.as_ref().is_some_and(|current| current.track.uid.as_str() == uid);
        self.next_uid += u32::from(used);
        decision
    }

    fn holds(&self, uid: &str) -> bool {
        let row = &self.state.durable;
        row.current.as_ref().is_some_and(|current| current.track.uid.as_str() == uid)
            || row.unsettled.iter().any(|unsettled| unsettled.track.uid.as_str() == uid)
    }

    /// The process dies and another takes the row up.
    pub fn crash(&mut self, at: i64) -> &mut Self {
        self.state.memory = reelkeeper_actors::recording::ledger::Memory::default();
        self.told.push(format!("{at:>6} -- crash --"));
        self.then(at, Happening::TakenUp)
    }

    pub fn tell(&self) -> String {
        self.told.join("\n")
    }
}

pub fn name_of(what: &Happening) -> String {
    match what {
        Happening::StartRequested(_) => "start requested".to_owned(),
        Happening::StopRequested(r) => format!("stop requested {}", r.recording.uid),
        Happening::DeleteRequested(r) if r.unfinished == Unfinished::Abort => {
            format!("delete by force requested {}", r.recording.uid)
        }
        Happening::DeleteRequested(r) => format!("delete requested {}", r.recording.uid),
        Happening::Recalled { request, kept } => {
            let kept = match kept {
                Recall::Answered(answer) => format!("answered {}", told(answer)),
                Recall::NotAnswered => "not answered".to_owned(),
                Recall::Unknown => "unknown".to_owned(),
            };
            format!("recalled {} {kept}", request.command())
        }
        Happening::TakenUp => "taken up".to_owned(),
        Happening::Tick => "tick".to_owned(),
        Happening::RoomLooked { result, .. } => {
            format!("room looked {}", if result.is_ok() { "ok" } else { "failed" })
        }
        Happening::RoomLocked { .. } => "room locked".to_owned(),
        Happening::StartAnswered { uid, result } => format!("start answered {uid} {}", outcome(result)),
        Happening::StopAnswered { egress, result } => format!("stop answered {egress} {}", outcome(result)),
        Happening::EgressSeen(s) => format!("{:?} {} {:?}", s.source, s.info.egress, s.info.status),
        Happening::Looked { uid, evidence } => match &evidence.listed {
            Listed::Found(info) if evidence.recorder == Presence::Unknown => {
                format!("looked {uid} {:?}", info.status)
            }
            Listed::Found(info) => {
                format!("looked {uid} {:?}, recorder {:?}", info.status, evidence.recorder)
            }
            listed => format!("looked {uid} {listed:?}, file {:?}", evidence.file),
        },
        Happening::RecorderLeft { egress, reason } => format!("recorder left {egress} {reason:?}"),
        Happening::Cancelled { command } => format!("cancelled {command}"),
        Happening::Unheld(found) => {
            format!("document of {} {}", found.recording.recording_id.uid, found.recording.status.name())
        }
        Happening::FoundStale { recording, .. } => format!("found stale {}", recording.uid),
        Happening::FoundOrphan { uid } => format!("found orphan {uid}"),
        Happening::EffectDone { number } => format!("effect {number} done"),
        Happening::FileRemoved { number } => format!("file removed by effect {number}"),
        Happening::EffectFailed { number, .. } => format!("effect {number} failed"),
    }
}

fn outcome(result: &Result<EgressInfo, CallError>) -> String {
    match result {
        Ok(info) => format!("{:?}", info.status),
        Err(CallError::Answered { code, .. }) => code.clone().unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

/// Phase, unsettled uids and effects of a decision on one line.
pub fn summary(before: &State, decision: &Decision) -> String {
    let (old, new) = (&before.durable, &decision.state.durable);
    let mut words = Vec::new();
    if old.phase != new.phase {
        words.push(format!("{:?}", new.phase).to_lowercase());
    }
    let held = |row: &reelkeeper_actors::recording::ledger::RoomState| -> Vec<String> {
        row.unsettled.iter().map(|u| format!("{} {:?}", u.track.uid, u.cause).to_lowercase()).collect()
    };
    if held(old) != held(new) {
        words.push(format!("unsettled [{}]", held(new).join(", ")));
    }
    words.extend(decision.effects.iter().map(describe));
    if words.is_empty() {
        words.push(if decision.commit == Commit::Nothing { "nothing" } else { "noted" }.to_owned());
    }
    words.join("; ")
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::LookBeforeStart { .. } => "look into the room".to_owned(),
        Effect::StartEgress { uid, .. } => format!("START {uid}"),
        Effect::StopEgress { egress, .. } => format!("STOP {egress}"),
        Effect::Look { uid, depth, .. } => match depth {
            Depth::Egress => format!("look at {uid}"),
            Depth::Room => format!("look at {uid} and its room"),
            Depth::Everything => format!("look at {uid}, its room and its file"),
            Depth::File => format!("look at the file of {uid}"),
        },
        Effect::Identify { egress } => format!("ask LiveKit about {egress}"),
        Effect::Carry { number, owed } => match owed {
            Owed::Project { recording, secrets, .. } => format!(
                "{number}: {} {} {}{}",
                if secrets.is_some() { "insert" } else { "show" },
                recording.recording_id.uid,
                recording.status.name(),
                recording.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default(),
            ),
            Owed::Notify(notice) => {
                format!("{number}: tell {} {}", notice.event.name(), notice.recording.status.name())
            }
            Owed::Remove { recording, .. } => format!("{number}: remove {}", recording.uid),
            Owed::Keep { command, answer } => format!("{number}: keep for {command} {}", told(answer)),
        },
        Effect::Signal(signal) => format!("signal {}", signal.topic),
        Effect::Recall { request } => format!("recall {}", request.command()),
        Effect::Answer { command, answer } => format!("ANSWER {command} {}", told(answer)),
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Recording(recording) => recording.status.name().to_owned(),
        Answer::Deleted => "deleted".to_owned(),
        Answer::Refused(refusal) => format!("refused: {refusal}"),
    }
}
