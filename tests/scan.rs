//! The scanner of JSON bodies, compared with serde_json: it accepts the same bodies and finds the
//! same members in them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use proptest::sample::{Index, select};
use switchyard::request::json_body::{BodyError, Peek};
use switchyard::scan::top_level::{self, MAX_FIELDS, MemberSpan};

/// The members of `body` if it is one object, as serde_json reads them.
fn parsed(body: &str) -> Option<Vec<MemberSpan>> {
    let (found, ended) = top_level::parse(body);
    ended.is_ok().then_some(found)
}

/// Compares both on one body. Returns whether the scanner accepts the body.
fn agree(body: &[u8]) -> bool {
    let scanned = top_level::members(body);
    let shown = body.escape_ascii();
    if let Some(object) = &scanned {
        assert_eq!(object.is_ascii, body.is_ascii(), "{shown}");
    }
    match std::str::from_utf8(body) {
        Ok(text) => {
            assert_eq!(scanned.as_ref().map(|object| &object.members), parsed(text).as_ref(), "{shown}");
        }
        Err(error) => {
            let expected = BodyError::NotUnicode { at: error.valid_up_to() };
            assert_eq!(Peek::of(body), Err(expected), "{shown}");
        }
    }
    scanned.is_some()
}

#[test]
fn json_is_distinguished_from_what_is_not_json() {
    for (value, is_json) in [
        ("0", true),
        ("-0", true),
        ("01", false),
        ("-01", false),
        ("-", false),
        ("+1", false),
        ("1.", false),
        ("1.5", true),
        (".5", false),
        ("1e", false),
        ("1e+", false),
        ("1e+5", true),
        ("1E-05", true),
        ("1.0e5", true),
        ("1.e5", false),
        ("1e5.0", false),
        ("123456789012345678901234567890e999999", true),
        ("1 2", false),
        ("0x1", false),
        ("NaN", false),
        ("true", true),
        ("tru", false),
        ("truee", false),
        ("nul", false),
        ("False", false),
        (r#""""#, true),
        (r#""\"\\\/\b\f\n\r\t""#, true),
        (r#""\a""#, false),
        (r#""\u12""#, false),
        (r#""\u12g4""#, false),
        (r#""\u+123""#, false),
        (r#""\uABcd""#, true),
        (r#""\U0041""#, false),
        // Half a surrogate pair. It matters only when the text is decoded.
        (r#""\ud800""#, true),
        (r#""\udc00\ud800""#, true),
        ("\"\t\"", false),
        ("\"\u{7f}\u{80}é😀\"", true),
        (r#""a"#, false),
        (r#""a\"#, false),
        ("'a'", false),
        ("[]", true),
        ("[ ]", true),
        ("[,]", false),
        ("[1,]", false),
        ("[1 2]", false),
        ("[1,[2,{}],\"]\"]", true),
        ("[1}", false),
        ("[", false),
        ("{}", true),
        ("{ \r\n\t}", true),
        (r#"{"a":1,}"#, false),
        (r#"{"a" : [ { "b" : { } , "c" : [ ] } , 1 ] , "d" : 2 }"#, true),
        (r#"{"a"}"#, false),
        (r#"{"a":}"#, false),
        (r#"{"a",1}"#, false),
        (r#"{"a":1"b":2}"#, false),
        ("{1:2}", false),
        ("{]", false),
        ("", false),
        // White space in Unicode, but not in JSON.
        ("\u{a0}1", false),
        ("\u{b}1", false),
        ("\u{feff}1", false),
    ] {
        for body in [
            format!(r#"{{"a":{value}}}"#),
            format!(" {{ \"a\" : {value} , \"b\" : [{value}] }} \n"),
            format!(r#"{{"a":{{"b":{value}}}}}"#),
        ] {
            assert_eq!(agree(body.as_bytes()), is_json, "{body}");
        }
    }
}

#[test]
fn only_one_object_is_taken() {
    for (body, is_object) in [
        ("{}", true),
        (" \r\n\t{ \r\n\t} \r\n\t", true),
        ("", false),
        (" ", false),
        ("{", false),
        ("}", false),
        ("{} {}", false),
        ("{}x", false),
        ("{},", false),
        ("{,}", false),
        (r#"{"a":1,}"#, false),
        (r#"{"a":1"#, false),
        (r#"{"a":1]"#, false),
        (r#"{"a":1}}"#, false),
        (r#"{"a":1}é"#, false),
        ("[]", false),
        ("\"a\"", false),
        ("1", false),
        ("null", false),
        ("\u{feff}{}", false),
        ("{}\0", false),
    ] {
        assert_eq!(agree(body.as_bytes()), is_object, "{body}");
    }
}

#[test]
fn any_byte_is_seen_wherever_in_a_string_it_stands() {
    for length in [1, 7, 8, 9, 15, 16, 17, 31, 47, 48, 49, 63, 64, 90] {
        for place in 0..length {
            for byte in 0..=u8::MAX {
                let mut body = [br#"{"k":""#, vec![b'a'; length].as_slice(), br#"","z":1}"#].concat();
                body[6 + place] = byte;
                agree(&body);
            }
        }
    }
}

#[test]
fn any_depth_is_scanned() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 100_000] {
        let lists = ("[".repeat(depth), "]".repeat(depth));
        let objects = (r#"{"a":"#.repeat(depth), format!("0{}", "}".repeat(depth)));
        // Every level differs from its neighbours, so that a mix-up of two levels is found.
        let mixed = (r#"[{"a":[{"b":{"c":"#.repeat(depth), format!("1{}", "}}]}]".repeat(depth)));
        for (open, close) in [lists, objects, mixed] {
            assert!(agree(format!(r#"{{"a":{open}{close},"b":1}}"#).as_bytes()));
            for end in ["]", "}"] {
                assert!(!agree(format!(r#"{{"a":{open}{close}{end},"b":1}}"#).as_bytes()));
            }
            let cut = close.get(..close.len() - 1).unwrap();
            for end in ["]", "}", ""] {
                let body = format!(r#"{{"a":{open}{cut}{end},"b":1}}"#);
                assert_eq!(agree(body.as_bytes()), close.ends_with(end) && !end.is_empty());
            }
        }
    }
}

#[test]
fn there_is_an_end_to_the_number_of_members() {
    let body = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":{n}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(agree(body(MAX_FIELDS).as_bytes()));
    assert!(!agree(body(MAX_FIELDS + 1).as_bytes()));
}

/// Parts of JSON, and parts that do not belong in JSON.
fn token() -> impl Strategy<Value = String> {
    let parts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\u0061",
        "\\ud83d",
        "\\n",
        "\\x",
        "\"a\"",
        "\"\"",
        "\"a\":",
        "\"model\":",
        "0",
        "1",
        "-",
        "+",
        ".",
        "e",
        "E",
        "12",
        "1.5e-3",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\r",
        "\t",
        "\u{b}",
        "\0",
        "\u{1f}",
        "\u{7f}",
        "é",
        "😀",
        "\u{feff}",
        "a",
        "/",
    ];
    prop_oneof![6 => select(parts.to_vec()).prop_map(str::to_owned), 1 => "[ -~é]{0,70}", 1 => "\"[ !#-\\[\\]-~é]{0,70}\""]
}

fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\n", "\r\n\t  "])
}

/// JSON as text, with white space, numbers and escapes of all kinds.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "{}", "[ ]", "{ }"]).prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        string(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::collection::vec((space(), inner.clone(), space()), 1..4)).prop_map(|items| {
                let items: Vec<String> = items.iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                format!("[{}]", items.join(","))
            }),
            object(inner, 1..4),
        ]
    })
}

fn string() -> impl Strategy<Value = String> {
    r#""([ !#-\[\]-~é😀]{0,40}|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,4}""#
}

fn object(
    value: impl Strategy<Value = String>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    let member = (space(), string(), space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
    (space(), prop::collection::vec(member, count))
        .prop_map(|(space, members)| format!("{{{space}{}}}", members.join(",")))
}

fn body() -> impl Strategy<Value = String> {
    (space(), object(value(), 0..5), space()).prop_map(|(a, object, b)| format!("{a}{object}{b}"))
}

proptest! {
    #[test]
    fn all_json_is_taken(body in body()) {
        prop_assert!(agree(body.as_bytes()));
    }

    #[test]
    fn the_scanner_agrees_with_serde_json_on_damaged_json(
        body in body(),
        damages in prop::collection::vec((any::<Index>(), 0..3_u8, prop_oneof![3 => token().prop_map(String::into_bytes), 1 => any::<u8>().prop_map(|byte| vec![byte])]), 1..4),
    ) {
        let mut body = body.into_bytes();
        for (place, kind, bytes) in damages {
            let place = place.index(body.len() + 1);
            // The bytes are inserted, replace existing bytes, or existing bytes are removed.
            let end = if kind == 0 { place } else { body.len().min(place + bytes.len()) };
            body.splice(place..end, if kind == 2 { Vec::new() } else { bytes });
        }
        agree(&body);
    }

    #[test]
    fn the_scanner_agrees_with_serde_json_on_the_beginning_of_json(body in body(), cut in any::<Index>()) {
        agree(&body.as_bytes()[..cut.index(body.len())]);
    }

    #[test]
    fn the_scanner_agrees_with_serde_json_on_heaps_of_tokens(tokens in prop::collection::vec(token(), 0..12)) {
        let heap = tokens.concat();
        agree(heap.as_bytes());
        agree(format!("{{\"a\":{heap}}}").as_bytes());
        agree(format!("{{\"a\":[{heap}],\"b\":\"{heap}\"}}").as_bytes());
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(prop_oneof![select(b"{}[]\",:\\ u0".to_vec()), any::<u8>()], 0..80)) {
        agree(&body);
    }
}
