//! Deployments as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::raw_policy::RawTimeout;

raw! {

/// One (resource, model, key) that can serve a request.
pub struct RawDeployment {
    /// The dialect that it speaks.
    pub provider: RawProvider,
    /// For `openai`: the base URL with its `/v1`, by default `https://api.openai.com/v1`. For `azure`: the URL of the resource,
    /// `https://NAME.openai.azure.com`. https, or http to loopback.
    pub endpoint: Option<String>,
    /// The credential: one variable, `"${OPENAI_API_KEY}"`. It may be left out with `via`, where AI Gateway keeps the provider's
    /// key, and with an `endpoint` of one's own that asks for none.
    pub api_key: Option<String>,
    /// For `openai`: what to write as `model`. For `azure`: the model behind the deployment, for people alone.
    pub model: Option<String>,
    /// For `azure`: the name of the deployment in the resource.
    pub deployment: Option<String>,
    /// For `azure`: a dated version (`2024-10-21`), or `v1` (default) for the v1 API, or `preview` for that with its features in
    /// preview.
    pub api_version: Option<String>,
    /// For `openai`: sent as `OpenAI-Organization`.
    pub organization: Option<String>,
    /// For `openai`: sent as `OpenAI-Project`.
    pub project: Option<String>,
    /// The Cloudflare AI Gateway through which to call.
    pub via: Option<RawVia>,
    /// Azure region (`eastus`), for the strategy `nearest`.
    pub region: Option<String>,
    /// Higher is better; compared with `min_quality`. Default: 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub quality: Option<u32>,
    /// Compared with `require_tags`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Prices, for the strategy `cost`.
    pub cost: Option<RawCost>,
    /// What the provider allows.
    pub limits: Option<RawLimits>,
    /// Limits for each phase of an attempt. Nodes override them.
    pub timeout: Option<RawTimeout>,
    /// Edits of JSON request bodies, in the order drop, rename, set.
    pub params: Option<RawParams>,
}

/// The Cloudflare AI Gateway through which to call.
pub struct RawVia {
    /// Id of the Cloudflare account.
    pub account: String,
    /// Name of the gateway.
    pub gateway: String,
    /// Token with the right to run the gateway: one variable, `"${CF_AIG_TOKEN}"`.
    pub token: Option<String>,
    /// In place of `https://gateway.ai.cloudflare.com`.
    pub endpoint: Option<String>,
}

/// Prices in US dollars per million tokens.
pub struct RawCost {
    /// Of the prompt.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub input: f64,
    /// Of the completion. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub output: f64,
}

/// What the provider allows.
pub struct RawLimits {
    /// Requests a minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub rpm: Option<u32>,
    /// Tokens a minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub tpm: Option<u32>,
}

/// Edits of JSON request bodies, in the order drop, rename, set. `model` and `stream` cannot be edited.
pub struct RawParams {
    /// Top-level fields to set, whatever the client wrote.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Top-level fields to take out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Top-level fields to call by another name, where that name is not there yet.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
}

/// The dialect that a deployment speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawProvider {
    /// OpenAI, or anything compatible.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI.
    Azure,
}

}
