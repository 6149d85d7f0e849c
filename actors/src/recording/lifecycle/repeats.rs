//! Requests that may come again as the same command (design 4, `Idempotency-Key`).
//!
//! A command is begun once, whoever asks and however often. It is looked up before anything is begun for it;
//! the row holds it from its intent until its answer is decided; and that answer is owed to the store of keys
//! by the very decision that took it. So whoever asks again finds the answer, or the command under way, or
//! neither: then nothing was begun.

use super::super::effect::{Answer, Effect, Refusal};
use super::super::event::{Recall, Repeatable, Repeats, SoFar, StartRequest, StopRequest};
use super::super::ledger::{Asked, Begun, Owed, Phase, Waiting, Wants};
use super::super::policy;
use super::super::rules::Rule;
use super::draft::Draft;
use crate::ids::CommandId;

impl Draft<'_> {
    /// A request that may be a repeat: it waits with the command that runs already, is told what was decided,
    /// or is looked up.
    pub(super) fn recall(&mut self, request: &Repeatable) {
        let command = request.command();
        if self.waits(command) {
            return;
        }
        if let Some(answer) = self.state.durable.answer_to_keep(command).cloned() {
            return self.answer_again(command, answer);
        }
        if self.state.durable.begun.len() >= policy::BEGUN_MAX {
            return self.refuse(command, Refusal::Overloaded);
        }
        if !self.policy.keeps(Rule::RecallFirst) {
            return self.begin_recalled(request);
        }
        let (command, deadline) = (command.clone(), request.deadline());
        self.state.memory.waiting.push(Waiting { command, deadline, wants: Wants::Recall });
        self.effects.push(Effect::Recall { request: request.clone() });
    }

    /// What became of the command before.
    pub(super) fn recalled(&mut self, request: &Repeatable, kept: &Recall) {
        let command = request.command();
        let waiting = &mut self.state.memory.waiting;
        let Some(index) = waiting.iter().position(|w| w.command == *command && w.wants == Wants::Recall)
        else {
            // It was told at its deadline that nothing was begun, and nothing is.
            return;
        };
        waiting.remove(index);
        match kept {
            Recall::Answered(answer) => self.answer_again(command, answer.clone()),
            Recall::Unknown => self.refuse(command, Refusal::Unavailable { dependency: "store" }),
            Recall::NotAnswered => self.begin_recalled(request),
        }
    }

    fn begin_recalled(&mut self, request: &Repeatable) {
        if let Repeatable::Start(start) = request
            && self.has_begun(&start.command)
            && self.policy.keeps(Rule::FindOwnStart)
        {
            return self.wait_with_current(start);
        }
        if let Repeatable::Start(StartRequest { command, so_far: SoFar::Begun, .. }) = request {
            let reason = "it ended before it could be answered".to_owned();
            return self.refuse(command, Refusal::StartFailed { reason });
        }
        let phase = self.state.durable.phase;
        self.decide(phase, &request.clone().into());
    }

    fn has_begun(&self, command: &CommandId) -> bool {
        self.current().is_some_and(|current| current.begun_by.as_ref() == Some(command))
    }

    /// The request began the current recording at an owner that stepped down or died, and comes again.
    fn wait_with_current(&mut self, request: &StartRequest) {
        let recording = match self.state.durable.phase {
            Phase::Starting | Phase::Uncertain => None,
            Phase::Idle | Phase::Active | Phase::Stopping => {
                let track = self.current().map(|current| &current.track).filter(|track| track.ran);
                let recording = track.and_then(|track| track.recording(&self.state.durable.room_name));
                if recording.is_none() {
                    let reason = "it was stopped while starting".to_owned();
                    return self.refuse(&request.command, Refusal::StartFailed { reason });
                }
                recording
            }
        };
        let (command, deadline) = (request.command.clone(), request.deadline);
        let Some(recording) = recording else {
            self.start_is_begun(request);
            self.state.memory.waiting.push(Waiting { command, deadline, wants: Wants::Start });
            return;
        };
        let id = recording.recording_id.clone();
        self.answer_after(&command, &id, Answer::Recording(Box::new(recording)));
    }

    /// The node that waited for a start's answer could not reach its owner, and has answered 503: nobody wants
    /// the recording, whether it runs by now or not.
    pub(super) fn cancelled(&mut self, command: &CommandId) {
        if !self.has_begun(command) {
            return;
        }
        match self.state.durable.phase {
            Phase::Starting | Phase::Uncertain => self.give_up(),
            Phase::Active => self.stop_current(),
            Phase::Idle | Phase::Stopping => {}
        }
    }

    fn waits(&self, command: &CommandId) -> bool {
        self.state.memory.waiting.iter().any(|waiting| waiting.command == *command)
    }

    fn answer_again(&mut self, command: &CommandId, answer: Answer) {
        match &answer {
            Answer::Recording(recording) => {
                let id = recording.recording_id.clone();
                self.answer_after(command, &id, answer);
            }
            _ => self.answer(command, answer),
        }
    }

    /// The intent of a start is saved with its command.
    pub(super) fn start_is_begun(&mut self, request: &StartRequest) {
        if request.repeats == Repeats::AsSameCommand {
            let (command, deadline) = (request.command.clone(), request.deadline);
            self.state.durable.begun.push(Begun { command, deadline, asked: Asked::Start });
        }
    }

    /// A stop is saved with its command.
    pub(super) fn stop_is_begun(&mut self, request: &StopRequest) {
        if request.repeats == Repeats::AsSameCommand {
            let (command, deadline) = (request.command.clone(), request.deadline);
            let asked = Asked::Stop(request.recording.egress.clone());
            self.state.durable.begun.push(Begun { command, deadline, asked });
        }
    }

    /// A command's answer is decided: it is owed to whoever asks again, with this very decision.
    pub(super) fn keep_answer(&mut self, command: &CommandId, answer: &Answer) {
        let begun = &mut self.state.durable.begun;
        let Some(index) = begun.iter().position(|begun| begun.command == *command) else { return };
        begun.remove(index);
        if answer.may_be_kept() && self.policy.keeps(Rule::KeepAnswers) {
            self.owe(Owed::Keep { command: command.clone(), answer: answer.clone() });
        }
    }

    /// A command whose deadline has passed was perhaps told so already, while the store was away: whatever
    /// happened since, that is what is kept.
    pub(super) fn answer_overdue_commands(&mut self) {
        let (at, begun) = (self.at, &self.state.durable.begun);
        let is_overdue = |waiting: &Waiting| {
            waiting.deadline <= at && begun.iter().any(|begun| begun.command == waiting.command)
        };
        if self.state.memory.waiting.iter().any(is_overdue) {
            self.check_start_deadline();
            self.answer_overdue();
        }
    }

    /// What an earlier run began and did not answer waits in this one.
    pub(super) fn wait_again(&mut self) {
        // A deadline from a clock that went wrong must not hold anybody for longer than a start.
        let latest = self.at.plus(self.policy.start_timeout);
        for Begun { command, deadline, asked } in self.state.durable.begun.clone() {
            let wants = match asked {
                Asked::Start => Wants::Start,
                Asked::Stop(egress) => Wants::End { egress },
            };
            let deadline = deadline.min(latest);
            self.state.memory.waiting.push(Waiting { command, deadline, wants });
        }
        self.answer_interrupted_stops();
    }

    /// Stops that an earlier run began are answered once their egress shows an end: LiveKit refuses to stop
    /// it again, which says nothing about them.
    pub(super) fn answer_interrupted_stops(&mut self) {
        for Waiting { command, wants, .. } in self.state.memory.waiting.clone() {
            let Wants::End { egress } = wants else { continue };
            let uid = self.uid_with(&egress);
            let track = uid.as_ref().and_then(|uid| self.track(uid));
            let room_name = &self.state.durable.room_name;
            match track {
                None => self.refuse(&command, Refusal::AlreadyStopped),
                Some(track) if track.shown_live() => {}
                Some(track) => {
                    let Some(recording) = track.recording(room_name) else { continue };
                    let id = recording.recording_id.clone();
                    self.answer_after(&command, &id, Answer::Recording(Box::new(recording)));
                }
            }
        }
    }
}
