//! Bodies that are watched while they flow: however they are cut, a second `model` is seen before
//! it is passed on, and what the readers of whole bodies accept is accepted.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use proptest::sample::select;
use switchyard::request::body_watch::{BodyFault, BodyWatch};
use switchyard::request::form_watch::FormWatch;
use switchyard::request::json_body::Peek;
use switchyard::request::multipart::{Form, FormError};
use switchyard::scan::member_watch::MemberWatch;
use switchyard::scan::top_level;

/// How many members named `model` were seen; `None` if the body is no object.
fn models_of(body: &[u8], piece: usize) -> Option<usize> {
    let mut watch = MemberWatch::new("model");
    body.chunks(piece).try_for_each(|piece| watch.read(piece)).ok()?;
    watch.is_complete().then(|| watch.count())
}

/// The same for the parts of a form.
fn parts_of(body: &[u8], piece: usize) -> Result<usize, FormError> {
    let mut watch = FormWatch::new("b");
    body.chunks(piece).try_for_each(|piece| watch.read(piece))?;
    if watch.is_complete() { Ok(watch.count()) } else { Err(FormError::Unterminated) }
}

#[test]
fn models_are_counted_at_the_top_level_of_one_object() {
    for (body, expected) in [
        (r#"{"model":"a"}"#, Some(1)),
        ("\u{feff} { } ", Some(0)),
        (r#"{"model":"a","input":[{"model":1},"model",{"a":{"model":2}}],"model":null}"#, Some(2)),
        (r#"{"mod\u0065l":"a","\u006d\u006f\u0064\u0065\u006c":"b"}"#, Some(2)),
        (r#"{"Model":1,"modell":2,"mode":3,"\"model":4,"model\\":5,"text":"\"model\":1"}"#, Some(0)),
        (r#"{"n":-1.5e+3,"a":true,"b":false,"c":null,"d":[[],{}] , "model" : 1}"#, Some(1)),
        (r#"{"a":1} {"model":"b"}"#, None),
        (r#"{"a":[}],"model":"b"}"#, None),
        (r#"{"a":1,model:"b"}"#, None),
        (r#"{"a":1,'model':"b"}"#, None),
        (r#"{"a":1/*"*/,"model":"b"/*"*/}"#, None),
        ("{\"a\":\"\n\"}", None),
        (r#"{"a":1"#, None),
        (r#"["model"]"#, None),
    ] {
        for piece in 1..=body.len() {
            assert_eq!(models_of(body.as_bytes(), piece), expected, "{body} in pieces of {piece}");
        }
    }
}

#[test]
fn any_depth_is_watched() {
    let depth = 1_000_000;
    let body = format!(r#"{{"a":{}{},"model":1}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(models_of(body.as_bytes(), 4_096), Some(1));
}

#[test]
fn a_second_part_named_model_is_seen_wherever_the_form_is_cut() {
    let part = |name: &str, value: &str| {
        format!("--b \t\r\nX: y\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!(
        "preamble\r\n{}{}--b\r\n\r\n--b\r\n\r\nno headers\r\n{}--b--\r\nepilogue\r\n{}",
        part("model", "a"),
        part("file", "x--b\r\n--bx\r\n\r\n--\r\n--b-\r\n--b \r"),
        part("model", ""),
        part("model", "not this")
    );
    let form = Form::of(body.as_bytes(), "b").unwrap();
    assert_eq!((form.model_count(), form.model.as_deref()), (2, Some("")));
    for piece in 1..=body.len() {
        assert_eq!(parts_of(body.as_bytes(), piece), Ok(2), "in pieces of {piece}");
        let first = body.find("file").unwrap();
        let watch = BodyWatch::form(&body.as_bytes()[..first], 1, "b").unwrap();
        let seen = body.as_bytes()[first..].chunks(piece).find_map(|piece| watch.read(piece).err());
        assert_eq!(seen, Some(BodyFault::SecondModel));
    }
}

#[test]
fn headers_of_a_part_are_held_up_to_a_limit() {
    let body = format!("--b\r\nX: {}", "y".repeat(1 << 20));
    assert_eq!(parts_of(body.as_bytes(), 1_000), Err(FormError::HeadersTooLong));
    let body = format!("--b{}", " ".repeat(1 << 20));
    assert_eq!(parts_of(body.as_bytes(), 1_000), Err(FormError::HeadersTooLong));
}

#[test]
fn the_first_bytes_are_watched_too() {
    // The second model is cut, so the reader of the beginning does not know it.
    let first = br#"{"model":"cheap","input":"x","model":"de"#;
    let known = Peek::of_prefix(first).unwrap().model_count(first);
    assert_eq!(BodyWatch::json(first, known).unwrap_err(), BodyFault::SecondModel);
    // So it does not where the text is no UTF-8.
    let first = b"{\"model\":\"cheap\",\"input\":\"\xff\",\"model\":\"dear\",\"a\":";
    let known = Peek::of_prefix(first).unwrap().model_count(first);
    assert_eq!(BodyWatch::json(first, known).unwrap_err(), BodyFault::SecondModel);
}

/// Parts of JSON, and parts that do not belong in it.
fn json() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"model\":",
        "\"mod\\u0065l\":",
        "\"a\":",
        "\"m\"",
        "1",
        "-0.5e+1",
        "true",
        "null",
        " ",
        "\n",
        "é",
        "{\"a\":[",
        "]}",
    ];
    prop::collection::vec(select(parts.to_vec()), 0..24).prop_map(|parts| parts.concat().into_bytes())
}

fn members() -> impl Strategy<Value = Vec<u8>> {
    let names = select(vec!["model", "mod\\u0065l", "Model", "a", "é\\\"", ""]);
    let values = select(vec!["1", "\"model\"", "{\"model\":[1,{}]}", "[]", "\"\\\\\"", " null ", "-1e9"]);
    prop::collection::vec((names, values), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
        format!("{{{}}}", members.join(", ")).into_bytes()
    })
}

fn form() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "\r\n",
        "--b",
        "--",
        "\r\n--b\r\n",
        "\r\n--b--",
        "x",
        "Content-Disposition: form-data; name=\"model\"",
        "content-disposition:form-data;name=model",
        "content-disposition:form-data;name=a",
        "\r\n\r\n",
        " ",
        "\r",
        "\n",
    ];
    prop::collection::vec(select(parts.to_vec()), 0..20)
        .prop_map(|parts| format!("--b\r\n{}", parts.concat()).into_bytes())
}

proptest! {
    #[test]
    fn json_is_watched_as_it_is_read_whole(body in prop_oneof![json(), members()], piece in 1usize..40) {
        let whole = models_of(&body, usize::MAX);
        prop_assert_eq!(models_of(&body, piece), whole);
        if top_level::members(&body).is_some() {
            let known = Peek::of(&body).map(|peek| peek.model_count(&body));
            // A `model` that is no string is an error of its own.
            prop_assert!(known.is_err() || known.ok() == whole, "{}", body.escape_ascii());
            prop_assert!(whole.is_some());
        }
    }

    #[test]
    fn forms_are_watched_as_they_are_read_whole(body in form(), piece in 1usize..40) {
        let watched = parts_of(&body, piece);
        prop_assert_eq!(&watched, &parts_of(&body, usize::MAX), "{}", body.escape_ascii());
        let whole = Form::of(&body, "b").map(|form| form.model_count());
        // Text like a delimiter within headers is refused.
        let is_like_one = watched == Err(FormError::Unterminated);
        prop_assert!(whole.is_ok() == watched.is_ok() || is_like_one, "{}", body.escape_ascii());
        if let Ok(count) = watched {
            prop_assert_eq!(whole, Ok(count));
        }
    }
}
