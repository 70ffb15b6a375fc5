//! The facts of one request: everything that routing may depend on, gathered once, as plain values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::operation::Operation;
use super::time::Millis;

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
    /// Values of the headers that the rules read, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// `x-switchyard-metadata` laid over `cf-aig-metadata`: flat JSON objects; anything else in them is ignored.
    pub metadata: BTreeMap<String, Value>,
    /// Where the request comes from.
    pub place: Place,
    /// Top-level body fields that the rules read.
    pub body: BTreeMap<String, Value>,
    /// Estimated tokens of the input: a quarter of the body's bytes.
    pub input_tokens: u64,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`, where given.
    pub max_output_tokens: Option<u64>,
    /// Whether the client asked for a streamed answer.
    pub is_streamed: bool,
    /// Whether the body can be sent again; one that is too large to keep is sent once, to one deployment.
    pub is_replayable: bool,
    /// Whether serving it leaves something behind at the upstream (a stored response, a background job), so that it must not
    /// be sent to two deployments at once.
    pub has_side_effects: bool,
    /// The response that this one goes on from: only its owner, the deployment that created it, knows it.
    pub previous_response_id: Option<String>,
    /// The owner of the object that the request goes on from or asks for: the deployment that created it, as far as it is remembered.
    pub owner: Option<usize>,
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
    pub is_behind_worker: bool,
}

/// Metadata of a request: `own` (`x-switchyard-metadata`) laid over `gateway` (`cf-aig-metadata`, flat JSON:
/// <https://developers.cloudflare.com/ai-gateway/observability/custom-metadata/>). What is not a JSON object counts as nothing.
pub fn metadata(gateway: Option<&str>, own: Option<&str>) -> BTreeMap<String, Value> {
    let texts = [gateway, own].into_iter().flatten();
    texts.filter_map(|text| serde_json::from_str::<Map<String, Value>>(text).ok()).flatten().collect()
}

/// How long the client will wait: the shortest of what it says. The official SDKs tell seconds
/// (`x-stainless-read-timeout`, `x-stainless-timeout`), AI Gateway milliseconds (`cf-aig-request-timeout`).
pub fn patience_ms(seconds: [Option<&str>; 2], milliseconds: Option<&str>) -> Option<Millis> {
    let seconds = seconds.into_iter().flatten().map(|text| (text, 1_000.0));
    let milliseconds = milliseconds.into_iter().map(|text| (text, 1.0));
    seconds
        .chain(milliseconds)
        .filter_map(|(text, unit_ms)| Some(text.trim().parse::<f64>().ok()? * unit_ms))
        .filter(|ms| ms.is_finite() && *ms >= 1.0)
        .map(Millis::from_f64)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    #[test]
    fn our_own_metadata_lies_over_that_of_the_gateway() {
        let metadata = metadata(Some(r#"{"team":"a","tier":"free"}"#), Some(r#"{"tier":"gold"}"#));
        assert_eq!(metadata["team"], "a");
        assert_eq!(metadata["tier"], "gold");
    }

    #[test]
    fn metadata_that_is_no_object_counts_as_nothing() {
        for text in ["", "[1]", "{", "null", "\"x\""] {
            assert!(metadata(Some(text), None).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_shortest_patience_counts() {
        for (seconds, milliseconds, expected) in [
            ([Some("600"), None], None, Some(600_000)),
            ([Some("600"), Some("2.5")], None, Some(2_500)),
            ([Some("600"), None], Some("1500"), Some(1_500)),
            // The Python SDK may write fractions; `None` and zero mean no limit.
            ([Some("0.25"), None], None, Some(250)),
            ([Some("None"), Some("0")], Some("-1"), None),
            ([Some("inf"), Some("NaN")], Some("1e400"), None),
            ([None, None], None, None),
        ] {
            assert_eq!(patience_ms(seconds, milliseconds), expected.map(ms), "{seconds:?} {milliseconds:?}");
        }
    }
}
