//! Calls of the admin API of a running gateway. Errors say what to do.
//!
//! No redirect is followed, so a credential goes to no other host than the one that was named.

use std::time::Duration;

use clap::Args;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{Method, Request, Uri};
use ureq::{Agent, Error};

use crate::gateway_address::origin;
use crate::gateway_answer::GatewayAnswer;
use crate::gateway_error::GatewayError;
use crate::http_agent::{self, is_tls, is_unknown_host, with_tls};

/// The variable with the address of the gateway.
const URL_VARIABLE: &str = "SWITCHYARD_URL";
/// The variable with the token. There is no argument for it: arguments stand in lists of processes
/// and in the history of the shell.
const TOKEN_VARIABLE: &str = "SWITCHYARD_ADMIN_TOKEN";
/// The variables with the service token of Cloudflare Access.
const ACCESS_VARIABLES: [&str; 2] = ["SWITCHYARD_ACCESS_CLIENT_ID", "SWITCHYARD_ACCESS_CLIENT_SECRET"];

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take as a whole. A document may have megabytes.
const WHOLE: Duration = Duration::from_mins(1);
/// The pause before the one repetition of a call that changes nothing.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest answer: a document of 4 MiB as a JSON text, with what it changed.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// Which gateway to call.
#[derive(Debug, Clone, Args)]
pub struct GatewayArguments {
    /// The address of the gateway: https://switchyard.example.workers.dev. Without it, the variable
    /// SWITCHYARD_URL.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// Send the token without TLS to another machine.
    #[arg(long)]
    insecure: bool,
}

/// A gateway, with the credentials for its admin API.
pub struct GatewayClient {
    agent: Agent,
    /// Scheme, host and port.
    origin: String,
    credentials: Credentials,
}

/// What is sent with each call. It is never printed.
#[derive(Default)]
pub struct Credentials {
    /// The token of the admin API.
    pub token: String,
    /// Id and secret of a service token of Cloudflare Access.
    pub access: Option<(String, String)>,
}

impl GatewayArguments {
    /// Whether an argument names a gateway. The variable is not looked at.
    pub fn is_named(&self) -> bool {
        self.gateway.is_some()
    }
}

impl GatewayClient {
    /// The gateway that the arguments name, with the credentials of the environment.
    ///
    /// # Errors
    /// There is no address or no token, or the address is not one that a token may be sent to.
    pub fn from_arguments(arguments: &GatewayArguments) -> Result<Self, GatewayError> {
        let set = |name: &str| {
            std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let Some(url) = arguments.gateway.clone().or_else(|| set(URL_VARIABLE)) else {
            return Err(GatewayError::of_arguments(
                "no_gateway",
                "No gateway is named.",
                format!("Add --gateway https://GATEWAY, or set the variable {URL_VARIABLE}."),
            ));
        };
        let Some(token) = set(TOKEN_VARIABLE) else {
            return Err(GatewayError::of_arguments(
                "no_token",
                format!("The variable {TOKEN_VARIABLE} is not set."),
                "Set it to the ADMIN_TOKEN of the gateway. To look only, its VIEWER_TOKEN is enough.",
            ));
        };
        let access = match ACCESS_VARIABLES.map(set) {
            [Some(id), Some(secret)] => Some((id, secret)),
            [None, None] => None,
            _ => {
                return Err(GatewayError::of_arguments(
                    "half_a_service_token",
                    format!("Of {} one is set.", ACCESS_VARIABLES.join(" and ")),
                    "Set both of them, or none.",
                ));
            }
        };
        Self::new(&url, Credentials { token, access }, arguments.insecure)
    }

    /// The gateway at an address.
    ///
    /// # Errors
    /// The address is not one that a token may be sent to.
    pub fn new(url: &str, credentials: Credentials, is_insecure: bool) -> Result<Self, GatewayError> {
        let (origin, is_local) = origin(url, is_insecure)?;
        let mut config =
            http_agent::config(is_local).timeout_connect(Some(CONNECT)).timeout_global(Some(WHOLE));
        if origin.starts_with("https:") {
            config = with_tls(config);
        }
        Ok(Self { agent: config.build().into(), origin, credentials })
    }

    /// Scheme, host and port of the gateway.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Asks for a path. A call that fails on the way is repeated once.
    ///
    /// # Errors
    /// There is no answer of a gateway, or the credentials are not accepted.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<GatewayAnswer, GatewayError> {
        let first = self.send(&Method::GET, path, headers, "");
        let is_passing = match &first {
            Ok(answer) => matches!(answer.status, 502..=504 | 520..=530) && answer.own_error().is_none(),
            Err(Error::Io(error)) => !is_tls(error),
            Err(Error::Protocol(_) | Error::ConnectionFailed) => true,
            Err(_) => false,
        };
        let answer = if is_passing {
            std::thread::sleep(PAUSE);
            self.send(&Method::GET, path, headers, "")
        } else {
            first
        };
        self.judged(&Method::GET, path, answer)
    }

    /// Sends a body with PUT.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn put(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<GatewayAnswer, GatewayError> {
        self.judged(&Method::PUT, path, self.send(&Method::PUT, path, headers, body))
    }

    /// Sends a body with POST.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<GatewayAnswer, GatewayError> {
        self.judged(&Method::POST, path, self.send(&Method::POST, path, headers, body))
    }

    /// Calls a path with DELETE.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn delete(&self, path: &str, headers: &[(&str, &str)]) -> Result<GatewayAnswer, GatewayError> {
        self.judged(&Method::DELETE, path, self.send(&Method::DELETE, path, headers, ""))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<GatewayAnswer, Error> {
        let Credentials { token, access } = &self.credentials;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some((id, secret)) = access {
            request = request.header("cf-access-client-id", id).header("cf-access-client-secret", secret);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let has_body = *method == Method::PUT || *method == Method::POST;
        let mut answer = if has_body {
            self.agent.run(request.header(CONTENT_TYPE, "application/json").body(body)?)?
        } else {
            self.agent.run(request.body(())?)?
        };
        let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(GatewayAnswer {
            status: answer.status().as_u16(),
            headers: std::mem::take(answer.headers_mut()),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// The answer, if a gateway gave it and accepted the credentials.
    fn judged(
        &self,
        method: &Method,
        path: &str,
        answer: Result<GatewayAnswer, Error>,
    ) -> Result<GatewayAnswer, GatewayError> {
        let answer = answer.map_err(|error| self.unanswered(&error))?;
        if answer.is_of_access() {
            return Err(self.stopped_by_access());
        }
        if (300..400).contains(&answer.status) {
            let to: Uri = answer.header("location").and_then(|to| to.parse().ok()).unwrap_or_default();
            let to = match (to.scheme_str(), to.authority()) {
                (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
                _ => "another path".to_owned(),
            };
            return Err(GatewayError::new(
                "redirected",
                format!("{} redirects to {to}.", self.origin),
                "No redirect is followed, because the token would go there too. If that is your gateway, \
                 name it with --gateway.",
            ));
        }
        let code = answer.own_error().map(|(code, _)| code);
        match (answer.status, code.as_deref()) {
            (_, Some("invalid_admin_token")) => Err(GatewayError::new(
                "invalid_admin_token",
                format!("{} does not accept the token.", self.origin),
                format!(
                    "{TOKEN_VARIABLE} must be the value of the secret ADMIN_TOKEN of this Worker, or, to look \
                     only, of VIEWER_TOKEN. `npx wrangler secret put ADMIN_TOKEN` sets a new one."
                ),
            )),
            (_, Some("admin_token_needed")) => Err(GatewayError::new(
                "admin_token_needed",
                "The token may only look: it is the VIEWER_TOKEN.",
                format!("Set {TOKEN_VARIABLE} to the ADMIN_TOKEN of the gateway."),
            )),
            (_, Some("unknown_url" | "method_not_allowed")) => Err(GatewayError::new(
                "older_gateway",
                format!("The gateway does not know {method} {}.", path.split('?').next().unwrap_or(path)),
                "It is older than this command line: deploy this version with `npx wrangler deploy`.",
            )),
            // A provider says this. The admin API of a gateway has no such error.
            (_, Some(code)) if code != "invalid_api_key" => Ok(answer),
            (200..300, None) if !answer.is_page() => Ok(answer),
            _ => Err(GatewayError::new(
                "not_a_gateway",
                format!(
                    "{} is not a Switchyard: it answers {method} {} with status {} and {}.",
                    self.origin,
                    path.split('?').next().unwrap_or(path),
                    answer.status,
                    if answer.is_page() { "a page" } else { "no error that a gateway has" }
                ),
                "Name the address of the Worker. `npx wrangler deploy` prints it.",
            )),
        }
    }

    /// Why there is no answer.
    fn unanswered(&self, error: &Error) -> GatewayError {
        let origin = &self.origin;
        let (code, message, help) = match error {
            Error::Timeout(_) => (
                "no_answer",
                format!("{origin} did not answer in time ({error})."),
                "Try again. If it was a change, look with `switchyard history` whether it was made."
                    .to_owned(),
            ),
            error if is_unknown_host(error) => (
                "no_connection",
                format!("The host of {origin} is not known."),
                "Is the name right? `npx wrangler deploy` prints the address of the Worker.".to_owned(),
            ),
            Error::Io(error) if is_tls(error) => return tls_failed(origin, &error.to_string()),
            Error::Rustls(error) => return tls_failed(origin, &error.to_string()),
            Error::Tls(error) => return tls_failed(origin, error),
            Error::Http(_) => (
                "invalid_credential",
                "A credential has characters that no header can have.".to_owned(),
                format!("Set {TOKEN_VARIABLE} again, without line breaks."),
            ),
            Error::BodyExceedsLimit(_) => (
                "not_a_gateway",
                format!("The answer of {origin} is longer than any of a gateway."),
                "Name the address of the Worker.".to_owned(),
            ),
            error => (
                "no_connection",
                format!("There is no connection to {origin}: {error}."),
                "Does the gateway run, and is the address right?".to_owned(),
            ),
        };
        GatewayError::new(code, message, help)
    }

    fn stopped_by_access(&self) -> GatewayError {
        let [id, secret] = ACCESS_VARIABLES;
        let (message, help) = if self.credentials.access.is_some() {
            (
                format!("Cloudflare Access in front of {} does not accept the service token.", self.origin),
                format!(
                    "The policy of the application needs the action Service Auth with this token; and {id} and \
                     {secret} must be those of a token that has not expired."
                ),
            )
        } else {
            (
                format!("Cloudflare Access is in front of {} and asks for a login.", self.origin),
                format!(
                    "Make a service token in Zero Trust, allow it with a policy of the action Service Auth, and \
                     set {id} and {secret}."
                ),
            )
        };
        GatewayError::new("access_login", message, help)
    }
}

fn tls_failed(origin: &str, why: &str) -> GatewayError {
    GatewayError::new(
        "tls_failed",
        format!("There is no secure connection to {origin}: {why}."),
        "Is the address right? If a proxy of your company opens TLS, name its certificate with \
         SSL_CERT_FILE. A gateway on this machine has http://.",
    )
}

#[cfg(test)]
#[path = "gateway_client/tests.rs"]
mod tests;
