//! Bodies of requests.

use std::collections::BTreeSet;

use switchyard::entry::object_affinity::{ids_in_answer, ids_in_request};
use switchyard::request::body_needs::needs;
use switchyard::request::body_watch::BodyWatch;
use switchyard::request::excerpt::{Excerpt, LEFT_OUT};
use switchyard::request::form_watch::FormWatch;
use switchyard::request::json_body::{Edit, Peek, edit};
use switchyard::request::multipart::{Form, FormError};
use switchyard::request::stored_object::is_id;
use switchyard::routes::graph::Params;
use switchyard::routes::reads::Reads;
use switchyard::scan::member_watch::MemberWatch;
use switchyard::scan::texts::has_text;
use switchyard::scan::top_level;
use switchyard::vocabulary::needs::{Feature, Features};
use switchyard::vocabulary::operation::Operation;

use super::controls;

const BOUNDARY: &str = "b";

/// An edit of everything that can be edited.
fn params() -> Params {
    Params {
        drop: vec!["store".to_owned()],
        rename: vec![("max_tokens".to_owned(), "max_completion_tokens".to_owned())],
        set: vec![("user".to_owned(), "u".into())],
        ..Params::default()
    }
}

/// The texts of a value, at any depth.
fn texts_of(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| texts_of(value, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|value| texts_of(value, texts)),
        _ => {}
    }
}

/// The scanner agrees with `serde_json`, no text is hidden from rules, an edit leaves a valid body
/// with the new model, and a body in pieces has as many models as in one piece.
pub fn json_body(data: &[u8]) {
    let (piece, _, body) = controls(data);
    let peek = Peek::of(body);
    let mut found = BTreeSet::new();
    has_text(body, &mut |text| {
        found.insert(text.to_owned());
        false
    });
    if let Ok(text) = std::str::from_utf8(body) {
        let (members, ended) = top_level::parse(text);
        let scanned = top_level::members(body).map(|object| object.members);
        assert_eq!(scanned, ended.is_ok().then_some(members));
    } else {
        assert!(peek.is_err());
    }
    let Ok(peek) = peek else { return };
    for operation in Operation::ALL {
        let _ = peek.has_side_effects(operation);
    }
    let fields = peek.fields(body, &["user".to_owned(), "input".to_owned()], |_| None);
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) {
        let mut texts = Vec::new();
        texts_of(&value, &mut texts);
        assert!(texts.iter().all(|text| found.contains(text)), "{texts:?} {found:?}");
        for (name, field) in fields {
            assert_eq!(value.get(&name), Some(&field), "the last value of {name} counts");
        }
    }
    let mut watch = MemberWatch::new("model");
    assert!(body.chunks(piece + 1).all(|piece| watch.read(piece).is_ok()) && watch.is_complete());
    assert_eq!(watch.count(), peek.model_count(body));
    let changes = Edit { model: Some("m"), params: &params(), asks_for_usage: true };
    let edited = edit(body, &peek, &changes).map_or_else(|| body.to_vec(), |splice| splice.apply(body));
    let again = Peek::of(&edited).unwrap();
    assert_eq!(again.model.as_deref(), Some("m"));
    assert_eq!(edit(&edited, &again, &changes), None, "an edit changes nothing twice");
}

/// What the beginning of a body says holds for the whole body, unless the watch ends it.
pub fn json_rest(data: &[u8]) {
    let (cut, piece, body) = controls(data);
    let (first, rest) = body.split_at(cut.min(body.len()));
    let Some(peek) = Peek::of_prefix(first) else { return };
    let Ok(watch) = BodyWatch::json(first, peek.model_count(first)) else { return };
    if rest.chunks(piece + 1).all(|piece| watch.read(piece).is_ok()) && watch.end().is_ok() {
        if let Ok(whole) = Peek::of(body) {
            assert_eq!(whole.model, peek.model);
        }
    } else {
        assert!(watch.error().is_some());
    }
}

/// An excerpt is an object if its body is one, and an edit of it is one of the body. It shows the
/// same needs.
pub fn excerpt(data: &[u8]) {
    let (window, repeat, rest) = controls(data);
    // The fuzzer makes no long texts, so one byte of the input stands for many.
    let long = vec![b'x'; repeat * 16];
    let body = rest.split(|byte| *byte == 0).collect::<Vec<_>>().join(long.as_slice());
    let read = Excerpt::read(body.len(), window * 8 + 4, |start, end| &body[start..end]);
    let Some(excerpt) = read else { return };
    let (shown, whole) = (Peek::of(excerpt.text()), Peek::of(&body));
    assert_eq!(shown.is_ok(), whole.is_ok());
    let (Ok(shown), Ok(whole)) = (shown, whole) else { return };
    assert_eq!(shown.is_streamed, whole.is_streamed);
    if !shown.model.as_ref().is_some_and(|model| model.contains(LEFT_OUT)) {
        assert_eq!(shown.model, whole.model);
    }
    let features = Feature::ALL.into_iter().fold(Features::default(), Features::with);
    let reads = Reads { features, context_tokens: Some(0), ..Reads::default() };
    let (of_excerpt, of_body) =
        (needs(&shown, &excerpt, 1, &reads), needs(&whole, &body.clone().into(), 1, &reads));
    assert_eq!(of_excerpt.features, of_body.features);
    let asks_for_usage = shown.can_ask_for_usage(excerpt.text(), |span| excerpt.is_shortened(span));
    let changes = Edit { model: Some("m"), params: &params(), asks_for_usage };
    let of_excerpt =
        edit(excerpt.text(), &shown, &changes).map(|splice| splice.moved(|at| excerpt.original(at)));
    let of_body = edit(&body, &whole, &changes);
    assert_eq!(of_excerpt.map(|splice| splice.apply(&body)), of_body.map(|splice| splice.apply(&body)));
}

/// A form has the new model after an edit, and in pieces it has as many models as in one piece.
pub fn form(data: &[u8]) {
    let (piece, cut, body) = controls(data);
    let mut watch = FormWatch::new(BOUNDARY);
    let watched = body.chunks(piece + 1).try_for_each(|piece| watch.read(piece));
    let form = Form::of(body, BOUNDARY);
    if watched.is_ok() && watch.is_complete() {
        assert_eq!(
            form.as_ref().map(Form::model_count).map_err(|error| *error == FormError::ModelNotText),
            match form {
                Err(FormError::ModelNotText) => Err(true),
                _ => Ok(watch.count()),
            }
        );
    }
    if let Ok(form) = form {
        let edited = form.with_model(body.len(), "m").apply(body);
        assert_eq!(Form::of(&edited, BOUNDARY).unwrap().model.as_deref(), Some("m"));
    }
    let first = &body[..cut.min(body.len())];
    if let Some(form) = Form::of_prefix(first, BOUNDARY) {
        let edited = form.with_model(first.len(), "m").apply(first);
        assert_eq!(Form::of_prefix(&edited, BOUNDARY).unwrap().model.as_deref(), Some("m"));
    }
}

/// Ids that are remembered are valid ones.
pub fn object_ids(data: &[u8]) {
    for id in ids_in_answer(data, "resp_").chain(ids_in_request(data)) {
        assert!(is_id(id), "{id:?}");
    }
}
