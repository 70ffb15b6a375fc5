//! What a JSON body needs of a model: tools, images, a JSON schema, audio, and a long context.
//!
//! Nothing is parsed. The members of the body are known, and the types of the parts of messages are
//! searched in their bytes. A quote within a text is escaped, so a text that mentions such a type
//! is not taken for one.

use memchr::memmem;

use super::json_body::Peek;
use crate::routes::reads::Reads;
use crate::scan::needle::Needle;
use crate::vocabulary::needs::{Feature, Features, Needs};

/// The member that says what a part of a message is, or how the output is formed.
static TYPE: Needle = Needle::of("\"type\"");
/// The name of a modality.
static AUDIO: Needle = Needle::of("\"audio\"");

/// Types of parts with an image: in chat completions, in Responses, and what a computer tool
/// returns.
const IMAGES: [&[u8]; 3] = [b"image_url", b"input_image", b"computer_screenshot"];
/// Types of parts with sound.
const SOUNDS: [&[u8]; 1] = [b"input_audio"];
/// Types of parts whose bytes say nothing about their tokens.
const MEDIA: [&[u8]; 3] = [b"input_audio", b"file", b"input_file"];
/// The type of an output format.
const JSON_SCHEMA: [&[u8]; 1] = [b"json_schema"];

/// The start of data in base64 within a URL.
const BASE64: &[u8] = b";base64,";
/// The start of an escaped character.
const ESCAPE: &[u8] = br"\u";
/// What an excerpt has in the place of text that it leaves out.
const LEFT_OUT: &[u8] = br"\uffff";
/// With more than one escaped character in so many bytes, a quarter of the bytes is no estimate: an
/// escape takes six bytes, and a token has several of these characters.
const BYTES_PER_ESCAPE: usize = 64;

/// What a body needs, of what the document reads. `body`: the body of `peek`, or its excerpt.
/// `tokens`: the estimate for the whole body.
pub fn needs(peek: &Peek, body: &[u8], tokens: u64, reads: &Reads) -> Needs {
    let mut features = Features::default();
    if !reads.features.is_empty() {
        for (name, value) in peek.members(body) {
            features = features.or(of_member(name, value, reads.features));
        }
    }
    let is_long = reads.context_tokens.is_some_and(|shortest| tokens > shortest);
    let context_tokens = if is_long && is_mostly_text(peek, body) { tokens } else { 0 };
    Needs { features, context_tokens }
}

fn of_member(name: &str, value: &[u8], watched: Features) -> Features {
    let found = |feature, is_there: &dyn Fn() -> bool| {
        let is_needed = watched.contains(feature) && is_there();
        if is_needed { Features::default().with(feature) } else { Features::default() }
    };
    match name {
        "tools" | "functions" => found(Feature::Tools, &|| is_filled(value)),
        "response_format" | "text" => found(Feature::JsonSchema, &|| has_type(value, &JSON_SCHEMA)),
        "modalities" | "output_modalities" => found(Feature::Audio, &|| AUDIO.is_in(value)),
        "messages" | "input" | "prompt" => found(Feature::Vision, &|| has_type(value, &IMAGES))
            .or(found(Feature::Audio, &|| has_type(value, &SOUNDS))),
        _ => Features::default(),
    }
}

/// Whether a value is a list with an element.
fn is_filled(value: &[u8]) -> bool {
    value.strip_prefix(b"[").is_some_and(|rest| !rest.trim_ascii_start().starts_with(b"]"))
}

/// Whether a part of the value, at any depth, has one of these types.
fn has_type(value: &[u8], types: &[&[u8]]) -> bool {
    TYPE.values_in(value).any(|text| {
        let quoted = text.strip_prefix(b"\"").unwrap_or_default();
        types.iter().any(|name| quoted.strip_prefix(*name).is_some_and(|rest| rest.starts_with(b"\"")))
    })
}

/// Whether the length of the body tells its tokens: it has no images, sounds or files in it, and
/// few escaped characters.
fn is_mostly_text(peek: &Peek, body: &[u8]) -> bool {
    let is_escape = |at: &usize| !body.get(*at..).unwrap_or_default().starts_with(LEFT_OUT);
    let escapes = || memmem::find_iter(body, ESCAPE).filter(is_escape).count();
    let has_media = || {
        let mut messages = peek.members(body).filter(|(name, _)| matches!(*name, "messages" | "input"));
        messages.any(|(_, value)| has_type(value, &MEDIA))
    };
    memmem::find(body, BASE64).is_none() && !has_media() && escapes() <= body.len() / BYTES_PER_ESCAPE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Reads {
        let features = Feature::ALL.into_iter().fold(Features::default(), Features::with);
        Reads { features, context_tokens: Some(10), ..Reads::default() }
    }

    fn names(body: &str, reads: &Reads) -> Vec<&'static str> {
        let peek = Peek::of(body.as_bytes()).unwrap();
        needs(&peek, body.as_bytes(), 0, reads).features.iter().map(Feature::name).collect()
    }

    #[test]
    fn what_a_body_uses_is_found() {
        for (body, expected) in [
            (r#"{"messages":[{"role":"user","content":"hi"}]}"#, &[][..]),
            (r#"{"tools":[{"type":"function"}]}"#, &["tools"]),
            (r#"{"functions" : [ {"name":"f"}]}"#, &["tools"]),
            (r#"{"tools":[ ],"functions":null}"#, &[]),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#,
                &["vision"],
            ),
            (r#"{"input":[{"content":[{"type" : "input_image","file_id":"f"}]}]}"#, &["vision"]),
            (
                r#"{"input":[{"type":"computer_call_output","output":{"type":"computer_screenshot"}}]}"#,
                &["vision"],
            ),
            (r#"{"prompt":{"id":"p","variables":{"photo":{"type":"input_image"}}}}"#, &["vision"]),
            (
                r#"{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AA"}}]}]}"#,
                &["audio"],
            ),
            (r#"{"modalities":["text","audio"]}"#, &["audio"]),
            (r#"{"modalities":["text"],"audio":{"voice":"alloy"}}"#, &[]),
            (r#"{"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}"#, &["json_schema"]),
            (r#"{"text":{"format":{"type":"json_schema","name":"n"},"verbosity":"low"}}"#, &["json_schema"]),
            (r#"{"response_format":{"type":"json_object"},"text":{"format":{"type":"text"}}}"#, &[]),
            // What only mentions a type: in a text, as the name of something, in another field.
            (r#"{"messages":[{"content":"send {\"type\":\"image_url\"}"}]}"#, &[]),
            (r#"{"messages":[{"name":"image_url","content":"x"}]}"#, &[]),
            (r#"{"tools":[{"type":"function","parameters":{"type":"image_url"}}]}"#, &["tools"]),
            (r#"{"messages":[{"content":[{"type":"image_url_of"}]}]}"#, &[]),
            (r#"{"metadata":{"type":"image_url","tools":"[1]"}}"#, &[]),
        ] {
            assert_eq!(names(body, &all()), expected, "{body}");
            assert_eq!(names(body, &Reads::default()), [""; 0], "{body}: nothing is read");
        }
    }

    #[test]
    fn only_what_some_model_lacks_is_looked_for() {
        let body = r#"{"tools":[{}],"modalities":["audio"]}"#;
        let features = Features::default().with(Feature::Audio).with(Feature::Vision);
        assert_eq!(names(body, &Reads { features, ..Reads::default() }), ["audio"]);
    }

    #[test]
    fn an_estimate_counts_where_the_body_is_text_and_longer_than_some_context() {
        let text = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
        for (body, tokens, expected) in [
            (text(r#""a b c""#), 11, 11),
            (text(r#""a b c""#), 10, 0),
            (text(r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]"#), 11, 0),
            (text(r#"[{"type":"image_url","image_url":{"url":"https://images.example/1.png"}}]"#), 11, 11),
            (text(r#"[{"type":"input_audio","input_audio":{"data":"AAAA"}}]"#), 11, 0),
            (text(r#"[{"type":"file","file":{"file_data":"AAAA"}}]"#), 11, 0),
            // Escaped letters take more bytes than tokens, and a mark of left out text is not one.
            (text(r#""\u043f\u0440\u0438\u0432\u0435\u0442""#), 11, 0),
            (text(r#""a\uffffb\uffffc""#), 11, 11),
            (text(&format!("\"{}\\u043f\"", "a".repeat(64))), 11, 11),
        ] {
            let peek = Peek::of(body.as_bytes()).unwrap();
            let reads = Reads { context_tokens: Some(10), ..Reads::default() };
            let found = needs(&peek, body.as_bytes(), tokens, &reads).context_tokens;
            assert_eq!(found, expected, "{body}");
            let found = needs(&peek, body.as_bytes(), tokens, &Reads::default()).context_tokens;
            assert_eq!(found, 0, "{body}: no model has a limit");
        }
    }
}
