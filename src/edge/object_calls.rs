//! Calls of the Durable Objects that share health.

use worker::{Env, Method, ObjectNamespace, RequestInit};

use crate::serve::platform::PlatformError;

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

/// The answer of the Durable Object with this name: status and text. With a `body` the request is a
/// POST, without one a GET.
pub async fn ask(
    env: &Env,
    object: &str,
    near: Option<&str>,
    path: &str,
    body: Option<String>,
) -> Result<(u16, String), PlatformError> {
    let answer = async {
        let namespace = namespace(env)?;
        let stub = match near {
            Some(hint) => namespace.get_by_name_with_location_hint(object, hint)?,
            None => namespace.get_by_name(object)?,
        };
        let mut init = RequestInit::new();
        if let Some(body) = body {
            init.with_method(Method::Post).with_body(Some(body.into()));
        }
        let request = worker::Request::new_with_init(&format!("{ORIGIN}{path}"), &init)?;
        let mut response = stub.fetch_with_request(request).await?;
        Ok((response.status_code(), response.text().await?))
    };
    answer.await.map_err(|error: worker::Error| PlatformError::new(error.to_string()))
}
