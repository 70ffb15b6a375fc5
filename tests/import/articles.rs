//! The dialect of articles about LiteLLM, with a section `router`.

use switchyard::vocabulary::error_class::ErrorClass::{
    BadRequest, Connection, RateLimit, Timeout, Unavailable,
};

use super::{Imported, import};

const TWO: &str = "
model_list:
  - model_name: openai-gpt4o
    litellm_params:
      model: gpt-4o
      api_key: ${OPENAI_API_KEY}
  - model_name: azure-gpt4o
    litellm_params:
      model: gpt-4o
      api_key: ${AZURE_OPENAI_API_KEY}
      api_base: ${AZURE_OPENAI_ENDPOINT}
      api_type: azure
      api_version: ${AZURE_OPENAI_API_VERSION}
      azure_deployment: gpt-4o-azure-prod
";

const OPENAI: &str = "openai-gpt-4o";
const AZURE: &str = "azure-gpt-4o-azure-prod";

fn with_router(router: &str) -> Imported {
    let imported = import(&format!("{TWO}router:\n{router}"));
    assert_eq!(
        imported.report["notes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|note| note["fate"] == "no_equivalent")
            .count(),
        0
    );
    imported
}

#[test]
fn a_router_tries_the_first_priority_and_then_the_second() {
    let imported = with_router(
        "  - model_name: gpt-4-router
    routing_strategy: fallback
    models:
      - name: azure-gpt4o
        priority: 2
      - name: openai-gpt4o
        priority: 1
",
    );
    assert_eq!(imported.tried("gpt-4-router", &[]), [OPENAI]);
    assert_eq!(imported.tried("gpt-4-router", &[RateLimit]), [OPENAI, AZURE]);
    assert_eq!(imported.document()["deployments"][AZURE]["endpoint"], "${AZURE_OPENAI_ENDPOINT}");
    assert_eq!(imported.document()["deployments"][AZURE]["api_version"], "${AZURE_OPENAI_API_VERSION}");
}

#[test]
fn swapped_priorities_try_azure_first() {
    let imported = with_router(
        "  - model_name: gpt-4-router
    routing_strategy: fallback
    models:
      - {name: openai-gpt4o, priority: 2}
      - {name: azure-gpt4o, priority: 1}
",
    );
    assert_eq!(imported.tried("gpt-4-router", &[Unavailable]), [AZURE, OPENAI]);
}

#[test]
fn only_the_listed_types_of_errors_lead_to_the_next_model() {
    let imported = with_router(
        "  - model_name: gpt-4-router
    routing_strategy: fallback
    fallback_on_error_types:
      - rate_limit_error
      - service_unavailable_error
      - api_connection_error
      - timeout_error
    models:
      - {name: openai-gpt4o, priority: 1}
      - {name: azure-gpt4o, priority: 2}
",
    );
    for class in [RateLimit, Unavailable, Connection, Timeout] {
        assert_eq!(imported.tried("gpt-4-router", &[class]), [OPENAI, AZURE], "{class:?}");
    }
    assert_eq!(imported.tried("gpt-4-router", &[BadRequest]), [OPENAI]);
    assert_eq!(
        imported.tried("gpt-4-router", &[switchyard::vocabulary::error_class::ErrorClass::Auth]),
        [OPENAI]
    );
}

#[test]
fn a_load_balance_shares_by_weight_and_falls_back_within_the_pool() {
    let imported = with_router(
        "  - model_name: gpt-4-router
    routing_strategy: load_balance
    load_balance_strategy: random_weighted
    models:
      - {name: openai-gpt4o, weight: 0.7}
      - {name: azure-gpt4o, weight: 0.3}
    fallback_on_error_types: [rate_limit_error, service_unavailable_error]
",
    );
    let shares = imported.shares("gpt-4-router", &[OPENAI, AZURE]);
    assert!((650..750).contains(&shares[0]) && shares[0] + shares[1] == 1000, "{shares:?}");
    let both = imported.tried("gpt-4-router", &[RateLimit]);
    assert!(both.len() == 2 && both[0] != both[1], "{both:?}");
    assert_eq!(imported.tried("gpt-4-router", &[Timeout]).len(), 1);
}

#[test]
fn three_tiers_over_two_regions_are_tried_in_order() {
    let imported = import(
        "
model_list:
  - model_name: openai-gpt4o
    litellm_params: {model: gpt-4o, api_key: '${OPENAI_API_KEY}'}
  - model_name: azure-gpt4o-eastus
    litellm_params: {model: gpt-4o, api_key: '${AZURE_EASTUS_KEY}', api_base: '${AZURE_EASTUS_ENDPOINT}', api_type: azure, api_version: '${AZURE_OPENAI_API_VERSION}', azure_deployment: gpt-4o-eastus}
  - model_name: azure-gpt4o-westeurope
    litellm_params: {model: gpt-4o, api_key: '${AZURE_WESTEUROPE_KEY}', api_base: '${AZURE_WESTEUROPE_ENDPOINT}', api_type: azure, api_version: '${AZURE_OPENAI_API_VERSION}', azure_deployment: gpt-4o-westeurope}
router:
  - model_name: gpt-4-router
    routing_strategy: fallback
    models:
      - {name: openai-gpt4o, priority: 1}
      - {name: azure-gpt4o-eastus, priority: 2}
      - {name: azure-gpt4o-westeurope, priority: 3}
",
    );
    assert_eq!(
        imported.tried("gpt-4-router", &[Unavailable, RateLimit]),
        ["openai-gpt-4o", "azure-gpt-4o-eastus", "azure-gpt-4o-westeurope"]
    );
}

#[test]
fn routers_of_two_environments_stand_side_by_side() {
    let imported = with_router(
        "  - model_name: gpt-4-router-prod
    routing_strategy: fallback
    models: [{name: azure-gpt4o, priority: 1}, {name: openai-gpt4o, priority: 2}]
  - model_name: gpt-4-router-staging
    routing_strategy: load_balance
    models: [{name: openai-gpt4o, weight: 0.5}, {name: azure-gpt4o, weight: 0.5}]
",
    );
    assert_eq!(imported.tried("gpt-4-router-prod", &[RateLimit]), [AZURE, OPENAI]);
    let shares = imported.shares("gpt-4-router-staging", &[OPENAI, AZURE]);
    assert!((440..560).contains(&shares[0]), "{shares:?}");
}

#[test]
fn an_alias_with_fallback_models_tries_them_after_it() {
    let imported = import(
        r#"
model_list:
  - model_name: "chat-production"
    litellm_params:
      model: "azure/gpt-4o"
  - model_name: "chat-production-fallback"
    litellm_params:
      model: "openai/gpt-4o"
router:
  - name: "chat-smart-router"
    model_alias: "chat-production"
    fallback_models:
      - "chat-production-fallback"
"#,
    );
    assert_eq!(imported.tried("chat-smart-router", &[Unavailable]), ["azure-gpt-4o", "openai-gpt-4o"]);
    assert_eq!(imported.document()["deployments"]["azure-gpt-4o"]["endpoint"], "${AZURE_API_BASE}");
}

#[test]
fn a_router_over_models_that_are_not_in_the_file_is_reported() {
    let output = super::command(
        b"router:\n  - model_name: r\n    routing_strategy: fallback\n    models:\n      - name: nowhere\n        priority: 1\n",
        &[],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(":5: router[0]: `nowhere` is not in `model_list`"), "{said}");
}
