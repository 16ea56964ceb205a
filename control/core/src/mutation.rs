//! Faults that tests plant to prove that the simulation would find them.

/// One planted fault. Never set outside tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The customer is dialled without a proof that the agent's leg is alive.
    DialWithoutProof,
    /// A stale proof is taken for a good one.
    BelieveStaleProof,
    /// The CANCEL of a customer's call is not sent.
    DropCancel,
    /// An interaction that an agent refused is not put back.
    ForgetPlace,
    /// A failed attempt is queued again before its call has ended.
    RetryBeforeEnd,
    /// The customer is dialled before the attempt is on record.
    DialBeforeRecord,
    /// An agent is free again as soon as an offer is taken.
    FreeTooEarly,
    /// The engine leg of an ended call is not deleted.
    KeepLeg,
    /// A callback that was answered is recorded as complete twice.
    CompleteTwice,
    /// The customer of a lost agent is forgotten.
    ForgetHeld,
    /// A lost engine reply is taken for a success.
    TrustTimeout,
    /// A callback is confirmed before it is on record.
    ReplyBeforeRecord,
    /// The customer's leg is spliced with the wrong agent's.
    WrongAgent,
    /// An unfinished attempt of an earlier run is dialled again at once.
    RedialAtOnce,
    /// An agent who passes a customer on keeps hearing them.
    KeepOnTransfer,
    /// A machine whose beep does not come is never hung up on.
    ForgetMessage,
    /// A caller is dropped before their callback is on record.
    DropBeforeStore,
    /// A caller's callback begins its wait when it is asked for.
    LatePlace,
    /// The legs of a dead engine are not moved to another.
    StayOnDead,
    /// The peer of a leg that was moved is not told where it is now.
    ForgetReoffer,
    /// An agent whose engine died is called again.
    RedialOnMove,
    /// What an engine kept of legs that were moved away while it was cut off is not deleted.
    KeepStrays,
    /// A customer who is to be asked, or to call, is dialled at once.
    SkipConfirmation,
    /// Keys that nobody was to hear are heard after a restart.
    ForgetBlocked,
    /// That a phone had fallen silent while control was away is not noticed.
    ForgetSilence,
    /// Whoever came last is next.
    Overtake,
    /// Agents are asked about whatever waits, able or not.
    IgnoreSkill,
    /// Customers are dialled although the trunk does not answer.
    DialWhileAway,
    /// Customers on the do-not-call list are dialled.
    DialUnwanted,
    /// Whoever asked for a connection is not told that it failed.
    ForgetOperation,
    /// A contact that was taken out of its list is called all the same.
    KeepRemoved,
    /// What is booked for a time of day comes when it would have come if nobody had set the calendar.
    KeepCalendar,
    /// A callback that is moved to the past has waited since then.
    BelievePast,
    /// Whoever is found to be a person counts as connected from then on only.
    ConnectAtVerdict,
    /// Who asked an earlier run for a connection is not told what came of it.
    ForgetOperationAtRestart,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 35] = [
        Self::DialWithoutProof,
        Self::BelieveStaleProof,
        Self::DropCancel,
        Self::ForgetPlace,
        Self::RetryBeforeEnd,
        Self::DialBeforeRecord,
        Self::FreeTooEarly,
        Self::KeepLeg,
        Self::CompleteTwice,
        Self::ForgetHeld,
        Self::TrustTimeout,
        Self::ReplyBeforeRecord,
        Self::WrongAgent,
        Self::RedialAtOnce,
        Self::KeepOnTransfer,
        Self::ForgetMessage,
        Self::DropBeforeStore,
        Self::LatePlace,
        Self::StayOnDead,
        Self::ForgetReoffer,
        Self::RedialOnMove,
        Self::KeepStrays,
        Self::SkipConfirmation,
        Self::ForgetBlocked,
        Self::ForgetSilence,
        Self::Overtake,
        Self::IgnoreSkill,
        Self::DialWhileAway,
        Self::DialUnwanted,
        Self::ForgetOperation,
        Self::KeepRemoved,
        Self::KeepCalendar,
        Self::BelievePast,
        Self::ConnectAtVerdict,
        Self::ForgetOperationAtRestart,
    ];
}
