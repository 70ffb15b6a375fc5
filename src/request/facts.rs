//! The facts of one request: everything that routing may depend on, gathered once, as plain values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::operation::Operation;
use crate::time::Millis;

/// What is known of a request before anything is tried. Rules, strategies and the machine read it and nothing else.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `POST`, in capitals.
    pub method: String,
    /// The whole path as it arrived, with any prefix, without the query.
    pub path: String,
    /// Decoded query parameters; of a repeated name the last.
    pub query: BTreeMap<String, String>,
    /// What is to be done.
    pub operation: Operation,
    /// What the client wrote as its model; empty where it wrote none.
    pub model: String,
    /// Name of the client whose key came with the request.
    pub client: String,
    /// Values of the headers that the rules read, by lower-case name ([`crate::routes::graph::Reads::headers`]).
    pub headers: BTreeMap<String, String>,
    /// `x-switchyard-metadata` laid over `cf-aig-metadata`: flat JSON objects; anything else in them is ignored.
    pub metadata: BTreeMap<String, Value>,
    /// Where the request comes from.
    pub place: Place,
    /// Top-level body fields that the rules read ([`crate::routes::graph::Reads::body`]).
    pub body: BTreeMap<String, Value>,
    /// Estimated tokens of the input: a quarter of the body's bytes.
    pub input_tokens: u64,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`, where given.
    pub max_output_tokens: Option<u64>,
    /// Whether the client asked for a streamed answer.
    pub stream: bool,
    /// How long the client itself will wait, where it says so (`x-stainless-read-timeout`, `cf-aig-request-timeout`).
    pub patience_ms: Option<Millis>,
    /// One random number of this request in `0.0..1.0`, for `percent` without a sticky key.
    pub draw: f64,
}

/// Where on Earth a request comes from, as far as the platform or the client told. Codes are in capitals.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place {
    /// Two letters: `EU`, `NA`, …
    pub continent: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// IATA code of the Cloudflare data centre.
    pub colo: Option<String>,
    /// Latitude and longitude of the client in degrees.
    pub coordinates: Option<(f64, f64)>,
    /// What the client says itself: the name of an Azure region, or the code of a colo (`x-switchyard-region`, or
    /// `region` in the metadata). It wins over all that is measured.
    pub hint: Option<String>,
    /// The caller is another Worker (AI Gateway, say): country and coordinates then describe Cloudflare's own egress, and
    /// only `colo` still says something of the client.
    pub behind_worker: bool,
}
