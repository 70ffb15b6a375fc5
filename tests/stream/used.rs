//! What a stream used: as it reports, or else as an estimate.

use super::*;

/// A role, a text, and the end of the choice, as an answer to a request for usage has them.
const ASKED: [&str; 3] = [
    ROLE,
    r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
];

fn used(operation: Operation, events: &[&str]) -> Reported {
    let mut tail = Tail::new(Protocol::of(operation));
    tail.push(&stream(events));
    tail.usage(&UsageBasis { operation, ..BASIS })
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

#[test]
fn a_stream_that_reports_its_usage_is_counted_so() {
    let [role, text, finish] = ASKED;
    for (operation, events, expected) in [
        (Operation::ChatCompletions, vec![AZURE_FIRST, role, text, finish, USAGE, DONE], tokens(1, 2)),
        (Operation::Completions, vec![LEGACY, USAGE, DONE], tokens(1, 2)),
        // Some servers report a running total, and some report beside the last choice.
        (
            Operation::ChatCompletions,
            vec![
                r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
                r#"data: {"usage":{"prompt_tokens":1,"completion_tokens":5},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
                DONE,
            ],
            tokens(1, 5),
        ),
        (
            Operation::Responses,
            vec![
                CREATED,
                DELTA,
                "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}",
            ],
            tokens(3, 4),
        ),
        (
            Operation::Responses,
            vec![
                NAMELESS_DELTA,
                r#"data: {"type":"response.incomplete","response":{"usage":{"input_tokens":3,"output_tokens":4},"metadata":{}}}"#,
            ],
            tokens(3, 4),
        ),
        (
            Operation::AudioTranscriptions,
            vec![
                TRANSCRIPT_DELTA,
                r#"data: {"type":"transcript.text.done","text":"Hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":4}}"#,
            ],
            tokens(14, 4),
        ),
        (
            Operation::AudioSpeech,
            vec![
                SPEECH_DELTA,
                r#"data: {"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101}}"#,
            ],
            tokens(14, 101),
        ),
    ] {
        assert_eq!(used(operation, &events), expected.into(), "{operation:?} {events:?}");
    }
}

#[test]
fn a_stream_that_reports_nothing_is_estimated_from_its_events() {
    let [role, text, finish] = ASKED;
    let estimate = |output_tokens| Usage { is_estimated: true, ..tokens(10, output_tokens) };
    for (operation, events, expected) in [
        (Operation::ChatCompletions, vec![role, text, finish, DONE], estimate(4)),
        // It broke, or the client left.
        (Operation::ChatCompletions, vec![role, text], estimate(2)),
        (Operation::Responses, vec![CREATED, DELTA], estimate(2)),
        (Operation::ChatCompletions, vec![], estimate(0)),
        // What a client makes a model say, or writes into its tools, is not usage.
        (
            Operation::ChatCompletions,
            vec![r#"data: {"choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"}}]}"#],
            estimate(1),
        ),
        (
            Operation::ChatCompletions,
            vec![r#"data: {"choices":[{"index":0,"delta":{"x":{"usage":{"prompt_tokens":9}}}}]}"#],
            estimate(1),
        ),
        (
            Operation::Responses,
            vec![
                "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{\"usage\":{\"input_tokens\":9}}}",
                "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":null,\"tools\":[{\"usage\":{\"input_tokens\":9}}]}}",
            ],
            estimate(2),
        ),
    ] {
        assert_eq!(used(operation, &events), expected.into(), "{operation:?} {events:?}");
    }
}

#[test]
fn each_image_of_a_stream_reports_its_own_usage() {
    let image = r#"data: {"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":10,"output_tokens":20,"input_tokens_details":{"text_tokens":10}}}"#;
    let found = used(Operation::ImagesGenerations, &[PARTIAL_IMAGE, image, PARTIAL_IMAGE, image]);
    assert_eq!(found.usage, Usage { images: 2, ..tokens(20, 40) });
    let silent = used(Operation::ImagesGenerations, &[PARTIAL_IMAGE, IMAGE]);
    assert_eq!(silent.usage, Usage { images: 1, is_estimated: true, ..tokens(10, 0) });
}

#[test]
fn a_response_of_the_background_is_known_by_its_id() {
    let completed = |id: &str| {
        format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"{id}\",\"background\":true,\"usage\":{{\"input_tokens\":3}}}}}}"
        )
    };
    let background = |id: &str| used(Operation::StoredResponses, &[CREATED, &completed(id)]).background;
    assert!(background("resp_1").is_some());
    assert_eq!(background("resp_1"), background("resp_1"));
    assert_ne!(background("resp_1"), background("resp_2"));
}
