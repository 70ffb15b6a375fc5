//! What the alerts of a shard, and of the registry, are about.
//!
//! The [shard](super::shard) of a region decides that there is an alert, and which isolate sends
//! it. With a report, an isolate says which alerts its routes document asks for. With the answer it
//! may get alerts to send.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::drains::name_of;
use super::reason::Reason;
use crate::alerting::alert::Alert;
use crate::scan::json_value::json;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::time::Instant;

/// The most issues of a refused document that an alert quotes, and the most bytes of each.
const MAX_ISSUES: usize = 3;
const MAX_ISSUE_BYTES: usize = 300;

/// The alerts that an isolate asks for, and what it has found. It goes with a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertInterest {
    /// The kinds that its document has webhooks for.
    pub kinds: Vec<AlertKind>,
    /// The region of the isolate.
    pub region: String,
    /// A refused document, as alerts describe it. Empty: there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused: String,
}

/// A deployment, or an operation of it, that is or was out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage<'a> {
    /// The identity of the deployment.
    pub deployment: &'a str,
    /// The operation, by its path; `None`: all of them.
    pub operation: Option<&'a str>,
    /// Since when.
    pub since: Instant,
    /// Until when it is ejected, and why. `None`: it is back.
    pub ejection: Option<(Instant, Reason)>,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertSubject<'a> {
    /// A deployment.
    Outage(Outage<'a>),
    /// A refused document, as [`refused_routes`] describes it.
    Routes(&'a str),
    /// A canary that the gateway has taken back.
    TakenBack {
        /// The new version.
        version: &'a str,
        /// The version that serves.
        base: &'a str,
        /// Why.
        why: &'a str,
    },
}

impl AlertSubject<'_> {
    /// The kind of an alert about it.
    pub fn kind(&self) -> AlertKind {
        match self {
            Self::Outage(Outage { ejection: Some(_), .. }) => AlertKind::Ejected,
            Self::Outage(_) => AlertKind::Recovered,
            Self::Routes(_) | Self::TakenBack { .. } => AlertKind::Routes,
        }
    }

    /// The alert about it. `region`: that of the shard; empty if no shard has decided it.
    pub fn alert(&self, id: String, region: &str, at: Instant) -> Alert {
        let mut data = String::new();
        if !region.is_empty() {
            data.extend(["\"region\":", &json(region), ","]);
        }
        match self {
            Self::Outage(outage) => outage.write(&mut data),
            Self::Routes(routes) => data.extend([r#""routes":"#, routes]),
            Self::TakenBack { version, base, why } => data.extend([
                r#""routes":{"version":"#,
                &json(version),
                r#","serves":"#,
                &json(base),
                r#","taken_back":"#,
                &json(why),
                "}",
            ]),
        }
        Alert::new(id, self.kind(), at, &self.message(), &data)
    }

    /// The alert as a sentence.
    fn message(&self) -> String {
        match self {
            Self::Outage(Outage { deployment, operation, since, ejection }) => {
                let operation = operation.map(|operation| format!(" for {operation}")).unwrap_or_default();
                let (name, since) = (name_of(deployment), since.utc());
                match ejection {
                    Some((_, reason)) => format!("{name} is out{operation} since {since}: {reason}"),
                    None => format!("{name} is back{operation}; it was out since {since}"),
                }
            }
            Self::Routes(_) => "the routes document in KV is refused; what served before goes on".to_owned(),
            Self::TakenBack { version, base, why } => {
                format!("the new version {version} of the routes was taken back, {base} serves: {why}")
            }
        }
    }
}

impl Outage<'_> {
    /// Writes its members.
    fn write(&self, body: &mut String) {
        body.extend(["\"deployment\":", &json(name_of(self.deployment))]);
        let mut member = |name: &str, value: &str| {
            body.extend([",\"", name, "\":", value]);
        };
        if let Some(operation) = self.operation {
            member("operation", &json(operation));
        }
        member("since", &json(&self.since.utc().to_string()));
        if let Some((until, reason)) = &self.ejection {
            member("until", &json(&until.utc().to_string()));
            member("reason", &json(reason));
        }
    }
}

/// A refused document as alerts describe it, as JSON.
pub fn refused_routes(version: &str, issues: &[impl ToString]) -> String {
    let mut text = format!(r#"{{"version":{},"issues":{},"first":["#, json(version), issues.len());
    for (index, issue) in issues.iter().take(MAX_ISSUES).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a text does not fail.
        let _ = write!(text, "{comma}{}", json(&shortened(issue.to_string())));
    }
    text.push_str("]}");
    text
}

/// At most [`MAX_ISSUE_BYTES`] of a text.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_ISSUE_BYTES {
        let end = (0..=MAX_ISSUE_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::Millis;

    #[test]
    fn every_kind_has_a_text_for_programs_and_a_sentence_for_people() {
        let since = Instant::from_epoch_ms(1_767_225_600_000);
        let ejection = Some((since + Millis::new(70_000), Reason::Quota));
        let whole = Outage { deployment: "azure@east@0123", operation: None, since, ejection };
        let part = Outage { operation: Some("responses"), ..whole };
        let routes = refused_routes("0123456789ab", &["models.m: no \"targets\"", "rules[0].use: nothing"]);
        let bodies = [
            AlertSubject::Outage(whole),
            AlertSubject::Outage(part),
            AlertSubject::Outage(Outage { ejection: None, ..part }),
            AlertSubject::Routes(&routes),
            AlertSubject::TakenBack { version: "0123456789ab", base: "ba9876543210", why: "it \"failed\"" },
        ]
        .map(|subject| {
            let region = if matches!(subject, AlertSubject::TakenBack { .. }) { "" } else { "enam" };
            subject.alert("a1".to_owned(), region, since + Millis::new(61_500)).body
        });
        for body in &bodies {
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        }
        insta::assert_snapshot!(bodies.join("\n"), @r#"
        {"version":1,"id":"a1","type":"ejected","timestamp":"2026-01-01T00:01:01Z","message":"azure@east is out since 2026-01-01T00:00:00Z: the account's quota is used up","data":{"region":"enam","deployment":"azure@east","since":"2026-01-01T00:00:00Z","until":"2026-01-01T00:01:10Z","reason":{"kind":"quota"}}}
        {"version":1,"id":"a1","type":"ejected","timestamp":"2026-01-01T00:01:01Z","message":"azure@east is out for responses since 2026-01-01T00:00:00Z: the account's quota is used up","data":{"region":"enam","deployment":"azure@east","operation":"responses","since":"2026-01-01T00:00:00Z","until":"2026-01-01T00:01:10Z","reason":{"kind":"quota"}}}
        {"version":1,"id":"a1","type":"recovered","timestamp":"2026-01-01T00:01:01Z","message":"azure@east is back for responses; it was out since 2026-01-01T00:00:00Z","data":{"region":"enam","deployment":"azure@east","operation":"responses","since":"2026-01-01T00:00:00Z"}}
        {"version":1,"id":"a1","type":"routes","timestamp":"2026-01-01T00:01:01Z","message":"the routes document in KV is refused; what served before goes on","data":{"region":"enam","routes":{"version":"0123456789ab","issues":2,"first":["models.m: no \"targets\"","rules[0].use: nothing"]}}}
        {"version":1,"id":"a1","type":"routes","timestamp":"2026-01-01T00:01:01Z","message":"the new version 0123456789ab of the routes was taken back, ba9876543210 serves: it \"failed\"","data":{"routes":{"version":"0123456789ab","serves":"ba9876543210","taken_back":"it \"failed\""}}}
        "#);
    }

    #[test]
    fn of_a_refused_document_only_the_first_issues_are_quoted_and_each_is_short() {
        let long = refused_routes("v", &vec!["é".repeat(300); 5]);
        let issue = format!("\"{}…\"", "é".repeat(150));
        assert_eq!(long, format!(r#"{{"version":"v","issues":5,"first":[{issue},{issue},{issue}]}}"#));
        assert_eq!(refused_routes("v", &["short"]), r#"{"version":"v","issues":1,"first":["short"]}"#);
    }
}
