//! Compiles the keys that nodes and `settings` share: triggers, retries, timeouts, hedges,
//! stickiness, edges, requirements.

use std::collections::BTreeMap;

use super::compiler::Compiler;
use crate::routes::affinity_key::AffinityKey;
use crate::routes::at::At;
use crate::routes::graph::{
    Commit, Destination, Hedge, HedgeAfter, Policy, Requirements, Retry, Sticky, Timeouts, WhenAllEjected,
};
use crate::routes::issue::quoted;
use crate::routes::raw::{
    RawCommit, RawDeployment, RawDestination, RawHedge, RawHedgeAfter, RawNode, RawRetry, RawSettings,
    RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::time::Millis;

/// The default of `max_share`. It limits the load that hedges add to a pool that is slow
/// everywhere.
const HEDGED_SHARE: f64 = 0.05;

/// The default of `ttl`, in seconds.
const STICKY_SECONDS: u32 = 3600;

/// The keys that nodes and `settings` share and that compile without other keys.
pub(super) struct CommonKeys<'a> {
    fallback_on: Option<&'a [RawTrigger]>,
    retry: Option<&'a RawRetry>,
    timeout: Option<&'a RawTimeout>,
    commit: Option<RawCommit>,
    hedge: Option<&'a RawHedge>,
    sticky: Option<&'a RawSticky>,
    when_all_ejected: Option<RawWhenAllEjected>,
}

macro_rules! have_common_keys {
    ($($raw:ty),*) => {$(
        impl<'a> From<&'a $raw> for CommonKeys<'a> {
            fn from(raw: &'a $raw) -> Self {
                Self {
                    fallback_on: raw.fallback_on.as_deref(),
                    retry: raw.retry.as_ref(),
                    timeout: raw.timeout.as_ref(),
                    commit: raw.commit,
                    hedge: raw.hedge.as_ref(),
                    sticky: raw.sticky.as_ref(),
                    when_all_ejected: raw.when_all_ejected,
                }
            }
        }
    )*};
}

have_common_keys!(RawNode, RawSettings);

impl<'a> Compiler<'a> {
    /// Compiles the shared keys. At run time the innermost value applies.
    pub(super) fn policy(&mut self, raw: &CommonKeys<'_>, at: At<'_>) -> Policy {
        let timeout = timeouts(raw.timeout);
        Policy {
            fallback_on: raw.fallback_on.map(|list| self.triggers(list, at.key("fallback_on"))),
            retry: raw.retry.map(|retry| self.retry(retry, at.key("retry"))),
            timeout,
            commit: raw.commit.map(|commit| match commit {
                RawCommit::Headers => Commit::Headers,
                RawCommit::FirstToken => Commit::FirstToken,
                RawCommit::Complete => Commit::Complete,
            }),
            hedge: raw.hedge.and_then(|hedge| self.hedge(hedge, timeout, at.key("hedge"))),
            sticky: raw.sticky.and_then(|sticky| self.sticky(sticky, at.key("sticky"))),
            when_all_ejected: raw.when_all_ejected.map(|choice| match choice {
                RawWhenAllEjected::Probe => WhenAllEjected::Probe,
                RawWhenAllEjected::Fail => WhenAllEjected::Fail,
            }),
        }
    }

    /// `timeout` has the limits of the same node.
    fn hedge(&mut self, raw: &RawHedge, timeout: Timeouts, at: At<'_>) -> Option<Hedge> {
        let at = at.key("after");
        let after = match &raw.after {
            RawHedgeAfter::Ms(ms) => HedgeAfter::Ms(Millis::new(u64::from(*ms))),
            RawHedgeAfter::Percentile(text) => {
                let Some(percentile) = percentile(text) else {
                    let expected = "milliseconds, or a percentile from \"p1\" to \"p99\"";
                    self.report.refuse_name(at, text, expected, ["p50", "p75", "p90", "p95", "p99"]);
                    return None;
                };
                HedgeAfter::Percentile(percentile)
            }
        };
        for (key, limit_ms) in [("total_ms", timeout.total_ms), ("first_token_ms", timeout.first_token_ms)] {
            if let (HedgeAfter::Ms(ms), Some(limit_ms)) = (after, limit_ms)
                && ms >= limit_ms
            {
                let note = "by then the attempt has timed out, and nothing is hedged";
                self.report.warn(at, "hedge_after_timeout", format!("less than {key}, {limit_ms}"), note);
                break;
            }
        }
        Some(Hedge { after, max_share: raw.max_share.unwrap_or(HEDGED_SHARE) })
    }

    fn sticky(&mut self, raw: &RawSticky, at: At<'_>) -> Option<Sticky> {
        let by = self.affinity(&raw.by, at.key("by"))?;
        by.gather(&mut self.reads);
        Some(Sticky { by, ttl_ms: Millis::new(1000) * u64::from(raw.ttl.unwrap_or(STICKY_SECONDS)) })
    }

    /// Parses an affinity key.
    pub(super) fn affinity(&mut self, text: &str, at: At<'_>) -> Option<AffinityKey> {
        let key = AffinityKey::parse(text);
        if key.is_none() {
            let expected =
                "\"client\", \"key\", \"user\", \"prompt_cache_key\", \"header:NAME\" or \"metadata:KEY\"";
            let name = text.split_once(':').map(|(_, name)| name).filter(|name| !name.is_empty());
            let named = name.map(|name| [format!("header:{name}"), format!("metadata:{name}")]);
            let plain = ["client", "key", "user", "prompt_cache_key"].into_iter();
            let valid = plain.chain(named.iter().flatten().map(String::as_str));
            self.report.refuse_name(at, text, expected, valid);
        }
        key
    }

    /// Compiles a list of error classes and statuses.
    fn triggers(&mut self, list: &[RawTrigger], at: At<'_>) -> Triggers {
        let mut triggers = Triggers::default();
        for (index, trigger) in list.iter().enumerate() {
            let at = at.index(index);
            match trigger {
                RawTrigger::Status(status) => triggers.statuses.push((*status, *status)),
                RawTrigger::Word(word) => match (ErrorClass::parse(word), statuses(word)) {
                    (Some(class), _) => triggers.classes.push(class),
                    (None, Some(statuses)) => triggers.statuses.push(statuses),
                    (None, None) => {
                        self.refuse_class(word, "an error class or a status such as 429 or \"5xx\"", at);
                    }
                },
            }
        }
        triggers
    }

    fn retry(&mut self, raw: &RawRetry, at: At<'_>) -> Retry {
        let default = Retry::default();
        let on = raw.on.as_deref().map(|list| self.triggers(list, at.key("on")));
        Retry {
            states_on: on.is_some(),
            on: on.unwrap_or(default.on),
            attempts: raw.attempts.unwrap_or(default.attempts),
            backoff_ms: raw.backoff_ms.map_or(default.backoff_ms, Millis::from),
            max_backoff_ms: raw.max_backoff_ms.map_or(default.max_backoff_ms, Millis::from),
            before_fallback_ms: raw
                .before_fallback_ms
                .map_or(default.before_fallback_ms, |ms| Millis::new(u64::from(ms))),
            max_wait_ms: raw.max_wait_ms.map_or(default.max_wait_ms, |ms| Millis::new(u64::from(ms))),
        }
    }

    /// Compiles the edges of `on` and their destinations.
    pub(super) fn edges(
        &mut self,
        raw: Option<&'a BTreeMap<String, RawDestination>>,
        at: At<'_>,
    ) -> Option<Vec<(ErrorClass, Destination)>> {
        let mut edges: Option<Vec<(ErrorClass, Destination)>> = Some(Vec::new());
        for (name, place) in raw.into_iter().flatten() {
            let at = at.key(name);
            let destination = self.place(place, at);
            let class = ErrorClass::parse(name);
            match class {
                None => self.refuse_class(name, "an error class", at),
                Some(class) if edges.iter().flatten().any(|(other, _)| *other == class) => {
                    let found = format!("{}, another name of {}", quoted(name), quoted(class.name()));
                    self.report.refuse_found(at, found, "each class once", None);
                }
                Some(_) => {}
            }
            // The loop continues after a failure, to report the other issues.
            edges = edges.zip(class.zip(destination)).map(|(mut edges, edge)| {
                edges.push(edge);
                edges
            });
        }
        edges
    }

    fn refuse_class(&mut self, word: &str, expected: &str, at: At<'_>) {
        let classes = ErrorClass::ALL.map(ErrorClass::name);
        let nearest = self.report.nearest(word, classes);
        let expected = match nearest {
            Some(_) => expected.to_owned(),
            None => format!("{expected}; the classes are {}", classes.join(", ")),
        };
        match at.last_key() {
            Some(_) => self.report.refuse_key(at, expected, nearest),
            None => self.report.refuse_found(at, self.report.found(at), expected, nearest),
        }
    }

    pub(super) fn requirements(
        &mut self,
        min_quality: Option<u32>,
        tags: &[String],
        at: At<'_>,
    ) -> Requirements {
        let list = at.key("require_tags");
        for (index, tag) in tags.iter().enumerate() {
            let has_tag = |deployment: &RawDeployment| deployment.tags.contains(tag);
            if !self.raw.deployments.values().any(has_tag) {
                self.report.warn(
                    list.index(index),
                    "tag_without_deployment",
                    "a tag that some deployment has",
                    "as it is, no deployment can serve here",
                );
            }
        }
        Requirements { min_quality: min_quality.unwrap_or_default(), require_tags: tags.to_vec() }
    }
}

/// Parses `429` and `5xx` to a range of statuses.
fn statuses(word: &str) -> Option<(u16, u16)> {
    match word {
        "4xx" => Some((400, 499)),
        "5xx" => Some((500, 599)),
        _ => {
            let is_status = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
            let status = word.parse().ok().filter(|status| is_status && (400..=599).contains(status))?;
            Some((status, status))
        }
    }
}

/// Parses `p95` to 95.
fn percentile(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('p').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|percentile| (1..=99).contains(percentile))
}

pub(super) fn timeouts(raw: Option<&RawTimeout>) -> Timeouts {
    let Some(raw) = raw else { return Timeouts::default() };
    Timeouts {
        connect_ms: raw.connect_ms.map(Millis::from),
        headers_ms: raw.headers_ms.map(Millis::from),
        first_token_ms: raw.first_token_ms.map(Millis::from),
        idle_ms: raw.idle_ms.map(Millis::from),
        total_ms: raw.total_ms.map(Millis::from),
    }
}
