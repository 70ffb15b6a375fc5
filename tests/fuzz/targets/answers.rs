//! Answers of upstreams.

use switchyard::attempt::classify::{UnclassifiedResponse, classify};
use switchyard::attempt::success::{Success, fault_behind_success};
use switchyard::reply::exhausted;
use switchyard::routes::graph::Commit;
use switchyard::stream::choices::ChatChoices;
use switchyard::stream::hold::{Hold, HoldVerdict};
use switchyard::stream::protocol::{Meaning, Protocol, error_event};
use switchyard::stream::sse::{EVENT_LIMIT, Parser, SseEvent};
use switchyard::stream::tail::{Ending, Tail};
use switchyard::stream::usage_filter::{Passing, UsageFilter};
use switchyard::usage::basis::UsageBasis;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::time::Instant;

use super::controls;

const PROTOCOLS: [Protocol; 3] = [Protocol::Chat, Protocol::Responses, Protocol::Other];

/// The pieces change nothing: not the events, the ending, the usage, what a filter passes, nor when
/// a stream is sent.
pub fn stream(data: &[u8]) {
    let (kind, piece, bytes) = controls(data);
    let protocol = PROTOCOLS[kind % 3];
    let commit = [Commit::FirstToken, Commit::Complete, Commit::Headers][kind / 3 % 3];
    let run = |piece: usize| {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let (mut tail, mut hold) = (Tail::new(protocol), Hold::new(protocol, commit, 1 << 10));
        let (mut filter, mut passed) = (UsageFilter::default(), Vec::new());
        let mut verdict = HoldVerdict::Wait;
        for piece in bytes.chunks(piece) {
            parser.push(piece, |event| {
                assert!(event.data.len() <= EVENT_LIMIT);
                events.push((event.name.to_vec(), event.data.to_vec(), event.is_oversized));
            });
            tail.push(piece);
            match filter.push(piece) {
                Passing::Unchanged => passed.extend_from_slice(piece),
                Passing::Bytes(bytes) => passed.extend(bytes),
            }
            if verdict == HoldVerdict::Wait {
                verdict = hold.push(piece);
            }
        }
        if verdict == HoldVerdict::Wait {
            verdict = hold.end();
        }
        assert!(bytes.starts_with(&hold.take()));
        let endings = [tail.ending(false), tail.ending(true)];
        if endings[1] == Ending::Finished {
            assert_eq!(endings[0], Ending::Finished, "a break makes nothing whole");
        }
        passed.extend(filter.end());
        assert!(passed.len() <= bytes.len());
        (events, endings, tail.usage(&basis(Operation::ChatCompletions)), verdict, passed)
    };
    assert_eq!(run(piece + 1), run(usize::MAX));
}

fn basis(operation: Operation) -> UsageBasis {
    UsageBasis { operation, input_tokens: 1, characters: 0, images: 1, is_background: false }
}

/// An event that may not end a stream does not, and an error can be reported to a client.
pub fn event(data: &[u8]) {
    let (kind, _, rest) = controls(data);
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (name, data) = rest.split_at(end);
    let event = SseEvent { name, data: data.trim_ascii_start(), end: b"", is_oversized: kind >= 128 };
    for protocol in PROTOCOLS {
        let meaning = protocol.meaning(&event);
        let ends = matches!(meaning, Meaning::Finish | Meaning::Done | Meaning::Error(_));
        // The short cut searches for names as upstreams write them.
        assert!(protocol.may_end(&event) || !ends || event.data.contains(&b'\\'), "{protocol:?} {meaning:?}");
        if let Ok(error) = serde_json::from_slice(event.data) {
            let (mut parser, mut count) = (Parser::default(), 0);
            parser.push(&error_event(protocol, &error), |_| count += 1);
            assert_eq!(count, 1);
        }
    }
}

/// Chunks that are passed over tell nothing of the choices.
pub fn choices(data: &[u8]) {
    let (mut watched, mut read) = (ChatChoices::default(), ChatChoices::default());
    for chunk in data.split(|byte| *byte == b'\n').filter(|chunk| !chunk.contains(&b'\\')) {
        watched.watch(chunk);
        read.read(chunk);
        assert_eq!(watched, read);
    }
}

/// Any answer has a class and a reply for the client.
pub fn answer(data: &[u8]) {
    let (status, header, body) = controls(data);
    let text = String::from_utf8_lossy(body);
    let (value, body) = text.split_once('\n').map_or(("", body), |(value, rest)| (value, rest.as_bytes()));
    let status = [400, 401, 403, 404, 408, 409, 413, 422, 424, 429, 498, 500, 503, 529][status % 14];
    let name = ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "content-type"][header % 4];
    let headers = Headers::of([(name, value)]);
    let now = Instant::from_epoch_ms(1_767_225_600_000);
    let failure = classify(&UnclassifiedResponse { status, headers: &headers, body, now });
    assert_eq!(failure.status, Some(status));
    assert!(!failure.reason.is_empty() && failure.reason.len() <= 64);
    let reply = exhausted::reply(&[&failure], None);
    assert!((400..600).contains(&reply.status));
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok());
    for operation in Operation::ALL {
        let used = basis(operation).of_answer(body).usage;
        assert!(used.cached_input_tokens <= used.input_tokens && used.reasoning_tokens <= used.output_tokens);
        for is_whole in [true, false] {
            let success =
                Success { operation, status: 200, content_type: "application/json", body, is_whole };
            let _ = fault_behind_success(&success);
        }
    }
}
