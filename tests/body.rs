//! JSON bodies: what is read from them. An edit changes what it should and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use switchyard::request::json_body::{BodyError, Edit, Peek, edit};
use switchyard::routes::graph::Params;
use switchyard::scan::top_level::MAX_FIELDS;
use switchyard::vocabulary::operation::Operation;

fn peek(body: &str) -> Peek {
    Peek::of(body.as_bytes()).unwrap()
}

fn edited(body: &str, model: Option<&str>, params: &Params) -> Option<String> {
    let splice = edit(body.as_bytes(), &peek(body), &Edit { model, params, asks_for_usage: false })?;
    Some(String::from_utf8(splice.apply(body.as_bytes())).unwrap())
}

fn params(drop: &[&str], rename: &[(&str, &str)], set: &[(&str, Value)]) -> Params {
    Params {
        drop: drop.iter().map(ToString::to_string).collect(),
        rename: rename.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        set: set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Params::default()
    }
}

#[test]
fn the_model_is_found_however_it_is_written() {
    for (body, expected) in [
        (r#"{"model":"gpt-4o"}"#, Some("gpt-4o")),
        ("\r\n\t { \"model\" : \"gpt-4o\" } \n", Some("gpt-4o")),
        // The name has no meaning below the top level.
        (r#"{"metadata":{"model":"x"},"messages":[{"model":"y"}]}"#, None),
        (r#"{"text":"\"model\":\"x\"","model":"gpt-4o"}"#, Some("gpt-4o")),
        // Escapes in the name and in the value.
        (r#"{"mod\u0065l":"gpt\u002d4o"}"#, Some("gpt-4o")),
        (r#"{"model":"\ud83d\ude00"}"#, Some("😀")),
        // The last of several members counts.
        (r#"{"model":"a","model":"b"}"#, Some("b")),
        (r#"{"model":"a","model":null}"#, None),
        // These count as missing.
        (r#"{"model":null}"#, None),
        ("{}", None),
        (r#"{"Model":"x"}"#, None),
    ] {
        assert_eq!(peek(body).model.as_deref(), expected, "{body}");
    }
}

#[test]
fn usage_is_asked_for_beside_all_other_options() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, Some(r#"{"model":"m","stream_options":{"include_usage":true}}"#)),
        ("{}", Some(r#"{"stream_options":{"include_usage":true}}"#)),
        (r#"{"stream_options":null,"n":1}"#, Some(r#"{"stream_options":{"include_usage":true},"n":1}"#)),
        (r#"{"stream_options": { } }"#, Some(r#"{"stream_options": {"include_usage":true } }"#)),
        (
            r#"{"stream_options":{"include_obfuscation" : false}}"#,
            Some(r#"{"stream_options":{"include_usage":true,"include_obfuscation" : false}}"#),
        ),
        (
            r#"{"stream_options":{"a":1,"include_usage": false ,"b":[true]}}"#,
            Some(r#"{"stream_options":{"a":1,"include_usage": true ,"b":[true]}}"#),
        ),
        (
            r#"{"stream_options":{"include_usage":null,"include_us\u0061ge":0}}"#,
            Some(r#"{"stream_options":{"include_usage":true,"include_us\u0061ge":true}}"#),
        ),
        // It asks itself, or the provider refuses it.
        (r#"{"stream_options":{"include_usage":true}}"#, None),
        (r#"{"stream_options":{"include_us\u0061ge":true}}"#, None),
        (r#"{"stream_options":[]}"#, None),
        (r#"{"stream_options":"x"}"#, None),
        (r#"{"stream_options":{"include_usage":true},"stream_options":null}"#, None),
    ] {
        let peek = peek(body);
        assert_eq!(peek.can_ask_for_usage(body.as_bytes(), |_| false), expected.is_some(), "{body}");
        if let Some(expected) = expected {
            let changes = Edit { model: None, params: &Params::default(), asks_for_usage: true };
            let splice = edit(body.as_bytes(), &peek, &changes).unwrap();
            assert_eq!(String::from_utf8(splice.apply(body.as_bytes())).unwrap(), expected);
        }
    }
    let shortened = r#"{"stream_options":{"x":"…"}}"#;
    assert!(!peek(shortened).can_ask_for_usage(shortened.as_bytes(), |_| true));
    let prefix = Peek::of_prefix(br#"{"model":"m","stream":true,"messages":["#).unwrap();
    assert!(
        !prefix.can_ask_for_usage(br#"{"model":"m","stream":true,"messages":["#, |_| false),
        "the rest may ask"
    );
}

#[test]
fn stream_and_the_output_limit_are_read() {
    for (body, stream, limit) in [
        (r#"{"stream":true,"max_tokens":5}"#, true, Some(5)),
        (r#"{"stream":false,"max_completion_tokens":7}"#, false, Some(7)),
        (r#"{"stream":null,"max_output_tokens":9}"#, false, Some(9)),
        // Only `true` means a stream. The upstream checks all other values.
        (r#"{"stream":"true","max_tokens":null}"#, false, None),
        (r#"{"max_tokens":-1}"#, false, None),
        (r#"{"max_tokens":1.5}"#, false, None),
        // Some clients send both members to be safe. The larger value counts.
        (r#"{"max_tokens":9,"max_completion_tokens":5}"#, false, Some(9)),
        // The last of several members counts.
        (r#"{"max_tokens":9,"max_tokens":5,"stream":true,"stream":1}"#, false, Some(5)),
        (r#"{"max_tokens":9,"max_tokens":"x"}"#, false, None),
    ] {
        let peek = peek(body);
        assert_eq!((peek.is_streamed, peek.max_output_tokens), (stream, limit), "{body}");
    }
}

#[test]
fn what_a_request_leaves_behind_is_known() {
    use Operation::{ChatCompletions, Responses};
    // Whether the request stores something: for `responses`, then for `chat/completions`.
    for (body, responses, chat) in [
        ("{}", true, false),
        (r#"{"store":true}"#, true, true),
        (r#"{"store":false}"#, false, false),
        (r#"{"store":null}"#, true, false),
        (r#"{"store" : false }"#, false, false),
        (r#"{"st\u006fre":true}"#, true, true),
        (r#"{"\u0073tore":false}"#, false, false),
        // The last of several members counts.
        (r#"{"store":true,"store":false}"#, false, false),
        (r#"{"store":false,"st\u006fre":null}"#, true, false),
        // The value has no meaning, so the default applies.
        (r#"{"store":"false"}"#, true, false),
        (r#"{"store":0}"#, true, false),
        (r#"{"store":[true]}"#, true, false),
        // The name has no meaning below the top level.
        (r#"{"store":false,"metadata":{"store":true},"messages":[{"store":true}]}"#, false, false),
        (r#"{"store":false,"background":true}"#, true, false),
        (r#"{"store":false,"back\u0067round":true}"#, true, false),
        (r#"{"store":false,"background":false}"#, false, false),
        (r#"{"store":false,"background":null}"#, false, false),
        (r#"{"store":false,"conversation":"conv_1"}"#, true, false),
        (r#"{"store":false,"conversation":{"id":"conv_1"}}"#, true, false),
        (r#"{"store":false,"conversation":null}"#, false, false),
        // To continue a response adds nothing to it. Several answers, or tools, store nothing.
        (r#"{"store":false,"previous_response_id":"resp_1"}"#, false, false),
        (r#"{"store":false,"n":8,"stream":true,"tools":[{"type":"function"}]}"#, false, false),
    ] {
        let peek = peek(body);
        let seen = (peek.has_side_effects(Responses), peek.has_side_effects(ChatCompletions));
        assert_eq!(seen, (responses, chat), "{body}");
        for operation in Operation::ALL {
            if !matches!(operation, Responses | ChatCompletions) {
                assert!(!peek.has_side_effects(operation), "{operation:?} {body}");
            }
        }
    }
}

#[test]
fn the_response_that_a_request_goes_on_from_is_a_string_or_none() {
    for (body, expected) in [
        (r#"{"previous_response_id":"resp_1"}"#, Some("resp_1")),
        (r#"{"previous_response_id":"resp\u005f1"}"#, Some("resp_1")),
        (r#"{"previous\u005fresponse_id":"resp_1"}"#, Some("resp_1")),
        (r#"{"previous_response_id":null}"#, None),
        (r#"{"previous_response_id":7}"#, None),
        (r#"{"previous_response_id":["resp_1"]}"#, None),
        (r#"{"previous_response_id":{"id":"resp_1"}}"#, None),
        (r#"{"previous_response_id":"\ud800"}"#, None),
        (r#"{"previous_response_id":"a","previous_response_id":null}"#, None),
        (r#"{"input":{"previous_response_id":"resp_1"}}"#, None),
        ("{}", None),
    ] {
        assert_eq!(peek(body).previous_response_id.as_deref(), expected, "{body}");
    }
}

#[test]
fn rules_get_the_fields_that_they_name() {
    let body = r#"{"user":"a","temperature":0.5,"user":{"id":[1]},"deep":DEEP,"other":1}"#
        .replace("DEEP", &format!("{}{}", "[".repeat(200), "]".repeat(200)));
    let names = ["user", "temperature", "deep", "absent"].map(str::to_owned);
    let expected =
        BTreeMap::from([("user".to_owned(), json!({"id": [1]})), ("temperature".to_owned(), json!(0.5))]);
    assert_eq!(peek(&body).fields(body.as_bytes(), &names, |_| None), expected);
}

#[test]
fn a_field_whose_last_value_cannot_be_read_is_absent() {
    for last in
        [r#""\ud800""#.to_owned(), "1e999".to_owned(), format!("{}1{}", "[".repeat(128), "]".repeat(128))]
    {
        let body = format!(r#"{{"user":"good","us\u0065r":{last}}}"#);
        let fields = |body: &str| peek(body).fields(body.as_bytes(), &["user".to_owned()], |_| None);
        assert_eq!(fields(&body), BTreeMap::new(), "{last}");
        let body = body.replace('}', r#","user":"better"}"#);
        assert_eq!(fields(&body), BTreeMap::from([("user".to_owned(), json!("better"))]));
    }
}

#[test]
fn what_is_no_json_object_gets_a_clear_error() {
    let message = |body: &[u8]| Peek::of(body).unwrap_err().to_string();
    insta::assert_snapshot!(message(b" \n"), @"The request body is empty; a JSON object was expected.");
    insta::assert_snapshot!(message(b"hello"), @"The request body is not valid JSON: expected value at line 1 column 1.");
    insta::assert_snapshot!(message(b"{\"model\":\n \"a\",}"), @"The request body is not valid JSON: trailing comma at line 2 column 6.");
    insta::assert_snapshot!(message(b"{'model':1}"), @"The request body is not valid JSON: key must be a string at line 1 column 2.");
    insta::assert_snapshot!(message(b"{\"model\":\"a\""), @"The request body is not valid JSON: EOF while parsing an object at line 1 column 12.");
    insta::assert_snapshot!(message(b"{} {}"), @"The request body is not valid JSON: trailing characters at line 1 column 4.");
    insta::assert_snapshot!(message(b"[{\"model\":\"a\"}]"), @"The request body is not a JSON object.");
    insta::assert_snapshot!(message(b"\"secret\""), @"The request body is not a JSON object.");
    insta::assert_snapshot!(message(b"{\"model\":4}"), @"`model` must be a string.");
    insta::assert_snapshot!(message(b"{\"a\":\"\xff\"}"), @"The request body is not valid Unicode at byte 6.");
    insta::assert_snapshot!(message(br#"{"model":"\ud800"}"#), @"The request body is not valid Unicode at byte 9.");
    let many: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("\"{n}\":0")).collect();
    insta::assert_snapshot!(message(format!("{{{}}}", many.join(",")).as_bytes()), @"The request body has more than 1024 top-level fields.");
    // A raw control character.
    insta::assert_snapshot!(message(b"{\"a\":\"\n\"}"), @"The request body is not valid JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 6.");
}

#[test]
fn depth_does_not_cost_stack() {
    let bomb = |depth: usize| format!(r#"{{"a":{}{},"model":"m"}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(peek(&bomb(1_000_000)).model.as_deref(), Some("m"));
    let open = format!(r#"{{"a":{}"#, "{\"a\":".repeat(1_000_000));
    assert!(matches!(Peek::of(open.as_bytes()), Err(BodyError::NotJson { .. })));
}

#[test]
fn the_model_is_spliced_and_nothing_else_moves() {
    let none = Params::default();
    for (body, expected) in [
        (r#"{"model":"a","n":1}"#, Some(r#"{"model":"eu","n":1}"#)),
        (
            "\n{ \"n\" : 1.0e5 ,\r\n\t\"model\" :  \"a\" }\n",
            Some("\n{ \"n\" : 1.0e5 ,\r\n\t\"model\" :  \"eu\" }\n"),
        ),
        // Every member with this name is replaced, also with another spelling.
        (
            r#"{"model":"a","mod\u0065l":"b","model":null}"#,
            Some(r#"{"model":"eu","mod\u0065l":"eu","model":"eu"}"#),
        ),
        // If there is no model, the new member comes last.
        ("{}", Some(r#"{"model":"eu"}"#)),
        ("{ }", Some(r#"{"model":"eu" }"#)),
        (r#"{"n":1 }"#, Some(r#"{"n":1,"model":"eu" }"#)),
        // Nothing changes: the caller can use its own buffer.
        (r#"{"model":"eu"}"#, None),
    ] {
        assert_eq!(edited(body, Some("eu"), &none).as_deref(), expected, "{body}");
    }
    assert_eq!(edited(r#"{"model":"a"}"#, None, &none), None);
    assert_eq!(edited("{}", Some("a\"b\\é"), &none).as_deref(), Some(r#"{"model":"a\"b\\é"}"#));
}

#[test]
fn params_drop_then_rename_then_set() {
    let rename = [("max_tokens", "max_completion_tokens")];
    for (body, params, expected) in [
        // The commas are right, wherever the dropped field was.
        (r#"{"a":1, "b":2 ,"c":3}"#, params(&["a"], &[], &[]), Some(r#"{"b":2 ,"c":3}"#)),
        (r#"{"a":1, "b":2 ,"c":3}"#, params(&["b"], &[], &[]), Some(r#"{"a":1 ,"c":3}"#)),
        (r#"{"a":1, "b":2 ,"c":3}"#, params(&["c"], &[], &[]), Some(r#"{"a":1, "b":2}"#)),
        (r#"{ "a":1, "b":2 }"#, params(&["a", "b"], &[], &[]), Some("{  }")),
        (r#"{"a":1,"b":2,"a":3}"#, params(&["a"], &[], &[]), Some(r#"{"b":2}"#)),
        (r#"{"\u0061":1}"#, params(&["a"], &[], &[("b", json!([1, null]))]), Some(r#"{"b":[1,null]}"#)),
        (r#"{"a":1}"#, params(&["x"], &[], &[]), None),
        // A field is renamed only if the new name is free.
        (r#"{"max_tokens" : 5}"#, params(&[], &rename, &[]), Some(r#"{"max_completion_tokens" : 5}"#)),
        (r#"{"max_tokens":5,"max_completion_tokens":6}"#, params(&[], &rename, &[]), None),
        (
            r#"{"max_tokens":5,"max_completion_tokens":6}"#,
            params(&["max_completion_tokens"], &rename, &[]),
            Some(r#"{"max_completion_tokens":5}"#),
        ),
        (r#"{"n":1}"#, params(&[], &rename, &[]), None),
        // Renames run in order, so that a later one can use a name that is free again.
        (r#"{"a":1,"b":2}"#, params(&[], &[("b", "c"), ("a", "b")], &[]), Some(r#"{"b":1,"c":2}"#)),
        // `set` replaces an existing field, or adds the field at the end.
        (r#"{"n":1,"m":2}"#, params(&[], &[], &[("n", json!(2))]), Some(r#"{"n":2,"m":2}"#)),
        (r#"{"n":1}"#, params(&[], &[], &[("n", json!(1))]), None),
        (
            r#"{"n":1}"#,
            params(&[], &[], &[("a", json!({})), ("b", json!("x"))]),
            Some(r#"{"n":1,"a":{},"b":"x"}"#),
        ),
        (
            r#"{"max_tokens":5}"#,
            params(&[], &rename, &[("max_completion_tokens", json!(9))]),
            Some(r#"{"max_completion_tokens":9}"#),
        ),
        (r#"{"a":1}"#, params(&["a"], &[], &[("a", json!(2))]), Some(r#"{"a":2}"#)),
        // `model` belongs to the gateway: `params` do not change it.
        (
            r#"{"model":"a"}"#,
            params(&["model"], &[("model", "m"), ("x", "model")], &[("model", json!(1))]),
            None,
        ),
    ] {
        assert_eq!(edited(body, None, &params).as_deref(), expected, "{body} {params:?}");
    }
}

#[test]
fn the_beginning_of_a_body_is_enough_where_the_model_stands_in_it() {
    let none = Params::default();
    for (prefix, model, expected) in [
        (r#"{"model":"a","messages":[{"role":"us"#, Some("a"), r#"{"model":"eu","messages":[{"role":"us"#),
        (r#"{"n":1,"model":"a""#, Some("a"), r#"{"n":1,"model":"eu""#),
        // The body is cut within the name or the value: the model is unknown.
        (r#"{"mod"#, None, ""),
        (r#"{"model":"gpt-"#, None, ""),
        (r#"{"model""#, None, ""),
        (r#"{"messages":[{"content":"..."#, None, ""),
        ("[1,2", None, ""),
        (r#"{"model":"a"x"#, None, ""),
        ("", None, ""),
    ] {
        let peek = Peek::of_prefix(prefix.as_bytes());
        assert_eq!(peek.as_ref().and_then(|peek| peek.model.as_deref()), model, "{prefix}");
        if let Some(peek) = peek {
            assert!(!peek.is_whole());
            let splice = edit(
                prefix.as_bytes(),
                &peek,
                &Edit { model: Some("eu"), params: &none, asks_for_usage: false },
            )
            .unwrap();
            let edited = splice.apply(prefix.as_bytes());
            assert_eq!(String::from_utf8(edited).unwrap(), expected);
        }
    }
    // Cut within a character, and within a number that may have more digits.
    assert!(Peek::of_prefix(b"{\"model\":\"a\",\"text\":\"\xc3").is_some());
    let peek = Peek::of_prefix(br#"{"model":"a","max_tokens":12"#).unwrap();
    assert_eq!(peek.max_output_tokens, None);
}

/// JSON values of moderate depth, with strings that are difficult for parsers.
#[test]
fn a_byte_order_mark_is_skipped_and_not_sent_on() {
    let body = "\u{feff} {\"model\":\"a\",\"stream\":true, \"text\":\"é\"}";
    assert_eq!((peek(body).model.as_deref(), peek(body).is_streamed), (Some("a"), true));
    let none = params(&[], &[], &[]);
    assert_eq!(edited(body, Some("b"), &none).unwrap(), r#" {"model":"b","stream":true, "text":"é"}"#);
    assert_eq!(edited(body, None, &none).unwrap(), r#" {"model":"a","stream":true, "text":"é"}"#);
    assert_eq!(edited("\u{feff}{}", Some("b"), &none).unwrap(), r#"{"model":"b"}"#);
    // The beginning of a body, an excerpt, and fields for rules.
    let peek_of_start = Peek::of_prefix(&body.as_bytes()[..20]).unwrap();
    assert_eq!(peek_of_start.model.as_deref(), Some("a"));
    let fields = peek(body).fields(body.as_bytes(), &["text".to_owned()], |_| None);
    assert_eq!(fields["text"], "é");
    // It is a mark only at the beginning, and once.
    for body in ["\u{feff}\u{feff}{}", "{}\u{feff}"] {
        assert!(matches!(Peek::of(body.as_bytes()), Err(BodyError::NotJson { .. })), "{body:?}");
    }
    assert_eq!(Peek::of("\u{feff} ".as_bytes()), Err(BodyError::Empty));
    assert_eq!(Peek::of(b"\xEF\xBB\xBF{\"a\":\"\xff\"}"), Err(BodyError::NotUnicode { at: 9 }));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\"\\\\\u{0}-\u{1f}a-z{},:é😀]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]|model", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A member name and its spelling in JSON: plain, or with an escape.
fn name() -> impl Strategy<Value = (String, String)> {
    let spellings = [
        ("a", r#""a""#),
        ("a", r#""\u0061""#),
        ("b", r#""b""#),
        ("c", r#""c""#),
        ("d", r#""\u0064""#),
        ("", r#""""#),
        ("model", r#""model""#),
        ("model", r#""mod\u0065l""#),
    ];
    prop::sample::select(spellings.to_vec())
        .prop_map(|(name, spelling)| (name.to_owned(), spelling.to_owned()))
}

/// Members as (name, text), and the body that they form. All texts are different.
fn body() -> impl Strategy<Value = (Vec<(String, String)>, String)> {
    let space = || prop::sample::select(vec!["", " ", "\n", "\r\n\t"]);
    let member = (name(), value(), prop::array::uniform4(space()));
    (prop::collection::vec(member, 0..6), prop::array::uniform3(space())).prop_map(
        |(members, [lead, inner, trail])| {
            let (mut named, mut texts) = (Vec::new(), Vec::new());
            for (index, ((name, spelling), value, [a, b, c, d])) in members.into_iter().enumerate() {
                let value = if name == "model" {
                    json!(format!("#{index} {value}"))
                } else {
                    json!([format!("#{index}"), value])
                };
                let text = format!("{spelling}{b}:{c}{value}");
                texts.push(format!("{a}{text}{d}"));
                named.push((name, text));
            }
            (named, format!("{lead}{{{inner}{}}}{trail}", texts.join(",")))
        },
    )
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "e"]).prop_map(str::to_owned)
}

fn any_params() -> impl Strategy<Value = Params> {
    (
        prop::collection::vec(field(), 0..3),
        prop::collection::vec((field(), field()), 0..3),
        prop::collection::vec((field(), value()), 0..3),
    )
        .prop_map(|(drop, rename, set)| Params { drop, rename, set, ..Params::default() })
}

proptest! {
    #[test]
    fn an_edit_means_what_it_would_mean_for_parsed_values(
        (_, body) in body(),
        model in prop::option::of("[a-z\"]{0,4}"),
        params in any_params(),
    ) {
        let mut expected: Map<String, Value> = serde_json::from_str(&body).unwrap();
        expected.retain(|name, _| !params.drop.contains(name));
        for (from, to) in &params.rename {
            if !expected.contains_key(to) && let Some(value) = expected.remove(from) {
                expected.insert(to.clone(), value);
            }
        }
        expected.extend(params.set.iter().cloned());
        expected.extend(model.iter().map(|model| ("model".to_owned(), Value::from(model.as_str()))));

        let result = edited(&body, model.as_deref(), &params).unwrap_or_else(|| body.clone());
        prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&result).unwrap(), expected, "{}", result);
    }

    #[test]
    fn members_that_no_edit_names_keep_their_bytes((members, body) in body(), params in any_params()) {
        let is_named = |name: &String| {
            params.drop.contains(name)
                || params.rename.iter().any(|(from, _)| from == name)
                || params.set.iter().any(|(set, _)| set == name)
        };
        let result = edited(&body, None, &params).unwrap_or_else(|| body.clone());
        let mut rest = result.as_str();
        for (_, text) in members.iter().filter(|(name, _)| !is_named(name)) {
            // Their order does not change either.
            rest = rest.split_once(text.as_str()).unwrap().1;
        }
    }

    #[test]
    fn an_edit_that_changes_nothing_makes_no_copy((_, body) in body()) {
        prop_assert_eq!(edited(&body, None, &Params::default()), None);
    }

    #[test]
    fn the_last_of_repeated_fields_is_read((_, body) in body()) {
        let parsed: BTreeMap<String, Value> = serde_json::from_str(&body).unwrap();
        let names: Vec<String> = parsed.keys().cloned().collect();
        let peek = peek(&body);
        prop_assert_eq!(peek.model.as_deref(), parsed.get("model").and_then(Value::as_str));
        prop_assert_eq!(peek.fields(body.as_bytes(), &names, |_| None), parsed);
    }

    #[test]
    fn a_cut_body_is_refused_and_its_beginning_is_never_misread((_, body) in body(), cut in any::<prop::sample::Index>()) {
        let end = body.trim_end().len();
        let prefix = &body.as_bytes()[..cut.index(end)];
        prop_assert!(Peek::of(prefix).is_err());
        if let Some(seen) = Peek::of_prefix(prefix) {
            let edit_all = Edit { model: Some("new"), params: &params(&["a", "b"], &[("c", "e")], &[("d", json!(1))]), asks_for_usage: false };
            let start = edit(prefix, &seen, &edit_all).map_or_else(|| prefix.to_vec(), |splice| splice.apply(prefix));
            let whole = [start.as_slice(), &body.as_bytes()[prefix.len()..]].concat();
            prop_assert!(serde_json::from_slice::<Value>(&whole).is_ok(), "{}", String::from_utf8_lossy(&whole));
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'"'), Just(b','), any::<u8>()], 0..64)) {
        let _ = Peek::of(&body);
        let _ = Peek::of_prefix(&body);
    }
}
