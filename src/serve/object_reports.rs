//! What an isolate shares with the object of its region: what it has seen goes there, and what the others have seen comes back.
//!
//! Nobody waits for it but the first requests of a new isolate, for a few tens of milliseconds. Reports go out beside the
//! requests, when [`Reporter::is_due`] says so. Without a binding, or while the object does not answer, the isolate goes by what
//! it sees itself.

use std::fmt;

use super::isolate_memory::Isolate;
use super::object_link::{ObjectLink, RegionObjects};
use super::platform::{Clock, Objects, Platform, PlatformError};
use super::serving::Serving;
use super::timing::{sleep, until};
use crate::health::GateChange;
use crate::health::reporter::{Reporter, UNANSWERED_MS};
use crate::health::wire::ShardAnswer;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::{Instant, Millis};

/// The variable that names the pool. Workers that share the object's namespace and should not share what they see have
/// different ones.
const POOL: &str = "HEALTH_POOL";
/// How often a new isolate looks whether its first snapshot has arrived.
const LOOK_MS: Millis = Millis::new(2);

/// Why an object did not answer as it should, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The platform could not reach it.
    Unreachable(PlatformError),
    /// It answered with another status than 200.
    Status(u16, String),
    /// It took longer than [`UNANSWERED_MS`].
    Late,
    /// It answered with something else than what was asked for.
    Malformed(String),
    /// There is no binding to it.
    Unbound,
}

impl fmt::Display for AskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(formatter),
            Self::Status(status, text) => write!(formatter, "status {status}: {text}"),
            Self::Late => write!(formatter, "no answer within {UNANSWERED_MS} ms"),
            Self::Malformed(error) => formatter.write_str(error),
            Self::Unbound => formatter.write_str("the binding HEALTH is missing"),
        }
    }
}

impl RegionObjects {
    /// What the region's object answers.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask_shard<P: Platform>(
        &self,
        platform: &P,
        path: &str,
        body: Option<String>,
    ) -> Result<String, AskError> {
        ask(platform, &self.shard(), Some(self.region), path, body).await
    }

    /// What the hub answers.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask_hub<P: Platform>(
        &self,
        platform: &P,
        path: &str,
        body: Option<String>,
    ) -> Result<String, AskError> {
        ask(platform, &self.hub(), None, path, body).await
    }
}

/// What the object of that name answers within [`UNANSWERED_MS`] to a POST of `body`, or to a GET.
///
/// # Errors
/// Why there is no answer.
pub async fn ask<O: Clock + Objects>(
    platform: &O,
    object: &str,
    near: Option<&str>,
    path: &str,
    body: Option<String>,
) -> Result<String, AskError> {
    let asked = platform.ask_object(object, near, path, body);
    match until(platform, platform.now() + UNANSWERED_MS, asked).await {
        Some(Ok((200, text))) => Ok(text),
        Some(Ok((status, text))) => Err(AskError::Status(status, text)),
        Some(Err(error)) => Err(AskError::Unreachable(error)),
        None => Err(AskError::Late),
    }
}

impl Isolate {
    /// The objects that this isolate talks to, where there is a binding to them. The first request tells where the isolate
    /// is.
    pub fn objects<P: Platform>(&self, platform: &P) -> Option<RegionObjects> {
        if let Some(link) = &*self.link.borrow() {
            return Some(link.objects.clone());
        }
        platform.has_objects().then(|| RegionObjects::of(platform.variable(POOL), &platform.place()))
    }

    /// Begins to share, with the first request of the isolate, and reports when it is time to.
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

    /// Reports in the background, if it is time to.
    pub fn report_if_due<P: Platform>(&self, platform: &P) {
        if self.is_report_due(platform.now()) {
            let background = platform.clone();
            platform.in_background(async move { background.isolate().report(&background).await });
        }
    }

    /// Whether it is time for a report.
    pub fn is_report_due(&self, now: Instant) -> bool {
        let Some(routes) = self.current() else { return false };
        self.link.borrow().as_ref().is_some_and(|link| link.reporter.is_due(&routes.health.borrow(), now))
    }

    /// Reports, and merges what the answer says. It is the health of the routes that serve new requests that takes part,
    /// whatever request the report goes out beside.
    pub async fn report<P: Platform>(&self, platform: &P) {
        let Some(routes) = self.current() else { return };
        let mut rng = SplitMix64::new(platform.random());
        let rate = routes.graph.settings.health.reports_per_second;
        let report = self.link.borrow_mut().as_mut().map(|link| {
            let health = &mut routes.health.borrow_mut();
            let report = link.reporter.report(health, rate, platform.now(), &mut rng);
            (link.objects.clone(), report.to_json())
        });
        let Some((objects, report)) = report else { return };
        let answer = objects.ask_shard(platform, "report", Some(report)).await.and_then(|text| {
            ShardAnswer::parse(text.as_bytes()).map_err(|error| AskError::Malformed(error.to_string()))
        });
        // Another document may serve by now, and has taken over what was known.
        let routes = self.current().unwrap_or(routes);
        let changes = self.on_report_answer(platform, &routes, answer, &mut rng);
        routes.log(platform, changes);
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

    /// Waits until a new isolate knows what the others know, at most as long as the settings allow. Afterwards nobody waits.
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
