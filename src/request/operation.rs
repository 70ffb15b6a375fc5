//! What the client wants done: the operation behind a path.

use std::borrow::Cow;

use serde::de::Error as _;
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
    /// What can be done with a response that was stored ([`super::stored`]): it names no model.
    StoredResponses,
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
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 14] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::ResponsesInputTokens,
        Self::ResponsesCompact,
        Self::StoredResponses,
        Self::Moderations,
        Self::ImagesGenerations,
        Self::ImagesEdits,
        Self::ImagesVariations,
        Self::AudioSpeech,
        Self::AudioTranscriptions,
        Self::AudioTranslations,
    ];

    /// The operation of that [path](Self::path).
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.path() == path)
    }

    /// The path below `/v1/`, which also names the operation in rules and logs.
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::ResponsesInputTokens => "responses/input_tokens",
            Self::ResponsesCompact => "responses/compact",
            Self::StoredResponses => "responses/{id}",
            Self::Moderations => "moderations",
            Self::ImagesGenerations => "images/generations",
            Self::ImagesEdits => "images/edits",
            Self::ImagesVariations => "images/variations",
            Self::AudioSpeech => "audio/speech",
            Self::AudioTranscriptions => "audio/transcriptions",
            Self::AudioTranslations => "audio/translations",
        }
    }
}

impl Serialize for Operation {
    /// As its path.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.path())
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = Cow::<str>::deserialize(deserializer)?;
        Self::of(&path).ok_or_else(|| D::Error::custom(format_args!("unknown operation '{path}'")))
    }
}
