//! One call of an upstream: what it is made for, and what is sent.

use crate::request::stored_object::StoredObject;
use crate::vocabulary::operation::Operation;

/// One call of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamCall<'a> {
    /// What is to be done.
    pub operation: Operation,
    /// The stored object that it is about, if any.
    pub stored_object: Option<&'a StoredObject>,
    /// The client's query as it arrived, without the `?`.
    pub query: &'a str,
    /// Name of the node that the client asked for.
    pub node: &'a str,
    /// Name of the client.
    pub client: &'a str,
    /// Id of the request.
    pub request_id: &'a str,
    /// Counted from 1.
    pub attempt: u32,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// The whole URL.
    pub url: String,
    /// Headers to set over the forwarded ones; names in lower case, values in ASCII where the configuration is.
    pub headers: Vec<(&'static str, String)>,
    /// What to write as `model` into the body; `None` where it goes on as it is.
    pub model: Option<String>,
}
