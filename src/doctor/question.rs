//! What to ask of a deployment.
//!
//! A chat model answers with one token, an embedding model embeds one word. Speech, images and
//! videos cost more, so for them the list of models is asked for, which costs nothing. The document
//! does not say what a model is for; its name does.

use serde_json::Value;

use crate::request::json_body::{Edit, Peek, edit};
use crate::request::percent;
use crate::request::splice::Piece;
use crate::request::stored_object::StoredObject;
use crate::routes::graph::{Capabilities, Deployment, Upstream};
use crate::upstream::address::authority_of;
use crate::upstream::{Credential, UpstreamCall, UpstreamRequest, prepare_with};
use crate::usage::price::EXACT_IN_MICRO;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::usage::Usage;

/// A kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuestionKind {
    /// A chat completion of one token.
    Chat {
        /// Whether the limit is `max_completion_tokens`, as reasoning models want it.
        is_reasoning: bool,
    },
    /// The embedding of one word.
    Embedding,
    /// The model, or the list of models.
    Listing,
}

impl QuestionKind {
    /// The question for a deployment. `stated_model` is the model of an Azure deployment, which the
    /// document may state for its readers.
    pub fn of(deployment: &Deployment, stated_model: Option<&str>) -> Self {
        let names = [stated_model, Some(model_of(deployment)), Some(&deployment.name)];
        let kind = names.into_iter().flatten().find_map(Self::of_name);
        kind.unwrap_or_else(|| {
            // Only a model that writes has a price for its output, or such limits.
            let is_paid_by_output = deployment.cost.is_some_and(|cost| cost.output > 0);
            if is_paid_by_output || deployment.capabilities != Capabilities::default() {
                Self::Chat { is_reasoning: false }
            } else {
                Self::Listing
            }
        })
    }

    /// The question for a model of this name; `None` if the name says nothing.
    fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let has_part = |parts: &[&str]| {
            name.split(|character: char| !character.is_ascii_alphanumeric()).any(|part| parts.contains(&part))
        };
        if has(&NOT_ASKED) || has_part(&["pro"]) {
            Some(Self::Listing)
        } else if has(&["embed"]) {
            Some(Self::Embedding)
        } else if has(&["gpt-5", "gpt5"]) || has_part(&["o1", "o3", "o4"]) {
            Some(Self::Chat { is_reasoning: true })
        } else if has(&CHAT) {
            Some(Self::Chat { is_reasoning: false })
        } else {
            None
        }
    }

    /// Its name, for counting: "2 chat completions".
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat { .. } => "chat completion of at most 1 output token",
            Self::Embedding => "embedding of one word",
            Self::Listing => "look-up in the list of models",
        }
    }

    /// Its name in the admin API.
    pub const fn name_in_api(self) -> &'static str {
        match self {
            Self::Chat { is_reasoning: false } => "chat",
            Self::Chat { is_reasoning: true } => "reasoning",
            Self::Embedding => "embedding",
            Self::Listing => "models",
        }
    }

    /// The kind with this name in the admin API.
    pub fn parse(name: &str) -> Option<Self> {
        let reasoning = Self::Chat { is_reasoning: true };
        let all = [Self::Chat { is_reasoning: false }, reasoning, Self::Embedding, Self::Listing];
        all.into_iter().find(|kind| kind.name_in_api() == name)
    }

    /// The operation whose answer is expected; `None` for the list of models.
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Chat { .. } => Some(Operation::ChatCompletions),
            Self::Embedding => Some(Operation::Embeddings),
            Self::Listing => None,
        }
    }
}

/// Parts of the names of models for sound, images and videos, and of models that have other
/// operations than chat completions.
const NOT_ASKED: [&str; 19] = [
    "tts",
    "speech",
    "whisper",
    "transcri",
    "audio",
    "realtime",
    "image",
    "dall-e",
    "dalle",
    "sora",
    "video",
    "moderation",
    "rerank",
    "codex",
    "deep-research",
    "computer-use",
    "instruct",
    "davinci",
    "babbage",
];

/// Parts of the names of models that chat.
const CHAT: [&str; 17] = [
    "gpt",
    "chat",
    "claude",
    "llama",
    "mistral",
    "mixtral",
    "ministral",
    "deepseek",
    "grok",
    "phi-",
    "gemini",
    "gemma",
    "qwen",
    "command-r",
    "kimi",
    "glm-",
    "nova-",
];

/// A question for a deployment, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct DoctorQuestion {
    /// What is asked.
    pub kind: QuestionKind,
    /// The complete URL.
    pub url: String,
    /// The headers. They have the credential.
    pub headers: Vec<(&'static str, String)>,
    /// The body to POST. Without it, the request is a GET.
    pub body: Option<Vec<u8>>,
    /// The place of the key in the list of the deployment.
    pub key: usize,
}

impl DoctorQuestion {
    /// The question of this kind for a deployment, built like a request that is served. `None` if
    /// there is no way to ask it: Azure's list of models cannot be reached through AI Gateway.
    pub fn new(deployment: &Deployment, kind: QuestionKind) -> Option<Self> {
        Self::with_key(deployment, kind, 0)
    }

    /// The same with the key at this place of the list.
    pub fn with_key(deployment: &Deployment, kind: QuestionKind, key: usize) -> Option<Self> {
        let question = Self::with_credential(deployment, kind, Credential::key(deployment, key))?;
        Some(Self { key, ..question })
    }

    /// The same with this credential.
    pub fn with_credential(
        deployment: &Deployment,
        kind: QuestionKind,
        credential: Credential<'_>,
    ) -> Option<Self> {
        let body = match kind {
            QuestionKind::Chat { is_reasoning } => {
                let limit = if is_reasoning { "max_completion_tokens" } else { "max_tokens" };
                format!(r#"{{"model":"","messages":[{{"role":"user","content":"Hi"}}],"{limit}":1}}"#)
            }
            QuestionKind::Embedding => r#"{"model":"","input":"Hi"}"#.to_owned(),
            QuestionKind::Listing => return Self::listing(deployment, credential),
        };
        let operation = kind.operation()?;
        let UpstreamRequest { url, headers, model } = prepared(deployment, credential, operation, None);
        let body = edited(body.as_bytes(), model.as_deref(), deployment);
        Some(Self { kind, url, headers, body: Some(body), key: 0 })
    }

    fn listing(deployment: &Deployment, credential: Credential<'_>) -> Option<Self> {
        let path = match &deployment.upstream {
            Upstream::Azure { .. } if deployment.via.is_some() => return None,
            // Compatible servers have the list, and not all of them the single model.
            Upstream::OpenAi { model, base, .. } if deployment.via.is_some() || is_openai(base) => {
                format!("models/{}", percent::encode(model))
            }
            Upstream::OpenAi { .. } | Upstream::Azure { .. } => "models".to_owned(),
        };
        let operation = Operation::FineTuning;
        let stored = StoredObject { operation, path, id: None };
        let UpstreamRequest { url, headers, .. } = prepared(deployment, credential, operation, Some(&stored));
        Some(Self { kind: QuestionKind::Listing, url, headers, body: None, key: 0 })
    }

    /// The most that the answer can use; `None` if nothing limits it.
    pub fn usage(&self) -> Option<Usage> {
        self.body.as_deref().map_or(Some(Usage::default()), most_used)
    }

    /// The most that the answer costs, in millionths of a dollar; `None` if it is not known.
    #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
    pub fn micro_usd(&self, deployment: &Deployment) -> Option<f64> {
        if self.kind == QuestionKind::Listing {
            return Some(0.0);
        }
        Some(deployment.cost?.exact(&self.usage()?) as f64 / EXACT_IN_MICRO)
    }

    /// The host that is asked.
    pub fn host(&self) -> &str {
        authority_of(&self.url)
    }
}

/// The name of the model, or of the deployment at Azure.
pub fn model_of(deployment: &Deployment) -> &str {
    match &deployment.upstream {
        Upstream::OpenAi { model, .. } => model,
        Upstream::Azure { deployment, .. } => deployment,
    }
}

/// Whether a base URL is that of OpenAI itself, in any region.
pub fn is_openai(base: &str) -> bool {
    let host = authority_of(base);
    host == "api.openai.com" || host.ends_with(".api.openai.com")
}

fn prepared(
    deployment: &Deployment,
    credential: Credential<'_>,
    operation: Operation,
    stored_object: Option<&StoredObject>,
) -> UpstreamRequest {
    let call = UpstreamCall {
        operation,
        stored_object,
        query: "",
        node: "doctor",
        client: "doctor",
        request_id: "doctor",
        attempt: 1,
    };
    prepare_with(deployment, credential, &call)
}

/// The body with the model and the edits of the deployment.
fn edited(body: &[u8], model: Option<&str>, deployment: &Deployment) -> Vec<u8> {
    let change = Edit { model, params: &deployment.params, asks_for_usage: false };
    let Some(splice) = Peek::of(body).ok().and_then(|peek| edit(body, &peek, &change)) else {
        return body.to_vec();
    };
    let pieces = splice.pieces().to_vec();
    let inserted = splice.into_inserted();
    let bytes = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Original(span) => body.get(span),
        Piece::Inserted(span) => inserted.get(span),
    });
    bytes.flatten().copied().collect()
}

/// The most that the answer to a body can use. A token has at least one byte, and the names in the
/// body are longer than what a provider adds to a message.
fn most_used(body: &[u8]) -> Option<Usage> {
    let read: Value = serde_json::from_slice(body).ok()?;
    let input_tokens = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let number = |name: &str| read.get(name).and_then(Value::as_u64);
    let output_tokens = match (number("max_tokens"), number("max_completion_tokens")) {
        (None, None) if read.get("messages").is_some() => return None,
        (one, other) => one.max(other).unwrap_or(0).saturating_mul(number("n").unwrap_or(1)),
    };
    Some(Usage { input_tokens, output_tokens, ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use super::QuestionKind::{self, Embedding, Listing};

    #[test]
    fn the_name_of_a_model_says_what_it_is_for() {
        let chat = Some(QuestionKind::Chat { is_reasoning: false });
        let reasoning = Some(QuestionKind::Chat { is_reasoning: true });
        for (name, expected) in [
            ("gpt-4o", chat),
            ("gpt-4o-mini-eastus", chat),
            ("GPT-4.1", chat),
            ("prod-gpt4", chat),
            ("mistral-large", chat),
            ("meta-llama/Llama-3.1-8B", chat),
            ("o3-mini", reasoning),
            ("my-o1-deployment", reasoning),
            ("gpt-5", reasoning),
            ("gpt-5-mini", reasoning),
            ("text-embedding-3-small", Some(Embedding)),
            ("embed-v3", Some(Embedding)),
            ("gpt-image-1", Some(Listing)),
            ("dall-e-3", Some(Listing)),
            ("gpt-4o-mini-tts", Some(Listing)),
            ("gpt-4o-transcribe", Some(Listing)),
            ("gpt-4o-audio-preview", Some(Listing)),
            ("whisper-1", Some(Listing)),
            ("sora-2", Some(Listing)),
            ("o1-pro", Some(Listing)),
            ("gpt-5-codex", Some(Listing)),
            ("gpt-3.5-turbo-instruct", Some(Listing)),
            ("prod", None),
            ("foo3", None),
            ("proto1", None),
            ("", None),
        ] {
            assert_eq!(QuestionKind::of_name(name), expected, "{name}");
        }
    }
}
