//! Which provider a row calls, and at which address.

/// A provider: its prefix, its endpoint if it is always the same (`""`: the row has to name it),
/// and the variable with the key that LiteLLM reads.
pub type Compatible = (&'static str, Option<&'static str>, &'static str);

/// OpenAI itself.
pub const OPENAI: Compatible = ("openai", None, "OPENAI_API_KEY");

/// Providers with an API like OpenAI's.
const COMPATIBLE: &[Compatible] = &[
    OPENAI,
    ("text-completion-openai", None, "OPENAI_API_KEY"),
    ("cerebras", Some("https://api.cerebras.ai/v1"), "CEREBRAS_API_KEY"),
    ("deepinfra", Some("https://api.deepinfra.com/v1/openai"), "DEEPINFRA_API_KEY"),
    ("deepseek", Some("https://api.deepseek.com/v1"), "DEEPSEEK_API_KEY"),
    ("fireworks_ai", Some("https://api.fireworks.ai/inference/v1"), "FIREWORKS_AI_API_KEY"),
    ("gemini", Some("https://generativelanguage.googleapis.com/v1beta/openai"), "GEMINI_API_KEY"),
    ("groq", Some("https://api.groq.com/openai/v1"), "GROQ_API_KEY"),
    ("mistral", Some("https://api.mistral.ai/v1"), "MISTRAL_API_KEY"),
    ("nvidia_nim", Some("https://integrate.api.nvidia.com/v1"), "NVIDIA_NIM_API_KEY"),
    ("openrouter", Some("https://openrouter.ai/api/v1"), "OPENROUTER_API_KEY"),
    ("perplexity", Some("https://api.perplexity.ai"), "PERPLEXITYAI_API_KEY"),
    ("sambanova", Some("https://api.sambanova.ai/v1"), "SAMBANOVA_API_KEY"),
    ("together_ai", Some("https://api.together.xyz/v1"), "TOGETHERAI_API_KEY"),
    ("xai", Some("https://api.x.ai/v1"), "XAI_API_KEY"),
    ("custom_openai", Some(""), ""),
    ("hosted_vllm", Some(""), ""),
    ("litellm_proxy", Some(""), ""),
    ("llamafile", Some(""), ""),
    ("lm_studio", Some(""), ""),
    ("openai_like", Some(""), ""),
];

/// How names of other providers' models begin, if they have no prefix.
const FOREIGN: &[&str] = &["claude", "gemini", "command-", "amazon.", "anthropic.", "meta.", "cohere."];

/// Hosts of Azure whose resources have the v1 API.
const FOUNDRY: &[&str] = &[".services.ai.azure.com", ".openai.azure.com", ".cognitiveservices.azure.com"];

/// The compatible provider of this name.
pub fn compatible(name: &str) -> Option<&'static Compatible> {
    COMPATIBLE.iter().find(|(known, ..)| *known == name)
}

/// Whether a prefix is that of OpenAI or Azure, which have Responses.
pub fn is_of_openai(prefix: &str) -> bool {
    ["openai", "azure"].contains(&prefix)
}

/// Whether a name without a prefix is that of another provider's model.
pub fn is_foreign(name: &str) -> bool {
    FOREIGN.iter().any(|start| name.starts_with(start))
}

/// The resource of Azure AI Foundry in an address, if the resource has the v1 API.
pub fn foundry(base: &str) -> Option<&str> {
    let host = base.strip_prefix("https://")?.split('/').next()?;
    let is_foundry = FOUNDRY.iter().any(|end| host.ends_with(end));
    is_foundry.then(|| base.get(.."https://".len() + host.len()))?
}

/// An address in Cloudflare AI Gateway.
pub struct ThroughGateway<'a> {
    /// The id of the account.
    pub account: &'a str,
    /// The name of the gateway.
    pub gateway: &'a str,
    /// The provider, and what follows it.
    pub rest: Vec<&'a str>,
}

/// The parts of an address in AI Gateway.
pub fn through_gateway(base: &str) -> Option<ThroughGateway<'_>> {
    let path = base.strip_prefix("https://gateway.ai.cloudflare.com/v1/")?;
    let path = path.split('?').next().unwrap_or(path);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    Some(ThroughGateway { account: parts.next()?, gateway: parts.next()?, rest: parts.collect() })
}

/// The resource, the deployment and the version in an address of Azure.
pub fn azure_parts(base: &str) -> (&str, Option<&str>, Option<&str>) {
    let (address, query) = base.split_once('?').unwrap_or((base, ""));
    let version = query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
    let address = address.trim_end_matches('/');
    match address.split_once("/openai/deployments/") {
        Some((endpoint, rest)) => (endpoint, rest.split('/').next().filter(|name| !name.is_empty()), version),
        None => (address, None, version),
    }
}

/// Refuses what the gateway does not call.
pub fn refuse_plain_http(endpoint: &str) -> Result<(), String> {
    let Some(rest) = endpoint.strip_prefix("http://") else { return Ok(()) };
    let is_loopback = ["localhost", "127.", "[::1]"].iter().any(|host| rest.starts_with(host));
    if is_loopback {
        Ok(())
    } else {
        Err("its `api_base` is http. A Worker calls https; put a tunnel or a certificate before the server"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{foundry, through_gateway};

    #[test]
    fn an_address_in_ai_gateway_has_an_account_and_a_gateway() {
        let base = "https://gateway.ai.cloudflare.com/v1/acc/main/azure-openai/res/dep/";
        let found = through_gateway(base).unwrap();
        assert_eq!((found.account, found.gateway), ("acc", "main"));
        assert_eq!(found.rest, ["azure-openai", "res", "dep"]);
        assert!(through_gateway("https://gateway.ai.cloudflare.com/v1/acc").is_none());
        assert!(through_gateway("https://api.openai.com/v1").is_none());
    }

    #[test]
    fn a_resource_of_foundry_is_known_by_its_host() {
        let resource = "https://r.services.ai.azure.com";
        assert_eq!(foundry("https://r.services.ai.azure.com/models"), Some(resource));
        assert_eq!(foundry("https://r.services.ai.azure.com"), Some(resource));
        assert_eq!(foundry("https://m.eastus.models.ai.azure.com"), None);
        assert_eq!(foundry("${BASE}"), None);
    }
}
