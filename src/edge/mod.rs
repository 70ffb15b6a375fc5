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
mod inbound;
mod isolate;
mod js;
mod learn;
mod minted;
mod object;
mod respond;
mod serve;
mod share;

use worker::{Context, Env, Request, Response, Result, event};

use crate::reply::error::ClientError;

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    // The handle, not the request: `Request.clone()` of JavaScript would split the body in two.
    let request = Clone::clone(request.inner());
    let response = serve::serve(request, env, context).await.or_else(|error| {
        js::warn(&format!("internal error: {}", js::text_of(&error)));
        respond::error(&(&ClientError::Internal).into(), Vec::new())
    });
    Ok(response.map(Response::from)?)
}
