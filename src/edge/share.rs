//! This isolate's link to the Durable Object of its region: what it has seen goes there, and what the others have seen comes back.
//!
//! Nothing waits for it but the first requests of a new isolate, for a few tens of milliseconds. Reports go out beside the requests
//! (`waitUntil`), when [`Reporter::due`] says so. Without the binding `HEALTH`, or while the object does not answer, the isolate
//! goes by what it sees itself.

use std::cell::RefCell;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Request, RequestInit, Response};
use worker_sys::{DurableObject, DurableObjectNamespace};

use super::arrival::Arrival;
use super::host::Exchange;
use super::isolate::{self, Routes};
use super::task::Wait;
use super::{clock, js, learn};
use crate::geography::distance::location_hint;
use crate::health::reporter::{Reporter, UNANSWERED_MS};
use crate::health::wire::ShardAnswer;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;

/// The binding of the Durable Object.
pub const BINDING: &str = "HEALTH";
/// The variable that names the pool. Workers that share the object's namespace and should not share what they see have different
/// ones.
const POOL: &str = "HEALTH_POOL";
/// What the region is called of the object that tells the others.
pub const HUB: &str = "hub";
/// What the URLs of requests to an object begin with: the path is all that it looks at.
pub const ORIGIN: &str = "https://health/";
/// How often a new isolate looks whether its first snapshot is there.
const LOOK_MS: Millis = 2;

thread_local! {
    static LINK: RefCell<Option<Link>> = const { RefCell::new(None) };
}

struct Link {
    objects: Objects,
    reporter: Reporter,
    /// When the first report went out.
    began_at: Millis,
    /// Whether anything came of the first report, or it was waited for long enough.
    is_settled: bool,
    /// Whether the latest report failed: that is said once.
    is_down: bool,
}

/// The objects of a pool: that of this region, and the hub.
#[derive(Clone)]
pub struct Objects {
    namespace: DurableObjectNamespace,
    pool: String,
    region: &'static str,
}

impl Objects {
    fn of(arrival: &Arrival) -> Option<Self> {
        let (env, place) = (&arrival.exchange.env(), &arrival.place(None));
        let namespace = js::binding(env, BINDING)?;
        let pool = js::string_at(env.unchecked_ref(), POOL).unwrap_or_else(|| "default".to_owned());
        Some(Self { namespace, pool, region: location_hint(place) })
    }

    /// The name of the region's object.
    pub fn shard(&self) -> String {
        format!("{}/{}", self.pool, self.region)
    }

    /// What the region's object answers.
    pub async fn ask_shard(&self, path: &str, body: Option<String>) -> Result<String, String> {
        let hint = js::object("locationHint", &self.region.into());
        ask(self.namespace.get_by_name_with_options(&self.shard(), &hint), path, body).await
    }

    /// What the hub answers.
    pub async fn ask_hub(&self, path: &str, body: Option<String>) -> Result<String, String> {
        ask(hub(&self.namespace, &self.pool), path, body).await
    }
}

/// The hub of a pool.
pub fn hub(namespace: &DurableObjectNamespace, pool: &str) -> Result<DurableObject, JsValue> {
    namespace.get_by_name(&format!("{pool}/{HUB}"))
}

/// What an object answers to a POST of `body`, or to a GET.
pub async fn ask(
    stub: Result<DurableObject, JsValue>,
    path: &str,
    body: Option<String>,
) -> Result<String, String> {
    let init = RequestInit::new();
    if let Some(body) = body {
        init.set_method("POST");
        init.set_body(&body.into());
    }
    let asked = async {
        let request = Request::new_with_str_and_init(&format!("{ORIGIN}{path}"), &init)?;
        let answer = Wait::of(&stub?.fetch_with_request(&request)?).await?;
        let response: Response = answer.unchecked_into();
        let text = Wait::of(&response.text()?).await?;
        Ok((response.status(), text.as_string().unwrap_or_default()))
    };
    match clock::until(clock::now().saturating_add(UNANSWERED_MS), asked).await {
        Some(Ok((200, text))) => Ok(text),
        Some(Ok((status, text))) => Err(format!("status {status}: {text}")),
        Some(Err::<_, JsValue>(error)) => Err(js::text_of(&error)),
        None => Err(format!("no answer within {UNANSWERED_MS} ms")),
    }
}

/// Reports, in the background, if it is time to. The first arrival tells where this isolate is.
pub fn report_if_due(arrival: &Arrival) {
    let is_linked = LINK.with_borrow(Option::is_some);
    if !is_linked && let Some(objects) = Objects::of(arrival) {
        let reporter = Reporter::new(isolate::entropy());
        let began_at = clock::now();
        LINK.set(Some(Link { objects, reporter, began_at, is_settled: false, is_down: false }));
    }
    go_on_reporting(&arrival.exchange);
}

/// The same, once [`report_if_due`] has been called.
pub fn go_on_reporting(exchange: &Exchange) {
    if is_due() {
        js::wait_until(exchange, report());
    }
}

/// Whether it is time for a report.
pub fn is_due() -> bool {
    let Some(routes) = isolate::current() else { return false };
    LINK.with_borrow(|link| {
        link.as_ref().is_some_and(|link| link.reporter.is_due(&routes.health.borrow(), clock::now()))
    })
}

/// Reports, and takes what the answer says. It is the health of the routes that serve new requests that has a part in this, whatever
/// request it happens beside.
pub async fn report() {
    let Some(routes) = isolate::current() else { return };
    let mut rng = SplitMix64::new(isolate::entropy());
    let rate = routes.graph.settings.health.reports_per_second;
    let sent = LINK.with_borrow_mut(|link| {
        let link = link.as_mut()?;
        let report = link.reporter.report(&mut routes.health.borrow_mut(), rate, clock::now(), &mut rng);
        Some((link.objects.clone(), report.to_json()))
    });
    let Some((objects, report)) = sent else { return };
    let answer = match objects.ask_shard("report", Some(report)).await {
        Ok(text) => ShardAnswer::parse(text.as_bytes()).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    // Another document may serve by now, and has taken over what was known.
    let routes = isolate::current().unwrap_or(routes);
    let news = LINK.with_borrow_mut(|link| {
        let link = link.as_mut()?;
        let (mut health, now) = (routes.health.borrow_mut(), clock::now());
        link.is_settled = true;
        match answer {
            Ok(answer) => {
                link.is_down = false;
                Some(link.reporter.on_answer(&mut health, &answer, now, &mut rng))
            }
            Err(error) => {
                link.reporter.on_failure(&mut health, now, &mut rng);
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
pub async fn settle(routes: &Routes) {
    let longest_ms = routes.graph.settings.health.first_snapshot_ms;
    let is_unsettled = |link: &mut Option<Link>| {
        let Some(link) = link else { return false };
        link.is_settled |= clock::now() >= link.began_at.saturating_add(longest_ms);
        !link.is_settled
    };
    while LINK.with_borrow_mut(is_unsettled) {
        clock::sleep(LOOK_MS).await;
    }
}

/// The objects that this isolate talks to, where there is a binding for them.
pub fn objects(arrival: &Arrival) -> Option<Objects> {
    let linked = LINK.with_borrow(|link| link.as_ref().map(|link| link.objects.clone()));
    linked.or_else(|| Objects::of(arrival))
}
