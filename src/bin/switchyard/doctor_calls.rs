//! The calls of `switchyard doctor`.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use switchyard::doctor::diagnosis::{QuestionOutcome, Silence, wants_completion_limit};
use switchyard::doctor::question::{DoctorQuestion, QuestionKind};
use switchyard::routes::entra::Entra;
use switchyard::routes::graph::Deployment;
use switchyard::upstream::entra_token::{TokenFailure, TokenRequest, token_answer, token_request};
use switchyard::vocabulary::headers::Headers;
use ureq::http::{Method, Request, Uri};
use ureq::{Agent, Error};

use crate::http_agent::{self, is_local, is_tls, is_unknown_host, with_tls};

/// The most calls at once.
const AT_ONCE: usize = 8;
/// The most of an answer that is read. The list of models of a resource has some hundred kilobytes.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// What came back from a deployment.
pub struct Call {
    /// The question that was asked last.
    pub kind: QuestionKind,
    /// What came back.
    pub outcome: QuestionOutcome,
    /// How long it took.
    pub milliseconds: u64,
    /// The host that was asked.
    pub host: String,
}

/// Asks all deployments from this machine, some at a time. The answers are in the order of the
/// questions.
pub fn ask_all(asked: &[(&Deployment, DoctorQuestion)], limit: Duration, shows_progress: bool) -> Vec<Call> {
    let agents = Agents::new(limit);
    each(asked, AT_ONCE, shows_progress, |deployment, question| agents.ask(deployment, question))
}

/// Has `ask` ask all questions, so many at a time. The results are in the order of the questions.
pub fn each<T: Send>(
    asked: &[(&Deployment, DoctorQuestion)],
    at_once: usize,
    shows_progress: bool,
    ask: impl Fn(&Deployment, &DoctorQuestion) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(asked.len()) {
            let (sender, ask, next) = (sender.clone(), &ask, &next);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((deployment, question)) = asked.get(place) else { break };
                    if sender.send((place, ask(deployment, question))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let shows_progress = shows_progress && std::io::stderr().is_terminal();
        for (count, (place, result)) in (1..).zip(receiver) {
            if let Some(found) = results.get_mut(place) {
                *found = Some(result);
            }
            if shows_progress {
                eprint!("\r{count} of {} have answered", asked.len());
                let _ = std::io::stderr().flush();
            }
        }
        if shows_progress {
            eprint!("\r\u{1b}[K");
        }
    });
    results.into_iter().flatten().collect()
}

/// The question to ask in place of one that was answered like this, because the model wants the
/// other name of the limit.
pub fn other_kind(kind: QuestionKind, outcome: &QuestionOutcome) -> Option<QuestionKind> {
    let wants_other = kind == QuestionKind::Chat { is_reasoning: false } && wants_completion_limit(outcome);
    wants_other.then_some(QuestionKind::Chat { is_reasoning: true })
}

/// The clients: a proxy of the environment does not know what runs on this machine.
struct Agents {
    local: Agent,
    remote: Agent,
    limit: Duration,
}

impl Agents {
    fn new(limit: Duration) -> Self {
        let agent =
            |is_local| with_tls(http_agent::config(is_local)).timeout_global(Some(limit)).build().into();
        Self { local: agent(true), remote: agent(false), limit }
    }

    /// Asks a question, and once more if the model wants the other name of the limit.
    fn ask(&self, deployment: &Deployment, question: &DoctorQuestion) -> Call {
        let host = question.host().to_owned();
        let token = match deployment.entra.as_ref().map(|entra| self.token(entra)).transpose() {
            Ok(token) => token,
            Err(failure) => {
                return Call {
                    kind: question.kind,
                    outcome: QuestionOutcome::NoToken(failure),
                    milliseconds: 0,
                    host,
                };
            }
        };
        let timed = |question: &DoctorQuestion| self.timed(question, token.as_deref());
        let (outcome, milliseconds) = timed(question);
        let other = other_kind(question.kind, &outcome)
            .and_then(|kind| DoctorQuestion::with_key(deployment, kind, question.key));
        match other {
            Some(other) => {
                let (outcome, milliseconds) = timed(&other);
                Call { kind: other.kind, outcome, milliseconds, host }
            }
            None => Call { kind: question.kind, outcome, milliseconds, host },
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the command line is outside the core")]
    fn timed(&self, question: &DoctorQuestion, token: Option<&str>) -> (QuestionOutcome, u64) {
        let began = std::time::Instant::now();
        let outcome = self
            .outcome(question, token)
            .unwrap_or_else(|error| QuestionOutcome::Silence(self.silence(&error)));
        (outcome, u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn agent(&self, url: &str) -> &Agent {
        let uri: Uri = url.parse().unwrap_or_default();
        if uri.host().is_some_and(is_local) { &self.local } else { &self.remote }
    }

    /// Asks Entra ID for a token.
    fn token(&self, entra: &Entra) -> Result<String, TokenFailure> {
        let TokenRequest { url, form } = token_request(entra);
        let request = Request::builder()
            .uri(&url)
            .method(Method::POST)
            .header("content-type", "application/x-www-form-urlencoded");
        let unreachable = |_| TokenFailure::unreachable();
        let request = request.body(form).map_err(|_| TokenFailure::unreachable())?;
        let mut answer = self.agent(&url).run(request).map_err(unreachable)?;
        let text = answer.body_mut().with_config().limit(MOST_BYTES).read_to_string().map_err(unreachable)?;
        Ok(token_answer(answer.status().as_u16(), &text)?.text)
    }

    fn outcome(&self, question: &DoctorQuestion, token: Option<&str>) -> Result<QuestionOutcome, Error> {
        let agent = self.agent(&question.url);
        let mut request = Request::builder().uri(&question.url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &question.headers {
            request = request.header(*name, value);
        }
        let mut answer = match &question.body {
            None => agent.run(request.method(Method::GET).body(())?)?,
            Some(body) => {
                let request = request.method(Method::POST).header("content-type", "application/json");
                agent.run(request.body(body.as_slice())?)?
            }
        };
        let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
        let headers = Headers::of(
            answer.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
        );
        Ok(QuestionOutcome::Answer { status: answer.status().as_u16(), headers, body })
    }

    fn silence(&self, error: &Error) -> Silence {
        match error {
            Error::Timeout(_) => Silence::TooLate(self.limit.as_secs()),
            error if is_unknown_host(error) => Silence::UnknownHost,
            Error::Io(error) if is_tls(error) => Silence::Tls(error.to_string()),
            Error::Rustls(error) => Silence::Tls(error.to_string()),
            Error::Tls(why) => Silence::Tls((*why).to_owned()),
            error => Silence::NoConnection(error.to_string()),
        }
    }
}
