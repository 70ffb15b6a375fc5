//! The requests that the Durable Object `Registry` answers, and their JSON.

use serde::{Deserialize, Serialize};

use super::canary::canary_ledger::{CanaryLedger, EndCanaryRequest};
use super::canary::canary_tally::CanaryReport;
use super::canary::canary_trial::CanaryTerms;
use super::version_ledger::{Act, BeginRequest, Begun, Noticed, RegistryStorage, VersionLedger};
use crate::scan::json_value;
use crate::vocabulary::time::Instant;

/// The answer to a [`BeginRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct BeginAnswer {
    /// The token of the change; absent if the version is the current one already.
    pub token: Option<u64>,
    /// The number of the current version.
    pub number: Option<u64>,
    /// The terms of the canary, if it is one.
    #[serde(default)]
    pub terms: Option<CanaryTerms>,
}

/// `commit` and `abort`: what became of a change. The answer to `commit` has its number and its
/// difference.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndRequest {
    /// The token of the change.
    pub token: u64,
    /// The version that it makes.
    pub version: String,
}

/// `notice`: an isolate serves this version.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoticeRequest {
    /// The version.
    pub version: String,
    /// Its text, if the registry has asked for it.
    pub document: Option<String>,
}

/// The answer to a [`NoticeRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub struct NoticeAnswer {
    /// Whether it is the current version.
    pub is_known: bool,
    /// Whether the text is needed.
    pub is_wanted: bool,
}

/// `version`: what is known about a version. The answer is its entry, with the difference and the
/// document.
#[derive(Debug, Serialize, Deserialize)]
pub struct VersionRequest {
    /// The version; the current one if absent.
    pub version: Option<String>,
}

/// `acts`: a part of the log. The answer has one entry in each line.
#[derive(Debug, Serialize, Deserialize)]
pub struct ActsRequest {
    /// The entries after this number.
    pub since: Option<u64>,
    /// The entries before this number.
    pub before: Option<u64>,
}

/// The path that the alarm of the object asks for.
pub const ALARM: &str = "alarm";

/// Status and text of an answer.
pub type RegistryAnswer = (u16, String);

/// Answers a request for a path. The path has no leading `/`.
///
/// # Errors
/// The storage failed.
pub fn answer<S: RegistryStorage>(
    storage: &S,
    path: &str,
    body: &str,
    now: Instant,
) -> Result<RegistryAnswer, S::Error> {
    let (ledger, canary) = (VersionLedger(storage), CanaryLedger(storage));
    match path {
        "begin" => {
            let Some(request) = json_value::parse::<BeginRequest>(body) else { return Ok(malformed()) };
            if let Some(canary) = canary.version()? {
                return Ok((409, canary));
            }
            if canary.write_at()?.is_some() {
                return Ok((409, String::new()));
            }
            let begun = match request.canary {
                Some((share, minutes)) => canary.start(request, share, minutes, now)?,
                None => ledger.begin(request, now)?,
            };
            let answer = |token, number, terms| ok(&BeginAnswer { token, number, terms });
            Ok(match begun {
                Begun::Admitted(token) => answer(Some(token), None, None),
                Begun::Unchanged(number) => answer(None, Some(number), None),
                Begun::OnTrial(terms) => answer(None, None, Some(terms)),
                Begun::Stale(current) => (412, current.unwrap_or_default()),
                Begun::Busy => (409, String::new()),
            })
        }
        "commit" => {
            let Some(EndRequest { token, version }) = json_value::parse(body) else { return Ok(malformed()) };
            Ok(match ledger.commit(token, &version, now)? {
                Some(number) => {
                    let difference = ledger.difference(number)?;
                    (200, format!("{{\"number\":{number},\"difference\":{difference}}}"))
                }
                None => (409, String::new()),
            })
        }
        "abort" => {
            let Some(EndRequest { token, .. }) = json_value::parse(body) else { return Ok(malformed()) };
            ledger.abort(token)?;
            Ok((200, "{}".to_owned()))
        }
        "notice" => {
            let Some(NoticeRequest { version, document }) = json_value::parse(body) else {
                return Ok(malformed());
            };
            let noticed = ledger.notice(&version, document.as_deref(), now)?;
            canary.on_notice(now)?;
            let (is_known, is_wanted) = (noticed == Noticed::Known, noticed == Noticed::Wanted);
            Ok(ok(&NoticeAnswer { is_known, is_wanted }))
        }
        "version" => {
            let Some(VersionRequest { version }) = json_value::parse(body) else { return Ok(malformed()) };
            let Some(entry) = ledger.find(version.as_deref())? else { return Ok((404, String::new())) };
            let (difference, document) = (ledger.difference(entry.number)?, ledger.document(entry.number)?);
            let entry = ok(&entry).1;
            let entry = entry.strip_suffix('}').unwrap_or_default();
            let document = ok(&document).1;
            Ok((200, format!("{entry},\"difference\":{difference},\"document\":{document}}}")))
        }
        "history" => {
            let mut entries = ledger.entries()?;
            entries.reverse();
            Ok(ok(&entries))
        }
        "canary/report" => {
            let numbers: Vec<u64> = json_value::parse(body).unwrap_or_default();
            let Some(report) = CanaryReport::of_numbers(&numbers) else { return Ok(malformed()) };
            Ok(ok(&canary.report(&report, now)?))
        }
        "canary/end" => {
            let Some(request) = json_value::parse::<EndCanaryRequest>(body) else { return Ok(malformed()) };
            Ok(canary.end_by_hand(request, now)?.map_or((404, String::new()), |terms| ok(&terms)))
        }
        ALARM => {
            canary.on_time(now)?;
            Ok((200, String::new()))
        }
        "canary/view" => Ok((200, canary.view()?)),
        "act" => {
            let Some(act) = json_value::parse::<Act>(body) else { return Ok(malformed()) };
            ledger.add_act(act, now)?;
            Ok((200, "{}".to_owned()))
        }
        "acts" => {
            let Some(ActsRequest { since, before }) = json_value::parse(body) else { return Ok(malformed()) };
            Ok((200, ledger.acts(since, before, now)?.join("\n")))
        }
        _ => Ok((404, "not found".to_owned())),
    }
}

fn ok(value: &impl Serialize) -> RegistryAnswer {
    (200, serde_json::to_string(value).unwrap_or_default())
}

fn malformed() -> RegistryAnswer {
    (400, "the request is malformed".to_owned())
}
