//! The requests that the object of a shard answers: reports of isolates and shards, receipts of
//! alerts, switches of administrators, a view, and the counters.

use serde::{Deserialize, Serialize};

use super::Shard;
use crate::alerting::alert::RECEIPT;
use crate::counters::CounterBatch;
use crate::health::wire::HealthReport;
use crate::scan::json_value;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::switch::Switch;
use crate::vocabulary::time::Instant;

/// An order of an administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The action.
    #[serde(rename = "action")]
    pub switch: Switch,
    /// The deployments, by identity; `None`: all of them.
    pub deployments: Option<Vec<String>>,
    /// The fault of [`Switch::Fault`] ([`TimedFault::text`]); empty: it ends.
    ///
    /// [`TimedFault::text`]: crate::health::timed_fault::TimedFault::text
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fault: String,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectAnswer {
    /// HTTP status.
    pub status: u16,
    /// JSON, or an error message.
    pub text: String,
    /// Whether the shard should report to its hub now.
    pub is_hub_due: bool,
    /// The time for which the alarm of the object has to be set. The hub needs none.
    pub alarm_at: Option<Instant>,
}

impl ObjectAnswer {
    pub(super) fn of(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), is_hub_due: false, alarm_at: None }
    }
}

impl Shard {
    /// Answers a request for a path. The path has no leading `/`.
    pub fn on_request(&mut self, path: &str, body: &str, now: Instant, rng: &mut dyn Rng) -> ObjectAnswer {
        match path {
            "report" => match HealthReport::parse(body) {
                Ok(report) => {
                    let text = self.report(&report, now, rng).to_json();
                    let is_hub_due = self.hub_at().is_some_and(|at| at <= now);
                    ObjectAnswer { status: 200, text, is_hub_due, alarm_at: self.take_alarm() }
                }
                Err(error) => ObjectAnswer::of(400, error.to_string()),
            },
            "switch" => self.on_order(body, now),
            RECEIPT => self.on_receipt(body),
            "view" => self.on_view(now),
            "counters" => self.on_counters(),
            "requests" => self.on_requests(body),
            _ => ObjectAnswer::of(404, "not found"),
        }
    }

    /// Not inlined, as the view is not: only people send these requests.
    #[inline(never)]
    fn on_order(&mut self, body: &str, now: Instant) -> ObjectAnswer {
        let order = json_value::parse(body);
        match order {
            Some(order) if self.apply(&order, now) => ObjectAnswer::of(200, "{}"),
            Some(_) => ObjectAnswer::of(400, "there is no room for it"),
            None => ObjectAnswer::of(400, "not an order"),
        }
    }

    #[inline(never)]
    fn on_receipt(&mut self, body: &str) -> ObjectAnswer {
        match json_value::parse(body) {
            Some(receipt) => {
                self.on_alert_taken(&receipt);
                ObjectAnswer::of(200, "{}")
            }
            None => ObjectAnswer::of(400, "not a receipt"),
        }
    }

    #[inline(never)]
    fn on_view(&self, now: Instant) -> ObjectAnswer {
        ObjectAnswer::of(200, serde_json::to_string(&self.view(now)).unwrap_or_default())
    }

    /// The record of the request with this id, or with an empty id all of them, latest first.
    #[inline(never)]
    fn on_requests(&self, id: &str) -> ObjectAnswer {
        match self.records.get(id) {
            Some(record) => ObjectAnswer::of(200, record.json.as_str()),
            None if id.is_empty() => ObjectAnswer::of(200, self.records.to_json()),
            None => ObjectAnswer::of(404, "not found"),
        }
    }

    #[inline(never)]
    fn on_counters(&self) -> ObjectAnswer {
        let totals = CounterBatch::new(0, self.counters.gathered());
        ObjectAnswer::of(200, serde_json::to_string(&totals).unwrap_or_default())
    }

    /// Executes an order. Returns whether all of it was possible.
    fn apply(&mut self, order: &Order, now: Instant) -> bool {
        match (&order.deployments, order.switch) {
            (None, Switch::Reset) => {
                self.reset_all();
                true
            }
            (None, _) => false,
            (Some(deployments), switch) => deployments.iter().all(|identity| match switch {
                Switch::Drain => self.drain(identity, now),
                Switch::Enable => self.enable(identity, now),
                Switch::Reset => self.reset(identity, now),
                Switch::Fault => self.set_fault(identity, &order.fault, now),
            }),
        }
    }
}
