//! The reply that the platform sends to the client.

use super::platform::Platform;
use crate::reply::response_headers::REQUEST_ID;
use crate::vocabulary::error_reply::ErrorReply;
use crate::vocabulary::headers::Headers;

/// Headers that the gateway adds, with names in lower case.
pub type OwnHeaders = Vec<(&'static str, String)>;

/// A text of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnText {
    /// The status.
    pub status: u16,
    /// Its type.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
    /// The version of the routes document that the `etag` header names.
    pub etag: Option<String>,
}

impl OwnText {
    /// JSON, with status 200.
    pub fn json(text: String) -> Self {
        Self { status: 200, content_type: "application/json", text, etag: None }
    }
}

/// A reply to the client.
pub enum ClientReply<P: Platform> {
    /// A reply of the gateway.
    Own {
        /// The status.
        status: u16,
        /// All headers.
        headers: Headers,
        /// The whole body; `None` for no body.
        body: Option<Vec<u8>>,
    },
    /// A stream of the gateway, with status 200.
    OwnStream {
        /// All headers.
        headers: Headers,
        /// The readable end of the stream. The gateway writes to the other end.
        body: P::ClientBody,
    },
    /// The response of an upstream.
    Upstream {
        /// The call that holds the response.
        call: P::Call,
        /// Names of the response headers that are not passed on, each followed by a line break.
        withheld: String,
        /// Headers to set in addition. They override those of the response.
        headers: Headers,
        /// The body.
        body: ReplyBody<P::ClientBody>,
    },
}

/// The body of an upstream's response, as it is passed on.
pub enum ReplyBody<S> {
    /// The bytes that the call read at once.
    AsRead,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The readable end of a stream. The gateway writes to the other end.
    Stream(S),
}

impl<P: Platform> ClientReply<P> {
    /// A reply without a body.
    pub fn empty(status: u16, headers: OwnHeaders) -> Self {
        Self::Own { status, headers: Headers::of(headers), body: None }
    }

    /// A reply with a text of the gateway.
    pub fn text(text: OwnText, own: OwnHeaders) -> Self {
        let mut headers = Headers::of([("content-type", text.content_type)]);
        if let Some(version) = text.etag {
            headers.push("etag", &format!("\"{version}\""));
        }
        headers.extend(own);
        Self::Own { status: text.status, headers, body: Some(text.text.into_bytes()) }
    }

    /// A reply with an error. The official SDKs show `x-request-id` as the id of a failed request:
    /// if there is none of an upstream, it is the id at the gateway.
    pub fn error(error: ErrorReply, own: OwnHeaders) -> Self {
        let ErrorReply { status, mut headers, body } = error;
        let id = own.iter().find(|(name, _)| *name == REQUEST_ID);
        if let Some((_, id)) = id.filter(|_| headers.get("x-request-id").is_none()) {
            headers.extend([("x-request-id", id.clone())]);
        }
        headers.extend(own);
        Self::Own { status, headers, body: Some(body) }
    }
}
