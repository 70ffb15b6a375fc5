//! A request that `openai` has served, as the counters get it.

use switchyard::counters::{FinishedAttempt, FinishedRequest};
use switchyard::vocabulary::usage::Usage;

use crate::times::ms;

/// A request of `app` that used so many tokens, with its one attempt.
pub fn served_request(tokens: u64) -> (FinishedRequest<'static>, [FinishedAttempt<'static>; 1]) {
    let request = FinishedRequest {
        client: "app",
        model: "chat",
        outcome: "ok",
        duration_ms: ms(300),
        deployment: Some("openai"),
        first_token_ms: None,
        is_fallback: false,
        usage: Usage { input_tokens: tokens, ..Usage::default() },
        micro_usd: tokens * 3,
        cache: None,
    };
    (request, [FinishedAttempt { deployment: "openai", outcome: "ok", duration_ms: ms(300) }])
}
