//! Which deployment of a group is chosen, as in LiteLLM.

use serde_json::json;
use switchyard::vocabulary::error_class::ErrorClass::{RateLimit, Unavailable};

use super::import;

/// Rows of the model `m`, each with more keys of `litellm_params`.
fn rows(rows: &[(&str, &str)]) -> String {
    let row = |(id, more): &(&str, &str)| {
        format!(
            "  - model_name: m\n    litellm_params: {{model: openai/x, api_key: os.environ/KEY, {more}}}\n    model_info: {{id: {id}}}\n"
        )
    };
    format!("model_list:\n{}", rows.iter().map(row).collect::<String>())
}

#[test]
fn rows_without_a_weight_share_alike() {
    let shares = import(&rows(&[("a", ""), ("b", "")])).shares("m", &["a", "b"]);
    assert!((440..560).contains(&shares[0]), "{shares:?}");
}

#[test]
fn weights_share_the_traffic() {
    let shares = import(&rows(&[("a", "weight: 9"), ("b", "weight: 1")])).shares("m", &["a", "b"]);
    assert!((860..940).contains(&shares[0]), "{shares:?}");
}

#[test]
fn a_row_without_a_weight_beside_one_with_a_weight_gets_nothing_until_that_fails() {
    let imported = import(&rows(&[("a", "weight: 5"), ("b", "")]));
    assert_eq!(imported.shares("m", &["a", "b"]), [1000, 0]);
    assert_eq!(imported.tried("m", &[RateLimit]), ["a", "b"]);
}

#[test]
fn without_weights_the_limits_are_the_weights() {
    let imported = import(&rows(&[("a", "rpm: 900"), ("b", "rpm: 100")]));
    let shares = imported.shares("m", &["a", "b"]);
    assert!((860..940).contains(&shares[0]), "{shares:?}");
    assert_eq!(imported.document()["deployments"]["a"]["limits"], json!({ "rpm": 900 }));
}

#[test]
fn weights_count_more_than_rpm_and_rpm_more_than_tpm() {
    let shares = import(&rows(&[("a", "weight: 1, rpm: 1, tpm: 900"), ("b", "weight: 1, rpm: 99, tpm: 1")]));
    let shares = shares.shares("m", &["a", "b"]);
    assert!((440..560).contains(&shares[0]), "{shares:?}");
    let shares =
        import(&rows(&[("a", "rpm: 10, tpm: 900"), ("b", "rpm: 90, tpm: 1")])).shares("m", &["a", "b"]);
    assert!((60..140).contains(&shares[0]), "{shares:?}");
}

#[test]
fn limits_of_millions_keep_their_proportion() {
    let shares = import(&rows(&[("a", "tpm: 9000000"), ("b", "tpm: 1000000")])).shares("m", &["a", "b"]);
    assert!((860..940).contains(&shares[0]), "{shares:?}");
}

#[test]
fn orders_are_tiers_and_rows_without_one_are_the_last() {
    let imported = import(&rows(&[("c", ""), ("b", "order: 2"), ("a", "order: 1, num_retries: 0")]));
    assert_eq!(imported.tried("m", &[Unavailable])[..2], ["a", "b"]);
    assert_eq!(imported.tried("m", &[Unavailable, RateLimit, RateLimit, RateLimit]).last().unwrap(), "c");
}

#[test]
fn each_strategy_has_its_equivalent() {
    for (theirs, ours, is_near) in [
        ("simple-shuffle", "weighted", false),
        ("least-busy", "least_busy", false),
        ("latency-based-routing", "latency", true),
        ("cost-based-routing", "cost", false),
        ("usage-based-routing-v2", "random", true),
    ] {
        let text =
            format!("{}router_settings: {{routing_strategy: {theirs}}}\n", rows(&[("a", ""), ("b", "")]));
        let imported = import(&text);
        assert_eq!(imported.document()["models"]["m"]["strategy"], ours, "{theirs}");
        assert_eq!(
            imported.notes("router_settings.routing_strategy").len(),
            usize::from(is_near),
            "{theirs}"
        );
    }
}

#[test]
fn cost_based_routing_takes_the_cheapest_row() {
    let prices = |input: &str| format!("input_cost_per_token: {input}, output_cost_per_token: 0.00001");
    let (dear, cheap) = (prices("0.0000025"), prices("1.5e-7"));
    let text = format!(
        "{}router_settings: {{routing_strategy: cost-based-routing}}\n",
        rows(&[("a", &dear), ("b", &cheap)])
    );
    let imported = import(&text);
    assert_eq!(imported.shares("m", &["a", "b"]), [0, 1000]);
    assert_eq!(imported.document()["deployments"]["a"]["cost"], json!({ "input": 2.5, "output": 10 }));
    assert_eq!(imported.document()["deployments"]["b"]["cost"], json!({ "input": 0.15, "output": 10 }));
}

#[test]
fn a_routing_group_has_its_own_strategy() {
    let text = format!(
        "{}router_settings:\n  routing_groups: [{{group_name: g, models: [m], routing_strategy: least-busy}}]\n",
        rows(&[("a", ""), ("b", "")])
    );
    assert_eq!(import(&text).document()["models"]["m"]["strategy"], "least_busy");
}

#[test]
fn tags_in_the_header_choose_and_requests_without_get_the_default_rows() {
    let text = format!(
        "{}router_settings: {{enable_tag_filtering: true}}\n",
        rows(&[("free", "tags: [free]"), ("paid", "tags: [paid]"), ("plain", "tags: [default]")])
    );
    let imported = import(&text);
    for (tags, expected) in [("free", "free"), ("paid", "paid"), ("x,paid,y", "paid"), ("unknown", "plain")] {
        let headers = [("x-litellm-tags", tags)];
        assert_eq!(imported.tried_with("m", &[], &headers, 1), [expected], "{tags}");
    }
    assert_eq!(imported.tried("m", &[]), ["plain"]);
}

#[test]
fn an_alias_reaches_the_group() {
    let text = format!(
        "{}router_settings: {{model_group_alias: {{gpt-4: m, hidden-one: {{model: m, hidden: true}}}}}}\n",
        rows(&[("a", "")])
    );
    let imported = import(&text);
    assert_eq!(
        (imported.tried("gpt-4", &[]), imported.tried("hidden-one", &[])),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
    imported.assert_note("router_settings.model_group_alias.hidden-one.hidden", "no_equivalent", 5);
}

#[test]
fn azure_rows_keep_resource_deployment_and_version() {
    let text = |params: &str| {
        let text = format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{api_key: os.environ/KEY, {params}}}\n    model_info: {{id: a}}\n"
        );
        import(&text).document()["deployments"]["a"].clone()
    };
    let base = "api_base: 'https://r.openai.azure.com/'";
    for (params, endpoint, deployment, version) in [
        (format!("model: azure/d, {base}, api_version: '2024-10-21'"), "https://r.openai.azure.com", "d", "2024-10-21"),
        (format!("model: azure/o_series/d, {base}"), "https://r.openai.azure.com", "d", "2025-02-01-preview"),
        (format!("model: azure/d, {base}, api_version: latest"), "https://r.openai.azure.com", "d", "v1"),
        (
            "model: azure/x, api_base: 'https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-06-01'".to_owned(),
            "https://r.openai.azure.com", "d", "2024-06-01",
        ),
        ("model: azure/d, api_base: 'https://r.openai.azure.com/openai/v1/'".to_owned(), "https://r.openai.azure.com/openai/v1", "d", "v1"),
    ] {
        let made = text(&params);
        let expected = json!({ "provider": "azure", "api_key": "${KEY}", "endpoint": endpoint, "deployment": deployment, "api_version": version });
        assert_eq!(made, expected, "{params}");
    }
}

#[test]
fn compatible_providers_keep_their_endpoint_and_others_are_reported() {
    let imported = import(
        "model_list:
  - {model_name: fast, litellm_params: {model: groq/llama, api_key: os.environ/GROQ_API_KEY}}
  - {model_name: own, litellm_params: {model: hosted_vllm/llama, api_base: 'https://vllm.example.com/v1'}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4, api_key: os.environ/A}}
  - {model_name: 'openai/*', litellm_params: {model: 'openai/*'}}
  - {model_name: inside, litellm_params: {model: openai/x, api_base: 'http://vllm:8000/v1'}}
",
    );
    let deployments = &imported.document()["deployments"];
    assert_eq!(deployments["groq-llama"]["endpoint"], "https://api.groq.com/openai/v1");
    assert_eq!(
        deployments["hosted_vllm-llama"],
        json!({ "provider": "openai", "endpoint": "https://vllm.example.com/v1", "model": "llama" })
    );
    for (index, line) in [(2, 4), (3, 5), (4, 6)] {
        imported.assert_note(&format!("model_list[{index}]"), "no_equivalent", line);
    }
    imported.graph();
}

#[test]
fn the_word_for_responses_is_no_part_of_a_model() {
    let imported = import(
        "model_list:
  - {model_name: a, litellm_params: {model: openai/responses/gpt-5, api_key: os.environ/K}}
  - {model_name: b, litellm_params: {model: azure/responses/mine, api_base: 'https://r.openai.azure.com', api_key: os.environ/K, api_version: v1}}
  - {model_name: c, litellm_params: {model: responses/mine, custom_llm_provider: azure, api_base: 'https://r.openai.azure.com', api_key: os.environ/K, api_version: v1}}
  - {model_name: d, litellm_params: {model: openai/vendor/responses/x, api_key: os.environ/K}}
",
    );
    let deployments = &imported.document()["deployments"];
    assert_eq!(deployments["openai-gpt-5"]["model"], "gpt-5");
    assert_eq!(deployments["azure-mine"]["deployment"], "mine");
    assert_eq!(deployments["azure-mine-2"]["deployment"], "mine");
    assert_eq!(deployments["openai-vendor/responses/x"]["model"], "vendor/responses/x");
    for (index, line) in [(0, 2), (1, 3), (2, 4)] {
        imported.assert_note(&format!("model_list[{index}].litellm_params.model"), "approximated", line);
    }
}

#[test]
fn numbers_below_zero_are_reported() {
    let imported = import(
        "model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_key: os.environ/K, weight: -1}}
  - {model_name: a, litellm_params: {model: openai/y, api_key: os.environ/K, order: -1, num_retries: -2}}
",
    );
    for (row, key, line) in [(0, "weight", 2), (1, "order", 3), (1, "num_retries", 3)] {
        imported.assert_note(&format!("model_list[{row}].litellm_params.{key}"), "approximated", line);
    }
}

#[test]
fn an_address_in_ai_gateway_becomes_via() {
    let imported = import(include_str!("files/through-ai-gateway.yaml"));
    let deployments = &imported.document()["deployments"];
    let via = |token: &str| json!({ "account": "0123456789abcdef0123456789abcdef", "gateway": "prod", "token": token });
    assert_eq!(
        deployments["azure-via"],
        json!({
            "provider": "azure", "endpoint": "https://contoso-east.openai.azure.com", "deployment": "gpt-4o",
            "api_version": "2024-10-21", "api_key": "${AZURE_API_KEY}", "via": via("${CF_AIG_TOKEN}"),
        })
    );
    assert_eq!(
        deployments["openai-via"],
        json!({
            "provider": "openai", "model": "gpt-4o", "api_key": "${OPENAI_API_KEY}",
            "via": via("${OPENAI_VIA_AIG_API_KEY}"),
        })
    );
    assert_eq!(deployments["groq-via"].get("via"), None);
    assert!(!imported.report.to_string().contains("aig-secret"));
    imported.assert_note("model_list[1].litellm_params.extra_headers.x-team", "no_equivalent", 18);
}

#[test]
fn the_provider_that_is_named_counts_more_than_a_prefix() {
    let imported = import(
        "model_list:
  - {model_name: a, litellm_params: {model: gpt-4o, custom_llm_provider: azure, api_base: 'https://r.openai.azure.com', api_key: os.environ/K}}
  - {model_name: b, litellm_params: {model: gemini-2.0-flash, custom_llm_provider: vertex_ai, api_key: os.environ/K}}
  - {model_name: c, litellm_params: {model: openai/gpt-4o, custom_llm_provider: vertex_ai, api_key: os.environ/K}}
  - {model_name: d, litellm_params: {model: groq/llama, custom_llm_provider: groq, api_key: os.environ/K}}
  - {model_name: e, litellm_params: {model: gemini-2.0-flash, api_key: os.environ/K}}
",
    );
    let deployments = &imported.document()["deployments"];
    assert_eq!(deployments["azure-gpt-4o"]["provider"], "azure");
    assert_eq!(deployments["groq-llama"]["model"], "llama");
    assert_eq!(deployments.as_object().unwrap().len(), 2);
    for (row, line) in [(1, 3), (2, 4), (4, 6)] {
        imported.assert_note(&format!("model_list[{row}]"), "no_equivalent", line);
    }
}
