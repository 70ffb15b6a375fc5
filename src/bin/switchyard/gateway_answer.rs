//! An answer of the admin API, or of what stands in its place.

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, Uri};

use crate::gateway_error::GatewayError;

/// An answer of a gateway.
#[derive(Debug)]
pub struct GatewayAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl GatewayAnswer {
    /// A header, if it is a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The version that the `etag` names.
    pub fn etag(&self) -> Option<&str> {
        self.header("etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"'))
    }

    /// The body as a value.
    ///
    /// # Errors
    /// It is not such a JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_str(&self.body).map_err(|error| {
            GatewayError::new(
                "unexpected_answer",
                format!("The answer is not what this version of the command line expects: {error}."),
                "Use the command line of the gateway's own version.",
            )
        })
    }

    /// The answer, if it is a success.
    ///
    /// # Errors
    /// The error that the gateway answers with.
    pub fn accepted(self) -> Result<Self, GatewayError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.error()) }
    }

    /// The error that the answer is.
    pub fn error(&self) -> GatewayError {
        let (code, message) = self.own_error().unwrap_or_default();
        if code.is_empty() {
            let message = format!("The gateway answered with status {}.", self.status);
            return GatewayError::new("unexpected_status", message, "Look into the log of the Worker.");
        }
        let help = match code.as_str() {
            "registry_missing" => {
                "Add the binding REGISTRY and the migration v2 to wrangler.toml and deploy, see \
                 docs/changing-routes.md."
            }
            "registry_unavailable"
            | "routes_not_written"
            | "keys_not_written"
            | "switch_not_shared"
            | "change_under_way" => "Try again in some seconds.",
            _ => "",
        };
        // No other change came first: the same call would be refused again.
        let is_about_keys = matches!(code.as_str(), "keys_not_allowed" | "key_not_active");
        let status = if is_about_keys { 400 } else { self.status };
        GatewayError::of_status(status, &code, message, help)
    }

    /// Code and message of an error in OpenAI's shape.
    pub fn own_error(&self) -> Option<(String, String)> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        let member = |name: &str| body.get("error")?.get(name)?.as_str().map(str::to_owned);
        Some((member("code")?, member("message").unwrap_or_default()))
    }

    /// Whether it is a page for people.
    pub fn is_page(&self) -> bool {
        self.header("content-type").is_some_and(|value| value.contains("text/html"))
            || self.body.trim_start().starts_with('<')
    }

    /// Whether Cloudflare Access answered, and not the Worker behind it.
    pub fn is_of_access(&self) -> bool {
        let to: Uri = self.header("location").and_then(|to| to.parse().ok()).unwrap_or_default();
        let is_login = to.host().is_some_and(|host| host.ends_with(".cloudflareaccess.com"))
            || to.path().starts_with("/cdn-cgi/access/");
        let challenge = self.header("www-authenticate").unwrap_or_default();
        (300..400).contains(&self.status) && is_login
            || challenge.starts_with("Cloudflare-Access")
            || self.is_page() && self.body.contains("Cloudflare Access")
    }
}
