//! Why the rules for a client do not admit a request.

use super::needs::OUTPUT_LIMITS;

/// The reason of a refusal. It says what the request has, and never what would be admitted, except
/// for limits: who has stolen a key learns nothing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmissionFault {
    /// It comes from another address.
    Address,
    /// It comes from another country, or nobody knows from which.
    Country,
    /// The client may not use this operation. Holds its path.
    Operation(&'static str),
    /// The client may not state this entry of the metadata. Holds its name.
    Metadata(String),
    /// The client may not send this header. Holds its name.
    Header(String),
    /// The client may not send this field of the body, or a tool of this type (`tools:TYPE`).
    Parameter(String),
    /// The request is beyond a limit.
    Beyond {
        /// The limit.
        limit: RequestLimit,
        /// The most that the client may ask for.
        most: u64,
        /// What it asks for. `None`: nobody knows, or it does not say.
        found: Option<u64>,
    },
}

/// A limit of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLimit {
    /// The bytes of the body.
    Bytes,
    /// The estimated tokens of the input.
    InputTokens,
    /// The tokens of the output that it allows.
    OutputTokens,
    /// The images in the input, or those that it asks for.
    Images,
}

impl AdmissionFault {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Beyond { limit: RequestLimit::Bytes, .. } => 413,
            Self::Beyond { .. } => 400,
            _ => 403,
        }
    }

    /// The code by which programs distinguish refusals.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address => "address_not_allowed",
            Self::Country => "country_not_allowed",
            Self::Operation(_) => "operation_not_allowed",
            Self::Metadata(_) => "metadata_not_allowed",
            Self::Header(_) => "header_not_allowed",
            Self::Parameter(_) => "parameter_not_allowed",
            Self::Beyond { limit, .. } => match limit {
                RequestLimit::Bytes => "max_bytes_exceeded",
                RequestLimit::InputTokens => "max_input_tokens_exceeded",
                RequestLimit::OutputTokens => "max_output_tokens_exceeded",
                RequestLimit::Images => "max_images_exceeded",
            },
        }
    }

    /// The parameter that is at fault, if there is one.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Parameter(name) => Some(name.split(':').next().unwrap_or_default()),
            _ => None,
        }
    }

    /// What happened and how to mend it. Texts of the client go through `quoted`.
    pub fn message(&self, quoted: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::Address => "This key may not be used from your address.".to_owned(),
            Self::Country => "This key may not be used from your country.".to_owned(),
            Self::Operation(operation) => format!("This key may not be used for {operation}."),
            Self::Metadata(name) => {
                format!(
                    "This key may not state '{}' in its metadata. Send the request without it.",
                    quoted(name)
                )
            }
            Self::Header(name) => {
                format!("This key may not send the header '{}'. Send the request without it.", quoted(name))
            }
            Self::Parameter(name) => match name.strip_prefix("tools:") {
                Some(tool) => format!("This key may not use tools of the type '{}'.", quoted(tool)),
                None => format!("This key may not use the parameter '{}'.", quoted(name)),
            },
            Self::Beyond { limit, most, found } => beyond(*limit, *most, *found),
        }
    }
}

fn beyond(limit: RequestLimit, most: u64, found: Option<u64>) -> String {
    match (limit, found) {
        (RequestLimit::Bytes, None) => format!(
            "The body of a request with this key may have at most {most} bytes, and must state its length. Send a \
             smaller one, with a content-length."
        ),
        (RequestLimit::Bytes, Some(found)) => {
            format!("The body has {found} bytes; with this key it may have {most}. Send a smaller one.")
        }
        (RequestLimit::InputTokens, _) => format!(
            "The input has about {} tokens; with this key it may have {most}. Shorten it.",
            found.unwrap_or_default()
        ),
        (RequestLimit::OutputTokens, None) => format!(
            "With this key, a request must say how long its output may be. Set {} to at most {most}.",
            OUTPUT_LIMITS.join(" or ")
        ),
        (RequestLimit::OutputTokens, Some(found)) => {
            format!("The request allows {found} tokens of output; with this key it may allow {most}.")
        }
        (RequestLimit::Images, found) => match found {
            Some(found) => {
                format!("The request has or asks for {found} images; this key allows {most}.")
            }
            None => format!(
                "With this key, a request may have or ask for {most} images. Set n to a whole number."
            ),
        },
    }
}
