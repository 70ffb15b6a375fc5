//! The account of one request. It is opened when the request arrives, and closed once, when its
//! answer has ended. Closing it makes the record, and passes it to the log, the counters, the data
//! points and the spans.
//!
//! Nothing here waits. If an account is dropped before it is closed, the client has left.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::canary_serving::Draw;
use super::identity;
use super::key_usage;
use super::limiting::{LimitedUse, ReservedLimits};
use super::platform::Platform;
use super::receive::{Arrival, Inbound};
use super::serving::Serving;
use crate::attempt::trail::{Attempt, Trail};
use crate::counters::{FailedUsage, FinishedAttempt, FinishedRequest};
use crate::health::GateChange;
use crate::health::gate::Transition;
use crate::health::recent_records::RecentRecord;
use crate::keys::key_uses::KeyUse;
use crate::registry::canary::version_counts::CountedEnd;
use crate::request::api_path::ApiPath;
use crate::routes::graph::Node;
use crate::telemetry::data_point::append_data_point;
use crate::telemetry::log_line::log_line;
use crate::telemetry::request_record::{RequestEnd, RequestOrigin, RequestRecord, micro_usd, outcome_name};
use crate::telemetry::span_attributes;
use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::request_outcome::{CLIENT_LEFT, DRILL, OK};
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::usage::Usage;

/// The status of an answer that no client receives, for the log. nginx uses it too.
pub const CLIENT_LEFT_STATUS: u16 = 499;

/// The account of a request.
pub struct RequestAccount<P: Platform>(Option<Box<OpenAccount<P>>>);

/// What is known of a request before its end.
struct OpenAccount<P: Platform> {
    platform: P,
    arrival: Rc<Arrival>,
    routes: Option<Rc<Serving>>,
    /// What it has drawn, if there is a canary.
    draw: Option<Draw>,
    /// The facts and the entry node. The body of the request does not stay here.
    received: Option<(Rc<Facts>, Rc<Node>)>,
    replied_at: Option<Instant>,
    /// Whether the platform records the spans of the request.
    is_traced: bool,
    /// The deployments that this isolate ejected because of the request.
    ejected: Vec<usize>,
    /// What it has reserved of the limits that count it.
    limits: Option<Box<ReservedLimits<P>>>,
    /// What the cache of the entry node had, if it has one.
    cache: Option<CacheStatus>,
    /// What the answer says about itself, for a span.
    response: Map<String, Value>,
}

impl<P: Platform> RequestAccount<P> {
    /// Opens the account of a request.
    pub fn open(platform: &P, arrival: &Rc<Arrival>) -> Self {
        Self(Some(Box::new(OpenAccount {
            platform: platform.clone(),
            arrival: Rc::clone(arrival),
            routes: None,
            draw: None,
            received: None,
            replied_at: None,
            is_traced: platform.is_traced(),
            ejected: Vec::new(),
            limits: None,
            cache: None,
            response: Map::new(),
        })))
    }

    /// The routes that serve the request are known.
    pub(super) fn on_routes(&mut self, routes: &Rc<Serving>, draw: Option<Draw>) {
        if let Some(open) = &mut self.0 {
            open.routes = Some(Rc::clone(routes));
            open.draw = draw;
        }
    }

    /// The request was received.
    pub fn on_inbound(&mut self, inbound: &Inbound) {
        if let Some(open) = &mut self.0 {
            open.received = Some((Rc::clone(&inbound.facts), Rc::clone(&inbound.node)));
        }
    }

    /// The request has reserved what it may use.
    pub(super) fn on_limits(&mut self, limits: Box<ReservedLimits<P>>) {
        if let Some(open) = &mut self.0 {
            open.limits = Some(limits);
        }
    }

    /// What the cache of the entry node had is known.
    pub(super) fn on_cache(&mut self, status: CacheStatus) {
        if let Some(open) = &mut self.0 {
            open.cache = Some(status);
        }
    }

    /// Whether the platform records the spans of the request.
    pub fn is_traced(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.is_traced)
    }

    /// Gates moved because of the request.
    pub fn on_changes(&mut self, changes: &[GateChange]) {
        let Some(open) = &mut self.0 else { return };
        let is_ejection =
            |change: &&GateChange| matches!(change.transition, Transition::Ejected { is_new: true, .. });
        open.ejected.extend(changes.iter().filter(is_ejection).map(|change| change.deployment));
    }

    /// The reply begins. `first`: what is known of the answer of an upstream.
    pub fn on_reply(&mut self, first: &[u8]) {
        if let Some(open) = &mut self.0 {
            open.replied_at = Some(open.platform.now());
            if open.is_traced {
                open.response = span_attributes::of_response(first);
            }
        }
    }

    /// Ends an account of which there is no record: the gateway has answered about itself.
    pub fn dismiss(mut self) {
        self.0 = None;
    }

    /// Closes the account.
    pub fn close(mut self, end: &RequestEnd<'_>) {
        if let Some(mut open) = self.0.take() {
            open.close(end);
        }
    }
}

impl<P: Platform> Drop for RequestAccount<P> {
    fn drop(&mut self) {
        if let Some(mut open) = self.0.take() {
            open.close(&RequestEnd::without_answer(CLIENT_LEFT, CLIENT_LEFT_STATUS, &Trail::default()));
        }
    }
}

impl<P: Platform> OpenAccount<P> {
    fn close(&mut self, end: &RequestEnd<'_>) {
        let limits = self.limits.take();
        let Self { platform, arrival, routes, received, replied_at, ejected, .. } = &*self;
        let graph = routes.as_ref().map(|routes| &routes.graph);
        let now = platform.now();
        let (facts, node) = received.as_ref().map(|(facts, node)| (&**facts, &**node)).unzip();
        // A request that was refused early may still have a key.
        let identified = facts.is_none().then(|| identity::known(platform, graph?, arrival.key())).flatten();
        let (client, key, labels) = match (facts, &identified) {
            (Some(facts), _) => (facts.client.as_str(), facts.key.as_str(), Some(&*facts.labels)),
            (None, Some(client)) => {
                (client.name.as_str(), client.issued_key.as_str(), Some(&*client.guard.labels))
            }
            (None, None) => ("", "", None),
        };
        let names = ejected.iter().filter_map(|id| Some(graph?.deployments.get(*id)?.name.as_str()));
        let of_path = || match arrival.asks_for(graph?).ok()? {
            ApiPath::Operation { operation, .. } => Some(operation),
            ApiPath::StoredObject(stored) => Some(stored.operation),
            _ => None,
        };
        let operation = facts.map(|facts| facts.operation).or_else(of_path);
        let record = RequestRecord {
            request_id: &arrival.id,
            trace_id: arrival.trace.trace_id(),
            arrived_at: arrival.at,
            replied_at: replied_at.unwrap_or(now),
            ended_at: now,
            client,
            labels,
            key,
            operation,
            model: node.map_or("", |node| &node.name),
            is_streamed: facts.is_some_and(|facts| facts.is_streamed),
            end: *end,
            micro_usd: micro_usd(operation, end.trail, &end.usage),
            routes: graph.map_or("", |graph| &graph.version),
            ejected: &names.collect::<Vec<_>>().join(","),
            origin: RequestOrigin::of(&arrival.headers),
            cache: self.cache,
        };
        self.publish(&record);
        let used = limited_use(&record);
        if let Some(mut limits) = limits {
            limits.settle(used);
        }
        // What the gateway itself has refused is no use.
        if !key.is_empty() && (record.end.outcome == OK || !record.end.trail.attempts().is_empty()) {
            let LimitedUse { tokens, micro_usd } = used;
            key_usage::note(platform, key, KeyUse { requests: 1, tokens, micro_usd });
        }
        if let Some(draw) = self.draw.as_ref().filter(|_| record.end.outcome != CLIENT_LEFT) {
            let end = CountedEnd {
                has_failed: record.end.outcome != OK || record.end.status >= 400,
                fell_back: record.end.trail.failures().next().is_some(),
                after_ms: record.replied_at - record.arrived_at,
            };
            draw.count(platform, &end);
        }
    }

    fn publish(&self, record: &RequestRecord<'_>) {
        let (platform, isolate) = (&self.platform, self.platform.isolate());
        let share = self.routes.as_ref().map_or(1.0, |routes| routes.graph.settings.log_sample);
        let mut text = String::new();
        if record.is_failure() || record.is_sampled(share) {
            let line = log_line(record);
            // The reasons of failures are texts of upstreams.
            let has_reasons = record.end.trail.failures().next().is_some();
            text = if has_reasons { isolate.without_secrets(line) } else { line };
            // Whoever has no key does not take the place of a client's requests.
            if record.is_failure() && !record.client.is_empty() {
                let id = record.request_id.to_owned();
                isolate.records.borrow_mut().push(RecentRecord { id, json: text.clone() });
            }
        }
        let finished = FinishedRequest {
            client: record.client,
            model: record.model,
            outcome: record.end.outcome,
            duration_ms: record.ended_at - record.arrived_at,
            deployment: record.deployment().map(|deployment| deployment.name.as_str()),
            first_token_ms: record.end.first_token_ms,
            is_fallback: record.is_fallback(),
            usage: record.end.usage,
            micro_usd: record.micro_usd.unwrap_or(0),
            cache: record.cache,
        };
        if self.is_traced {
            platform.end_trace(&span_attributes::of_request(record, &self.response));
        }
        for (attempt, usage) in record.end.trail.charged() {
            let micro_usd = failed_micro_usd(attempt, &usage);
            let failed = FailedUsage { deployment: &attempt.deployment.name, usage, micro_usd };
            isolate.counters.borrow_mut().on_failed_usage(&finished, &failed, record.ended_at);
        }
        isolate.count(
            platform,
            &finished,
            record.end.trail.attempts().iter().map(|attempt| finished_attempt(attempt, record)),
        );
        if isolate.has_metrics(|| platform.has_metrics()) {
            text.push('\n');
            append_data_point(&mut text, record);
        }
        if !text.is_empty() {
            platform.write_record(&text);
        }
    }
}

/// What a failed attempt cost that its provider bills.
fn failed_micro_usd(attempt: &Attempt, usage: &Usage) -> u64 {
    attempt.deployment.cost.map_or(0, |price| price.micro_usd(usage))
}

/// What a request used, with its failed attempts that a provider bills.
fn limited_use(record: &RequestRecord<'_>) -> LimitedUse {
    let tokens = |usage: &Usage| usage.input_tokens.saturating_add(usage.output_tokens);
    let served = LimitedUse { tokens: tokens(&record.end.usage), micro_usd: record.micro_usd.unwrap_or(0) };
    record.end.trail.charged().fold(served, |used, (attempt, usage)| LimitedUse {
        tokens: used.tokens.saturating_add(tokens(&usage)),
        micro_usd: used.micro_usd.saturating_add(failed_micro_usd(attempt, &usage)),
    })
}

/// An attempt whose stream broke later has failed, although it served.
fn finished_attempt<'a>(attempt: &'a Attempt, record: &RequestRecord<'a>) -> FinishedAttempt<'a> {
    let ended = attempt.ended.as_ref();
    let outcome = outcome_name(ended.map(|ended| &ended.outcome));
    let has_broken = outcome == OK && !matches!(record.end.outcome, OK | CLIENT_LEFT);
    FinishedAttempt {
        deployment: &attempt.deployment.name,
        outcome: match outcome {
            // It says nothing about the deployment.
            _ if attempt.is_drill => DRILL,
            _ if has_broken => record.end.outcome,
            outcome => outcome,
        },
        duration_ms: ended.map_or(Millis::ZERO, |ended| ended.after_ms),
    }
}
