//! Answers of nodes that keep them (`cache`): looks for the answer to a request, before a
//! deployment is asked.
//!
//! Only requests whose entry node has a cache come here. [`cache_use`](crate::entry::cache_use)
//! says which of them use it, and [`cache_key`](crate::entry::cache_key) which are equal. A cache
//! that cannot be reached has nothing: no request fails because of it.

use std::rc::Rc;

use super::account::RequestAccount;
use super::answer_keeper::{AnswerKeeper, cached_at};
use super::client_reply::{ClientReply, OwnHeaders, ReplyBody};
use super::committed::Committed;
use super::flight::{CachedAnswer, Flight, FlightState};
use super::platform::{Platform, PlatformCall};
use super::receive::Inbound;
use super::serving::Serving;
use super::timing::{sleep, until};
use crate::attempt::trail::Trail;
use crate::entry::cache_key::AnswerQuestion;
use crate::entry::cache_use::{CacheBypass, CacheQuestion, CacheUse};
use crate::reply::response_headers::{self, ServedRequest};
use crate::routes::graph::AnswerCache;
use crate::telemetry::request_record::RequestEnd;
use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::request_outcome::OK;
use crate::vocabulary::time::{Instant, Millis};

/// The keys of the cache are URLs. Nothing is ever sent there: the name is a reserved one (RFC
/// 2606).
const KEY_BASE: &str = "https://answers.switchyard.invalid/";

/// How long the cache may take. A provider takes longer for nearly every answer.
const FIND_MS: Millis = Millis::new(1_000);

/// How often a request looks at the flight for which it waits.
const LOOK_MS: Millis = Millis::new(25);

/// The longest wait for a flight. It is at most half of the request's time, so that enough is left
/// if the flight fails.
const MOST_FLIGHT_MS: Millis = Millis::new(120_000);

/// An answer that was kept.
pub(super) enum FoundAnswer<P: Platform> {
    /// The cache had it. The call holds its body.
    InCall {
        call: P::Call,
        /// The headers of the entry.
        entry: Headers,
        cached_at: Instant,
    },
    /// The request for which this one has waited.
    InMemory(Rc<CachedAnswer>),
}

impl Inbound {
    /// How the request uses the cache of its entry node.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn cache_use(&self, cache: &AnswerCache) -> Result<CacheUse, CacheBypass> {
        let question = CacheQuestion {
            cache,
            facts: &self.facts,
            headers: &self.arrival.headers,
            peek: self.body.json(),
            body: self.body.known_bytes(),
            length: self.body.length(),
            is_drill: !self.faults.is_empty(),
        };
        question.cache_use()
    }
}

/// Looks for the answer to a request whose entry node keeps answers. If there is none, the request
/// keeps its own.
pub(super) async fn look_up<P: Platform>(
    platform: &P,
    inbound: &mut Inbound,
    routes: &Serving,
) -> (CacheStatus, Option<FoundAnswer<P>>) {
    let node = Rc::clone(&inbound.node);
    let plan = node.cache.as_ref().and_then(|cache| Some((cache, inbound.cache_use(cache).ok()?)));
    let Some(((cache, CacheUse { reads, ttl_seconds }), peek)) = plan.zip(inbound.body.json()) else {
        return (CacheStatus::Bypass, None);
    };
    let question = AnswerQuestion {
        graph: &routes.graph,
        node: &node,
        cache,
        facts: &inbound.facts,
        headers: &inbound.arrival.headers,
        peek,
        body: inbound.body.known(),
        part: &|start, end| platform.body_part(start, end),
    };
    let key = [KEY_BASE, &question.key()].concat();
    if reads && let Some(found) = find(platform, &key).await {
        return (CacheStatus::Hit, Some(found));
    }
    let mut leader = None;
    if reads && cache.is_single_flight {
        match platform.isolate().flights.begin(&key) {
            Ok(first) => leader = Some(first),
            Err(flight) => {
                if let Some(answer) = landed(platform, &flight, inbound, routes).await {
                    return (CacheStatus::Hit, Some(FoundAnswer::InMemory(answer)));
                }
            }
        }
    }
    inbound.keeper = Some(Rc::new(AnswerKeeper::new(key, ttl_seconds, leader)));
    (CacheStatus::Miss, None)
}

/// The entry of the cache with this key.
async fn find<P: Platform>(platform: &P, key: &str) -> Option<FoundAnswer<P>> {
    let call = platform.call();
    let entry = match until(platform, platform.now() + FIND_MS, call.find_answer(key)).await? {
        Ok(entry) => entry?,
        Err(error) => {
            platform.warn(&format!("cache: an answer was not found: {error}"));
            return None;
        }
    };
    let cached_at = cached_at(&entry, platform.now())?;
    Some(FoundAnswer::InCall { call, entry, cached_at })
}

/// Waits for a flight. What the wait takes counts against the time of the request, as its upload
/// does.
async fn landed<P: Platform>(
    platform: &P,
    flight: &Flight,
    inbound: &mut Inbound,
    routes: &Serving,
) -> Option<Rc<CachedAnswer>> {
    let allowed_ms = routes.graph.allowed_ms(&inbound.node, inbound.facts.patience_ms);
    let give_up_at = platform.now() + MOST_FLIGHT_MS.min(allowed_ms / 2);
    let mut answer = None;
    while platform.now() < give_up_at {
        match flight.state() {
            FlightState::Running => sleep(platform, LOOK_MS).await,
            FlightState::Landed(landed) => {
                answer = Some(landed);
                break;
            }
            FlightState::Failed => break,
        }
    }
    if let Some(facts) = Rc::get_mut(&mut inbound.facts) {
        facts.upload_ms = platform.now() - inbound.arrival.at;
    }
    answer
}

/// Keeps the answer to a request that has found none, if it is complete, or else when it is.
pub(super) fn keep<P: Platform>(
    platform: &P,
    inbound: &Inbound,
    trail: &Trail,
    committed: &mut Committed<P>,
) {
    // What a drill has touched says nothing about the next request.
    if let Some(keeper) = inbound.keeper.as_ref().filter(|_| !trail.has_drill()) {
        committed.keep(platform, keeper);
    }
}

/// The reply with an answer that was kept. Nobody was asked, so it costs nothing.
#[inline(never)]
pub(super) fn reply<P: Platform>(
    platform: &P,
    found: FoundAnswer<P>,
    inbound: &Inbound,
    routes: &Serving,
    mut account: RequestAccount<P>,
    cors: OwnHeaders,
) -> ClientReply<P> {
    account.on_inbound(inbound);
    account.on_reply(&[]);
    let (graph, trail, now) = (&routes.graph, Trail::default(), platform.now());
    let served = ServedRequest {
        request_id: &inbound.arrival.id,
        routes: &graph.version,
        node: Some(&inbound.node.name),
        tried: Some((&trail, now - inbound.arrival.at)),
        used: None,
    };
    let mut own = response_headers::own(&served, graph.settings.expose);
    if graph.settings.expose.request_id {
        // The official SDKs show it as the id of the request.
        own.push(("x-request-id", inbound.arrival.id.clone()));
    }
    let cached_at = match &found {
        FoundAnswer::InCall { cached_at, .. } => *cached_at,
        FoundAnswer::InMemory(answer) => answer.cached_at,
    };
    own.push(("age", ((now - cached_at).get() / 1_000).to_string()));
    own.extend(cors);
    account.close(&RequestEnd::without_answer(OK, 200, &trail));
    match found {
        FoundAnswer::InCall { call, entry, .. } => {
            let names = entry.iter().map(|(name, _)| name).filter(|name| *name != "content-type");
            let withheld = names.flat_map(|name| [name, "\n"]).collect();
            ClientReply::Upstream { call, withheld, headers: Headers::of(own), body: ReplyBody::AsRead }
        }
        FoundAnswer::InMemory(answer) => {
            own.push(("content-type", answer.content_type().to_owned()));
            let body = Some(answer.bytes.clone());
            ClientReply::Own { status: 200, headers: Headers::of(own), body }
        }
    }
}
