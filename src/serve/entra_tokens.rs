//! Tokens of Entra ID for calls of upstreams: one request for a token serves all requests of the
//! isolate ([`crate::upstream::token_store`] decides).

use std::pin::Pin;
use std::rc::Rc;

use super::platform::Platform;
use super::timing::look_again;
use crate::routes::entra::Entra;
use crate::upstream::entra_token::{TokenFailure, TokenRequest, token_answer, token_request};
use crate::upstream::token_store::TokenStep;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::{Instant, Millis};

/// How long the endpoint may take to answer, and how long a request waits for a token.
const TOKEN_MS: Millis = Millis::new(5_000);

/// Behind a pointer, so that the Wasm has the code once, and not for each caller.
type Token<'a> = Pin<Box<dyn Future<Output = Result<Rc<str>, TokenFailure>> + 'a>>;

/// A token that is not the `refused` one. Waits for it until `until` at most.
pub(super) fn token<'a, P: Platform>(
    platform: &'a P,
    entra: &'a Entra,
    refused: Option<&'a str>,
    until: Instant,
) -> Token<'a> {
    Box::pin(awaited(platform, entra, refused, until))
}

async fn awaited<P: Platform>(
    platform: &P,
    entra: &Entra,
    refused: Option<&str>,
    until: Instant,
) -> Result<Rc<str>, TokenFailure> {
    let began_at = platform.now();
    let until = until.min(began_at + TOKEN_MS);
    loop {
        let now = platform.now();
        let step = platform.isolate().tokens.borrow_mut().step(entra, refused, now);
        match step {
            TokenStep::Use { token, refresh } => {
                if refresh {
                    ask_in_background(platform, entra);
                }
                return Ok(token);
            }
            TokenStep::Fail(failure) => return Err(failure),
            // The request must not end with that of the client that was first.
            TokenStep::Ask => ask_in_background(platform, entra),
            TokenStep::Wait => {}
        }
        if now >= until {
            return Err(TokenFailure::unreachable());
        }
        look_again(platform, began_at).await;
    }
}

/// Whether another token may be accepted in place of a refused one.
pub(super) fn may_replace<P: Platform>(platform: &P, entra: &Entra, refused: &str) -> bool {
    platform.isolate().tokens.borrow_mut().may_replace(entra, refused, platform.now())
}

/// Replaces a refused token in the background.
pub(super) fn replace<P: Platform>(platform: &P, entra: &Entra, refused: &str) {
    let step = platform.isolate().tokens.borrow_mut().step(entra, Some(refused), platform.now());
    if matches!(step, TokenStep::Ask | TokenStep::Use { refresh: true, .. }) {
        ask_in_background(platform, entra);
    }
}

fn ask_in_background<P: Platform>(platform: &P, entra: &Entra) {
    let (background, entra) = (platform.clone(), entra.clone());
    platform.in_background(async move {
        let TokenRequest { url, form } = token_request(&entra);
        let (answer, why) = match background.send_form(&url, form, TOKEN_MS).await {
            Ok((status, text)) => (token_answer(status, &text), String::new()),
            Err(error) => (Err(TokenFailure::unreachable()), format!(": {error}")),
        };
        if let Err(failure) = &answer {
            let Entra { client_id, tenant, .. } = &entra;
            let said = failure.said();
            background.warn(&background.isolate().without_secrets(format!(
                "credentials: no token for the application {client_id} of {tenant}: {said}{why}"
            )));
        }
        let jitter = SplitMix64::new(background.random()).unit();
        background.isolate().tokens.borrow_mut().on_answer(&entra, answer, background.now(), jitter);
    });
}
