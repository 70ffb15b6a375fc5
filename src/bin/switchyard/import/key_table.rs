//! What each key of LiteLLM becomes: the only list. The importer reports by it, and
//! docs/moving-from-litellm.md shows it.

use std::fmt::Write as _;

use super::import_notes::KeyFate::{self, Approximated, Mapped, NoEquivalent, NotNeeded};

/// One key of LiteLLM.
pub struct KeyRule {
    /// Its path; `[]` is any place in a list.
    pub path: &'static str,
    /// What becomes of it.
    pub fate: KeyFate,
    /// What it becomes, how it is approximated, or why it has no equivalent.
    pub note: &'static str,
}

const fn rule(path: &'static str, fate: KeyFate, note: &'static str) -> KeyRule {
    KeyRule { path, fate, note }
}

const BUDGET: &str = "Not imported: write it as `limits` of a client or of `settings`, docs/limits.md.";
const CALLBACK: &str =
    "Nothing is sent there. What is logged and counted is in docs/telemetry.md and docs/metrics.md.";
const COST: &str = "`cost`, in dollars per million tokens.";
const BODY: &str = "`params.set`. It replaces the client's value; in LiteLLM the client's value counts.";
const ENTRA: &str = "Not imported: write `auth.entra` in the deployment, in place of `api_key`. The gateway fetches and replaces the tokens.";
const DATABASE: &str = "There is no database.";
const KEYS: &str = "Not imported: keys with owners are issued by the admin API, docs/keys.md.";
const AUTH: &str = "A client is known by its key in `clients`.";
const ALERTS: &str = "Alerts are webhooks: `settings.webhooks`, docs/webhooks.md.";
const SECRETS: &str = "Secrets are variables of the Worker: `npx wrangler secret put NAME`.";
const MODEL: &str = "A request names its model.";
const MCP: &str = "There is no MCP gateway.";
const PARALLEL: &str = "Not imported: `concurrent` in the `limits` of a client or of `settings`, docs/limits.md. Those of one deployment are not limited.";
const PROBES: &str = "Health is learned from requests.";
const INFORMATION: &str = "For people, as in LiteLLM.";
const PRICE: &str = "`cost` has no such price.";
const CACHE: &str = "Not imported. A node keeps answers with `cache`: docs/cache.md.";
const SHARED: &str = "A Durable Object shares what isolates know.";

/// All keys, by section.
#[rustfmt::skip]
pub const KEY_RULES: &[KeyRule] = &[
    rule("model_list", Mapped, "Rows of one `model_name` are a node of `models`. Each row is a deployment."),
    rule("model_list[].model_name", Mapped, "The name of the node. A name with `*` stands for the models that the file names elsewhere, and for those of `--model`."),
    rule("model_list[].litellm_params", Mapped, "A deployment."),
    rule("model_list[].litellm_params.model", Mapped, "`openai/NAME` or a bare name: `provider: openai`, `model`. `azure/NAME`: `provider: azure`, `deployment`. Some compatible providers: `openai` with their `endpoint`. Others are not imported."),
    rule("model_list[].litellm_params.custom_llm_provider", Mapped, "Like a prefix of `model`."),
    rule("model_list[].litellm_params.api_type", Mapped, "`azure` is `provider: azure`."),
    rule("model_list[].litellm_params.azure_deployment", Mapped, "`deployment`."),
    rule("model_list[].litellm_params.api_key", Mapped, "`api_key`. A key in the file becomes a variable."),
    rule("model_list[].litellm_params.api_base", Mapped, "`endpoint`. A deployment in its path becomes `deployment`. An address in Cloudflare AI Gateway becomes `via`."),
    rule("model_list[].litellm_params.base_url", Mapped, "`endpoint`."),
    rule("model_list[].litellm_params.api_version", Mapped, "`api_version`; `latest` is `v1`."),
    rule("model_list[].litellm_params.organization", Mapped, "`organization`."),
    rule("model_list[].litellm_params.litellm_credential_name", Mapped, "The values of `credential_list`."),
    rule("model_list[].litellm_params.order", Mapped, "Tiers of the node, tried one after the other. Rows without `order` are the last tier."),
    rule("model_list[].litellm_params.weight", Mapped, "`weight`. A row without one, beside rows with one, is tried after them."),
    rule("model_list[].litellm_params.rpm", Approximated, "`limits.rpm`, which moves traffic away before the limit, and the weights where no row has `weight`."),
    rule("model_list[].litellm_params.tpm", Approximated, "`limits.tpm`, which moves traffic away before the limit, and the weights where no row has `weight` or `rpm`."),
    rule("model_list[].litellm_params.timeout", Approximated, "`timeout.headers_ms`, and without `stream_timeout` also `first_token_ms` and `idle_ms`."),
    rule("model_list[].litellm_params.stream_timeout", Mapped, "`timeout.first_token_ms` and `timeout.idle_ms`."),
    rule("model_list[].litellm_params.num_retries", Approximated, "Of a lone deployment `retry.attempts`. Of several the largest is `max_attempts`, one more: a retry goes to another deployment."),
    rule("model_list[].litellm_params.max_retries", Approximated, "As `num_retries`, if that is absent."),
    rule("model_list[].litellm_params.cooldown_time", Approximated, "`health.first_ejection_ms` and `longest_ejection_ms`. After it, one request probes."),
    rule("model_list[].litellm_params.tags", Mapped, "`tags`; with `enable_tag_filtering` also cases that choose by `x-litellm-tags`."),
    rule("model_list[].litellm_params.region_name", Mapped, "`region`, if it is a region of Azure."),
    rule("model_list[].litellm_params.input_cost_per_token", Mapped, COST),
    rule("model_list[].litellm_params.output_cost_per_token", Mapped, COST),
    rule("model_list[].litellm_params.cache_read_input_token_cost", Mapped, COST),
    rule("model_list[].litellm_params.input_cost_per_second", Mapped, "`cost.minute`."),
    rule("model_list[].litellm_params.output_cost_per_image", Mapped, "`cost.image`."),
    rule("model_list[].litellm_params.additional_drop_params", Mapped, "`params.drop`."),
    rule("model_list[].litellm_params.extra_body", Approximated, BODY),
    rule("model_list[].litellm_params.temperature", Approximated, BODY),
    rule("model_list[].litellm_params.top_p", Approximated, BODY),
    rule("model_list[].litellm_params.max_tokens", Approximated, BODY),
    rule("model_list[].litellm_params.max_completion_tokens", Approximated, BODY),
    rule("model_list[].litellm_params.frequency_penalty", Approximated, BODY),
    rule("model_list[].litellm_params.presence_penalty", Approximated, BODY),
    rule("model_list[].litellm_params.seed", Approximated, BODY),
    rule("model_list[].litellm_params.reasoning_effort", Approximated, BODY),
    rule("model_list[].litellm_params.service_tier", Approximated, BODY),
    rule("model_list[].litellm_params.user", Approximated, BODY),
    rule("model_list[].litellm_params.stop", Approximated, BODY),
    rule("model_list[].litellm_params.n", Approximated, BODY),
    rule("model_list[].litellm_params.logit_bias", Approximated, BODY),
    rule("model_list[].litellm_params.logprobs", Approximated, BODY),
    rule("model_list[].litellm_params.top_logprobs", Approximated, BODY),
    rule("model_list[].litellm_params.response_format", Approximated, BODY),
    rule("model_list[].litellm_params.tool_choice", Approximated, BODY),
    rule("model_list[].litellm_params.parallel_tool_calls", Approximated, BODY),
    rule("model_list[].litellm_params.verbosity", Approximated, BODY),
    rule("model_list[].litellm_params.store", Approximated, BODY),
    rule("model_list[].litellm_params.modalities", Approximated, BODY),
    rule("model_list[].litellm_params.dimensions", Approximated, BODY),
    rule("model_list[].litellm_params.encoding_format", Approximated, BODY),
    rule("model_list[].litellm_params.prompt_cache_key", Approximated, BODY),
    rule("model_list[].litellm_params.safety_identifier", Approximated, BODY),
    rule("model_list[].litellm_params.drop_params", NoEquivalent, "No field is dropped by itself. If a model refuses one, name it in `params.drop`."),
    rule("model_list[].litellm_params.max_parallel_requests", NoEquivalent, PARALLEL),
    rule("model_list[].litellm_params.itpm", NoEquivalent, "`limits` has `rpm` and `tpm`."),
    rule("model_list[].litellm_params.otpm", NoEquivalent, "`limits` has `rpm` and `tpm`."),
    rule("model_list[].litellm_params.rpd", NoEquivalent, "Limits are per minute."),
    rule("model_list[].litellm_params.tpd", NoEquivalent, "Limits are per minute."),
    rule("model_list[].litellm_params.max_budget", NoEquivalent, BUDGET),
    rule("model_list[].litellm_params.budget_duration", NoEquivalent, BUDGET),
    rule("model_list[].litellm_params.silent_model", NoEquivalent, "Traffic is not mirrored."),
    rule("model_list[].litellm_params.mock_response", NoEquivalent, "Answers are not invented."),
    rule("model_list[].litellm_params.tag_regex", NoEquivalent, "Use a case with a `header` pattern."),
    rule("model_list[].litellm_params.extra_headers", NoEquivalent, "Headers are not added to upstream calls, except `cf-aig-authorization` of AI Gateway: `via.token`."),
    rule("model_list[].litellm_params.headers", NoEquivalent, "Headers are not added to upstream calls, except `cf-aig-authorization` of AI Gateway: `via.token`."),
    rule("model_list[].litellm_params.azure_ad_token", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.tenant_id", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.client_id", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.client_secret", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.azure_username", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.azure_password", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.azure_scope", NoEquivalent, ENTRA),
    rule("model_list[].litellm_params.rust", NotNeeded, "It chooses a part of LiteLLM."),
    rule("model_list[].litellm_params.use_in_pass_through", NoEquivalent, "There is no pass-through."),
    rule("model_list[].litellm_params.keepalive_seconds", NotNeeded, "Streams that are held get comments: `settings.keepalive_ms`."),
    rule("model_list[].litellm_params.allowed_openai_params", NotNeeded, "All fields of a request are passed on."),
    rule("model_list[].litellm_params.daily_reset_time", NoEquivalent, "Limits are per minute."),
    rule("model_list[].litellm_params.timeout_by_service_tier", NoEquivalent, "One limit holds for all tiers."),
    rule("model_list[].litellm_params.stream_timeout_by_service_tier", NoEquivalent, "One limit holds for all tiers."),
    rule("model_list[].litellm_params.responses_api_version", NoEquivalent, "One `api_version` holds for all operations."),
    rule("model_list[].litellm_params.input_cost_per_audio_token", NoEquivalent, PRICE),
    rule("model_list[].litellm_params.output_cost_per_second", NoEquivalent, PRICE),
    rule("model_list[].litellm_params.input_cost_per_character", NoEquivalent, PRICE),
    rule("model_list[].litellm_params.configurable_clientside_auth_params", NoEquivalent, "Clients cannot send credentials of providers."),
    rule("model_list[].litellm_params.cache_control_injection_points", NoEquivalent, "Requests are not rewritten."),
    rule("model_list[].litellm_params.guardrails", NoEquivalent, "Prompts and answers are not checked."),
    rule("model_list[].litellm_params.auto_router_config_path", NoEquivalent, "No model chooses the model. Rules do: `rules`, `match`."),
    rule("model_list[].litellm_params.auto_router_default_model", NoEquivalent, "No model chooses the model. Rules do: `rules`, `match`."),
    rule("model_list[].model_info", Mapped, "See its keys."),
    rule("model_list[].model_info.id", Mapped, "The name of the deployment."),
    rule("model_list[].model_info.base_model", Mapped, "`model` of an Azure deployment, for people."),
    rule("model_list[].litellm_params.base_model", Mapped, "As `model_info.base_model`, if that is absent."),
    rule("model_list[].model_info.mode", NotNeeded, "A deployment serves each operation of its provider."),
    rule("model_list[].model_info.order", Mapped, "As `litellm_params.order`."),
    rule("model_list[].model_info.description", NotNeeded, INFORMATION),
    rule("model_list[].model_info.cooldown_time", Approximated, "As `litellm_params.cooldown_time`."),
    rule("model_list[].model_info.allowed_fails", Approximated, "`health.failures_in_a_row`, one more. LiteLLM counts failures within the cooldown time."),
    rule("model_list[].model_info.max_input_tokens", Mapped, "`capabilities.context_tokens`, with `enable_pre_call_checks`. Without, LiteLLM does not compare it either."),
    rule("model_list[].model_info.max_output_tokens", NotNeeded, "LiteLLM does not limit requests by it."),
    rule("model_list[].model_info.max_tokens", NotNeeded, "LiteLLM does not limit requests by it."),
    rule("model_list[].model_info.supports_vision", Approximated, "`capabilities.vision`. It is obeyed; in LiteLLM it is information."),
    rule("model_list[].model_info.supports_function_calling", Approximated, "`capabilities.tools`. It is obeyed; in LiteLLM it is information."),
    rule("model_list[].model_info.supports_response_schema", Approximated, "`capabilities.json_schema`. It is obeyed; in LiteLLM it is information."),
    rule("model_list[].model_info.supports_audio_input", Approximated, "`capabilities.audio`. It is obeyed; in LiteLLM it is information."),
    rule("model_list[].model_info.supports_parallel_function_calling", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_tool_choice", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_system_messages", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_prompt_caching", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_reasoning", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_pdf_input", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_web_search", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supports_audio_output", NotNeeded, INFORMATION),
    rule("model_list[].model_info.supported_openai_params", NotNeeded, INFORMATION),
    rule("model_list[].model_info.litellm_provider", NotNeeded, INFORMATION),
    rule("model_list[].model_info.version", NotNeeded, INFORMATION),
    rule("model_list[].model_info.db_model", NotNeeded, INFORMATION),
    rule("model_list[].model_info.created_at", NotNeeded, INFORMATION),
    rule("model_list[].model_info.updated_at", NotNeeded, INFORMATION),
    rule("model_list[].model_info.created_by", NotNeeded, INFORMATION),
    rule("model_list[].model_info.input_cost_per_token", Mapped, COST),
    rule("model_list[].model_info.output_cost_per_token", Mapped, COST),
    rule("model_list[].model_info.cache_read_input_token_cost", Mapped, COST),
    rule("model_list[].model_info.input_cost_per_second", Mapped, "`cost.minute`."),
    rule("model_list[].model_info.output_cost_per_image", Mapped, "`cost.image`."),
    rule("model_list[].model_info.blocked", NoEquivalent, "Drain the deployment (docs/api.md)."),
    rule("model_list[].model_info.allowed_fails_policy", Approximated, "As `router_settings.allowed_fails_policy`, for one deployment."),
    rule("model_list[].model_info.access_groups", NoEquivalent, "Name the models of a key in `clients.NAME.models`."),
    rule("model_list[].model_info.access_windows", NoEquivalent, "Deployments have no hours of service."),
    rule("model_list[].model_info.team_id", NoEquivalent, "There are no teams. Name the models of a key in `clients.NAME.models`."),
    rule("model_list[].model_info.health_check_model", NotNeeded, PROBES),
    rule("model_list[].model_info.disable_background_health_check", NotNeeded, PROBES),
    rule("model_list[].model_info.health_check_timeout", NotNeeded, PROBES),
    rule("model_list[].model_info.health_check_max_tokens", NotNeeded, PROBES),
    rule("model_list[].model_info.health_check_params", NotNeeded, PROBES),
    rule("model_list[].model_info.health_check_voice", NotNeeded, PROBES),
    rule("model_list[].model_info.allow_fail_open", NoEquivalent, "Requests whose tag no row has go to the rows with `default`, or to all."),
    rule("model_list[].model_info.supported_environments", NoEquivalent, "Use a document for each environment."),
    rule("model_list[].model_info.ptu_count", NoEquivalent, "A provisioned deployment that is full says so, and requests leave it at once."),
    rule("model_list[].model_info.ptu_shares", NoEquivalent, "A provisioned deployment that is full says so, and requests leave it at once."),
    rule("model_list[].model_info.team_public_model_name", NoEquivalent, "There are no teams. Name the models of a key in `clients.NAME.models`."),
    rule("model_list[].model_info.output_cost_per_reasoning_token", NoEquivalent, PRICE),
    rule("model_list[].model_info.input_cost_per_audio_token", NoEquivalent, PRICE),

    rule("router_settings", Mapped, "See its keys."),
    rule("router_settings.routing_strategy", Mapped, "`simple-shuffle`: `weighted`, the same. `least-busy`: `least_busy`. `cost-based-routing`: `cost`, which needs the prices. Near: `latency-based-routing` is `latency`, the faster one of two; `usage-based-routing` and `-v2` are `random`, and `limits` move traffic away."),
    rule("router_settings.routing_strategy_args", NoEquivalent, "The strategies have no arguments."),
    rule("router_settings.routing_groups", Approximated, "The strategy of these nodes."),
    rule("router_settings.num_retries", Approximated, "A lone deployment is retried so often (`retry.attempts`), a 429 only if it says that it is back within 5 seconds. Among several, `max_attempts` is one more, and a retry goes to another deployment, not back to the one that failed. After a timeout, what is next follows at once."),
    rule("router_settings.max_fallbacks", Mapped, "How deep chains of fallbacks are followed."),
    rule("router_settings.timeout", Approximated, "`settings.timeout.headers_ms`, and without `stream_timeout` also `first_token_ms` and `idle_ms`. `deadline_ms` has room for two of the longest limit."),
    rule("router_settings.stream_timeout", Mapped, "`settings.timeout.first_token_ms` and `idle_ms`."),
    rule("router_settings.retry_after", Approximated, "`retry.backoff_ms` of lone deployments. A retry at another one does not wait."),
    rule("router_settings.retry_policy", Approximated, "`retry.on` and the largest of the numbers as `retry.attempts`, of lone deployments. Others go to another deployment."),
    rule("router_settings.model_group_retry_policy", Approximated, "As `retry_policy`, for one node."),
    rule("router_settings.allowed_fails", Approximated, "`settings.health.failures_in_a_row`, one more. LiteLLM counts failures within the cooldown time."),
    rule("router_settings.allowed_fails_policy", Approximated, "`health.failures_in_a_row`: the smallest number for timeouts and 5xx, one more. A 429, a refused key and a missing deployment eject at once; faults of the request never do."),
    rule("router_settings.cooldown_time", Approximated, "`settings.health.first_ejection_ms` and `longest_ejection_ms`. After it, one request probes."),
    rule("router_settings.disable_cooldowns", NoEquivalent, "Health cannot be switched off."),
    rule("router_settings.fallbacks", Mapped, "A node over the group and its fallbacks, with every class in `fallback_on`. Chains and circles are unrolled."),
    rule("router_settings.context_window_fallbacks", Mapped, "`on.context_window`."),
    rule("router_settings.content_policy_fallbacks", Approximated, "`on.content_policy`, when a request is rejected. An answer that ends with `content_filter` is passed on; LiteLLM also falls back then, except in streams."),
    rule("router_settings.default_fallbacks", Approximated, "The fallbacks of each model without its own. A model that is not in the file stays unknown."),
    rule("router_settings.model_group_alias", Approximated, "A node over that node. Its fallbacks count too; in LiteLLM they do not. `hidden` has no effect."),
    rule("router_settings.enable_pre_call_checks", Approximated, "`max_input_tokens` becomes `capabilities.context_tokens`. Without it, the provider's error decides; LiteLLM has a list of sizes. Regions (`allowed_model_region`) are not compared."),
    rule("router_settings.enable_tag_filtering", Approximated, "A `match` by the header `x-litellm-tags`; tags in the body are not read. Of several tags the first in the alphabet counts. A tag that no row has goes to the rows with `default`, or to all; LiteLLM refuses it if there is no `default`."),
    rule("router_settings.tag_filtering_match_any", NoEquivalent, "One of the tags is enough."),
    rule("router_settings.enable_weighted_failover", NotNeeded, "A failure goes to the next deployment of the group."),
    rule("router_settings.enable_mid_stream_fallback_continuation", NoEquivalent, "A stream that breaks after its first content ends with an error event."),
    rule("router_settings.enable_health_check_routing", NotNeeded, PROBES),
    rule("router_settings.optional_pre_call_checks", Approximated, "`settings.sticky`: `prompt_caching` by `prompt_cache_key`, `session_affinity` by `x-litellm-session-id`, `deployment_affinity` by the client."),
    rule("router_settings.deployment_affinity_ttl_seconds", Mapped, "`settings.sticky.ttl`."),
    rule("router_settings.default_max_parallel_requests", NoEquivalent, PARALLEL),
    rule("router_settings.provider_budget_config", NoEquivalent, BUDGET),
    rule("router_settings.default_priority", NoEquivalent, "Requests do not queue."),
    rule("router_settings.polling_interval", NoEquivalent, "Requests do not queue."),
    rule("router_settings.cache_responses", NoEquivalent, CACHE),
    rule("router_settings.redis_host", NotNeeded, SHARED),
    rule("router_settings.redis_port", NotNeeded, SHARED),
    rule("router_settings.redis_password", NotNeeded, SHARED),
    rule("router_settings.redis_url", NotNeeded, SHARED),
    rule("router_settings.client_ttl", NotNeeded, "The platform keeps connections."),
    rule("router_settings.set_verbose", NotNeeded, CALLBACK),
    rule("router_settings.debug_level", NotNeeded, CALLBACK),
    rule("router_settings.ignore_invalid_deployments", NotNeeded, "A row that cannot be imported is left out, with a note."),
    rule("router_settings.redis_db", NotNeeded, SHARED),
    rule("router_settings.redis_startup_nodes", NotNeeded, SHARED),
    rule("router_settings.cache_kwargs", NotNeeded, SHARED),
    rule("router_settings.caching_groups", NoEquivalent, CACHE),
    rule("router_settings.default_litellm_params", NoEquivalent, "Set it in each row."),
    rule("router_settings.alerting_config", NoEquivalent, ALERTS),
    rule("router_settings.router_general_settings", NotNeeded, "It chooses a part of LiteLLM."),
    rule("router_settings.session_affinity_repin_on_failover", NoEquivalent, "A session returns to its deployment when that is well."),
    rule("router_settings.health_check_staleness_threshold", NotNeeded, PROBES),
    rule("router_settings.health_check_ignore_transient_errors", NotNeeded, PROBES),
    rule("router_settings.tag_routing_prefix", NoEquivalent, "Tags are compared as they are."),
    rule("router_settings.fallback_on_unsupported_params", NoEquivalent, "A 400 about a field is like any other: fallbacks follow."),
    rule("router_settings.search_tools", NoEquivalent, "There are no tools of the gateway."),
    rule("router_settings.guardrail_list", NoEquivalent, "Prompts and answers are not checked."),
    rule("router_settings.assistants_config", NoEquivalent, "Assistants are called as they are: docs/api.md."),

    rule("litellm_settings", Mapped, "See its keys."),
    rule("litellm_settings.num_retries", Approximated, "As `router_settings.num_retries`, if that is absent."),
    rule("litellm_settings.num_retries_per_request", Approximated, "`settings.max_attempts`, one more."),
    rule("litellm_settings.request_timeout", Approximated, "As `router_settings.timeout`, and before it."),
    rule("litellm_settings.allowed_fails", Approximated, "As `router_settings.allowed_fails`, if that is absent."),
    rule("litellm_settings.allowed_fails_policy", Approximated, "As `router_settings.allowed_fails_policy`, if that is absent."),
    rule("litellm_settings.cooldown_time", Approximated, "As `router_settings.cooldown_time`, if that is absent."),
    rule("litellm_settings.fallbacks", Mapped, "As `router_settings.fallbacks`, if that is absent."),
    rule("litellm_settings.context_window_fallbacks", Mapped, "As in `router_settings`, if it is absent there."),
    rule("litellm_settings.content_policy_fallbacks", Approximated, "As in `router_settings`, if it is absent there."),
    rule("litellm_settings.default_fallbacks", Approximated, "As in `router_settings`, if it is absent there."),
    rule("litellm_settings.model_group_alias", Approximated, "As in `router_settings`, if it is absent there."),
    rule("litellm_settings.drop_params", NoEquivalent, "No field is dropped by itself. If a model refuses one, name it in `params.drop`."),
    rule("litellm_settings.modify_params", NoEquivalent, "Requests are not rewritten."),
    rule("litellm_settings.cache", NoEquivalent, CACHE),
    rule("litellm_settings.cache_params", NoEquivalent, CACHE),
    rule("litellm_settings.success_callback", NoEquivalent, CALLBACK),
    rule("litellm_settings.failure_callback", NoEquivalent, CALLBACK),
    rule("litellm_settings.callbacks", NoEquivalent, CALLBACK),
    rule("litellm_settings.service_callback", NoEquivalent, CALLBACK),
    rule("litellm_settings.json_logs", NotNeeded, "Log lines are JSON."),
    rule("litellm_settings.set_verbose", NotNeeded, CALLBACK),
    rule("litellm_settings.turn_off_message_logging", NotNeeded, "Prompts and answers are never logged."),
    rule("litellm_settings.redact_user_api_key_info", NotNeeded, "Keys are never logged."),
    rule("litellm_settings.telemetry", NotNeeded, "Nothing is sent to anybody."),
    rule("litellm_settings.max_budget", NoEquivalent, BUDGET),
    rule("litellm_settings.budget_duration", NoEquivalent, BUDGET),
    rule("litellm_settings.default_team_settings", NoEquivalent, "There are no teams."),
    rule("litellm_settings.guardrails", NoEquivalent, "Prompts and answers are not checked."),
    rule("litellm_settings.service_callbacks", NoEquivalent, CALLBACK),
    rule("litellm_settings.langfuse_default_tags", NoEquivalent, CALLBACK),
    rule("litellm_settings.s3_callback_params", NoEquivalent, CALLBACK),
    rule("litellm_settings.gcs_pub_sub_use_v1", NoEquivalent, CALLBACK),
    rule("litellm_settings.prometheus_initialize_budget_metrics", NoEquivalent, CALLBACK),
    rule("litellm_settings.custom_prometheus_metadata_labels", NoEquivalent, CALLBACK),
    rule("litellm_settings.store_audit_logs", NotNeeded, "Every act of an administrator is recorded: docs/changing-routes.md."),
    rule("litellm_settings.max_user_budget", NoEquivalent, BUDGET),
    rule("litellm_settings.internal_user_budget_duration", NoEquivalent, BUDGET),
    rule("litellm_settings.max_internal_user_budget", NoEquivalent, BUDGET),
    rule("litellm_settings.max_end_user_budget", NoEquivalent, BUDGET),
    rule("litellm_settings.tag_budget_config", NoEquivalent, BUDGET),
    rule("litellm_settings.default_internal_user_params", NoEquivalent, KEYS),
    rule("litellm_settings.upperbound_key_generate_params", NoEquivalent, KEYS),
    rule("litellm_settings.default_key_generate_params", NoEquivalent, KEYS),
    rule("litellm_settings.key_generation_settings", NoEquivalent, KEYS),
    rule("litellm_settings.enable_key_alias_format_validation", NoEquivalent, KEYS),
    rule("litellm_settings.disable_end_user_cost_tracking", NotNeeded, "Usage is counted by client, not by end user."),
    rule("litellm_settings.disable_end_user_cost_tracking_prometheus_only", NotNeeded, "Usage is counted by client, not by end user."),
    rule("litellm_settings.public_model_groups", NotNeeded, "A client sees the models that it may use."),
    rule("litellm_settings.enable_json_schema_validation", NoEquivalent, "Prompts and answers are not checked."),
    rule("litellm_settings.mcp_aliases", NoEquivalent, MCP),
    rule("litellm_settings.enable_azure_ad_token_refresh", NoEquivalent, ENTRA),
    rule("litellm_settings.custom_provider_map", NoEquivalent, "There is no code of your own in the gateway."),
    rule("litellm_settings.ssl_verify", NoEquivalent, "Certificates are always verified."),
    rule("litellm_settings.force_ipv4", NotNeeded, "It is about LiteLLM's own process."),
    rule("litellm_settings.disable_hf_tokenizer_download", NotNeeded, "It is about LiteLLM's own process."),
    rule("litellm_settings.enable_preview_features", NotNeeded, "It is about LiteLLM's own process."),
    rule("litellm_settings.disable_copilot_system_to_assistant", NotNeeded, "It is about LiteLLM's own process."),
    rule("litellm_settings.disable_add_transform_inline_image_block", NotNeeded, "It is about LiteLLM's own process."),

    rule("general_settings", Mapped, "See its keys."),
    rule("general_settings.master_key", Approximated, "`clients.master.key`. It may call all models, and administrates nothing: `ADMIN_TOKEN` does."),
    rule("general_settings.database_url", NotNeeded, DATABASE),
    rule("general_settings.database_connection_pool_limit", NotNeeded, DATABASE),
    rule("general_settings.store_model_in_db", NoEquivalent, "Models stand in the routes document."),
    rule("general_settings.background_health_checks", NotNeeded, PROBES),
    rule("general_settings.health_check_interval", NotNeeded, PROBES),
    rule("general_settings.enforce_fallback_model_access", NoEquivalent, "The key's models are compared with the model that is called, not with its fallbacks."),
    rule("general_settings.alerting", NoEquivalent, ALERTS),
    rule("general_settings.alerting_threshold", NoEquivalent, ALERTS),
    rule("general_settings.max_parallel_requests", NoEquivalent, PARALLEL),
    rule("general_settings.global_max_parallel_requests", NoEquivalent, PARALLEL),
    rule("general_settings.pass_through_endpoints", NoEquivalent, "There is no pass-through."),
    rule("general_settings.custom_auth", NoEquivalent, "Clients have keys: `clients`."),
    rule("general_settings.proxy_batch_write_at", NotNeeded, DATABASE),
    rule("general_settings.disable_spend_logs", NotNeeded, DATABASE),
    rule("general_settings.database_connection_timeout", NotNeeded, DATABASE),
    rule("general_settings.allow_requests_on_db_unavailable", NotNeeded, DATABASE),
    rule("general_settings.disable_prisma_schema_update", NotNeeded, DATABASE),
    rule("general_settings.disable_spend_updates", NotNeeded, DATABASE),
    rule("general_settings.disable_reset_budget", NotNeeded, DATABASE),
    rule("general_settings.disable_adding_master_key_hash_to_db", NotNeeded, DATABASE),
    rule("general_settings.disable_master_key_return", NotNeeded, DATABASE),
    rule("general_settings.use_redis_transaction_buffer", NotNeeded, DATABASE),
    rule("general_settings.supported_db_objects", NotNeeded, DATABASE),
    rule("general_settings.user_api_key_cache_ttl", NotNeeded, DATABASE),
    rule("general_settings.proxy_batch_polling_interval", NotNeeded, DATABASE),
    rule("general_settings.proxy_budget_rescheduler_min_time", NotNeeded, DATABASE),
    rule("general_settings.proxy_budget_rescheduler_max_time", NotNeeded, DATABASE),
    rule("general_settings.maximum_spend_logs_retention_period", NotNeeded, DATABASE),
    rule("general_settings.maximum_spend_logs_retention_interval", NotNeeded, DATABASE),
    rule("general_settings.store_prompts_in_spend_logs", NoEquivalent, "Prompts and answers are never stored."),
    rule("general_settings.custom_key_generate", NoEquivalent, KEYS),
    rule("general_settings.default_team_disabled", NoEquivalent, KEYS),
    rule("general_settings.service_account_settings", NoEquivalent, KEYS),
    rule("general_settings.enable_jwt_auth", NoEquivalent, AUTH),
    rule("general_settings.litellm_jwtauth", NoEquivalent, AUTH),
    rule("general_settings.enable_oauth2_auth", NoEquivalent, AUTH),
    rule("general_settings.enable_oauth2_proxy_auth", NoEquivalent, AUTH),
    rule("general_settings.oauth2_config_mappings", NoEquivalent, AUTH),
    rule("general_settings.custom_sso", NoEquivalent, AUTH),
    rule("general_settings.allow_user_auth", NoEquivalent, AUTH),
    rule("general_settings.litellm_key_header_name", NoEquivalent, AUTH),
    rule("general_settings.user_header_name", NoEquivalent, AUTH),
    rule("general_settings.allowed_routes", NoEquivalent, "A key may call every operation of its models."),
    rule("general_settings.public_routes", NoEquivalent, "A key may call every operation of its models."),
    rule("general_settings.admin_only_routes", NoEquivalent, "A key may call every operation of its models."),
    rule("general_settings.allowed_ips", NoEquivalent, "Addresses are not compared: use a rule of Cloudflare's firewall."),
    rule("general_settings.use_x_forwarded_for", NotNeeded, "Cloudflare says where a request comes from."),
    rule("general_settings.enforce_user_param", NoEquivalent, "No field is demanded of a request."),
    rule("general_settings.enforced_params", NoEquivalent, "No field is demanded of a request."),
    rule("general_settings.reject_clientside_metadata_tags", NoEquivalent, "Tags come in the header `x-litellm-tags`."),
    rule("general_settings.completion_model", NoEquivalent, MODEL),
    rule("general_settings.embedding_model", NoEquivalent, MODEL),
    rule("general_settings.image_generation_model", NoEquivalent, MODEL),
    rule("general_settings.moderation_model", NoEquivalent, MODEL),
    rule("general_settings.infer_model_from_keys", NoEquivalent, "Name each model in `model_list`."),
    rule("general_settings.forward_client_headers_to_llm_api", NotNeeded, "Headers of clients are passed on: docs/api.md."),
    rule("general_settings.forward_openai_org_id", NoEquivalent, "`organization` of a deployment is sent."),
    rule("general_settings.allow_client_side_credentials", NoEquivalent, "Clients cannot send credentials of providers."),
    rule("general_settings.use_client_credentials_pass_through_routes", NoEquivalent, "There is no pass-through."),
    rule("general_settings.key_management_system", NoEquivalent, SECRETS),
    rule("general_settings.key_management_settings", NoEquivalent, SECRETS),
    rule("general_settings.use_azure_key_vault", NoEquivalent, SECRETS),
    rule("general_settings.use_google_kms", NoEquivalent, SECRETS),
    rule("general_settings.alert_types", NoEquivalent, ALERTS),
    rule("general_settings.alert_to_webhook_url", NoEquivalent, ALERTS),
    rule("general_settings.alerting_args", NoEquivalent, ALERTS),
    rule("general_settings.spend_report_frequency", NoEquivalent, ALERTS),
    rule("general_settings.max_request_size_mb", NoEquivalent, "The platform limits requests; `settings.buffer_bytes` is what can be sent again."),
    rule("general_settings.max_response_size_mb", NoEquivalent, "Answers are not limited."),
    rule("general_settings.disable_retry_on_max_parallel_request_limit_error", NoEquivalent, PARALLEL),
    rule("general_settings.health_check_details", NotNeeded, PROBES),
    rule("general_settings.user_mcp_management_mode", NoEquivalent, MCP),
    rule("general_settings.ui_access_mode", NotNeeded, "It is about LiteLLM's own process."),
    rule("general_settings.litellm_license", NotNeeded, "It is about LiteLLM's own process."),

    rule("credential_list", Mapped, "Values for the rows that name one of them."),
    rule("credential_list[].credential_name", Mapped, "What `litellm_credential_name` says."),
    rule("credential_list[].credential_values", Mapped, "As the same keys in `litellm_params`."),
    rule("credential_list[].credential_info", NotNeeded, INFORMATION),
    rule("environment_variables", NoEquivalent, "Set them as secrets: `npx wrangler secret put NAME`. Their values are not copied."),
    rule("guardrails", NoEquivalent, "Prompts and answers are not checked."),
    rule("mcp_servers", NoEquivalent, MCP),
    rule("vector_store_registry", NoEquivalent, "There are no vector stores."),
    rule("include", NoEquivalent, "Other files are not read: put their content into this one."),
    rule("callback_settings", NoEquivalent, CALLBACK),
    rule("search_tools", NoEquivalent, "There are no tools of the gateway."),
    rule("assistant_settings", NoEquivalent, "Assistants are called as they are: docs/api.md."),
    rule("finetune_settings", NoEquivalent, "Fine-tuning is not called."),
    rule("files_settings", NoEquivalent, "Files go to the deployments of a model: docs/api.md."),
    rule("prompts", NoEquivalent, "Requests are not rewritten."),

    rule("router", Mapped, "Each entry is a node."),
    rule("router[].model_name", Mapped, "The name of the node."),
    rule("router[].name", Mapped, "The name of the node."),
    rule("router[].routing_strategy", Mapped, "`fallback` is `priority`, `load_balance` is `weighted`."),
    rule("router[].load_balance_strategy", Mapped, "`strategy`: `random`, `round_robin`, `random_weighted`."),
    rule("router[].models", Mapped, "`targets`."),
    rule("router[].models[].name", Mapped, "`use`."),
    rule("router[].models[].priority", Mapped, "`priority`."),
    rule("router[].models[].weight", Mapped, "`weight`."),
    rule("router[].fallback_on_error_types", Mapped, "`fallback_on`."),
    rule("router[].model_alias", Mapped, "The first target."),
    rule("router[].fallback_models", Mapped, "The targets after it."),
];

/// The rule of a path in which each place in a list is `[]`. The values of a credential are those
/// of a row.
pub fn rule_of(path: &str) -> Option<&'static KeyRule> {
    let of_row = path.strip_prefix("credential_list[].credential_values.");
    let of_row = of_row.map(|key| format!("model_list[].litellm_params.{key}"));
    KEY_RULES.iter().find(|rule| rule.path == of_row.as_deref().unwrap_or(path))
}

impl KeyRule {
    /// The note for a report, in which nobody looks up another key: a rule that is like another one
    /// says what that one says.
    pub fn explanation(&self) -> String {
        let Some(other) = self.note.strip_prefix("As ").and_then(|rest| rest.split('`').nth(1)) else {
            return self.note.to_owned();
        };
        let (section, key) = self.path.rsplit_once('.').unwrap_or(("", self.path));
        let paths = [
            other.to_owned(),
            format!("model_list[].{other}"),
            format!("{section}.{other}"),
            format!("{other}.{key}"),
        ];
        let like = paths.iter().find_map(|path| rule_of(path).filter(|rule| rule.path.contains('.')));
        like.map_or_else(|| self.note.to_owned(), |rule| rule.note.to_owned())
    }
}

/// The table in Markdown, with a heading for each section.
pub fn markdown() -> String {
    let mut text = String::new();
    let mut section = "";
    for rule in KEY_RULES {
        let next = rule.path.split(['.', '[']).next().unwrap_or_default();
        if next != section && rule_has_keys(next) {
            let _ = write!(text, "\n### `{next}`\n\n| Key | | What becomes of it |\n|---|---|---|\n");
            section = next;
        } else if next != section && rule_has_keys(section) {
            text.push_str("\n### Other sections\n\n| Key | | What becomes of it |\n|---|---|---|\n");
            section = next;
        }
        let fate = match rule.fate {
            KeyFate::Mapped => "same",
            KeyFate::Approximated => "near",
            KeyFate::NotNeeded => "not needed",
            KeyFate::NoEquivalent => "none",
        };
        let _ = writeln!(text, "| `{}` | {fate} | {} |", rule.path, rule.note);
    }
    text
}

/// Whether a section has keys of its own in the table.
fn rule_has_keys(section: &str) -> bool {
    KEY_RULES
        .iter()
        .any(|rule| rule.path.strip_prefix(section).is_some_and(|rest| rest.starts_with(['.', '['])))
}

#[cfg(test)]
mod tests {
    use super::{KEY_RULES, rule_of};

    #[test]
    fn a_rule_that_is_like_another_one_says_what_that_one_says() {
        for (path, part) in [
            ("litellm_settings.request_timeout", "headers_ms"),
            ("litellm_settings.default_fallbacks", "without its own"),
            ("model_list[].model_info.cooldown_time", "first_ejection_ms"),
            ("model_list[].litellm_params.max_retries", "retry.attempts"),
            ("router_settings.timeout", "headers_ms"),
        ] {
            let explanation = rule_of(path).map(super::KeyRule::explanation).unwrap_or_default();
            assert!(explanation.contains(part), "{path}: {explanation}");
        }
        let unclear = KEY_RULES.iter().filter(|rule| rule.explanation().starts_with("As `"));
        assert_eq!(unclear.map(|rule| rule.path).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn each_key_stands_once() {
        let mut paths: Vec<_> = KEY_RULES.iter().map(|rule| rule.path).collect();
        paths.sort_unstable();
        let all = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
