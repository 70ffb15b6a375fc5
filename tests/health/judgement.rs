//! What outcomes mean for a deployment: the whole table, and that nothing else of it is affected.

use switchyard::health::Outcome::{self, Abandoned, CutShort, Served};
use switchyard::health::judgement::{self, Effect, EndedAttempt};
use switchyard::health::reason::Reason;
use switchyard::vocabulary::error_class::ErrorClass::{
    self, Auth, BadRequest, Connection, NotFound, Quota, RateLimit, Timeout, Truncated, Unavailable,
};
use switchyard::vocabulary::operation::Operation::{self, ChatCompletions, Files, StoredResponses};
use switchyard::vocabulary::scope::Scope;

use crate::times::ms;

fn failed(class: ErrorClass, scope: Scope) -> Outcome {
    Outcome::Failed { class, scope, hint_ms: None }
}

fn effect(operation: Operation, is_committed: bool, outcome: Outcome) -> Effect {
    judgement::effect(&EndedAttempt { operation, is_committed, was_silent: false, outcome })
}

#[test]
fn an_outcome_affects_only_the_part_that_it_is_about() {
    let hint_ms = Some(ms(7));
    for (operation, is_committed, outcome, expected) in [
        (ChatCompletions, true, Served, Effect::Serves),
        (ChatCompletions, true, Abandoned, Effect::Nothing),
        (ChatCompletions, false, CutShort, Effect::Slow),
        (ChatCompletions, false, Outcome::failed(Unavailable, None), Effect::Counts(Unavailable)),
        (ChatCompletions, true, Outcome::failed(Truncated, None), Effect::Counts(Truncated)),
        (ChatCompletions, false, Outcome::failed(RateLimit, hint_ms), Effect::Limits(hint_ms)),
        (ChatCompletions, false, Outcome::failed(Auth, None), Effect::Ejects(Reason::Auth)),
        (ChatCompletions, false, Outcome::failed(Quota, None), Effect::Ejects(Reason::Quota)),
        (ChatCompletions, false, Outcome::failed(BadRequest, None), Effect::Answers),
        (
            ChatCompletions,
            false,
            Outcome::failed(NotFound, None),
            Effect::EjectsOperation(Reason::NotFound { operation: ChatCompletions }),
        ),
        // One operation, one place, one request.
        (
            ChatCompletions,
            false,
            failed(Auth, Scope::Operation),
            Effect::EjectsOperation(Reason::Forbidden { operation: ChatCompletions }),
        ),
        (ChatCompletions, false, failed(Auth, Scope::Place), Effect::Ejects(Reason::Blocked)),
        (ChatCompletions, false, failed(RateLimit, Scope::Request), Effect::Nothing),
        (ChatCompletions, false, failed(NotFound, Scope::Request), Effect::Nothing),
        (ChatCompletions, false, failed(Timeout, Scope::Request), Effect::Nothing),
        // Stored objects show nothing about models, but that nobody answers or that the account is
        // closed.
        (Files, true, Served, Effect::Nothing),
        (Files, false, CutShort, Effect::Nothing),
        (Files, false, Outcome::failed(Unavailable, None), Effect::Nothing),
        (Files, false, Outcome::failed(Timeout, None), Effect::Nothing),
        (Files, false, Outcome::failed(Connection, None), Effect::Counts(Connection)),
        (Files, false, Outcome::failed(RateLimit, hint_ms), Effect::LimitsOperation(hint_ms)),
        (Files, false, Outcome::failed(Auth, None), Effect::Ejects(Reason::Auth)),
        (Files, false, Outcome::failed(BadRequest, None), Effect::Nothing),
        // What a replayed stream reports is the past of the object.
        (StoredResponses, true, Outcome::failed(Quota, None), Effect::Nothing),
        (StoredResponses, true, Outcome::failed(Unavailable, None), Effect::Nothing),
    ] {
        assert_eq!(effect(operation, is_committed, outcome), expected, "{operation:?} {outcome:?}");
    }
}

#[test]
fn nothing_that_concerns_one_request_changes_what_another_one_gets() {
    for operation in Operation::ALL {
        for class in ErrorClass::ALL {
            for is_committed in [false, true] {
                let found = effect(operation, is_committed, failed(class, Scope::Request));
                assert!(matches!(found, Effect::Nothing | Effect::Answers), "{operation:?} {class:?}");
                let found = effect(operation, is_committed, failed(class, Scope::Client));
                assert_eq!(found, Effect::Nothing, "{operation:?} {class:?}");
            }
        }
    }
}

#[test]
fn only_reasons_of_an_account_or_an_operation_hold_everywhere() {
    assert!(!Reason::Blocked.holds_everywhere());
    assert!(Reason::Auth.holds_everywhere());
    assert!(Reason::Forbidden { operation: Files }.holds_everywhere());
}

#[test]
fn an_attempt_that_was_cut_short_counts_only_after_a_long_silence_and_never_for_stored_objects() {
    for (operation, expected) in [(ChatCompletions, Effect::Counts(Timeout)), (Files, Effect::Nothing)] {
        let attempt = EndedAttempt { operation, is_committed: false, was_silent: true, outcome: CutShort };
        assert_eq!(judgement::effect(&attempt), expected, "{operation:?}");
    }
}
