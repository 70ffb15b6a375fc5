//! One call of an upstream: what it is for, and the request that is sent.

use crate::request::stored_object::StoredObject;
use crate::vocabulary::operation::Operation;

/// One call of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamCall<'a> {
    /// The operation.
    pub operation: Operation,
    /// The stored object that it is for, if any.
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

/// The request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// The complete URL.
    pub url: String,
    /// Headers to set over the forwarded ones. Names are in lower case; values are ASCII if the
    /// configuration is.
    pub headers: Vec<(&'static str, String)>,
    /// The `model` to write into the body; `None` leaves the body unchanged.
    pub model: Option<String>,
}
