//! Deployments: addresses, credentials, edits.

use super::policy::timeouts;
use super::{Compiler, url};
use crate::balance::nearest::{is_region, regions};
use crate::routes::at::At;
use crate::routes::graph::{Cost, Deployment, Disabled, Params, Secret, Upstream, Via};
use crate::routes::issue::nearest;
use crate::routes::raw::{self, Provider};

/// Where OpenAI itself is.
const OPENAI: &str = "https://api.openai.com/v1";
/// Where AI Gateways are.
const AI_GATEWAY: &str = "https://gateway.ai.cloudflare.com";

impl Compiler<'_> {
    pub(super) fn deployment(&mut self, name: &str, raw: &raw::Deployment) -> Option<Deployment> {
        let section = At::Root.key("deployments");
        let at = section.key(name);
        self.warn_without_effect(&[("limits", raw.limits.is_some())], at);
        let api_key = self.api_key(raw, at);
        if let Some(region) = raw.region.as_deref().filter(|region| !is_region(region)) {
            let meant = nearest(region, regions()).map(|name| format!("; did you mean {name:?}?"));
            let note = format!("to `nearest` it is nowhere{}", meant.unwrap_or_default());
            self.report.warn(at.key("region"), "the name of an Azure region, such as \"westeurope\"", note);
        }
        let upstream = match raw.provider {
            Provider::OpenAi => self.openai(raw, at),
            Provider::Azure => self.azure(raw, at),
        };
        let via = raw.via.as_ref().map(|via| self.via(via, raw, at));
        let params =
            raw.params.as_ref().map(|params| self.params(params, at.key("params"))).unwrap_or_default();
        Some(Deployment {
            id: self.deployments.len(),
            name: name.to_owned(),
            upstream: upstream?,
            via,
            api_key: api_key.unwrap_or_else(|| Secret::new("")),
            disabled: self
                .missing
                .of("deployments", name)
                .map(|variable| Disabled { missing: variable.to_owned() }),
            region: raw.region.clone(),
            quality: raw.quality.unwrap_or_default(),
            tags: raw.tags.clone(),
            cost: raw.cost.as_ref().map(|cost| Cost { input: cost.input, output: cost.output }),
            timeout: timeouts(raw.timeout.as_ref()),
            params,
        })
    }

    fn api_key(&mut self, raw: &raw::Deployment, at: At<'_>) -> Option<Secret> {
        let at = at.key("api_key");
        let may_lack_one = raw.via.is_some() || (raw.provider == Provider::OpenAi && raw.endpoint.is_some());
        match &raw.api_key {
            Some(api_key) => self.secret(api_key, at),
            None if may_lack_one => None,
            None => {
                self.report.refuse(at, "the credential: one variable, such as \"${OPENAI_API_KEY}\"");
                None
            }
        }
    }

    fn openai(&mut self, raw: &raw::Deployment, at: At<'_>) -> Option<Upstream> {
        for (key, given) in [("deployment", &raw.deployment), ("api_version", &raw.api_version)] {
            if given.is_some() {
                self.report.refuse(at.key(key), "no such key with provider openai: only azure reads it");
            }
        }
        let endpoint = at.key("endpoint");
        let base = self.endpoint(raw.endpoint.as_deref().unwrap_or(OPENAI), endpoint)?;
        if raw.endpoint.is_some() && raw.via.is_some() {
            self.report.warn(endpoint, "no endpoint beside `via`", "AI Gateway itself knows where OpenAI is");
        } else if url::parse(&base).is_some_and(|url| url.path.is_empty()) {
            self.report.warn(
                endpoint,
                "the base URL with its path, mostly /v1",
                "requests go to its root as it is",
            );
        }
        let model =
            self.required(raw.model.as_deref(), "the name of a model, such as \"gpt-4o\"", at.key("model"))?;
        Some(Upstream::OpenAi {
            base,
            model,
            organization: raw.organization.clone(),
            project: raw.project.clone(),
        })
    }

    fn azure(&mut self, raw: &raw::Deployment, at: At<'_>) -> Option<Upstream> {
        for (key, given) in [("organization", &raw.organization), ("project", &raw.project)] {
            if given.is_some() {
                self.report.refuse(at.key(key), "no such key with provider azure: only openai reads it");
            }
        }
        let expected = "the URL of the resource, such as \"https://NAME.openai.azure.com\"";
        let endpoint = self.required(raw.endpoint.as_deref(), expected, at.key("endpoint"));
        let resource = endpoint.and_then(|endpoint| self.endpoint(&endpoint, at.key("endpoint")));
        let expected = "the name of the deployment in the resource";
        let deployment = self.required(raw.deployment.as_deref(), expected, at.key("deployment"));
        let api_version = match raw.api_version.as_deref() {
            None | Some("v1" | "preview" | "latest") => None,
            Some(version) => {
                if !is_dated(version) && !self.missing.is_at(at.key("api_version")) {
                    let expected = "a dated version such as \"2024-10-21\", or \"v1\"";
                    self.report.refuse(at.key("api_version"), expected);
                }
                Some(version.to_owned())
            }
        };
        let resource = resource?;
        let bare = resource.strip_suffix("/v1").filter(|rest| rest.ends_with("/openai")).unwrap_or(&resource);
        let bare = bare.strip_suffix("/openai").unwrap_or(bare);
        Some(Upstream::Azure { resource: bare.to_owned(), deployment: deployment?, api_version })
    }

    fn via(&mut self, raw: &raw::Via, deployment: &raw::Deployment, at: At<'_>) -> Via {
        let via = at.key("via");
        if deployment.provider == Provider::Azure {
            if deployment
                .api_version
                .as_deref()
                .is_none_or(|version| matches!(version, "v1" | "preview" | "latest"))
            {
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
            if !is_id && !self.missing.is_at(via.key(key)) {
                self.report.refuse(via.key(key), "letters, digits, - and _");
            }
        }
        let host = raw.endpoint.as_deref().unwrap_or(AI_GATEWAY);
        let host = self.endpoint(host, via.key("endpoint")).unwrap_or_default();
        Via {
            base: format!("{host}/v1/{}/{}", raw.account, raw.gateway),
            token: raw.token.as_deref().and_then(|token| self.secret(token, via.key("token"))),
        }
    }

    /// A URL that may be called, without a trailing slash. What lacks a variable is let through: nothing is called there.
    fn endpoint(&mut self, text: &str, at: At<'_>) -> Option<String> {
        if self.missing.is_at(at) {
            return Some(text.to_owned());
        }
        let url = url::parse(text).map(|url| url.text.to_owned());
        if url.is_none() {
            self.report.refuse(at, url::EXPECTED);
        }
        url
    }

    fn required(&mut self, given: Option<&str>, expected: &str, at: At<'_>) -> Option<String> {
        let given = given.filter(|text| !text.is_empty()).map(str::to_owned);
        if given.is_none() {
            self.report.refuse(at, expected);
        }
        given
    }

    fn params(&mut self, raw: &raw::Params, at: At<'_>) -> Params {
        let (set, drop, rename) = (at.key("set"), at.key("drop"), at.key("rename"));
        for name in raw.set.keys() {
            self.param(name, set.key(name));
        }
        for (index, name) in raw.drop.iter().enumerate() {
            self.param(name, drop.index(index));
        }
        for (from, to) in &raw.rename {
            self.param(from, rename.key(from));
            self.param(to, rename.key(from));
        }
        Params {
            set: raw.set.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            drop: raw.drop.clone(),
            rename: raw.rename.iter().map(|(from, to)| (from.clone(), to.clone())).collect(),
        }
    }

    fn param(&mut self, name: &str, at: At<'_>) {
        if matches!(name, "model" | "stream") {
            let expected = "any field but model and stream, which are the gateway's own";
            self.report.refuse_found(at, format!("the field {name:?}"), expected, None);
        }
    }
}

/// `2024-10-21` or `2024-10-01-preview`.
fn is_dated(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version).as_bytes();
    date.len() == 10
        && date.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
