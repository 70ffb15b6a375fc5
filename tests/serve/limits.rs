//! Limits of clients and of the gateway, in virtual time: with ledgers that answer, are slow, or do
//! not answer at all.

use std::rc::Rc;

use serde_json::{Value, json};
use switchyard::serve::isolate_memory::Isolate;

use super::fake::{Answer, Bench, Script, Step};
use super::times::ms;
use super::{CHAT, FIRST, LAST, STREAM};

const APP: &str = "default/client:app";

/// An answer that used 30 tokens of input and 12 of output.
const USED: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42}}"#;

/// A gateway whose client `app` has these limits, with further settings.
fn limited(limits: &Value, settings: &Value) -> Bench {
    let mut document: Value = serde_json::from_str(&super::routes("", "")).unwrap();
    document["clients"]["app"]["limits"] = limits.clone();
    for (key, value) in settings.as_object().unwrap() {
        document["settings"][key] = value.clone();
    }
    for name in ["first", "second"] {
        document["deployments"][name]["cost"] = json!({ "input": 1.0, "output": 10.0 });
    }
    let bench = Bench::started(&document.to_string());
    bench.script((0..200).map(|_| Script::json(200, USED)));
    bench
}

fn of_app(limits: &Value) -> Bench {
    limited(limits, &json!({}))
}

/// A chat request that states how much it may use.
fn asking_for(tokens: u64) -> String {
    json!({ "model": "m", "max_tokens": tokens, "messages": [] }).to_string()
}

fn error(answer: &Answer) -> Value {
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    body["error"].clone()
}

#[test]
fn a_quota_of_a_day_ends_with_the_day() {
    let mut bench = of_app(&json!([{ "requests": 3, "per": "day" }]));
    for _ in 0..3 {
        assert_eq!(bench.begin_chat(CHAT).status, 200);
    }
    let calls = bench.calls().len();
    let refused = bench.begin_chat(CHAT);
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, "false"));
    let error = error(&refused);
    assert_eq!(
        (error["code"].as_str(), error["type"].as_str()),
        (Some("insufficient_quota"), Some("insufficient_quota"))
    );
    let after: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert_eq!((bench.now() + ms(after)).epoch_ms() % 86_400_000, 0);
    assert_eq!(bench.calls().len(), calls, "nothing is sent");
    assert_eq!(bench.record()["outcome"], "insufficient_quota");
    bench.pass(ms(after - 100));
    assert_eq!(bench.begin_chat(CHAT).status, 429);
    bench.pass(ms(400));
    assert_eq!(bench.begin_chat(CHAT).status, 200, "{:?}", bench.log());
}

#[test]
fn a_rate_limit_says_when_the_next_request_fits() {
    let mut bench = of_app(&json!([{ "requests": 60, "per": "minute" }]));
    for _ in 0..60 {
        assert_eq!(bench.begin_chat(CHAT).status, 200);
    }
    let refused = bench.begin_chat(CHAT);
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, "true"));
    let about = ["limit", "remaining", "reset"].map(|name| format!("x-ratelimit-{name}-requests"));
    let about = about.map(|name| refused.header(&name).to_owned());
    assert_eq!((about[0].as_str(), about[1].as_str()), ("60", "0"), "{about:?}");
    assert!(about[2].ends_with('s'), "{about:?}");
    assert_eq!(refused.header("x-ratelimit-limit-tokens"), "", "it has no such limit");
    assert_eq!(error(&refused)["code"], "rate_limit_exceeded");
    assert_eq!(
        error(&refused)["message"],
        "Your limit of 60 requests a minute is used up. Try again in 1 s."
    );
    let after: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert!((1..=1_000).contains(&after), "{after}");
    bench.pass(ms(after));
    assert_eq!(bench.begin_chat(CHAT).status, 200);
}

#[test]
fn what_a_request_really_used_is_what_counts() {
    let limits = json!([{ "tokens": 10_000, "per": "day" }, { "usd": 1, "per": "month" }]);
    let mut bench = of_app(&limits);
    bench.chat(CHAT);
    assert_eq!(bench.limit(APP, "tokens/day"), (42, 0, 9_958));
    // 30 tokens of input at 1 dollar a million, 12 of output at 10.
    assert_eq!(bench.limit(APP, "usd/month"), (150, 0, 999_850));
}

#[test]
fn a_request_that_may_use_more_than_is_left_is_refused_before_it_is_sent() {
    let mut bench = of_app(&json!([{ "tokens": 1_000, "per": "day" }]));
    assert_eq!(bench.chat(&asking_for(900)).status, 200);
    let refused = bench.chat(&asking_for(2_000));
    assert_eq!(
        (refused.status, refused.header("x-should-retry"), refused.header("retry-after")),
        (429, "false", "")
    );
    assert!(error(&refused)["message"].as_str().unwrap().contains("whole limit of 1000 tokens a day"));
    assert_eq!(bench.calls().len(), 1);
    assert_eq!(bench.chat(&asking_for(900)).status, 200, "what was not used came back");
}

#[test]
fn a_request_that_states_no_output_is_not_refused_for_what_it_probably_does_not_use() {
    let mut bench = of_app(&json!([{ "tokens": 500, "per": "day" }]));
    assert_eq!(bench.chat(CHAT).status, 200);
    assert_eq!(bench.limit(APP, "tokens/day"), (42, 0, 458));
}

#[test]
fn requests_at_the_same_time_are_counted_until_their_answers_end() {
    let mut bench = of_app(&json!([{ "concurrent": 2 }]));
    bench.script([]);
    bench.drop_scripts();
    let stream =
        || Script::events(vec![Step::Bytes(FIRST.into()), Step::Pause(ms(20_000)), Step::Bytes(LAST.into())]);
    bench.script([stream(), stream(), Script::json(200, USED)]);
    assert_eq!(bench.begin_chat(STREAM).status, 200);
    assert_eq!(bench.begin_chat(STREAM).status, 200);
    let refused = bench.begin_chat(CHAT);
    assert_eq!((refused.status, error(&refused)["code"].clone()), (429, json!("rate_limit_exceeded")));
    bench.pass(ms(19_000));
    assert_eq!(bench.begin_chat(CHAT).status, 429, "the streams still flow, and the leases live as long");
    bench.pass(ms(2_000));
    assert_eq!(bench.begin_chat(CHAT).status, 200);
    bench.finish();
    bench.pass(ms(20_000));
    assert_eq!(bench.limit(APP, "concurrent").1, 0, "nobody holds it");
}

#[test]
fn many_short_requests_need_no_more_places_than_there_are_at_one_time() {
    let mut bench = of_app(&json!([{ "concurrent": 1_000 }]));
    for _ in 0..40 {
        bench.script([Script::json(200, USED), Script::json(200, USED)]);
        let sent = [bench.send_chat(CHAT), bench.send_chat(CHAT)];
        bench.pass(ms(250));
        assert!(sent.into_iter().all(|answer| answer.take().unwrap().0.status == 200));
    }
    let asked = bench.ledgers().asked.borrow().len();
    assert!(asked < 15, "{asked} reports in ten seconds");
    let (_, leased, free) = bench.limit(APP, "concurrent");
    assert!(leased <= 12 && free >= 988, "{leased} of them are held for two");
}

#[test]
fn isolates_share_a_limit_to_the_last_request() {
    let mut bench = of_app(&json!([{ "requests": 30, "per": "day" }]));
    let isolates: Vec<Rc<Isolate>> = (0..8).map(|_| Rc::default()).collect();
    for (index, isolate) in isolates.iter().enumerate() {
        // Each has randomness of its own.
        isolate.random(|| [u8::try_from(index).unwrap(); 32]);
        bench.arrive_at(Rc::clone(isolate));
        bench.request("GET", "/healthz", "");
    }
    let mut served = 0;
    for turn in 0..12 {
        for isolate in &isolates {
            bench.arrive_at(Rc::clone(isolate));
            served += u32::from(bench.begin_chat(CHAT).status == 200);
        }
        bench.pass(ms(if turn % 3 == 0 { 5_000 } else { 100 }));
    }
    assert_eq!(served, 30, "none more, and none less");
}

#[test]
fn only_requests_without_a_lease_wait_and_for_one_answer_together() {
    let mut bench = of_app(&json!([{ "requests": 100_000, "per": "minute" }]));
    bench.ledgers().takes.set(ms(20));
    let sent: Vec<_> = (0..20).map(|_| bench.send_chat(CHAT)).collect();
    bench.pass(ms(100));
    for answer in sent {
        let (answer, took) = answer.take().unwrap();
        assert!(answer.status == 200 && took <= ms(32), "{took}");
    }
    assert_eq!(
        bench.ledgers().asked.borrow().len(),
        2,
        "all of them shared an answer; the other one asks ahead"
    );
    // From then on the leases are renewed in time.
    let mut waited = 0;
    for _ in 0..60 {
        bench.script([Script::json(200, USED), Script::json(200, USED)]);
        for _ in 0..2 {
            let began = bench.now();
            assert_eq!(bench.begin_chat(CHAT).status, 200);
            // The upstream takes 10 ms.
            waited += u32::from(bench.now() > began + ms(10));
        }
        bench.pass(ms(300));
    }
    assert!(waited <= 2, "{waited}: until the isolate knows its traffic");
    assert!(bench.ledgers().asked.borrow().len() < 20, "{}", bench.ledgers().asked.borrow().len());
}

#[test]
fn an_isolate_that_falls_idle_settles_and_gives_back_what_it_held() {
    let mut bench = of_app(&json!([{ "requests": 1_000, "per": "day" }]));
    for _ in 0..20 {
        bench.begin_chat(CHAT);
        bench.pass(ms(100));
    }
    bench.pass(ms(2_500));
    assert_eq!(bench.limit(APP, "requests/day").0, 20, "within seconds the ledger knows");
    bench.finish();
    assert_eq!(bench.limit(APP, "requests/day"), (20, 0, 980));
    assert_eq!(bench.open_waits(), 0);
}

#[test]
fn an_eviction_of_the_ledger_loses_nothing() {
    let mut bench = of_app(&json!([{ "requests": 5, "per": "day" }]));
    let mut served = 0;
    for _ in 0..10 {
        served += u32::from(bench.chat(CHAT).status == 200);
        bench.ledgers().evict();
    }
    assert_eq!(served, 5);
}

#[test]
fn without_a_ledger_a_budget_is_closed_and_a_rate_is_open() {
    let rate = json!([{ "requests": 2, "per": "day" }]);
    let budget = json!([{ "usd": 1, "per": "day" }]);
    for (limits, settings, status) in [
        (&rate, json!({}), 200),
        (&budget, json!({}), 503),
        (&rate, json!({ "limits_unreachable": "fail_closed" }), 503),
        (&budget, json!({ "limits_unreachable": "fail_open" }), 200),
    ] {
        for hangs in [false, true] {
            let mut bench = limited(limits, &settings);
            bench.ledgers().is_lost.set(true);
            bench.ledgers().hangs.set(hangs);
            let first = bench.begin_chat(CHAT);
            assert_eq!(first.status, status, "{limits} {settings}");
            assert!(bench.elapsed() <= ms(2_010), "{}", bench.elapsed());
            let began = bench.elapsed();
            let second = bench.begin_chat(CHAT);
            assert_eq!(second.status, status);
            assert!(bench.elapsed() <= began + ms(10), "nobody waits a second time");
            if status == 503 {
                assert_eq!(error(&second)["code"], "limits_unavailable");
                assert_eq!((second.header("x-should-retry"), second.header("retry-after")), ("true", "1"));
            }
            let warned = bench.log().iter().filter(|line| line.contains("does not answer")).count();
            assert_eq!(warned, 1, "it is logged once: {:?}", bench.log());
        }
    }
}

#[test]
fn what_was_served_without_the_ledger_is_counted_when_it_is_back() {
    let mut bench = of_app(&json!([{ "requests": 5, "per": "day" }, { "tokens": 100_000, "per": "day" }]));
    bench.ledgers().is_lost.set(true);
    for _ in 0..3 {
        assert_eq!(bench.begin_chat(CHAT).status, 200);
        bench.pass(ms(200));
    }
    bench.ledgers().is_lost.set(false);
    bench.pass(ms(5_000));
    assert_eq!(bench.limit(APP, "requests/day").0, 3);
    assert_eq!(bench.limit(APP, "tokens/day").0, 3 * 42);
    let more = (0..4).filter(|_| bench.begin_chat(CHAT).status == 200).count();
    assert_eq!(more, 2);
}

#[test]
fn limits_are_counted_for_each_value_and_for_the_models_that_they_name() {
    let limits = json!([{ "requests": 1, "per": "day", "by": "metadata:team" }, { "requests": 1, "per": "hour", "models": ["other"] }]);
    let mut document: Value = serde_json::from_str(&super::routes("", "")).unwrap();
    document["clients"]["app"]["limits"] = limits;
    document["models"]["other"] = document["models"]["m"].clone();
    let mut bench = Bench::started(&document.to_string());
    bench.script((0..20).map(|_| Script::json(200, USED)));
    let mut status = |team: &str, model: &str| {
        bench.usual_clients();
        bench.add_header("x-switchyard-metadata", &json!({ "team": team }).to_string());
        bench.begin_chat(&json!({ "model": model, "messages": [] }).to_string()).status
    };
    assert_eq!(["a", "a", "b", "b"].map(|team| status(team, "m")), [200, 429, 200, 429]);
    assert_eq!(
        ["c", "d", "e"].map(|team| status(team, "other")),
        [200, 429, 429],
        "one request of all teams"
    );
    assert_eq!(status("d", "m"), 200, "what was refused elsewhere is not reserved");
}

#[test]
fn the_gateway_has_limits_of_its_own() {
    let limits = json!([{ "requests": 1, "per": "day" }]);
    let mut bench = limited(&json!([]), &json!({ "limits": limits }));
    assert_eq!(bench.begin_chat(CHAT).status, 200);
    let refused = bench.begin_chat(CHAT);
    assert_eq!(refused.status, 429);
    assert!(error(&refused)["message"].as_str().unwrap().starts_with("The gateway's limit"));
    assert_eq!(refused.header("x-ratelimit-limit-requests"), "", "it is no limit of the client");
}

#[test]
fn a_client_with_limits_sees_its_own_and_not_those_of_providers() {
    let mut bench =
        of_app(&json!([{ "requests": 100, "per": "minute" }, { "requests": 1_000, "per": "day" }]));
    bench.drop_scripts();
    let theirs: &[(&str, &str)] = &[
        ("x-ratelimit-limit-requests", "5"),
        ("x-ratelimit-remaining-requests", "4"),
        ("x-ratelimit-reset-requests", "9s"),
        ("x-ratelimit-limit-tokens", "7"),
        ("x-ratelimit-remaining-tokens", "6"),
        ("x-ratelimit-reset-tokens", "8s"),
    ];
    bench.script((0..3).map(|_| Script { headers: theirs, ..Script::json(200, USED) }));
    let answer = bench.begin_chat(CHAT);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "100");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "99");
    assert_eq!(answer.header("x-ratelimit-reset-requests"), "600ms");
    let answer = bench.begin_chat(CHAT);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "98");
}

#[test]
fn a_client_that_leaves_while_it_waits_holds_nothing() {
    let limits = json!([{ "requests": 1, "per": "day" }]);
    let mut bench = limited(&json!([{ "concurrent": 1 }]), &json!({ "limits": limits }));
    bench.ledgers().takes.set(ms(50));
    assert!(bench.chat_until(CHAT, ms(70)).is_none(), "the second ledger has not answered");
    bench.finish();
    bench.pass(ms(20_000));
    assert_eq!(bench.limit(APP, "concurrent").1, 0);
    let (spent, leased, _) = bench.limit("default/gateway", "requests/day");
    assert_eq!((spent, leased), (0, 0), "it was not sent");
    assert_eq!(bench.begin_chat(CHAT).status, 200);
}

#[test]
fn a_request_that_fails_counts_as_a_request_and_as_nothing_else() {
    let mut bench = of_app(&json!([{ "requests": 10, "per": "day" }, { "tokens": 9_000, "per": "day" }]));
    bench.drop_scripts();
    bench.script((0..4).map(|_| Script::json(400, r#"{"error":{"message":"no","code":"x"}}"#)));
    assert_eq!(bench.chat(CHAT).status, 400);
    assert_eq!(bench.limit(APP, "requests/day"), (1, 0, 9));
    assert_eq!(bench.limit(APP, "tokens/day").0, 0);
}
