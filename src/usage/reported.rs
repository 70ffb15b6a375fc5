//! The usage that a provider reports: in an answer in one piece, or in an event of a stream.
//!
//! Only the member at its own place counts: `usage` at the top level of an answer or of an event,
//! and `response.usage` in the last event of a response. The same name elsewhere (in the metadata
//! of a client, in the schema of a tool) says nothing. Usage stands near the end of a text, so the
//! last member of this name is tried first: what follows it shows at which depth it is. Only if it
//! is at another depth, the members are walked through. No text is parsed into values.
//!
//! A quantity that is not a number that fits counts as not reported, and unknown members are
//! ignored.

use crate::scan::needle::Needle;
use crate::scan::top_level::{each_member, element_count, value_at_depth};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::stable_hash;
use crate::vocabulary::usage::Usage;

static USAGE: Needle = Needle::of("\"usage\"");
static BACKGROUND: Needle = Needle::of("\"background\"");
static RESPONSE: Needle = Needle::of("\"response\"");

/// What an answer reports about its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The quantities.
    pub usage: Usage,
    /// If the answer is a response that was created in the background: a hash of its id. The same
    /// usage is reported whenever such a response is read.
    pub background: Option<u64>,
}

impl From<Usage> for Reported {
    fn from(usage: Usage) -> Self {
        Self { usage, background: None }
    }
}

impl Reported {
    /// What an answer in one piece reports. `None` if it reports nothing.
    pub fn in_answer(operation: Operation, json: &[u8]) -> Option<Self> {
        match operation {
            Operation::ImagesGenerations | Operation::ImagesEdits | Operation::ImagesVariations => {
                let images = member(json, b"data").and_then(element_count)?;
                let usage = usage_at(json, 1).or_else(|| member(json, b"usage").and_then(quantities));
                Some(Usage { images, ..usage.unwrap_or_default() }.into())
            }
            Operation::AudioTranscriptions | Operation::AudioTranslations => {
                // Answers with details have their duration at the top level. Older servers report
                // no usage beside it.
                Self::at_top_level(json).or_else(|| {
                    let audio_ms = member(json, b"duration").and_then(seconds)?;
                    Some(Usage { audio_ms, ..Usage::default() }.into())
                })
            }
            Operation::Responses | Operation::StoredResponses => {
                let reported = Self::at_top_level(json)?;
                Some(Self { background: background(json), ..reported })
            }
            _ => Self::at_top_level(json),
        }
    }

    /// What an answer reports of which only the beginning and the end are known.
    pub fn in_ends(operation: Operation, start: &[u8], end: &[u8]) -> Option<Self> {
        let usage = usage_at(end, 1)?;
        let is_response = matches!(operation, Operation::Responses | Operation::StoredResponses);
        Some(Self { usage, background: is_response.then(|| background(start)).flatten() })
    }

    /// What the data of an event reports at its top level. If the middle of the data is missing,
    /// `data` is its end.
    pub fn in_event(data: &[u8]) -> Option<Self> {
        Self::at_top_level(data)
    }

    /// What the last event of a response reports. `end`: the end of data whose middle is missing;
    /// `data` is its beginning then.
    pub fn in_last_event_of_response(data: &[u8], end: &[u8]) -> Option<Self> {
        if !end.is_empty() {
            let response = RESPONSE.values_in(data).next().unwrap_or_default();
            return usage_at(end, 2).map(|usage| Self { usage, background: background(response) });
        }
        if !may_report(data) {
            return None;
        }
        let response = member(data, b"response")?;
        let usage = usage_at(response, 1).or_else(|| member(response, b"usage").and_then(quantities))?;
        Some(Self { usage, background: background(response) })
    }

    fn at_top_level(json: &[u8]) -> Option<Self> {
        if !may_report(json) {
            return None;
        }
        usage_at(json, 1).or_else(|| member(json, b"usage").and_then(quantities)).map(Self::from)
    }
}

/// Whether a text contains an object of the name `usage`, at any depth.
fn may_report(json: &[u8]) -> bool {
    USAGE.values_in(json).any(|value| value.starts_with(b"{"))
}

/// The usage in the last member of this name, if it is at this depth.
fn usage_at(json: &[u8], depth: usize) -> Option<Usage> {
    let last = USAGE.values_in(json).last()?;
    let before = json.get(..json.len().saturating_sub(last.len()))?;
    let name = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"usage\"")?;
    // Behind a backslash it is only the end of a longer name.
    let is_whole = !name.ends_with(b"\\");
    value_at_depth(last, depth).filter(|_| is_whole).and_then(quantities)
}

/// The value of a member of the object in `json`. The last one of a name counts.
fn member<'a>(json: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    each_member(json, &mut |name, value| {
        if name == wanted {
            found = Some(value);
        }
    })?;
    found
}

/// The hash of the id of a response, if it was created in the background. The text may be cut off:
/// providers write both members before the output.
fn background(response: &[u8]) -> Option<u64> {
    if !BACKGROUND.values_in(response).any(|value| value.starts_with(b"true")) {
        return None;
    }
    let (mut is_background, mut id) = (false, None);
    // Where the text is cut off, the walk ends; the members before are known.
    let _ = each_member(response, &mut |name, value| match name {
        b"background" => is_background = value == b"true",
        b"id" => id = Some(stable_hash(value)),
        _ => {}
    });
    id.filter(|_| is_background)
}

/// The quantities in a usage object, in each of its spellings. `None` if it has none of them.
fn quantities(object: &[u8]) -> Option<Usage> {
    let (mut usage, mut is_known) = (Usage::default(), false);
    let mut note = |quantity: &mut u64, reported: Option<u64>| {
        is_known |= reported.is_some();
        *quantity = reported.unwrap_or(*quantity);
    };
    each_member(object, &mut |name, value| match name {
        b"prompt_tokens" | b"input_tokens" => note(&mut usage.input_tokens, number(value)),
        b"completion_tokens" | b"output_tokens" => note(&mut usage.output_tokens, number(value)),
        b"seconds" => note(&mut usage.audio_ms, seconds(value)),
        b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => {
            let cached = member(value, b"cached_tokens").and_then(number);
            usage.cached_input_tokens = cached.unwrap_or_default();
        }
        b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => {
            let reasoning = member(value, b"reasoning_tokens").and_then(number);
            usage.reasoning_tokens = reasoning.unwrap_or_default();
        }
        _ => {}
    })?;
    // A part is not more than the whole.
    usage.cached_input_tokens = usage.cached_input_tokens.min(usage.input_tokens);
    usage.reasoning_tokens = usage.reasoning_tokens.min(usage.output_tokens);
    is_known.then_some(usage)
}

/// A number that is not negative. Some servers write whole numbers with a fraction.
fn number(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    text.parse().ok().or_else(|| positive(text).map(whole))
}

/// Seconds as milliseconds. Some servers write the number as a text.
fn seconds(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    positive(text.trim_matches('"')).map(|seconds| whole(seconds * 1_000.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from f64 saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: u64, output: u64, reasoning: u64) -> Usage {
        Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            output_tokens: output,
            reasoning_tokens: reasoning,
            ..Usage::default()
        }
    }

    fn in_answer(operation: Operation, json: &str) -> Option<Usage> {
        Reported::in_answer(operation, json.as_bytes()).map(|reported| reported.usage)
    }

    #[test]
    fn each_operation_has_its_own_spelling() {
        use Operation::{
            AudioTranscriptions, AudioTranslations, ChatCompletions, Completions, Embeddings,
            ImagesGenerations, Moderations, Responses, StoredResponses,
        };
        let audio = |audio_ms| Usage { audio_ms, ..Usage::default() };
        for (operation, json, expected) in [
            (
                ChatCompletions,
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7,"accepted_prediction_tokens":1}},"service_tier":"default","prompt_filter_results":[{"prompt_index":0}]}"#,
                Some(usage(9, 4, 12, 7)),
            ),
            (
                Completions,
                r#"{"usage" : { "prompt_tokens" : 1, "completion_tokens" : 2 } , "x":1} "#,
                Some(usage(1, 0, 2, 0)),
            ),
            (
                Responses,
                r#"{"id":"resp_1","usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":8},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":16},"user":null,"metadata":{"usage":"{\"output_tokens\":1}"}}"#,
                Some(usage(9, 8, 7, 5)),
            ),
            (
                StoredResponses,
                r#"{"id":"resp_1","usage":{"input_tokens":1,"output_tokens":1}}"#,
                Some(usage(1, 0, 1, 0)),
            ),
            (
                Embeddings,
                r#"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
                Some(usage(5, 0, 0, 0)),
            ),
            (Moderations, r#"{"id":"modr_1","results":[{"flagged":false}]}"#, None),
            (
                ImagesGenerations,
                r#"{"created":1,"data":[{"b64_json":"AA]["},{"url":"x"}],"usage":{"input_tokens":10,"output_tokens":20,"input_tokens_details":{"text_tokens":10,"image_tokens":0}}}"#,
                Some(Usage { images: 2, ..usage(10, 0, 20, 0) }),
            ),
            (
                ImagesGenerations,
                r#"{"usage":{"output_tokens":20},"data":[{"url":"x","usage":{"output_tokens":1}}]}"#,
                Some(Usage { images: 1, ..usage(0, 0, 20, 0) }),
            ),
            (ImagesGenerations, r#"{"data":[]}"#, Some(usage(0, 0, 0, 0))),
            (ImagesGenerations, r#"{"data":null}"#, None),
            (
                AudioTranscriptions,
                r#"{"text":"a","usage":{"type":"duration","seconds":3.5}}"#,
                Some(audio(3_500)),
            ),
            (
                AudioTranscriptions,
                r#"{"text":"a","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}"#,
                Some(usage(14, 0, 45, 0)),
            ),
            (
                AudioTranslations,
                r#"{"task":"translate","duration":"8.47","text":"a","segments":[{"duration":1}]}"#,
                Some(audio(8_470)),
            ),
            (
                AudioTranscriptions,
                r#"{"duration":9,"usage":{"type":"duration","seconds":10}}"#,
                Some(audio(10_000)),
            ),
            (AudioTranscriptions, r#"{"text":"a"}"#, None),
            (AudioTranscriptions, "1\n00:00 --> 00:01\nHi", None),
        ] {
            assert_eq!(in_answer(operation, json), expected, "{operation:?} {json}");
        }
    }

    #[test]
    fn usage_at_another_place_says_nothing() {
        let real = Some(usage(1, 0, 2, 0));
        for (json, expected) in [
            // After the real one, and before it.
            (
                r#"{"usage":{"input_tokens":1,"output_tokens":2},"metadata":{"usage":{"input_tokens":9}}}"#,
                real,
            ),
            (
                r#"{"tools":[{"usage":{"input_tokens":9}}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
                real,
            ),
            (
                r#"{"text":"\"usage\":{\"input_tokens\":9}","usage":{"input_tokens":1,"output_tokens":2}}"#,
                real,
            ),
            (
                r#"{"usage":{"input_tokens":1,"output_tokens":2},"text":"\"usage\":{\"input_tokens\":9}"}"#,
                real,
            ),
            (r#"{"usage":{"input_tokens":1,"output_tokens":2,"usage":{"input_tokens":9}}}"#, real),
            (r#"{"metadata":{"usage":{"input_tokens":9}}}"#, None),
            (r#"{"output":[{"usage":{"input_tokens":9}}],"usage":null}"#, None),
            (r#"[{"usage":{"input_tokens":9}}]"#, None),
            // Of a repeated member the last one counts, as in most parsers.
            (r#"{"usage":{"input_tokens":8},"usage":{"input_tokens":1,"output_tokens":2}}"#, real),
        ] {
            assert_eq!(in_answer(Operation::Responses, json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_counts_as_not_reported() {
        for (usage_object, expected) in [
            (r#"{"prompt_tokens":"9","completion_tokens":3}"#, Some(usage(0, 0, 3, 0))),
            (r#"{"prompt_tokens":-9,"completion_tokens":3.0}"#, Some(usage(0, 0, 3, 0))),
            (
                r#"{"prompt_tokens":99999999999999999999999,"completion_tokens":1e400}"#,
                Some(usage(u64::MAX, 0, 0, 0)),
            ),
            (
                r#"{"prompt_tokens":2,"prompt_tokens_details":null,"completion_tokens_details":7}"#,
                Some(usage(2, 0, 0, 0)),
            ),
            (r#"{"prompt_tokens":2,"prompt_tokens_details":{"cached_tokens":9}}"#, Some(usage(2, 2, 0, 0))),
            (r#"{"prompt_tokens":null}"#, None),
            (r#"{"total_tokens":3}"#, None),
            ("{}", None),
            ("null", None),
            ("[1]", None),
            ("{\"prompt_tokens\":1", None),
        ] {
            let json = format!(r#"{{"choices":[],"usage":{usage_object}}}"#);
            assert_eq!(in_answer(Operation::ChatCompletions, &json), expected, "{json}");
        }
    }

    #[test]
    fn the_last_event_of_a_response_reports_inside_the_response() {
        let event = |response: &str| {
            format!(r#"{{"type":"response.completed","response":{response},"sequence_number":9}}"#)
        };
        for (response, expected) in [
            (
                r#"{"id":"resp_1","background":false,"usage":{"output_tokens":7},"metadata":{}}"#,
                Some((7, false)),
            ),
            (
                r#"{"usage":{"output_tokens":7},"metadata":{"usage":{"output_tokens":9}},"background":true,"id":"resp_1"}"#,
                Some((7, true)),
            ),
            (
                r#"{"metadata":{"background":true},"id":"resp_1","usage":{"output_tokens":7}}"#,
                Some((7, false)),
            ),
            (r#"{"usage":null,"metadata":{"usage":{"output_tokens":9}}}"#, None),
        ] {
            let json = event(response);
            let reported = Reported::in_last_event_of_response(json.as_bytes(), b"");
            let found =
                reported.map(|reported| (reported.usage.output_tokens, reported.background.is_some()));
            assert_eq!(found, expected, "{json}");
            let in_one_piece = Reported::in_answer(Operation::Responses, response.as_bytes());
            assert_eq!(in_one_piece, reported, "{response}");
        }
        let outside = r#"{"type":"response.completed","response":{},"usage":{"output_tokens":9}}"#;
        assert_eq!(Reported::in_last_event_of_response(outside.as_bytes(), b""), None);
        let end = br#"text"}],"usage":{"output_tokens":7},"metadata":{}},"sequence_number":9}"#;
        for (start, is_background) in [
            (r#"{"type":"response.completed""#, false),
            (
                r#"{"type":"response.completed","response":{"id":"resp_1","background":true,"output":[{"te"#,
                true,
            ),
            (
                r#"{"type":"response.completed","response":{"id":"resp_1","background":false,"output":[{"te"#,
                false,
            ),
            (
                r#"{"type":"response.completed","response":{"id":"resp_1","output":[{"background":true,"te"#,
                false,
            ),
        ] {
            let reported = Reported::in_last_event_of_response(start.as_bytes(), end).unwrap();
            let found = (reported.usage.output_tokens, reported.background.is_some());
            assert_eq!(found, (7, is_background), "{start}");
        }
    }
}
