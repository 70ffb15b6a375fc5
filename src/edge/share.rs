//! This isolate's link to the Durable Object of its region: what it has seen goes there, and what the others have seen comes back.
//!
//! Nothing waits for it but the first requests of a new isolate, for a few tens of milliseconds. Reports go out beside the requests
//! (`waitUntil`), when [`Reporter::due`] says so. Without the binding `HEALTH`, or while the object does not answer, the isolate
//! goes by what it sees itself.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use wasm_bindgen::JsCast;
use worker::{Context, Env, Method, ObjectNamespace, Request, RequestInit};

use super::arrival::Arrival;
use super::isolate::{self, Routes};
use super::{clock, js, learn};
use crate::balance::nearest::location_hint;
use crate::health::reporter::Reporter;
use crate::health::wire::Answer;
use crate::request::facts::Place;
use crate::rng::SplitMix64;
use crate::time::Millis;

/// The binding of the Durable Object.
pub const BINDING: &str = "HEALTH";
/// The variable that names the pool. Workers that share the object's namespace and should not share what they see have different
/// ones.
const POOL: &str = "HEALTH_POOL";
/// What the region is called of the object that tells the others.
pub const HUB: &str = "hub";
/// How long an answer is waited for.
const ANSWER_MS: Millis = 10_000;
/// How often a new isolate looks whether its first snapshot is there.
const LOOK_MS: Millis = 2;

thread_local! {
    static LINK: RefCell<Option<Link>> = const { RefCell::new(None) };
}

struct Link {
    objects: Objects,
    reporter: Reporter,
    /// Whether anything came of the first report, or it was waited for long enough.
    is_settled: bool,
    /// Whether the latest report failed: that is said once.
    is_down: bool,
}

/// The objects of a pool: that of this region, and the hub.
#[derive(Clone)]
pub struct Objects {
    namespace: ObjectNamespace,
    pool: String,
    region: &'static str,
}

impl Objects {
    fn of(env: &Env, place: &Place) -> Option<Self> {
        let namespace = env.durable_object(BINDING).ok()?;
        let pool = js::string_at(env.unchecked_ref(), POOL).unwrap_or_else(|| "default".to_owned());
        Some(Self { namespace, pool, region: location_hint(place) })
    }

    /// The name of the region's object.
    pub fn shard(&self) -> String {
        format!("{}/{}", self.pool, self.region)
    }

    /// What the region's object answers.
    pub async fn ask_shard(&self, path: &str, body: Option<String>) -> Result<Vec<u8>, String> {
        let stub = self.namespace.get_by_name_with_location_hint(&self.shard(), self.region);
        ask(stub, path, body).await
    }

    /// What the hub answers.
    pub async fn ask_hub(&self, path: &str, body: Option<String>) -> Result<Vec<u8>, String> {
        ask(self.namespace.get_by_name(&format!("{}/{HUB}", self.pool)), path, body).await
    }
}

/// What an object answers to a POST of `body`, or to a GET.
pub async fn ask(
    stub: worker::Result<worker::Stub>,
    path: &str,
    body: Option<String>,
) -> Result<Vec<u8>, String> {
    let mut init = RequestInit::new();
    if let Some(body) = body {
        init.with_method(Method::Post).with_body(Some(body.into()));
    }
    let asked = async {
        let request = Request::new_with_init(&format!("https://health/{path}"), &init)?;
        let mut response = stub?.fetch_with_request(request).await?;
        Ok((response.status_code(), response.bytes().await?))
    };
    match clock::until(clock::now().saturating_add(ANSWER_MS), asked).await {
        Some(Ok((200, bytes))) => Ok(bytes),
        Some(Ok((status, bytes))) => Err(format!("status {status}: {}", String::from_utf8_lossy(&bytes))),
        Some(Err::<_, worker::Error>(error)) => Err(error.to_string()),
        None => Err(format!("no answer within {ANSWER_MS} ms")),
    }
}

/// Reports, in the background, if it is time to. The first arrival tells where this isolate is.
pub fn report_if_due(routes: &Rc<Routes>, env: &Env, arrival: &Arrival, context: &Context) {
    let is_linked = LINK.with_borrow(Option::is_some);
    if !is_linked && let Some(objects) = Objects::of(env, &arrival.place(None)) {
        let reporter = Reporter::new(isolate::entropy());
        LINK.set(Some(Link { objects, reporter, is_settled: false, is_down: false }));
    }
    go_on_reporting(routes, context);
}

/// The same, once [`report_if_due`] has been called.
pub fn go_on_reporting(routes: &Rc<Routes>, context: &Context) {
    if is_due(routes) {
        context.wait_until(report(Rc::clone(routes)));
    }
}

/// Whether it is time for a report.
pub fn is_due(routes: &Routes) -> bool {
    LINK.with_borrow(|link| {
        link.as_ref().is_some_and(|link| link.reporter.due(&routes.health.borrow(), clock::now()))
    })
}

/// Reports, and takes what the answer says.
pub async fn report(routes: Rc<Routes>) {
    let mut rng = SplitMix64::new(isolate::entropy());
    let rate = routes.graph.settings.health.reports_per_second;
    let sent = LINK.with_borrow_mut(|link| {
        let link = link.as_mut()?;
        let report = link.reporter.report(&mut routes.health.borrow_mut(), rate, clock::now(), &mut rng);
        Some((link.objects.clone(), report.to_json()))
    });
    let Some((objects, report)) = sent else { return };
    let answer = match objects.ask_shard("report", Some(report)).await {
        Ok(bytes) => Answer::parse(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let news = LINK.with_borrow_mut(|link| {
        let link = link.as_mut()?;
        let now = clock::now();
        link.is_settled = true;
        match answer {
            Ok(answer) => {
                link.is_down = false;
                Some(routes.with_health(|health| link.reporter.answered(health, &answer, now, &mut rng)))
            }
            Err(error) => {
                link.reporter.failed(&mut routes.health.borrow_mut(), now, &mut rng);
                if !std::mem::replace(&mut link.is_down, true) {
                    js::warn(&format!("health: {} does not answer: {error}", objects.shard()));
                }
                None
            }
        }
    });
    learn::tell(&routes, news.unwrap_or_default());
}

/// Waits until a new isolate knows what the others know, at most as long as the settings allow. Then nobody waits any more.
pub async fn settle(routes: &Routes, arrived_at: Millis) {
    let until = arrived_at.saturating_add(routes.graph.settings.health.first_snapshot_ms);
    while LINK.with_borrow(|link| link.as_ref().is_some_and(|link| !link.is_settled)) {
        if clock::now() >= until {
            LINK.with_borrow_mut(|link| link.iter_mut().for_each(|link| link.is_settled = true));
            return;
        }
        clock::sleep(LOOK_MS).await;
    }
}

/// The objects that this isolate talks to, where there is a binding for them.
pub fn objects(env: &Env, arrival: &Arrival) -> Option<Objects> {
    let linked = LINK.with_borrow(|link| link.as_ref().map(|link| link.objects.clone()));
    linked.or_else(|| Objects::of(env, &arrival.place(None)))
}

/// JSON of a value that is made of plain data.
pub fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
