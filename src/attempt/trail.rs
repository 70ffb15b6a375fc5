//! The trail of a request: its attempts and their outcomes. The response header, the logs and the
//! tests all use this one value.

use std::rc::Rc;

use super::failure::Failure;
use crate::routes::graph::Deployment;
use crate::vocabulary::decimal;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::usage::Usage;

/// Every attempt of a request, in order, and the total wait between them.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    attempts: Vec<Attempt>,
    backoff_ms: Millis,
}

/// One dispatch to one deployment.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The deployment that got it.
    pub deployment: Rc<Deployment>,
    /// When it was sent.
    pub started_at: Instant,
    /// Its end; `None` while the attempt is pending.
    pub ended: Option<AttemptEnd>,
    /// A drill answered it, and not the deployment.
    pub is_drill: bool,
    /// What the provider charges for although it was abandoned.
    abandoned_usage: Option<Box<Usage>>,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// The time from dispatch to commit or failure.
    pub after_ms: Millis,
    /// The outcome.
    pub outcome: AttemptOutcome,
}

/// The outcome of an attempt.
#[derive(Debug, Clone)]
pub enum AttemptOutcome {
    /// It serves the client, with this status.
    Served(u16),
    /// It failed before the commit point.
    Failed(Failure),
    /// The client left, another attempt answered first, or the gateway did not go on with the
    /// request. This does not count for or against the deployment.
    Abandoned,
}

impl Attempt {
    /// What the provider charges for although the attempt does not serve.
    pub fn charged(&self) -> Option<&Usage> {
        match &self.ended.as_ref()?.outcome {
            AttemptOutcome::Failed(failure) => failure.used.as_deref(),
            AttemptOutcome::Abandoned => self.abandoned_usage.as_deref(),
            AttemptOutcome::Served(_) => None,
        }
    }
}

impl Trail {
    /// Begins an attempt. Returns its number, starting with 1.
    pub fn begin(&mut self, deployment: Rc<Deployment>, now: Instant) -> u32 {
        self.attempts.push(Attempt {
            deployment,
            started_at: now,
            ended: None,
            is_drill: false,
            abandoned_usage: None,
        });
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }

    fn attempt(&mut self, number: u32) -> Option<&mut Attempt> {
        (number as usize).checked_sub(1).and_then(|index| self.attempts.get_mut(index))
    }

    /// A drill answers the attempt with this number.
    pub fn mark_drill(&mut self, number: u32) {
        if let Some(attempt) = self.attempt(number) {
            attempt.is_drill = true;
        }
    }

    /// Whether a drill answered any of the attempts.
    pub fn has_drill(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.is_drill)
    }

    /// Ends the pending attempt with this number.
    pub fn end(&mut self, number: u32, outcome: AttemptOutcome, now: Instant) {
        if let Some(attempt) = self.attempt(number).filter(|attempt| attempt.ended.is_none()) {
            attempt.ended = Some(AttemptEnd { after_ms: now - attempt.started_at, outcome });
        }
    }

    /// Notes what the provider charges for the attempt with this number, if it was abandoned.
    pub fn charge_abandoned(&mut self, number: u32, used: Usage) {
        if let Some(attempt) = self.attempt(number) {
            attempt.abandoned_usage = Some(Box::new(used));
        }
    }

    /// Adds a wait before a retry.
    pub fn wait(&mut self, ms: Millis) {
        self.backoff_ms += ms;
    }

    /// The total time of waits between attempts.
    pub fn backoff_ms(&self) -> Millis {
        self.backoff_ms
    }

    /// The attempts, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The failures, in order.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.attempts.iter().filter_map(|attempt| match &attempt.ended.as_ref()?.outcome {
            AttemptOutcome::Failed(failure) => Some(failure),
            AttemptOutcome::Served(_) | AttemptOutcome::Abandoned => None,
        })
    }

    /// The attempts that do not serve and that the provider charges for, with what they used.
    pub fn charged(&self) -> impl Iterator<Item = (&Attempt, Usage)> {
        self.attempts.iter().filter_map(|attempt| Some((attempt, *attempt.charged()?)))
    }

    /// The attempt that serves, if there is one. It is not always the last, because the last may be
    /// a hedge.
    pub fn serving(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| {
            attempt.ended.as_ref().is_some_and(|ended| matches!(ended.outcome, AttemptOutcome::Served(_)))
        })
    }

    /// The time that the serving attempt took to its commit point.
    pub fn served_after_ms(&self) -> Option<Millis> {
        Some(self.serving()?.ended.as_ref()?.after_ms)
    }

    /// The time spent waiting for upstreams. Time with two pending attempts counts once.
    pub fn upstream_ms(&self) -> Millis {
        let (mut total_ms, mut until) = (Millis::ZERO, Instant::EPOCH);
        for attempt in &self.attempts {
            let after_ms = attempt.ended.as_ref().map_or(Millis::ZERO, |ended| ended.after_ms);
            let end = attempt.started_at + after_ms;
            total_ms += end - attempt.started_at.max(until);
            until = until.max(end);
        }
        total_ms
    }

    /// `openai=rate_limit;12, azure-eastus=200;48`: deployment, status or class, milliseconds. If a
    /// drill answered, `;drill` follows.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(32 * self.attempts.len());
        for attempt in &self.attempts {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&attempt.deployment.name);
            text.push('=');
            match &attempt.ended {
                None => text.push_str("pending"),
                Some(AttemptEnd { after_ms, outcome }) => {
                    match outcome {
                        AttemptOutcome::Served(status) => decimal::push(&mut text, u64::from(*status)),
                        AttemptOutcome::Failed(failure) => text.push_str(failure.class.name()),
                        AttemptOutcome::Abandoned => text.push_str("abandoned"),
                    }
                    text.push(';');
                    decimal::push(&mut text, after_ms.get());
                }
            }
            if attempt.is_drill {
                text.push_str(";drill");
            }
        }
        text
    }
}
