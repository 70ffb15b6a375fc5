//! The operation that the client asks for, named by its path.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The operations of the OpenAI API (its OpenAPI document, 2.3.0) that the gateway routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `POST chat/completions`
    ChatCompletions,
    /// `POST completions`
    Completions,
    /// `POST embeddings`
    Embeddings,
    /// `POST responses`
    Responses,
    /// `POST responses/input_tokens`
    ResponsesInputTokens,
    /// `POST responses/compact`
    ResponsesCompact,
    /// `POST moderations`
    Moderations,
    /// `POST images/generations`
    ImagesGenerations,
    /// `POST images/edits`, multipart or JSON
    ImagesEdits,
    /// `POST images/variations`, multipart
    ImagesVariations,
    /// `POST audio/speech`, binary answer
    AudioSpeech,
    /// `POST audio/transcriptions`, multipart
    AudioTranscriptions,
    /// `POST audio/translations`, multipart
    AudioTranslations,
    /// All paths of one stored response. This variant and those below are for stored objects, and
    /// name no model.
    StoredResponses,
    /// `GET chat/completions`, and all paths below `chat/completions/{id}`
    StoredCompletions,
    /// `files` and all paths below it; the same holds for the variants that follow
    Files,
    /// `uploads`
    Uploads,
    /// `batches`
    Batches,
    /// `vector_stores`
    VectorStores,
    /// `conversations`
    Conversations,
    /// `containers`
    Containers,
    /// `fine_tuning`
    FineTuning,
    /// `evals`
    Evals,
    /// `assistants`
    Assistants,
    /// `threads`
    Threads,
    /// `videos`
    Videos,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 26] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::ResponsesInputTokens,
        Self::ResponsesCompact,
        Self::Moderations,
        Self::ImagesGenerations,
        Self::ImagesEdits,
        Self::ImagesVariations,
        Self::AudioSpeech,
        Self::AudioTranscriptions,
        Self::AudioTranslations,
        Self::StoredResponses,
        Self::StoredCompletions,
        Self::Files,
        Self::Uploads,
        Self::Batches,
        Self::VectorStores,
        Self::Conversations,
        Self::Containers,
        Self::FineTuning,
        Self::Evals,
        Self::Assistants,
        Self::Threads,
        Self::Videos,
    ];

    /// Whether it is for stored objects, and names no model.
    pub fn is_on_stored_objects(self) -> bool {
        Self::StoredResponses <= self
    }

    /// The operation of that [path](Self::path).
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.path() == path)
    }

    /// The path below `/v1/`, or its beginning. It also names the operation in rules and logs.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::ResponsesInputTokens => "responses/input_tokens",
            Self::ResponsesCompact => "responses/compact",
            Self::Moderations => "moderations",
            Self::ImagesGenerations => "images/generations",
            Self::ImagesEdits => "images/edits",
            Self::ImagesVariations => "images/variations",
            Self::AudioSpeech => "audio/speech",
            Self::AudioTranscriptions => "audio/transcriptions",
            Self::AudioTranslations => "audio/translations",
            Self::StoredResponses => "responses/{id}",
            Self::StoredCompletions => "chat/completions/{id}",
            Self::Files => "files",
            Self::Uploads => "uploads",
            Self::Batches => "batches",
            Self::VectorStores => "vector_stores",
            Self::Conversations => "conversations",
            Self::Containers => "containers",
            Self::FineTuning => "fine_tuning",
            Self::Evals => "evals",
            Self::Assistants => "assistants",
            Self::Threads => "threads",
            Self::Videos => "videos",
        }
    }
}

impl Serialize for Operation {
    /// Serializes the operation as its path.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.path())
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        Self::of(&path).ok_or_else(|| D::Error::custom("not an operation"))
    }
}
