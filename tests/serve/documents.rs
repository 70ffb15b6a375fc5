//! Which routes document serves, for each content and each failure of the store.

use super::fake::{Bench, Script};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

/// Serves one request, and returns the status.
fn ask(bench: &mut Bench) -> u16 {
    bench.script([Script::json(200, ANSWER)]);
    bench.chat(CHAT).status
}

/// Advances the clock until the store is read again, and serves one request.
fn refresh(bench: &mut Bench) -> u16 {
    bench.pass(ms(120_000));
    ask(bench);
    ask(bench)
}

fn source(bench: &Bench) -> &'static str {
    bench.isolate().current().unwrap().source.name()
}

#[test]
fn the_document_in_the_store_serves_and_is_remembered_as_the_last_good_one() {
    let document = routes("", "");
    let mut bench = Bench::new(&document);
    bench.script([Script::json(200, ANSWER)]);
    bench.begin_chat(CHAT);
    assert_eq!(source(&bench), "kv");
    assert_eq!(bench.document("routes.last-good"), None, "the first request does not wait beside this");
    bench.finish();
    assert_eq!(bench.document("routes.last-good"), Some(document));
}

#[test]
fn a_doubt_stands_in_the_log_after_the_first_request_and_in_the_admin_api() {
    let mut document: serde_json::Value = serde_json::from_str(&routes("", "")).unwrap();
    document["settings"]["deadline_ms"] = serde_json::json!(60_000);
    document["settings"]["timeout"]["total_ms"] = serde_json::json!(90_000);
    let mut bench = Bench::new(&document.to_string());
    let doubts = |bench: &Bench| {
        bench
            .log()
            .iter()
            .filter(|line| line.starts_with("routes: settings.timeout.total_ms: found 90000"))
            .count()
    };
    bench.script([Script::json(200, ANSWER)]);
    bench.begin_chat(CHAT);
    assert_eq!(doubts(&bench), 0, "the first request does not wait for this");
    bench.finish();
    assert_eq!(doubts(&bench), 1);
    let status: serde_json::Value =
        serde_json::from_str(&bench.admin("GET", "/admin/api/routes", "").text()).unwrap();
    let codes: Vec<_> = status["warnings"].as_array().unwrap().iter().map(|found| &found["code"]).collect();
    assert!(codes.contains(&&serde_json::json!("timeout_beyond_deadline")), "{status}");
    document["settings"]["timeout"]["idle_ms"] = serde_json::json!(20);
    bench.put("routes", &document.to_string());
    assert_eq!(refresh(&mut bench), 200);
    assert_eq!(doubts(&bench), 2, "those of another document are logged too");
}

#[test]
fn a_bad_document_gives_way_to_the_last_good_one() {
    let mut bench = Bench::new("{");
    bench.put("routes.last-good", &routes("", ""));
    assert_eq!(ask(&mut bench), 200);
    assert_eq!(source(&bench), "last_good");
    assert!(bench.isolate().problem().is_some());
    assert!(bench.log()[0].starts_with("routes: the document is refused; what served before goes on"));
    bench.put("routes", &routes("", ""));
    assert_eq!(refresh(&mut bench), 200);
    assert_eq!(source(&bench), "kv");
    assert!(bench.isolate().problem().is_none());
}

#[test]
fn a_document_that_goes_bad_or_missing_takes_no_traffic() {
    let mut bench = Bench::new(&routes("", ""));
    assert_eq!(ask(&mut bench), 200);
    bench.put("routes", "[]");
    assert_eq!(refresh(&mut bench), 200);
    assert_eq!(source(&bench), "kv");
    let refusals = bench.log().len();
    assert_eq!(refresh(&mut bench), 200);
    assert_eq!(bench.log().len(), refusals, "the same document is refused once");
    bench.remove("routes");
    assert_eq!(refresh(&mut bench), 200);
    assert!(bench.log().last().unwrap().contains("gone from KV"));
    assert_eq!(bench.document("routes.last-good"), Some(routes("", "")));
}

#[test]
fn without_a_document_that_of_the_worker_serves() {
    let mut bench = Bench::without_documents();
    assert_eq!(bench.chat(CHAT).status, 404, "it has no model of this name");
    assert_eq!(source(&bench), "compiled_in");
    assert_eq!(bench.document("routes.last-good"), None);
}

#[test]
fn a_store_that_does_not_answer_is_asked_twice_and_then_not_for_two_seconds() {
    let mut bench = Bench::new(&routes("", ""));
    bench.break_store("routes");
    assert_eq!(bench.chat(CHAT).status, 503);
    let tries = bench.log().len();
    assert_eq!(tries, 2);
    assert_eq!(bench.chat(CHAT).status, 503);
    assert_eq!(bench.log().len(), tries, "it is left alone");
    bench.put("routes", &routes("", ""));
    bench.pass(ms(2_000));
    assert_eq!(ask(&mut bench), 200);
}

#[test]
fn the_first_requests_of_an_isolate_share_one_load_and_none_of_their_outcomes_is_lost() {
    let mut bench = Bench::new(&routes("", ""));
    bench.delay_store(Some(ms(20)));
    bench.script((0..50).map(|_| Script::json(200, ANSWER)));
    let answers = bench.chats_at_once(50, CHAT);
    assert_eq!(answers.len(), 50);
    assert_eq!(bench.reads("routes"), 1);
    assert_eq!(bench.health()[0].successes, 50);
}

#[test]
fn when_the_request_that_loads_leaves_another_one_loads() {
    let mut bench = Bench::new(&routes("", ""));
    bench.delay_store(Some(ms(1_000)));
    bench.script([Script::json(200, ANSWER)]);
    assert!(bench.chat_until(CHAT, ms(400)).is_none());
    assert_eq!(ask(&mut bench), 200);
    assert_eq!(bench.reads("routes"), 2);
}

#[test]
fn a_store_that_hangs_ends_the_wait_of_all_first_requests() {
    let mut bench = Bench::new(&routes("", ""));
    bench.delay_store(None);
    for (answer, after_ms) in bench.chats_at_once(20, CHAT) {
        assert_eq!(answer.status, 503);
        assert!((ms(6_000)..ms(6_100)).contains(&after_ms), "{after_ms}");
    }
    assert_eq!(bench.reads("routes"), 2, "one load, which tries twice");
    bench.delay_store(Some(ms(0)));
    bench.pass(ms(2_000));
    assert_eq!(ask(&mut bench), 200);
}

/// Routes that are looked for often, with another name for the model.
fn refreshed(model: &str) -> String {
    routes(r#", "refresh_seconds": 1, "max_stale_seconds": 40"#, "").replace("\"m\"", &format!("\"{model}\""))
}

#[test]
fn a_stale_document_is_read_once_before_anybody_is_let_in() {
    let mut bench = Bench::started(&refreshed("m"));
    bench.finish();
    bench.put("routes", &refreshed("renamed"));
    bench.delay_store(Some(ms(300)));
    bench.script((0..10).map(|_| Script::json(200, ANSWER)));
    bench.pass(ms(30_000));
    assert_eq!(bench.begin_chat(CHAT).status, 200, "not stale yet: the check runs beside it");
    bench.finish();
    bench.put("routes", &refreshed("other"));
    bench.pass(ms(100_000));
    let reads = bench.reads("routes");
    let answers = bench.chats_at_once(10, &CHAT.replace("\"m\"", "\"renamed\""));
    for (answer, after_ms) in answers {
        assert_eq!(answer.status, 404, "the model is gone");
        assert!((ms(300)..=ms(350)).contains(&after_ms), "{after_ms}");
    }
    assert_eq!(bench.reads("routes"), reads + 1);
}

#[test]
fn a_stale_document_goes_on_after_half_a_second_if_the_store_does_not_answer() {
    let mut bench = Bench::started(&refreshed("m"));
    bench.finish();
    bench.delay_store(None);
    bench.pass(ms(100_000));
    bench.script((0..20).map(|_| Script::json(200, ANSWER)));
    let early = bench.send_chat(CHAT);
    bench.pass(ms(700));
    let late = bench.send_chat(CHAT);
    bench.pass(ms(100));
    let (answer, after_ms) = early.take().unwrap();
    assert_eq!(answer.status, 200);
    assert!((ms(500)..ms(600)).contains(&after_ms), "{after_ms}");
    let (answer, after_ms) = late.take().unwrap();
    assert_eq!((answer.status, after_ms), (200, ms(10)), "nobody waits for a check that hangs");
    let logged = |bench: &Bench| bench.log().iter().filter(|line| line.contains("goes on")).count();
    assert_eq!(logged(&bench), 1, "{:?}", bench.log());
    // A store that fails at once is not waited for either.
    bench.finish();
    bench.delay_store(Some(ms(0)));
    bench.break_store("routes");
    bench.pass(ms(10_000));
    let (answer, after_ms) = bench.chats_at_once(1, CHAT).remove(0);
    assert_eq!(answer.status, 200);
    assert!(after_ms < ms(20), "{after_ms}");
    assert_eq!(logged(&bench), 2);
}

#[test]
fn a_drain_stays_with_a_name_whose_address_changes_and_ends_with_the_name() {
    let mut bench = Bench::new(&routes("", ""));
    assert_eq!(ask(&mut bench), 200);
    bench.isolate().current().unwrap().health.borrow_mut().drain(0);
    let served_by = |bench: &mut Bench| {
        bench.pass(ms(120_000));
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        answer.header("x-switchyard-deployment").to_owned()
    };
    assert_eq!(served_by(&mut bench), "second");
    bench.put("routes", &routes("", "").replace("https://first/v1", "https://moved/v1"));
    assert_eq!(served_by(&mut bench), "second");
    let ended = |bench: &Bench| bench.log().iter().any(|line| line.contains("the drain of first ends"));
    assert!(!ended(&bench));
    bench.put("routes", &routes("", "").replace("\"first\"", "\"third\""));
    assert_eq!(served_by(&mut bench), "third");
    assert!(ended(&bench), "{:?}", bench.log());
    bench.put("routes", &routes("", ""));
    assert_eq!(served_by(&mut bench), "first");
}

#[test]
fn a_drain_holds_if_the_name_is_gone_for_a_moment_only() {
    let with_first = routes(r#", "refresh_seconds": 1"#, "");
    let without_first = with_first.replace("\"first\"", "\"third\"");
    for (gone, is_kept) in [(5, true), (15, true), (25, false)] {
        let mut bench = Bench::started(&with_first);
        bench.isolate().current().unwrap().health.borrow_mut().drain(0);
        let served_by = |bench: &mut Bench, seconds: usize| {
            let once = |_| {
                bench.script([Script::json(200, ANSWER)]);
                let answer = bench.begin_chat(CHAT);
                bench.pass(ms(1_000));
                answer.header("x-switchyard-deployment").to_owned()
            };
            let mut served: Vec<String> = (0..seconds).map(once).collect();
            served.dedup();
            served
        };
        let ends = |bench: &Bench| {
            bench.log().iter().filter(|line| line.contains("the drain of first ends")).count()
        };
        assert_eq!(served_by(&mut bench, 3), ["second"]);
        bench.put("routes", &without_first);
        assert_eq!(served_by(&mut bench, gone).pop().unwrap(), "third");
        bench.put("routes", &with_first);
        let after = served_by(&mut bench, 40);
        let expected = if is_kept { "second" } else { "first" };
        assert_eq!(after.last().unwrap(), expected, "{gone}: {after:?}");
        // While the document is read anew, what served before still does.
        assert!(after.iter().all(|name| name == expected || name == "third"), "{gone}: {after:?}");
        assert_eq!(ends(&bench), usize::from(!is_kept), "{gone}: {:?}", bench.log());
        bench.finish();
    }
}
