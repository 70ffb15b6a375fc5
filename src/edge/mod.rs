//! The Worker: it gathers what a request says, obeys the machine and moves bytes. It decides nothing; what can be decided
//! without the platform is decided outside this module, where it can be tested natively.

mod admin;
mod arrival;
mod body;
mod call;
mod calls;
mod clock;
mod drive;
mod flow;
mod gone;
mod inbound;
mod isolate;
mod js;
mod learn;
mod minted;
mod object;
mod respond;
mod serve;
mod share;

use std::pin::pin;

use futures_util::future::{Either, select};
use worker::{Context, Env, Request, Response, Result, event};

use crate::reply::error::ClientError;

/// Nobody sees this status but the log of the platform, where nginx has made it known.
const CLIENT_LEFT: u16 = 499;

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    // The handle, not the request: `Request.clone()` of JavaScript would split the body in two.
    let request = Clone::clone(request.inner());
    let gone = gone::Gone::of(request.signal());
    let response = match select(pin!(serve::serve(request, env, context)), gone).await {
        Either::Left((response, _)) => response.or_else(|error| {
            js::warn(&format!("internal error: {}", js::text_of(&error)));
            respond::error(&(&ClientError::Internal).into(), Vec::new())
        }),
        Either::Right(_) => respond::empty(CLIENT_LEFT, &[]),
    };
    Ok(response.map(Response::from)?)
}
