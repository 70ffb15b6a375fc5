//! Properties that hold for every answer.

use super::*;

/// Any JSON. The names that classification reads are frequent in it.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["error|errors|code|type|message|param|innererror|status|choices|output", ".*"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in any::<u16>(), bytes in any::<Vec<u8>>(), json in any_json(), header in ".*") {
        let json = json.to_string().into_bytes();
        for body in [&bytes, &json] {
            let failure = answer(status, &[("retry-after", &header)], body);
            prop_assert_eq!(failure.status, Some(status));
            prop_assert!(failure.reason.len() <= 64 && !failure.reason.is_empty());
            for operation in Operation::ALL {
                for content_type in [JSON, "", &header] {
                    let _ = fault(operation, content_type, body);
                }
            }
        }
    }

    #[test]
    fn wherever_an_answer_breaks_off_it_is_no_answer(json in any_json(), at in any::<prop::sample::Index>()) {
        let body = json!({ "choices": [json] }).to_string().into_bytes();
        prop_assert_eq!(fault(Operation::ChatCompletions, JSON, &body), None);
        let fault = fault(Operation::ChatCompletions, JSON, &body[..at.index(body.len())]);
        // A body that is cut within a number looks like a syntax error.
        prop_assert!(matches!(fault.map(|fault| fault.class), Some(Truncated | Unavailable)));
    }

    #[test]
    fn a_body_never_makes_a_429_the_callers_fault(json in any_json()) {
        let class = answer(429, &[], json.to_string().as_bytes()).class;
        prop_assert!(matches!(class, RateLimit | Quota));
    }
}
