//! What nodes and `settings` have in common: triggers, retries, timeouts, edges, requirements.

use std::collections::BTreeMap;

use super::Compiler;
use crate::attempt::class::{ErrorClass, Triggers};
use crate::routes::at::At;
use crate::routes::graph::{Commit, Destination, Policy, Requirements, Retry, Timeouts};
use crate::routes::issue::{nearest, quoted};
use crate::routes::raw;

impl<'a> Compiler<'a> {
    /// Settings of which the nearest wins, and those that will be.
    pub(super) fn policy(
        &mut self,
        fallback_on: Option<&[raw::Trigger]>,
        retry: Option<&raw::Retry>,
        timeout: Option<&raw::Timeout>,
        commit: Option<raw::Commit>,
        at: At<'_>,
    ) -> Policy {
        self.warn_without_effect(&["hedge", "sticky", "when_all_ejected"], at);
        Policy {
            fallback_on: fallback_on.map(|list| self.triggers(list, at.key("fallback_on"))),
            retry: retry.map(|retry| self.retry(retry, at.key("retry"))),
            timeout: timeouts(timeout),
            commit: commit.map(|commit| match commit {
                raw::Commit::Headers => Commit::Headers,
                raw::Commit::FirstToken => Commit::FirstToken,
                raw::Commit::Complete => Commit::Complete,
            }),
            ..Policy::default()
        }
    }

    /// The set of failures that a list names.
    fn triggers(&mut self, list: &[raw::Trigger], at: At<'_>) -> Triggers {
        let mut triggers = Triggers::default();
        for (index, trigger) in list.iter().enumerate() {
            let at = at.index(index);
            match trigger {
                raw::Trigger::Status(status) => triggers.statuses.push((*status, *status)),
                raw::Trigger::Word(word) => match (ErrorClass::parse(word), statuses(word)) {
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

    fn retry(&mut self, raw: &raw::Retry, at: At<'_>) -> Retry {
        let default = Retry::default();
        let on = raw.on.as_deref().map(|list| self.triggers(list, at.key("on")));
        Retry {
            on: on.unwrap_or(default.on),
            attempts: raw.attempts.unwrap_or(default.attempts),
            backoff_ms: raw.backoff_ms.map_or(default.backoff_ms, |wait| wait.0),
            max_backoff_ms: raw.max_backoff_ms.map_or(default.max_backoff_ms, |wait| wait.0),
            max_wait_ms: raw.max_wait_ms.map_or(default.max_wait_ms, u64::from),
        }
    }

    /// The edges of `on`, and what hangs on them.
    pub(super) fn edges(
        &mut self,
        raw: Option<&'a BTreeMap<String, raw::Place>>,
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
            // Goes on after the first failure, for the sake of the other issues.
            edges = edges.zip(class.zip(destination)).map(|(mut edges, edge)| {
                edges.push(edge);
                edges
            });
        }
        edges
    }

    fn refuse_class(&mut self, word: &str, expected: &str, at: At<'_>) {
        let classes = ErrorClass::ALL.map(ErrorClass::name);
        let nearest = nearest(word, classes);
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
            let is_borne = |deployment: &raw::Deployment| deployment.tags.contains(tag);
            if !self.raw.deployments.values().any(is_borne) {
                self.report.warn(
                    list.index(index),
                    "a tag that some deployment has",
                    "as it is, no deployment can serve here",
                );
            }
        }
        Requirements { min_quality: min_quality.unwrap_or_default(), require_tags: tags.to_vec() }
    }

    /// Keys that are accepted so that a document may already have them.
    pub(super) fn warn_without_effect(&mut self, keys: &[&str], at: At<'_>) {
        for key in keys {
            let at = at.key(key);
            if at.find(self.report.written()).is_some() {
                let note = "it is accepted, and has no effect in this version";
                self.report.warn(at, "nothing here yet", note);
            }
        }
    }
}

/// `429` and `5xx` as ranges of statuses.
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

pub(super) fn timeouts(raw: Option<&raw::Timeout>) -> Timeouts {
    let Some(raw) = raw else { return Timeouts::default() };
    Timeouts {
        connect_ms: raw.connect_ms.map(|limit| limit.0),
        headers_ms: raw.headers_ms.map(|limit| limit.0),
        first_token_ms: raw.first_token_ms.map(|limit| limit.0),
        idle_ms: raw.idle_ms.map(|limit| limit.0),
        total_ms: raw.total_ms.map(|limit| limit.0),
    }
}
