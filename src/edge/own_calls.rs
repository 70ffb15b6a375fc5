//! Calls that belong to no request of a client.

use worker::{AbortController, Fetch, Method, RequestInit, RequestRedirect};

use crate::serve::platform::PlatformError;
use crate::vocabulary::headers::Headers;

/// Ends a call when it is dropped, also while its body is not read.
struct OwnCall(Option<AbortController>);

impl Drop for OwnCall {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

/// Sends a POST, and returns the status of its answer. No redirect is followed.
pub async fn post(url: &str, headers: &Headers, body: String) -> Result<u16, PlatformError> {
    let sent = worker::Headers::new();
    for (name, value) in headers.iter() {
        sent.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_redirect(RequestRedirect::Manual)
        .with_headers(sent)
        .with_body(Some(body.into()));
    let request = worker::Request::new_with_init(url, &init)?;
    let controller = AbortController::default();
    let signal = controller.signal();
    let _open = OwnCall(Some(controller));
    Ok(Fetch::Request(request).send_with_signal(&signal).await?.status_code())
}
