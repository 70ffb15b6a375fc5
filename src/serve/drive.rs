//! The loop that executes the machine's actions, from the first dispatch to the reply.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::future::{Either, select};
use serde_json::Value;

use super::account::{CLIENT_LEFT_STATUS, RequestAccount};
use super::answer::Asked;
use super::cached;
use super::charges::Charges;
use super::client_reply::{ClientReply, OwnHeaders, ReplyBody};
use super::committed::{Committed, CommittedBody};
use super::completion::{AnswerOutcome, CommittedAnswer, Completion};
use super::flow;
use super::hedging::{Attempts, FirstEvent};
use super::held_body::HeldBody;
use super::limit_headers;
use super::platform::{ClientStream, Platform};
use super::receive::Inbound;
use super::serving::Serving;
use super::timing::sleep;
use super::upstream_attempt;
use crate::attempt::failure::Failure;
use crate::attempt::machine::{self, Action, Dispatch, Machine, MachineEvent};
use crate::attempt::trail::Trail;
use crate::health::Outcome;
use crate::reply::masks::without_secrets;
use crate::reply::response_headers::{self, ServedRequest};
use crate::routes::graph::Commit;
use crate::stream::protocol::{Protocol, broken_stream, error_event};
use crate::telemetry::request_record::{RequestEnd, micro_usd};
use crate::telemetry::span_attributes;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::fault::Fault;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::request_outcome::{CLIENT_LEFT, OK};
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;
use crate::{reply::exhausted, vocabulary::error_reply::ErrorReply};

/// The result of a request.
struct Driven<P: Platform> {
    answer: Result<(Committed<P>, Option<Completion<P>>), ErrorReply>,
    trail: Rc<Trail>,
}

/// What is known of a reply before the answer is.
#[derive(Default)]
struct EarlyReply {
    /// The answer is held until it is complete, so the reply may begin.
    is_holding: Cell<bool>,
    /// The reply has begun: the client has its status, and gets comments.
    has_begun: Cell<bool>,
    /// What is charged for attempts that were dropped.
    charges: Charges,
}

impl EarlyReply {
    /// The status that the client gets. `otherwise`: if the reply has not begun.
    fn status_or(&self, otherwise: u16) -> u16 {
        if self.has_begun.get() { 200 } else { otherwise }
    }

    /// The trail of a machine that has ended, with what is charged for attempts that were dropped.
    fn charged(&self, mut trail: Trail) -> Trail {
        for (number, used) in self.charges.take() {
            trail.charge_abandoned(number, used);
        }
        trail
    }
}

/// Runs a request through the graph, and replies to it. `cors`: headers that every response gets.
pub async fn run<P: Platform>(
    platform: &P,
    inbound: Rc<Inbound>,
    held: HeldBody<P>,
    routes: Rc<Serving>,
    mut account: RequestAccount<P>,
    cors: OwnHeaders,
) -> ClientReply<P> {
    account.on_inbound(&inbound);
    let settings = &routes.graph.settings;
    // An answer that is held until it is complete may take long. Meanwhile the client gets
    // comments.
    let early = Rc::new(EarlyReply::default());
    let keepalive_ms = settings.keepalive_ms;
    let mut served = ServedRequest {
        request_id: &inbound.arrival.id,
        routes: &routes.graph.version,
        node: Some(&inbound.node.name),
        tried: None,
        used: None,
    };
    let mut driving = Box::pin(drive(
        platform.clone(),
        Rc::clone(&inbound),
        held,
        Rc::clone(&routes),
        account,
        Rc::clone(&early),
    ));
    let driven = loop {
        if !inbound.facts.is_streamed {
            break driving.await;
        }
        match select(driving, pin!(sleep(platform, keepalive_ms))).await {
            Either::Left((driven, _)) => break driven,
            Either::Right(((), still_driving)) if early.is_holding.get() => {
                early.has_begun.set(true);
                let (client, body) = platform.client_stream();
                let protocol = Protocol::of(inbound.facts.operation);
                platform.in_background(keep_alive(
                    platform.clone(),
                    still_driving,
                    client,
                    protocol,
                    keepalive_ms,
                ));
                let mut headers = response_headers::own(&served, settings.expose);
                headers.push(("content-type", "text/event-stream".to_owned()));
                headers.extend(cors);
                return ClientReply::OwnStream { headers: Headers::of(headers), body };
            }
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    };

    served.tried = Some((&driven.trail, platform.now() - inbound.arrival.at));
    let shows_usage = settings.expose.usage || settings.expose.cost;
    let answered = driven.answer.as_ref().ok().filter(|_| shows_usage);
    served.used = answered.and_then(|(committed, _)| {
        let usage = committed.body.usage()?;
        Some((usage, micro_usd(Some(inbound.facts.operation), &driven.trail, &usage)))
    });
    let mut own = response_headers::own(&served, settings.expose);
    own.extend(cors);
    match driven.answer {
        Err(error) => ClientReply::error(error, own),
        Ok((committed, completion)) => pass(platform, committed, completion, own, inbound.is_head),
    }
}

/// The reply with the upstream's answer. A stream continues to flow after the response is returned.
/// `is_head`: only the headers are sent, and what flows ends here.
fn pass<P: Platform>(
    platform: &P,
    committed: Committed<P>,
    completion: Option<Completion<P>>,
    own: OwnHeaders,
    is_head: bool,
) -> ClientReply<P> {
    let Committed { call, mut withheld, body, .. } = committed;
    if own.iter().any(|(name, _)| name.starts_with("x-ratelimit-")) {
        withheld.push_str(limit_headers::OF_PROVIDERS);
    }
    let body = match (body, completion) {
        (CommittedBody::Whole { is_in_call: true, .. }, _) => ReplyBody::AsRead,
        (CommittedBody::Whole { bytes, .. } | CommittedBody::Held { bytes, .. }, _) => {
            ReplyBody::Bytes(bytes)
        }
        (CommittedBody::Flowing(flow), Some(completion)) if !is_head => {
            let (client, body) = platform.client_stream();
            platform.in_background(flow::carry(platform.clone(), flow, completion, client));
            ReplyBody::Stream(body)
        }
        (CommittedBody::Flowing(_), completion) => {
            // The call ends here. Health learns nothing from an answer that is cut.
            if let Some(completion) = completion {
                completion.record(&AnswerOutcome::unmeasured(OK, ""));
            }
            ReplyBody::Bytes(Vec::new())
        }
    };
    ClientReply::Upstream { call, withheld, headers: Headers::of(own), body }
}

/// A running machine. If it is dropped before its end (the client left), the machine releases what
/// it holds.
struct Driver<P: Platform> {
    platform: P,
    machine: Machine,
    routes: Rc<Serving>,
    rng: SplitMix64,
    /// The account of the request, until there is a reply.
    account: Option<RequestAccount<P>>,
    early: Rc<EarlyReply>,
    /// Reports beside the request may outlive it. They need no body.
    _held: HeldBody<P>,
}

impl<P: Platform> Driver<P> {
    fn start(
        platform: P,
        inbound: &Inbound,
        held: HeldBody<P>,
        routes: Rc<Serving>,
        account: RequestAccount<P>,
        early: Rc<EarlyReply>,
    ) -> (Self, Action) {
        let mut rng = SplitMix64::new(platform.random());
        let (graph, facts) = (Rc::clone(&routes.graph), Rc::clone(&inbound.facts));
        let ((machine, action), _) =
            routes.step(&platform, &mut rng, |context| Machine::start(graph, facts, &inbound.node, context));
        (Self { platform, machine, routes, rng, account: Some(account), early, _held: held }, action)
    }

    fn on(&mut self, event: MachineEvent) -> Action {
        let (action, changes) =
            self.routes.step(&self.platform, &mut self.rng, |context| self.machine.on(event, context));
        if let Some(account) = &mut self.account {
            account.on_changes(&changes);
        }
        action
    }

    /// The fault by which a drill answers this attempt, if one does.
    fn fault(&mut self, inbound: &Inbound, dispatch: &Dispatch) -> Option<Fault> {
        let deployment = dispatch.deployment.id;
        let asked = inbound.faults.iter().find(|(id, _)| *id == deployment).map(|(_, fault)| *fault);
        let fault = asked.or_else(|| {
            self.routes.with_health(|health| {
                let timed = health.fault(deployment)?;
                timed.strikes(self.platform.now(), &mut self.rng).then_some(timed.fault)
            })
        })?;
        // One request must not decide for the others. A fault that lasts is to show what they do.
        self.machine.on_drill(dispatch.number, asked.is_none());
        Some(fault)
    }
}

impl<P: Platform> Drop for Driver<P> {
    fn drop(&mut self) {
        self.on(MachineEvent::ClientLeft);
        if let Some(account) = self.account.take() {
            let trail = self.early.charged(self.machine.take_trail());
            let status = self.early.status_or(CLIENT_LEFT_STATUS);
            account.close(&RequestEnd::without_answer(CLIENT_LEFT, status, &trail));
        }
    }
}

/// Executes the machine's actions until there is a reply.
async fn drive<P: Platform>(
    platform: P,
    inbound: Rc<Inbound>,
    held: HeldBody<P>,
    routes: Rc<Serving>,
    account: RequestAccount<P>,
    early: Rc<EarlyReply>,
) -> Driven<P> {
    platform.isolate().first_snapshot(&platform, &routes).await;
    // Comments make a stream of the answer, so they need a request that can have no other one.
    let is_stream = Asked::of(&inbound.facts, inbound.stored.is_some()) == Asked::Events;
    let (mut committed, mut refusal) = (None, None);
    let is_traced = account.is_traced();
    let (mut driver, mut action) =
        Driver::start(platform.clone(), &inbound, held, Rc::clone(&routes), account, Rc::clone(&early));
    // They are dropped before the driver, which then knows what is charged for them.
    let mut attempts = Attempts::new();
    let reply = loop {
        platform.isolate().report_if_due(&platform);
        let event = match action {
            Action::Dispatch(dispatch) => {
                early.is_holding.set(is_stream && dispatch.commit == Commit::Complete);
                begin_span(&platform, is_traced, &inbound, &dispatch);
                let fault = driver.fault(&inbound, &dispatch);
                let (platform, inbound, routes, charges) = (&platform, &inbound, &routes, &early.charges);
                let hedge_timer = dispatch.hedge_after_ms.map(|ms| sleep(platform, ms));
                attempts.begin(
                    dispatch.number,
                    async move {
                        upstream_attempt::attempt(platform, inbound, &dispatch, fault, routes, charges).await
                    },
                    hedge_timer,
                );
                None
            }
            Action::Wait => None,
            Action::Sleep { ms } => {
                sleep(&platform, ms).await;
                Some(MachineEvent::SleepElapsed)
            }
            Action::Reply(reply) => break reply,
            Action::Stop => break machine::Reply::Exhausted,
        };
        let event = match event {
            Some(event) => event,
            None => match attempts.first().await {
                FirstEvent::Committed(number, answer) => {
                    let status = answer.status;
                    committed = Some(answer);
                    MachineEvent::Committed { number, status }
                }
                FirstEvent::Failed(number, mut failure) => {
                    end_span(&platform, is_traced, number, &failure);
                    refusal = failure.refusal.take();
                    if refusal.is_some() {
                        MachineEvent::Refused
                    } else {
                        MachineEvent::Failed { number, failure }
                    }
                }
                FirstEvent::HedgeDue => MachineEvent::HedgeDelayElapsed,
            },
        };
        if let Some(at) = inbound.body.sent_at() {
            driver.machine.on_upload_end(at);
        }
        action = driver.on(event);
    };
    drop(attempts);
    let trail = Rc::new(early.charged(driver.machine.take_trail()));
    let mut account = driver.account.take();
    if let Some(account) = &mut account {
        account.on_reply(committed.as_ref().map_or(&[], |committed| committed.body.first_bytes()));
    }
    let answer = match (reply, committed, account) {
        (machine::Reply::Pass, Some(mut committed), Some(account)) => {
            cached::keep(&platform, &inbound, &trail, &mut committed);
            let completion = Completion::of(CommittedAnswer {
                platform: platform.clone(),
                serving: Rc::clone(&routes),
                ticket: driver.machine.take_ticket(),
                account,
                trail: Rc::clone(&trail),
                status: committed.status,
                commit_ms: trail.served_after_ms().filter(|_| inbound.facts.is_streamed),
                has_first_token: committed.commit == Commit::FirstToken,
                upstream_ids: std::mem::take(&mut committed.upstream_ids),
            });
            let completion = completion_of(completion, &committed.body);
            // After all that is measured: the wait is not up to the deployment.
            if let Some(note) = committed.note.take() {
                note.send(&platform, &inbound.facts.client).await;
            }
            Ok((committed, completion))
        }
        (reply, _, account) => {
            let allowed_ms = driver.machine.allowed_ms();
            let (outcome, obstacles, error) =
                failed(&platform, &inbound, &routes, (reply, refusal), &trail, allowed_ms);
            if let Some(account) = account {
                let status = early.status_or(error.status);
                close_failed(account, &outcome, obstacles.as_deref(), status, &trail);
            }
            Err(error)
        }
    };
    Driven { answer, trail }
}

fn begin_span<P: Platform>(platform: &P, is_traced: bool, inbound: &Inbound, dispatch: &Dispatch) {
    if !is_traced {
        return;
    }
    let attributes = span_attributes::of_attempt(&inbound.facts, &dispatch.deployment, dispatch.number);
    platform.begin_span(dispatch.number, &attributes);
}

fn end_span<P: Platform>(platform: &P, is_traced: bool, number: u32, failure: &Failure) {
    if !is_traced {
        return;
    }
    // The reason is a text of the upstream.
    let attributes = span_attributes::of_failure(failure);
    platform.end_span(number, &platform.isolate().without_secrets(attributes));
}

/// The completion of a committed answer. A complete answer is recorded now. For a flowing answer
/// the completion is returned, and the flow records it.
fn completion_of<P: Platform>(completion: Completion<P>, body: &CommittedBody<P>) -> Option<Completion<P>> {
    match body {
        CommittedBody::Flowing(_) => Some(completion),
        CommittedBody::Whole { usage, .. } | CommittedBody::Held { usage, .. } => {
            let usage = *usage;
            completion.record(&AnswerOutcome { learned: Outcome::Served, outcome: OK, reason: "", usage });
            None
        }
    }
}

/// Closes the account of a request without an answer.
fn close_failed<P: Platform>(
    account: RequestAccount<P>,
    outcome: &str,
    obstacles: Option<&str>,
    status: u16,
    trail: &Trail,
) {
    let mut end = RequestEnd::without_answer(outcome, status, trail);
    if let Some(obstacles) = obstacles {
        end.reason = obstacles;
    }
    account.close(&end);
}

/// The outcome of a request without an answer, what kept it from all deployments if none was tried,
/// and the reply that says why.
fn failed<P: Platform>(
    platform: &P,
    inbound: &Inbound,
    routes: &Serving,
    (reply, refusal): (machine::Reply, Option<Box<ClientError>>),
    trail: &Trail,
    allowed_ms: Millis,
) -> (String, Option<String>, ErrorReply) {
    if let Some(error) = refusal {
        return (error.code().to_owned(), None, (&*error).into());
    }
    if reply == machine::Reply::NoneEligible {
        let (error, obstacles) =
            routes.with_health(|health| inbound.none_eligible(&routes.graph, health, platform.now()));
        return (error.code().to_owned(), Some(obstacles), (&error).into());
    }
    let failures: Vec<_> = trail.failures().collect();
    let late_ms = (reply == machine::Reply::DeadlineExceeded).then_some(allowed_ms);
    let error = exhausted::reply(&failures, late_ms);
    // Without a failure, the gateway itself has ended the request.
    let of_gateway = ClientError::DeadlineExceeded { after_ms: allowed_ms };
    let decisive = exhausted::decisive(&failures);
    let outcome = decisive.map_or(of_gateway.code(), |failure| failure.class.name()).to_owned();
    let tokens = &platform.isolate().tokens;
    let masked = |text: Vec<u8>| without_secrets(&routes.graph, &tokens.borrow(), text);
    let headers = error
        .headers
        .iter()
        .map(|(name, value)| (name, String::from_utf8(masked(value.into())).unwrap_or_default()));
    let headers = Headers::of(headers);
    (outcome, None, ErrorReply { headers, body: masked(error.body), ..error })
}

/// Sends comments until the held answer is complete, then sends the answer. The status is already
/// sent, so an error becomes an event.
async fn keep_alive<P: Platform>(
    platform: P,
    driving: Pin<Box<impl Future<Output = Driven<P>>>>,
    client: P::Client,
    protocol: Protocol,
    every_ms: Millis,
) {
    let waiting = with_comments(&platform, driving, &client, every_ms);
    // Dropping the future ends the upstream call.
    let Either::Left((Some(driven), _)) = select(pin!(waiting), pin!(platform.client_left())).await else {
        return;
    };
    let bytes = match driven.answer {
        Ok((Committed { body: CommittedBody::Flowing(flow), .. }, Some(completion)))
            if flow.tail.is_some() =>
        {
            return flow::carry(platform, flow, completion, client).await;
        }
        Ok((Committed { body: CommittedBody::Held { bytes, .. }, .. }, _)) => bytes,
        Ok((_, completion)) => {
            if let Some(completion) = completion {
                let class = ErrorClass::Unavailable.name();
                completion.record(&AnswerOutcome::unmeasured(class, "not_a_stream"));
            }
            let message = "The upstream did not answer with a stream, as it was asked to.";
            error_event(protocol, &broken_stream("upstream_not_a_stream", message))
        }
        // The event contains the same error object as the body would have.
        Err(error) => {
            let body: Value = serde_json::from_slice(&error.body).unwrap_or_default();
            error_event(protocol, body.get("error").unwrap_or(&Value::Null))
        }
    };
    if client.send(&bytes).await.is_ok() {
        // If this fails, the client has left, and the error is ignored.
        let _ = client.close().await;
    }
}

/// Waits for the answer, and sends comments meanwhile. `None` if the client has left.
async fn with_comments<P: Platform>(
    platform: &P,
    mut driving: Pin<Box<impl Future<Output = Driven<P>>>>,
    client: &P::Client,
    every_ms: Millis,
) -> Option<Driven<P>> {
    loop {
        client.send(b": waiting\n\n").await.ok()?;
        match select(driving, pin!(sleep(platform, every_ms))).await {
            Either::Left((driven, _)) => return Some(driven),
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    }
}
