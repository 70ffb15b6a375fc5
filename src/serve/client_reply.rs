//! What the platform is to answer the client with.

use super::platform::Platform;
use crate::vocabulary::error_reply::ErrorReply;
use crate::vocabulary::headers::Headers;

/// Headers of our own, by their names in lower case.
pub type OwnHeaders = Vec<(&'static str, String)>;

/// An answer to the client.
pub enum ClientReply<P: Platform> {
    /// One of our own.
    Own {
        /// The status.
        status: u16,
        /// All headers.
        headers: Headers,
        /// All of the body; `None` for no body at all.
        body: Option<Vec<u8>>,
    },
    /// A stream of our own, with status 200.
    OwnStream {
        /// All headers.
        headers: Headers,
        /// What is written to the other end.
        body: P::ClientBody,
    },
    /// The response of an upstream.
    Upstream {
        /// The call that has it.
        call: P::Call,
        /// Names of its headers that are not passed on, each with a line break behind it.
        withheld: String,
        /// Headers to set over those.
        headers: Headers,
        /// Its body.
        body: ReplyBody<P::ClientBody>,
    },
}

/// The body of an upstream's response that is passed on.
pub enum ReplyBody<S> {
    /// What the call read at once.
    AsRead,
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is written to the other end of this stream.
    Stream(S),
}

impl<P: Platform> ClientReply<P> {
    /// Without a body.
    pub fn empty(status: u16, headers: OwnHeaders) -> Self {
        Self::Own { status, headers: Headers::of(headers), body: None }
    }

    /// 200 with JSON.
    pub fn json(text: String, own: OwnHeaders) -> Self {
        let mut headers = Headers::of([("content-type", "application/json")]);
        headers.extend(own);
        Self::Own { status: 200, headers, body: Some(text.into_bytes()) }
    }

    /// An error.
    pub fn error(error: ErrorReply, own: OwnHeaders) -> Self {
        let ErrorReply { status, mut headers, body } = error;
        headers.extend(own);
        Self::Own { status, headers, body: Some(body) }
    }
}
