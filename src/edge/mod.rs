//! The Worker: the handlers that the runtime calls, and the platform that [`crate::serve`] runs on.
//! It decides nothing.
//!
//! - `fetch`, below, and [`durable_object`]: the runtime calls them, through `entry.js`;
//! - [`registry_object`]: the Durable Object with the versions of the document; [`ledger_object`]:
//!   those with what is left of limits;
//! - [`worker_request`]: the platform as one request sees it, on the `worker` crate and the host
//!   module;
//! - [`host`], with `host/*.js`: coarse calls of the runtime that every request makes; [`wait`]:
//!   how they are awaited, and what pipes with a filter pass;
//! - [`own_calls`]: calls that belong to no request;
//! - [`tasks`]: what is polled; [`clock`] and [`timer`]: time; [`randomness`]: seeds.

mod clock;
mod document_store;
mod durable_object;
mod host;
mod ledger_object;
mod object_calls;
mod own_calls;
mod randomness;
mod registry_object;
mod respond;
mod tasks;
mod timer;
mod wait;
mod worker_request;

use worker::web_sys::{Request, Response};
use worker::{Context, Env, event};

use crate::serve::front::serve_while_connected;
use crate::vocabulary::client_error::ClientError;
use worker_request::WorkerRequest;

/// A cold start makes thousands of allocations. V8 compiles the default allocator for them, and
/// then optimises it. This one is smaller.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The runtime calls it once for each instance of the Wasm.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
    host::connect_waits();
}

/// The runtime calls it for every request. If the client leaves before its answer, all work for the
/// request ends.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let request = WorkerRequest::new(&request, env, context);
    tasks::timed(answer(&request)).await
}

async fn answer(request: &WorkerRequest) -> worker::Result<Response> {
    let head = request.exchange().head();
    respond::response(serve_while_connected(request, &head).await)
        .or_else(|error| {
            worker::console_warn!("internal error: {error}");
            respond::error(&(&ClientError::Internal).into())
        })
        .map_err(|error| worker::Error::RustError(error.to_string()))
}
