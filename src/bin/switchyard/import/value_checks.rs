//! Values that cannot be taken as they are: of another kind, or beyond a limit of the document.

use super::yaml_tree::YamlEntry;

/// Keys whose value is a number.
const NUMBERS: &[&str] = &[
    "order",
    "weight",
    "rpm",
    "tpm",
    "timeout",
    "stream_timeout",
    "request_timeout",
    "num_retries",
    "max_retries",
    "cooldown_time",
    "allowed_fails",
    "retry_after",
    "max_fallbacks",
    "num_retries_per_request",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "input_cost_per_second",
    "output_cost_per_image",
    "max_input_tokens",
    "deployment_affinity_ttl_seconds",
    "priority",
];

/// Keys whose value is a boolean.
const BOOLEANS: &[&str] = &[
    "supports_vision",
    "supports_function_calling",
    "supports_response_schema",
    "supports_audio_input",
    "enable_pre_call_checks",
    "enable_tag_filtering",
];

/// Keys whose value is a text.
const TEXTS: &[&str] = &[
    "model_name",
    "model",
    "custom_llm_provider",
    "api_type",
    "azure_deployment",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "litellm_credential_name",
    "region_name",
    "id",
    "base_model",
    "routing_strategy",
    "load_balance_strategy",
    "master_key",
    "credential_name",
];

/// Keys whose value is a list.
const LISTS: &[&str] = &["model_list", "credential_list", "routing_groups"];

/// Keys whose value is a mapping.
const MAPPINGS: &[&str] = &[
    "litellm_params",
    "model_info",
    "router_settings",
    "litellm_settings",
    "general_settings",
    "credential_values",
    "model_group_alias",
    "retry_policy",
    "allowed_fails_policy",
    "model_group_retry_policy",
    "extra_body",
    "environment_variables",
];

/// What is expected instead of a value of another kind, at a path of the table.
pub fn shape_problem(entry: &YamlEntry, path: &str) -> Option<&'static str> {
    super::key_table::rule_of(path)?;
    let is = |keys: &[&str]| keys.contains(&entry.key.as_str());
    let value = &entry.value;
    if is(NUMBERS) && value.number().is_none() {
        Some("It has no effect: a number is expected.")
    } else if is(BOOLEANS) && value.boolean().is_none() {
        Some("It has no effect: `true` or `false` is expected.")
    } else if is(TEXTS) && value.text().is_none() {
        Some("It has no effect: a text is expected.")
    } else if is(LISTS) && value.items().is_none() {
        Some("It has no effect: a list is expected.")
    } else if is(MAPPINGS) && (value.items().is_some() || value.text().is_some()) {
        Some("It has no effect: a mapping is expected.")
    } else {
        None
    }
}

/// What is said about a number that the document cannot have.
pub fn limit_of(entry: &YamlEntry) -> Option<&'static str> {
    let value = entry.value.number()?;
    match entry.key.as_str() {
        "timeout" | "stream_timeout" | "request_timeout" if value > 3600.0 => {
            Some("An hour is the longest limit: 3600000 ms.")
        }
        "timeout" | "stream_timeout" | "request_timeout" if value < 0.001 => {
            Some("A millisecond is the shortest limit.")
        }
        "cooldown_time" if !(0.1..=300.0).contains(&value) => {
            Some("An ejection has 100 to 300000 ms: the nearest of them.")
        }
        "num_retries" | "max_retries" if value > 10.0 => Some("A deployment is retried at most 10 times."),
        "weight" if value < 0.0 => Some("A weight is at least 0: the row counts as one without it."),
        "order" if value < 0.0 => Some("An order is at least 0: the nearest."),
        "num_retries" | "max_retries" | "allowed_fails" | "retry_after" if value < 0.0 => {
            Some("It is at least 0: the nearest.")
        }
        "rpm" | "tpm" | "max_input_tokens" if value < 1.0 => {
            Some("It is not a limit: that would be at least 1.")
        }
        _ => None,
    }
}

/// What is wrong with the name of a model, if it is.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/@+-".contains(c);
    if name.contains('*') {
        Some("`*` stands for any model: name each model in a row of its own")
    } else if name.len() > 128 || !name.chars().all(allowed) {
        Some("its name has other characters than letters, digits and `. _ : / @ + -`, or more than 128")
    } else {
        None
    }
}
