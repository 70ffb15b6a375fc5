//! What a request needs of a model, and what a model lacks.
//!
//! Only what some deployment of the document lacks is looked for in a request. For everything else
//! a request needs nothing, as far as the gateway knows.

use serde::{Serialize, Serializer};

/// The fields that limit the output in OpenAI's operations.
pub const OUTPUT_LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// Something that a model can or cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// It calls tools.
    Tools,
    /// It reads images.
    Vision,
    /// Its output follows a JSON schema.
    JsonSchema,
    /// It hears or speaks.
    Audio,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Vision, Self::JsonSchema, Self::Audio];

    /// The key in `capabilities`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::JsonSchema => "json_schema",
            Self::Audio => "audio",
        }
    }

    /// What of it is in a request, for people.
    pub fn in_a_request(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Vision => "images",
            Self::JsonSchema => "a JSON schema for the output",
            Self::Audio => "audio",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    /// The set with one more.
    #[must_use]
    pub fn with(self, feature: Feature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// The features that are in either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The features that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set has this feature.
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Whether the set has no feature.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The features, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.contains(*feature))
    }
}

impl Serialize for Features {
    /// Serializes the set as a list of names.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Feature::name))
    }
}

/// What a request needs of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The features that it uses.
    pub features: Features,
    /// Estimated tokens of its input, as they are compared with the contexts of models; 0 if no
    /// model of the document has a shorter context, or if the estimate is not good enough to say
    /// so.
    pub context_tokens: u64,
}

/// What a model lacks for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A feature.
    Feature(Feature),
    /// Room for the input.
    ContextTokens {
        /// Estimated tokens of the input.
        needed: u64,
        /// The context of the model.
        most: u64,
    },
    /// Room for the output.
    OutputTokens {
        /// The output that the request allows.
        needed: u64,
        /// The longest output of the model.
        most: u64,
    },
}

impl std::fmt::Display for Lack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Feature(feature) => {
                write!(formatter, "its model does not take {}", feature.in_a_request())
            }
            Self::ContextTokens { needed, most } => {
                write!(formatter, "the input is about {needed} tokens, and its model takes {most}")
            }
            Self::OutputTokens { needed, most } => {
                write!(formatter, "the request allows {needed} output tokens, and its model gives {most}")
            }
        }
    }
}

/// What no model of a node has, for the client. If the models lack different things, they are
/// listed. Of a limit, the largest one is named. `limit`: the field that limits the output.
pub fn missing(model: &str, lacks: &[Lack], limit: &str) -> String {
    let (mut input, mut output) = (None, None);
    let mut lacking: Vec<String> = Vec::new();
    for lack in lacks {
        match lack {
            Lack::Feature(feature) => lacking.push(feature.in_a_request().to_owned()),
            Lack::ContextTokens { needed, most } => input = input.max(Some((*most, *needed))),
            Lack::OutputTokens { needed, most } => output = output.max(Some((*most, *needed))),
        }
    }
    let said = match (lacking.as_slice(), input, output) {
        ([feature], None, None) => {
            format!("The request has {feature}; no deployment of '{model}' takes that.")
        }
        ([], Some((most, needed)), None) => {
            format!("The input is about {needed} tokens; no deployment of '{model}' takes more than {most}.")
        }
        ([], None, Some((most, needed))) => {
            format!("`{limit}` is {needed}; no deployment of '{model}' gives more than {most}.")
        }
        _ => {
            let input = input.map(|(most, needed)| format!("about {needed} input tokens (at most {most})"));
            let output = output.map(|(most, needed)| format!("`{limit}` of {needed} (at most {most})"));
            lacking.extend(input.into_iter().chain(output));
            format!("No deployment of '{model}' takes all that the request has: {}.", lacking.join("; "))
        }
    };
    format!("{said} Ask for less, or use another model.")
}

#[cfg(test)]
mod tests {
    use super::{Feature, Features};

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let none = Features::default();
        assert!(none.is_empty() && none.iter().next().is_none());
        for feature in Feature::ALL {
            let one = none.with(feature);
            assert_eq!(one.iter().collect::<Vec<_>>(), [feature]);
            assert!(Feature::ALL.iter().all(|other| one.contains(*other) == (*other == feature)));
        }
        let some = none.with(Feature::Audio).with(Feature::Tools);
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"["tools","audio"]"#);
        assert_eq!(some.and(none.with(Feature::Audio)), none.with(Feature::Audio));
        assert_eq!(some.or(none), some);
    }
}
