//! Which texts of an upstream are masked before a client or a log gets them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::json;
use switchyard::reply::masks::{without_secrets, without_secrets_of, without_secrets_of_beginning};
use switchyard::routes::compile;
use switchyard::routes::graph::Graph;
use switchyard::upstream::token_store::TokenStore;

fn graph() -> Graph {
    let document = json!({
        "version": 1,
        "clients": { "app": { "key": "${APP_KEY}" } },
        "deployments": {
            "a": { "provider": "azure", "endpoint": "https://My-Team.openai.azure.com", "api_key": "${AZURE}",
                   "deployment": "gpt", "model": "gpt-4o" },
            "b": { "provider": "openai", "endpoint": "https://10.0.0.7:8080/v1", "api_key": "${SHORT}", "model": "m" },
            "c": { "provider": "openai", "api_key": "${SLASH}", "model": "m",
                   "via": { "gateway": "main", "account": "acc0123456789", "token": "${TOKEN}" } },
            "d": { "provider": "openai", "endpoint": "http://localhost:9/v1", "api_key": "${QUOTE}", "model": "m" },
            "e": { "provider": "openai", "api_key": ["${SIGNS}", "${OLD}"], "model": "m" },
        },
        "models": { "chat": { "targets": ["a", "b", "c", "d", "e"] } },
    });
    let variable = |name: &str| {
        let value = match name {
            "APP_KEY" => "app-key-0123456789",
            "AZURE" => "0123456789abcdef0123456789abcdef",
            "SHORT" => "dummy",
            "SLASH" => "key/with/slashes==",
            "OLD" => "old-key-0123456789",
            "TOKEN" => "cf-token-0123456789",
            "SIGNS" => "sk+a'b&c<d>e=f\"g",
            "QUOTE" => "a'key\\with-a-backslash",
            _ => return None,
        };
        Some(value.to_owned())
    };
    compile(&document.to_string(), &variable).unwrap_or_else(|issues| panic!("{issues:#?}")).graph
}

fn masked(text: &str) -> String {
    String::from_utf8(without_secrets(&graph(), &TokenStore::default(), text.as_bytes().to_vec())).unwrap()
}

#[test]
fn the_exact_secrets_and_hosts_of_the_document_are_masked_and_nothing_else() {
    for (text, expected) in [
        ("Incorrect API key provided: 0123456789abcdef0123456789abcdef.", "Incorrect API key provided: ***."),
        ("0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcde"),
        // Of clients and of AI Gateway, too.
        ("app-key-0123456789 and cf-token-0123456789", "*** and ***"),
        // Each key of a list.
        ("old-key-0123456789", "***"),
        // As they stand in JSON.
        (r#"{"k":"key/with/slashes==","l":"key\/with\/slashes=="}"#, r#"{"k":"***","l":"***"}"#),
        (r#"{"k":"a'key\\with-a-backslash"}"#, r#"{"k":"***"}"#),
        // A short value may be part of any word.
        ("dummy", "dummy"),
        ("no route to https://my-team.openai.azure.com/openai/v1", "no route to https://***/openai/v1"),
        ("MY-TEAM.OPENAI.AZURE.COM:443", "***:443"),
        ("connect to 10.0.0.7:8080 failed", "connect to ***:8080 failed"),
        // Other hosts, also such that contain the name of one.
        ("not-my-team.openai.azure.com", "not-my-team.openai.azure.com"),
        ("x.my-team.openai.azure.com", "x.my-team.openai.azure.com"),
        ("10.0.0.77", "10.0.0.77"),
        // Hosts that everybody knows, and local ones.
        (
            "https://api.openai.com and https://gateway.ai.cloudflare.com",
            "https://api.openai.com and https://gateway.ai.cloudflare.com",
        ),
        ("localhost:9", "localhost:9"),
        ("grüße, 10.0.0.7 ende", "grüße, *** ende"),
        ("", ""),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
}

#[test]
fn a_secret_is_found_in_json_whatever_is_written_as_escapes() {
    let signs = "sk+a'b&c<d>e=f\"g";
    let all = |text: &str| text.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    let again = |json: &str| json.replace('\\', "\\\\").replace('"', "\\\"");
    let dot_net = r"sk\u002Ba\u0027b\u0026c\u003Cd\u003Ee=f\u0022g";
    let go = r#"sk+a'b\u0026c\u003cd\u003ee=f\"g"#;
    let slash = r"key\u002Fwith\/slashes\u003d=";
    let backslash = r"a\u0027key\u005Cwith-a-backslash";
    for written in [signs, dot_net, go, &all(signs), slash, &all("app-key-0123456789"), backslash] {
        for quoted in [written.to_owned(), again(written), again(&again(written))] {
            let text = format!("{{\"message\":\"key {quoted} is wrong\"}}");
            assert_eq!(masked(&text), "{\"message\":\"key *** is wrong\"}", "{text}");
        }
    }
    // Another text, or only a part of the secret.
    for text in [
        r"sk\u002Ba\u0027b\u0026c\u003Cd",
        r"sk\u002ba\u0027b\u0026c\u003Cd\u003Ef",
        r"\u00",
        r"sk\",
        r"sk\u00zz",
    ] {
        assert_eq!(masked(text), text);
    }
    // A host may follow an escape.
    assert_eq!(masked(r"at\nmy-team.openai.azure.com\nfailed"), r"at\n***\nfailed");
}

#[test]
fn texts_that_overlap_are_one_mask() {
    let twice = "0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_eq!(masked(twice), "***0123456789abcdef");
    assert_eq!(masked(&"app-key-0123456789".repeat(2)), "******");
}

#[test]
fn the_beginning_of_a_text_ends_with_no_part_of_a_secret_or_a_host() {
    let graph = graph();
    let all = |text: &str| text.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    let again = |json: &str| json.replace('\\', "\\\\").replace('"', "\\\"");
    for (place, name, secret) in [(0, "a", "0123456789abcdef0123456789abcdef"), (4, "e", "sk+a'b&c<d>e=f\"g")]
    {
        let deployment = &graph.deployments[place];
        assert_eq!(&*deployment.name, name);
        let masked = |text: &str| {
            let text = text.as_bytes().to_vec();
            String::from_utf8(without_secrets_of_beginning(deployment, &TokenStore::default(), text)).unwrap()
        };
        for written in [secret.to_owned(), all(secret)] {
            for quoted in [written.clone(), again(&written), again(&again(&written))] {
                for end in 1..quoted.len() {
                    assert_eq!(
                        masked(&format!("The key: {}", quoted.split_at(end).0)),
                        "The key: ***",
                        "{quoted} {end}"
                    );
                }
            }
        }
        for other in ["The key is wrong", "", "at My-Teamx", "xmy-team"] {
            assert_eq!(masked(other), other);
        }
    }
    let host = "my-team.openai.azure.com";
    for end in 1..=host.len() {
        let text = format!("at https://{}", host.to_ascii_uppercase().split_at(end).0).into_bytes();
        let masked = without_secrets_of_beginning(&graph.deployments[0], &TokenStore::default(), text);
        assert_eq!(String::from_utf8(masked).unwrap(), "at https://***");
    }
}

#[test]
fn of_one_deployment_only_its_own_are_masked() {
    let graph = graph();
    let [a, ..] = graph.deployments.as_slice() else { panic!("there are five") };
    let text = "my-team.openai.azure.com 0123456789abcdef0123456789abcdef app-key-0123456789 10.0.0.7";
    let masked = without_secrets_of(a, &TokenStore::default(), text.as_bytes().to_vec());
    assert_eq!(String::from_utf8(masked).unwrap(), "*** *** app-key-0123456789 10.0.0.7");
}
