//! `POST /admin/api/deployments/{name}/ask`: asks a deployment something small from here, with the
//! credentials of the gateway.
//!
//! The answer comes back as it is, without secrets: the command line has the table that says what
//! it means. Nothing is learned from it about the health of the deployment or about its keys.

use serde_json::{Map, Value, json};

use super::client_reply::OwnText;
use super::committed::AbortOnDrop;
use super::entra_tokens;
use super::platform::{ByteStream, OutgoingBody, OutgoingRequest, Platform, PlatformCall, ResponseHead};
use super::receive::Arrival;
use super::serving::Serving;
use super::shared_orders::unknown;
use super::timing::until;
use super::upstream_attempt::read_up_to;
use crate::doctor::question::{DoctorQuestion, QuestionKind};
use crate::reply::masks::{without_secrets_of, without_secrets_of_beginning};
use crate::request::query;
use crate::request::splice::Splice;
use crate::routes::graph::Deployment;
use crate::upstream::Credential;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// The most of an answer that is returned.
const MOST_BYTES: usize = 16 * 1024;
/// The same for a list of models, which is of use only as a whole.
const MOST_LISTED_BYTES: usize = 1024 * 1024;
/// So many bytes more are read, so that a secret at the end is whole when it is masked.
const BEYOND_BYTES: usize = 1024;

/// What the query asks for.
struct Wanted {
    kind: QuestionKind,
    /// The key to ask with, counted from 0.
    key: usize,
    within: Millis,
}

/// Why there is no answer.
struct Unanswered {
    kind: &'static str,
    message: String,
}

/// Asks the deployment of this name.
pub(super) async fn answer<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    name: &str,
) -> Result<OwnText, ClientError> {
    let all = &routes.graph.deployments;
    let found = all.iter().find(|deployment| deployment.name == *name);
    let deployment = found.ok_or_else(|| unknown(name, all))?;
    let wanted = wanted(&arrival.query, deployment)?;
    let began_at = platform.now();
    let mut response = Map::new();
    let error = ask(platform, arrival, deployment, &wanted, &mut response).await.err();
    let error = error.map(|Unanswered { kind, message }| {
        let message = String::from_utf8(masked(platform, deployment, message.into_bytes()));
        json!({ "kind": kind, "message": message.unwrap_or_default() })
    });
    response.insert("deployment".to_owned(), json!(name));
    response.insert("ms".to_owned(), json!((platform.now() - began_at).get()));
    response.insert("error".to_owned(), json!(error));
    Ok(OwnText::json(Value::Object(response).to_string()))
}

/// Reads the query.
fn wanted(query: &str, deployment: &Deployment) -> Result<Wanted, ClientError> {
    let parameters = query::parse(query);
    let number = |name: &str, usual: u64, most: u64| {
        let stated = parameters.get(name).map_or(Some(usual), |text| text.parse().ok());
        stated.filter(|number| (1..=most).contains(number))
    };
    let keys = u64::try_from(deployment.keys().count()).unwrap_or(u64::MAX).max(1);
    let kind = parameters.get("question").and_then(|name| QuestionKind::parse(name));
    let (Some(kind), Some(key), Some(seconds)) = (kind, number("key", 1, keys), number("seconds", 30, 60))
    else {
        return Err(ClientError::InvalidJson(format!(
            "The parameter `question` is chat, reasoning, embedding or models. Besides it, there are `key`, which \
             is from 1 to {keys} for this deployment, `seconds`, from 1 to 60, and `why`."
        )));
    };
    let key = usize::try_from(key - 1).unwrap_or_default();
    Ok(Wanted { kind, key, within: Millis::new(seconds * 1_000) })
}

/// Sends the question, and adds what comes back to `response`.
async fn ask<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    deployment: &Deployment,
    wanted: &Wanted,
    response: &mut Map<String, Value>,
) -> Result<(), Unanswered> {
    let ends_at = platform.now() + wanted.within;
    if let Some(disabled) = &deployment.disabled {
        return Err(Unanswered { kind: "disabled", message: disabled.variable.clone() });
    }
    let token = match &deployment.entra {
        Some(entra) => {
            let found = entra_tokens::token(platform, entra, None, ends_at).await;
            Some(found.map_err(|failure| Unanswered {
                kind: if failure.is_refusal { "token_refused" } else { "token_unavailable" },
                message: failure.reason,
            })?)
        }
        None => None,
    };
    let credential = token.as_deref().map_or(Credential::key(deployment, wanted.key), Credential::Token);
    let Some(question) = DoctorQuestion::with_credential(deployment, wanted.kind, credential) else {
        let message = "Through AI Gateway, Azure has no list of models.".to_owned();
        return Err(Unanswered { kind: "no_question", message });
    };
    response.insert("host".to_owned(), json!(question.host()));
    let call = platform.call();
    let _open = AbortOnDrop::new(call.clone());
    let silence = |error: Option<String>| match error {
        Some(message) => Unanswered { kind: "connection", message },
        None => Unanswered { kind: "timeout", message: format!("no answer within {} ms", wanted.within) },
    };
    let sent = until(platform, ends_at, call.send(outgoing(question, &arrival.headers))).await;
    let ResponseHead { status, headers, .. } =
        sent.ok_or_else(|| silence(None))?.map_err(|error| silence(Some(error.to_string())))?;
    let most = if wanted.kind == QuestionKind::Listing { MOST_LISTED_BYTES } else { MOST_BYTES };
    let (mut body, mut is_whole) = (Vec::new(), true);
    if let Some(stream) = call.stream() {
        let limits = (most + BEYOND_BYTES, ends_at);
        let has_ended = read_up_to(platform, &stream.chunks(), limits, &mut body).await;
        if !has_ended && body.len() < limits.0 {
            let is_late = platform.now() >= ends_at;
            return Err(silence((!is_late).then(|| "the answer broke off".to_owned())));
        }
        is_whole = has_ended;
    }
    let is_cut = body.len() > most;
    // What is masked becomes shorter, so that the end of what was read may be shown.
    let mask = if is_whole { without_secrets_of } else { without_secrets_of_beginning };
    let mut body = mask(deployment, &platform.isolate().tokens.borrow(), body);
    body.truncate(most);
    let shown = headers.iter().filter(|(name, _)| is_shown(name)).map(|(name, value)| {
        let value = masked(platform, deployment, value.as_bytes().to_vec());
        (name.to_owned(), json!(String::from_utf8_lossy(&value)))
    });
    response.insert("status".to_owned(), json!(status));
    response.insert("headers".to_owned(), Value::Object(shown.collect()));
    response.insert("body".to_owned(), json!(String::from_utf8_lossy(&body)));
    response.insert("is_cut".to_owned(), json!(is_cut));
    Ok(())
}

/// The request. Nothing that the administrator has sent goes with it.
fn outgoing(question: DoctorQuestion, of_administrator: &Headers) -> OutgoingRequest {
    let mut withheld = String::new();
    for (name, _) in of_administrator.iter() {
        withheld.extend([name, "\n"]);
    }
    let mut headers = Headers::default();
    headers.extend(question.headers);
    let (method, body) = match question.body {
        Some(body) => {
            headers.push("content-type", "application/json");
            let mut splice = Splice::default();
            splice.insert(&body);
            ("POST", OutgoingBody::Edited(splice))
        }
        None => ("GET", OutgoingBody::Empty),
    };
    OutgoingRequest { url: question.url, method: method.to_owned(), withheld, headers, body, read_up_to: 0 }
}

/// A text of the upstream without secrets, as errors are returned.
fn masked<P: Platform>(platform: &P, deployment: &Deployment, text: Vec<u8>) -> Vec<u8> {
    without_secrets_of(deployment, &platform.isolate().tokens.borrow(), text)
}

/// Whether a header of the answer says something about it, and nothing about an account.
fn is_shown(name: &str) -> bool {
    name.starts_with("x-ratelimit-")
        || matches!(
            name,
            "content-type"
                | "retry-after"
                | "retry-after-ms"
                | "x-should-retry"
                | "x-request-id"
                | "apim-request-id"
                | "x-ms-region"
                | "cf-ray"
                | "cf-mitigated"
                | "server"
        )
}
