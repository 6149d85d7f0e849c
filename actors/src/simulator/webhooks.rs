//! What a simulated LiveKit tells by webhook.
//!
//! Owns the events, their content, and the faults of their delivery that happen inside LiveKit: lost,
//! doubled, delayed, overtaken. Signing, sending and trying again belong to the HTTP face.

use serde::{Deserialize, Serialize};

use super::faults::WebhookTrouble;
use super::views::{DisconnectReason, EgressView, ParticipantView, RoomView, TrackView};
use super::{Due, World};
use crate::ids::{EgressId, RoomId};
use crate::meeting::status::MeetingNews;
use crate::ports::media_server::{LiveKitEvent, LiveKitNews, ParticipantKind};

const MS_PER_S: i64 = 1_000;

/// The events that the simulator tells of, by LiveKit's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// A room was made.
    RoomStarted,
    /// A room is over.
    RoomFinished,
    /// Somebody is in a room.
    ParticipantJoined,
    /// Somebody left a room.
    ParticipantLeft,
    /// Somebody was on the way into a room and never came.
    ParticipantConnectionAborted,
    /// A camera or microphone is on.
    TrackPublished,
    /// A camera or microphone is off.
    TrackUnpublished,
    /// A worker took an egress.
    EgressStarted,
    /// An egress is ACTIVE or ENDING.
    EgressUpdated,
    /// An egress is over.
    EgressEnded,
}

impl EventName {
    /// As LiveKit writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoomStarted => "room_started",
            Self::RoomFinished => "room_finished",
            Self::ParticipantJoined => "participant_joined",
            Self::ParticipantLeft => "participant_left",
            Self::ParticipantConnectionAborted => "participant_connection_aborted",
            Self::TrackPublished => "track_published",
            Self::TrackUnpublished => "track_unpublished",
            Self::EgressStarted => "egress_started",
            Self::EgressUpdated => "egress_updated",
            Self::EgressEnded => "egress_ended",
        }
    }
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Webhook {
    /// LiveKit's id of this event, `EV_...`; the same in a doubled one.
    pub id: String,
    /// What it tells.
    pub event: EventName,
    /// Seconds since 1970.
    pub created_at: i64,
    /// What it tells it about.
    pub subject: Subject,
}

/// What a webhook is about, with the fields that LiveKit fills for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A room; all of it is shown.
    Room(RoomView),
    /// Somebody in a room; all of both is shown.
    Participant(RoomView, ParticipantView),
    /// A track; of its room only name and sid are shown, of its owner only sid and identity.
    Track(RoomView, ParticipantView, TrackView),
    /// An egress; its room is not shown.
    Egress(Box<EgressView>),
}

impl Webhook {
    /// The room it is about.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        match &self.subject {
            Subject::Room(room) | Subject::Participant(room, _) | Subject::Track(room, ..) => &room.name,
            Subject::Egress(egress) => egress.room(),
        }
    }

    /// The queue it is sent through: LiveKit keeps the order within an egress and within everything else
    /// of a room, and no order between queues.
    #[must_use]
    pub fn queue(&self) -> &str {
        match &self.subject {
            Subject::Egress(egress) => egress.egress.as_str(),
            _ => self.room().as_str(),
        }
    }

    /// In the words of the core.
    #[must_use]
    pub fn to_domain(&self) -> LiveKitEvent {
        let news = match (self.event, &self.subject) {
            (_, Subject::Egress(egress)) => LiveKitNews::Egress(Box::new(egress.to_domain())),
            (EventName::RoomStarted, Subject::Room(room)) => {
                LiveKitNews::Meeting(MeetingNews::Started { sid: room.sid.clone() })
            }
            (EventName::RoomFinished, Subject::Room(room)) => {
                LiveKitNews::Meeting(MeetingNews::Finished { sid: room.sid.clone() })
            }
            (EventName::ParticipantJoined, Subject::Participant(_, who))
                if who.kind == ParticipantKind::Standard =>
            {
                LiveKitNews::PersonJoined { sid: who.sid.clone() }
            }
            (EventName::ParticipantLeft, Subject::Participant(_, who)) => left(who),
            _ => LiveKitNews::Other,
        };
        let created_by = match &self.subject {
            Subject::Room(room) | Subject::Participant(room, _) => created_by(&room.metadata),
            Subject::Track(..) | Subject::Egress(_) => None,
        };
        LiveKitEvent {
            id: self.id.clone(),
            name: self.event.name().to_owned(),
            room: Some(self.room().clone()),
            created_by,
            news,
        }
    }
}

fn left(who: &ParticipantView) -> LiveKitNews {
    match (who.kind, who.left) {
        (ParticipantKind::Recorder, Some(reason)) => LiveKitNews::RecorderLeft {
            egress: EgressId::from_trusted(&who.identity),
            reason: reason.to_domain(),
        },
        (ParticipantKind::Standard, reason) if reason != Some(DisconnectReason::DuplicateIdentity) => {
            LiveKitNews::PersonLeft { identity: who.identity.clone(), name: who.name.clone() }
        }
        _ => LiveKitNews::Other,
    }
}

fn created_by(metadata: &str) -> Option<String> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    metadata.get("createdBy")?.as_str().map(str::to_owned)
}

impl World {
    pub(super) fn announce_room(&mut self, event: EventName, room: RoomView) {
        self.announce(event, Subject::Room(room));
    }

    pub(super) fn announce_participant(
        &mut self,
        event: EventName,
        room: &RoomId,
        participant: ParticipantView,
    ) {
        if let Some(room) = self.room(room) {
            self.announce(event, Subject::Participant(room, participant));
        }
    }

    pub(super) fn announce_track(
        &mut self,
        event: EventName,
        room: &RoomId,
        participant: &ParticipantView,
        track: TrackView,
    ) {
        if let Some(room) = self.room(room) {
            self.announce(event, Subject::Track(room, participant.clone(), track));
        }
    }

    pub(super) fn announce_egress(&mut self, event: EventName, egress: EgressView) {
        self.announce(event, Subject::Egress(Box::new(egress)));
    }

    /// A recorder was called off on its way into the room.
    pub(super) fn announce_aborted_recorder(
        &mut self,
        room: &RoomId,
        egress: &EgressId,
        reason: DisconnectReason,
    ) {
        let recorder = ParticipantView {
            sid: self.fresh_id("PA_"),
            identity: egress.to_string(),
            name: String::new(),
            metadata: String::new(),
            kind: ParticipantKind::Recorder,
            hidden: true,
            joined_at: self.now.0,
            tracks: Vec::new(),
            left: Some(reason),
        };
        self.announce_participant(EventName::ParticipantConnectionAborted, room, recorder);
    }

    fn announce(&mut self, event: EventName, subject: Subject) {
        let id = self.fresh_id("EV_");
        let webhook = Webhook { id, event, created_at: self.now.0 / MS_PER_S, subject };
        let trouble = self.faults.for_webhook(event, webhook.room(), &mut self.rng);
        if trouble == Some(WebhookTrouble::Lost) {
            return;
        }
        let usual = self.timing.webhook;
        let overtaken = self.overtaken.remove(webhook.queue());
        match trouble {
            None | Some(WebhookTrouble::Lost) => self.deliver(usual, webhook),
            Some(WebhookTrouble::Doubled) => {
                self.deliver(usual, webhook.clone());
                self.deliver(usual, webhook);
            }
            Some(WebhookTrouble::Delayed { ms }) => {
                self.deliver(usual + std::time::Duration::from_millis(ms), webhook);
            }
            Some(WebhookTrouble::Overtaken) => {
                let (key, id) = (webhook.queue().to_owned(), webhook.id.clone());
                self.schedule(self.timing.overtake, Due::StopsWaiting { key: key.clone(), webhook: id });
                self.overtaken.insert(key, webhook);
            }
        }
        if let Some(earlier) = overtaken {
            self.deliver(usual, earlier);
        }
    }

    fn deliver(&mut self, after: std::time::Duration, webhook: Webhook) {
        self.schedule(after, Due::Delivers(Box::new(webhook)));
    }

    /// Nothing came to overtake this webhook.
    pub(super) fn stop_waiting(&mut self, key: &str, id: &str) {
        if self.overtaken.get(key).is_some_and(|webhook| webhook.id == id)
            && let Some(webhook) = self.overtaken.remove(key)
        {
            self.outputs.webhooks.push(webhook);
        }
    }
}
