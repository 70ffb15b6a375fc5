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

use wasm_bindgen::prelude::*;

use crate::vocabulary::client_error::ClientError;

/// Called by `worker.js` for every request, with method, URL and headers in one text. What comes back is the number of the task, to
/// be cancelled when the client leaves.
#[wasm_bindgen]
pub fn serve(head: String, exchange: host::Exchange) -> u32 {
    task::spawn(async move {
        let response = serve::serve(&head, &exchange).await.or_else(|error| {
            js::warn(&format!("internal error: {}", js::text_of(&error)));
            respond::error(&(&ClientError::Internal).into(), Vec::new())
        });
        if let Ok(response) = response {
            exchange.answer(&response);
        }
    })
}
