//! The rules of the lifecycle by name (design 3 to 5).
//!
//! Owns the list. Each rule stands in the code where it is kept, as `policy.keeps(Rule::...)`, which is
//! always true: only with the feature `mutations` can a test take one away, to see that the simulation
//! notices. Whoever changes a rule finds its place by its name.

/// What the lifecycle rests on. The order is that of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A decision is stored before anything is done about it.
    CommitBeforeEffect,
    /// A commit that was applied though its answer was lost is recognised by its decision's id.
    RecogniseOwnCommit,
    /// A start that is asked for again finds in the row what it began.
    FindOwnStart,
    /// Effects that failed, or that a crash left pending, are carried out again.
    RepeatEffects,
    /// StartEgress goes out at most once per uid, and only by the actor that saved the intent.
    OnlySaverSends,
    /// An unknown outcome of StartEgress is looked for, never repeated.
    NeverRepeatUnknown,
    /// What was refused is tried again under a fresh uid.
    FreshUidAfterRefusal,
    /// A refused uid is unsettled: a refusal may be wrong.
    RefusedStaysUnsettled,
    /// A uid that timed out is unsettled: it may start late.
    TimedOutStaysUnsettled,
    /// An unsettled unwanted uid that runs is stopped.
    StopUnwanted,
    /// Before a start the room's list is looked into.
    LookBeforeStart,
    /// A command that may come again is looked up before anything is begun for it.
    RecallFirst,
    /// The answer of such a command is kept by the decision that takes it.
    KeepAnswers,
    /// What is ACTIVE only after the start's deadline is not adopted.
    StopAfterDeadline,
    /// A start whose deadline has passed holds the room no longer, even if nobody has said so.
    DeadlineFreesRoom,
    /// A stop stays owed, and is repeated, until a terminal state or the recorder's leave.
    StopStaysOwed,
    /// A stopped room is free after the stop timeout, whatever LiveKit shows.
    StopTimeoutFrees,
    /// A stopped room is free once its recorder has left.
    RecorderLeftFrees,
    /// A uid that was never seen is kept until ten minutes after its call's end and two empty lists.
    KeepNeverSeen,
    /// A status moves forward only.
    ForwardOnly,
    /// Answers go out after the projection.
    AnswerAfterProjection,
    /// A deleted uid stays deleted: its late file is removed, and nothing shows it again.
    DeletedStaysDeleted,
    /// An unknown uid is looked for in the list of all too: the room's list is the weakest there is.
    ListOfAll,
    /// A failed call is no evidence.
    FailedCallProvesNothing,
    /// Only two looks some time apart make something missing.
    StrikeTwice,
    /// A recorder in the room shows that its egress runs.
    RecorderProvesLife,
    /// An ACTIVE egress whose recorder has left is lost, and blocks nothing.
    LossFreesRoom,
    /// One whose recorder was never seen is lost after the stale time.
    LossWithoutSighting,
    /// After a clean leave, and after ENDING, it uploads: the label waits.
    CleanLeaveUploads,
    /// A label waits no longer than the upload limit.
    UploadLimit,
    /// A lost uid that shows life is stopped.
    StopLostLife,
    /// Before a recording is called failed, its file is looked for.
    FileFirst,
    /// A store that cannot say whether a file is there leaves the question open.
    UnknownFileStaysOpen,
    /// A list that misses too much at once is wrong, and decides nothing for a while.
    DoubtWrongList,
    /// COMPLETE and LIMIT_REACHED replace a failure that we gave ourselves.
    LateTruth,
    /// The file of a COMPLETE recording is looked for, and its absence said.
    VerifyFile,
    /// LiveKit is asked beside its webhooks.
    PollBesideWebhooks,
    /// After a crash every row is taken up.
    TakeUpRows,
    /// A recording that is not over and that no row holds is taken up.
    TakeUpDocuments,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 39] = [
        Self::CommitBeforeEffect,
        Self::RecogniseOwnCommit,
        Self::FindOwnStart,
        Self::RepeatEffects,
        Self::OnlySaverSends,
        Self::NeverRepeatUnknown,
        Self::FreshUidAfterRefusal,
        Self::RefusedStaysUnsettled,
        Self::TimedOutStaysUnsettled,
        Self::StopUnwanted,
        Self::LookBeforeStart,
        Self::RecallFirst,
        Self::KeepAnswers,
        Self::StopAfterDeadline,
        Self::DeadlineFreesRoom,
        Self::StopStaysOwed,
        Self::StopTimeoutFrees,
        Self::RecorderLeftFrees,
        Self::KeepNeverSeen,
        Self::ForwardOnly,
        Self::AnswerAfterProjection,
        Self::DeletedStaysDeleted,
        Self::ListOfAll,
        Self::FailedCallProvesNothing,
        Self::StrikeTwice,
        Self::RecorderProvesLife,
        Self::LossFreesRoom,
        Self::LossWithoutSighting,
        Self::CleanLeaveUploads,
        Self::UploadLimit,
        Self::StopLostLife,
        Self::FileFirst,
        Self::UnknownFileStaysOpen,
        Self::DoubtWrongList,
        Self::LateTruth,
        Self::VerifyFile,
        Self::PollBesideWebhooks,
        Self::TakeUpRows,
        Self::TakeUpDocuments,
    ];
}
