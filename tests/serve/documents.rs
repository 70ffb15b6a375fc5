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
