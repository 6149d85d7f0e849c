//! Histories that go wrong without one rule of the lifecycle, for the rules that chance needs too long for.

use std::time::Duration;

use reelkeeper_actors::recording::RecordingStatus;
use reelkeeper_actors::recording::rules::Rule;
use reelkeeper_actors::simulator::calls::{Method, Refusal};
use reelkeeper_actors::simulator::clock::Timing;
use reelkeeper_actors::simulator::egress::mishaps::CutOff;
use reelkeeper_actors::simulator::faults::{CallTrouble, Fault, ListScope, WebhookTrouble, What};
use reelkeeper_actors::simulator::webhooks::EventName;

use crate::plan::{Away, Left, Plan, Step, StoreCall, StoreFault, StoreTrouble};

const START: Step = Step::Start { room: 0 };
const STOP: Step = Step::Stop { room: 0, pick: 0 };
const START_UNDER_KEY: Step = Step::StartOnce { room: 0, key: 1 };

/// The history that shows that a rule is needed; none if chance does.
pub fn history(rule: Rule) -> Option<Plan> {
    steps_of_start(rule).or_else(|| steps_of_end(rule)).map(|steps| plan(1, steps))
}

/// Rules about how a recording begins and what its client is told.
fn steps_of_start(rule: Rule) -> Option<Vec<(u64, Step)>> {
    Some(match rule {
        Rule::AnswerAfterProjection => {
            vec![(900, store(StoreCall::UpdateRecording, 1, StoreTrouble::Fails)), (1_000, START)]
        }
        Rule::DeadlineFreesRoom => vec![
            (500, store(StoreCall::WriteRow, 4, StoreTrouble::Slow { ms: 12_000 })),
            (1_000, START),
            (21_600, START),
        ],
        Rule::KeepAnswers => vec![(1_000, START_UNDER_KEY), (5_000, STOP), (20_000, START_UNDER_KEY)],
        Rule::RecallFirst => vec![
            (900, call(Method::ListParticipants, None, CallTrouble::DelayAnswer { ms: 8_000 }, Some(1))),
            (1_000, START_UNDER_KEY),
            (1_100, START_UNDER_KEY),
            (3_000, STOP),
        ],
        Rule::KeepNeverSeen => vec![
            (900, call(Method::StartEgress, None, CallTrouble::Delay { ms: 300_000 }, Some(1))),
            (1_000, START),
            (280_000, Step::Join { room: 0 }),
        ],
        Rule::ListOfAll => vec![
            (800, Step::Deaf),
            (900, call(Method::StartEgress, None, CallTrouble::Unlisted, Some(1))),
            (900, call(Method::StartEgress, None, CallTrouble::AnswerLost, Some(1))),
            (1_000, START),
        ],
        Rule::LookBeforeStart => {
            vec![(500, Step::Deaf), (1_000, Step::Original { room: 0, left: Left::Running }), (5_000, START)]
        }
        _ => return None,
    })
}

/// Rules about how a recording ends and what that rests on.
fn steps_of_end(rule: Rule) -> Option<Vec<(u64, Step)>> {
    Some(match rule {
        Rule::DeletedStaysDeleted => vec![
            (2_000, START),
            (2_200, Step::LiveKitAway { ms: 25_000, how: Away::Silent }),
            (23_500, Step::Delete { room: 0, pick: 0 }),
        ],
        Rule::FailedCallProvesNothing => {
            vec![(1_000, START), (10_000, call(Method::ListParticipants, None, refused(), Some(4)))]
        }
        Rule::FileFirst => {
            let left = Left::DocumentAndFile(RecordingStatus::Active);
            vec![
                (1_000, Step::Original { room: 0, left }),
                (19_000, store(StoreCall::HeadFile, 12, StoreTrouble::Fails)),
                (20_000, STOP),
            ]
        }
        Rule::ForwardOnly => vec![
            (900, webhook(EventName::EgressUpdated, WebhookTrouble::Delayed { ms: 3_000 })),
            (900, webhook(EventName::ParticipantLeft, WebhookTrouble::Lost)),
            (900, store(StoreCall::HeadFile, 12, StoreTrouble::Fails)),
            (1_000, START),
            (1_600, Step::EndMeeting { room: 0 }),
        ],
        Rule::LossWithoutSighting => vec![
            (1_000, START),
            (1_100, call(Method::ListParticipants, None, refused(), None)),
            (3_000, Step::Deaf),
            (3_000, Step::KillWorkers { room: 0 }),
            (40_000, Step::LiveKitHeals),
        ],
        Rule::RecorderProvesLife => vec![
            (1_000, START),
            (5_000, call(Method::StopEgress, None, refused(), None)),
            (6_000, STOP),
            (20_000, call(Method::ListEgress, Some(ListScope::Id), CallTrouble::EmptyList, None)),
        ],
        Rule::StopLostLife => vec![
            (1_000, START),
            (20_000, Step::CutOff { room: 0, then: CutOff::Returns { after_ms: 120_000 } }),
            (71_000, START),
        ],
        Rule::StrikeTwice => vec![
            (1_000, START),
            (10_000, call(Method::ListParticipants, None, CallTrouble::EmptyList, Some(1))),
        ],
        Rule::UnknownFileStaysOpen => {
            vec![(1_000, START), (4_000, store(StoreCall::HeadFile, 12, StoreTrouble::Fails)), (5_000, STOP)]
        }
        _ => return None,
    })
}

/// LiveKit lists nothing by id, while four rooms record: one of them was told to stop and cannot be.
pub fn history_of_wrong_lists() -> Plan {
    let mut steps: Vec<_> = (0..4).map(|room| (1_000, Step::Start { room })).collect();
    steps.extend([
        (5_000, call(Method::StopEgress, None, refused(), None)),
        (6_000, STOP),
        (20_000, call(Method::ListEgress, Some(ListScope::Id), CallTrouble::EmptyList, None)),
        (20_000, call(Method::ListEgress, Some(ListScope::All), CallTrouble::EmptyList, None)),
    ]);
    plan(4, steps)
}

fn plan(rooms: usize, mut steps: Vec<(u64, Step)>) -> Plan {
    let timing = Timing { upload: Duration::ZERO, ..Timing::default() };
    let ends = steps.last().map_or(0, |(at, _)| at + 30_000).max(90_000);
    // Until then it goes as it is told; afterwards all is well.
    steps.push((ends, Step::Join { room: 0 }));
    Plan { rooms, ..Plan::written(timing, steps) }
}

fn call(method: Method, scope: Option<ListScope>, does: CallTrouble, times: Option<u32>) -> Step {
    Step::LiveKit(Fault { what: What::Call { method, scope, does }, room: None, skip: 0, times, chance: 1.0 })
}

fn webhook(webhook: EventName, does: WebhookTrouble) -> Step {
    let what = What::Webhook { webhook, does };
    Step::LiveKit(Fault { what, room: None, skip: 0, times: Some(1), chance: 1.0 })
}

fn refused() -> CallTrouble {
    CallTrouble::Error(Refusal::new("unavailable", "as the plan says"))
}

fn store(call: StoreCall, times: u32, does: StoreTrouble) -> Step {
    Step::Store(StoreFault { call: Some(call), skip: 0, times, does })
}
