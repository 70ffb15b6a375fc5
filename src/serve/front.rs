//! The entry point of serving: it chooses the reply by the path. A reply is a model's answer, a
//! list, a state, or an error.

use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::future::{Either, select};

use super::account::{CLIENT_LEFT_STATUS, RequestAccount};
use super::admin;
use super::cached::{self, FoundAnswer};
use super::client_reply::{ClientReply, OwnHeaders, OwnText};
use super::drill_request;
use super::drive;
use super::fact_source::LiveFacts;
use super::held_body::HeldBody;
use super::identity::{self, Caller};
use super::limit_headers;
use super::limiting::ReservedLimits;
use super::metering;
use super::own_objects;
use super::platform::Platform;
use super::receive::{Arrival, Inbound, Subject, admit_origin, receive};
use super::serving::Serving;
use crate::attempt::trail::Trail;
use crate::entry::entry_node;
use crate::entry::limit_claims;
use crate::reply::response_headers::{self, ServedRequest};
use crate::reply::{cors, models};
use crate::request::admin_path::is_admin;
use crate::request::api_path::{self, ALL, ApiPath, GET, HEALTHZ};
use crate::routes::graph::{Client, Graph};
use crate::telemetry::request_record::RequestEnd;
use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_reply::ErrorReply;

/// The search for an answer that was kept.
type Lookup<'a, P> = Pin<Box<dyn Future<Output = (CacheStatus, Option<FoundAnswer<P>>)> + 'a>>;

/// Serves a request. If the client leaves before its answer, all work for the request ends.
pub async fn serve_while_connected<P: Platform>(platform: &P, head: &str) -> ClientReply<P> {
    match select(pin!(serve(platform, head)), pin!(platform.client_left())).await {
        Either::Left((reply, _)) => reply,
        Either::Right(((), _)) => ClientReply::empty(CLIENT_LEFT_STATUS, Vec::new()),
    }
}

/// Serves a request. `head`: method, URL and headers, as for [`Arrival::of`].
pub async fn serve<P: Platform>(platform: &P, head: &str) -> ClientReply<P> {
    let arrival = Rc::new(Arrival::of(platform, head));
    let mut account = RequestAccount::open(platform, &arrival);
    let routes = match platform.isolate().routes(platform).await {
        Ok(routes) => routes,
        Err(error) => return ClientReply::error(refused(account, &error), Vec::new()),
    };
    // The admin API always speaks of the version that serves without a canary.
    let (routes, draw) =
        if is_admin(&arrival.path) { (routes, None) } else { platform.isolate().draw(platform, routes) };
    account.on_routes(&routes, draw);
    let settings = &routes.graph.settings;
    // The pages of an origin call models. The admin API is not theirs.
    let origin = arrival.header("origin").filter(|_| !is_admin(&arrival.path));
    let cors = cors::headers(&settings.cors_origins, origin);
    if arrival.method == "OPTIONS" {
        let requested = arrival.header("access-control-request-headers");
        let allow = allowed_methods(&arrival.path, &routes.graph);
        let preflight = cors::preflight(&settings.cors_origins, origin, requested, allow);
        if !preflight.is_empty() {
            account.dismiss();
            return ClientReply::empty(204, preflight);
        }
    }
    let mut about_limits = Vec::new();
    let found = match find(platform, &arrival, &routes, &mut about_limits).await {
        Ok(AnswerSource::Deployments(mut inbound, body, limits)) => {
            let mut headers = cors;
            headers.extend(about_limits);
            if let Some(limits) = limits {
                account.on_limits(limits);
            }
            if inbound.node.cache.is_some() {
                // `dyn`: few nodes have a cache, and the future of every other request stays small.
                let lookup: Lookup<'_, P> = Box::pin(cached::look_up(platform, &mut inbound, &routes));
                let (status, found) = lookup.await;
                account.on_cache(status);
                headers.push(("x-switchyard-cache", status.header().to_owned()));
                if let Some(found) = found {
                    return cached::reply(platform, found, &inbound, &routes, account, headers);
                }
            }
            return drive::run(platform, Rc::new(*inbound), body, Rc::clone(&routes), account, headers).await;
        }
        Ok(AnswerSource::Text(text)) => Ok(text),
        Err(error) => Err(error),
    };
    let served = ServedRequest {
        request_id: &arrival.id,
        routes: &routes.graph.version,
        node: None,
        tried: None,
        used: None,
    };
    let mut headers = response_headers::own(&served, settings.expose);
    headers.extend(cors);
    headers.extend(about_limits);
    match found {
        Ok(text) => {
            account.dismiss();
            ClientReply::text(text, headers)
        }
        Err(error) => ClientReply::error(refused(account, &error), headers),
    }
}

/// The reply to a request that the gateway itself refuses. Closes its account.
fn refused<P: Platform>(account: RequestAccount<P>, error: &ClientError) -> ErrorReply {
    let reply = ErrorReply::from(error);
    account.close(&RequestEnd::without_answer(error.code(), reply.status, &Trail::default()));
    reply
}

/// The methods that a path accepts, for a preflight. A path that does not exist accepts all, so
/// that the page gets the error of the request itself.
fn allowed_methods(path: &str, graph: &Graph) -> &'static str {
    if path == HEALTHZ { Some(GET) } else { api_path::parse(path, &graph.prefixes).allow() }.unwrap_or(ALL)
}

/// The list of models, or one of them.
fn models_text(graph: &Graph, client: &Client, path: &ApiPath) -> Result<OwnText, ClientError> {
    let found = match path {
        ApiPath::Model(name) => {
            models::one(graph, client, name).ok_or_else(|| entry_node::unknown(graph, name, client))?
        }
        _ => models::list(graph, client),
    };
    Ok(OwnText::json(found.to_string()))
}

/// The source of an answer.
enum AnswerSource<P: Platform> {
    /// The gateway itself answers.
    Text(OwnText),
    /// A deployment answers.
    Deployments(Box<Inbound>, HeldBody<P>, Option<Box<ReservedLimits<P>>>),
}

/// Finds the source of the answer. `about_limits`: gets the headers about the limits of the client.
async fn find<P: Platform>(
    platform: &P,
    arrival: &Rc<Arrival>,
    routes: &Rc<Serving>,
    about_limits: &mut OwnHeaders,
) -> Result<AnswerSource<P>, ClientError> {
    let graph = &routes.graph;
    if arrival.path == HEALTHZ {
        arrival.check_method(GET)?;
        return Ok(AnswerSource::Text(OwnText::json(r#"{"status":"ok"}"#.to_owned())));
    }
    if let Some(answer) = admin::answer(platform, arrival, routes) {
        return answer.await.map(AnswerSource::Text);
    }
    let (subject, drill) = match arrival.asks_for(graph)? {
        path @ (ApiPath::Models | ApiPath::Model(_)) => (Err(path), None),
        path => (Ok(Subject::of(path, arrival)?), drill_request::of(platform, arrival, graph)?),
    };
    let client = match drill.as_ref().and_then(|drill| drill.admin.as_ref()) {
        None => identity::identify(platform, graph, arrival.key()).await?,
        Some(admin) => Caller::Own(admin),
    };
    let subject = match subject {
        Ok(subject) => subject,
        Err(path) => {
            let source = LiveFacts { platform, graph, stated_place: None };
            admit_origin(arrival, &client, &source)?;
            return models_text(graph, &client, &path).map(AnswerSource::Text);
        }
    };
    // This precedes the reading of the body, so that a new isolate gets its first snapshot
    // meanwhile.
    platform.isolate().begin_sharing(platform);
    let held = HeldBody::of(platform);
    let mut inbound = receive(platform, arrival, routes, &client, subject).await?;
    if let Some(drill) = &drill {
        inbound.faults.clone_from(&drill.faults);
    }
    if inbound.guard.sees_own_only {
        // This is behind a pointer: few clients have it.
        Box::pin(own_objects::check(platform, &inbound)).await?;
    }
    let claims = limit_claims::claims(graph, &client, &inbound.facts, &inbound.node, || {
        metering::basis(platform, &inbound)
    });
    let limits = if claims.is_empty() {
        None
    } else {
        let claims = Rc::from(claims);
        // This is behind a pointer: most requests have no limits.
        let reserved = Box::pin(ReservedLimits::of(platform, &graph.settings, &claims)).await;
        *about_limits = limit_headers::of(platform, &claims);
        Some(reserved?)
    };
    Ok(AnswerSource::Deployments(Box::new(inbound), held, limits))
}
