//! Rows of `model_list` become deployments.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use switchyard::geography::distance::is_region;

use super::import_notes::ImportNotes;
use super::row_providers::{
    OPENAI, azure_parts, compatible, foundry, is_foreign, is_of_openai, refuse_plain_http, through_gateway,
};
use super::wildcard_rows::filled;
use super::yaml_tree::{YamlEntry, YamlNode};

/// What LiteLLM takes when a row of Azure names no version.
const API_VERSION: &str = "2025-02-01-preview";

/// Fields of the body that a row may preset.
const BODY_FIELDS: &[&str] = &[
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "reasoning_effort",
    "service_tier",
    "user",
    "stop",
    "n",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
    "verbosity",
    "store",
    "modalities",
    "dimensions",
    "encoding_format",
    "prompt_cache_key",
    "safety_identifier",
];

/// A row that became a deployment.
pub struct ModelRow {
    /// The name of the deployment.
    pub deployment: String,
    /// Its tier.
    pub order: Option<u32>,
    /// `weight`, `rpm` and `tpm`.
    pub metrics: [Option<f64>; 3],
    /// Its own number of retries.
    pub retries: Option<u32>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it has a price.
    pub has_price: bool,
}

/// What rows share.
pub struct RowReader<'a> {
    /// Named values for rows, with their place in `credential_list`.
    pub credentials: BTreeMap<&'a str, (usize, &'a YamlNode)>,
    /// Whether inputs that are too long are noticed before the call.
    pub checks_context: bool,
    /// Names that are taken.
    pub names: BTreeSet<String>,
    /// The deployments so far.
    pub deployments: Map<String, Value>,
    /// The longest limit of a deployment, in seconds.
    pub longest_timeout: f64,
    /// Variables for secrets that stand in the file, by secret.
    secrets: BTreeMap<String, String>,
}

impl<'a> RowReader<'a> {
    /// A reader that takes none of the reserved names.
    pub fn new(names: BTreeSet<String>, checks_context: bool) -> Self {
        Self {
            credentials: BTreeMap::new(),
            checks_context,
            names,
            deployments: Map::new(),
            longest_timeout: 0.0,
            secrets: BTreeMap::new(),
        }
    }

    /// Adds the deployment of a row. `captured`: what each `*` in its model stands for.
    ///
    /// # Errors
    /// Why it cannot be one.
    #[expect(clippy::too_many_lines, reason = "a row, key by key")]
    pub fn add(
        &mut self,
        row: &'a YamlNode,
        path: &str,
        captured: Option<&[&str]>,
        notes: &mut ImportNotes,
    ) -> Result<ModelRow, String> {
        let nothing = YamlNode::nothing(row.line);
        let params = row.get("litellm_params").unwrap_or(&nothing);
        let info = row.get("model_info").unwrap_or(&nothing);
        let at = format!("{path}.litellm_params");
        let credential = params.get("litellm_credential_name").and_then(YamlNode::text);
        let credential = credential.and_then(|name| {
            let known = self.credentials.get(name).copied();
            if known.is_none() {
                let said = format!("`credential_list` has no `{name}`: the usual variables of the provider.");
                notes.lost(params.line, &format!("{at}.litellm_credential_name"), said);
            }
            known
        });
        let values = credential.map(|(_, values)| values);
        let get = |key: &str| params.get(key).or_else(|| values.and_then(|values| values.get(key)));
        let place = |key: &str| match (params.peek(key), credential) {
            (None, Some((index, _))) => format!("credential_list[{index}].credential_values.{key}"),
            _ => format!("{at}.{key}"),
        };
        let text = |key: &str| get(key).and_then(YamlNode::text);

        let model = text("model").ok_or("it has no `litellm_params.model`")?;
        if model.starts_with("os.environ/") {
            return Err("its `model` is a variable: write the name itself, with the provider".to_owned());
        }
        let model = captured.map_or(Cow::Borrowed(model), |captured| filled(model, captured).into());
        let model = model.as_ref();
        let (prefix, name) = model.split_once('/').unwrap_or(("", model));
        let by_type = text("api_type").filter(|kind| {
            let is_known = *kind == "azure" || compatible(kind).is_some();
            if !is_known || !(prefix.is_empty() || prefix == *kind) {
                let said =
                    "It has no effect: the provider is the prefix of `model`, or `custom_llm_provider`.";
                notes.lost(params.line, &place("api_type"), said);
            }
            is_known && prefix.is_empty()
        });
        let by_key = text("custom_llm_provider").or(by_type);
        // LiteLLM takes the word out of the name, and calls Responses for chat completions too.
        let bridged = model.strip_prefix("responses/").map(str::to_owned).or_else(|| {
            let name = name.strip_prefix("responses/").filter(|_| is_of_openai(prefix))?;
            Some(format!("{prefix}/{name}"))
        });
        if bridged.is_some() {
            let said = "A request keeps its operation. LiteLLM makes a response of a chat completion; here \
                        clients of a model that only has Responses call `/v1/responses`.";
            notes.near(params.line, &format!("{at}.model"), said);
        }
        let model = bridged.as_deref().unwrap_or(model);
        let (prefix, name) = model.split_once('/').unwrap_or(("", model));
        let base = text("api_base").or_else(|| text("base_url"));
        let named = compatible(prefix);
        let provider = by_key.unwrap_or(prefix);
        let resource = base.filter(|_| provider == "azure_ai" && !is_foreign(name)).and_then(foundry);
        let is_azure = matches!(provider, "azure" | "azure_text") || resource.is_some();
        let through = base.and_then(through_gateway);
        let mut made = Map::new();
        let mut default_key = "";
        let suggested;
        if is_azure {
            let name = if prefix == provider { name } else { model };
            let name = name.strip_prefix("o_series/").or(name.strip_prefix("gpt5_series/")).unwrap_or(name);
            let gateway = through.as_ref().filter(|through| through.rest.first() == Some(&"azure-openai"));
            let base = match (gateway.map(|through| through.rest.as_slice()), resource, base) {
                (Some([_, resource, ..]), ..) => format!("https://{resource}.openai.azure.com"),
                (_, Some(resource), _) => resource.to_owned(),
                (_, None, Some(base)) => variables(base, "endpoint", notes),
                (_, None, None) => "${AZURE_API_BASE}".to_owned(),
            };
            if base.contains("${AZURE_API_BASE}") {
                notes.variable("AZURE_API_BASE", "endpoint of Azure OpenAI");
            }
            let (endpoint, deployment, version) = azure_parts(&base);
            let in_gateway = gateway.and_then(|through| through.rest.get(2).copied());
            let deployment = text("azure_deployment").or(deployment).or(in_gateway).unwrap_or(name);
            if resource.is_some() {
                let said = "`azure_ai/` is called through the v1 API of its resource.";
                notes.near(params.line, &at, said);
            }
            let version = if resource.is_some() { Some("v1") } else { text("api_version").or(version) };
            let version = match version {
                Some("latest") => "v1".to_owned(),
                Some(version) => variables(version, "API version", notes),
                None if endpoint.ends_with("/openai/v1") => "v1".to_owned(),
                None => {
                    notes.near(
                        params.line,
                        &at,
                        format!("`api_version` is absent: {API_VERSION}, as in LiteLLM."),
                    );
                    API_VERSION.to_owned()
                }
            };
            refuse_plain_http(endpoint)?;
            made.insert("provider".into(), "azure".into());
            made.insert("endpoint".into(), endpoint.into());
            made.insert("deployment".into(), variables(deployment, "deployment", notes).into());
            made.insert("api_version".into(), version.into());
            let real = info.get("base_model").or_else(|| get("base_model")).and_then(YamlNode::text);
            let real = real.map(|real| real.strip_prefix("azure/").unwrap_or(real));
            if let Some(real) = real.or((prefix != provider).then_some(name)) {
                made.insert("model".into(), real.into());
            }
            default_key = "AZURE_API_KEY";
            suggested = format!("azure-{deployment}");
        } else {
            let called = match by_key {
                // A prefix of the same name is not a part of the model.
                Some(key) if key == prefix => named.map(|provider| (provider, name)),
                Some(key) => compatible(key).map(|provider| (provider, model)),
                None if prefix.is_empty() && !is_foreign(name) => Some((&OPENAI, model)),
                None => named.map(|provider| (provider, name)),
            };
            let Some((called, name)) = called else {
                return Err(format!(
                    "`{model}` is called at {}. The gateway calls OpenAI, Azure OpenAI, and providers with an API like OpenAI's; if this one has one, use `openai/NAME` with its address as `api_base`",
                    if provider.is_empty() { "another provider".to_owned() } else { format!("`{provider}`") }
                ));
            };
            let (known, endpoint, key) = called;
            if name.contains('*') {
                return Err("`*` stands for any model: name each model in a row of its own".to_owned());
            }
            made.insert("provider".into(), "openai".into());
            let gateway = through.as_ref().filter(|through| through.rest == ["openai"]);
            if gateway.is_some() {
                // The address follows from `via`.
            } else if let Some(base) = base {
                let base = variables(base, "endpoint", notes);
                let endpoint = base.trim_end_matches('/').trim_end_matches("/chat/completions");
                refuse_plain_http(endpoint)?;
                made.insert("endpoint".into(), endpoint.into());
            } else if let Some(endpoint) = endpoint {
                if endpoint.is_empty() {
                    return Err(format!("`{known}/` needs an `api_base`"));
                }
                made.insert("endpoint".into(), (*endpoint).into());
                notes.near(
                    params.line,
                    &at,
                    format!("`{known}/` is called through its API for clients of OpenAI."),
                );
            }
            made.insert("model".into(), variables(name, "model", notes).into());
            if let Some(organization) = text("organization") {
                made.insert("organization".into(), variables(organization, "organization", notes).into());
            }
            if !made.contains_key("endpoint") || endpoint.is_some_and(|endpoint| !endpoint.is_empty()) {
                default_key = key;
            }
            suggested = format!("{known}-{name}");
        }
        let id = info.get("id").and_then(YamlNode::text);
        let deployment = self.unique(id.unwrap_or(&suggested));
        match get("api_key").and_then(YamlNode::text) {
            Some(key) => {
                let key = self.secret(key, &deployment, notes);
                made.insert("api_key".into(), key.into());
            }
            None if !default_key.is_empty() => {
                made.insert("api_key".into(), notes.variable(default_key, "API key").into());
            }
            None => {}
        }
        let is_via =
            !made.get("endpoint").and_then(Value::as_str).is_some_and(|base| base.contains("gateway.ai."));
        if let Some(through) = through.filter(|_| is_via) {
            let headers = get("extra_headers");
            let token =
                headers.and_then(|headers| headers.get("cf-aig-authorization")).and_then(YamlNode::text);
            let token = token.map(|token| token.strip_prefix("Bearer ").unwrap_or(token));
            let token = token.map(|token| self.secret(token, &format!("{deployment}_AIG"), notes).into());
            made.insert(
                "via".into(),
                object([
                    ("account", Some(through.account.into())),
                    ("gateway", Some(through.gateway.into())),
                    ("token", token),
                ]),
            );
        }
        if let Some(region) = text("region_name") {
            if is_region(region) {
                made.insert("region".into(), region.into());
            } else {
                notes.lost(params.line, &place("region_name"), "It is not the name of an Azure region.");
            }
        }
        let tags: Vec<String> =
            get("tags").map(YamlNode::texts).unwrap_or_default().into_iter().map(str::to_owned).collect();
        put(&mut made, "tags", json!(tags));
        let has_price = Self::prices(&mut made, params, info);
        put(&mut made, "capabilities", self.capabilities(info));
        let metrics = ["weight", "rpm", "tpm"].map(|key| get(key).and_then(YamlNode::number));
        let limit = |value: Option<f64>| {
            value.filter(|value| *value >= 1.0).map(|value| number(value.min(1e9).floor()))
        };
        let [_, rpm, tpm] = metrics;
        put(&mut made, "limits", object([("rpm", limit(rpm)), ("tpm", limit(tpm))]));
        put(&mut made, "timeout", timeouts(get("timeout"), get("stream_timeout")));
        let longest = get("timeout").and_then(YamlNode::number).unwrap_or(0.0);
        self.longest_timeout = self.longest_timeout.max(longest);
        let cooldown = info.get("cooldown_time").or_else(|| get("cooldown_time"));
        put(
            &mut made,
            "health",
            ejections(cooldown, allowed_fails(info.get("allowed_fails"), info.get("allowed_fails_policy"))),
        );
        put(&mut made, "params", params_of(params));
        self.deployments.insert(deployment.clone(), Value::Object(made));
        let order = get("order").or_else(|| info.get("order")).and_then(YamlNode::number);
        Ok(ModelRow {
            deployment,
            order: order.map(whole),
            metrics,
            retries: get("num_retries").or_else(|| get("max_retries")).and_then(YamlNode::number).map(whole),
            tags,
            has_price,
        })
    }

    /// Prices per token become prices per million tokens.
    fn prices(made: &mut Map<String, Value>, params: &YamlNode, info: &YamlNode) -> bool {
        let price = |key: &str, times: f64| {
            let price = params.get(key).or_else(|| info.get(key)).and_then(YamlNode::number)?;
            Some(number((price * times * 1e9).round() / 1e9))
        };
        let cost = object([
            ("input", price("input_cost_per_token", 1e6)),
            ("cached_input", price("cache_read_input_token_cost", 1e6)),
            ("output", price("output_cost_per_token", 1e6)),
            ("image", price("output_cost_per_image", 1.0)),
            ("minute", price("input_cost_per_second", 60.0)),
        ]);
        let has_price = cost.as_object().is_some_and(|cost| !cost.is_empty());
        put(made, "cost", cost);
        has_price
    }

    fn capabilities(&self, info: &YamlNode) -> Value {
        let can = |key: &str| info.get(key).and_then(YamlNode::boolean).map(Value::Bool);
        let longest = info.get("max_input_tokens").and_then(YamlNode::number).filter(|_| self.checks_context);
        object([
            ("tools", can("supports_function_calling")),
            ("vision", can("supports_vision")),
            ("audio", can("supports_audio_input")),
            ("json_schema", can("supports_response_schema")),
            (
                "context_tokens",
                longest.filter(|tokens| *tokens >= 1.0).map(|tokens| number(tokens.min(1e9).floor())),
            ),
        ])
    }

    /// A secret as a variable. The same secret is the same variable.
    pub fn secret(&mut self, value: &str, owner: &str, notes: &mut ImportNotes) -> String {
        let resolved = variables(value, "API key", notes);
        if resolved.starts_with("${") && resolved.ends_with('}') {
            return resolved;
        }
        if let Some(known) = self.secrets.get(value) {
            return known.clone();
        }
        let variable = notes.variable(
            &variable_name(&format!("{owner}_API_KEY").to_ascii_uppercase()),
            "API key that stands in the file",
        );
        self.secrets.insert(value.to_owned(), variable.clone());
        variable
    }

    /// A name that no node and no deployment has.
    fn unique(&mut self, wish: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/@+-".contains(c);
        let wish: String = wish.chars().map(|c| if allowed(c) { c } else { '-' }).take(120).collect();
        let mut name = wish.clone();
        let mut count = 1;
        while name.is_empty() || !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{wish}-{count}");
        }
        name
    }
}

/// A text with `os.environ/NAME` as `${NAME}`. Its variables are noted.
pub fn variables(text: &str, purpose: &str, notes: &mut ImportNotes) -> String {
    if let Some(name) = text.strip_prefix("os.environ/") {
        return notes.variable(&variable_name(name), purpose);
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        if variable_name(name) == name {
            notes.variable(name, purpose);
        }
        rest = after;
    }
    text.to_owned()
}

/// A valid name of a variable.
fn variable_name(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(allowed).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// `params` of a deployment: what is dropped and set in bodies.
fn params_of(params: &YamlNode) -> Value {
    let mut set = Map::new();
    for entry in params.get("extra_body").map(YamlNode::entries).unwrap_or_default() {
        entry.read.set(true);
        entry.value.mark_read();
        set.insert(entry.key.clone(), json_of(&entry.value));
    }
    for field in BODY_FIELDS {
        if let Some(value) = params.get(field) {
            value.mark_read();
            set.insert((*field).to_owned(), json_of(value));
        }
    }
    let drop = params.get("additional_drop_params").map(YamlNode::texts).unwrap_or_default();
    object([
        ("drop", (!drop.is_empty()).then(|| json!(drop))),
        ("set", (!set.is_empty()).then_some(Value::Object(set))),
    ])
}

/// A value of YAML as JSON.
fn json_of(node: &YamlNode) -> Value {
    if let Some(items) = node.items() {
        return items.iter().map(json_of).collect();
    }
    if !node.entries().is_empty() {
        let entry = |entry: &YamlEntry| (entry.key.clone(), json_of(&entry.value));
        return Value::Object(node.entries().iter().map(entry).collect());
    }
    match (node.is_plain(), node.boolean(), node.number()) {
        (true, Some(truth), _) => Value::Bool(truth),
        (true, _, Some(value)) => number(value),
        _ => node.text().map_or(Value::Null, Value::from),
    }
}

/// `timeout` from LiteLLM's two limits in seconds.
pub fn timeouts(timeout: Option<&YamlNode>, stream: Option<&YamlNode>) -> Value {
    let ms = |node: Option<&YamlNode>| node.and_then(YamlNode::number).map(milliseconds);
    let (all, stream) = (ms(timeout), ms(stream));
    object([
        ("headers_ms", all.clone()),
        ("first_token_ms", stream.clone().or(all.clone())),
        ("idle_ms", stream.or(all)),
    ])
}

/// `health` from LiteLLM's cooldown.
pub fn ejections(cooldown: Option<&YamlNode>, fails: Option<f64>) -> Value {
    let ms = cooldown
        .and_then(YamlNode::number)
        .map(|seconds| number((seconds * 1000.0).round().clamp(100.0, 300_000.0)));
    let fails = fails.map(|fails| number((fails.floor() + 1.0).clamp(1.0, 1000.0)));
    object([("first_ejection_ms", ms.clone()), ("longest_ejection_ms", ms), ("failures_in_a_row", fails)])
}

/// How many failures LiteLLM allows. Of a policy, the smallest number for what is counted in a row
/// here; the other classes eject at once, or never.
pub fn allowed_fails(fails: Option<&YamlNode>, policy: Option<&YamlNode>) -> Option<f64> {
    let counted = ["Timeout", "InternalServer", "ServiceUnavailable", "BadGateway"];
    let others = ["RateLimit", "Authentication", "NotFound", "BadRequest", "ContentPolicyViolation"];
    let allowed = |class: &&str| policy?.get(&format!("{class}ErrorAllowedFails"))?.number();
    for class in &others {
        allowed(class);
    }
    let smallest = counted.iter().filter_map(allowed).min_by(f64::total_cmp);
    smallest.or(fails.and_then(YamlNode::number))
}

/// Seconds as milliseconds within the limits of a document.
pub fn milliseconds(seconds: f64) -> Value {
    number((seconds * 1000.0).round().clamp(1.0, 3_600_000.0))
}

/// An object of the entries that have a value.
pub fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(entries.collect())
}

/// Inserts a value unless it is empty.
pub fn put(object: &mut Map<String, Value>, key: &str, value: Value) {
    let is_empty = match &value {
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => other.is_null(),
    };
    if !is_empty {
        object.insert(key.to_owned(), value);
    }
}

/// A number, without a fraction if it has none.
pub fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    if value.fract().abs() < f64::EPSILON && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// A number of tries or a tier.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the range")]
pub fn whole(value: f64) -> u32 {
    value.clamp(0.0, 1e6) as u32
}
