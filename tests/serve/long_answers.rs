//! Answers in one piece that are too long to be held: they flow, and their end is read for the
//! usage.

use super::fake::{Answer, Bench, Script, Step};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

const MIB: usize = 1 << 20;

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

/// The first bytes of such an answer.
fn part_of_image(length: usize) -> String {
    image(length).split_at(length).0.to_owned()
}

/// The answer of an image, which is so long.
fn image(length: usize) -> String {
    let image = "A".repeat(length);
    format!(
        r#"{{"created":1,"data":[{{"b64_json":"{image}"}}],"usage":{{"input_tokens":10,"output_tokens":500}}}}"#
    )
}

fn served(model: &str, path: &str, steps: Vec<Step>) -> (Bench, Answer) {
    let mut bench = Bench::started(&routes("", model));
    bench.script([Script { says_length: false, steps, ..Script::json(200, "") }]);
    let answer = bench.request("POST", path, CHAT);
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
    (bench, answer)
}

/// The tokens of the output that health has counted, with the time that the answer took.
fn counted(bench: &Bench) -> Option<(u64, u64)> {
    let health = serde_json::to_value(&bench.health()[0]).unwrap();
    let took = bench.elapsed().get();
    let speed = health["tokens_per_second"].as_f64()?;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let tokens = (speed * took as f64 / 1_000.0).round() as u64;
    Some((tokens, took))
}

#[test]
fn they_are_passed_on_byte_for_byte_and_their_usage_counts() {
    for (length, pauses) in [(2 * MIB, vec![]), (2 * MIB, vec![900, 900, 900]), (7 * MIB, vec![400, 3_000])] {
        let text = image(length);
        let size = text.len() / (pauses.len() + 1) + 1;
        let pieces = text.as_bytes().chunks(size).map(|piece| bytes(std::str::from_utf8(piece).unwrap()));
        let pauses = pauses.into_iter().map(|pause| Step::Pause(ms(pause))).chain([Step::Pause(ms(5))]);
        let steps = pieces.zip(pauses).flat_map(|(piece, pause)| [piece, pause]).collect();
        let (bench, answer) = served("", "/v1/images/generations", steps);
        assert!(answer.text() == text, "{length}");
        assert!(answer.client().is_closed());
        assert_eq!((counted(&bench).unwrap().0, bench.last_error()), (500, String::new()), "{length}");
    }
}

#[test]
fn their_images_are_those_that_were_asked_for_in_json_or_in_a_form() {
    let part = |name: &str, value: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = |parts: &[(&str, &str)]| {
        parts.iter().map(|(name, value)| part(name, value)).collect::<String>() + "--b--\r\n"
    };
    let (edits, variations) = ("/v1/images/edits", "/v1/images/variations");
    for (path, body, images) in [
        (edits, form(&[("image", "PNG"), ("n", "4"), ("model", "m")]), 4),
        (variations, form(&[("model", "m"), ("n", "3")]), 3),
        (variations, form(&[("model", "m")]), 1),
        (edits, r#"{"model":"m","n":4}"#.to_owned(), 4),
    ] {
        let mut bench = Bench::started(&routes("", ""));
        if body.starts_with("--b") {
            bench.add_header("content-type", "multipart/form-data; boundary=b");
        }
        let steps = vec![bytes(&image(2 * MIB)), Step::Pause(ms(5))];
        bench.script([Script { says_length: false, steps, ..Script::json(200, "") }]);
        bench.request("POST", path, &body);
        assert_eq!(bench.record()["usage"]["images"], images, "{path} {body}");
    }
}

#[test]
fn what_is_passed_on_at_once_counts_too() {
    let (bench, answer) =
        served(r#", "commit": "headers""#, "/v1/chat/completions", vec![bytes(ANSWER), Step::Pause(ms(20))]);
    assert_eq!(answer.text(), ANSWER);
    let (tokens, took) = counted(&bench).unwrap();
    assert_eq!(tokens, 3);
    assert!(took < 100, "the end is read when it has come, not a second later: {took}");
}

#[test]
fn one_that_breaks_or_is_longer_than_what_is_observed_is_an_estimate() {
    let text = image(10 * MIB);
    let halves = |end: Step| {
        let (first, second) = text.split_at(9 * MIB);
        vec![bytes(first), Step::Pause(ms(2_000)), bytes(second), end]
    };
    let (bench, answer) = served("", "/v1/images/generations", halves(Step::Pause(ms(10))));
    assert!(answer.text() == text);
    assert!(answer.client().is_closed());
    assert_eq!(counted(&bench), None);
    let (bench, answer) =
        served("", "/v1/images/generations", vec![bytes(&part_of_image(2 * MIB)), Step::Break]);
    assert!(answer.client().is_broken());
    assert_eq!((counted(&bench), bench.last_error()), (None, "truncated".to_owned()));
}

#[test]
fn the_document_may_limit_the_pauses_of_what_flows() {
    let long = part_of_image(2 * MIB);
    for (method, path, content_type, model, first) in [
        ("POST", "/v1/audio/speech", "audio/mpeg", "", "sound"),
        ("POST", "/v1/audio/speech", "audio/mpeg", r#", "commit": "headers""#, "sound"),
        ("GET", "/v1/files/file-1/content", "application/octet-stream", "", "bytes"),
        ("POST", "/v1/images/generations", "application/json", "", long.as_str()),
        ("POST", "/v1/chat/completions", "application/json", r#", "commit": "headers""#, ANSWER),
    ] {
        let serve = |steps: Vec<Step>| {
            // Stored objects have the limits of the settings.
            let mut bench = Bench::started(&routes(r#", "timeout": {"idle_ms": 1000}"#, model));
            bench.script([Script { content_type, says_length: false, steps, ..Script::json(200, "") }]);
            let answer = bench.request(method, path, if method == "GET" { "" } else { CHAT });
            assert_eq!((answer.status, bench.open_waits(), bench.in_flight()), (200, 0, 0), "{path}");
            (bench, answer)
        };
        let (bench, answer) = serve(vec![bytes(first), Step::Pause(ms(700)), bytes(first), Step::Hang]);
        assert!(answer.client().is_broken(), "{path}");
        assert!(bench.elapsed() < ms(4_000), "{path}: {:?}", bench.elapsed());
        assert!(bench.calls()[0].is_aborted.get(), "{path}");
        assert_eq!((bench.record()["reason"].as_str(), bench.last_error()), (Some("idle"), "timeout".into()));
        let slow = [bytes(first), Step::Pause(ms(700)), bytes("more"), Step::Pause(ms(700)), bytes("end")];
        let before = if model.is_empty() { ms(0) } else { ms(5_000) };
        let (bench, answer) = serve([vec![Step::Pause(before)], slow.to_vec()].concat());
        assert!(answer.text() == format!("{first}moreend"), "{path}");
        assert!(answer.client().is_closed(), "{path}: an answer is generated before its first byte");
        assert_eq!(bench.last_error(), "", "{path}");
    }
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    let mut bench = Bench::new(&routes("", ""));
    let steps = vec![bytes(&part_of_image(2 * MIB)), Step::Pause(ms(10_000)), Step::Hang];
    bench.script([Script { says_length: false, steps, ..Script::json(200, "") }]);
    let begun = bench.request_until("POST", "/v1/images/generations", CHAT, ms(3_000));
    bench.finish();
    assert!(begun.is_some());
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    assert!(bench.calls()[0].is_aborted.get());
}

#[test]
fn a_response_of_the_background_counts_once() {
    use switchyard::usage::reported::Reported;
    use switchyard::vocabulary::usage::Usage;

    let bench = Bench::new(&routes("", ""));
    let usage = Usage { output_tokens: 7, ..Usage::default() };
    let read = |background| bench.isolate().counted(Reported { usage, background });
    assert_eq!([read(Some(1)), read(Some(1)), read(Some(2))], [usage, Usage::default(), usage]);
    assert_eq!([read(None), read(None)], [usage, usage], "all others count whenever they come");
    // The memory is bounded: the oldest are forgotten.
    for id in 3..2_000 {
        read(Some(id));
    }
    assert_eq!(read(Some(1)), usage);
    assert_eq!(read(Some(1_999)), Usage::default());
}
