//! What the command says: nothing is dropped in silence, no secret is shown, and bad files are
//! refused with their place.

use proptest::prelude::*;
use serde_json::Value;

use super::{command, fresh_path, import, import_with};

const ROW: &str =
    "model_list:\n  - {model_name: m, litellm_params: {model: openai/x, api_key: os.environ/KEY}}\n";

#[test]
fn a_secret_in_the_file_becomes_a_variable_and_is_never_shown() {
    let text = "model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_key: sk-very-secret}}
  - {model_name: n, litellm_params: {model: openai/y, api_key: sk-very-secret, azure_ad_token: sk-very-secret}}
general_settings: {master_key: sk-very-secret}
environment_variables: {OTHER: sk-very-secret}
credential_list: [{credential_name: c, credential_values: {api_key: sk-very-secret}}]
";
    for arguments in [&[][..], &["--json"]] {
        let output = command(text.as_bytes(), arguments);
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("very-secret"), "{said}");
        assert!(said.contains("OPENAI_X_API_KEY") && said.contains("LITELLM_MASTER_KEY"), "{said}");
    }
    let imported = import(text);
    imported.assert_note("environment_variables.OTHER", "no_equivalent", 5);
    let deployments = &imported.document()["deployments"];
    assert_eq!(deployments["openai-x"]["api_key"], deployments["openai-y"]["api_key"]);
}

#[test]
fn a_row_for_any_model_keeps_the_models_that_can_be_called() {
    let row =
        "model_list:\n  - {model_name: 'all-*', litellm_params: {model: '*', api_key: os.environ/KEY}}\n";
    let names =
        ["--model", "all-gpt-4o", "--model", "all-bedrock/x", "--model", "all-gpt 5", "--model", "all-o3"];
    let imported = import_with(row, &names);
    let models: Vec<&String> = imported.document()["models"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["all-gpt-4o", "all-o3"]);
    let said: Vec<&str> =
        imported.notes("model_list[0]").iter().map(|note| note["note"].as_str().unwrap()).collect();
    assert!(said.iter().any(|note| note.starts_with("`all-bedrock/x` is left out")), "{said:?}");
    assert!(said.iter().any(|note| note.starts_with("`all-gpt 5` is left out")), "{said:?}");
    assert!(said.iter().any(|note| note.contains("`all-gpt-4o`, `all-o3`")), "{said:?}");
    // Without names, there is nothing to import, and the report says what to do.
    let output = command(row.as_bytes(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("--model NAME"), "{said}");
}

#[test]
fn a_model_that_is_a_variable_is_left_out_with_the_reason() {
    let imported = import(&format!(
        "{ROW}  - {{model_name: v, litellm_params: {{model: os.environ/AZURE_MODEL, api_key: os.environ/KEY}}}}\n"
    ));
    let found = imported.notes("model_list[1]");
    assert!(found.iter().any(|note| note["note"].as_str().unwrap().contains("is a variable")), "{found:?}");
}

#[test]
fn named_credentials_fill_in_what_a_row_lacks() {
    let imported = import(
        "credential_list: [{credential_name: c, credential_values: {api_key: os.environ/SHARED, api_base: 'https://r.openai.azure.com'}}]
model_list:
  - {model_name: m, litellm_params: {model: azure/d, litellm_credential_name: c, api_version: '2024-10-21'}}
",
    );
    let made = &imported.document()["deployments"]["azure-d"];
    assert_eq!(
        (&made["api_key"], &made["endpoint"]),
        (&"${SHARED}".into(), &"https://r.openai.azure.com".into())
    );
}

#[test]
fn anchors_and_merges_are_understood() {
    let imported = import(
        "defaults: &d {api_key: os.environ/KEY, timeout: 7}
model_list:
  - model_name: m
    litellm_params: {<<: *d, model: openai/x}
",
    );
    assert_eq!(imported.document()["deployments"]["openai-x"]["timeout"]["headers_ms"], 7000);
    imported.assert_note("defaults", "not_needed", 1);
}

#[test]
fn rows_with_the_same_id_are_two_deployments() {
    let row = "  - {model_name: m, litellm_params: {model: openai/x, api_key: os.environ/KEY}, model_info: {id: same}}\n";
    let imported = import(&format!("model_list:\n{row}{row}"));
    let names: Vec<&String> = imported.document()["deployments"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["same", "same-2"]);
}

#[test]
fn a_key_that_stands_twice_is_reported() {
    let imported = import(&format!("{ROW}router_settings:\n  timeout: 1\n  timeout: 2\n"));
    imported.assert_note("router_settings.timeout", "no_equivalent", 4);
    assert_eq!(imported.document()["settings"]["timeout"]["headers_ms"], 2000);
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let bomb = (1..40)
        .fold("a0: &a0 [x, x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    let deep = "[".repeat(20_000);
    let many = format!("model_list: [{}]", "1,".repeat(250_000));
    for (content, part) in [
        ("model_list:\n  - a: 1\n b: 2\n", ":3:"),
        ("model_list: [\n", ":2:"),
        ("a: sk-secret: [\n", ":1:"),
        ("", "`model_list` is expected"),
        ("# nothing\n", "`model_list` is expected"),
        ("- model_name: m\n", "`model_list` is expected"),
        ("just text", "`model_list` is expected"),
        ("model_list: []\n", "nothing is imported"),
        ("model_list:\n  - {model_name: c, litellm_params: {model: bedrock/c}}\n", "nothing is imported"),
        ("router_settings: {num_retries: 1}\n", "nothing is imported"),
        ("model_list:\n  - model_name: a\n\tb: 1\n", "not with tabs"),
        ("model_list:\n  - model_name: *\n", "needs quotes"),
        ("model_list:\n  - model_name: @a\n", "needs quotes"),
        ("model_list:\n  - model_name: *a\n", "further above"),
        ("model_list:\n  - model_name a\n    b: 1\n", "lacks the `:`"),
        ("model_list:\n  - model_name: \"a\n    b: 1\n", "is not closed"),
        ("model_list: [{a: 1, b: {c: 1]\n", "is not closed"),
        ("model_list:\n  - a: 1\n    b:\n      c: 1\n     d: 1\n", "is indented neither"),
        ("model_list: 5\n", "a list is expected"),
        (&bomb, "too large"),
        (&deep, "error: "),
        (&many, "too many values"),
        ("model_list: 1\n---\nmodel_list: 2\n", "second document"),
    ] {
        let output = command(content.as_bytes(), &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        let start: String = content.chars().take(60).collect();
        assert_eq!(output.status.code(), Some(1), "{start}: {said}");
        assert!(
            said.contains(part) && !said.contains("panicked") && !said.contains("sk-secret"),
            "{start}: {said}"
        );
        assert!(output.stdout.is_empty(), "{start}");
    }
    assert_eq!(command(b"\xff\xfe\x00", &[]).status.code(), Some(1));
}

#[test]
fn a_file_is_replaced_only_by_force() {
    let path = fresh_path(".json");
    let output = path.to_str().unwrap();
    assert_eq!(command(ROW.as_bytes(), &["--output", output]).status.code(), Some(0));
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(serde_json::from_str::<Value>(&written).is_ok() && written.contains("\"$schema\""));
    std::fs::write(&path, "mine").unwrap();
    let refused = command(ROW.as_bytes(), &["--output", output]);
    assert_eq!((refused.status.code(), std::fs::read_to_string(&path).unwrap().as_str()), (Some(2), "mine"));
    assert_eq!(command(ROW.as_bytes(), &["--output", output, "--force"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    std::fs::remove_file(path).unwrap();
}

/// A plausible value for a key.
fn sample(key: &str) -> &'static str {
    match key {
        "routing_strategy" => "least-busy",
        "load_balance_strategy" => "random",
        "routing_groups" => "[{group_name: g, models: [m], routing_strategy: least-busy}]",
        "retry_policy" => "{TimeoutErrorRetries: 1}",
        "allowed_fails_policy" => "{TimeoutErrorAllowedFails: 1}",
        "model_group_retry_policy" => "{m: {TimeoutErrorRetries: 1}}",
        "fallbacks" | "context_window_fallbacks" | "content_policy_fallbacks" => "[{m: [n]}]",
        "default_fallbacks" | "fallback_models" => "[n]",
        "model_group_alias" => "{other: m}",
        "optional_pre_call_checks" => "[prompt_caching]",
        "master_key" | "api_key" => "os.environ/SOME_KEY",
        "api_type" => "azure",
        "custom_llm_provider" => "groq",
        "region_name" => "eastus",
        "api_base" | "base_url" => "'https://r.openai.azure.com'",
        "api_version" => "'2024-10-21'",
        "tags" | "additional_drop_params" => "[one]",
        "extra_body" => "{field: 1}",
        "organization" | "user" | "reasoning_effort" | "service_tier" | "id" | "base_model" => "text",
        "azure_deployment" => "deployed",
        "litellm_credential_name" => "c",
        key if key.starts_with("supports") || key.starts_with("enable") => "true",
        _ => "1",
    }
}

#[test]
fn each_key_that_the_table_promises_is_read() {
    let docs = include_str!("../../docs/moving-from-litellm.md");
    let mut tried = 0;
    for line in docs.lines().filter(|line| line.contains("| same |") || line.contains("| near |")) {
        let path = line.split('`').nth(1).unwrap();
        let Some((section, key)) =
            path.rsplit_once('.').filter(|(section, _)| !section.starts_with("router["))
        else {
            continue;
        };
        if ["model_name", "model", "credential_name", "credential_values", "litellm_params", "model_info"]
            .contains(&key)
        {
            continue;
        }
        let value = sample(key);
        let (mut params, mut info, mut credential, mut more) =
            (String::new(), String::new(), String::new(), String::new());
        match section {
            "model_list[].litellm_params" => params = format!("{key}: {value}"),
            "model_list[].model_info" => info = format!("{key}: {value}"),
            "credential_list[].credential_values" => {
                params = "litellm_credential_name: c".to_owned();
                credential = format!("{key}: {value}");
            }
            section => more = format!("{section}: {{{key}: {value}}}\n"),
        }
        let azure = ["api_version", "base_model", "azure_deployment", "api_base"].contains(&key);
        let model = if azure { "azure/x" } else { "x" };
        let router = if key == "deployment_affinity_ttl_seconds" {
            "router_settings: {optional_pre_call_checks: [deployment_affinity], deployment_affinity_ttl_seconds: 1}\n"
        } else {
            &more
        };
        let imported = import(&format!(
            "credential_list: [{{credential_name: c, credential_values: {{{credential}}}}}]
model_list:
  - {{model_name: m, litellm_params: {{model: {model}, {params}}}, model_info: {{{info}}}}}
  - {{model_name: n, litellm_params: {{model: openai/n}}}}
{router}"
        ));
        let lost: Vec<&Value> = imported.report["notes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|note| note["fate"] == "no_equivalent" && note["key"].as_str().unwrap().ends_with(key))
            .collect();
        assert!(lost.is_empty(), "{path}: {lost:#?}");
        tried += 1;
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn a_value_that_cannot_be_taken_is_reported() {
    let imported = import(&format!(
        "{ROW}router_settings:\n  timeout: os.environ/T\n  cooldown_time: 3600\n  num_retries: many\n  enable_tag_filtering: 7\nlitellm_settings:\n  request_timeout: 6000\n"
    ));
    imported.assert_note("router_settings.timeout", "no_equivalent", 4);
    imported.assert_note("router_settings.cooldown_time", "approximated", 5);
    imported.assert_note("router_settings.num_retries", "no_equivalent", 6);
    imported.assert_note("router_settings.enable_tag_filtering", "no_equivalent", 7);
    imported.assert_note("litellm_settings.request_timeout", "approximated", 9);
    assert_eq!(imported.notes("litellm_settings.request_timeout").len(), 2);
    assert_eq!(imported.document()["settings"]["timeout"]["headers_ms"], 3_600_000);
}

#[test]
fn the_table_in_the_docs_is_the_one_that_the_importer_uses() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_switchyard"));
    let output = command.args(["import", "--table"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let docs = include_str!("../../docs/moving-from-litellm.md");
    assert!(
        table.len() > 1000 && docs.ends_with(&table),
        "run `cargo run -- import --table`, and put it at the end of the page"
    );
}

/// Where keys may stand, with what stands before them.
const PLACES: &[(&str, &str)] = &[
    ("", ""),
    ("router_settings", "router_settings:\n  "),
    ("litellm_settings", "litellm_settings:\n  "),
    ("general_settings", "general_settings:\n  "),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_key_that_nobody_knows_is_reported_with_its_line(
        place in 0..PLACES.len(),
        key in "zz_[a-z]{1,12}",
        value in prop_oneof![Just("1"), Just("text"), Just("[a, {b: c}]"), Just("{x: {y: z}}")],
    ) {
        let (section, before) = PLACES[place];
        let imported = import(&format!("{ROW}{before}{key}: {value}\n"));
        let dot = if section.is_empty() { "" } else { "." };
        let line = 2 + before.matches('\n').count() + 1;
        imported.assert_note(&format!("{section}{dot}{key}"), "no_equivalent", line);
    }

    #[test]
    fn a_key_in_a_row_that_nobody_knows_is_reported(in_info in any::<bool>(), key in "zz_[a-z]{1,12}") {
        let (params, info) = if in_info { ("", format!("{key}: 1")) } else { (&*format!(", {key}: 1"), String::new()) };
        let text = format!(
            "model_list:\n  - {{model_name: m, litellm_params: {{model: openai/x, api_key: os.environ/KEY{params}}}, model_info: {{{info}}}}}\n"
        );
        let section = if in_info { "model_info" } else { "litellm_params" };
        import(&text).assert_note(&format!("model_list[0].{section}.{key}"), "no_equivalent", 2);
    }

    #[test]
    fn no_text_causes_a_panic(text in "(model_list|router|litellm_params|fallbacks|[a-z&*<\\[\\]{}:,'\"|> \n-]|\n  - |: )*") {
        let output = command(format!("{text}\nrouter_settings: {text}\n").as_bytes(), &[]);
        prop_assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_said_of_many_rows_is_said_once() {
    let row = |n| {
        format!(
            "  - {{model_name: m{n}, litellm_params: {{model: openai/x, api_key: os.environ/KEY, rpm: 5, max_budget: 3}}}}\n"
        )
    };
    let text = format!("model_list:\n{}", (0..9).map(row).collect::<String>());
    let output = command(text.as_bytes(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    for key in ["rpm", "max_budget"] {
        let lines: Vec<&str> =
            said.lines().filter(|line| line.contains(&format!("litellm_params.{key}"))).collect();
        assert_eq!(lines.len(), 1, "{said}");
        assert!(
            lines[0].contains(".yaml:2: model_list[].litellm_params.")
                && lines[0].contains("(8 more: 3, 4, 5, 6, 7, …)"),
            "{said}"
        );
    }
    assert!(
        said.contains("cargo run -- check")
            && said.contains("`model_list`: 9. In the document: deployments 9, models 9."),
        "{said}"
    );
    // For programs, each place is named.
    assert_eq!(import(&text).notes("model_list[8].litellm_params.rpm").len(), 1);
}

#[test]
fn no_key_that_the_documentation_of_litellm_names_is_unknown() {
    // The examples of LiteLLM's settings, from its reference.
    let text = format!(
        "{ROW}litellm_settings: {{request_timeout: 10, force_ipv4: true, json_logs: true, langfuse_default_tags: [a], mcp_aliases: {{a: b}}, callbacks: [otel]}}
general_settings: {{completion_model: m, disable_spend_logs: true, enable_jwt_auth: true, allowed_routes: [a], key_management_system: azure_key_vault, database_connection_timeout: 60, alerting: [slack]}}
router_settings: {{redis_db: 1, caching_groups: [], client_ttl: 60, debug_level: INFO, default_priority: 1}}
callback_settings: {{otel: {{message_logging: false}}}}
"
    );
    let imported = import(&text);
    let unknown: Vec<_> = imported.report["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|note| note["note"].as_str().unwrap().contains("does not know"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}
