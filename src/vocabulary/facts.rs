//! The facts of one request: everything that routing may depend on, collected once, as plain
//! values.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::needs::Needs;
use super::operation::Operation;
use super::time::Millis;

/// What is known of a request before the first attempt. Rules, strategies and the state machine
/// read only this.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Facts {
    /// The HTTP method in capitals, such as `POST`.
    pub method: String,
    /// The whole path as it arrived, with any prefix, without the query.
    pub path: String,
    /// Decoded query parameters. Of a repeated name the last one counts.
    pub query: BTreeMap<String, String>,
    /// The operation to perform.
    pub operation: Operation,
    /// The model that the client wrote; empty if it wrote none.
    pub model: String,
    /// Name of the client whose key came with the request.
    pub client: String,
    /// What the document says about the client.
    pub labels: Rc<BTreeMap<String, String>>,
    /// Id of the issued key that came with the request; empty for the client's own key.
    pub key: String,
    /// Values of the headers that the rules read, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// `x-switchyard-metadata` merged over `cf-aig-metadata`. Both are flat JSON objects; anything
    /// else in them is ignored.
    pub metadata: BTreeMap<String, Value>,
    /// Where the request comes from.
    pub place: Place,
    /// Top-level body fields that the rules read.
    pub body: BTreeMap<String, Value>,
    /// The JSON of the top-level body fields in whose texts the rules look for something, each with
    /// its name. A field that the body has twice is here twice. Of a long one, its beginning.
    pub texts: Vec<(String, Vec<u8>)>,
    /// Estimated input tokens: a quarter of the body's bytes.
    pub input_tokens: u64,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`, if given.
    pub max_output_tokens: Option<u64>,
    /// What it needs of a model, of what the document's deployments may lack.
    pub needs: Needs,
    /// Whether the client asked for a streamed answer.
    pub is_streamed: bool,
    /// Whether the body can be sent again. A body that is too large to buffer is sent once, to one
    /// deployment.
    pub is_replayable: bool,
    /// Whether the request leaves something at the upstream (a stored response, a background job).
    /// Then it must not be sent to two deployments at once.
    pub has_side_effects: bool,
    /// Whether it harms if the request is done twice: an upload, a batch, a background response, an
    /// entry of a conversation. After an outcome that is unclear it is not repeated.
    pub is_done_once: bool,
    /// The response that this request continues. Only its owner, the deployment that created it,
    /// knows it.
    pub previous_response_id: Option<String>,
    /// The owner of the object that the request continues or asks for: the deployment that created
    /// it, if it is remembered.
    pub owner: Option<usize>,
    /// How long the client itself waits, if it says so (`x-stainless-read-timeout`,
    /// `cf-aig-request-timeout`).
    pub patience_ms: Option<Millis>,
    /// How long the body took to arrive. It counts against the deadline and the patience.
    pub upload_ms: Millis,
    /// One random number per request in `0.0..1.0`, for `percent` without a sticky key.
    pub draw: f64,
}

/// Where a request comes from, as far as the platform or the client says. Codes are in capitals.
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
    /// The place that the client itself states: the name of an Azure region, or the code of a colo
    /// (`x-switchyard-region`, or `region` in the metadata). It takes precedence over all measured
    /// values.
    pub hint: Option<String>,
    /// Whether the caller is another Worker (AI Gateway, for example). Then country and coordinates
    /// describe Cloudflare's own egress, and only `colo` still describes the client.
    pub is_behind_worker: bool,
}

/// The metadata of a request: `own` (`x-switchyard-metadata`) merged over `gateway`
/// (`cf-aig-metadata`, flat JSON:
/// <https://developers.cloudflare.com/ai-gateway/observability/custom-metadata/>). A value that is
/// not a JSON object is ignored.
pub fn metadata(gateway: Option<&str>, own: Option<&str>) -> BTreeMap<String, Value> {
    let texts = [gateway, own].into_iter().flatten();
    let mut metadata = BTreeMap::new();
    metadata.extend(texts.filter_map(|text| serde_json::from_str::<Map<String, Value>>(text).ok()).flatten());
    metadata
}

/// How long the client waits: the shortest time that it states. The official SDKs state seconds
/// (`x-stainless-read-timeout`, `x-stainless-timeout`), AI Gateway milliseconds
/// (`cf-aig-request-timeout`).
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
