//! The chunk with the usage is withheld, and nothing else.

use super::*;
use switchyard::stream::usage_filter::{MOST_WITHHELD, Passing, UsageFilter};

/// What passes of a stream that comes in these pieces: after each piece, and after the end.
fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut filter = UsageFilter::default();
    let pieces = pieces.into_iter().map(|piece| match filter.push(piece) {
        Passing::Unchanged => piece.to_vec(),
        Passing::Bytes(bytes) => bytes,
    });
    let pieces = pieces.collect();
    (pieces, filter.end())
}

fn all(text: &str, piece: usize) -> String {
    let (pieces, end) = passed(text.as_bytes().chunks(piece));
    String::from_utf8([pieces.concat(), end].concat()).unwrap()
}

/// As OpenAI sends it to a client that asks for usage.
const ASKED: &str =
    r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#;
/// The same with what newer servers add.
const OBFUSCATED: &str = r#"data: {"id":"c","choices": [ ],"usage" : {"prompt_tokens":1,"completion_tokens":2},"obfuscation":"AAAA"}"#;
/// As some servers write it.
const NULL: &str = r#"data: {"id":"c","choices":null,"usage":{"prompt_tokens":1}}"#;
const ABSENT: &str = r#"data: {"id":"c","error":null,"usage":{"prompt_tokens":2}}"#;
/// An error says what was used until then.
const FAILED: &str = r#"data: {"error":{"message":"x"},"usage":{"prompt_tokens":3}}"#;
const FAILED_CHUNK: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":4},"error":"x"}"#;
/// Some servers report beside the last choice.
const BESIDE: &str =
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#;
/// The text of an answer that looks like the chunk.
const LIAR: &str =
    r#"data: {"choices":[{"index":0,"delta":{"content":"data: {\"choices\":[],\"usage\":{}}\n\n"}}]}"#;

#[test]
fn only_the_chunk_with_the_usage_is_withheld_for_any_pieces_and_line_ends() {
    for (events, end) in [
        (vec![AZURE_FIRST, ROLE, ASKED, FINISH, USAGE, DONE], ""),
        (vec![ROLE, ASKED, FINISH, OBFUSCATED, DONE], ""),
        (vec![ROLE, ASKED, FINISH, USAGE], ""),
        (vec![ROLE, FINISH, NULL, ABSENT, DONE], ""),
        (vec![ROLE, FAILED, FAILED_CHUNK, DONE], ""),
        (vec![ROLE, FINISH, DONE], ABSENT),
        (vec![COMMENT, LEGACY, PING, USAGE, COMMENT, DONE], ""),
        (vec![ROLE, LIAR, BESIDE, ERROR, FILTER_REPORT, MALFORMED, USAGE, USAGE, DONE], ""),
        (vec!["data: {\"choices\":[],\ndata: \"usage\":{}}", "", "", TEXT], ""),
        // The last event has no empty line.
        (vec![ROLE, ASKED, USAGE], DONE),
        (vec![ROLE, ASKED, DONE], USAGE),
        (vec![ROLE], "data: [DONE]\n"),
        (vec![], ""),
    ] {
        let is_withheld = |event: &str| {
            [USAGE, OBFUSCATED, NULL, ABSENT].contains(&event)
                || event.contains("\"usage\":{}}") && event != LIAR
        };
        let text = |events: &mut dyn Iterator<Item = &str>| {
            events.flat_map(|event| [event, "\n\n"]).collect::<String>()
        };
        let sent = text(&mut events.iter().copied()) + end;
        let expected = text(&mut events.iter().copied().filter(|event| !is_withheld(event)))
            + if is_withheld(end) { "" } else { end };
        for line_end in ["\n", "\r\n", "\r"] {
            let (sent, expected) = (sent.replace('\n', line_end), expected.replace('\n', line_end));
            for piece in 1..=sent.len().max(1) {
                assert_eq!(all(&sent, piece), expected, "{piece} {line_end:?}");
            }
        }
    }
}

#[test]
fn an_event_passes_as_soon_as_it_is_known_to_be_another_one() {
    for (pieces, expected) in [
        // Whole events pass with their piece.
        (vec!["data: {\"choices\":[]}\n\n", ": ping\n\n"], vec!["data: {\"choices\":[]}\n\n", ": ping\n\n"]),
        (vec!["data: 1\r\n\r", "\ndata: 2\r\n\r\n"], vec!["data: 1\r\n\r", "\ndata: 2\r\n\r\n"]),
        // A choice shows it, and then the rest is not withheld either.
        (
            vec!["data: {\"id\":1,\"choi", "ces\":[{\"del", "ta\":{}}]}", "\n", "\n"],
            vec!["", "data: {\"id\":1,\"choices\":[{\"del", "ta\":{}}]}", "\n", "\n"],
        ),
        (vec!["data: [DONE]", "\n"], vec!["data: [DONE]", "\n"]),
        // The end of one event and the beginning of the next.
        (
            vec!["data: 1\n\ndata: {\"ch", "oices\":[]}\n\n"],
            vec!["data: 1\n\n", "data: {\"choices\":[]}\n\n"],
        ),
    ] {
        let (found, end) = passed(pieces.iter().map(|piece| piece.as_bytes()));
        let found: Vec<_> = found.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
        assert_eq!((found, end), (expected.into_iter().map(Into::into).collect(), Vec::new()));
    }
    // However it is cut, what is too long passes.
    let padding = "x".repeat(MOST_WITHHELD);
    let long_usage = format!("data: {{\"choices\":[],\"usage\":{{}},\"x\":\"{padding}\"}}\n\n");
    let nested = "data: {\"choices\":[],\"usage\":{\"choices\":[{}]}}\n\n";
    for piece in [1, 100, usize::MAX] {
        assert!(all(&long_usage, piece) == long_usage, "{piece}");
        assert_eq!(all(nested, piece), nested, "{piece}");
    }
    let long = format!("data: {{\"x\":\"{}", "x".repeat(MOST_WITHHELD));
    assert_eq!(passed([long.as_bytes(), b"\"", b"}\n\n"]).0.concat(), (long + "\"}\n\n").as_bytes());
}

/// Chunks of a chat, and other bytes.
fn any_chat() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        AZURE_FIRST,
        ROLE,
        TEXT,
        ASKED,
        FINISH,
        USAGE,
        OBFUSCATED,
        NULL,
        ABSENT,
        FAILED,
        BESIDE,
        LIAR,
        DONE,
        ERROR,
        COMMENT,
    ]);
    let event = known.prop_map(|event| format!("{event}\n\n").into_bytes());
    let piece = prop_oneof![8 => event, 1 => prop::collection::vec(any::<u8>(), 0..20), 1 => "(data|\r|\n|:| ){0,6}".prop_map(String::into_bytes)];
    let line_end = prop::sample::select(vec![&b"\n"[..], b"\r\n", b"\r"]);
    (prop::collection::vec(piece, 0..10), line_end).prop_map(|(pieces, line_end)| {
        pieces
            .concat()
            .into_iter()
            .flat_map(|byte| if byte == b'\n' { line_end.to_vec() } else { vec![byte] })
            .collect()
    })
}

/// Whether an event is the chunk with the usage, by its values.
fn is_usage(data: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return false };
    let has = |name| value.get(name).is_some_and(|value| !value.is_null() && *value != json!([]));
    !has("choices") && !has("error") && value.get("usage").is_some_and(Value::is_object)
}

proptest! {
    #[test]
    fn of_all_events_only_the_usage_is_missing(bytes in any_chat(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        places.sort_unstable();
        let pieces = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let (found, end) = passed(pieces);
        let found = [found.concat(), end].concat();
        let (whole, at_end) = passed([&*bytes]);
        prop_assert_eq!(&found, &[whole.concat(), at_end].concat(), "pieces change nothing");
        let expected: Vec<_> = parse([&*bytes]).into_iter().filter(|(_, data, _)| !is_usage(data)).collect();
        prop_assert_eq!(parse([&*found]), expected);
    }
}
