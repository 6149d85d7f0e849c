//! The way to a room's owner, wherever that is.
//!
//! Owns the route of requests and news: first this node's actor, which reads the room's row; if another node owns
//! the room, the gateway; if that node cannot be spoken to, the inbox; and again from the beginning when the owner's
//! lease is gone. A request that goes elsewhere goes as a command that may come again, so it is carried out once
//! whichever way it takes (design 7). Decides nothing about recordings.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::inbox::late;
use super::{Command, Orchestrator};
use crate::cluster::wire::{Asked, Letter, Reply};
use crate::ids::{CommandId, NodeId, RoomId};
use crate::ports::PortError;
use crate::ports::clock::fresh_command;
use crate::ports::coordination::Standing;
use crate::ports::keys::{KeptCommand, Operation, ScopedKey};
use crate::ports::media_server::is_attended;
use crate::ports::peers::PeerError;
use crate::recording::Timestamp;
use crate::recording::effect::{Answer, Refusal};
use crate::recording::event::{DeleteRequest, Happening, Repeats, SoFar, Source, StopRequest};
use crate::room::commit::bounded;
use crate::room::supervisor::SupervisorMessage;
use crate::room::{RoomMessage, Shared, Taken, Told, news};

/// How long after its deadline a request waits for the owner's answer before it is cut off.
const BACKSTOP: Duration = Duration::from_secs(5);
/// The same for an owner elsewhere.
const BACKSTOP_ELSEWHERE: Duration = Duration::from_secs(1);
/// Pause before an owner is looked for again, and between two looks for an answer.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Pause after an owner could not decide.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Between two looks whether an owner that keeps us waiting holds its lease.
const LOOK_FOR_OWNER: Duration = Duration::from_secs(1);
/// Whose the keys of requests are that went from node to node.
const NODES: &str = "reelkeeper";

/// A request on its way.
struct Errand<'a> {
    room: &'a RoomId,
    command: CommandId,
    deadline: Timestamp,
    what: Happening,
    /// Whether it has its client's key, whatever key it gets on its way.
    repeats: Repeats,
    /// The last owner that it was sent to.
    sent_to: Option<NodeId>,
    /// Whether somebody may have begun it whose answer is not known.
    may_be_begun: bool,
    /// The letters that lie in the inbox too: one, and one more for each that was read and not decided.
    letters: Vec<String>,
    /// Whether the last of these was.
    is_read: bool,
}

impl Errand<'_> {
    fn is_start(&self) -> bool {
        matches!(self.what, Happening::StartRequested(_))
    }

    /// Whether its client may ask again, and then learns what became of it.
    fn has_clients_key(&self) -> bool {
        self.repeats == Repeats::AsSameCommand
    }

    /// Whether an owner that says so leaves open what becomes of it: it cannot recall what it began, died over it, or left.
    fn is_left_open_by(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::Unavailable { .. } | Refusal::Overloaded => self.may_be_begun,
            Refusal::Unanswerable => true,
            Refusal::UnderWay => !self.has_clients_key(),
            _ => false,
        }
    }
}

impl Orchestrator {
    pub(super) async fn ask(
        &self,
        room: &RoomId,
        command: &Command,
        deadline: Timestamp,
        what: Happening,
    ) -> Result<Answer, Refusal> {
        let mut errand = Errand {
            room,
            command: command.id.clone(),
            deadline,
            what,
            repeats: command.repeats,
            sent_to: None,
            may_be_begun: false,
            letters: Vec::new(),
            is_read: false,
        };
        let limit = self.left_until(deadline) + BACKSTOP;
        let answer = match tokio::time::timeout(limit, self.run(&mut errand)).await {
            Ok(Ok(answer)) => self.make_final(&errand, answer).await,
            Ok(refused) => refused,
            Err(_) => self.give_up(&errand).await,
        };
        self.take_back(&errand, &answer).await;
        answer
    }

    /// A start that is refused while it may wait elsewhere is refused there as well, however late it is read.
    async fn make_final(&self, errand: &Errand<'_>, answer: Answer) -> Result<Answer, Refusal> {
        if !errand.is_start() || !errand.may_be_begun || !matches!(answer, Answer::Refused(_)) {
            return Ok(answer);
        }
        if errand.has_clients_key() {
            // A refusal that began nothing is not kept under a client's key.
            return Err(Refusal::UnderWay);
        }
        self.keep(errand, answer).await
    }

    /// Keeps an answer, so that whoever carries the command out later says the same. Returns the one that stands: whoever
    /// was first has said what is true.
    async fn keep(&self, errand: &Errand<'_>, answer: Answer) -> Result<Answer, Refusal> {
        let keys = &self.shared.world.keys;
        loop {
            let kept = async {
                bounded(&self.shared, keys.keep(&errand.command, &answer)).await?;
                bounded(&self.shared, keys.answer_of(&errand.command)).await
            };
            match kept.await {
                Ok(stands) => return Ok(stands.unwrap_or(answer)),
                Err(_) if self.left_until(errand.deadline).is_zero() => return Err(Refusal::Unanswerable),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Whoever finds the request in the inbox later has nothing to do any more: it has its answer.
    async fn take_back(&self, errand: &Errand<'_>, answer: &Result<Answer, Refusal>) {
        if matches!(answer, Err(Refusal::StopOwed) | Ok(Answer::Refused(Refusal::StopOwed))) {
            return;
        }
        let reply = Reply::of_answer(answer.as_ref().ok().cloned()).to_text();
        for letter in &errand.letters {
            if let Err(error) = self.answer_wherever(letter.clone(), &reply).await {
                tracing::warn!(room.id = %errand.room, %error, "letter that was answered stays in the inbox");
            }
        }
    }

    async fn run(&self, errand: &mut Errand<'_>) -> Result<Answer, Refusal> {
        loop {
            let is_over = errand.deadline <= self.shared.world.clock.now();
            if errand.sent_to.is_some() && is_over {
                return self.give_up(errand).await;
            }
            let Errand { command, deadline, what, .. } = &*errand;
            let owner = match self.ask_here(errand.room, command.clone(), *deadline, what.clone()).await {
                // What this node knows nothing of may have been begun where it was sent before.
                Some(Told::Answer(Answer::Refused(Refusal::Unavailable { .. } | Refusal::Overloaded)))
                    if errand.sent_to.is_some() =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Some(Told::Answer(answer)) => return Ok(answer),
                Some(Told::Moved(owner)) => {
                    self.as_command(errand).await?;
                    owner
                }
                Some(Told::Begun(owner)) => {
                    // What has a client's key is kept from its beginning.
                    let is_kept = errand.has_clients_key();
                    if let Happening::StartRequested(start) = &mut errand.what
                        && !is_kept
                    {
                        start.so_far = SoFar::Begun;
                    }
                    self.as_command(errand).await.map_err(|_| Refusal::Unanswerable)?;
                    errand.may_be_begun = true;
                    owner
                }
                // Neither success nor failure is known to be true.
                None => return Err(Refusal::Unanswerable),
            };
            errand.sent_to = Some(owner.clone());
            if owner == self.shared.world.node {
                continue;
            }
            match self.ask_there(errand, &owner).await {
                Some(Answer::Refused(refusal)) if errand.is_left_open_by(&refusal) => {
                    (errand.may_be_begun, errand.is_read) = (true, true);
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Some(answer) => return Ok(answer),
                None => errand.may_be_begun = true,
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn ask_here(
        &self,
        room: &RoomId,
        command: CommandId,
        deadline: Timestamp,
        what: Happening,
    ) -> Option<Told> {
        let (reply, told) = oneshot::channel();
        self.deliver(room, RoomMessage::Request { command, deadline, what, reply });
        told.await.ok()
    }

    /// From here on the request may be carried out anywhere, by whoever finds it: once, and with its answer kept.
    async fn as_command(&self, errand: &mut Errand<'_>) -> Result<(), Refusal> {
        let operation = match &mut errand.what {
            Happening::StartRequested(start) if start.repeats == Repeats::Never => {
                start.repeats = Repeats::AsSameCommand;
                Operation::Start
            }
            Happening::StopRequested(stop) if stop.repeats == Repeats::Never => {
                stop.repeats = Repeats::AsSameCommand;
                Operation::Stop
            }
            _ => return Ok(()),
        };
        let key = ScopedKey {
            caller: NODES.to_owned(),
            room: errand.room.clone(),
            operation,
            key: errand.command.to_string(),
        };
        let new = KeptCommand {
            command: errand.command.clone(),
            request: String::new(),
            entered: self.shared.world.clock.now(),
            answer: None,
        };
        while let Err(refusal) = self.store(self.shared.world.keys.enter(&key, &new, Timestamp(0))).await {
            if errand.deadline <= self.shared.world.clock.now() {
                return Err(refusal);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Asks another node, until it answers or is gone. None: the owner is to be looked for again.
    async fn ask_there(&self, errand: &mut Errand<'_>, owner: &NodeId) -> Option<Answer> {
        let world = &self.shared.world;
        let letter = Letter::write(errand.room, &errand.what, world.clock.now())?.to_text();
        let limit = self.left_until(errand.deadline) + BACKSTOP_ELSEWHERE;
        let asked = tokio::select! {
            asked = world.cluster.peers.ask(owner, letter.clone().into_bytes(), limit) => Some(asked),
            () = self.until_gone(owner) => None,
        };
        match asked {
            Some(Ok(reply)) => match Reply::read(&reply) {
                Reply::Moved(_) => None,
                Reply::Unreadable | Reply::Stored | Reply::NotStored => {
                    self.ask_by_inbox(errand, owner, letter).await
                }
                reply => reply.answer(),
            },
            Some(Err(PeerError::Unreachable(_))) => self.ask_by_inbox(errand, owner, letter).await,
            Some(Err(PeerError::Lost(why))) => {
                tracing::debug!(room.id = %errand.room, owner = %owner, why, "owner gave no answer");
                None
            }
            None => None,
        }
    }

    /// Puts the request where the owner, or its successor, finds it; waits for the answer as long as it lives.
    async fn ask_by_inbox(&self, errand: &mut Errand<'_>, owner: &NodeId, letter: String) -> Option<Answer> {
        let lies_there = errand.letters.last().filter(|_| !errand.is_read).cloned();
        let id = lies_there.unwrap_or_else(|| {
            // Never one that another request of the same command was answered by.
            let id = fresh_command(&*self.shared.world.entropy).to_string();
            // Noted before it is put: it may lie there though its answer was lost.
            errand.letters.push(id.clone());
            id
        });
        errand.is_read = false;
        self.put(&id, errand.room, owner, letter).await.ok()?;
        tokio::select! {
            answer = self.answer_in_inbox(id) => answer,
            () = self.until_gone(owner) => None,
            () = tokio::time::sleep(self.left_until(errand.deadline)) => None,
        }
    }

    /// Returns when a node's lease is gone. A coordination that is away says nothing.
    async fn until_gone(&self, node: &NodeId) {
        let world = &self.shared.world;
        let mut look = tokio::time::Instant::now() + LOOK_FOR_OWNER;
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if world.cluster.peers.suspects().contains(node) {
                return;
            }
            if tokio::time::Instant::now() >= look {
                look += LOOK_FOR_OWNER;
                let standing = bounded(&self.shared, world.coordination.standing(node)).await;
                if matches!(standing, Ok(Standing::Gone)) {
                    return;
                }
            }
        }
    }

    /// The deadline passed. What may be carried out elsewhere is told in the inbox, and only then answered
    /// (design 4).
    async fn give_up(&self, errand: &Errand<'_>) -> Result<Answer, Refusal> {
        let again = errand.has_clients_key();
        let Some(owner) = errand.sent_to.as_ref().filter(|_| !(again && errand.is_start())) else {
            // Whoever asks again learns what became of it. Others may wait for it at this moment, so it is not cancelled.
            return Err(if again { Refusal::UnderWay } else { Refusal::Unanswerable });
        };
        let (command, now) = (&errand.command, self.shared.world.clock.now());
        // Nobody waits any more, so it is carried out whenever it is read.
        let deadline = now.plus(self.shared.world.limits.request_timeout);
        let (what, refusal) = match &errand.what {
            Happening::StopRequested(stop) => {
                // Another command: of this one it is kept that the stop is owed.
                let (command, repeats) = (fresh_command(&*self.shared.world.entropy), Repeats::Never);
                let stop = StopRequest { command, deadline, repeats, ..stop.clone() };
                (Happening::StopRequested(stop), Refusal::StopOwed)
            }
            Happening::DeleteRequested(delete) => {
                let refusal = Refusal::DeletionOwed { dependency: "owner" };
                (Happening::DeleteRequested(DeleteRequest { deadline, ..delete.clone() }), refusal)
            }
            _ => (Happening::Cancelled { command: command.clone() }, Refusal::TimedOutStarting),
        };
        if refusal == Refusal::TimedOutStarting {
            // Whoever reads the request itself only now begins nothing any more; unless it was answered already.
            let ours = Answer::Refused(refusal.clone());
            let stands = self.keep(errand, ours.clone()).await?;
            if stands != ours {
                return Ok(stands);
            }
        }
        // Beside the request itself, which may lie there with too little time.
        let id = late(command);
        let letter = Letter::write(errand.room, &what, now);
        let letter = letter.ok_or(Refusal::Unanswerable)?.to_text();
        let put = self.put(&id, errand.room, owner, letter).await;
        put.map_err(|_| Refusal::Unanswerable)?;
        if refusal == Refusal::StopOwed && again {
            // Whoever asks again under its key is told the same.
            return self.keep(errand, Answer::Refused(refusal)).await;
        }
        Err(refusal)
    }

    /// Tells a room's owner; returns when the news cannot be lost any more.
    pub(crate) async fn tell(&self, room: &RoomId, what: Happening) -> Result<(), PortError> {
        let told =
            tokio::time::timeout(self.shared.world.limits.request_timeout, self.tell_owner(room, what));
        told.await.unwrap_or_else(|_| Err(not_stored(room)))
    }

    /// Tells it as it is now, since whoever learned it may have been held up.
    pub(super) async fn tell_anew(&self, room: &RoomId, what: Happening) -> Result<(), PortError> {
        match self.as_it_is_now(what).await? {
            Some(what) => self.tell(room, what).await,
            None => Ok(()),
        }
    }

    async fn tell_owner(&self, room: &RoomId, what: Happening) -> Result<(), PortError> {
        let world = &self.shared.world;
        loop {
            let owner = match self.tell_here(room, what.clone()).await {
                Some(Taken::Stored) => return Ok(()),
                Some(Taken::Moved(owner)) if owner == world.node => continue,
                Some(Taken::Moved(owner)) => owner,
                None => return Err(not_stored(room)),
            };
            let Some(letter) = Letter::write(room, &what, world.clock.now()) else { return Ok(()) };
            let letter = letter.to_text();
            let asked = world.cluster.peers.ask(&owner, letter.clone().into_bytes(), BACKSTOP).await;
            match asked.map(|reply| Reply::read(&reply)) {
                Ok(Reply::Stored) => return Ok(()),
                Ok(Reply::Moved(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                // In the inbox it is as safe as in the row.
                Ok(_) | Err(_) => {
                    let id = fresh_command(&*world.entropy).to_string();
                    return self.put(&id, room, &owner, letter).await;
                }
            }
        }
    }

    async fn tell_here(&self, room: &RoomId, what: Happening) -> Option<Taken> {
        let what = match self.with_its_document(what).await {
            Ok(Some(what)) => what,
            Ok(None) => return Some(Taken::Stored),
            Err(_) => return None,
        };
        let (stored, taken) = oneshot::channel();
        self.deliver(room, RoomMessage::News { what, stored });
        taken.await.ok()
    }

    /// News with the document that they rest on as it is now, since a letter may have lain for long; none if that is over
    /// or gone.
    async fn with_its_document(&self, what: Happening) -> Result<Option<Happening>, PortError> {
        let Happening::Unheld(found) = what else { return Ok(Some(what)) };
        let id = &found.recording.recording_id;
        let stored = bounded(&self.shared, self.shared.world.catalog.recording(id)).await?;
        let unfinished = stored.filter(|stored| !stored.recording.status.is_terminal());
        Ok(unfinished.map(|stored| Happening::Unheld(Box::new(stored.into()))))
    }

    /// News that may have been under way for long, as LiveKit tells them now; none if they are not true any more.
    async fn as_it_is_now(&self, what: Happening) -> Result<Option<Happening>, PortError> {
        let livekit = &self.shared.world.media_server;
        let away = |error| PortError::unavailable("LiveKit", error);
        match what {
            // A webhook is worth as little as ever.
            Happening::EgressSeen(seen) if seen.source != Source::Webhook => {
                let Some(info) = livekit.egress(&seen.info.egress).await.map_err(away)? else {
                    return Ok(None);
                };
                Ok(Some(Happening::EgressSeen(news::sighting(&self.shared, info, seen.source).await?)))
            }
            Happening::FoundStale { ref recording, .. } => {
                let participants = livekit.participants(&recording.room).await.map_err(away)?;
                Ok((!is_attended(&participants)).then_some(what))
            }
            what => Ok(Some(what)),
        }
    }

    /// Carries out what another node sends, if this one owns the room.
    pub async fn receive(&self, letter: &[u8]) -> Reply {
        let world = &self.shared.world;
        let Some(letter) = Letter::read(letter) else { return Reply::Unreadable };
        let room = letter.room.clone();
        match letter.asked(world.clock.now(), world.policy.start_timeout.max(world.limits.request_timeout)) {
            Asked::Request { command, deadline, what } => {
                // A node that leaves waits for its answer.
                let _under_way = self.requests.token();
                let told = self.ask_here(&room, command, deadline, what);
                match tokio::time::timeout(self.left_until(deadline) + BACKSTOP, told).await {
                    Ok(Some(Told::Answer(answer))) => Reply::of_answer(Some(answer)),
                    Ok(Some(Told::Moved(owner) | Told::Begun(owner))) => Reply::Moved(owner),
                    Ok(None) | Err(_) => Reply::of_answer(None),
                }
            }
            Asked::News(what) => {
                let taken = Box::pin(async {
                    match self.as_it_is_now(what).await {
                        Ok(Some(what)) => self.tell_here(&room, what).await,
                        Ok(None) => Some(Taken::Stored),
                        Err(_) => None,
                    }
                });
                match tokio::time::timeout(world.limits.request_timeout, taken).await {
                    Ok(Some(Taken::Stored)) => Reply::Stored,
                    Ok(Some(Taken::Moved(owner))) => Reply::Moved(owner),
                    Ok(None) | Err(_) => Reply::NotStored,
                }
            }
        }
    }

    /// Reads every room anew: this node's lease had lapsed.
    pub(crate) fn read_all_again(&self) {
        let _ = self.supervisor.cast(SupervisorMessage::ReadAgain);
    }

    /// Sees to it that a room's row is read, and claimed if it may be.
    pub(crate) fn wake(&self, room: &RoomId) {
        self.deliver(room, RoomMessage::TakeUp);
    }

    /// What this node shares, for the parts of the cluster.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

fn not_stored(room: &RoomId) -> PortError {
    PortError::unavailable("store", format!("news of room '{room}' are not stored yet"))
}
