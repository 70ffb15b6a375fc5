//! The texts, codes and statuses of errors.

use std::collections::BTreeMap;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::*;
use crate::vocabulary::admission_fault::RequestLimit;
use crate::vocabulary::limit::Period;
use crate::vocabulary::needs::Feature;
use crate::vocabulary::time::short::ms;

const INPUT: Lack = Lack::ContextTokens { needed: 150_000, most: 128_000 };
const OUTPUT: Lack = Lack::OutputTokens { needed: 200_000, most: 16_384 };

fn lacking(lacks: &[Lack]) -> ClientError {
    ClientError::CapabilityMissing { model: "chat".into(), lacks: lacks.to_vec(), limit: "max_tokens" }
}

fn beyond(limit: RequestLimit, found: Option<u64>) -> ClientError {
    ClientError::NotAdmitted(AdmissionFault::Beyond { limit, most: 1_000, found })
}

/// Limits of each unit.
fn limits() -> Vec<ClientError> {
    vec![
        ClientError::LimitReached {
            rate: LimitRate { unit: LimitUnit::Requests, amount: 600, per: Some(Period::Minute) },
            is_own: true,
            retry_ms: Some(ms(1_500)),
        },
        ClientError::LimitReached {
            rate: LimitRate { unit: LimitUnit::Tokens, amount: 9_000, per: Some(Period::Hour) },
            is_own: false,
            retry_ms: Some(ms(100)),
        },
        ClientError::LimitReached {
            rate: LimitRate { unit: LimitUnit::MicroUsd, amount: 500_250_000, per: Some(Period::Month) },
            is_own: true,
            retry_ms: Some(ms(86_400_000)),
        },
        ClientError::LimitReached {
            rate: LimitRate { unit: LimitUnit::Concurrent, amount: 40, per: None },
            is_own: true,
            retry_ms: Some(ms(1_000)),
        },
        ClientError::LimitReached {
            rate: LimitRate { unit: LimitUnit::Tokens, amount: 9_000, per: Some(Period::Day) },
            is_own: false,
            retry_ms: None,
        },
    ]
}

/// One of each variant, and more than one where messages differ.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn all() -> Vec<ClientError> {
    let quality = "quality is below 3".to_owned();
    let tag = "tag 'eu' is missing".to_owned();
    let mut all = vec![
        ClientError::InvalidApiKey,
        ClientError::NoClients,
        ClientError::InvalidAdminToken,
        ClientError::DeploymentNotFound {
            deployment: "azure-eastsu".into(),
            nearest: Some("azure-eastus".into()),
        },
        ClientError::AdminTokenNeeded,
        ClientError::FaultNotAllowed,
        ClientError::InvalidFault { text: "azure-eastsu=429".into(), nearest: Some("azure-eastus".into()) },
        ClientError::AccessNotAdmitted { name: "ada@example.com".into() },
        ClientError::CrossSiteRequest,
        ClientError::RegistryMissing,
        ClientError::RegistryUnavailable,
        ClientError::IfMatchMissing,
        ClientError::RoutesChanged { current: "0123456789ab".into() },
        ClientError::ChangeUnderWay,
        ClientError::CanaryUnderWay { version: "0123456789ab".into() },
        ClientError::NoCanary,
        ClientError::VersionNotFound { version: "0123456789ac".into() },
        ClientError::RoutesRefused { count: 2 },
        ClientError::RoutesNotWritten,
        ClientError::SwitchNotShared,
        ClientError::MetricsUnavailable,
        ClientError::RequestNotFound { id: "req_1f".into() },
        ClientError::RecordsUnavailable,
        ClientError::UnsupportedEncoding { encoding: "gzip".into() },
        ClientError::RequestTimeout { after_ms: ms(120_000) },
        ClientError::TooManyBodies,
        ClientError::Internal,
        ClientError::KeyExpired,
        ClientError::KeyRevoked,
        ClientError::KeysUnavailable,
        ClientError::KeyNotFound { id: "key_17".into() },
        ClientError::KeyNotActive,
        ClientError::ClientNotFound { client: "web-ap".into(), nearest: Some("web-app".into()) },
        ClientError::ClientNotFound { client: "mobile".into(), nearest: None },
        ClientError::KeysNotAllowed { client: "web-app".into(), lacks: "allow_keys" },
        ClientError::KeysNotWritten,
        ClientError::ModelNotFound { model: "chat-prd".into(), nearest: Some("chat-prod".into()) },
        ClientError::ModelNotFound { model: "gpt-9".into(), nearest: None },
        ClientError::LimitsUnavailable,
        ClientError::NotAdmitted(AdmissionFault::Address),
        ClientError::NotAdmitted(AdmissionFault::Country),
        ClientError::NotAdmitted(AdmissionFault::Operation("files")),
        ClientError::NotAdmitted(AdmissionFault::Metadata("team".into())),
        ClientError::NotAdmitted(AdmissionFault::Header("x-tier".into())),
        ClientError::NotAdmitted(AdmissionFault::Parameter("store".into())),
        ClientError::NotAdmitted(AdmissionFault::Parameter("tools:web_search".into())),
        beyond(RequestLimit::Bytes, Some(2_000)),
        beyond(RequestLimit::Bytes, None),
        beyond(RequestLimit::InputTokens, Some(2_000)),
        beyond(RequestLimit::OutputTokens, Some(2_000)),
        beyond(RequestLimit::OutputTokens, None),
        beyond(RequestLimit::Images, Some(2_000)),
        beyond(RequestLimit::Images, None),
        ClientError::Denied {
            rule: 3,
            denial: Denial { status: 451, code: "not_here".into(), message: "Not from here.".into() },
        },
        ClientError::InvalidJson("expected `:` at line 1 column 9".into()),
        ClientError::InvalidForm("the boundary is missing".into()),
        ClientError::MissingModel,
        ClientError::RequestTooLarge { limit: 104_857_600 },
        ClientError::NoEligibleDeployment {
            model: "chat-strict".into(),
            reasons: vec![quality, tag],
            returns_in_ms: None,
        },
        ClientError::NoEligibleDeployment {
            model: "chat-strict".into(),
            reasons: Vec::new(),
            returns_in_ms: None,
        },
        ClientError::NoEligibleDeployment {
            model: "chat".into(),
            reasons: vec!["5 failures in a row, the last: timeout".into()],
            returns_in_ms: Some(ms(8_200)),
        },
        lacking(&[OUTPUT]),
        lacking(&[INPUT, Lack::ContextTokens { needed: 150_000, most: 8_192 }]),
        lacking(&[Lack::Feature(Feature::Vision)]),
        lacking(&[Lack::Feature(Feature::Tools), OUTPUT, INPUT, Lack::Feature(Feature::JsonSchema)]),
        ClientError::UpstreamUnreachable { attempts: 1 },
        ClientError::UpstreamUnreachable { attempts: 3 },
        ClientError::UpstreamTimeout { attempts: 2 },
        ClientError::OutcomeUnknown { is_late: false },
        ClientError::DeadlineExceeded { after_ms: ms(120_000) },
        ClientError::RoutesUnavailable,
        ClientError::UnknownPath { method: "POST".into(), path: "/v1/chat/completion".into() },
        ClientError::MethodNotAllowed { method: "DELETE".into(), allow: "POST" },
        ClientError::WebSocketNotSupported { path: "/v1/responses".into() },
        ClientError::StatefulOperation { path: "/v1/realtime".into() },
        ClientError::InvalidObjectPath { path: "files/..".into() },
        ClientError::ObjectNotFound { path: "files/file-1".into() },
        ClientError::NotOwnObject { id: "file-1".into() },
        ClientError::ObjectsUnavailable,
        ClientError::ListNotReadable,
        ClientError::NoOwnListed { passed: 2_000 },
    ];
    all.extend(limits());
    all.extend(AccessFault::ALL.map(ClientError::AccessTokenRefused));
    all
}

fn fields(error: &ClientError) -> BTreeMap<String, Value> {
    let body: Value = serde_json::from_str(&error.body()).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    serde_json::from_value(body["error"].clone()).unwrap()
}

#[test]
fn every_error_says_what_is_wrong_and_how_to_mend_it() {
    let described: Vec<String> = all()
        .iter()
        .map(|error| {
            let retry = if error.is_retryable() { ", retry" } else { "" };
            format!("{}{retry}\n{}\n", error.status(), error.body())
        })
        .collect();
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn bodies_have_exactly_the_fields_of_openai() {
    for error in all() {
        let fields = fields(&error);
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["code", "message", "param", "type"]);
        assert_eq!(fields["code"], error.code());
        assert_eq!(fields["type"], error.kind());
    }
}

#[test]
fn what_is_the_callers_fault_is_not_worth_a_retry() {
    // A rate limit is the exception: waiting cures it.
    assert!(
        all().iter().all(|error| error.status() >= 500 || error.status() == 429 || !error.is_retryable())
    );
}

#[test]
fn long_and_odd_words_of_clients_are_cut_and_cleaned() {
    let error = ClientError::ModelNotFound { model: "é".repeat(5000), nearest: None };
    let cut = format!("Model '{}…' does not exist, or you may not use it.", "é".repeat(100));
    assert!(error.message().starts_with(&cut), "{}", error.message());

    let exact = ClientError::ModelNotFound { model: "x".repeat(100), nearest: None };
    assert!(exact.message().contains(&format!("'{}'", "x".repeat(100))));

    let odd = ClientError::UnknownPath { method: "GET".into(), path: "/a\r\n\"}\u{0}\u{1b}[31m".into() };
    assert!(odd.message().contains("GET /a  \"}  [31m."), "{}", odd.message());
    assert_eq!(fields(&odd)["message"], odd.message());
}

#[test]
fn many_reasons_are_not_all_listed() {
    let reasons = (0..1000).map(|number| format!("reason {number}")).collect();
    let message =
        ClientError::NoEligibleDeployment { model: "m".into(), reasons, returns_in_ms: None }.message();
    assert!(message.contains("reason 4.") && !message.contains("reason 5"), "{message}");
}

proptest! {
    #[test]
    fn bodies_are_short_json_whatever_clients_send(words in ".{0,300}", more in any::<String>()) {
        for error in [
            ClientError::NotAdmitted(AdmissionFault::Parameter(words.clone())),
            ClientError::NotAdmitted(AdmissionFault::Header(words.clone())),
            ClientError::ModelNotFound { model: words.clone(), nearest: Some(more.clone()) },
            ClientError::DeploymentNotFound { deployment: words.clone(), nearest: Some(more.clone()) },
            ClientError::InvalidJson(words.clone()),
            ClientError::InvalidForm(words.clone()),
            ClientError::NoEligibleDeployment { model: words.clone(), reasons: vec![more.clone(); 9], returns_in_ms: None },
            ClientError::UnknownPath { method: words.clone(), path: more.clone() },
            ClientError::MethodNotAllowed { method: words.clone(), allow: "POST" },
            ClientError::StatefulOperation { path: words.clone() },
            ClientError::WebSocketNotSupported { path: words.clone() },
            ClientError::InvalidObjectPath { path: words.clone() },
            ClientError::ObjectNotFound { path: words.clone() },
            ClientError::NotOwnObject { id: words.clone() },
            ClientError::CapabilityMissing { model: words.clone(), lacks: vec![INPUT, OUTPUT], limit: "max_tokens" },
        ] {
            let message = error.message();
            prop_assert!(message.chars().count() < 1000);
            prop_assert!(!message.chars().any(char::is_control));
            prop_assert_eq!(&fields(&error)["message"], &message);
        }
    }
}
