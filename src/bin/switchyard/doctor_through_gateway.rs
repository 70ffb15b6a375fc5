//! The calls of `switchyard doctor --gateway`: the Worker asks, with its own credentials and from
//! its own addresses.

use std::collections::BTreeMap;

use serde::Deserialize;
use switchyard::doctor::diagnosis::{QuestionOutcome, Silence};
use switchyard::doctor::question::{DoctorQuestion, QuestionKind};
use switchyard::request::percent;
use switchyard::routes::graph::Deployment;
use switchyard::upstream::entra_token::TokenFailure;
use switchyard::vocabulary::headers::Headers;

use crate::doctor_calls::{Call, each, other_kind};
use crate::gateway_client::GatewayClient;
use crate::gateway_error::GatewayError;

/// The most calls at once: the gateway serves its clients meanwhile.
const AT_ONCE: usize = 4;

/// The longest time that a gateway waits for a deployment, in seconds.
pub const MOST_SECONDS: u64 = 50;

/// The answer of `POST /admin/api/deployments/{name}/ask`.
#[derive(Debug, Deserialize)]
struct AskAnswer {
    #[serde(default)]
    host: String,
    ms: u64,
    error: Option<AskFailure>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    /// Whether the body was longer.
    #[serde(default)]
    is_cut: bool,
}

/// Why the gateway has no answer of the deployment.
#[derive(Debug, Deserialize)]
struct AskFailure {
    kind: String,
    message: String,
}

/// Has the gateway ask all deployments, some at a time. The answers are in the order of the
/// questions.
///
/// # Errors
/// The gateway cannot be asked, or refuses to ask.
pub fn ask_through(
    client: &GatewayClient,
    asked: &[(&Deployment, DoctorQuestion)],
    seconds: u64,
    shows_progress: bool,
) -> Result<Vec<Call>, GatewayError> {
    let ask = |deployment: &Deployment, question: &DoctorQuestion| {
        let call = called(client, &deployment.name, question.kind, question.key, seconds)?;
        match other_kind(question.kind, &call.outcome) {
            Some(other) => called(client, &deployment.name, other, question.key, seconds),
            None => Ok(call),
        }
    };
    each(asked, AT_ONCE, shows_progress, ask).into_iter().collect()
}

fn called(
    client: &GatewayClient,
    name: &str,
    kind: QuestionKind,
    key: usize,
    seconds: u64,
) -> Result<Call, GatewayError> {
    let path = format!(
        "/admin/api/deployments/{}/ask?question={}&key={}&seconds={seconds}&why=doctor",
        percent::encode(name),
        kind.name_in_api(),
        key + 1,
    );
    let answer: AskAnswer = client.post(&path, &[], "")?.accepted()?.json()?;
    let (host, milliseconds) = (answer.host.clone(), answer.ms);
    Ok(Call { kind, outcome: outcome(kind, answer, seconds), milliseconds, host })
}

/// What came back from the deployment.
fn outcome(kind: QuestionKind, answer: AskAnswer, seconds: u64) -> QuestionOutcome {
    let AskAnswer { error, status, headers, mut body, is_cut, .. } = answer;
    let Some(AskFailure { kind: failure, message }) = error else {
        // That there is a list is all that a list of thousands of models is asked for.
        let is_list = kind == QuestionKind::Listing && (200..300).contains(&status) && body.starts_with('{');
        if is_cut && is_list {
            r#"{"data":[]}"#.clone_into(&mut body);
        }
        let headers = Headers::of(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        return QuestionOutcome::Answer { status, headers, body: body.into_bytes() };
    };
    match failure.as_str() {
        "timeout" => QuestionOutcome::Silence(Silence::TooLate(seconds)),
        "disabled" => QuestionOutcome::NoVariable(message),
        "token_refused" | "token_unavailable" => {
            QuestionOutcome::NoToken(TokenFailure { is_refusal: failure == "token_refused", reason: message })
        }
        _ => QuestionOutcome::Silence(Silence::NoConnection(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_of(kind: QuestionKind, answer: &str) -> QuestionOutcome {
        outcome(kind, serde_json::from_str(answer).unwrap(), 7)
    }

    #[test]
    fn each_answer_of_the_gateway_has_its_outcome() {
        let chat = QuestionKind::Chat { is_reasoning: false };
        let failed = |kind: &str| {
            outcome_of(chat, &format!(r#"{{"ms":5,"error":{{"kind":"{kind}","message":"AADSTS7000215"}}}}"#))
        };
        assert_eq!(failed("timeout"), QuestionOutcome::Silence(Silence::TooLate(7)));
        assert_eq!(
            failed("connection"),
            QuestionOutcome::Silence(Silence::NoConnection("AADSTS7000215".to_owned()))
        );
        assert_eq!(failed("disabled"), QuestionOutcome::NoVariable("AADSTS7000215".to_owned()));
        let token = |is_refusal| {
            QuestionOutcome::NoToken(TokenFailure { reason: "AADSTS7000215".to_owned(), is_refusal })
        };
        assert_eq!(failed("token_refused"), token(true));
        assert_eq!(failed("token_unavailable"), token(false));
        let answer = r#"{"ms":5,"error":null,"host":"h","status":401,"headers":{"content-type":"text/plain"},"body":"no","is_cut":false}"#;
        assert_eq!(
            outcome_of(chat, answer),
            QuestionOutcome::Answer {
                status: 401,
                headers: Headers::of([("content-type", "text/plain")]),
                body: b"no".to_vec()
            }
        );
    }

    #[test]
    fn a_list_of_models_that_is_too_long_is_still_a_list() {
        let cut = r#"{"ms":5,"error":null,"status":200,"headers":{},"body":"{\"data\":[{","is_cut":true}"#;
        let QuestionOutcome::Answer { body, .. } = outcome_of(QuestionKind::Listing, cut) else {
            panic!("no answer")
        };
        assert_eq!(body, br#"{"data":[]}"#);
        let QuestionOutcome::Answer { body, .. } = outcome_of(QuestionKind::Embedding, cut) else {
            panic!("no answer")
        };
        assert_eq!(body, br#"{"data":[{"#);
    }
}
