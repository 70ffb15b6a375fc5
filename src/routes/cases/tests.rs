use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::routes::glob::Glob;
use crate::vocabulary::facts::Place;
use crate::vocabulary::needs::Needs;
use crate::vocabulary::operation::Operation;

fn facts(path: &str, model: &str, tier: Option<&str>, metadata: &Value, input_tokens: u64) -> Facts {
    let entries = metadata.as_object().cloned().unwrap_or_default();
    Facts {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: BTreeMap::new(),
        operation: Operation::ChatCompletions,
        model: model.to_owned(),
        client: "app".to_owned(),
        key: String::new(),
        headers: tier.map(|tier| ("x-tier".to_owned(), tier.to_owned())).into_iter().collect(),
        metadata: entries.into_iter().collect(),
        place: Place::default(),
        body: BTreeMap::new(),
        labels: std::rc::Rc::default(),
        texts: Vec::new(),
        input_tokens,
        max_output_tokens: None,
        needs: Needs::default(),
        is_streamed: false,
        is_replayable: true,
        has_side_effects: false,
        is_done_once: false,
        previous_response_id: None,
        owner: None,
        patience_ms: None,
        upload_ms: crate::vocabulary::time::Millis::ZERO,
        draw: 0.5,
    }
}

/// The number of conditions that are tested for a request, and the first that holds.
fn looked_at(cases: &Cases<Condition>, facts: &Facts) -> (usize, Option<usize>) {
    let count = Cell::new(0);
    let first = cases.first_of(facts, &|_| {
        count.set(count.get() + 1);
        true
    });
    (count.get(), first)
}

fn is(fact: Fact, pattern: &str) -> Condition {
    Condition::Fact(fact, ValueTest::Text(Glob::new(pattern)))
}

fn header() -> Fact {
    Fact::Header("x-tier".to_owned())
}

fn team() -> Fact {
    Fact::Metadata("team".to_owned())
}

#[test]
fn of_five_hundred_a_few_are_looked_at() {
    let one_of = |n: usize, kind: usize| match kind {
        0 => is(Fact::Path, &format!("/ai/team-{n}/*")),
        1 => Condition::All(vec![is(Fact::Operation, "chat/completions"), is(team(), &format!("team-{n}"))]),
        2 => Condition::All(vec![is(header(), &format!("tier-{n}")), is(Fact::Model, "chat*")]),
        3 => {
            Condition::Any(vec![is(Fact::Model, &format!("m-{n}")), is(Fact::Client, &format!("client-{n}"))])
        }
        _ => Condition::Fact(
            Fact::Model,
            ValueTest::All(vec![
                ValueTest::Any(vec![
                    ValueTest::Text(Glob::new(format!("x-{n}"))),
                    ValueTest::Prefix(format!("y-{n}-")),
                ]),
                ValueTest::Not(Box::new(ValueTest::Text(Glob::new("*-old")))),
            ]),
        ),
    };
    let cases = Cases::from((0..500).map(|n| one_of(n, n % 5)).collect::<Vec<_>>());
    for (facts, most, first) in [
        (facts("/v1/chat/completions", "chat", None, &json!({}), 10), 0, None),
        (facts("/ai/team-445/v1/chat/completions", "chat", None, &json!({}), 10), 1, Some(445)),
        (facts("/v1/chat/completions", "chat", None, &json!({ "team": "team-401" }), 10), 1, Some(401)),
        (facts("/v1/chat/completions", "chat", Some("tier-112"), &json!({}), 10), 1, Some(112)),
        (facts("/v1/chat/completions", "gpt", Some("tier-112"), &json!({}), 10), 1, None),
        // Numbers with a common prefix: 4, 49, 499.
        (facts("/v1/chat/completions", "y-499-a", None, &json!({}), 10), 2, Some(499)),
        (facts("/v1/chat/completions", "m-498", None, &json!({}), 10), 3, Some(498)),
    ] {
        let (count, found) = looked_at(&cases, &facts);
        assert!(count <= most, "{count} of 500 were looked at for {facts:?}");
        assert_eq!(found, first, "{facts:?}");
    }
}

#[test]
fn what_says_nothing_of_any_text_is_always_looked_at() {
    let not = Condition::Not(Box::new(is(Fact::Model, "chat")));
    let missing = Condition::Fact(header(), ValueTest::Exists(false));
    let cases = Cases::from(vec![is(header(), "*"), not, missing, Condition::Always]);
    let plain = facts("/v1/chat/completions", "chat", None, &json!({}), 10);
    assert_eq!(looked_at(&cases, &plain), (2, Some(2)));
    let golden = facts("/v1/chat/completions", "chat", Some("gold"), &json!({}), 10);
    assert_eq!(looked_at(&cases, &golden), (1, Some(0)));
}

/// Texts from a small alphabet, so that they often match.
fn word() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["", "a", "ab", "b", "é", "éa", "5", "true"]).prop_map(str::to_owned)
}

fn test() -> impl Strategy<Value = ValueTest> {
    let leaf = prop_oneof![
        4 => (word(), proptest::sample::select(vec!["", "*", "*a", "*b*"]))
            .prop_map(|(head, tail)| ValueTest::Text(Glob::new(head + tail))),
        2 => word().prop_map(ValueTest::Prefix),
        1 => Just(ValueTest::Number(5.0)),
        1 => Just(ValueTest::Bool(true)),
        1 => Just(ValueTest::Within(Bound::Excluded(4.0), Bound::Unbounded)),
        1 => any::<bool>().prop_map(ValueTest::Exists),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(ValueTest::Any),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(ValueTest::All),
            inner.prop_map(|test| ValueTest::Not(Box::new(test))),
        ]
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let fact = proptest::sample::select(vec![Fact::Path, Fact::Model, header(), team(), Fact::InputTokens]);
    let leaf = prop_oneof![
        8 => (fact, test()).prop_map(|(fact, test)| Condition::Fact(fact, test)),
        1 => Just(Condition::Always),
        1 => Just(Condition::Share { buckets: 5_000, by: None, salt: 1 }),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            inner.prop_map(|condition| Condition::Not(Box::new(condition))),
        ]
    })
}

fn found() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => word().prop_map(Value::from),
        1 => Just(json!(5)),
        1 => Just(json!(true)),
        1 => Just(json!(null)),
        1 => Just(json!({ "a": "b" })),
        2 => proptest::collection::vec(word(), 0..3).prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn the_first_that_holds_is_found(
        conditions in proptest::collection::vec(condition(), 0..12),
        (path, model, tier) in (word(), word(), proptest::option::of(word())),
        (team, input_tokens) in (found(), proptest::sample::select(vec![0_u64, 5, 50])),
    ) {
        let facts = facts(&path, &model, tier.as_deref(), &json!({ "team": team }), input_tokens);
        let cases = Cases::from(conditions);
        prop_assert_eq!(cases.first(&facts), cases.iter().position(|condition| condition.holds(&facts)));
    }

    #[test]
    fn the_first_that_holds_and_counts_is_found(
        conditions in proptest::collection::vec(condition(), 0..12),
        (path, model) in (word(), word()),
    ) {
        let facts = facts(&path, &model, None, &json!({}), 5);
        let counts = |condition: &Condition| matches!(condition, Condition::Fact(..) | Condition::Not(_));
        let cases = Cases::from(conditions);
        let linear = cases.iter().position(|condition| counts(condition) && condition.holds(&facts));
        prop_assert_eq!(cases.first_of(&facts, &counts), linear);
    }
}
