//! Usage, over all texts: what a reader of whole values finds in an answer is what is found in its
//! bytes, and costs are the sums of their parts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use switchyard::usage::price::Price;
use switchyard::usage::reported::Reported;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::usage::Usage;

/// Names that mean something, and others.
fn name() -> impl Strategy<Value = String> {
    select(vec![
        "usage",
        "response",
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "output_tokens_details",
        "cached_tokens",
        "reasoning_tokens",
        "seconds",
        "metadata",
        "a\"usage",
        "",
    ])
    .prop_map(str::to_owned)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..100).prop_map(Value::from),
        (0.0..1e6_f64).prop_map(Value::from),
        select(vec!["", "usage", "\"usage\":{\"input_tokens\":9}", "\\", "}", "é"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name(), inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The text of an object that may have usage, with its members in any order, some of them twice.
fn answer() -> impl Strategy<Value = String> {
    let space = select(vec!["", " ", "\n\t "]);
    (vec((name(), any_json()), 0..6), space, any::<bool>()).prop_map(|(members, space, is_pretty)| {
        let text = |value: &Value| {
            if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }
                .unwrap()
        };
        let member =
            |(name, value): &(String, Value)| format!("{}{space}:{space}{}", json!(name), text(value));
        let members: Vec<_> = members.iter().map(member).collect();
        format!("{{{space}{}{space}}}{space}", members.join(","))
    })
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The usage as a reader of whole values finds it.
fn usage_of(object: Option<&Value>) -> Option<Usage> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as the crate does")]
    let whole = |number: f64| (number >= 0.0).then(|| number.round() as u64);
    let number = |value: &Value| value.as_u64().or_else(|| value.as_f64().and_then(whole));
    let object = object?.as_object()?;
    // The members of a map are in the order in which they are written.
    let either = |names: [&str; 2]| {
        object
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()))
            .filter_map(|(_, value)| number(value))
            .next_back()
    };
    let (input, output) =
        (either(["prompt_tokens", "input_tokens"]), either(["completion_tokens", "output_tokens"]));
    let seconds = object.get("seconds").and_then(Value::as_f64).and_then(|seconds| whole(seconds * 1_000.0));
    input.or(output).or(seconds)?;
    let detail = |details: &str, part: &str| {
        object.get(details).and_then(|details| details.get(part)).and_then(number).unwrap_or(0)
    };
    let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input_tokens,
        cached_input_tokens: detail("prompt_tokens_details", "cached_tokens").min(input_tokens),
        output_tokens,
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens").min(output_tokens),
        audio_ms: seconds.unwrap_or(0),
        ..Usage::default()
    })
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let quantity = prop_oneof![Just(0), 0_u64..10_000, any::<u64>()];
    (vec(quantity, 7), any::<bool>()).prop_map(|(quantities, is_estimated)| Usage {
        input_tokens: quantities[0],
        cached_input_tokens: quantities[1],
        output_tokens: quantities[2],
        reasoning_tokens: quantities[3],
        images: quantities[4],
        audio_ms: quantities[5],
        characters: quantities[6],
        is_estimated,
    })
}

proptest! {
    #[test]
    fn the_bytes_of_an_answer_say_what_its_values_say(text in answer()) {
        let expected = usage_of(read(&text).get("usage"));
        let found = Reported::in_answer(Operation::ChatCompletions, text.as_bytes());
        prop_assert_eq!(found.map(|reported| reported.usage), expected, "{}", text);
        let found = Reported::in_event(text.as_bytes());
        prop_assert_eq!(found.map(|reported| reported.usage), expected, "{}", text);
    }

    #[test]
    fn the_last_event_of_a_response_says_what_its_response_says(response in answer(), other in any_json()) {
        let text = format!(r#"{{"metadata":{other},"response":{response},"sequence_number":{other}}}"#);
        let found = Reported::in_last_event_of_response(text.as_bytes(), b"");
        prop_assert_eq!(found.map(|reported| reported.usage), usage_of(read(&response).get("usage")), "{}", text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..60), text in r#"[{}\[\]",:usage0-9 \\.e]{0,60}"#) {
        for body in [&bytes[..], text.as_bytes(), &[b"{\"usage\":{", &bytes[..]].concat(), &[b"{\"data\":[", text.as_bytes()].concat()] {
            for operation in Operation::ALL {
                let _ = Reported::in_answer(operation, body);
            }
            let _ = Reported::in_last_event_of_response(body, b"");
            let _ = Reported::in_last_event_of_response(b"{", body);
        }
    }

    #[test]
    fn more_never_costs_less(
        usage in any_usage(),
        prices in vec(prop_oneof![Just(0), 0_u64..1_000_000, any::<u64>()], 6),
        more in 0_u64..1_000,
    ) {
        let price = Price {
            input: prices[0],
            // A price for cached input is not higher than that for input.
            cached_input: prices[1].min(prices[0]),
            output: prices[2],
            image: prices[3],
            minute: prices[4],
            request: prices[5],
        };
        let base = price.micro_usd(&usage);
        let plus = |quantity: u64| quantity.saturating_add(more);
        for larger in [
            Usage { output_tokens: plus(usage.output_tokens), ..usage },
            Usage { images: plus(usage.images), ..usage },
            Usage { audio_ms: plus(usage.audio_ms), ..usage },
            Usage { characters: plus(usage.characters), ..usage },
        ] {
            prop_assert!(price.micro_usd(&larger) >= base, "{:?}", larger);
        }
        let same = Usage { reasoning_tokens: more, is_estimated: !usage.is_estimated, ..usage };
        prop_assert_eq!(price.micro_usd(&same), base, "reasoning is part of the output");
    }

    #[test]
    fn the_exact_costs_of_parts_add_up(
        usages in vec(any_usage().prop_map(|usage| Usage { input_tokens: usage.input_tokens % 1_000_000 + 1, cached_input_tokens: 0, ..usage }), 1..8),
        input in 0_u64..10_000_000,
    ) {
        let price = Price { input, cached_input: input, ..Price::default() };
        let tokens: u64 = usages.iter().map(|usage| usage.input_tokens).sum();
        let whole = price.exact(&Usage { input_tokens: tokens, ..Usage::default() });
        prop_assert_eq!(usages.iter().map(|usage| price.exact(usage)).sum::<u128>(), whole);
    }
}
