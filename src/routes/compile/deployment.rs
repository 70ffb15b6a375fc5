//! Compiles deployments: addresses, credentials, edits of the body.
//!
//! What not every document has is not inlined: V8 then compiles it only where it is used.

use super::compiler::Compiler;
use super::operation_url::{MeantEndpoint, expected_of_variable};
use super::policy::timeouts;
use super::settings::ejections;
use super::url;
use crate::geography::distance::{is_region, regions};
use crate::routes::at::At;
use crate::routes::entra::{Entra, EntraProof};
use crate::routes::graph::{
    AzureApi, Capabilities, Deployment, Disabled, Ejections, Params, RateLimits, Secret, Upstream, Via,
};
use crate::routes::placeholder::sole_variable;
use crate::routes::raw::{
    RawApiKey, RawCapabilities, RawCost, RawDeployment, RawEntra, RawParams, RawProvider, RawVia,
};
use crate::usage::price::Price;
use crate::vocabulary::needs::{Feature, Features, OUTPUT_LIMITS};
use crate::vocabulary::rng::stable_hash;

/// The API of OpenAI itself.
const OPENAI: &str = "https://api.openai.com/v1";
/// The most keys of a deployment.
const MOST_KEYS: usize = 4;
/// The authority of Entra ID in the public cloud.
const ENTRA_AUTHORITY: &str = "https://login.microsoftonline.com";
/// The default host of Cloudflare AI Gateway.
const AI_GATEWAY: &str = "https://gateway.ai.cloudflare.com";

/// The key under which the health of a deployment is stored. The credential is not part of it: not
/// even a hash of it may leave the isolate.
fn identity(name: &str, upstream: &Upstream) -> String {
    let address = match upstream {
        Upstream::OpenAi { base, model, .. } => format!("{base} {model}"),
        Upstream::Azure { resource, deployment, .. } => format!("{resource} {deployment}"),
    };
    format!("{name}@{:016x}", stable_hash(address.as_bytes()))
}

impl Compiler<'_> {
    /// Invalid parts are left out or empty. They are never used: either there is an issue and no
    /// graph, or the deployment is disabled.
    pub(super) fn deployment(&mut self, name: &str, raw: &RawDeployment, usual: Ejections) -> Deployment {
        let section = At::Root.key("deployments");
        let at = section.key(name);
        let mut keys = self.keys(raw, at).into_iter();
        let entra = raw.auth.as_ref().and_then(|auth| self.entra(&auth.entra, raw, at));
        if let Some(region) = raw.region.as_deref().filter(|region| !is_region(region)) {
            let meant =
                self.report.nearest(region, regions()).map(|name| format!("; did you mean {name:?}?"));
            let note = format!("to `nearest` it is nowhere{}", meant.unwrap_or_default());
            self.report.warn(
                at.key("region"),
                "unknown_region",
                "the name of an Azure region, such as \"westeurope\"",
                note,
            );
        }
        if let Some(cost) = &raw.cost {
            self.prices(cost, at.key("cost"));
        }
        let upstream = match raw.provider {
            Some(RawProvider::OpenAi) => self.openai(raw, at),
            Some(RawProvider::Azure) => self.azure(raw, at),
            None => self.without_provider(raw, at),
        };
        let via = raw.via.as_ref().map(|via| self.via(via, raw, at));
        let params =
            raw.params.as_ref().map(|params| self.params(params, at.key("params"))).unwrap_or_default();
        let identity = identity(name, &upstream);
        Deployment {
            identity,
            limits: raw
                .limits
                .as_ref()
                .map(|limits| RateLimits { rpm: limits.rpm, tpm: limits.tpm })
                .unwrap_or_default(),
            ejections: raw.health.as_ref().map_or(usual, |own| ejections(own, usual)),
            id: self.deployments.len(),
            name: name.to_owned(),
            upstream,
            via,
            api_key: keys.next().unwrap_or_else(|| Secret::new("")),
            other_keys: keys.collect(),
            entra: entra.map(Box::new),
            disabled: self
                .report
                .disabled("deployments", name)
                .map(|variable| Disabled { variable: variable.to_owned() }),
            region: raw.region.clone(),
            quality: raw.quality.unwrap_or_default(),
            tags: raw.tags.clone(),
            capabilities: raw.capabilities.as_ref().map(|own| capabilities(own, &params)).unwrap_or_default(),
            cost: raw.cost.as_ref().map(price),
            timeout: timeouts(raw.timeout.as_ref()),
            params,
        }
    }

    /// The cheapest models cost cents for a million tokens. A far smaller number is for one token.
    #[inline(never)]
    fn prices(&mut self, cost: &RawCost, at: At<'_>) {
        for (key, dollars) in [("input", cost.input), ("output", cost.output)] {
            if dollars > 0.0 && dollars < 0.001 {
                let expected = "dollars for a million tokens, such as 2.5";
                let note = "this looks like the price of one token; multiply it by 1000000";
                self.report.warn(at.key(key), "price_per_token", expected, note);
            }
        }
    }

    fn keys(&mut self, raw: &RawDeployment, at: At<'_>) -> Vec<Secret> {
        let at = at.key("api_key");
        let may_lack_one = raw.via.is_some()
            || raw.auth.is_some()
            || match raw.provider {
                Some(RawProvider::OpenAi) => raw.endpoint.is_some(),
                Some(RawProvider::Azure) => false,
                None => true,
            };
        match &raw.api_key {
            Some(RawApiKey::One(api_key)) => self.secret(api_key, at).into_iter().collect(),
            Some(RawApiKey::List(list)) => self.key_list(list, at),
            None if may_lack_one => Vec::new(),
            None => {
                self.report.refuse(at, "the credential: one variable, such as \"${OPENAI_API_KEY}\"");
                Vec::new()
            }
        }
    }

    #[inline(never)]
    fn entra(&mut self, raw: &RawEntra, deployment: &RawDeployment, at: At<'_>) -> Option<Entra> {
        let auth = at.key("auth");
        if deployment.provider == Some(RawProvider::OpenAi) {
            self.report.refuse_key(auth, "no such key with provider openai: only azure reads it", None);
        }
        if deployment.api_key.is_some() {
            self.report.refuse_key(auth, "either `auth` or `api_key`: a call has one credential", None);
        }
        let at = auth.key("entra");
        for (key, id) in [("tenant", &raw.tenant), ("client_id", &raw.client_id)] {
            let is_id = !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if !is_id {
                self.report.refuse(at.key(key), "an id of Entra ID: letters, digits, -, . and _");
            }
        }
        let proof = match (&raw.client_secret, &raw.assertion) {
            (Some(secret), None) => self.secret(secret, at.key("client_secret")).map(EntraProof::Secret),
            (None, Some(assertion)) => self.secret(assertion, at.key("assertion")).map(EntraProof::Assertion),
            _ => {
                let expected = "exactly one of `client_secret` and `assertion`, such as \
                                \"client_secret\": \"${ENTRA_CLIENT_SECRET}\"";
                self.report.refuse(at, expected);
                None
            }
        };
        let authority = raw.authority.as_deref().unwrap_or(ENTRA_AUTHORITY);
        let authority = self.endpoint(authority, at.key("authority"));
        let usual = usual_scope(&authority, azure_api(deployment).as_ref());
        let scope = raw.scope.as_deref().unwrap_or(usual);
        let is_scope = scope.ends_with("/.default") && scope.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_scope {
            self.report.refuse(at.key("scope"), "a scope that ends with /.default: others are for people");
        }
        let (tenant, client_id) = (raw.tenant.clone(), raw.client_id.clone());
        let identity = format!("{authority} {tenant} {client_id} {scope}").into();
        Some(Entra { authority, tenant, client_id, proof: proof?, scope: scope.to_owned(), identity })
    }

    /// The keys of a list that have a value. While there is one, the deployment is in use: so a key
    /// can be added before its variable has a value, and removed afterwards.
    #[inline(never)]
    fn key_list(&mut self, list: &[String], at: At<'_>) -> Vec<Secret> {
        if list.len() > MOST_KEYS {
            self.report.refuse(at, format!("at most {MOST_KEYS} keys: one attempt may try all of them"));
            return Vec::new();
        }
        let mut keys: Vec<Secret> = Vec::new();
        for (index, key) in list.iter().enumerate() {
            let at = at.index(index);
            let key = if self.report.is_unusable(at) { None } else { self.secret(key, at) };
            keys.extend(key.filter(|key| !keys.contains(key)));
        }
        let written = at.index(0).find(self.report.written()).and_then(serde_json::Value::as_str);
        if let Some(variable) = written.and_then(sole_variable).filter(|_| keys.is_empty()) {
            self.report.disable_entry(at, variable);
        }
        keys
    }

    fn openai(&mut self, raw: &RawDeployment, at: At<'_>) -> Upstream {
        for (key, given) in [("deployment", &raw.deployment), ("api_version", &raw.api_version)] {
            if given.is_some() {
                let expected = "no such key with provider openai: only azure reads it";
                self.report.refuse_key(at.key(key), expected, None);
            }
        }
        for (key, given) in [("organization", &raw.organization), ("project", &raw.project)] {
            if let Some(value) = given {
                self.header_value(value, at.key(key));
            }
        }
        let endpoint = at.key("endpoint");
        let base = raw.endpoint.as_deref().unwrap_or(OPENAI);
        let base = self.endpoint_of(RawProvider::OpenAi, base, endpoint);
        if raw.endpoint.is_some() && raw.via.is_some() {
            self.report.warn(
                endpoint,
                "endpoint_beside_via",
                "no endpoint beside `via`",
                "AI Gateway itself knows where OpenAI is",
            );
        } else if url::parse(&base).is_some_and(|url| url.path.is_empty()) {
            self.report.warn(
                endpoint,
                "endpoint_without_path",
                "the base URL with its path, mostly /v1",
                "requests go to its root as it is",
            );
        }
        let model =
            self.required(raw.model.as_deref(), "the name of a model, such as \"gpt-4o\"", at.key("model"));
        Upstream::OpenAi { base, model, organization: raw.organization.clone(), project: raw.project.clone() }
    }

    #[inline(never)]
    fn azure(&mut self, raw: &RawDeployment, at: At<'_>) -> Upstream {
        for (key, given) in [("organization", &raw.organization), ("project", &raw.project)] {
            if given.is_some() {
                let expected = "no such key with provider azure: only openai reads it";
                self.report.refuse_key(at.key(key), expected, None);
            }
        }
        let expected = "the URL of the resource, such as \"https://NAME.openai.azure.com\"";
        let resource = match raw.endpoint.as_deref() {
            Some(endpoint) => self.endpoint_of(RawProvider::Azure, endpoint, at.key("endpoint")),
            None => self.required(None, expected, at.key("endpoint")),
        };
        let expected = "the name of the deployment in the resource";
        let deployment = self.required(raw.deployment.as_deref(), expected, at.key("deployment"));
        let api = self.api_version(raw, at);
        let bare = resource.strip_suffix("/v1").filter(|rest| rest.ends_with("/openai")).unwrap_or(&resource);
        let bare = bare.strip_suffix("/openai").unwrap_or(bare);
        Upstream::Azure { resource: bare.to_owned(), deployment, api }
    }

    fn api_version(&mut self, raw: &RawDeployment, at: At<'_>) -> AzureApi {
        let api = azure_api(raw);
        if api.is_none() {
            let expected = "a dated version such as \"2024-10-21\", or \"v1\" or \"preview\"";
            self.report.refuse(at.key("api_version"), expected);
        }
        api.unwrap_or_default()
    }

    /// Checks what has one meaning for all providers. That there is no valid provider is an issue
    /// already. Keys that only Azure reads show which one is meant.
    #[inline(never)]
    fn without_provider(&mut self, raw: &RawDeployment, at: At<'_>) -> Upstream {
        let is_azure = raw.deployment.is_some() || raw.api_version.is_some();
        let meant = if is_azure { RawProvider::Azure } else { RawProvider::OpenAi };
        let endpoint = raw.endpoint.as_deref();
        let endpoint = endpoint.map(|endpoint| self.endpoint_of(meant, endpoint, at.key("endpoint")));
        self.api_version(raw, at);
        let base = endpoint.unwrap_or_default();
        Upstream::OpenAi { base, model: String::new(), organization: None, project: None }
    }

    #[inline(never)]
    fn via(&mut self, raw: &RawVia, deployment: &RawDeployment, at: At<'_>) -> Via {
        let via = at.key("via");
        if deployment.provider == Some(RawProvider::Azure) {
            if matches!(azure_api(deployment), Some(AzureApi::V1 { .. })) {
                self.report.refuse(
                    at.key("api_version"),
                    "a dated version such as \"2024-10-21\": AI Gateway's azure-openai path has no v1 API",
                );
            }
            let endpoint = deployment.endpoint.as_deref().and_then(url::parse);
            let names_resource = |url: url::Url<'_>| {
                url.is_loopback() || url.host.to_ascii_lowercase().ends_with(".openai.azure.com")
            };
            if endpoint.is_some_and(|url| !names_resource(url)) {
                self.report.refuse(
                    at.key("endpoint"),
                    "https://NAME.openai.azure.com: AI Gateway's azure-openai path takes the name of a resource",
                );
            }
        }
        for (key, id) in [("account", &raw.account), ("gateway", &raw.gateway)] {
            let is_id = !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if !is_id {
                self.report.refuse(via.key(key), "letters, digits, - and _");
            }
        }
        let host = raw.endpoint.as_deref().unwrap_or(AI_GATEWAY);
        let host = self.endpoint(host, via.key("endpoint"));
        Via {
            base: format!("{host}/v1/{}/{}", raw.account, raw.gateway),
            token: raw.token.as_deref().and_then(|token| self.secret(token, via.key("token"))),
        }
    }

    /// The endpoint of a provider, which must not be the URL of an operation.
    fn endpoint_of(&mut self, provider: RawProvider, text: &str, at: At<'_>) -> String {
        let Some(meant) = MeantEndpoint::of(text, provider) else { return self.endpoint(text, at) };
        let is_written = at.find(self.report.written()).and_then(serde_json::Value::as_str) == Some(text);
        let expected = if is_written { meant.expected() } else { expected_of_variable(provider) };
        self.report.refuse(at, expected);
        String::new()
    }

    /// An endpoint without its trailing slash. It is empty, with an issue, if `text` is not a valid
    /// one.
    fn endpoint(&mut self, text: &str, at: At<'_>) -> String {
        let url = url::parse(text).map(|url| url.text.to_owned());
        if url.is_none() {
            self.report.refuse(at, url::EXPECTED);
        }
        url.unwrap_or_default()
    }

    fn required(&mut self, given: Option<&str>, expected: &str, at: At<'_>) -> String {
        let given = given.unwrap_or_default();
        if given.is_empty() {
            self.report.refuse(at, expected);
        }
        given.to_owned()
    }

    #[inline(never)]
    fn params(&mut self, raw: &RawParams, at: At<'_>) -> Params {
        let (set, drop, rename) = (at.key("set"), at.key("drop"), at.key("rename"));
        let is_own = |name: &str| matches!(name, "model" | "stream");
        let expected = "any field but model and stream, which are the gateway's own";
        for name in raw.set.keys().filter(|name| is_own(name)) {
            self.report.refuse_key(set.key(name), expected, None);
        }
        for (index, _) in raw.drop.iter().enumerate().filter(|(_, name)| is_own(name)) {
            self.report.refuse(drop.index(index), expected);
        }
        for (from, to) in &raw.rename {
            if is_own(from) {
                self.report.refuse_key(rename.key(from), expected, None);
            }
            if is_own(to) {
                self.report.refuse(rename.key(from), expected);
            }
        }
        let is_from_variable = |name: &&String| {
            let written = set.key(name).find(self.report.written()).map(ToString::to_string);
            written.is_some_and(|written| written.contains("${"))
        };
        Params {
            from_variables: raw.set.keys().filter(is_from_variable).cloned().collect(),
            set: raw.set.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            drop: raw.drop.clone(),
            rename: raw.rename.iter().map(|(from, to)| (from.clone(), to.clone())).collect(),
        }
    }
}

/// The scope for Azure OpenAI at this authority. Microsoft documents one for the v1 API, and an
/// older one for the dated API. The clouds of governments have the older one only.
fn usual_scope(authority: &str, api: Option<&AzureApi>) -> &'static str {
    match (authority.rsplit('.').next(), api) {
        (Some("us"), _) => "https://cognitiveservices.azure.us/.default",
        (Some("cn"), _) => "https://cognitiveservices.azure.cn/.default",
        (_, Some(AzureApi::Dated(_))) => "https://cognitiveservices.azure.com/.default",
        _ => "https://ai.azure.com/.default",
    }
}

/// The prices in integers. Cached input without a price of its own costs as input.
fn price(raw: &RawCost) -> Price {
    Price {
        input: Price::per_million(raw.input),
        cached_input: Price::per_million(raw.cached_input.unwrap_or(raw.input)),
        output: Price::per_million(raw.output),
        image: Price::each(raw.image),
        minute: Price::each(raw.minute),
        request: Price::each(raw.request),
    }
}

/// The limits of a model. A limit does not hold for a field that `params` removes or replaces: what
/// the client asks for does not reach the model.
#[inline(never)]
fn capabilities(raw: &RawCapabilities, params: &Params) -> Capabilities {
    let is_edited = |names: &[&str]| {
        let set = params.set.iter().map(|(name, _)| name);
        params.drop.iter().chain(set).any(|name| names.contains(&name.as_str()))
    };
    let features = [
        (raw.tools, Feature::Tools, &["tools", "functions"][..]),
        (raw.vision, Feature::Vision, &[]),
        (raw.json_schema, Feature::JsonSchema, &["response_format", "text"]),
        (raw.audio, Feature::Audio, &["modalities", "output_modalities"]),
    ];
    let lacks = features.into_iter().filter(|(can, _, names)| *can == Some(false) && !is_edited(names));
    Capabilities {
        lacks: lacks.fold(Features::default(), |lacks, (_, feature, _)| lacks.with(feature)),
        context_tokens: raw.context_tokens.map(u64::from),
        output_tokens: raw.output_tokens.filter(|_| !is_edited(&OUTPUT_LIMITS)).map(u64::from),
    }
}

/// The Azure API that `api_version` selects; `None` if the version is invalid.
fn azure_api(raw: &RawDeployment) -> Option<AzureApi> {
    match raw.api_version.as_deref() {
        None | Some("v1" | "latest") => Some(AzureApi::V1 { preview: false }),
        Some("preview") => Some(AzureApi::V1 { preview: true }),
        Some(version) => is_dated(version).then(|| AzureApi::Dated(version.to_owned())),
    }
}

/// Whether this is a dated version: `2024-10-21` or `2024-10-01-preview`.
fn is_dated(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version).as_bytes();
    date.len() == 10
        && date.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
