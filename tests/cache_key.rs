//! The key of an answer that is kept: equal requests have the same one, and no others.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, reason = "the tests of the machine use the rest")]
mod graphs;

use std::collections::BTreeSet;

use graphs::facts;
use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::entry::cache_key::AnswerQuestion;
use switchyard::request::excerpt::Excerpt;
use switchyard::request::json_body::Peek;
use switchyard::routes::compile;
use switchyard::routes::graph::Graph;
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::headers::Headers;

fn graph(cache: &Value) -> Graph {
    let document = json!({
        "version": 1,
        "deployments": { "a": { "provider": "openai", "api_key": "${KEY}", "model": "up" } },
        "models": { "m": { "targets": ["a"], "cache": cache } },
    });
    compile(&document.to_string(), &|_| Some("sk-up".to_owned())).unwrap().graph
}

/// The key of a request with this body, which is read as a whole or as an excerpt.
fn key_of(graph: &Graph, facts: &Facts, headers: &Headers, body: &str, is_excerpt: bool) -> String {
    let node = &graph.models["m"];
    let whole = Excerpt::from(body.as_bytes().to_vec());
    let read = || Excerpt::read(body.len(), 1_024, |start, end| &body.as_bytes()[start..end]).unwrap();
    let known = if is_excerpt { read() } else { whole };
    assert!(!is_excerpt || known.text().len() < body.len(), "it is shorter");
    let question = AnswerQuestion {
        graph,
        node,
        cache: node.cache.as_ref().unwrap(),
        facts,
        headers,
        peek: &Peek::of(known.text()).unwrap(),
        body: &known,
        part: &|start, end| body.as_bytes()[start..end].to_vec(),
    };
    question.key()
}

fn key(body: &str) -> String {
    key_of(&graph(&json!({ "ttl": 60 })), &facts(), &Headers::default(), body, false)
}

#[test]
fn a_key_is_the_same_in_every_isolate_and_build() {
    let key = key(r#"{"model":"m","messages":[]}"#);
    assert_eq!(key.len(), 64);
    assert!(key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{key}");
}

#[test]
fn each_fact_that_an_answer_depends_on_changes_the_key() {
    let graph = graph(&json!({ "ttl": 60, "by": ["user", "key", "metadata:team", "header:x-t"] }));
    let body = r#"{"model":"m"}"#;
    let with = |change: &dyn Fn(&mut Facts), headers: &[(&str, &str)]| {
        let mut facts = facts();
        change(&mut facts);
        key_of(&graph, &facts, &Headers::of(headers.iter().copied()), body, false)
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    let all = [
        with(&|_| {}, &[]),
        with(&|facts| facts.client = "other".to_owned(), &[]),
        with(&|facts| facts.key = "key_1".to_owned(), &[]),
        with(&|facts| facts.key = "key_2".to_owned(), &[]),
        with(&|facts| facts.client = String::new(), &[]),
        with(&|facts| facts.model = "other".to_owned(), &[]),
        with(&|facts| facts.operation = switchyard::vocabulary::operation::Operation::Completions, &[]),
        with(&|facts| facts.query.extend([pair("a", "b")]), &[]),
        with(&|facts| facts.query.extend([pair("ab", "")]), &[]),
        with(&|facts| facts.query.extend([pair("", "ab")]), &[]),
        with(&|facts| facts.query.extend([pair("a", "b"), pair("c", "d")]), &[]),
        with(&|_| {}, &[("openai-beta", "x")]),
        with(&|_| {}, &[("openai-beta", "y")]),
        with(&|_| {}, &[("openai-beta", "x"), ("openai-other", "y")]),
        with(&|facts| facts.body.extend([("user".to_owned(), json!("a"))]), &[]),
        with(&|facts| facts.metadata.extend([("team".to_owned(), json!("a"))]), &[]),
        with(&|facts| facts.metadata.extend([("team".to_owned(), json!(true))]), &[]),
        with(&|facts| facts.headers.extend([pair("x-t", "a")]), &[]),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(with(&|facts| facts.draw = 0.1, &[("user-agent", "x")]), all[0]);
    assert_eq!(with(&|facts| facts.metadata.extend([("team".to_owned(), json!(""))]), &[]), all[0]);
}

/// A short text of the characters with which parts could be confused.
fn text() -> impl Strategy<Value = String> {
    "[a\":,{}\\\\ 1]{0,3}"
}

/// Members of a body, in their order, each with its value as it is written.
fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("1.0".to_owned()),
        Just("[ 1]".to_owned()),
        text().prop_map(|text| json!(text).to_string()),
        text().prop_map(|text| json!({ text: 1 }).to_string()),
    ];
    prop::collection::vec((text(), value), 0..4)
}

fn body(members: &[(String, String)], space: &str) -> String {
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("{space}{}:{space}{value}", json!(name))).collect();
    format!("{{{}{space}}}", members.join(","))
}

proptest! {
    #[test]
    fn two_bodies_have_one_key_if_and_only_if_their_members_are_equal(one in members(), other in members()) {
        let in_order = |members: &[(String, String)]| {
            let mut members = members.to_vec();
            // The order of members of the same name stays.
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            members
        };
        let (first, second) = (key(&body(&one, "")), key(&body(&other, "\n")));
        prop_assert_eq!(first == second, in_order(&one) == in_order(&other));
        prop_assert_eq!(key(&body(&one, " ")), first);
    }

    #[test]
    fn the_order_of_members_with_different_names_does_not_matter(members in members(), turns in 0_usize..4) {
        let mut turned = members.clone();
        let names: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
        prop_assume!(names.len() == members.len());
        turned.rotate_left(turns.min(members.len()));
        prop_assert_eq!(key(&body(&turned, "")), key(&body(&members, "")));
    }

    #[test]
    fn a_body_of_which_an_excerpt_was_read_has_the_key_of_the_whole(
        size in 1_100_usize..4_000, at in 0_usize..1_100, other in 0_u8..3,
    ) {
        let graph = graph(&json!({ "ttl": 60 }));
        let mut long = "a".repeat(size);
        let body = |long: &str| json!({ "model": "m", "messages": [{ "content": long }] }).to_string();
        let key = |body: &str, is_excerpt| key_of(&graph, &facts(), &Headers::default(), body, is_excerpt);
        let first = key(&body(&long), true);
        prop_assert_eq!(&first, &key(&body(&long), false));
        // What the excerpt leaves out counts as well.
        long.replace_range(at..=at, ["a", "b", "é"][usize::from(other)]);
        prop_assert_eq!(key(&body(&long), true) == first, other == 0);
    }
}
