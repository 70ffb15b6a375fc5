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
use wasm_bindgen::prelude::*;
use web_sys::{Request, Response};
use worker::{Context, Env, worker_sys};

use crate::reply::error::ClientError;

/// Nobody sees this status but the log of the platform, where nginx has made it known.
const CLIENT_LEFT: u16 = 499;

/// Called by the runtime for every request. Its own types, without the wrappers of `worker`: there is nothing that they would do.
#[wasm_bindgen]
pub async fn fetch(request: Request, env: Env, context: worker_sys::Context) -> Result<Response, JsValue> {
    let gone = gone::Gone::of(request.signal());
    match select(pin!(serve::serve(request, env, Context::new(context))), gone).await {
        Either::Left((response, _)) => response.or_else(|error| {
            js::warn(&format!("internal error: {}", js::text_of(&error)));
            respond::error(&(&ClientError::Internal).into(), Vec::new())
        }),
        Either::Right(_) => respond::empty(CLIENT_LEFT, &[]),
    }
}
