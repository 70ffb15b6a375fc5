//! Calls of Durable Objects, with the clock that limits them. Requests and the objects that share
//! health make these calls in the same way.

use worker::web_sys::{Request, RequestInit};
use worker::{Env, ObjectNamespace, Stub};

use super::host::Timers;
use super::{clock, timer};
use crate::serve::platform::{Clock, Objects, PlatformError};
use crate::vocabulary::time::Instant;

/// The binding of the Durable Object.
const BINDING: &str = "HEALTH";
/// The origin in the URLs of requests to a Durable Object. The object uses only the path.
pub const ORIGIN: &str = "https://health/";

/// Whether there is a binding.
pub fn is_bound(env: &Env) -> bool {
    namespace(env).is_ok()
}

fn namespace(env: &Env) -> worker::Result<ObjectNamespace> {
    env.durable_object(BINDING)
}

/// Code that the runtime runs with bindings: a request, or the Durable Object.
pub trait WithBindings {
    /// The bindings.
    fn env(&self) -> &Env;
    /// What it waits for.
    fn timers(&self) -> &Timers;
}

impl<T: WithBindings> Clock for T {
    fn now(&self) -> Instant {
        clock::now()
    }

    async fn sleep_until(&self, at: Instant) {
        timer::sleep_until(self.timers(), at).await;
    }
}

impl<T: WithBindings> Objects for T {
    async fn ask_object(
        &self,
        object: &str,
        near: Option<&str>,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), PlatformError> {
        let namespace = namespace(self.env())?;
        let stub = match near {
            Some(hint) => namespace.get_by_name_with_location_hint(object, hint)?,
            None => namespace.get_by_name(object)?,
        };
        ask(&stub, &format!("{ORIGIN}{path}"), body).await
    }
}

/// The answer of an object: its status and its text. With a `body` the request is a POST, without
/// one a GET.
pub async fn ask(stub: &Stub, url: &str, body: Option<String>) -> Result<(u16, String), PlatformError> {
    let init = RequestInit::new();
    if let Some(body) = body {
        init.set_method("POST");
        init.set_body(&body.into());
    }
    let request = Request::new_with_str_and_init(url, &init).map_err(worker::Error::from)?;
    let mut response = stub.fetch_with_request(request.into()).await?;
    Ok((response.status_code(), response.text().await?))
}

impl From<worker::Error> for PlatformError {
    fn from(error: worker::Error) -> Self {
        Self::new(error.to_string())
    }
}
