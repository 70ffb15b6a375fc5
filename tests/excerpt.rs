//! Excerpts of JSON bodies: every question about an excerpt has the same answer as for the body.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use switchyard::request::excerpt::Excerpt;
use switchyard::request::json_body::{Edit, Peek, edit};
use switchyard::routes::graph::Params;
use switchyard::scan::top_level::{self, MemberSpan};

fn excerpt(body: &[u8], window: usize) -> Option<Excerpt> {
    let shown = Cell::new(0);
    Excerpt::read(body.len(), window, |start, end| {
        assert!(start <= shown.get(), "bytes {} to {start} were never shown", shown.get());
        assert!(end - start <= window);
        shown.set(end);
        &body[start..end]
    })
}

/// Compares one body with its excerpt, for one window. Returns whether the body is an object.
fn agree(body: &[u8], window: usize) -> bool {
    let whole = top_level::members(body).filter(|_| std::str::from_utf8(body).is_ok());
    let shown = body.escape_ascii();
    let Some(excerpt) = excerpt(body, window) else {
        assert!(std::str::from_utf8(body).is_err(), "{shown}");
        return false;
    };
    let original = |span: &std::ops::Range<usize>| excerpt.original(span.start)..excerpt.original(span.end);
    let members = top_level::members(excerpt.text()).filter(|_| std::str::from_utf8(excerpt.text()).is_ok());
    let moved = members.map(|object| {
        let spans = object.members.iter().map(|MemberSpan { key, value }| (key.clone(), value.clone()));
        spans
            .map(|(key, value)| MemberSpan { key: original(&key), value: original(&value) })
            .collect::<Vec<_>>()
    });
    assert_eq!(moved, whole.as_ref().map(|object| object.members.clone()), "{shown}");
    whole.is_some()
}

fn text(bytes: usize) -> String {
    "In the beginning was the word. ".repeat(bytes / 31 + 1)
}

#[test]
fn little_is_left_of_a_long_text() {
    let body =
        json!({ "model": "m", "messages": [{ "role": "user", "content": text(1 << 20) }], "user": "u" });
    let body = body.to_string();
    let excerpt = excerpt(body.as_bytes(), 64 * 1024).unwrap();
    assert!(excerpt.text().len() < 2_000, "{} bytes", excerpt.text().len());
    assert_eq!(excerpt.original(excerpt.text().len()), body.len());
}

#[test]
fn little_is_left_of_text_with_escapes_in_it_or_behind_much_else() {
    let lines = r#"let a = \"b\";\n\tprintln!(\"{a}\"); // \u4f60\u597d\\ "#.repeat(30_000);
    let tools = r#"{"type":"function"},"#.repeat(2_500);
    let body = format!(r#"{{"tools":[{tools}1],"messages":["{lines}"],"model":"m"}}"#);
    let excerpt = excerpt(body.as_bytes(), 64 * 1024).unwrap();
    assert!((tools.len()..tools.len() + 5_000).contains(&excerpt.text().len()), "{}", excerpt.text().len());
    assert_eq!(excerpt.original(excerpt.text().len()), body.len());
}

#[test]
fn half_a_character_is_seen_wherever_it_stands_in_a_name() {
    for (half, is_refused) in
        [(r"\ud800", true), (r"\uDC00", true), (r"\ud83d\ude00", false), (r"\u00e9", false)]
    {
        let (before, after) = (text(1_000), text(1_000));
        let body = format!(r#"{{"{before}{half}{after}":1}}"#);
        for window in [4, 700, 1_040, 64 * 1024] {
            let excerpt = excerpt(body.as_bytes(), window).unwrap();
            assert_eq!(Peek::of(excerpt.text()).is_err(), is_refused, "{half}");
        }
        assert_eq!(Peek::of(body.as_bytes()).is_err(), is_refused, "{half}");
    }
}

#[test]
fn all_of_a_body_is_there_where_its_texts_are_short() {
    let body = format!(r#"{{"a":[{}1],"b":"{}"}}"#, r#""text","#.repeat(4_000), "x".repeat(512));
    let excerpt = excerpt(body.as_bytes(), 64 * 1024).unwrap();
    assert_eq!(excerpt, Excerpt::from(body.into_bytes()));
}

#[test]
fn an_excerpt_that_would_be_most_of_a_long_body_is_not_made() {
    let short = format!("{}1", r#""text","#.repeat(40_000));
    let body = |long| format!(r#"{{"a":"{long}","b":[{short}],"c":"{long}"}}"#);
    assert_eq!(excerpt(body(text(100)).as_bytes(), 64 * 1024), None);
    let body = body(text(500_000));
    let excerpt = excerpt(body.as_bytes(), 64 * 1024).unwrap();
    assert!((short.len()..short.len() + 2_000).contains(&excerpt.text().len()));
}

#[test]
fn bodies_agree_wherever_a_window_ends() {
    let long = text(600);
    let umlauts = "ü".repeat(400);
    for body in [
        format!(r#"{{"model":"m","a":"{long}","b":[1,"{long}\"{long}"]}}"#),
        format!(r#"{{"{long}":"{long}\\","model":"m"}} "#),
        format!(r#"{{"a":"\u00fc{umlauts}\n{umlauts}😀{umlauts}"}}"#),
        format!(r#"{{"a":"{}"}}"#, r"Line.\n\u00e9\/\uffff\ud83d\ude00 ".repeat(60)),
        format!(r#"{{"a":"{}","b":"{}"}}"#, r"\u4f60".repeat(200), r"\\".repeat(400)),
        // Invalid JSON stays invalid.
        format!(r#"{{"a":"{}\u4f6"}}"#, r"\u4f60".repeat(200)),
        format!(r#"{{"a":"{}\a"}}"#, r"\n".repeat(400)),
        format!(r#"{{"a":"{long}"#),
        format!(r#"{{"a":"{long}\"}}"#),
        format!(r#"{{"a":"{long}\x{long}"}}"#),
        format!("{{\"a\":\"{long}\n{long}\"}}"),
        format!(r#"{{"a":"{long}" "b":"{long}"}}"#),
        format!(r#"{{"a":"{long}"}}{{"#),
        format!("{{\"a\":{long}}}"),
        umlauts.clone(),
    ] {
        let is_object = agree(body.as_bytes(), 1 << 20);
        assert_eq!(is_object, serde_json::from_str::<Value>(&body).is_ok(), "{body}");
        for window in (4..700).chain([1_000, 1_300]) {
            assert_eq!(agree(body.as_bytes(), window), is_object, "{body}");
        }
    }
}

#[test]
fn what_is_no_utf_8_is_refused_wherever_it_stands() {
    let (before, after) = (text(700), text(700));
    for wrong in [
        &b"\xff"[..],
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\x80",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
    ] {
        let body = [br#"{"a":""#, before.as_bytes(), wrong, after.as_bytes(), br#""}"#].concat();
        for window in (4..64).chain([700, 710, 1 << 20]) {
            assert!(!agree(&body, window));
        }
        // The body ends with the invalid bytes.
        let cut = [br#"{"a":""#, before.as_bytes(), wrong].concat();
        assert_eq!(excerpt(&cut, 64), None);
    }
}

#[test]
fn a_text_that_is_shortened_equals_no_other() {
    // If the long text were cut at any of these lengths, it would equal one of the short texts.
    let long = "x".repeat(5_000);
    let body = format!(r#"{{"a":"{long}","model":"{long}"}}"#);
    let excerpt = excerpt(body.as_bytes(), 64 * 1024).unwrap();
    let peek = Peek::of(excerpt.text()).unwrap();
    let model = peek.model.clone().unwrap();
    assert!(model.contains('\u{ffff}'), "{model}");
    for length in 0..600 {
        let short = "x".repeat(length);
        assert_ne!(model, short);
        let params = Params { set: vec![("a".to_owned(), Value::from(short.clone()))], ..Params::default() };
        let splice =
            edit(excerpt.text(), &peek, &Edit { model: None, params: &params, asks_for_usage: false })
                .unwrap();
        let edited = splice.moved(|at| excerpt.original(at)).apply(body.as_bytes());
        assert_eq!(edited, format!(r#"{{"a":"{short}","model":"{long}"}}"#).as_bytes());
    }
}

#[test]
fn rules_get_what_an_excerpt_shortens_in_full() {
    let long = text(2_000);
    let body = json!({ "user": "u", "metadata": { "note": long, "n": 1 }, "input": long }).to_string();
    let excerpt = excerpt(body.as_bytes(), 256).unwrap();
    let peek = Peek::of(excerpt.text()).unwrap();
    let names = ["user", "metadata", "input"].map(str::to_owned);
    let fields = peek.fields(excerpt.text(), &names, |span| {
        let original = excerpt.original(span.start)..excerpt.original(span.end);
        excerpt.is_shortened(span).then(|| body.as_bytes()[original].to_vec())
    });
    assert_eq!(serde_json::to_value(fields).unwrap(), serde_json::from_str::<Value>(&body).unwrap());
}

/// Texts with lengths near the limits, and between them characters that are difficult for parsers.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        (500usize..700).prop_map(|length| "y".repeat(length)),
        (200usize..300).prop_map(|length| "é😀".repeat(length / 2)),
        select(vec!["\"", "\\", "\n", "a", "\\u", "ü", "{", "\u{ffff}"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn body() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        string().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::collection::vec(string().prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    let name = prop_oneof![4 => select(vec!["model", "a", "b", "c"]).prop_map(str::to_owned), 1 => string()];
    prop::collection::vec((name, value), 0..5).prop_map(|members| {
        let members = members.iter().map(|(name, value)| {
            let value = if name == "model" { json!("m") } else { value.clone() };
            format!("{} : {value}", Value::from(name.as_str()))
        });
        format!(" {{ {} }} ", members.collect::<Vec<_>>().join(" , "))
    })
}

proptest! {
    #[test]
    fn any_body_agrees_through_any_window(body in body(), window in 4usize..1_500) {
        prop_assert!(agree(body.as_bytes(), window));
    }

    #[test]
    fn damaged_bodies_agree_too(
        body in body(),
        window in 4usize..1_500,
        at in any::<Index>(),
        byte in prop_oneof![select(b"\"\\{}[]:, \n\0\x80\xc3\xf0".to_vec()), any::<u8>()],
        cut in any::<Index>(),
    ) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        agree(&body, window);
        body.truncate(cut.index(body.len()));
        agree(&body, window);
    }

    #[test]
    fn an_edit_of_an_excerpt_is_one_of_its_body(body in body(), window in 4usize..1_500, value in string()) {
        let params = Params {
            drop: vec!["b".to_owned()],
            rename: vec![("c".to_owned(), "d".to_owned())],
            set: vec![("a".to_owned(), Value::from(value))],
            ..Params::default()
        };
        let changes = Edit { model: Some("other"), params: &params, asks_for_usage: false };
        let excerpt = excerpt(body.as_bytes(), window).unwrap();
        let peek = Peek::of(excerpt.text()).unwrap();
        let splice = edit(excerpt.text(), &peek, &changes).unwrap().moved(|at| excerpt.original(at));
        let expected = edit(body.as_bytes(), &Peek::of(body.as_bytes()).unwrap(), &changes).unwrap();
        prop_assert_eq!(splice.apply(body.as_bytes()), expected.apply(body.as_bytes()));
    }
}
