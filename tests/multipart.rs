//! Multipart forms: what is read from them. A new model leaves all other bytes as they are.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use switchyard::request::multipart::{Form, FormError, boundary};

const BOUNDARY: &str = "Ab=3?";

/// A form, written in readable lines.
fn form(lines: &[&str]) -> Vec<u8> {
    lines.join("\r\n").into_bytes()
}

fn model_of(lines: &[&str]) -> Result<Option<String>, FormError> {
    Form::of(&form(lines), BOUNDARY).map(|form| form.model)
}

#[test]
fn the_boundary_is_read_as_senders_write_it() {
    for (content_type, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;boundary=abc", Some("abc")),
        ("multipart/form-data; charset=utf-8; Boundary=abc", Some("abc")),
        ("multipart/form-data; boundary=abc; charset=utf-8", Some("abc")),
        // Quoted, as RFC 2046 requires for characters such as these.
        ("multipart/form-data; boundary=\"a;b=c\"", Some("a;b=c")),
        ("multipart/form-data; boundary=\"a\\\"b\"", Some("a\"b")),
        // A quoted value that looks like the parameter `boundary`.
        ("multipart/form-data; x=\"; boundary=no\"; boundary=yes", Some("yes")),
        ("multipart/form-data; flag; boundary=abc", Some("abc")),
        ("multipart/form-data; boundary=abc; boundary=def", None),
        ("multipart/form-data; boundary=\"abc\"def", None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"\"", None),
        ("multipart/form-data; boundary=a\u{e9}", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json", None),
    ] {
        assert_eq!(boundary(content_type).as_deref(), expected, "{content_type}");
    }
    assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
}

#[test]
fn the_model_is_found_wherever_it_stands() {
    const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"";
    let whisper = Ok(Some("whisper".to_owned()));
    for (lines, why) in [
        (
            &["--Ab=3?", "Content-Disposition: form-data; name=\"model\"", "", "whisper", "--Ab=3?--", ""][..],
            "the smallest form",
        ),
        (
            &[
                "--Ab=3?",
                FILE,
                "",
                "x",
                "--Ab=3?",
                "content-disposition:form-data;name=model",
                "",
                "whisper",
                "--Ab=3?--",
            ],
            "after a file, header in lower case, name without quotes, no last line end",
        ),
        (
            &[
                "preamble",
                "--Ab=3? ",
                "Content-Type: text/plain",
                "Content-Disposition: form-data; name=\"model\"",
                "",
                "whisper",
                "--Ab=3?--",
                "epilogue",
            ],
            "white space after a delimiter, other headers first, preamble and epilogue",
        ),
        (
            &[
                "--Ab=3?",
                FILE,
                "",
                "--Ab=3",
                "--Ab=3?x",
                "--",
                "--Ab=3?",
                "Content-Disposition: form-data; name=\"model\"",
                "",
                "whisper",
                "--Ab=3?--",
            ],
            "a file with lines that begin like the delimiter",
        ),
        (
            &[
                "--Ab=3?",
                "Content-Disposition: form-data; filename=\"; name=\\\"model\\\"\"; name=\"file\"",
                "",
                "not this",
                "--Ab=3?",
                "Content-Disposition: form-data; name=\"model\"",
                "",
                "whisper",
                "--Ab=3?--",
            ],
            "a file name that looks like the model",
        ),
        (
            &[
                "--Ab=3?",
                "Content-Disposition: form-data; name=\"model\"",
                "",
                "first",
                "--Ab=3?",
                "Content-Disposition: form-data; name=\"model\"",
                "",
                "whisper",
                "--Ab=3?--",
            ],
            "the last of two",
        ),
    ] {
        assert_eq!(model_of(lines), whisper, "{why}");
    }
    assert_eq!(model_of(&["--Ab=3?--", ""]), Ok(None), "an empty form");
    assert_eq!(model_of(&["--Ab=3?", "", "no headers", "--Ab=3?--", ""]), Ok(None), "a part without headers");
    assert_eq!(
        model_of(&["--Ab=3?", "Content-Disposition: form-data; name=\"model\"", "", "", "--Ab=3?--"]),
        Ok(Some(String::new())),
        "an empty value"
    );
}

#[test]
fn what_is_no_form_gets_a_clear_error() {
    for (body, expected) in [
        (&b""[..], FormError::NoDelimiter),
        (b"{\"model\":\"x\"}", FormError::NoDelimiter),
        (b"--other\r\n\r\nx\r\n--other--", FormError::NoDelimiter),
        // The delimiter is not at the start of a line.
        (b"x--Ab=3?\r\n\r\nx", FormError::NoDelimiter),
        (b"--Ab=3?\nContent-Disposition: form-data; name=\"model\"\n\nx\n--Ab=3?--", FormError::BareLineFeed),
        (b"--Ab=3?\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx", FormError::Unterminated),
        // The closing delimiter itself is cut.
        (
            b"--Ab=3?\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n--Ab=3?-",
            FormError::Unterminated,
        ),
        // Headers without an end, and a part without content.
        (b"--Ab=3?\r\nContent-Disposition: form-data; name=\"model\"\r\n--Ab=3?--", FormError::Unterminated),
        (b"--Ab=3?\r\n--Ab=3?--", FormError::Unterminated),
        (
            b"--Ab=3?\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\xff\r\n--Ab=3?--",
            FormError::ModelNotText,
        ),
    ] {
        assert_eq!(Form::of(body, BOUNDARY), Err(expected), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_part_whose_name_can_be_read_in_two_ways_is_refused() {
    let named = "Content-Disposition: form-data; name=\"model\"";
    for (headers, expected) in [
        (&[named][..], Ok(Some("x"))),
        (&["Content-Disposition: form-data; name=\"model\"; filename=\"C:\\dir\\a\""], Ok(Some("x"))),
        (&["Content-Disposition: form-data; filename=\"a\\\"b\"; name=model ; x=y"], Ok(Some("x"))),
        (&["Content-Disposition: form-data; flag; name=\"file\""], Ok(None)),
        (&["Content-Disposition: form-data; filename*=utf-8''model; name=\"file\""], Ok(None)),
        (&["Content-Disposition: form-data"], Ok(None)),
        // Two names, in one header or in two.
        (&["Content-Disposition: form-data; name=\"x\"; name=\"model\""], Err(())),
        (&["Content-Disposition: form-data; name=\"model\"; NAME=x"], Err(())),
        (&["Content-Disposition: form-data; name=\"x\"", named], Err(())),
        (&[named, "content-disposition: form-data"], Err(())),
        (&[named, named], Err(())),
        // Folded lines, and line ends that only some readers see.
        (&["Content-Disposition: form-data;", " name=\"model\""], Err(())),
        (&["X: y\nContent-Disposition: form-data; name=\"model\""], Err(())),
        (&["X: y\rContent-Disposition: form-data; name=\"model\""], Err(())),
        (&["Content-Disposition: form-data; name=\"model\0\""], Err(())),
        // Encodings that few readers know, and quotes that end in different places.
        (&["Content-Disposition: form-data; name*=utf-8''model"], Err(())),
        (&["Content-Disposition: form-data; name=\"x\"; name*0=\"model\""], Err(())),
        (&["Content-Disposition: form-data; name=\"mo\\del\""], Err(())),
        (&["Content-Disposition: form-data; name=mo\\del"], Err(())),
        (&["Content-Disposition: form-data; name=\"mod\"el"], Err(())),
        (&["Content-Disposition: form-data; name=mod\"el\""], Err(())),
        (&["Content-Disposition: form-data; filename=\"a\\\"; name=\"model\""], Err(())),
        (&["Content-Disposition: form-data; name=\"model"], Err(())),
        (&["Content-Disposition: form-data; x name=\"model\""], Err(())),
    ] {
        let lines = [&["--Ab=3?"], headers, &["", "x", "--Ab=3?--"]].concat();
        let expected = expected.map(|model| model.map(str::to_owned)).map_err(|()| FormError::AmbiguousName);
        assert_eq!(model_of(&lines), expected, "{headers:?}");
        let beginning = form(&[lines.as_slice(), &["more"]].concat());
        assert_eq!(Form::of_prefix(&beginning, BOUNDARY).is_some(), expected == Ok(Some("x".to_owned())));
    }
}

#[test]
fn a_part_may_be_empty() {
    assert_eq!(model_of(&["--Ab=3?", "", "--Ab=3?--"]), Ok(None));
    let named = "Content-Disposition: form-data; name=\"model\"";
    assert_eq!(model_of(&["--Ab=3?", "", "--Ab=3?", named, "", "m", "--Ab=3?--"]), Ok(Some("m".to_owned())));
}

#[test]
fn stream_is_read_too() {
    for (value, expected) in [("true", true), ("True", true), ("false", false), ("", false)] {
        let body =
            form(&["--Ab=3?", "Content-Disposition: form-data; name=\"stream\"", "", value, "--Ab=3?--"]);
        assert_eq!(Form::of(&body, BOUNDARY).unwrap().is_streamed, expected, "{value}");
    }
}

#[test]
fn the_number_of_images_is_read_too() {
    for (value, expected) in
        [("4", Some(4)), (" 4 ", Some(4)), ("0", Some(0)), ("four", None), ("-1", None), ("", None)]
    {
        let body = form(&["--Ab=3?", "Content-Disposition: form-data; name=\"n\"", "", value, "--Ab=3?--"]);
        assert_eq!(Form::of(&body, BOUNDARY).unwrap().count, expected, "{value}");
    }
}

#[test]
fn every_part_named_model_is_replaced() {
    let body = form(&[
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"model\"",
        "",
        "one",
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"model\"",
        "",
        "",
        "--Ab=3?--",
    ]);
    let edited = Form::of(&body, BOUNDARY).unwrap().with_model(body.len(), "eu-whisper").apply(&body);
    let expected = form(&[
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"model\"",
        "",
        "eu-whisper",
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"model\"",
        "",
        "eu-whisper",
        "--Ab=3?--",
    ]);
    assert_eq!(String::from_utf8(edited), String::from_utf8(expected));
}

#[test]
fn the_beginning_of_a_form_is_enough_where_the_model_stands_in_it() {
    let beginning = form(&[
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"model\"",
        "",
        "whisper",
        "--Ab=3?",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"",
        "",
        "RIFF and megabytes mo",
    ]);
    let edited =
        Form::of_prefix(&beginning, BOUNDARY).unwrap().with_model(beginning.len(), "w").apply(&beginning);
    assert_eq!(edited, String::from_utf8_lossy(&beginning).replace("whisper", "w").into_bytes());
    // The body is cut within the delimiter after the model: the value may have more characters.
    assert_eq!(Form::of_prefix(&beginning[..70], BOUNDARY), None);
    assert_eq!(Form::of_prefix(b"--Ab=3?\r\n", BOUNDARY), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(b"\r\n".to_vec()),
                Just(b"--b".to_vec()),
                Just(b"--".to_vec()),
                Just(b"\r\n--b\r\n".to_vec()),
                Just(b"Content-Disposition: form-data; name=\"model\"".to_vec()),
                prop::collection::vec(any::<u8>(), 0..4),
            ],
            0..16,
        ),
    ) {
        let body = pieces.concat();
        if let Ok(form) = Form::of(&body, "b") {
            let again = Form::of(&form.with_model(body.len(), "m").apply(&body), "b").unwrap();
            prop_assert_eq!(again.model.as_deref(), Some("m"));
        }
        if let Some(form) = Form::of_prefix(&body, "b") {
            let again = Form::of_prefix(&form.with_model(body.len(), "m").apply(&body), "b").unwrap();
            prop_assert_eq!(again.model.as_deref(), Some("m"));
        }
    }

    #[test]
    fn a_new_model_leaves_all_other_bytes(
        before in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..3),
        model in prop::option::of("[a-z0-9.-]{0,12}"),
        after in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..3),
        new in "[a-z0-9.-]{1,12}",
    ) {
        let part = |name: &str, value: &[u8]| {
            [format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(), value, b"\r\n"]
                .concat()
        };
        let build = |model: Option<&str>| {
            let files = |values: &[Vec<u8>]| values.iter().flat_map(|value| part("file", value)).collect::<Vec<u8>>();
            let model = model.map(|model| part("model", model.as_bytes())).unwrap_or_default();
            [files(&before), model, files(&after), format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
        };
        let body = build(model.as_deref());
        let form = Form::of(&body, BOUNDARY).unwrap();
        prop_assert_eq!(form.model.as_deref(), model.as_deref());
        let edited = form.with_model(body.len(), &new).apply(&body);
        let expected = match model {
            Some(_) => build(Some(&new)),
            None => [part("model", new.as_bytes()), body].concat(),
        };
        prop_assert_eq!(edited, expected);
    }
}
