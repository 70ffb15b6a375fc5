//! How a stream is parsed, held and watched.

use super::*;

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
fn with_first_token_a_failure_before_content_goes_unseen() {
    use Fate::{CutOff, FailedUnseen, FailedVisibly, Finished};
    let rows: &[(Protocol, &[&str], Fate)] = &[
        // The usual streams of OpenAI and Azure.
        (Chat, &[ROLE, TEXT, FINISH, USAGE, DONE], Finished),
        (Chat, &[AZURE_FIRST, ROLE, TEXT, FINISH, DONE], Finished),
        (Chat, &[LEGACY_EMPTY, LEGACY, FINISH, DONE], Finished),
        (Chat, &[ROLE, FILTERED, DONE], Finished), // a filter that cuts the answer is a result
        // A missing `[DONE]` after a finish is not an error. A missing finish before `[DONE]` is
        // not an error either.
        (Chat, &[ROLE, TEXT, FINISH], Finished),
        (Chat, &[ROLE, TEXT, DONE], Finished),
        // The error comes first, after comments, or after each kind of prelude.
        (Chat, &[ERROR], FailedUnseen(RateLimit)),
        (Chat, &[COMMENT, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[AZURE_FIRST, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, EMPTY, PING, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ERROR_EVENT], FailedUnseen(RateLimit)), // with the name `error`
        (Chat, &["event: error\ndata: Oops"], FailedUnseen(Unavailable)),
        (Chat, &[ROLE, MALFORMED], FailedUnseen(Unavailable)),
        (Chat, &["data:"], FailedUnseen(Unavailable)), // what the SDKs cannot read either
        // The stream ends before any content.
        (Chat, &[], FailedUnseen(Truncated)),
        (Chat, &[COMMENT], FailedUnseen(Truncated)),
        (Chat, &[AZURE_FIRST, ROLE], FailedUnseen(Truncated)),
        // Each kind of content reaches the commit point. An unknown event does too.
        (Chat, &[ROLE, TEXT, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[ROLE, TOOL, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[ROLE, REASONING, ERROR], FailedVisibly(RateLimit)),
        (Chat, &[LEGACY, ERROR], FailedVisibly(RateLimit)),
        (Chat, &["data: {\"object\":\"news\"}", ERROR], FailedVisibly(RateLimit)),
        (Chat, &["data: 5", ERROR], FailedVisibly(RateLimit)),
        (Chat, &[FILTER_ERROR, FINISH], Finished), // an error below the top level is none of the stream's
        (Chat, &[ROLE, FINISH, ERROR], FailedVisibly(RateLimit)), // an error after the finish still tells the client so
        // The stream is cut off. Its text does not change that, and a malformed event on the way
        // does not either.
        (Chat, &[ROLE, TEXT], CutOff),
        (Chat, &[ROLE, LIAR], CutOff),
        (Chat, &[TEXT, MALFORMED], CutOff),
        // Every choice that began must finish, in any order, alone or together.
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
        // Beyond the last index that is tracked, only `[DONE]` counts.
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
        // A failure without a reason. Azure sends the reason in an event after it.
        (Responses, &[CREATED, UNEXPLAINED, FILTER_EVENT], FailedUnseen(ContentPolicy)),
        (Responses, &[CREATED, EMPTY_ERROR, PING, FILTER_EVENT], FailedUnseen(ContentPolicy)),
        (Responses, &[CREATED, UNEXPLAINED], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, UNEXPLAINED, DONE, FILTER_EVENT], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, RESPONSE_FAILED, FILTER_EVENT], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, DELTA, UNEXPLAINED, FILTER_EVENT], FailedVisibly(ContentPolicy)),
        (Responses, &[CREATED, DELTA, UNEXPLAINED], FailedVisibly(Unavailable)),
        (Responses, &[CREATED, DELTA, UNEXPLAINED, COMPLETED], FailedVisibly(Unavailable)),
        (Responses, &[CREATED, IN_PROGRESS], FailedUnseen(Truncated)),
        (Responses, &["event: response.created\ndata: {"], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, REASONING_OPENS, ERROR_EVENT], FailedVisibly(RateLimit)), // the model works
        (Responses, &[CREATED, DELTA, RESPONSE_FAILED], FailedVisibly(Unavailable)),
        (Responses, &[CREATED, NAMELESS_DELTA, NAMELESS_FAILED], FailedVisibly(RateLimit)),
        (Responses, &[CREATED, DELTA], CutOff),
        (Responses, &[CREATED, NAMELESS_DELTA, LIAR], CutOff),
        // Other protocols need an ending once a part of their output has come.
        (Other, &[PARTIAL_IMAGE], CutOff),
        (Other, &[PARTIAL_IMAGE, IMAGE], Finished),
        (Other, &[IMAGE, PARTIAL_IMAGE], CutOff), // the second of two images
        (Other, &[PARTIAL_EDIT], CutOff),
        (Other, &[PARTIAL_EDIT, EDITED_IMAGE], Finished),
        (Other, &[NAMELESS_PARTIAL_IMAGE], CutOff),
        (Other, &[TRANSCRIPT_DELTA], CutOff),
        (Other, &[SEGMENT], CutOff),
        (Other, &[SPEECH_DELTA], CutOff),
        (Other, &[SPEECH_DELTA, SPEECH], Finished),
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
fn an_end_marker_without_an_answer_before_it_is_no_answer() {
    use Fate::{FailedUnseen, Finished};
    let rows: &[(Protocol, &[&str], Fate)] = &[
        (Chat, &[DONE], FailedUnseen(Truncated)),
        (Chat, &[PING, DONE], FailedUnseen(Truncated)),
        (Chat, &[AZURE_FIRST, DONE], FailedUnseen(Truncated)),
        (Chat, &[USAGE, DONE], FailedUnseen(Truncated)),
        (Chat, &[ROLE, DONE], Finished), // an empty answer is one
        (Responses, &[DONE], FailedUnseen(Truncated)),
        (Responses, &[CREATED, DONE], FailedUnseen(Truncated)),
        (Responses, &[COMPLETED], Finished),
        (Other, &[DONE], FailedUnseen(Truncated)),
    ];
    for (protocol, events, expected) in rows {
        for until in [Commit::FirstToken, Commit::Complete] {
            assert_eq!(fate(*protocol, until, events), *expected, "{protocol:?} {events:#?}");
        }
    }
}

#[test]
fn with_complete_any_failure_goes_unseen() {
    use Fate::{FailedUnseen, Finished};
    let rows: &[(Protocol, &[&str], Fate)] = &[
        (Chat, &[ROLE, TEXT, FINISH, USAGE, DONE], Finished),
        (Chat, &[ROLE, TEXT, FINISH, USAGE], Finished),
        (Chat, &[DONE], FailedUnseen(Truncated)),
        (Responses, &[CREATED, DELTA, DONE], Finished),
        (Chat, &[ROLE, TEXT, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, TEXT, FINISH, ERROR], FailedUnseen(RateLimit)),
        (Chat, &[ROLE, TEXT, MALFORMED, FINISH, DONE], FailedUnseen(Unavailable)),
        (Chat, &[ROLE, TEXT], FailedUnseen(Truncated)),
        (Chat, &[ROLE, LIAR], FailedUnseen(Truncated)),
        (Chat, &[TEXT, SECOND, FINISH], FailedUnseen(Truncated)), // one choice is still open
        (Chat, &[TEXT, SECOND, FINISH, SECOND_FINISH], Finished),
        (Responses, &[CREATED, DELTA, COMPLETED], Finished),
        (Responses, &[CREATED, DELTA, RESPONSE_FAILED], FailedUnseen(Unavailable)),
        (Responses, &[CREATED, DELTA, UNEXPLAINED, FILTER_EVENT], FailedUnseen(ContentPolicy)),
        (Responses, &[CREATED, DELTA], FailedUnseen(Truncated)),
        (Other, &[PARTIAL_IMAGE], FailedUnseen(Truncated)),
        (Other, &[TRANSCRIPT_DELTA], FailedUnseen(Truncated)),
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
    // Whether the stream is complete if the upstream closes it after these events, and if it
    // breaks.
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
        (Other, &[PARTIAL_IMAGE], false, false),
        (Other, &[IMAGE, PARTIAL_IMAGE], false, false),
        (Other, &[TRANSCRIPT_DELTA], false, false), // it only speaks of the end
        (Other, &[SPEECH_DELTA], false, false),
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
    // The upstream's own error has already been passed on, with or without a break.
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
    assert_eq!(Hold::new(Chat, Commit::Headers, 0).push(b""), HoldVerdict::Commit);
    assert_eq!(Hold::new(Chat, Commit::Headers, 0).end(), HoldVerdict::Commit);
    assert_eq!(fate(Chat, Commit::Headers, &[ERROR]), Fate::FailedVisibly(RateLimit));
    assert_eq!(fate(Chat, Commit::Headers, &[PING, DONE]), Fate::CutOff);
}

#[test]
fn with_complete_the_last_word_commits_before_the_connection_closes() {
    let mut hold = Hold::new(Chat, Commit::Complete, usize::MAX);
    assert_eq!(hold.push(&stream(&[ROLE, TEXT, FINISH])), HoldVerdict::Wait, "the usage may follow");
    assert_eq!(hold.push(&stream(&[USAGE, DONE])), HoldVerdict::Commit);
}

#[test]
fn a_hold_is_bounded_in_events_and_in_bytes() {
    let mut hold = Hold::new(Chat, Commit::FirstToken, 0);
    for _ in 1..FIRST_TOKEN_EVENTS {
        assert_eq!(hold.push(&stream(&[EMPTY])), HoldVerdict::Wait);
    }
    assert_eq!(hold.push(&stream(&[EMPTY])), HoldVerdict::Commit);

    let silence = |bytes: usize| [&b":"[..], &vec![b' '; bytes - 1]].concat();
    let mut hold = Hold::new(Chat, Commit::FirstToken, 0);
    assert_eq!(hold.push(&silence(FIRST_TOKEN_BYTES - 1)), HoldVerdict::Wait);
    assert_eq!(hold.push(b"\n"), HoldVerdict::Commit);

    let answer = stream(&[TEXT, TEXT]);
    assert_eq!(Hold::new(Chat, Commit::Complete, answer.len() + 1).push(&answer), HoldVerdict::Wait);
    let mut hold = Hold::new(Chat, Commit::Complete, answer.len());
    assert_eq!(hold.push(&answer), HoldVerdict::Commit);
    assert_eq!(hold.take(), answer);
    assert_eq!(hold.tail().ending(false), Ending::Truncated);
}

#[test]
fn joined_lines_are_as_long_as_their_event() {
    let first = EVENT_LIMIT / 2;
    for (second, fits) in [(first - 1, true), (first, false)] {
        let text = format!("data: {}\ndata: {}\n\n", "x".repeat(first), "y".repeat(second));
        let events = parse([text.as_bytes()]);
        let (_, data, is_oversized) = &events[0];
        assert_eq!(
            (data.len(), *is_oversized),
            if fits { (EVENT_LIMIT, false) } else { (RETAINED_BYTES, true) }
        );
    }
}

#[test]
fn what_follows_the_last_word_counts_no_tokens() {
    let usage = USAGE.replace("\"completion_tokens\":2", "\"completion_tokens\":99");
    let events = stream(&[TEXT, FINISH, USAGE, DONE, &usage]);
    for piece in 1..=events.len() {
        let mut tail = Tail::new(Chat);
        events.chunks(piece).for_each(|piece| tail.push(piece));
        assert_eq!(tail.usage(&BASIS).usage.output_tokens, 2, "in pieces of {piece}");
    }
}

#[test]
fn an_event_without_its_empty_line_ends_nothing() {
    let mut tail = Tail::new(Chat);
    tail.push(format!("{TEXT}\n\n{FINISH}\n").as_bytes());
    assert_eq!(tail.ending(false), Ending::Truncated);
    tail.push(b"\n");
    assert_eq!(tail.ending(false), Ending::Finished);
}
