//! How an isolate shares health with the shard of its region: it reports what it has observed, and
//! it merges what the other isolates have observed.
//!
//! Only the first requests of a new isolate wait for this, for a few tens of milliseconds. Reports
//! run beside the requests, when [`Reporter::is_due`] returns true. Without a binding, or while the
//! shard does not answer, the isolate uses only its own observations.

use std::pin::Pin;

use super::alerts::{AlertSource, send_alerts};
use super::isolate_memory::Isolate;
use super::object_answer::{AskError, text_within};
use super::object_link::{ObjectLink, RegionObjects};
use super::platform::{Clock, Objects, Platform};
use super::serving::Serving;
use super::timing::sleep;
use crate::health::GateChange;
use crate::health::reporter::{Reporter, UNANSWERED_MS};
use crate::health::shard::object_requests::Order;
use crate::health::wire::{HealthReport, ShardAnswer};
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;

/// The variable with the name of the pool. Workers can share the Durable Object's namespace without
/// sharing health: they then have different pools.
const POOL: &str = "HEALTH_POOL";
/// How often a new isolate checks whether its first snapshot has arrived, in milliseconds.
const LOOK_MS: Millis = Millis::new(2);

/// The pool of the Durable Objects that this Worker uses.
pub(super) fn pool_of<P: Platform>(platform: &P) -> String {
    platform.variable(POOL).unwrap_or_else(|| "default".to_owned())
}

/// A report that counts as sent.
struct DueReport {
    objects: RegionObjects,
    report: HealthReport,
    rng: SplitMix64,
}

impl RegionObjects {
    /// The answer of the region's shard.
    ///
    /// # Errors
    /// If there is no answer with status 200.
    pub fn ask_shard<'a, P: Platform>(
        &self,
        platform: &'a P,
        path: &'a str,
        body: Option<String>,
    ) -> ObjectAsked<'a> {
        asked(platform, self.shard(), Some(self.region), path, body)
    }

    /// The answer of the hub.
    ///
    /// # Errors
    /// If there is no answer with status 200.
    pub fn ask_hub<'a, P: Platform>(
        &self,
        platform: &'a P,
        path: &'a str,
        body: Option<String>,
    ) -> ObjectAsked<'a> {
        asked(platform, self.hub(), None, path, body)
    }
}

/// What is rare is behind a pointer, so that the Wasm has its code once, and not for each caller.
type ObjectAsked<'a> = Pin<Box<dyn Future<Output = Result<String, AskError>> + 'a>>;

fn asked<'a, P: Platform>(
    platform: &'a P,
    object: String,
    near: Option<&'static str>,
    path: &'a str,
    body: Option<String>,
) -> ObjectAsked<'a> {
    Box::pin(async move { ask(platform, &object, near, path, body).await })
}

/// The answer of the Durable Object with this name, within [`UNANSWERED_MS`]. With a `body` the
/// request is a POST, without one a GET.
///
/// # Errors
/// If there is no answer with status 200.
async fn ask<O: Clock + Objects>(
    platform: &O,
    object: &str,
    near: Option<&str>,
    path: &str,
    body: Option<String>,
) -> Result<String, AskError> {
    text_within(platform, UNANSWERED_MS, platform.ask_object(object, near, path, body)).await
}

/// Sends a report to the Durable Object with this name, and reads its answer.
///
/// # Errors
/// If there is no valid answer.
pub async fn ask_report<O: Clock + Objects>(
    platform: &O,
    object: &str,
    near: Option<&str>,
    report: &HealthReport,
) -> Result<ShardAnswer, AskError> {
    let text = ask(platform, object, near, "report", Some(report.to_json())).await?;
    ShardAnswer::parse(&text).map_err(|error| AskError::Malformed(error.to_string()))
}

/// Sends a switch to the hub, which stores it for all regions, and to the shard of this region,
/// which otherwise learns it only with its next report to the hub.
///
/// # Errors
/// If one of them does not take it.
pub fn share<'a, P: Platform>(
    platform: &'a P,
    order: &'a Order,
) -> Pin<Box<dyn Future<Output = Result<(), AskError>> + 'a>> {
    Box::pin(async move {
        let objects = platform.isolate().objects(platform).ok_or(AskError::Unbound)?;
        let order = serde_json::to_string(order).unwrap_or_default();
        objects.ask_hub(platform, "switch", Some(order.clone())).await?;
        objects.ask_shard(platform, "switch", Some(order)).await.map(drop)
    })
}

impl Isolate {
    /// The Durable Objects that this isolate uses, if there is a binding to them. The first request
    /// determines the isolate's region.
    pub fn objects<P: Platform>(&self, platform: &P) -> Option<RegionObjects> {
        if let Some(link) = &*self.link.borrow() {
            return Some(link.objects.clone());
        }
        platform.has_objects().then(|| RegionObjects::of(pool_of(platform), &platform.place()))
    }

    /// Creates the link to the shard with the first request of the isolate, and reports if a report
    /// is due.
    pub fn begin_sharing<P: Platform>(&self, platform: &P) {
        if self.link.borrow().is_none()
            && let Some(objects) = self.objects(platform)
        {
            let reporter = Reporter::new(platform.random());
            let began_at = platform.now();
            self.link.replace(Some(ObjectLink {
                objects,
                reporter,
                began_at,
                is_settled: false,
                is_down: false,
            }));
        }
        self.report_if_due(platform);
    }

    /// Reports in the background, if a report is due.
    pub fn report_if_due<P: Platform>(&self, platform: &P) {
        if let Some(due) = self.take_due_report(platform) {
            let background = platform.clone();
            platform.in_background(async move { background.isolate().send(&background, due).await });
        }
    }

    /// Reports, if a report is due, and waits for the answer.
    pub async fn report_and_wait<P: Platform>(&self, platform: &P) {
        if let Some(due) = self.take_due_report(platform) {
            self.send(platform, due).await;
        }
    }

    /// The report to send, if one is due. From then on it counts as sent.
    ///
    /// The report is always about the routes that serve new requests, even if the request that
    /// triggers it still uses older routes.
    fn take_due_report<P: Platform>(&self, platform: &P) -> Option<DueReport> {
        let (routes, now) = (self.current()?, platform.now());
        let mut link = self.link.borrow_mut();
        let link = link.as_mut()?;
        let health = &mut routes.health.borrow_mut();
        if !link.reporter.is_due(health, now) {
            return None;
        }
        let mut rng = SplitMix64::new(platform.random());
        let rate = routes.graph.settings.health.reports_per_second;
        let mut report = link.reporter.report(health, rate, now, &mut rng);
        report.counters = self.counters.borrow_mut().batch(now);
        report.records = self.records.borrow_mut().take_unsent();
        report.alerts = self.alert_interest(&routes.graph, link.objects.region);
        Some(DueReport { objects: link.objects.clone(), report, rng })
    }

    /// Sends a report, and merges the answer.
    async fn send<P: Platform>(&self, platform: &P, due: DueReport) {
        let DueReport { objects, report, mut rng } = due;
        let mut answer = ask_report(platform, &objects.shard(), Some(objects.region), &report).await;
        // The routes that serve now. They have taken over the health of those that served before.
        let Some(routes) = self.current() else { return };
        let alerts = answer.as_mut().map_or_else(|_| Vec::new(), |answer| std::mem::take(&mut answer.alerts));
        send_alerts(platform, &AlertSource::Shard(objects), &routes.graph, alerts);
        let changes = self.on_report_answer(platform, &routes, answer, &mut rng);
        routes.log(platform, &changes);
    }

    fn on_report_answer<P: Platform>(
        &self,
        platform: &P,
        routes: &Serving,
        answer: Result<ShardAnswer, AskError>,
        rng: &mut SplitMix64,
    ) -> Vec<GateChange> {
        let mut link = self.link.borrow_mut();
        let Some(link) = link.as_mut() else { return Vec::new() };
        let (mut health, now) = (routes.health.borrow_mut(), platform.now());
        link.is_settled = true;
        match answer {
            Ok(answer) => {
                link.is_down = false;
                self.counters.borrow_mut().on_counted(answer.counted);
                link.reporter.on_answer(&mut health, &answer, now, rng)
            }
            Err(error) => {
                link.reporter.on_failure(&mut health, now, rng);
                if !std::mem::replace(&mut link.is_down, true) {
                    let object = link.objects.shard();
                    platform.warn(&format!("health: {object} does not answer: {error}"));
                }
                Vec::new()
            }
        }
    }

    /// Waits until a new isolate has its first snapshot from the shard, at most as long as the
    /// settings allow. Later calls do not wait.
    pub async fn first_snapshot<P: Platform>(&self, platform: &P, routes: &Serving) {
        let longest_ms = routes.graph.settings.health.first_snapshot_ms;
        let is_awaited = || {
            let mut link = self.link.borrow_mut();
            let Some(link) = link.as_mut() else { return false };
            link.is_settled |= platform.now() >= link.began_at + longest_ms;
            !link.is_settled
        };
        while is_awaited() {
            sleep(platform, LOOK_MS).await;
        }
    }
}
