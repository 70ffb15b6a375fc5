//! The Worker: it gathers what a request says, obeys the machine and moves bytes. It decides nothing; what can be decided
//! without the platform is decided outside this module, where it can be tested natively.
//!
//! The way of every request crosses the boundary to JavaScript in few calls: [`host`] has them, [`task`] the waits. The rest, which is
//! rare, goes through `web-sys` ([`js`]).

mod admin;
mod arrival;
mod body;
mod call;
mod calls;
mod clock;
mod drive;
mod flow;
mod host;
mod inbound;
mod isolate;
mod js;
mod learn;
mod minted;
mod object;
mod respond;
mod serve;
mod share;
mod task;

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::Request;
use worker_sys::Context;

use crate::reply::error::ClientError;

/// Called by `worker.js` for every request; `answer` takes the response. What comes back is the number of the task, to be cancelled
/// when the client leaves.
#[wasm_bindgen]
pub fn serve(request: Request, env: js::Env, context: Context, answer: Function) -> u32 {
    task::spawn(async move {
        let response = serve::serve(request, env, context).await.or_else(|error| {
            js::warn(&format!("internal error: {}", js::text_of(&error)));
            respond::error(&(&ClientError::Internal).into(), Vec::new())
        });
        if let Ok(response) = response {
            // Nothing comes of a promise that is resolved.
            let _ = answer.call1(&JsValue::UNDEFINED, &response);
        }
    })
}
