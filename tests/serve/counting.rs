//! Counters of an isolate on their way to the hub, and the page that shows them.

use switchyard::counters::{Counters, Family, FinishedAttempt, FinishedRequest};
use switchyard::vocabulary::usage::Usage;

use super::fake::{Bench, Script};
use super::{ANSWER, CHAT, OVERLOADED, routes};
use crate::times::ms;

const SHARD: &str = "default/enam";
const HUB: &str = "default/hub";

/// A gateway with objects, whose isolate is in contact with its shard.
fn bench() -> Bench {
    let mut bench = Bench::started(&routes("", ""));
    bench.with_objects();
    bench.script([Script::json(200, ANSWER)]);
    bench.chat(CHAT);
    bench.pass(ms(20_000));
    bench
}

fn count(bench: &Bench, client: &str) {
    let request = FinishedRequest {
        client,
        model: "m",
        outcome: "ok",
        duration_ms: ms(300),
        deployment: Some("first"),
        first_token_ms: None,
        is_fallback: false,
        usage: Usage { input_tokens: 7, ..Usage::default() },
        micro_usd: 11,
        cache: None,
    };
    let attempt = FinishedAttempt { deployment: "first", outcome: "ok", duration_ms: ms(250) };
    bench.isolate().count(&bench.fake, &request, [attempt]);
}

fn requests(counters: &Counters, client: &str) -> u64 {
    counters.sum(Family::Requests, &[(0, client)], 0)
}

#[test]
fn an_isolate_without_another_request_sends_what_it_counted() {
    let mut bench = bench();
    count(&bench, "a");
    assert_eq!(requests(&bench.gathered(HUB), "a"), 0);
    let reports = bench.asked("default/enam report");
    bench.pass(ms(4_900));
    assert_eq!(bench.asked("default/enam report"), reports, "another request may come");
    bench.pass(ms(200));
    assert_eq!(bench.asked("default/enam report"), reports + 1);
    bench.finish();
    assert_eq!(requests(&bench.gathered(SHARD), "a"), 0, "the shard has passed it on");
    assert_eq!(requests(&bench.gathered(HUB), "a"), 1);
    assert_eq!(bench.open_waits(), 0, "nothing waits any more");
}

#[test]
fn counters_go_with_a_report_that_goes_anyway_and_make_none() {
    let mut bench = bench();
    let reports = bench.asked("default/enam report");
    count(&bench, "a");
    bench.pass(ms(1_000));
    bench.script([Script::json(200, ANSWER)]);
    bench.begin_chat(CHAT);
    bench.pass(ms(100));
    assert_eq!(bench.asked("default/enam report"), reports + 1);
    bench.pass(ms(4_000));
    assert_eq!(bench.asked("default/enam report"), reports + 1, "nothing was left to send");
}

#[test]
fn a_batch_whose_answer_is_lost_counts_once() {
    let mut bench = bench();
    count(&bench, "a");
    bench.lose_answers(true);
    bench.pass(ms(9_000));
    count(&bench, "b");
    bench.lose_answers(false);
    bench.finish();
    assert_eq!(requests(&bench.gathered(HUB), "a"), 1);
    assert_eq!(requests(&bench.gathered(HUB), "b"), 1);
}

#[test]
fn nothing_is_lost_while_objects_are_evicted() {
    let mut bench = bench();
    for round in 0..30 {
        count(&bench, "a");
        bench.evict_objects();
        bench.pass(ms(700 * (round % 5)));
    }
    bench.finish();
    assert_eq!(requests(&bench.gathered(HUB), "a"), 30);
}

#[test]
fn an_object_that_cannot_be_reached_costs_no_more_than_time() {
    let mut bench = bench();
    bench.lose_object(SHARD);
    count(&bench, "a");
    bench.finish();
    assert_eq!(bench.open_waits(), 0, "the work ends all the same");
    bench.find_objects();
    count(&bench, "a");
    bench.finish();
    assert_eq!(requests(&bench.gathered(HUB), "a"), 2);
}

#[test]
fn what_is_gathered_while_an_older_batch_is_repeated_goes_before_the_isolate_falls_idle() {
    let mut bench = bench();
    bench.lose_object(SHARD);
    count(&bench, "a");
    bench.pass(ms(20_000));
    bench.find_objects();
    count(&bench, "b");
    bench.finish();
    assert_eq!(requests(&bench.gathered(HUB), "a"), 1);
    assert_eq!(requests(&bench.gathered(HUB), "b"), 1);
}

#[test]
fn without_objects_nothing_runs_in_the_background() {
    let mut bench = Bench::started(&routes("", ""));
    count(&bench, "a");
    bench.pass(ms(0));
    assert_eq!(bench.open_waits(), 0);
}

#[test]
fn the_page_shows_the_counters_of_the_hub_and_the_states_of_the_region() {
    let mut bench = bench();
    count(&bench, "a");
    bench.finish();
    for _ in 0..5 {
        bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
        bench.chat(CHAT);
    }
    bench.finish();
    let page = bench.admin("GET", "/admin/metrics", "");
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let text = page.text();
    for line in [
        r#"switchyard_requests_total{client="a",model="m",outcome="ok"} 1"#,
        r#"switchyard_request_duration_seconds_sum{model="m"} 0.41"#,
        r#"switchyard_tokens_total{client="a",model="m",deployment="first",type="input"} 7"#,
        r#"switchyard_cost_usd_total{client="a",model="m",deployment="first"} 0.000011"#,
        r#"switchyard_deployment_state{deployment="first",region="enam"} 2"#,
        r#"switchyard_deployment_state{deployment="second",region="enam"} 0"#,
        r#"switchyard_ejections_total{deployment="first",reason="consecutive_failures"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_scrape_asks_the_hub_once() {
    let mut bench = bench();
    let before = bench.asked("default/hub counters");
    bench.admin("GET", "/admin/metrics", "");
    assert_eq!(bench.asked("default/hub counters"), before + 1);
    assert_eq!(bench.asked("default/enam view"), 1);
}

#[test]
fn the_page_has_the_format_that_prometheus_accepts() {
    let mut bench = bench();
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let page = bench.admin_accepting("GET", "/admin/metrics", accept);
    assert_eq!(page.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(page.text().ends_with("# EOF\n"));
    let head = bench.admin_accepting("HEAD", "/admin/metrics", accept);
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
}

#[test]
fn without_the_hub_there_is_an_error_and_no_zeros() {
    let mut bench = bench();
    bench.lose_object(HUB);
    let page = bench.admin_accepting("GET", "/admin/metrics", "application/openmetrics-text");
    assert_eq!((page.status, page.header("content-type")), (503, "application/json"));
    assert!(page.text().contains("metrics_unavailable"), "{}", page.text());
    assert_eq!(page.header("x-should-retry"), "true");

    let mut alone = Bench::started(&routes("", ""));
    assert_eq!(alone.admin("GET", "/admin/metrics", "").status, 503);
}

#[test]
fn without_the_shard_the_page_claims_no_state() {
    let mut bench = bench();
    bench.lose_object(SHARD);
    let page = bench.admin("GET", "/admin/metrics", "");
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("switchyard_deployment_state{"), "{}", page.text());
}

#[test]
fn a_drain_is_shown_apart_from_the_state() {
    let mut bench = bench();
    assert_eq!(bench.admin("POST", "/admin/api/deployments/second/drain", "").status, 200);
    let text = bench.admin("GET", "/admin/metrics", "").text();
    for line in [
        r#"switchyard_deployment_drained{deployment="second",region="enam"} 1"#,
        r#"switchyard_deployment_drained{deployment="first",region="enam"} 0"#,
        r#"switchyard_deployment_state{deployment="second",region="enam"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn the_page_needs_the_admin_token_and_a_get() {
    let mut bench = bench();
    assert_eq!(bench.request("GET", "/admin/metrics", "").status, 401);
    let refused = bench.admin("POST", "/admin/metrics", "");
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"));
}

#[test]
fn the_hub_says_what_was_used_today_and_on_the_days_before() {
    let mut bench = bench();
    count(&bench, "a");
    bench.finish();
    bench.pass(ms(86_400_000));
    count(&bench, "b");
    count(&bench, "a");
    bench.finish();
    bench.evict_objects();
    let answer = bench.admin("GET", "/admin/api/usage/days?days=35", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let found: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    let rows = |day: usize| {
        let rows = found["days"][day]["rows"].as_array().unwrap().iter();
        let row = |row: &serde_json::Value| {
            (row["name"].as_str().unwrap().to_owned(), row["requests"].as_u64(), row["micro_usd"].as_u64())
        };
        rows.map(row).filter(|(_, _, micro_usd)| *micro_usd > Some(0)).collect::<Vec<_>>()
    };
    assert_eq!(found["by"], "client");
    assert_eq!(found["days"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(rows(0), [("a".to_owned(), Some(1), Some(11)), ("b".to_owned(), Some(1), Some(11))]);
    assert_eq!(rows(1), [("a".to_owned(), Some(1), Some(11))]);
    let answer = bench.admin("GET", "/admin/api/usage/days?days=1&by=deployment", "").text();
    assert!(answer.contains(r#""by":"deployment""#) && answer.contains(r#""name":"first""#), "{answer}");
}

#[test]
fn a_question_about_days_that_is_not_understood_says_what_is() {
    let mut bench = bench();
    for query in ["days=0", "days=36", "days=week", "by=key", "by=", "by=../report", "by=client/7&days=7"] {
        let refused = bench.admin("GET", &format!("/admin/api/usage/days?{query}"), "");
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.text().contains("client, model or deployment"), "{}", refused.text());
        assert!(refused.text().contains("from 1 to 35, such as by=model&days=7"), "{}", refused.text());
    }
}

#[test]
fn without_the_hub_no_days_are_claimed() {
    let mut bench = bench();
    bench.lose_object(HUB);
    let answer = bench.admin_accepting("GET", "/admin/api/usage/days", "*/*");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("metrics_unavailable"), "{}", answer.text());
    let mut alone = Bench::started(&routes("", ""));
    assert_eq!(alone.admin("GET", "/admin/api/usage/days", "").status, 503);
}
