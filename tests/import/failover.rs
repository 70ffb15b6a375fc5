//! Retries, fallbacks and limits, as in LiteLLM.

use serde_json::json;
use switchyard::vocabulary::error_class::ErrorClass::{
    Auth, BadRequest, ContentPolicy, ContextWindow, RateLimit, Timeout, Unavailable,
};

use super::{Imported, import};

/// A file with a row for each of these models, whose deployment has the name of the model with
/// `-d`, and these settings of the router.
fn models(names: &[&str], router: &str) -> String {
    let row = |name: &&str| {
        format!(
            "  - {{model_name: {name}, litellm_params: {{model: openai/x, api_key: os.environ/KEY}}, model_info: {{id: {name}-d}}}}\n"
        )
    };
    format!("model_list:\n{}router_settings:\n{router}", names.iter().map(row).collect::<String>())
}

fn with(names: &[&str], router: &str) -> Imported {
    import(&models(names, router))
}

#[test]
fn fallbacks_follow_in_their_order_after_any_error() {
    let imported = with(&["a", "b", "c"], "  num_retries: 0\n  fallbacks: [{a: [b, c]}]\n");
    for class in [RateLimit, Unavailable, Timeout, Auth, BadRequest, ContextWindow, ContentPolicy] {
        assert_eq!(imported.tried("a", &[class]), ["a-d", "b-d"], "{class:?}");
    }
    assert_eq!(imported.tried("a", &[Unavailable, Unavailable]), ["a-d", "b-d", "c-d"]);
    assert_eq!(imported.tried("b", &[Unavailable]), ["b-d"]);
}

#[test]
fn fallbacks_of_fallbacks_are_followed_and_a_circle_ends() {
    let imported = with(&["a", "b", "c"], "  num_retries: 0\n  fallbacks: [{a: [b]}, {b: [c]}, {c: [a]}]\n");
    let all = [Unavailable; 5];
    assert_eq!(imported.tried("a", &all), ["a-d", "b-d", "c-d"]);
    assert_eq!(imported.tried("b", &all), ["b-d", "c-d", "a-d"]);
}

#[test]
fn max_fallbacks_ends_a_chain() {
    let imported =
        with(&["a", "b", "c"], "  num_retries: 0\n  max_fallbacks: 1\n  fallbacks: [{a: [b]}, {b: [c]}]\n");
    assert_eq!(imported.tried("a", &[Unavailable; 5]), ["a-d", "b-d"]);
}

#[test]
fn an_input_that_is_too_long_takes_its_own_list_and_no_other() {
    let router =
        "  num_retries: 0\n  fallbacks: [{a: [b]}, {c: [b]}]\n  context_window_fallbacks: [{a: [c]}]\n";
    let imported = with(&["a", "b", "c"], router);
    assert_eq!(imported.tried("a", &[ContextWindow]), ["a-d", "c-d"]);
    assert_eq!(imported.tried("a", &[Unavailable]), ["a-d", "b-d"]);
    // `c` is not in the list for inputs that are too long, and its general list is not used.
    assert_eq!(imported.tried("c", &[ContextWindow]), ["c-d"]);
}

#[test]
fn the_list_of_one_error_for_all_models_is_for_those_without_their_own() {
    for (key, class) in
        [("context_window_fallbacks", ContextWindow), ("content_policy_fallbacks", ContentPolicy)]
    {
        let router = format!("  num_retries: 0\n  {key}: [{{'*': [c, d]}}, {{b: [a]}}]\n");
        let imported = with(&["a", "b", "c", "d"], &router);
        assert_eq!(imported.tried("a", &[class, class]), ["a-d", "c-d", "d-d"], "{key}");
        assert_eq!(imported.tried("b", &[class]), ["b-d", "a-d"], "{key}");
        assert_eq!(imported.tried("c", &[class, class]), ["c-d", "d-d"], "{key}");
        assert_eq!(imported.tried("a", &[Unavailable]), ["a-d"], "{key}");
    }
}

#[test]
fn a_content_filter_takes_its_own_list() {
    let imported = with(
        &["a", "b", "c"],
        "  num_retries: 0\n  fallbacks: [{a: [b]}]\n  content_policy_fallbacks: [{a: [c]}]\n",
    );
    assert_eq!(imported.tried("a", &[ContentPolicy]), ["a-d", "c-d"]);
    assert_eq!(imported.tried("a", &[ContextWindow]), ["a-d", "b-d"]);
}

#[test]
fn default_fallbacks_serve_models_without_their_own() {
    let imported =
        with(&["a", "b", "c"], "  num_retries: 0\n  default_fallbacks: [c]\n  fallbacks: [{a: [b]}]\n");
    assert_eq!(imported.tried("b", &[Unavailable]), ["b-d", "c-d"]);
    assert_eq!(imported.tried("a", &[Unavailable])[..2], ["a-d", "b-d"]);
    assert_eq!(imported.tried("c", &[Unavailable]), ["c-d"]);
}

#[test]
fn fallbacks_that_stand_in_litellm_settings_count() {
    let text = models(&["a", "b"], "  num_retries: 0\n") + "litellm_settings: {fallbacks: [{a: [b]}]}\n";
    assert_eq!(import(&text).tried("a", &[Unavailable]), ["a-d", "b-d"]);
}

#[test]
fn a_fallback_that_does_not_exist_is_skipped_with_a_note() {
    let imported =
        with(&["a", "b"], "  num_retries: 0\n  fallbacks:\n    - a: [nowhere, {model: b, temperature: 1}]\n");
    assert_eq!(imported.tried("a", &[Unavailable]), ["a-d", "b-d"]);
    assert_eq!(imported.notes("router_settings.fallbacks[0].a").len(), 1);
    imported.assert_note("router_settings.fallbacks[0].a.temperature", "no_equivalent", 7);
}

#[test]
fn a_lone_deployment_is_retried_as_often_as_set_and_twice_if_nothing_is_set() {
    assert_eq!(with(&["a"], "  num_retries: 3\n").tried("a", &[Unavailable; 9]).len(), 4);
    assert_eq!(with(&["a"], "  timeout: 30\n").tried("a", &[Unavailable; 9]).len(), 3);
    assert_eq!(with(&["a"], "  num_retries: 0\n").tried("a", &[Unavailable; 9]).len(), 1);
    assert_eq!(with(&["a"], "  num_retries: 3\n").tried("a", &[BadRequest; 9]).len(), 1);
}

#[test]
fn retries_within_a_group_are_bounded_and_then_fallbacks_follow() {
    let rows = |names: &[&str]| -> String {
        names.iter().map(|id| format!("  - {{model_name: g, litellm_params: {{model: openai/x, api_key: os.environ/KEY}}, model_info: {{id: {id}}}}}\n")).collect()
    };
    let text = format!(
        "model_list:\n{}  - {{model_name: f, litellm_params: {{model: openai/x, api_key: os.environ/KEY}}, model_info: {{id: f-d}}}}\nrouter_settings: {{num_retries: 1, fallbacks: [{{g: [f]}}]}}\n",
        rows(&["a", "b", "c"])
    );
    let tried = import(&text).tried("g", &[Unavailable, Unavailable]);
    assert!(tried.len() == 3 && tried[2] == "f-d" && tried[0] != tried[1], "{tried:?}");
    // An error of the caller is not retried in the group, but its fallbacks are tried.
    let tried = import(&text).tried("g", &[BadRequest]);
    assert!(tried.len() == 2 && tried[1] == "f-d", "{tried:?}");
}

#[test]
fn a_retry_policy_says_which_errors_are_retried() {
    let imported = with(
        &["a"],
        "  num_retries: 2\n  retry_policy: {RateLimitErrorRetries: 0, BadRequestErrorRetries: 2}\n",
    );
    assert_eq!(imported.tried("a", &[RateLimit; 9]).len(), 1);
    assert_eq!(imported.tried("a", &[BadRequest; 9]).len(), 3);
    assert_eq!(imported.tried("a", &[Unavailable; 9]).len(), 3);
    let imported =
        with(&["a", "b"], "  num_retries: 0\n  model_group_retry_policy: {b: {TimeoutErrorRetries: 2}}\n");
    assert_eq!((imported.tried("a", &[Timeout; 9]).len(), imported.tried("b", &[Timeout; 9]).len()), (1, 3));
}

#[test]
fn seconds_become_milliseconds() {
    let router =
        "  timeout: 30\n  stream_timeout: 2.5\n  cooldown_time: 60\n  allowed_fails: 3\n  retry_after: 1\n";
    let imported = with(&["a"], router);
    assert_eq!(
        imported.document()["settings"],
        json!({
            "timeout": { "headers_ms": 30_000, "first_token_ms": 2_500, "idle_ms": 2_500 },
            "health": { "first_ejection_ms": 60_000, "longest_ejection_ms": 60_000, "failures_in_a_row": 4 },
        })
    );
    assert_eq!(imported.document()["models"]["a"]["retry"]["backoff_ms"], 1000);
    imported.graph();
}

#[test]
fn of_a_policy_of_failures_the_smallest_number_that_is_counted_here_ejects() {
    let policy = "{RateLimitErrorAllowedFails: 100, TimeoutErrorAllowedFails: 12, InternalServerErrorAllowedFails: 20, MysteryAllowedFails: 1}";
    let imported = with(&["a"], &format!("  allowed_fails: 3\n  allowed_fails_policy: {policy}\n"));
    assert_eq!(imported.document()["settings"]["health"]["failures_in_a_row"], 13);
    imported.assert_note("router_settings.allowed_fails_policy", "approximated", 5);
    imported.assert_note("router_settings.allowed_fails_policy.MysteryAllowedFails", "no_equivalent", 5);
    let imported =
        with(&["a"], "  allowed_fails: 3\n  allowed_fails_policy: {RateLimitErrorAllowedFails: 9}\n");
    assert_eq!(imported.document()["settings"]["health"]["failures_in_a_row"], 4);
}

#[test]
fn a_limit_that_another_one_hides_is_reported() {
    let text = models(&["a"], "  timeout: 30\n") + "litellm_settings: {request_timeout: 20}\n";
    let imported = import(&text);
    assert_eq!(imported.document()["settings"]["timeout"]["headers_ms"], 20_000);
    imported.assert_note("router_settings.timeout", "no_equivalent", 4);
}

#[test]
fn limits_of_a_row_are_those_of_its_deployment() {
    let imported = import(
        "model_list:
  - model_name: m
    litellm_params: {model: openai/x, api_key: os.environ/KEY, timeout: 20, cooldown_time: 5, tpm: 1000, max_budget: 5, max_parallel_requests: 3}
    model_info: {id: a, allowed_fails: 1, max_input_tokens: 8000}
router_settings: {enable_pre_call_checks: true}
",
    );
    assert_eq!(
        imported.document()["deployments"]["a"],
        json!({
            "provider": "openai", "model": "x", "api_key": "${KEY}",
            "timeout": { "headers_ms": 20_000, "first_token_ms": 20_000, "idle_ms": 20_000 },
            "health": { "first_ejection_ms": 5_000, "longest_ejection_ms": 5_000, "failures_in_a_row": 2 },
            "limits": { "tpm": 1000 }, "capabilities": { "context_tokens": 8000 },
        })
    );
    imported.assert_note("model_list[0].litellm_params.max_budget", "no_equivalent", 3);
    imported.assert_note("model_list[0].litellm_params.max_parallel_requests", "no_equivalent", 3);
    imported.graph();
}

#[test]
fn affinity_becomes_stickiness() {
    let imported = with(
        &["a"],
        "  optional_pre_call_checks: [session_affinity]\n  deployment_affinity_ttl_seconds: 60\n",
    );
    assert_eq!(
        imported.document()["settings"]["sticky"],
        json!({ "by": "header:x-litellm-session-id", "ttl": 60 })
    );
    imported.graph();
}

#[test]
fn a_configuration_of_a_company_routes_as_in_litellm() {
    let imported = import(include_str!("company.yaml"));
    let tried = imported.tried("gpt-4o", &[Unavailable; 6]);
    let regions = ["azure-gpt-4o-eastus", "azure-gpt-4o-weu"];
    assert!(regions.iter().all(|region| tried[..2].contains(&(*region).to_owned())), "{tried:?}");
    // The second order, without retries of its own, and then the fallback.
    let later: Vec<&String> = tried.iter().skip_while(|name| name.starts_with("azure")).collect();
    assert_eq!(later[..2], ["openai-gpt-4o", "openai-gpt-4o-mini"]);
    assert_eq!(imported.tried("gpt-4", &[]).len(), 1);
    let longer = imported.tried("gpt-4o-mini", &[ContextWindow]);
    assert!(longer[0] == "openai-gpt-4o-mini" && regions.contains(&longer[1].as_str()), "{longer:?}");
    assert_eq!(imported.tried("text-embedding-3-large", &[BadRequest]), ["azure-emb"]);
    for (key, line) in [
        ("model_list[5]", 40),
        ("router_settings.fallbacks[0].gpt-4o", 49),
        ("router_settings.timeout", 45),
        ("router_settings.retry_policy.BadMysteryRetries", 52),
        ("litellm_settings.drop_params", 56),
        ("litellm_settings.success_callback", 59),
        ("general_settings.alerting", 65),
    ] {
        imported.assert_note(key, "no_equivalent", line);
    }
    imported.assert_note("general_settings.database_url", "not_needed", 64);
}
