//! Properties that hold for every stream and every division into chunks.

use super::*;
use proptest::sample::select;

/// Events of every kind, comments, and random bytes, each with any line end.
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
        UNEXPLAINED,
        EMPTY_ERROR,
        FILTER_EVENT,
        ERROR_EVENT,
        NAMELESS_DELTA,
        NAMELESS_COMPLETED,
        NAMELESS_FAILED,
        NAMELESS_ERROR,
        PARTIAL_IMAGE,
        NAMELESS_PARTIAL_IMAGE,
        SEGMENT,
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

/// A chat chunk with any choices.
fn chunk() -> impl Strategy<Value = String> {
    let index = select(vec![
        "",
        r#""index":0,"#,
        r#""index":1,"#,
        r#""index":127,"#,
        r#""index":128,"#,
        r#""index":null,"#,
    ]);
    let reason =
        select(vec!["", r#","finish_reason":null"#, r#","finish_reason":"""#, r#","finish_reason":"stop""#]);
    let delta = select(vec!["{}", r#"{"tool_calls":[{"index":1}]}"#]);
    let choice = (index, delta, reason)
        .prop_map(|(index, delta, reason)| format!(r#"{{{index}"delta":{delta}{reason}}}"#));
    prop::collection::vec(choice, 0..4)
        .prop_map(|choices| format!(r#"{{"choices":[{}]}}"#, choices.join(",")))
}

/// The name or the type of an event.
fn kind() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "error",
        "ping",
        "response.created",
        "response.output_text.delta",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "image_generation.completed",
        "speech.audio.done",
        "speech.audio.delta",
    ])
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Chat, Responses, Other])
}

#[test]
fn a_failure_without_a_reason_beyond_what_is_held_is_the_same_in_any_pieces() {
    let start = concat!(
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n",
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n",
    );
    let reason =
        "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"x\"}\n\n";
    for after in ["data: [DONE]\n\n", reason, ""] {
        let bytes = [start, after].concat().into_bytes();
        for limit in [88, 100, 120, 150] {
            let whole = run(Responses, Commit::Complete, limit, [&*bytes]);
            assert!(whole.ending.is_err());
            for at in 0..bytes.len() {
                let (one, other) = bytes.split_at(at);
                assert_eq!(
                    run(Responses, Commit::Complete, limit, [one, other]),
                    whole,
                    "{limit} {at} {after}"
                );
            }
        }
    }
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
        if course.ending.is_ok() {
            prop_assert_eq!(&course.bytes, &bytes, "held bytes and the rest are the stream");
        }

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
        prop_assert_eq!(tail.usage(&BASIS), at_once.usage(&BASIS));
        if tail.ending(true) == Ending::Finished {
            prop_assert_eq!(tail.ending(false), Ending::Finished, "a break makes nothing whole");
        }
    }

    #[test]
    fn what_is_passed_over_tells_nothing_of_the_choices(bytes in any_stream()) {
        let (mut watched, mut read) = (ChatChoices::default(), ChatChoices::default());
        Parser::default().push(&bytes, |event| {
            watched.watch(event.data);
            read.read(event.data);
            assert_eq!(watched, read, "{event:?}");
        });
    }

    #[test]
    fn choices_of_any_chunks_are_known(chunks in prop::collection::vec(chunk(), 0..8)) {
        let (mut watched, mut read) = (ChatChoices::default(), ChatChoices::default());
        for chunk in &chunks {
            watched.watch(chunk.as_bytes());
            read.read(chunk.as_bytes());
            prop_assert_eq!(&watched, &read, "{}", chunk);
        }
    }

    #[test]
    fn an_event_may_have_one_name_and_another_type(
        name in kind(),
        kind in kind(),
        error in select(vec!["", r#","error":null"#, r#","error":{"code":"x"}"#, r#","response":{"error":null}"#]),
        protocol in any_protocol(),
    ) {
        let data = format!(r#"{{"type":"{kind}"{error}}}"#);
        let event = SseEvent { name: name.as_bytes(), data: data.as_bytes(), end: b"", is_oversized: false };
        let ends = matches!(protocol.meaning(&event), Meaning::Finish | Meaning::Done | Meaning::Error(_));
        prop_assert!(protocol.may_end(&event) || !ends, "{:?}", event);
    }

    #[test]
    fn what_may_not_end_a_stream_does_not(bytes in any_stream(), protocol in any_protocol()) {
        Parser::default().push(&bytes, |event| {
            let meaning = protocol.meaning(&event);
            let ends =
                matches!(meaning, Meaning::Finish | Meaning::Done | Meaning::Error(_) | Meaning::Unexplained(_));
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
