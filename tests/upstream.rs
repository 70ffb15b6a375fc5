//! How each provider is called: URLs, headers and models, compared with the forms that the
//! providers document.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::request::percent::decode;
use switchyard::request::stored_object::StoredObject;
use switchyard::routes::graph::RateLimits;
use switchyard::routes::graph::{
    AzureApi, Capabilities, Deployment, Params, Secret, Timeouts, Upstream, Via,
};
use switchyard::upstream::{UpstreamCall, UpstreamRequest, prepare, supports};
use switchyard::vocabulary::operation::Operation::{
    self, AudioSpeech, AudioTranscriptions, AudioTranslations, ChatCompletions, Completions, Embeddings,
    ImagesEdits, ImagesGenerations, Responses, ResponsesCompact, ResponsesInputTokens,
};

const AIG: &str = "https://gateway.ai.cloudflare.com/v1/acc/gw";
const EAST: &str = "https://east.openai.azure.com";

fn deployment(upstream: Upstream) -> Deployment {
    Deployment {
        id: 0,
        name: "eu-1".to_owned(),
        upstream,
        via: None,
        api_key: Secret::new("upstream-key"),
        other_keys: Vec::new(),
        entra: None,
        disabled: None,
        region: None,
        quality: 0,
        tags: Vec::new(),
        cost: None,
        capabilities: Capabilities::default(),
        timeout: Timeouts::default(),
        params: Params::default(),
        limits: RateLimits::default(),
        ejections: switchyard::routes::graph::Ejections::default(),
        identity: "test".to_owned(),
    }
}

fn openai(base: &str) -> Deployment {
    deployment(Upstream::OpenAi {
        base: base.to_owned(),
        model: "gpt-4o".to_owned(),
        organization: None,
        project: None,
    })
}

fn azure(resource: &str, name: &str, version: Option<&str>) -> Deployment {
    deployment(Upstream::Azure {
        resource: resource.to_owned(),
        deployment: name.to_owned(),
        api: match version {
            None => AzureApi::V1 { preview: false },
            Some("preview") => AzureApi::V1 { preview: true },
            Some(version) => AzureApi::Dated(version.to_owned()),
        },
    })
}

fn via(deployment: Deployment) -> Deployment {
    Deployment {
        via: Some(Via { base: AIG.to_owned(), token: Some(Secret::new("aig-token")) }),
        ..deployment
    }
}

fn call(operation: Operation, query: &str) -> UpstreamCall<'_> {
    UpstreamCall {
        operation,
        stored_object: None,
        query,
        node: "chat",
        client: "web-app",
        request_id: "01J",
        attempt: 2,
    }
}

fn header<'a>(outgoing: &'a UpstreamRequest, name: &str) -> Option<&'a str> {
    let mut values = outgoing.headers.iter().filter(|(header, _)| *header == name);
    let value = values.next().map(|(_, value)| value.as_str());
    assert_eq!(values.next(), None, "{name} twice");
    value
}

/// The URL of a call. The deployment must support the operation.
fn url(deployment: &Deployment, operation: Operation, query: &str) -> String {
    assert!(supports(deployment, operation), "{operation:?}");
    prepare(deployment, &call(operation, query)).url
}

#[test]
fn openai_is_called_below_its_base() {
    for (base, operation, query, expected) in [
        // The base contains `/v1`.
        ("https://api.openai.com/v1", ChatCompletions, "", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1", Responses, "", "https://api.openai.com/v1/responses"),
        // A data residency host, and a compatible server with its own path.
        ("https://eu.api.openai.com/v1", Embeddings, "", "https://eu.api.openai.com/v1/embeddings"),
        ("http://127.0.0.1:9001/a/v1", AudioSpeech, "", "http://127.0.0.1:9001/a/v1/audio/speech"),
        // AzureOpenAI clients send a version that OpenAI does not know. It is removed, and other
        // parameters pass.
        (
            "https://a.com/v1",
            Responses,
            "beta=true&api-version=2024-10-21",
            "https://a.com/v1/responses?beta=true",
        ),
    ] {
        assert_eq!(url(&openai(base), operation, query), expected);
    }
}

#[test]
fn dated_azure_keeps_most_operations_below_a_deployment() {
    for (name, version, operation, expected) in [
        // The operations that Microsoft's clients list.
        ("c", "2024-10-21", ChatCompletions, "deployments/c/chat/completions?api-version=2024-10-21"),
        ("c", "2024-10-21", Completions, "deployments/c/completions?api-version=2024-10-21"),
        ("e", "2024-06-01", Embeddings, "deployments/e/embeddings?api-version=2024-06-01"),
        ("t", "2024-10-21", AudioSpeech, "deployments/t/audio/speech?api-version=2024-10-21"),
        ("w", "2024-10-21", AudioTranscriptions, "deployments/w/audio/transcriptions?api-version=2024-10-21"),
        ("w", "2024-10-21", AudioTranslations, "deployments/w/audio/translations?api-version=2024-10-21"),
        ("i", "2024-10-21", ImagesGenerations, "deployments/i/images/generations?api-version=2024-10-21"),
        ("i", "2025-04-01-preview", ImagesEdits, "deployments/i/images/edits?api-version=2025-04-01-preview"),
        // Responses requests name the deployment only in the body.
        ("c", "2025-03-01-preview", Responses, "responses?api-version=2025-03-01-preview"),
        // A name that would be more than one segment, or a query, without percent encoding.
        ("a/b?c d", "2024-10-21", Embeddings, "deployments/a%2Fb%3Fc%20d/embeddings?api-version=2024-10-21"),
    ] {
        // The three hosts that a resource can have.
        for host in ["openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"] {
            let deployment = azure(&format!("https://east.{host}"), name, Some(version));
            assert_eq!(url(&deployment, operation, ""), format!("https://east.{host}/openai/{expected}"));
        }
    }
}

#[test]
fn azure_v1_has_one_path_for_all() {
    for (version, operation, expected) in [
        (None, ChatCompletions, "https://east.openai.azure.com/openai/v1/chat/completions"),
        (None, Responses, "https://east.openai.azure.com/openai/v1/responses"),
        (None, ResponsesInputTokens, "https://east.openai.azure.com/openai/v1/responses/input_tokens"),
        (None, ResponsesCompact, "https://east.openai.azure.com/openai/v1/responses/compact"),
        // Preview features of the v1 API.
        (Some("preview"), Responses, "https://east.openai.azure.com/openai/v1/responses?api-version=preview"),
    ] {
        // The v1 API would refuse the dated version of a client.
        assert_eq!(url(&azure(EAST, "c", version), operation, "api-version=2024-10-21"), expected);
    }
}

#[test]
fn ai_gateway_has_paths_of_its_own() {
    for (deployment, operation, query, expected) in [
        // OpenAI paths without `/v1`.
        (openai("https://api.openai.com/v1"), ChatCompletions, "", "openai/chat/completions"),
        (openai("https://api.openai.com/v1"), Responses, "beta=true", "openai/responses?beta=true"),
        // Azure paths without `/openai/deployments`, and with the name of the resource instead of
        // its URL.
        (
            azure(EAST, "c", Some("2024-06-01")),
            ChatCompletions,
            "a=b",
            "azure-openai/east/c/chat/completions?a=b&api-version=2024-06-01",
        ),
        // A simulator on the loopback address.
        (
            azure("http://127.0.0.1:9001", "c", Some("2024-10-21")),
            Embeddings,
            "",
            "azure-openai/127/c/embeddings?api-version=2024-10-21",
        ),
    ] {
        assert_eq!(url(&via(deployment), operation, query), format!("{AIG}/{expected}"));
    }
}

#[test]
fn the_clients_query_passes_but_for_versions_and_keys() {
    for (query, expected) in [
        ("", "?api-version=2024-10-21"),
        ("a=%20b&c", "?a=%20b&c&api-version=2024-10-21"),
        // The deployment decides on the version. Every spelling of the client's version is removed.
        ("api-version=1&a=b&API-Version=2&api%2Dversion=3&api-version", "?a=b&api-version=2024-10-21"),
        ("my-api-version=1", "?my-api-version=1&api-version=2024-10-21"),
        // Empty parameters are removed.
        ("&&a=b&", "?a=b&api-version=2024-10-21"),
        // Azure API Management reads keys from the query. They belong to the client and are
        // removed.
        ("subscription-key=k&api-key=k", "?api-version=2024-10-21"),
    ] {
        let url = url(&azure(EAST, "c", Some("2024-10-21")), Embeddings, query);
        assert_eq!(
            url.strip_prefix("https://east.openai.azure.com/openai/deployments/c/embeddings"),
            Some(expected)
        );
    }
}

#[test]
fn the_body_names_the_model_of_openai_and_the_deployment_of_azure() {
    for (deployment, expected) in [
        (openai("https://api.openai.com/v1"), "gpt-4o"),
        (azure("https://east.openai.azure.com", "chat-eu", None), "chat-eu"),
        (azure("https://east.openai.azure.com", "chat-eu", Some("2024-10-21")), "chat-eu"),
        (via(azure("https://east.openai.azure.com", "chat-eu", Some("2024-10-21"))), "chat-eu"),
    ] {
        let outgoing = prepare(&deployment, &call(ChatCompletions, ""));
        assert_eq!(outgoing.model.as_deref(), Some(expected));
    }
}

#[test]
fn each_provider_gets_its_own_credentials_and_no_others() {
    let outgoing = prepare(&openai("https://api.openai.com/v1"), &call(ChatCompletions, ""));
    assert_eq!(
        outgoing.headers,
        [("accept-encoding", "identity".to_owned()), ("authorization", "Bearer upstream-key".to_owned())]
    );

    let outgoing = prepare(&azure("https://e.openai.azure.com", "c", None), &call(ChatCompletions, ""));
    assert_eq!(
        outgoing.headers,
        [("accept-encoding", "identity".to_owned()), ("api-key", "upstream-key".to_owned())]
    );

    let billed = deployment(Upstream::OpenAi {
        base: "https://api.openai.com/v1".to_owned(),
        model: "gpt-4o".to_owned(),
        organization: Some("org-1".to_owned()),
        project: Some("proj_1".to_owned()),
    });
    let outgoing = prepare(&billed, &call(ChatCompletions, ""));
    assert_eq!(header(&outgoing, "openai-organization"), Some("org-1"));
    assert_eq!(header(&outgoing, "openai-project"), Some("proj_1"));
}

#[test]
fn ai_gateway_gets_its_token_one_attempt_and_metadata() {
    let outgoing = prepare(&via(openai("https://api.openai.com/v1")), &call(ChatCompletions, ""));
    assert_eq!(header(&outgoing, "authorization"), Some("Bearer upstream-key"));
    assert_eq!(header(&outgoing, "cf-aig-authorization"), Some("Bearer aig-token"));
    assert_eq!(header(&outgoing, "cf-aig-max-attempts"), Some("1"));
    assert_eq!(
        header(&outgoing, "cf-aig-metadata"),
        Some(r#"{"request_id":"01J","client":"web-app","deployment":"eu-1","node":"chat","attempt":2}"#)
    );
    // The operator of that gateway configures its cache.
    assert_eq!(header(&outgoing, "cf-aig-skip-cache"), None);

    let azure = azure("https://e.openai.azure.com", "c", Some("2024-10-21"));
    let outgoing = prepare(&via(azure), &call(ChatCompletions, ""));
    assert_eq!(header(&outgoing, "api-key"), Some("upstream-key"));
    assert_eq!(header(&outgoing, "authorization"), None, "it would switch stored keys off");
}

#[test]
fn without_a_key_or_token_there_is_no_header_for_it() {
    // AI Gateway uses a stored key only if the request carries no key.
    for keyless in
        [openai("https://api.openai.com/v1"), azure("https://e.openai.azure.com", "c", Some("2024-10-21"))]
    {
        let open = Via { base: AIG.to_owned(), token: None };
        let keyless = Deployment { api_key: Secret::new(""), via: Some(open), ..keyless };
        let outgoing = prepare(&keyless, &call(ChatCompletions, ""));
        for name in ["authorization", "api-key", "cf-aig-authorization"] {
            assert_eq!(header(&outgoing, name), None, "{name}");
        }
    }
}

#[test]
fn what_an_account_keeps_is_called_by_its_path_and_without_a_model() {
    let azure_v1 = azure(EAST, "gpt", None);
    let dated = || azure(EAST, "gpt", Some("2025-04-01-preview"));
    for (deployment, path, query, expected) in [
        (openai("https://a.com/v1"), "responses/resp_1", "", "https://a.com/v1/responses/resp_1".to_owned()),
        (
            openai("https://a.com/v1"),
            "responses/resp_1",
            "stream=true&starting_after=7&api-version=v1",
            "https://a.com/v1/responses/resp_1?stream=true&starting_after=7".to_owned(),
        ),
        (
            via(openai("https://a.com/v1")),
            "responses/resp_1/cancel",
            "",
            format!("{AIG}/openai/responses/resp_1/cancel"),
        ),
        (
            azure_v1,
            "responses/resp_1/input_items",
            "limit=2",
            format!("{EAST}/openai/v1/responses/resp_1/input_items?limit=2"),
        ),
        (
            dated(),
            "responses/resp_1",
            "",
            format!("{EAST}/openai/responses/resp_1?api-version=2025-04-01-preview"),
        ),
        (
            dated(),
            "files/file-1/content",
            "api-version=2024-10-21",
            format!("{EAST}/openai/files/file-1/content?api-version=2025-04-01-preview"),
        ),
        (
            openai("https://a.com/v1"),
            "files",
            "purpose=batch",
            "https://a.com/v1/files?purpose=batch".to_owned(),
        ),
    ] {
        let stored = StoredObject::at(&path.split('/').collect::<Vec<_>>()).unwrap();
        let call = UpstreamCall { stored_object: Some(&stored), ..call(stored.operation, query) };
        let outgoing = prepare(&deployment, &call);
        assert_eq!((outgoing.url, outgoing.model), (expected, None));
    }
}

#[test]
fn deployments_are_asked_only_for_what_their_provider_has() {
    let all: Vec<Operation> = Operation::ALL.to_vec();
    let but = |missing: &[Operation]| -> Vec<Operation> {
        all.iter().copied().filter(|operation| !missing.contains(operation)).collect()
    };
    let responses = [
        Operation::Responses,
        Operation::ResponsesInputTokens,
        Operation::ResponsesCompact,
        Operation::StoredResponses,
    ];
    let not_on_azure = [Operation::Moderations, Operation::ImagesVariations];
    let later =
        [&[Operation::Conversations, Operation::Containers, Operation::Videos], &not_on_azure[..]].concat();
    let neither = [&responses[..], &later].concat();
    let stored = all.iter().copied().filter(|operation| operation.is_on_stored_objects());
    let not_below_a_deployment = [&neither[..], &stored.collect::<Vec<_>>()].concat();
    let dated = |version| azure("https://e.openai.azure.com", "c", Some(version));
    for (deployment, expected, why) in [
        (openai("https://api.openai.com/v1"), but(&[]), "OpenAI has all"),
        (via(openai("https://api.openai.com/v1")), but(&[]), "and AI Gateway passes any path on"),
        (azure("https://e.openai.azure.com", "c", None), but(&not_on_azure), "Azure v1"),
        (dated("preview"), but(&not_on_azure), "no date: v1"),
        (dated("2025-03-01-preview"), but(&later), "the first dated version with Responses"),
        (dated("2025-04-01-preview"), but(&later), "and a later one"),
        (dated("2024-10-21"), but(&neither), "too early for Responses"),
        (dated("2025-02-01-preview"), but(&neither), "just too early"),
        (
            via(dated("2025-04-01-preview")),
            but(&not_below_a_deployment),
            "AI Gateway's path names a deployment",
        ),
    ] {
        let supported: Vec<Operation> = all.iter().copied().filter(|it| supports(&deployment, *it)).collect();
        assert_eq!(supported, expected, "{why}");
    }
}

proptest! {
    #[test]
    fn metadata_is_ascii_and_says_what_it_was_given(
        node in ".*", client in ".*", name in ".*", request_id in "\\PC*", attempt in any::<u32>(),
    ) {
        let deployment = Deployment { name: name.clone(), ..via(openai("https://api.openai.com/v1")) };
        let call = UpstreamCall {
            operation: Embeddings,
            stored_object: None, query: "", node: &node, client: &client, request_id: &request_id, attempt,
        };
        let outgoing = prepare(&deployment, &call);
        let metadata = header(&outgoing, "cf-aig-metadata").unwrap();
        prop_assert!(metadata.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(
            serde_json::from_str::<Value>(metadata).unwrap(),
            json!({ "request_id": request_id, "node": node, "deployment": name, "client": client, "attempt": attempt })
        );
    }

    #[test]
    fn no_query_panics_or_smuggles_a_version(query in "[a&=%2dDpi-]{0,24}|(api-version=x|&|a=b|%61pi-version){0,4}") {
        let deployment = azure("https://e.openai.azure.com", "c", Some("2024-10-21"));
        let url = prepare(&deployment, &call(Embeddings, &query)).url;
        let (_, query) = url.split_once('?').unwrap();
        let is_version = |parameter: &&str| decode(parameter.split('=').next().unwrap()) == "api-version";
        let named = query.split('&').filter(is_version);
        prop_assert_eq!(named.collect::<Vec<_>>(), ["api-version=2024-10-21"]);
    }
}
