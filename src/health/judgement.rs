//! What the outcome of an attempt means for the health of its deployment. This is the only place
//! that decides it.
//!
//! A deployment is judged only by what it did itself. Nothing is learned from what a client did,
//! from the past of a stored object, or, beyond that part, from what concerns one request, one
//! operation or one place.

use super::reason::Reason;
use super::sample::Outcome;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::Millis;

/// What an outcome does to the health of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is learned.
    Nothing,
    /// The deployment served a request.
    Serves,
    /// The deployment works: it answered, and the request was at fault.
    Answers,
    /// The deployment did not answer in the time that the document allows. It is at least slow.
    Slow,
    /// A failure that is counted. Several of them eject.
    Counts(ErrorClass),
    /// A limit of the deployment, with its hint: it is left alone until then.
    Limits(Option<Millis>),
    /// The same for one operation.
    LimitsOperation(Option<Millis>),
    /// The deployment is ejected at once, until people had time to mend it.
    Ejects(Reason),
    /// The same for one operation.
    EjectsOperation(Reason),
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct EndedAttempt {
    /// The operation of the request.
    pub operation: Operation,
    /// Whether it had reached its commit point before.
    pub is_committed: bool,
    /// Whether it had no content yet, for much longer than usual.
    pub was_silent: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// The effect of an attempt.
pub fn effect(attempt: &EndedAttempt) -> Effect {
    let EndedAttempt { operation, is_committed, was_silent, outcome } = *attempt;
    if operation.is_on_stored_objects() {
        return on_stored_object(operation, is_committed, outcome);
    }
    match outcome {
        Outcome::Served => Effect::Serves,
        Outcome::Abandoned => Effect::Nothing,
        Outcome::CutShort if was_silent => Effect::Counts(ErrorClass::Timeout),
        Outcome::CutShort => Effect::Slow,
        Outcome::Failed { class, scope, hint_ms } => of_failure(operation, class, scope, hint_ms),
    }
}

/// Requests about stored objects use other parts of an upstream than models do. So they show
/// nothing about its models, except that the account is closed or that nobody is reached. And what
/// a stream reports after its commit point is the past of the object.
fn on_stored_object(operation: Operation, is_committed: bool, outcome: Outcome) -> Effect {
    let Outcome::Failed { class, scope, hint_ms } = outcome else { return Effect::Nothing };
    match of_failure(operation, class, scope, hint_ms) {
        _ if is_committed => Effect::Nothing,
        Effect::Limits(hint_ms) => Effect::LimitsOperation(hint_ms),
        Effect::Counts(ErrorClass::Connection) => Effect::Counts(class),
        Effect::Counts(_) | Effect::Answers => Effect::Nothing,
        effect => effect,
    }
}

/// Whether an answer to this operation disproves the reason of an ejection, so that an attempt of
/// it can be the probe. An object that could be read shows that the account is reached and open,
/// and nothing about limits or models.
pub fn disproves(operation: Operation, reason: Reason) -> bool {
    !operation.is_on_stored_objects()
        || match reason {
            Reason::Auth | Reason::Blocked => true,
            Reason::ConsecutiveFailures { class, .. }
            | Reason::FailureRate { class, .. }
            | Reason::ProbeFailed { class } => class == ErrorClass::Connection,
            Reason::RateLimited { .. }
            | Reason::Quota
            | Reason::NotFound { .. }
            | Reason::Forbidden { .. }
            | Reason::Drained
            | Reason::Other => false,
        }
}

fn of_failure(operation: Operation, class: ErrorClass, scope: Scope, hint_ms: Option<Millis>) -> Effect {
    match (scope, class) {
        // The upstream has read the request, and it works.
        (Scope::Request, ErrorClass::BadRequest | ErrorClass::ContextWindow | ErrorClass::ContentPolicy) => {
            Effect::Answers
        }
        (Scope::Request | Scope::Client, _) => Effect::Nothing,
        (Scope::Place, _) => Effect::Ejects(Reason::Blocked),
        (Scope::Operation, ErrorClass::Auth) => Effect::EjectsOperation(Reason::Forbidden { operation }),
        (Scope::Operation, ErrorClass::RateLimit) => Effect::LimitsOperation(hint_ms),
        (_, ErrorClass::NotFound) => Effect::EjectsOperation(Reason::NotFound { operation }),
        (_, ErrorClass::Quota) => Effect::Ejects(Reason::Quota),
        (_, ErrorClass::Auth) => Effect::Ejects(Reason::Auth),
        (_, ErrorClass::RateLimit) => Effect::Limits(hint_ms),
        (
            _,
            ErrorClass::Unavailable | ErrorClass::Timeout | ErrorClass::Connection | ErrorClass::Truncated,
        ) => Effect::Counts(class),
        (_, ErrorClass::BadRequest | ErrorClass::ContextWindow | ErrorClass::ContentPolicy) => {
            Effect::Answers
        }
    }
}
