//! Changes of the routes document by the admin API: `PUT /admin/api/routes`, a rollback, the check
//! of a document that is not stored, and what is known about versions.
//!
//! A change is compiled first, with the variables of this Worker. Then the registry admits it, if
//! it is based on the current version. Then it is written to KV, and then it is recorded.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admin_body;
use super::canary_writes::NOT_WRITTEN;
use super::client_reply::OwnText;
use super::isolate_memory::Isolate;
use super::platform::Platform;
use super::receive::Arrival;
use super::registry_link::{RegistryCall, ask, log_act, value};
use super::routes_document::{OUTDATED_MS, Written};
use super::serving::Serving;
use crate::registry::canary::canary_ledger::{EndCanaryRequest, PROMOTE, TAKE_BACK};
use crate::registry::canary::canary_trial::CanaryTerms;
use crate::registry::registry_requests::{ActsRequest, BeginAnswer, EndRequest, VersionRequest};
use crate::registry::version_ledger::{Act, BeginRequest, ChangeKind, ChangeNote};
use crate::request::query;
use crate::routes::{Issue, doubts, version_of};
use crate::scan::json_value;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::rng::stable_hash;

/// How long KV may show an old document at other places, beyond the interval of checks.
const PROPAGATION_SECONDS: u64 = 60;
/// The result of a change whose document is refused, in the log of acts.
pub(super) const REFUSED: &str = "routes_refused";

/// The answer to a change.
#[derive(Serialize)]
struct ChangeAnswer {
    version: String,
    number: Option<u64>,
    is_changed: bool,
    is_recorded: bool,
    others_follow_within_seconds: u64,
    warnings: Vec<Issue>,
    difference: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<CanaryTerms>,
}

/// `PUT /admin/api/routes`
///
/// # Errors
/// The document is refused, is based on another version, or cannot be stored.
pub(super) async fn put<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    who: &str,
) -> Result<OwnText, ClientError> {
    let expected = arrival.header("if-match").map(untagged).ok_or(ClientError::IfMatchMissing)?;
    let document = admin_body::read(platform, arrival).await?;
    if document.trim().is_empty() {
        return Err(ClientError::InvalidJson(
            "The body is empty, or is not UTF-8. Send the routes document as the body.".to_owned(),
        ));
    }
    let canary = canary_share(arrival)?;
    let change = Change { how: ChangeKind::Put, who, why: why(arrival), expected, document, canary };
    change.make(platform, routes).await
}

/// The answer to a check.
#[derive(Serialize)]
struct CheckAnswer {
    /// The version that the document would have; `None` if it is refused.
    version: Option<String>,
    issues: Vec<Issue>,
    warnings: Vec<Issue>,
}

/// `POST /admin/api/routes/check`: what a change to this document would be refused for, and what is
/// doubtful about it. Nothing is stored.
///
/// # Errors
/// The body cannot be read.
pub(super) async fn check<P: Platform>(platform: &P, arrival: &Arrival) -> Result<OwnText, ClientError> {
    let document = admin_body::read(platform, arrival).await?;
    let answer = match platform.isolate().compiled(platform, &document).await {
        Ok(mut compiled) => {
            compiled.warnings.extend(doubts(&compiled.graph, &|name: &str| platform.variable(name)));
            let version = version_of(stable_hash(document.as_bytes()));
            CheckAnswer { version: Some(version), issues: Vec::new(), warnings: compiled.warnings }
        }
        Err(issues) => CheckAnswer { version: None, issues, warnings: Vec::new() },
    };
    Ok(OwnText::json(serde_json::to_string(&answer).unwrap_or_default()))
}

#[derive(Deserialize)]
struct RollbackRequest {
    version: String,
    why: Option<String>,
}

/// `POST /admin/api/routes/rollback`
///
/// # Errors
/// As for [`put`], or there is no such version.
pub(super) async fn roll_back<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    who: &str,
) -> Result<OwnText, ClientError> {
    let body = admin_body::read(platform, arrival).await?;
    let request: RollbackRequest = json_value::parse(&body).ok_or_else(|| {
        ClientError::InvalidJson(
            "An object {\"version\": \"…\", \"why\": \"…\"} was expected. GET /admin/api/routes/history \
             lists the versions."
                .to_owned(),
        )
    })?;
    let old = find(platform, Some(request.version)).await?;
    let expected = arrival.header("if-match").map_or("*", untagged);
    let why = request.why.or_else(|| why(arrival));
    let change =
        Change { how: ChangeKind::Rollback, who, why, expected, document: old.document, canary: None };
    change.make(platform, routes).await
}

/// What the registry tells about a recorded change.
#[derive(Deserialize)]
struct RecordedChange {
    number: u64,
    difference: Value,
}

/// A version of the registry.
#[derive(Deserialize)]
struct FoundVersion {
    version: String,
    document: String,
}

/// A change that an administrator wants.
struct Change<'a> {
    how: ChangeKind,
    who: &'a str,
    why: Option<String>,
    expected: &'a str,
    document: String,
    /// The percentage of requests that it serves at first, and for how many minutes.
    canary: Option<(u32, u64)>,
}

impl Change<'_> {
    fn make<'a, P: Platform>(self, platform: &'a P, routes: &'a Serving) -> RegistryCall<'a, OwnText>
    where
        Self: 'a,
    {
        Box::pin(self.made(platform, routes))
    }

    async fn made<P: Platform>(self, platform: &P, routes: &Serving) -> Result<OwnText, ClientError> {
        let Self { how, who, why, expected, document, canary } = self;
        let compiled = match platform.isolate().compiled(platform, &document).await {
            Ok(compiled) => compiled,
            Err(issues) => {
                let what = if how == ChangeKind::Put { "routes.put" } else { "routes.rollback" };
                let subject = Some(version_of(stable_hash(document.as_bytes())));
                let (who, result) = (who.to_owned(), REFUSED.to_owned());
                log_act(platform, Act { who, what: what.to_owned(), subject, why, result });
                return Ok(refused(&issues));
            }
        };
        let isolate = platform.isolate();
        // What was written outside the API is recorded first: the change is compared with it.
        notice_stored(platform).await?;
        let version = version_of(stable_hash(document.as_bytes()));
        let note = ChangeNote { version: version.clone(), who: who.to_owned(), why, how };
        let serving = routes.graph.version.clone();
        let request = BeginRequest { expected: expected.to_owned(), serving, note, document, canary };
        let (status, text) = ask(platform, "begin", &request).await?;
        let document = request.document;
        let answer: BeginAnswer = match status {
            200 => value(&text)?,
            412 if text.is_empty() => {
                return Err(ClientError::InvalidJson(
                    "There is no document in KV to compare a canary with. Send the first one without `canary`."
                        .to_owned(),
                ));
            }
            412 => return Err(ClientError::RoutesChanged { current: text }),
            NOT_WRITTEN => return Err(ClientError::RoutesNotWritten),
            _ => return Err(under_way(text)),
        };
        let refresh = routes.graph.settings.refresh_ms.seconds_rounded_up();
        let mut reply = ChangeAnswer {
            version: version.clone(),
            number: answer.number,
            is_changed: answer.token.is_some() || answer.terms.is_some(),
            is_recorded: true,
            others_follow_within_seconds: refresh + PROPAGATION_SECONDS,
            warnings: compiled.warnings.clone(),
            difference: None,
            canary: answer.terms.clone(),
        };
        if let Some(terms) = answer.terms {
            let retained_until = platform.now() + OUTDATED_MS;
            isolate.begin_canary(platform, terms, compiled, stable_hash(document.as_bytes()), retained_until);
            return Ok(tagged(&reply, &version));
        }
        let Some(token) = answer.token else { return Ok(tagged(&reply, &version)) };
        let end = EndRequest { token, version: version.clone() };
        match isolate.write(platform, &document, compiled).await {
            Written::Yes => {}
            Written::No => {
                // If this is lost, the change ends by itself.
                let _ = ask(platform, "abort", &end).await;
                return Err(ClientError::RoutesNotWritten);
            }
            // It may have been written. Then the registry hears of it from the isolates.
            Written::Unknown => return Err(ClientError::RoutesNotWritten),
        }
        let committed = ask(platform, "commit", &end).await;
        let committed = committed.ok().filter(|(status, _)| *status == 200);
        let committed: Option<RecordedChange> = committed.and_then(|(_, text)| value(&text).ok());
        reply.is_recorded = committed.is_some();
        if let Some(RecordedChange { number, difference }) = committed {
            (reply.number, reply.difference) = (Some(number), Some(difference));
        }
        Ok(tagged(&reply, &version))
    }
}

/// Tells the registry which document the store has, if that is one that can serve.
async fn notice_stored<P: Platform>(platform: &P) -> Result<(), ClientError> {
    let isolate = platform.isolate();
    let Some(stored) = isolate.stored(platform).await? else { return Ok(()) };
    let hash = stable_hash(stored.as_bytes());
    let is_serving = isolate.current().is_some_and(|routes| routes.hash == hash);
    if is_serving || platform.isolate().compiled(platform, &stored).await.is_ok() {
        isolate.notice(platform, hash, &stored).await?;
    }
    Ok(())
}

/// The error of a change while another one is under way. `canary`: its version, if it is one.
fn under_way(canary: String) -> ClientError {
    if canary.is_empty() {
        ClientError::ChangeUnderWay
    } else {
        ClientError::CanaryUnderWay { version: canary }
    }
}

/// `POST /admin/api/routes/canary`: ends the canary.
///
/// # Errors
/// None runs, or the registry does not answer.
pub(super) async fn end_canary<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    who: &str,
) -> Result<OwnText, ClientError> {
    let body = admin_body::read(platform, arrival).await?;
    let request: Option<EndCanaryRequest> = json_value::parse(&body);
    let is_known = |request: &EndCanaryRequest| [PROMOTE, TAKE_BACK].contains(&request.action.as_str());
    let mut request = request.filter(is_known).ok_or_else(|| {
        ClientError::InvalidJson(
            "An object {\"action\": \"promote\" or \"take_back\", \"why\": \"…\"} was expected.".to_owned(),
        )
    })?;
    who.clone_into(&mut request.who);
    request.why = request.why.or_else(|| why(arrival));
    let (status, text) = ask(platform, "canary/end", &request).await?;
    if status != 200 {
        return Err(ClientError::NoCanary);
    }
    let terms: CanaryTerms = value(&text)?;
    let ended = platform.isolate().end_canary(platform, terms.id, "it was ended by hand");
    if let Some(hash) = ended.filter(|_| request.action == PROMOTE) {
        platform.isolate().await_document(hash, platform.now());
    }
    Ok(OwnText::json(text))
}

/// The canary that runs, as JSON: what the registry knows of it, or this isolate alone.
pub(super) fn canary_view<P: Platform>(platform: &P) -> RegistryCall<'_, String> {
    Box::pin(async move {
        Ok(match ask(platform, "canary/view", &Value::Null).await {
            Ok((200, text)) => text,
            _ => platform.isolate().canary_view(),
        })
    })
}

/// The percentage and the minutes of a canary, from the query.
fn canary_share(arrival: &Arrival) -> Result<Option<(u32, u64)>, ClientError> {
    let parameters = query::parse(&arrival.query);
    // A name that is spelled wrong must not change the routes for all requests at once.
    let is_known = |name: &String| ["canary", "minutes", "why"].contains(&name.as_str());
    let share = parameters.get("canary");
    if share.is_none() && !parameters.contains_key("minutes") && parameters.keys().all(is_known) {
        return Ok(None);
    }
    let share = share.filter(|_| parameters.keys().all(is_known));
    let share = share.and_then(|share| share.parse().ok()).filter(|share| (1..=50).contains(share));
    let minutes = parameters.get("minutes").map_or(Some(10), |minutes| minutes.parse().ok());
    let minutes = minutes.filter(|minutes| (1..=1_440).contains(minutes));
    share.zip(minutes).map(Some).ok_or_else(|| {
        ClientError::InvalidJson(
            "The parameter `canary` is a percentage from 1 to 50, and with it `minutes` is from 1 to 1440, such \
             as canary=5&minutes=10. Besides these, there is `why`."
                .to_owned(),
        )
    })
}

/// `GET /admin/api/routes/document`: the text of the document that new isolates load.
///
/// # Errors
/// The store does not answer.
pub(super) async fn document<P: Platform>(platform: &P) -> Result<OwnText, ClientError> {
    let has_registry = platform.has_registry();
    let stored = if has_registry {
        notice_stored(platform).await?;
        None
    } else {
        platform.isolate().stored(platform).await?
    };
    // Caches of KV may have an old document. The registry has the current one.
    let (text, version) = match (stored, has_registry) {
        (_, true) => match find(platform, None).await {
            Ok(current) => (current.document, current.version),
            Err(ClientError::VersionNotFound { .. }) => Isolate::compiled_in(),
            Err(error) => return Err(error),
        },
        (Some(stored), false) => {
            let version = version_of(stable_hash(stored.as_bytes()));
            (stored, version)
        }
        (None, false) => Isolate::compiled_in(),
    };
    Ok(OwnText { etag: Some(version), ..OwnText::json(text) })
}

/// `GET /admin/api/routes/history`: all versions that are kept, latest first.
///
/// # Errors
/// There is no registry, or it does not answer.
pub(super) async fn history<P: Platform>(platform: &P) -> Result<OwnText, ClientError> {
    Ok(OwnText::json(format!("{{\"versions\":{}}}", ask(platform, "history", &Value::Null).await?.1)))
}

/// `GET /admin/api/routes/history/{version}`: a version with its document and what it changed.
///
/// # Errors
/// There is no such version or no registry, or it does not answer.
pub(super) async fn version<P: Platform>(platform: &P, version: String) -> Result<OwnText, ClientError> {
    find_text(platform, Some(version)).await.map(OwnText::json)
}

async fn find<P: Platform>(platform: &P, version: Option<String>) -> Result<FoundVersion, ClientError> {
    value(&find_text(platform, version).await?)
}

async fn find_text<P: Platform>(platform: &P, version: Option<String>) -> Result<String, ClientError> {
    let request = VersionRequest { version };
    match ask(platform, "version", &request).await? {
        (200, text) => Ok(text),
        _ => Err(ClientError::VersionNotFound { version: request.version.unwrap_or_default() }),
    }
}

/// `GET /admin/api/audit`: the log of acts, as JSON or as lines of JSON.
///
/// # Errors
/// A parameter is not a number, there is no registry, or it does not answer.
pub(super) async fn audit<P: Platform>(platform: &P, arrival: &Arrival) -> Result<OwnText, ClientError> {
    let parameters = query::parse(&arrival.query);
    let number = |name: &str| match parameters.get(name).map(|value| value.parse()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(ClientError::InvalidJson(format!(
            "The parameter `{name}` is the number of an entry, such as {name}=120."
        ))),
    };
    let request = ActsRequest { since: number("since")?, before: number("before")? };
    let (_, acts) = ask(platform, "acts", &request).await?;
    let as_lines = arrival.header("accept").is_some_and(|types| types.contains("application/x-ndjson"));
    if as_lines {
        let text = if acts.is_empty() { acts } else { acts + "\n" };
        return Ok(OwnText { content_type: "application/x-ndjson", ..OwnText::json(text) });
    }
    Ok(OwnText::json(format!("{{\"entries\":[{}]}}", acts.replace('\n', ","))))
}

/// The reason of an act, from the header or the query.
pub(super) fn why(arrival: &Arrival) -> Option<String> {
    let header = arrival.header("x-switchyard-why").map(ToOwned::to_owned);
    header.or_else(|| query::parse(&arrival.query).get("why").cloned()).filter(|why| !why.is_empty())
}

/// The version in an `if-match` header. The quotes may be missing.
fn untagged(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/").trim_matches('"')
}

fn tagged(answer: &ChangeAnswer, version: &str) -> OwnText {
    let text = serde_json::to_string(answer).unwrap_or_default();
    OwnText { etag: Some(version.to_owned()), ..OwnText::json(text) }
}

/// The reply with all issues of a document.
fn refused(issues: &[Issue]) -> OwnText {
    let error = ClientError::RoutesRefused { count: issues.len() };
    let mut body: Value = serde_json::from_str(&error.body()).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        body.insert("issues".to_owned(), json!(issues));
    }
    OwnText { status: error.status(), ..OwnText::json(body.to_string()) }
}
