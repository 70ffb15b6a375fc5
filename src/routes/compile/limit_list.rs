//! Compiles `limits` of clients, of the settings, and of issued keys.

use serde_json::{Map, Value, json};

use super::compiler::Compiler;
use crate::routes::at::At;
use crate::routes::glob::Glob;
use crate::routes::graph::Graph;
use crate::routes::issue::{Issue, IssueCollector};
use crate::routes::limit_rule::{LimitKey, LimitRule, Unreachable};
use crate::routes::raw::{RawDocument, RawLimit, RawPeriod, RawUnreachable};
use crate::routes::shape;
use crate::scan::json_value;
use crate::vocabulary::limit::{LimitRate, LimitUnit, Period};

/// The most limits of one list. A request reserves from each of them.
const MAX_LIMITS: usize = 32;

/// The members of a limit, as the schema has them.
const MEMBERS: [&str; 7] = ["requests", "tokens", "usd", "concurrent", "per", "by", "models"];

/// Millionths of a dollar in a dollar.
const MICRO: f64 = 1e6;

/// Checks the limits of a key that is to be issued, as those of a client are checked.
///
/// # Errors
/// What is wrong with them, each issue with its path. The list is never empty.
pub fn check_key_limits(limits: &[Value], graph: &Graph) -> Result<(), Vec<Issue>> {
    let models: Map<String, Value> = graph.models.keys().map(|name| (name.clone(), Value::Null)).collect();
    let written = json!({ "models": models, "limits": limits });
    let mut report = IssueCollector::new(&written);
    let at = At::Root.key("limits");
    let sound = shape::check_part("Limit", limits, at, &mut report);
    report.settle();
    let raw: Option<Vec<RawLimit>> = sound.and_then(|sound| json_value::read(Value::Array(sound)).ok());
    compile_alone(report, &raw.unwrap_or_default(), at).map(drop)
}

/// Compiles the limits of an issued key. They were checked when it was issued; a node that they
/// name may be gone since. `counted_as`: the id of the key under which they are counted.
///
/// A member that is not known may have been written by another version of the gateway, or past it.
/// Perhaps it limits more, so it is not left out. To check the whole shape would cost the first
/// request with each key a parse of the schema.
///
/// # Errors
/// They are not understood, so the key must not be used.
pub fn key_limits(limits: &[Value], counted_as: &str) -> Result<Vec<LimitRule>, Vec<Issue>> {
    let named = limits.iter().filter_map(|limit| limit.get("models")?.as_array()).flatten();
    let named = named.filter_map(|name| Some((name.as_str()?.to_owned(), Value::Null)));
    let written = json!({ "models": named.collect::<Map<_, _>>(), "limits": limits });
    let Ok(raw) = json_value::read::<Vec<RawLimit>>(Value::Array(limits.to_vec())) else {
        return Err(vec![Issue::of_document("limits of another form", "those of an issued key")]);
    };
    let (mut report, at) = (IssueCollector::new(&written), At::Root.key("limits"));
    for (index, limit) in limits.iter().enumerate() {
        let unknown = |name: &&String| !MEMBERS.contains(&name.as_str());
        for name in limit.as_object().into_iter().flat_map(Map::keys).filter(unknown) {
            report.refuse_key(at.index(index).key(name), "a member of a limit", None);
        }
    }
    let mut rules = compile_alone(report, &raw, at)?;
    for rule in &mut rules {
        rule.name = format!("{counted_as}/{}", rule.name).into();
        rule.by = LimitKey::ThisKey;
    }
    Ok(rules)
}

/// Compiles limits that are in no document.
fn compile_alone(
    report: IssueCollector<'_>,
    raw: &[RawLimit],
    at: At<'_>,
) -> Result<Vec<LimitRule>, Vec<Issue>> {
    let document = RawDocument::default();
    let mut compiler = Compiler::of(&document, report);
    for (index, _) in raw.iter().enumerate().filter(|(_, limit)| limit.by.is_some()) {
        let expected = "no `by`: a limit of a key counts all that the key does";
        compiler.report.refuse_key(at.index(index).key("by"), expected, None);
    }
    let rules = compiler.limits(raw, at);
    compiler.report.finish()?;
    Ok(rules)
}

impl Compiler<'_> {
    pub(super) fn limits(&mut self, raw: &[RawLimit], at: At<'_>) -> Vec<LimitRule> {
        if raw.len() > MAX_LIMITS {
            let (found, expected) = (format!("{} limits", raw.len()), format!("at most {MAX_LIMITS}"));
            self.report.refuse_found(at, found, expected, None);
        }
        let mut limits: Vec<LimitRule> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let at = at.index(index);
            let Some(limit) = self.limit(raw, at) else { continue };
            if limits.iter().any(|other| other.name == limit.name) {
                let found = format!("a second limit of {}", limit.name);
                let expected = "one limit for each unit, time, `by` and `models`: the lower amount alone";
                self.report.refuse_found(at, found, expected, None);
                continue;
            }
            limit.by.gather(&mut self.reads);
            limits.push(limit);
        }
        limits
    }

    fn limit(&mut self, raw: &RawLimit, at: At<'_>) -> Option<LimitRule> {
        let amounts: Vec<(LimitUnit, u64)> = [
            (LimitUnit::Requests, raw.requests),
            (LimitUnit::Tokens, raw.tokens),
            (LimitUnit::MicroUsd, raw.usd.map(micro_usd)),
            (LimitUnit::Concurrent, raw.concurrent),
        ]
        .into_iter()
        .filter_map(|(unit, amount)| Some((unit, amount?)))
        .collect();
        // What has failed the shape check is not here, and is reported already.
        let keys = ["requests", "tokens", "usd", "concurrent", "per"];
        if keys.into_iter().any(|key| self.report.is_settled(&at.key(key).to_string())) {
            return None;
        }
        let [(unit, amount)] = *amounts.as_slice() else {
            let found = if amounts.is_empty() { "no amount" } else { "more than one amount" };
            let expected = "exactly one of `requests`, `tokens`, `usd` and `concurrent`";
            self.report.refuse_found(at, found, expected, None);
            return None;
        };
        let is_concurrent = unit == LimitUnit::Concurrent;
        if is_concurrent && raw.per.is_some() {
            let expected = "no `per`: `concurrent` counts requests at the same time";
            self.report.refuse_key(at.key("per"), expected, None);
            return None;
        }
        if !is_concurrent && raw.per.is_none() {
            let expected = "`per`: minute, hour, day or month";
            self.report.refuse_found(at, "a limit without a time", expected, None);
            return None;
        }
        let by = raw.by.as_ref().map_or(Some(LimitKey::All), |text| {
            let by = LimitKey::parse(text);
            if by.is_none() {
                let names = ["client", "key", "user", "country", "colo", "header:", "metadata:"];
                self.report.refuse_name(at.key("by"), text, LimitKey::NOTATIONS, names);
            }
            by
        })?;
        let models = self.names_of_nodes(raw.models.as_deref().unwrap_or_default(), at.key("models"));
        let rate = LimitRate { unit, amount, per: raw.per.map(Period::from) };
        let by_text = raw.by.as_deref().map(|by| format!("/{by}")).unwrap_or_default();
        let models_text = match &raw.models {
            Some(models) => format!("/{}", models.join(",")),
            None => String::new(),
        };
        Some(LimitRule { name: format!("{rate}{by_text}{models_text}").into(), rate, by, models })
    }

    /// Patterns for names of nodes. A name without a star must be one.
    pub(super) fn names_of_nodes(&mut self, globs: &[String], at: At<'_>) -> Vec<Glob> {
        for (index, glob) in globs.iter().enumerate().filter(|(_, glob)| !glob.contains('*')) {
            if !self.is_declared("models", glob) {
                let names: Vec<_> = self.declared("models").collect();
                let expected = "the name of a node, or a pattern with *";
                self.report.refuse_name(at.index(index), glob, expected, names);
            }
        }
        globs.iter().map(Glob::new).collect()
    }
}

/// Dollars as whole millionths, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from f64 saturates")]
fn micro_usd(usd: f64) -> u64 {
    ((usd * MICRO).round() as u64).max(1)
}

impl From<RawPeriod> for Period {
    fn from(raw: RawPeriod) -> Self {
        match raw {
            RawPeriod::Minute => Self::Minute,
            RawPeriod::Hour => Self::Hour,
            RawPeriod::Day => Self::Day,
            RawPeriod::Month => Self::Month,
        }
    }
}

impl From<RawUnreachable> for Unreachable {
    fn from(raw: RawUnreachable) -> Self {
        match raw {
            RawUnreachable::FailClosed => Self::FailClosed,
            RawUnreachable::FailOpen => Self::FailOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_a_limit_are_those_of_the_schema() {
        let schema: Value = serde_json::from_str(include_str!("../shape.json")).unwrap();
        let mut members = MEMBERS.to_vec();
        members.sort_unstable();
        let known: Vec<_> = schema["$defs"]["Limit"]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(known, members);
    }

    #[test]
    fn stored_limits_that_are_not_wholly_understood_are_refused() {
        let usual = json!({ "requests": 5, "per": "day", "models": ["gone"] });
        assert_eq!(key_limits(&[usual], "key_1").unwrap()[0].name.as_ref(), "key_1/requests/day/gone");
        for limit in [
            json!({ "requests": 5, "per": "day", "images": 3 }),
            json!({ "requests": 5, "per": "day", "by": "user" }),
            json!({ "requests": 5, "per": "week" }),
            json!({ "requests": "5", "per": "day" }),
            json!({ "requests": 5.5, "per": "day" }),
            json!({ "images": 3, "per": "day" }),
            json!({ "requests": 5 }),
            json!({}),
            json!(5),
            json!(null),
            json!([]),
        ] {
            let issues = key_limits(std::slice::from_ref(&limit), "key_1").unwrap_err();
            assert!(!issues.is_empty(), "{limit}");
        }
    }
}
