//! Deployments as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::raw_policy::RawTimeout;
use crate::scan::json_value::{self, Mismatch};

raw! {

/// One (resource, model, key) that can serve a request.
pub struct RawDeployment {
    /// The API dialect of the upstream.
    // Required. Without a valid one the other keys are still checked.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(with = "RawProvider"))]
    pub provider: Option<RawProvider>,
    /// For `openai`: the base URL with its `/v1`, by default `https://api.openai.com/v1`. For
    /// `azure`: the URL of the resource, `https://NAME.openai.azure.com`. https, or http to
    /// loopback.
    pub endpoint: Option<String>,
    /// The credential: exactly one variable, `"${OPENAI_API_KEY}"`, or a list of them, of which the
    /// first is used that is not refused. It is optional with `via`, because AI Gateway may keep
    /// the provider's key, and with your own `endpoint` that needs no key.
    pub api_key: Option<RawApiKey>,
    /// For `openai`: the value to send as `model`. For `azure`: the model behind the deployment,
    /// only for people.
    pub model: Option<String>,
    /// For `azure`: the name of the deployment in the resource.
    pub deployment: Option<String>,
    /// For `azure`: a dated version (`2024-10-21`), or `v1` (default) for the v1 API, or `preview`
    /// for the v1 API with its preview features.
    pub api_version: Option<String>,
    /// For `openai`: sent as `OpenAI-Organization`.
    pub organization: Option<String>,
    /// For `openai`: sent as `OpenAI-Project`.
    pub project: Option<String>,
    /// The Cloudflare AI Gateway through which the deployment is called.
    pub via: Option<RawVia>,
    /// The Azure region (`eastus`), for the strategy `nearest`.
    pub region: Option<String>,
    /// Compared with `min_quality`; higher is better. Default: 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub quality: Option<u32>,
    /// Compared with `require_tags`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Prices, for the cost of requests and for the strategy `cost`.
    pub cost: Option<RawCost>,
    /// What the model can do. A deployment that lacks what a request needs is not tried. What is
    /// not stated is not limited.
    pub capabilities: Option<RawCapabilities>,
    /// The rate limits of the provider.
    pub limits: Option<RawLimits>,
    /// When failures eject it. Overrides `settings.health`.
    pub health: Option<RawEjections>,
    /// Limits for each phase of an attempt. Nodes override them.
    pub timeout: Option<RawTimeout>,
    /// Edits of JSON request bodies, in the order drop, rename, set.
    pub params: Option<RawParams>,
    /// For `azure`: tokens in place of `api_key`.
    pub auth: Option<RawAuth>,
}

/// Tokens in place of a key.
pub struct RawAuth {
    /// Tokens of Entra ID.
    pub entra: RawEntra,
}

/// An application of Entra ID. It has either a secret or an assertion.
pub struct RawEntra {
    /// The id or the domain of the tenant.
    pub tenant: String,
    /// The id of the application.
    pub client_id: String,
    /// Its secret: exactly one variable, `"${ENTRA_CLIENT_SECRET}"`.
    pub client_secret: Option<String>,
    /// A token of another issuer that the application trusts (a federated credential): exactly one
    /// variable.
    pub assertion: Option<String>,
    /// What the token is for. Default: `https://ai.azure.com/.default`, or with a dated
    /// `api_version` `https://cognitiveservices.azure.com/.default`.
    pub scope: Option<String>,
    /// Replaces `https://login.microsoftonline.com`.
    pub authority: Option<String>,
}

/// When failures eject the deployment.
pub struct RawEjections {
    /// The length of the first ejection, in milliseconds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 100, max = 300_000)))]
    pub first_ejection_ms: Option<u32>,
    /// The longest ejection, in milliseconds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 100, max = 300_000)))]
    pub longest_ejection_ms: Option<u32>,
    /// The number of failures in a row that ejects.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000)))]
    pub failures_in_a_row: Option<u32>,
}

/// The Cloudflare AI Gateway through which the deployment is called.
pub struct RawVia {
    /// The id of the Cloudflare account.
    pub account: String,
    /// The name of the gateway.
    pub gateway: String,
    /// A token with the permission to run the gateway: exactly one variable, `"${CF_AIG_TOKEN}"`.
    pub token: Option<String>,
    /// Replaces `https://gateway.ai.cloudflare.com`.
    pub endpoint: Option<String>,
}

/// Prices in US dollars.
pub struct RawCost {
    /// A million tokens of the input. For speech, a million characters. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub input: f64,
    /// A million tokens of the input that came from the provider's cache. Default: as `input`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub cached_input: Option<f64>,
    /// A million tokens of the output. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub output: f64,
    /// An image in an answer. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub image: f64,
    /// A minute of audio that is transcribed or translated. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub minute: f64,
    /// A request. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub request: f64,
}

/// What the model can do.
pub struct RawCapabilities {
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it reads images.
    pub vision: Option<bool>,
    /// Whether its output can follow a JSON schema.
    pub json_schema: Option<bool>,
    /// Whether it hears or speaks.
    pub audio: Option<bool>,
    /// The longest input, in tokens.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub context_tokens: Option<u32>,
    /// The longest output, in tokens.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub output_tokens: Option<u32>,
}

/// The rate limits of the provider.
pub struct RawLimits {
    /// Requests per minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub rpm: Option<u32>,
    /// Tokens per minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub tpm: Option<u32>,
}

/// Edits of JSON request bodies, in the order drop, rename, set. `model` and `stream` cannot be
/// edited.
pub struct RawParams {
    /// Top-level fields to set. They replace the client's values.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Top-level fields to remove.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Top-level fields to rename, from old to new. A field stays if the new name already exists.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
}

/// The API dialect of a deployment.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawProvider {
    /// OpenAI, or a compatible API.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI.
    Azure,
}

}

/// One key, or the keys of one account of which each is valid at some time.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawApiKey {
    /// Exactly one variable: `"${OPENAI_API_KEY}"`.
    One(String),
    /// The new key first, then the old one: `["${NEW_KEY}", "${OLD_KEY}"]`.
    List(#[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))] Vec<String>),
}

impl TryFrom<Value> for RawApiKey {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(key) => Ok(Self::One(key)),
            list => json_value::read(list).map(Self::List),
        }
    }
}
