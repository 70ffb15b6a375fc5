//! Streams: parsing, the commit point, and the ending, on the forms that OpenAI and Azure OpenAI send.

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::attempt::class::ErrorClass;
use switchyard::attempt::failure::Failure;
use switchyard::routes::graph::Commit;
use switchyard::stream::choices::Choices;
use switchyard::stream::hold::{FIRST_TOKEN_BYTES, FIRST_TOKEN_EVENTS, Hold, Verdict};
use switchyard::stream::protocol::{Meaning, Protocol, broken_stream, error_event};
use switchyard::stream::sse::{EVENT_LIMIT, Event, Parser};
use switchyard::stream::tail::{Ending, Tail};

// Chat.
const AZURE_FIRST: &str = r#"data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#;
const ROLE: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const EMPTY: &str =
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":null,"content_filter_results":{}}]}"#;
const TEXT: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Zürich"},"finish_reason":null}]}"#;
const TOOL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}"#;
const REASONING: &str = r#"data: {"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hm"},"finish_reason":null}]}"#;
const LEGACY: &str = r#"data: {"choices":[{"index":0,"text":"Hi","logprobs":null,"finish_reason":null}]}"#;
const LEGACY_EMPTY: &str =
    r#"data: {"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]}"#;
const FINISH: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const FILTERED: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
/// The second of two choices.
const SECOND: &str = r#"data: {"choices":[{"index":1,"delta":{"content":"Basel"},"finish_reason":null}]}"#;
const SECOND_FINISH: &str = r#"data: {"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
/// Both in one chunk, with the members in Azure's order.
const BOTH: &str = r#"data: {"choices":[{"delta":{"content":"A"},"finish_reason":null,"index":0},{"delta":{"content":"B"},"finish_reason":null,"index":1}]}"#;
const BOTH_FINISH: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop","index":0},{"delta":{},"finish_reason":"length","index":1}]}"#;
/// The second of two calls: no choice of its own.
const SECOND_TOOL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{"}}]},"finish_reason":null}]}"#;
/// Of a server that knows of one choice only.
const UNNUMBERED: &str = r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#;
const UNNUMBERED_FINISH: &str = r#"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#;
/// Some servers write an empty text for no reason.
const EMPTY_REASON: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":""}]}"#;
/// The last index that is told apart, and one beyond.
const LAST_INDEX: &str = r#"data: {"choices":[{"index":127,"text":"Hi","finish_reason":null}]}"#;
const LAST_INDEX_FINISH: &str = r#"data: {"choices":[{"index":127,"text":"","finish_reason":"stop"}]}"#;
const BEYOND: &str = r#"data: {"choices":[{"index":128,"text":"Hi","finish_reason":null}]}"#;
const BEYOND_FINISH: &str = r#"data: {"choices":[{"index":128,"text":"","finish_reason":"stop"}]}"#;
/// Azure's asynchronous filter reports on a choice that has finished.
const FILTER_REPORT: &str = r#"data: {"choices":[{"content_filter_offsets":{"end_offset":2},"content_filter_results":{},"finish_reason":null,"index":0}]}"#;
const USAGE: &str =
    r#"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
const DONE: &str = "data: [DONE]";
const ERROR: &str =
    r#"data: {"error":{"message":"Slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
const MALFORMED: &str = r#"data: {"choices":[{"index":0,"#;
/// Text that looks like the end of a stream, and quotes what an error looks like.
const LIAR: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"\"finish_reason\":\"stop\" [DONE] {\"error\":{\"code\":500}} \"response.completed\""},"finish_reason":null}]}"#;
/// A filter that failed reports an error below the top level: the text flows unfiltered.
const FILTER_ERROR: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null,"content_filter_results":{"error":{"code":"content_filter_error","message":"down"}}}]}"#;
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}";
const COMMENT: &str = ": keep-alive";

// Responses.
const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"error\":null}}";
const IN_PROGRESS: &str =
    "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{\"error\":null}}";
const QUEUED: &str = "event: response.queued\ndata: {\"type\":\"response.queued\",\"response\":{}}";
const MESSAGE_OPENS: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\",\"content\":[]}}";
const PART_OPENS: &str = "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}";
const REASONING_OPENS: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"summary\":[]}}";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi \\\"response.completed\\\"\"}";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"error\":null}}";
const INCOMPLETE: &str = "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\"}}";
const RESPONSE_FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"Oops\"}}}";
const ERROR_EVENT: &str = "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down\",\"param\":null,\"sequence_number\":1}";
const NAMELESS_CREATED: &str = r#"data: {"type":"response.created","response":{}}"#;
const NAMELESS_DELTA: &str = r#"data: {"type":"response.output_text.delta","delta":"Hi"}"#;
const NAMELESS_COMPLETED: &str = r#"data: {"type":"response.completed","response":{}}"#;
const NAMELESS_FAILED: &str =
    r#"data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#;
const NAMELESS_ERROR: &str =
    r#"data: {"type":"error","error":{"code":"rate_limit_exceeded"},"sequence_number":2}"#;

// Others.
const PARTIAL_IMAGE: &str = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}";

const IMAGE: &str = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"}";
const EDITED_IMAGE: &str = "event: image_edit.completed\ndata: {\"type\":\"image_edit.completed\"}";
const TRANSCRIPT_DELTA: &str =
    r#"data: {"type":"transcript.text.delta","delta":"so \"transcript.text.done\" it is"}"#;
const TRANSCRIPT: &str = r#"data: {"type":"transcript.text.done","text":"Hi"}"#;
const SPEECH_DELTA: &str = r#"data: {"type":"speech.audio.delta","audio":"AAAA"}"#;
const SPEECH: &str = r#"data: {"type":"speech.audio.done","usage":{"total_tokens":3}}"#;

use ErrorClass::{RateLimit, Truncated, Unavailable};
use Protocol::{Chat, Other, Responses};

/// A stream of whole events.
fn stream(events: &[&str]) -> Vec<u8> {
    events.iter().flat_map(|event| [event.as_bytes(), b"\n\n"].concat()).collect()
}

/// Every event of `chunks`: name, data, whether it was too long.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, Vec<u8>, bool)> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for chunk in chunks {
        parser.push(chunk, |event| events.push((event.name.to_vec(), event.data.to_vec(), event.oversized)));
    }
    events
}

/// What is known of a stream that was held and then watched: what was sent or thrown away, and how it ended, or why it was
/// not committed to.
#[derive(Debug, PartialEq)]
struct Course {
    bytes: Vec<u8>,
    ending: Result<Ending, Failure>,
}

fn run<'a>(
    protocol: Protocol,
    until: Commit,
    limit: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Course {
    let mut hold = Hold::new(protocol, until, limit);
    let mut chunks = chunks.into_iter();
    let mut verdict = Verdict::Wait;
    while verdict == Verdict::Wait {
        verdict = match chunks.next() {
            Some(chunk) => hold.push(chunk),
            None => hold.end(),
        };
    }
    let mut bytes = hold.take();
    let mut tail = hold.tail();
    for chunk in chunks {
        bytes.extend_from_slice(chunk);
        tail.push(chunk);
    }
    let ending = if let Verdict::Fail(failure) = verdict { Err(failure) } else { Ok(tail.ending(false)) };
    Course { bytes, ending }
}

/// What became of a stream: the class of a failure before the commit, or whether it was whole, or the class of the error that
/// the upstream sent afterwards.
#[derive(Debug, PartialEq)]
enum Fate {
    FailedUnseen(ErrorClass),
    Finished,
    CutOff,
    FailedVisibly(ErrorClass),
}

fn fate(protocol: Protocol, until: Commit, events: &[&str]) -> Fate {
    let bytes = stream(events);
    match run(protocol, until, usize::MAX, bytes.iter().map(std::slice::from_ref)).ending {
        Err(failure) => Fate::FailedUnseen(failure.class),
        Ok(Ending::Finished) => Fate::Finished,
        Ok(Ending::Truncated) => Fate::CutOff,
        Ok(Ending::Failed(failure)) => Fate::FailedVisibly(failure.class),
    }
}

#[test]
fn events_are_parsed_as_the_standard_says() {
    type Row<'a> = (&'a [u8], &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 19] = [
        (b"data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
        (b"data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
        (b"data: a\r\n\ndata: b\n\r\n", &[("", "a"), ("", "b")]), // mixed line ends
        (b"event: n\ndata: a\n\n", &[("n", "a")]),
        (b"data: a\nevent: n\n\n", &[("n", "a")]), // the order of the fields is free
        (b"event: n\ndata: a\n\ndata: b\n\n", &[("n", "a"), ("", "b")]), // a name holds for one event
        (b"event: n\n\ndata: b\n\n", &[("", "b")]), // no data, no event, and the name is gone
        (b"data: a\ndata: b\ndata:\n\n", &[("", "a\nb\n")]),
        (b"data:a\n\n", &[("", "a")]),    // the blank is optional
        (b"data:  a\n\n", &[("", " a")]), // only one is taken off
        (b"data\n\n", &[("", "")]),       // a field without a colon is empty
        (b": comment\n\n:\n\ndata: a\n: comment\n\n", &[("", "a")]),
        (b"id: 1\nretry: 5\nother: x\nDATA: b\ndata: a\n\n", &[("", "a")]), // unknown fields
        (b"\xEF\xBB\xBFdata: a\n\n", &[("", "a")]),                         // byte order mark
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n", &[("", "b")]),  // only one of them
        (b"data: a\n\n\xEF\xBB\xBFdata: b\n\n", &[("", "a")]),              // and only at the start
        (b"data: a\n", &[]),                                                // cut off before its empty line
        (b"\n\n\r\r\n", &[]),
    ];
    for (bytes, expected) in rows {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, data)| (name.as_bytes().to_vec(), data.as_bytes().to_vec(), false))
            .collect();
        assert_eq!(parse([bytes]), expected, "{}", bytes.escape_ascii());
        assert_eq!(
            parse(bytes.iter().map(std::slice::from_ref)),
            expected,
            "byte by byte: {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn an_event_beyond_the_limit_is_reported_without_its_data() {
    let event =
        |data: usize| [&b"event: n\ndata: "[..], &vec![b'x'; data], b"\ndata: y\n\ndata: z\n\n"].concat();
    let z = (Vec::new(), b"z".to_vec(), false);
    let too_much = [(b"n".to_vec(), Vec::new(), true), z.clone()];
    // The most that fits a line, one more, and the most that fits an event in two lines.
    for (data, fits) in [(EVENT_LIMIT - 6, true), (EVENT_LIMIT - 5, false), (EVENT_LIMIT * 3, false)] {
        let bytes = event(data);
        for size in [bytes.len(), 1000, 65_536] {
            let events = parse(bytes.chunks(size));
            if fits {
                assert_eq!((events[0].1.len(), events[0].2), (data + 2, false));
            } else {
                assert_eq!(events, too_much);
            }
            assert_eq!(events[1], z);
        }
    }
    let many_lines = [
        b"event: n\n".to_vec(),
        b"data: xxxxxxxxxxxxxxx\n".repeat(EVENT_LIMIT / 15 + 1),
        b"\ndata: z\n\n".to_vec(),
    ]
    .concat();
    assert_eq!(parse([&*many_lines]), too_much);
    // The name says what the data cannot.
    let oversized = |name| Event { name, data: b"", oversized: true };
    assert_eq!(Responses.meaning(&oversized(b"response.completed")), Meaning::Done);
    assert!(matches!(Responses.meaning(&oversized(b"response.failed")), Meaning::Error(_)));
    assert_eq!(Chat.meaning(&oversized(b"")), Meaning::Content);
}

#[test]
fn with_first_token_a_failure_before_content_goes_unseen() {
    use Fate::{CutOff, FailedUnseen, FailedVisibly, Finished};
    let rows: &[(Protocol, &[&str], Fate)] = &[
        // The usual course, at OpenAI and at Azure.
        (Chat, &[ROLE, TEXT, FINISH, USAGE, DONE], Finished),
        (Chat, &[AZURE_FIRST, ROLE, TEXT, FINISH, DONE], Finished),
        (Chat, &[LEGACY_EMPTY, LEGACY, FINISH, DONE], Finished),
        (Chat, &[ROLE, FILTERED, DONE], Finished), // a filter that cuts the answer is a result
        // A missing `[DONE]` after a finish is no fault; a missing finish before `[DONE]` is none either.
        (Chat, &[ROLE, TEXT, FINISH], Finished),
        (Chat, &[ROLE, TEXT, DONE], Finished),
        // The error comes first, after comments, after each kind of prelude.
        (Chat, &[ERROR], FailedUnseen(RateLimit)),
        (Chat, &[COMMENT, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[AZURE_FIRST, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, EMPTY, PING, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ERROR_EVENT], FailedUnseen(RateLimit)), // with the name `error`
        (Chat, &["event: error\ndata: Oops"], FailedUnseen(Unavailable)),
        (Chat, &[ROLE, MALFORMED], FailedUnseen(Unavailable)),
        (Chat, &["data:"], FailedUnseen(Unavailable)), // what the SDKs cannot read either
        // It ends before anything came.
        (Chat, &[], FailedUnseen(Truncated)),
        (Chat, &[COMMENT], FailedUnseen(Truncated)),
        (Chat, &[AZURE_FIRST, ROLE], FailedUnseen(Truncated)),
        // Each kind of content commits, and so does what is not recognised.
        (Chat, &[ROLE, TEXT, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[ROLE, TOOL, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[ROLE, REASONING, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[LEGACY, ERROR], FailedVisibly(RateLimit)),
        (Chat, &["data: {\"object\":\"news\"}", ERROR], FailedVisibly(RateLimit)),
        (Chat, &["data: 5", ERROR], FailedVisibly(RateLimit)),
        (Chat, &[FILTER_ERROR, FINISH], Finished), // an error below the top level is none of the stream's
        (Chat, &[ROLE, FINISH, ERROR], FailedVisibly(RateLimit)), // an error after the finish still tells the client so
        // Cut off, whatever the text says, and even if an event was malformed on the way.
        (Chat, &[ROLE, TEXT], CutOff),
        (Chat, &[ROLE, LIAR], CutOff),
        (Chat, &[TEXT, MALFORMED], CutOff),
        // Every choice that began must have finished, in whatever order, alone or together.
        (Chat, &[ROLE, TEXT, SECOND, FINISH, SECOND_FINISH], Finished),
        (Chat, &[ROLE, TEXT, SECOND, FINISH], CutOff),
        (Chat, &[SECOND, TEXT, SECOND_FINISH], CutOff),
        (Chat, &[TEXT, FINISH, SECOND], CutOff), // it began after the other had finished
        (Chat, &[BOTH, BOTH_FINISH], Finished),
        (Chat, &[BOTH, FINISH], CutOff),
        (Chat, &[BOTH, FINISH, DONE], Finished), // `[DONE]` is the last word
        (Chat, &[TOOL, SECOND_TOOL, FINISH], Finished), // calls are numbered too
        (Chat, &[TEXT, FINISH, FILTER_REPORT], Finished), // finished is finished
        (Chat, &[UNNUMBERED, UNNUMBERED_FINISH], Finished),
        (Chat, &[UNNUMBERED], CutOff),
        (Chat, &[EMPTY_REASON], CutOff),
        (Chat, &[LAST_INDEX, LAST_INDEX_FINISH], Finished),
        (Chat, &[LAST_INDEX, TEXT, FINISH], CutOff),
        // Beyond what is told apart only `[DONE]` is believed.
        (Chat, &[TEXT, BEYOND, FINISH, BEYOND_FINISH], CutOff),
        (Chat, &[TEXT, BEYOND, FINISH, BEYOND_FINISH, DONE], Finished),
        (Responses, &[CREATED, IN_PROGRESS, MESSAGE_OPENS, PART_OPENS, DELTA, COMPLETED], Finished),
        (Responses, &[CREATED, DELTA, INCOMPLETE], Finished), // the limit of tokens is a result
        (Responses, &[CREATED, DELTA, DONE], Finished),       // some servers end as chat does
        (Responses, &[NAMELESS_CREATED, NAMELESS_DELTA, NAMELESS_COMPLETED], Finished),
        (Responses, &[RESPONSE_FAILED], FailedUnseen(Unavailable)),
        (Responses, &[ERROR_EVENT], FailedUnseen(RateLimit)),
        (
            Responses,
            &[QUEUED, CREATED, IN_PROGRESS, MESSAGE_OPENS, PART_OPENS, ERROR_EVENT],
            FailedUnseen(RateLimit),
        ),
        (Responses, &[NAMELESS_CREATED, NAMELESS_FAILED], FailedUnseen(RateLimit)),
        (Responses, &[NAMELESS_CREATED, NAMELESS_ERROR], FailedUnseen(RateLimit)),
        (Responses, &[CREATED, ERROR], FailedUnseen(RateLimit)), // chat's form, from a proxy
        (Responses, &[CREATED, IN_PROGRESS], FailedUnseen(Truncated)),
        (Responses, &["event: response.created\ndata: {"], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, REASONING_OPENS, ERROR_EVENT], FailedVisibly(RateLimit)), // the model works
        (Responses, &[CREATED, DELTA, RESPONSE_FAILED], FailedVisibly(Unavailable)),
        (Responses, &[CREATED, NAMELESS_DELTA, NAMELESS_FAILED], FailedVisibly(RateLimit)),
        (Responses, &[CREATED, DELTA], CutOff),
        (Responses, &[CREATED, NAMELESS_DELTA, LIAR], CutOff),
        // Others have no ending that a clean close could miss.
        (Other, &[PARTIAL_IMAGE], Finished),
        (Other, &["data: no JSON"], Finished),
        (Other, &[PING, ERROR], FailedUnseen(RateLimit)),
        (Other, &[PARTIAL_IMAGE, ERROR], FailedVisibly(RateLimit)),
        (Other, &[], FailedUnseen(Truncated)),
    ];
    for (protocol, events, expected) in rows {
        assert_eq!(fate(*protocol, Commit::FirstToken, events), *expected, "{protocol:?} {events:#?}");
    }
}

#[test]
fn with_complete_any_failure_goes_unseen() {
    use Fate::{FailedUnseen, Finished};
    let rows: &[(Protocol, &[&str], Fate)] = &[
        (Chat, &[ROLE, TEXT, FINISH, USAGE, DONE], Finished),
        (Chat, &[ROLE, TEXT, FINISH, USAGE], Finished),
        (Chat, &[ROLE, TEXT, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, TEXT, FINISH, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, TEXT, MALFORMED, FINISH, DONE], FailedUnseen(Unavailable)),
        (Chat, &[ROLE, TEXT], FailedUnseen(Truncated)),
        (Chat, &[ROLE, LIAR], FailedUnseen(Truncated)),
        (Chat, &[TEXT, SECOND, FINISH], FailedUnseen(Truncated)), // one choice is still open
        (Chat, &[TEXT, SECOND, FINISH, SECOND_FINISH], Finished),
        (Responses, &[CREATED, DELTA, COMPLETED], Finished),
        (Responses, &[CREATED, DELTA, RESPONSE_FAILED], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, DELTA], FailedUnseen(Truncated)),
        (Other, &[PARTIAL_IMAGE], Finished),
        (Other, &[PARTIAL_IMAGE, ERROR], FailedUnseen(RateLimit)),
        (Other, &[IMAGE, ERROR], FailedUnseen(RateLimit)), // the second of two images failed
        (Other, &[IMAGE, IMAGE], Finished),
        (Other, &[], FailedUnseen(Truncated)),
    ];
    for (protocol, events, expected) in rows {
        assert_eq!(fate(*protocol, Commit::Complete, events), *expected, "{protocol:?} {events:#?}");
    }
}

#[test]
fn after_a_break_only_the_last_word_tells_that_a_stream_is_whole() {
    // After the events the upstream closes the stream, or it breaks: whether it is whole then.
    let rows: &[(Protocol, &[&str], bool, bool)] = &[
        (Chat, &[TEXT, FINISH, USAGE, DONE], true, true),
        (Chat, &[TEXT, DONE], true, true),
        (Chat, &[TEXT, FINISH, USAGE], true, false), // what is lost may be nothing, or the usage, or an error
        (Chat, &[TEXT, FINISH], true, false),
        (Chat, &[TEXT, SECOND, FINISH], false, false),
        (Chat, &[TEXT], false, false),
        (Chat, &[], false, false),
        (Responses, &[CREATED, DELTA, COMPLETED], true, true),
        (Responses, &[CREATED, DELTA, INCOMPLETE], true, true),
        (Responses, &[CREATED, NAMELESS_DELTA, NAMELESS_COMPLETED], true, true),
        (Responses, &[CREATED, DELTA], false, false),
        (Responses, &[], false, false),
        (Other, &[PARTIAL_IMAGE, IMAGE], true, true),
        (Other, &[EDITED_IMAGE], true, true),
        (Other, &[TRANSCRIPT_DELTA, TRANSCRIPT], true, true),
        (Other, &[SPEECH_DELTA, SPEECH], true, true),
        (Other, &[PARTIAL_IMAGE], true, false),
        (Other, &[TRANSCRIPT_DELTA], true, false), // it only speaks of the end
        (Other, &[SPEECH_DELTA], true, false),
        (Other, &["data: no JSON"], true, false),
        (Other, &[COMMENT], false, false), // nothing came
        (Other, &[], false, false),
    ];
    for (protocol, events, closed, broke) in rows {
        let mut tail = Tail::new(*protocol);
        tail.push(&stream(events));
        let is_whole = |broke| tail.ending(broke) == Ending::Finished;
        assert_eq!((is_whole(false), is_whole(true)), (*closed, *broke), "{protocol:?} {events:#?}");
    }
    // The upstream's own error is told already, break or not.
    for (protocol, events) in
        [(Chat, [TEXT, ERROR]), (Responses, [DELTA, RESPONSE_FAILED]), (Other, [IMAGE, ERROR])]
    {
        let mut tail = Tail::new(protocol);
        tail.push(&stream(&events));
        assert!(matches!(tail.ending(true), Ending::Failed(_)), "{events:#?}");
        assert_eq!(tail.ending(true), tail.ending(false));
    }
}

#[test]
fn with_headers_nothing_is_held() {
    assert_eq!(Hold::new(Chat, Commit::Headers, 0).push(b""), Verdict::Commit);
    assert_eq!(Hold::new(Chat, Commit::Headers, 0).end(), Verdict::Commit);
    assert_eq!(fate(Chat, Commit::Headers, &[ERROR]), Fate::FailedVisibly(RateLimit));
}

#[test]
fn with_complete_the_last_word_commits_before_the_connection_closes() {
    let mut hold = Hold::new(Chat, Commit::Complete, usize::MAX);
    assert_eq!(hold.push(&stream(&[ROLE, TEXT, FINISH])), Verdict::Wait, "the usage may follow");
    assert_eq!(hold.push(&stream(&[USAGE, DONE])), Verdict::Commit);
}

#[test]
fn a_hold_is_bounded_in_events_and_in_bytes() {
    let mut hold = Hold::new(Chat, Commit::FirstToken, 0);
    for _ in 1..FIRST_TOKEN_EVENTS {
        assert_eq!(hold.push(&stream(&[EMPTY])), Verdict::Wait);
    }
    assert_eq!(hold.push(&stream(&[EMPTY])), Verdict::Commit);

    let silence = |bytes: usize| [&b":"[..], &vec![b' '; bytes - 1]].concat();
    let mut hold = Hold::new(Chat, Commit::FirstToken, 0);
    assert_eq!(hold.push(&silence(FIRST_TOKEN_BYTES - 1)), Verdict::Wait);
    assert_eq!(hold.push(b"\n"), Verdict::Commit);

    let answer = stream(&[TEXT, TEXT]);
    assert_eq!(Hold::new(Chat, Commit::Complete, answer.len() + 1).push(&answer), Verdict::Wait);
    let mut hold = Hold::new(Chat, Commit::Complete, answer.len());
    assert_eq!(hold.push(&answer), Verdict::Commit);
    assert_eq!(hold.take(), answer);
    assert_eq!(hold.tail().ending(false), Ending::Truncated);
}

#[test]
fn an_event_without_its_empty_line_ends_nothing() {
    let mut tail = Tail::new(Chat);
    tail.push(format!("{TEXT}\n\n{FINISH}\n").as_bytes());
    assert_eq!(tail.ending(false), Ending::Truncated);
    tail.push(b"\n");
    assert_eq!(tail.ending(false), Ending::Finished);
}

#[test]
fn the_error_event_is_written_in_the_protocol() {
    // Compared as bytes and not as snapshots, which forget the line ends that matter here.
    let broken = broken_stream("broke", "It \"broke\"\nin the middle");
    let text = |protocol| String::from_utf8(error_event(protocol, &broken)).unwrap();
    let error =
        r#"{"code":"broke","message":"It \"broke\"\nin the middle","param":null,"type":"server_error"}"#;
    assert_eq!(text(Chat), format!("\n\ndata: {{\"error\":{error}}}\n\n"));
    assert_eq!(text(Other), text(Chat));
    let (head, tail) =
        (r#"{"code":"broke","error":"#, r#","param":null,"sequence_number":0,"type":"error"}"#);
    let message = r#","message":"It \"broke\"\nin the middle""#;
    assert_eq!(text(Responses), format!("\n\nevent: error\ndata: {head}{error}{message}{tail}\n\n"));
}

#[test]
fn an_upstreams_error_is_told_as_it_is_and_lacks_nothing() {
    let unknown = "The request failed while its answer was streamed.";
    let rows = [
        // What is there stays: names, numbers as codes, members of the upstream's own.
        (
            json!({ "message": "Slow down", "type": "tokens", "param": "n", "code": "rate_limit_exceeded" }),
            json!({ "message": "Slow down", "type": "tokens", "param": "n", "code": "rate_limit_exceeded" }),
        ),
        (
            json!({ "message": "Oops", "code": 500, "innererror": { "code": "x" } }),
            json!({ "message": "Oops", "type": null, "param": null, "code": 500, "innererror": { "code": "x" } }),
        ),
        // Without a message, or with one that none can read.
        (
            json!({ "code": "x", "message": null }),
            json!({ "message": unknown, "type": null, "param": null, "code": "x" }),
        ),
        (
            json!({ "code": "x", "message": "" }),
            json!({ "message": unknown, "type": null, "param": null, "code": "x" }),
        ),
        (
            json!({ "message": ["Oops"] }),
            json!({ "message": unknown, "type": null, "param": null, "code": null }),
        ),
        // No object at all.
        (json!("Oops"), json!({ "message": "Oops", "type": null, "param": null, "code": null })),
        (Value::Null, json!({ "message": unknown, "type": null, "param": null, "code": null })),
    ];
    let told = |protocol, error: &Value| -> Value {
        let events = parse([&*error_event(protocol, error)]);
        serde_json::from_slice(&events[0].1).unwrap()
    };
    for (error, expected) in rows {
        assert_eq!(told(Chat, &error), json!({ "error": expected }), "{error}");
        let event = told(Responses, &error);
        assert_eq!((&event["type"], &event["error"]), (&json!("error"), &expected), "{error}");
        for member in ["code", "message", "param"] {
            assert_eq!(event[member], expected[member], "{error}");
        }
    }
}

#[test]
fn the_error_event_is_heard_wherever_the_stream_was_cut() {
    for (protocol, events) in [(Chat, [ROLE, TEXT]), (Responses, [CREATED, DELTA])] {
        for line_end in ["\n", "\r\n", "\r"] {
            let bytes = String::from_utf8(stream(&events)).unwrap().replace('\n', line_end).into_bytes();
            for cut in 0..=bytes.len() {
                let closing = error_event(protocol, &broken_stream("upstream_broke", "It broke"));
                let heard = parse([&bytes[..cut], &closing]);
                let (name, data, _) = heard.last().unwrap();
                let meaning = protocol.meaning(&Event { name, data, oversized: false });
                let Meaning::Error(failure) = meaning else { panic!("cut at {cut}: {meaning:?}") };
                assert_eq!(failure.reason, "upstream_broke");
                assert!(heard.len() <= 3, "it comes alone");
            }
        }
    }
}

/// Events of every kind, comments, and rubbish, each with any line end.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        AZURE_FIRST,
        ROLE,
        EMPTY,
        TEXT,
        TOOL,
        LEGACY,
        FINISH,
        SECOND,
        SECOND_FINISH,
        BOTH,
        BOTH_FINISH,
        SECOND_TOOL,
        UNNUMBERED,
        UNNUMBERED_FINISH,
        EMPTY_REASON,
        BEYOND,
        BEYOND_FINISH,
        FILTER_REPORT,
        USAGE,
        DONE,
        ERROR,
        MALFORMED,
        LIAR,
        FILTER_ERROR,
        PING,
        COMMENT,
        CREATED,
        QUEUED,
        MESSAGE_OPENS,
        DELTA,
        COMPLETED,
        INCOMPLETE,
        RESPONSE_FAILED,
        ERROR_EVENT,
        NAMELESS_DELTA,
        NAMELESS_COMPLETED,
        NAMELESS_FAILED,
        NAMELESS_ERROR,
        PARTIAL_IMAGE,
        IMAGE,
        TRANSCRIPT_DELTA,
        TRANSCRIPT,
        SPEECH,
    ])
    .prop_map(|event| format!("{event}\n\n").into_bytes());
    let piece = prop_oneof![
        12 => known,
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "(data|event|id)?:? ?[a-z]{0,3}(\r|\n|\r\n){0,3}".prop_map(String::into_bytes),
    ];
    let line_end = prop::sample::select(vec![&b"\n"[..], b"\r\n", b"\r"]);
    (prop::collection::vec(piece, 0..12), line_end).prop_map(|(pieces, line_end)| {
        pieces
            .concat()
            .into_iter()
            .flat_map(|byte| if byte == b'\n' { line_end.to_vec() } else { vec![byte] })
            .collect()
    })
}

/// Cuts `bytes` at the given places, modulo their length.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).filter_map(|pair| bytes.get(*pair.first()?..*pair.last()?)).collect()
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Chat, Responses, Other])
}

proptest! {
    #[test]
    fn chunks_change_nothing(
        bytes in any_stream(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        protocol in any_protocol(),
        until in prop::sample::select(vec![Commit::Headers, Commit::FirstToken, Commit::Complete]),
        limit in prop_oneof![Just(usize::MAX), 0_usize..2_000],
    ) {
        let chunks = cut(&bytes, &places);
        prop_assert_eq!(parse(chunks.iter().copied()), parse([&*bytes]));

        let whole = run(protocol, until, limit, [&*bytes]);
        let course = run(protocol, until, limit, chunks.iter().copied());
        prop_assert_eq!(&course, &whole);
        prop_assert_eq!(&course.bytes, &bytes, "held bytes and the rest are the stream");

        let mut tail = Tail::new(protocol);
        for chunk in &chunks {
            tail.push(chunk);
        }
        if let Ok(ending) = whole.ending {
            prop_assert_eq!(tail.ending(false), ending, "held or not, it ends as it ends");
        }

        let mut at_once = Tail::new(protocol);
        at_once.push(&bytes);
        prop_assert_eq!(tail.ending(true), at_once.ending(true));
        if tail.ending(true) == Ending::Finished {
            prop_assert_eq!(tail.ending(false), Ending::Finished, "a break makes nothing whole");
        }
    }

    #[test]
    fn what_is_passed_over_tells_nothing_of_the_choices(bytes in any_stream()) {
        let (mut watched, mut read) = (Choices::default(), Choices::default());
        Parser::default().push(&bytes, |event| {
            watched.watch(event.data);
            read.read(event.data);
            assert_eq!(watched, read, "{event:?}");
        });
    }

    #[test]
    fn what_may_not_end_a_stream_does_not(bytes in any_stream(), protocol in any_protocol()) {
        Parser::default().push(&bytes, |event| {
            let ends = matches!(protocol.meaning(&event), Meaning::Finish | Meaning::Done | Meaning::Error(_));
            assert!(protocol.may_end(&event) || !ends, "{event:?}");
        });
    }

    #[test]
    fn no_bytes_make_it_panic(chunks in prop::collection::vec(any::<Vec<u8>>(), 0..8), protocol in any_protocol()) {
        for until in [Commit::Headers, Commit::FirstToken, Commit::Complete] {
            run(protocol, until, 100, chunks.iter().map(Vec::as_slice));
        }
    }

    #[test]
    fn the_error_event_is_one_event_whatever_it_says(code in ".*", message in ".*", protocol in any_protocol()) {
        let events = parse([&*error_event(protocol, &broken_stream(&code, &message))]);
        prop_assert_eq!(events.len(), 1);
    }
}
