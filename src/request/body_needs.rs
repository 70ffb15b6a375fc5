//! What a JSON body needs of a model: tools, images, a JSON schema, audio, and a long context.
//!
//! Nothing is parsed. The members of the body are known, and the types of the parts of messages are
//! searched in their bytes. A quote within a text is escaped, so a text that mentions such a type
//! is not taken for one.

use memchr::{memchr_iter, memmem};

use super::excerpt::Excerpt;
use super::json_body::Peek;
use crate::routes::reads::Reads;
use crate::scan::needle::Needle;
use crate::scan::top_level::each_element;
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

/// What a body needs, of what the document reads. `known`: the body of `peek`, or its excerpt, or
/// its first bytes. Then what stands in them counts, and nothing is known of the rest. `tokens`:
/// the estimate for the whole body.
pub fn needs(peek: &Peek, known: &Excerpt, tokens: u64, reads: &Reads) -> Needs {
    let body = known.text();
    let begun = peek.begun_member(body);
    let members = || peek.members(body).chain(begun.iter().map(|(name, value)| (&**name, *value)));
    let mut features = Features::default();
    if !reads.features.is_empty() {
        for (name, value) in members() {
            features = features.or(of_member(name, value, reads.features));
        }
    }
    let tokens = if peek.is_whole() { tokens } else { quarter(body.len()) };
    let is_long = |tokens: &u64| reads.context_tokens.is_some_and(|shortest| *tokens > shortest);
    let longest = |_: &u64| {
        let mut inputs = members().filter(|(name, _)| matches!(*name, "input" | "prompt"));
        inputs.find_map(|(_, value)| longest_entry(value, known)).unwrap_or(tokens)
    };
    let media = || members().filter(|(name, _)| matches!(*name, "messages" | "input"));
    let is_text = |_: &u64| is_mostly_text(body) && !media().any(|(_, value)| has_type(value, &MEDIA));
    // The first check is cheap, and few requests pass it.
    let estimate = Some(tokens).filter(is_long).as_ref().map(longest).filter(is_long).filter(is_text);
    Needs { features, context_tokens: estimate.unwrap_or_default() }
}

/// The tokens of the longest entry in a list of texts or of lists of tokens: each of them is an
/// input by itself. The tokens of a list of tokens. `None` for anything else.
fn longest_entry(value: &[u8], known: &Excerpt) -> Option<u64> {
    let first = *value.strip_prefix(b"[")?.trim_ascii_start().first()?;
    let count = |list: &[u8]| memchr_iter(b',', list).count() as u64 + 1;
    let mut longest = 0;
    match first {
        b'0'..=b'9' => return Some(count(value)),
        b'[' => _ = each_element(value, &mut |list| longest = longest.max(count(list))),
        b'"' => {
            let place = |part: &[u8]| part.as_ptr().addr().saturating_sub(known.text().as_ptr().addr());
            let length = |text: &[u8]| {
                let start = place(text);
                known.original(start + text.len()).saturating_sub(known.original(start))
            };
            _ = each_element(value, &mut |text| longest = longest.max(quarter(length(text))));
        }
        _ => return None,
    }
    Some(longest)
}

/// The estimated tokens of a text of this length.
fn quarter(bytes: usize) -> u64 {
    (bytes / 4) as u64
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

/// Whether a value is a list with an element, or begins one.
fn is_filled(value: &[u8]) -> bool {
    let first = value.strip_prefix(b"[").and_then(|rest| rest.trim_ascii_start().first());
    first.is_some_and(|first| *first != b']')
}

/// Whether a part of the value, at any depth, has one of these types.
fn has_type(value: &[u8], types: &[&[u8]]) -> bool {
    TYPE.values_in(value).any(|text| {
        let quoted = text.strip_prefix(b"\"").unwrap_or_default();
        types.iter().any(|name| quoted.strip_prefix(*name).is_some_and(|rest| rest.starts_with(b"\"")))
    })
}

/// Whether the length of the body may tell its tokens: it has no data in base64 in it, and few
/// escaped characters.
fn is_mostly_text(body: &[u8]) -> bool {
    let is_escape = |at: &usize| !body.get(*at..).unwrap_or_default().starts_with(LEFT_OUT);
    let escapes = || memmem::find_iter(body, ESCAPE).filter(is_escape).count();
    memmem::find(body, BASE64).is_none() && escapes() <= body.len() / BYTES_PER_ESCAPE
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
        needs(&peek, &body.as_bytes().to_vec().into(), 0, reads).features.iter().map(Feature::name).collect()
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
            let found = needs(&peek, &body.as_bytes().to_vec().into(), tokens, &reads).context_tokens;
            assert_eq!(found, expected, "{body}");
            let found =
                needs(&peek, &body.as_bytes().to_vec().into(), tokens, &Reads::default()).context_tokens;
            assert_eq!(found, 0, "{body}: no model has a limit");
        }
    }

    /// The tokens that are compared of a body, or of its excerpt.
    fn context_tokens(body: &str, shortest: u64, is_excerpt: bool) -> u64 {
        let reads = Reads { context_tokens: Some(shortest), ..Reads::default() };
        let bytes = body.as_bytes();
        let window = bytes.len() / 2 + 8;
        let excerpt = Excerpt::read(bytes.len(), window, |start, end| bytes[start..end].to_vec());
        let known = if is_excerpt { excerpt.unwrap() } else { bytes.to_vec().into() };
        let peek = Peek::of(known.text()).unwrap();
        needs(&peek, &known, (bytes.len() / 4) as u64, &reads).context_tokens
    }

    #[test]
    fn each_entry_of_a_list_is_an_input_by_itself() {
        let text = |words: usize| format!("\"{}\"", "word".repeat(words));
        let list = |entries: &[String]| format!("[ {} ]", entries.join(" , "));
        let numbers = |count: usize| list(&vec!["100257".to_owned(); count]);
        for (value, expected) in [
            (list(&vec![text(300); 100]), Some(0)),
            (list(&[text(300), text(1_001), text(2)]), Some(1_001)),
            // Its commas are no entries.
            (list(&[text(2), format!("\"{}\"", ",a\\\"b,".repeat(200))]), Some(0)),
            (numbers(900), Some(0)),
            (numbers(1_001), Some(1_001)),
            (list(&[numbers(900), numbers(2), numbers(900)]), Some(0)),
            (list(&[numbers(2), numbers(1_002)]), Some(1_002)),
            (text(1_500), None),
            // The parts of one input.
            (list(&vec![format!("{{\"role\":\"user\",\"content\":{}}}", text(300)); 10]), None),
        ] {
            for name in ["input", "prompt"] {
                let body = format!("{{\"model\":\"m\",\"{name}\": {value}}}");
                let whole = (body.len() / 4) as u64;
                for is_excerpt in [false, true] {
                    let found = context_tokens(&body, 1_000, is_excerpt);
                    assert_eq!(found, expected.unwrap_or(whole), "{name} {is_excerpt} {whole}");
                }
            }
        }
        let chat = format!("{{\"messages\":{}}}", list(&vec![text(300); 10]));
        assert!(context_tokens(&chat, 1_000, false) > 3_000, "messages are one input");
    }

    #[test]
    fn of_a_body_that_is_sent_once_all_that_stands_in_its_beginning_counts() {
        for (beginning, expected) in [
            (r#""messages":[{"content":[{"type":"image_url","image_url":{"url":"data:"#, &["vision"][..]),
            (r#""messages":[{"content":[{"type":"image_url""#, &["vision"]),
            (r#""messages":[{"content":[{"type":"image_u"#, &[]),
            (r#""tools" : [ {"type":"#, &["tools"]),
            (r#""tools":["#, &[]),
            (r#""tools":[ ]"#, &[]),
            (r#""t\u006fols":[{"#, &["tools"]),
            (r#""tools":"#, &[]),
            (r#""tool"#, &[]),
            (r#""input":[{"type":"input_audio""#, &["audio"]),
            (r#""messages":"\"type\":\"image_url\""#, &[]),
            ("", &[]),
        ] {
            let beginning = format!(r#"{{"model":"m","n":1,{beginning}"#);
            let peek = Peek::of_prefix(beginning.as_bytes()).unwrap();
            let known = beginning.as_bytes().to_vec().into();
            let found: Vec<_> = needs(&peek, &known, 0, &all()).features.iter().map(Feature::name).collect();
            assert_eq!(found, expected, "{beginning}");
        }
    }

    #[test]
    fn of_a_body_that_is_sent_once_the_beginning_is_compared() {
        let reads = Reads { context_tokens: Some(10), ..Reads::default() };
        let found = |beginning: &str| {
            let peek = Peek::of_prefix(beginning.as_bytes()).unwrap();
            needs(&peek, &beginning.as_bytes().to_vec().into(), 1_000_000, &reads).context_tokens
        };
        let long = format!(r#"{{"model":"m","messages":[{{"content":"{}"#, "a".repeat(100));
        assert_eq!(found(&long), (long.len() / 4) as u64, "the rest may be a picture");
        assert_eq!(found(r#"{"model":"m","messages":[{"content":"a"#), 0);
        let sound =
            format!(r#"{{"model":"m","messages":[{{"type":"input_audio","data":"{}"#, "A".repeat(100));
        assert_eq!(found(&sound), 0);
    }
}
