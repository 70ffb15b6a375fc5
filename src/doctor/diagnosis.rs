//! From what came back to a finding: what is wrong, and what helps.

use serde_json::Value;

use super::error_text::ErrorText;
use super::finding_table::{ROWS, Row, Speaker};
use super::question::{QuestionKind, is_openai, model_of};
use crate::attempt::classify::{UnclassifiedResponse, classify};
use crate::attempt::success::{Success, fault_behind_success};
use crate::routes::graph::{AzureApi, Deployment, Secret, Upstream};
use crate::upstream::address::authority_of;
use crate::upstream::entra_token::TokenFailure;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::{Instant, Millis};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionOutcome {
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers, with names in lower case.
        headers: Headers,
        /// Its body.
        body: Vec<u8>,
    },
    /// Nothing.
    Silence(Silence),
    /// Nothing was asked, because there is no token.
    NoToken(TokenFailure),
    /// Nothing was asked, because who asks lacks this variable.
    NoVariable(String),
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// The name of the host is not known.
    UnknownHost,
    /// The connection was refused, or broke.
    NoConnection(String),
    /// There is no secure connection: the certificate, or no TLS at all.
    Tls(String),
    /// The time limit, in seconds.
    TooLate(u64),
}

/// What is known about a deployment besides the graph.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting<'a> {
    /// The variable with the credential, if the document has it in one.
    pub key_variable: Option<&'a str>,
    /// The variable with the endpoint, if the document has it in one.
    pub endpoint_variable: Option<&'a str>,
    /// The host that was asked.
    pub host: &'a str,
    /// When the answer came.
    pub now: Instant,
    /// Whether the Worker has asked, with its own variables. The values that the deployment has
    /// here are then made up.
    pub is_worker: bool,
}

/// What is wrong, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name, which does not change.
    pub code: &'static str,
    /// Whether the deployment serves.
    pub is_good: bool,
    /// What was found.
    pub found: String,
    /// What helps. Empty if nothing has to be done.
    pub remedy: String,
    /// What the provider said, without secrets.
    pub said: Option<String>,
    /// The error class of the gateway for this answer.
    pub class: Option<ErrorClass>,
}

impl Setting<'_> {
    /// Who asks, in a sentence.
    fn asker(&self) -> &'static str {
        if self.is_worker { "the Worker" } else { "this machine" }
    }
}

impl Finding {
    /// The finding for a deployment that lacks a variable. Nothing was asked. `is_worker`: the
    /// Worker lacks it.
    pub fn missing_variable(variable: &str, is_worker: bool) -> Self {
        let (place, here) = if is_worker {
            ("in the Worker", "Set it with")
        } else {
            ("here", "Set it in the environment or in .dev.vars. For the Worker:")
        };
        Self {
            code: "missing_variable",
            is_good: false,
            found: format!("The variable {variable} is missing {place}, or has a value that cannot be used."),
            remedy: format!("{here} `npx wrangler secret put {variable}`."),
            said: None,
            class: None,
        }
    }
}

/// The finding for what came back.
pub fn diagnose(
    deployment: &Deployment,
    kind: QuestionKind,
    outcome: &QuestionOutcome,
    setting: &Setting<'_>,
) -> Finding {
    match outcome {
        QuestionOutcome::Silence(silence) => of_silence(deployment, silence, setting),
        QuestionOutcome::NoToken(failure) => of_no_token(failure, setting),
        QuestionOutcome::NoVariable(variable) => Finding::missing_variable(variable, setting.is_worker),
        QuestionOutcome::Answer { status, headers, body } if (200..300).contains(status) => {
            of_success(deployment, kind, *status, headers, body, setting)
        }
        QuestionOutcome::Answer { status, headers, body } => {
            of_error(deployment, *status, headers, body, setting)
        }
    }
}

/// Every code of a finding in an answer that is an error.
pub fn codes_of_errors() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.code)
}

/// Whether to ask again with the other name of the limit: the model wants `max_completion_tokens`.
pub fn wants_completion_limit(outcome: &QuestionOutcome) -> bool {
    let QuestionOutcome::Answer { status: 400, headers, body } = outcome else { return false };
    let content_type = headers.get("content-type").unwrap_or_default();
    ErrorText::of(content_type, body).message.contains("max_completion_tokens")
}

fn of_no_token(failure: &TokenFailure, setting: &Setting<'_>) -> Finding {
    let (class, remedy) = if failure.is_refusal {
        (
            ErrorClass::Auth,
            "Look at `auth.entra` of the deployment (tenant, client_id, scope, and the variable with the secret or the \
             assertion), and at the application in Entra ID.",
        )
    } else {
        (
            ErrorClass::Unavailable,
            "Ask again. If it stays so, look at `authority`, and at the connection of {asker}.",
        )
    };
    Finding {
        code: "no_token",
        is_good: false,
        found: "Entra ID issues no token.".to_owned(),
        remedy: remedy.replace("{asker}", setting.asker()),
        said: Some(failure.said()),
        class: Some(class),
    }
}

fn of_silence(deployment: &Deployment, silence: &Silence, setting: &Setting<'_>) -> Finding {
    let is_azure = matches!(deployment.upstream, Upstream::Azure { .. }) && deployment.via.is_none();
    let (code, found, remedy, said) = match silence {
        Silence::UnknownHost => (
            "unknown_host",
            "There is no host {host}.",
            if is_azure {
                "Set {endpoint} to the endpoint of the resource (Azure portal > Keys and Endpoint). A resource \
                 that was deleted, or that has private endpoints only, has no public name."
            } else {
                "Look at {endpoint}. If other hosts are not known either, {asker} has no connection."
            },
            None,
        ),
        Silence::NoConnection(why) => (
            "no_connection",
            "There is no connection to {host}.",
            "Look at host and port of {endpoint}. If they are right, something between {asker} and the host \
             may stop the call, such as a firewall or a proxy.",
            Some(why),
        ),
        Silence::Tls(why) => (
            "no_secure_connection",
            "The connection to {host} is not secure: its certificate is not trusted, or it does not speak TLS.",
            "If a proxy of your company opens TLS, name its certificate with SSL_CERT_FILE. A certificate of the \
             host that has expired, or that is for another name, must be replaced: the Worker does not accept it \
             either.",
            Some(why),
        ),
        Silence::TooLate(_) => (
            "no_answer_in_time",
            "{host} did not answer in time.",
            "Ask again, with a longer --timeout if the model is slow to start. If it stays so, look at the status \
             page of the provider.",
            None,
        ),
    };
    let filled = |text: &str| fill(text, deployment, setting, None);
    let text = ErrorText { message: said.cloned().unwrap_or_default(), ..ErrorText::default() };
    let said = match silence {
        Silence::TooLate(seconds) => Some(format!("no answer within {seconds} s")),
        _ => text.shown(&secrets_of(deployment)),
    };
    let class = match silence {
        Silence::TooLate(_) => ErrorClass::Timeout,
        _ => ErrorClass::Connection,
    };
    Finding { code, is_good: false, found: filled(found), remedy: filled(remedy), said, class: Some(class) }
}

fn of_success(
    deployment: &Deployment,
    kind: QuestionKind,
    status: u16,
    headers: &Headers,
    body: &[u8],
    setting: &Setting<'_>,
) -> Finding {
    let content_type = headers.get("content-type").unwrap_or_default();
    let text = ErrorText::of(content_type, body);
    let filled = |text: &str| fill(text, deployment, setting, Some(&LimitWait::default()));
    let bad = |code, found: &str, remedy: &str, class| Finding {
        code,
        is_good: false,
        found: filled(found),
        remedy: filled(remedy),
        said: text.shown(&secrets_of(deployment)),
        class: Some(class),
    };
    let fault = match kind.operation() {
        Some(operation) => {
            fault_behind_success(&Success { operation, status, content_type, body, is_whole: true })
                .map(|failure| failure.class)
        }
        None => listed(body).is_none().then_some(ErrorClass::Unavailable),
    };
    if let Some(class) = fault {
        return if text.is_page {
            bad("page", PAGE_FOUND, page_remedy(setting), class)
        } else {
            bad(
                "not_the_api",
                "{host} answers with a success that is none of the API.",
                "Look at {endpoint}: the base URL and its path.",
                class,
            )
        };
    }
    let good = |found: String| Finding {
        code: "well",
        is_good: true,
        found,
        remedy: String::new(),
        said: None,
        class: None,
    };
    if kind != QuestionKind::Listing {
        return good("It answers.".to_owned());
    }
    match (listed(body).unwrap_or_default(), &deployment.upstream) {
        (_, Upstream::Azure { .. }) => good(
            "Key and endpoint are right. The deployment itself was not asked, because that costs.".to_owned(),
        ),
        (models, Upstream::OpenAi { model, base, .. })
            if !models.is_empty() && !is_openai(base) && !models.contains(model) =>
        {
            bad(
                "model_not_found",
                "{host} does not list a model `{model}`.",
                "Look at the name: `GET /v1/models` lists what the key may use.",
                ErrorClass::NotFound,
            )
        }
        _ => good("Key, endpoint and model are right. The model itself was not asked.".to_owned()),
    }
}

/// The ids in an answer to the list of models, or to a look-up of one; `None` if it is neither.
fn listed(body: &[u8]) -> Option<Vec<String>> {
    let read: Value = serde_json::from_slice(body).ok()?;
    let id_of = |model: &Value| model.get("id").and_then(Value::as_str).map(str::to_owned);
    match read.get("data").and_then(Value::as_array) {
        Some(models) => Some(models.iter().filter_map(id_of).collect()),
        None => Some(vec![id_of(&read)?]),
    }
}

const PAGE_FOUND: &str = "A page for people came back, not an answer of the API.";

/// What helps against a page.
fn page_remedy(setting: &Setting<'_>) -> &'static str {
    if setting.is_worker {
        "Something between the Worker and the provider answers: a proxy, a login, or a firewall. Look at {endpoint}."
    } else {
        "Something between here and the provider answers: a proxy, a login, or a firewall. Look at {endpoint}. The \
         Worker may not meet it, because it calls from another network."
    }
}

fn of_error(
    deployment: &Deployment,
    status: u16,
    headers: &Headers,
    body: &[u8],
    setting: &Setting<'_>,
) -> Finding {
    let text = ErrorText::of(headers.get("content-type").unwrap_or_default(), body);
    let failure = classify(&UnclassifiedResponse { status, headers, body, now: setting.now });
    let wait = LimitWait { hint_ms: failure.hint_ms, limit: limit_of(headers) };
    let row = ROWS.iter().find(|row| fits(row, deployment, status, &text));
    let (code, found, remedy) = match row {
        Some(row) if text.is_page && row.texts.is_empty() => ("page", PAGE_FOUND, page_remedy(setting)),
        Some(row) => (row.code, row.found, row.remedy),
        None if text.is_page => ("page", PAGE_FOUND, page_remedy(setting)),
        None => {
            ("unknown_error", "{host} answers with an error that is not known here.", "Look at what it says.")
        }
    };
    let filled = |text: &str| fill(text, deployment, setting, Some(&wait));
    let mut remedy = filled(remedy);
    let is_about_key = matches!(code, "key_of_another_resource" | "invalid_api_key" | "credential_refused");
    if is_about_key && !setting.is_worker {
        remedy.push_str(hint_of_key(deployment));
    }
    Finding {
        code,
        is_good: remedy.is_empty(),
        found: filled(found),
        remedy,
        said: text
            .shown(&secrets_of(deployment))
            .map(|said| format!("{status}: {said}"))
            .or(Some(status.to_string())),
        class: Some(failure.class),
    }
}

fn fits(row: &Row, deployment: &Deployment, status: u16, text: &ErrorText) -> bool {
    let is_azure = matches!(deployment.upstream, Upstream::Azure { .. });
    let is_said = match row.speaker {
        Speaker::Any => true,
        Speaker::AiGateway => deployment.via.is_some(),
        Speaker::Azure => is_azure,
        Speaker::OpenAi => !is_azure,
    };
    let lower = text.message.to_ascii_lowercase();
    let is_named = row.names.iter().any(|name| text.names.iter().any(|found| found == name));
    let is_worded = row.texts.iter().any(|part| lower.contains(part));
    is_said
        && (row.statuses.is_empty() || row.statuses.contains(&status))
        && ((row.names.is_empty() && row.texts.is_empty()) || is_named || is_worded)
}

/// What the form of a key shows about it. Nothing of it is printed.
fn hint_of_key(deployment: &Deployment) -> &'static str {
    let key = deployment.api_key.reveal();
    match &deployment.upstream {
        _ if key != key.trim() => " The key has spaces or a line break at its end.",
        _ if key.len() > 1 && key.starts_with(['"', '\'']) => " The key has quotes around it.",
        _ if key.starts_with("Bearer ") => " The key begins with `Bearer `, which is added anyway.",
        Upstream::Azure { .. } if key.starts_with("sk-") => " The key begins like one of OpenAI.",
        Upstream::OpenAi { base, .. } if is_openai(base) && !key.is_empty() && !key.starts_with("sk-") => {
            " Keys of OpenAI begin with `sk-`, and this one does not."
        }
        _ => "",
    }
}

/// How long a limit lasts, and what it counts.
#[derive(Debug, Default)]
struct LimitWait {
    hint_ms: Option<Millis>,
    limit: Option<String>,
}

/// The limit that is reached, as the headers say it.
fn limit_of(headers: &Headers) -> Option<String> {
    [("tokens", "tokens"), ("requests", "requests")].into_iter().find_map(|(name, unit)| {
        let header = |what: &str| headers.get(&format!("x-ratelimit-{what}-{name}"));
        let is_reached = header("remaining")?.trim() == "0";
        let limit = header("limit").map_or_else(String::new, |limit| format!("{} ", limit.trim()));
        is_reached.then(|| format!(" ({limit}{unit} a minute)"))
    })
}

/// What a provider may quote and nobody may see: the credentials, and what variables set in the
/// body.
fn secrets_of(deployment: &Deployment) -> Vec<&str> {
    let token = deployment.via.as_ref().and_then(|via| via.token.as_ref()).map(Secret::reveal);
    let proof = deployment.entra.as_ref().map(|entra| entra.proof.secret().reveal());
    let params = &deployment.params;
    let is_from_variable = |name: &String| params.from_variables.contains(name);
    let set = params.set.iter().filter(|(name, _)| is_from_variable(name));
    let set = set.filter_map(|(_, value)| value.as_str());
    deployment.keys().map(Secret::reveal).chain(token).chain(proof).chain(set).collect()
}

/// The text with what is known of the deployment. Without an answer, it is about the host that was
/// asked, which may be that of AI Gateway.
fn fill(text: &str, deployment: &Deployment, setting: &Setting<'_>, wait: Option<&LimitWait>) -> String {
    let named = |variable: Option<&str>, key: &str| match variable {
        Some(variable) => format!("the variable {variable} (`{key}`)"),
        None => format!("`{key}`"),
    };
    let version = match &deployment.upstream {
        Upstream::Azure { api: AzureApi::Dated(version), .. } => format!("the API version {version}"),
        Upstream::Azure { api: AzureApi::V1 { preview: true }, .. } => "the preview of the v1 API".to_owned(),
        Upstream::Azure { api: AzureApi::V1 { preview: false }, .. } | Upstream::OpenAi { .. } => {
            "the v1 API".to_owned()
        }
    };
    let (host, endpoint) = match wait {
        None if deployment.via.is_some() => (setting.host, "`via`".to_owned()),
        // The endpoint here is made up, if a variable has it.
        _ if setting.is_worker && setting.endpoint_variable.is_some() => {
            let host = if deployment.via.is_some() { "the endpoint" } else { setting.host };
            (host, named(setting.endpoint_variable, "endpoint"))
        }
        _ => (endpoint_host(deployment), named(setting.endpoint_variable, "endpoint")),
    };
    let seconds = wait.and_then(|wait| wait.hint_ms).map(Millis::seconds_rounded_up);
    let wait_for = seconds.map(|seconds| format!(", in {seconds} s")).unwrap_or_default();
    let window = wait.and_then(|wait| wait.limit.as_deref());
    text.replace("{asker}", setting.asker())
        .replace("{model}", model_of(deployment))
        .replace("{host}", host)
        .replace("{key}", &named(setting.key_variable, "api_key"))
        .replace("{endpoint}", &endpoint)
        .replace("{version}", &version)
        .replace("{wait}", &wait_for)
        .replace("{window}", window.unwrap_or_default())
}

fn endpoint_host(deployment: &Deployment) -> &str {
    match &deployment.upstream {
        Upstream::OpenAi { base, .. } => authority_of(base),
        Upstream::Azure { resource, .. } => authority_of(resource),
    }
}
