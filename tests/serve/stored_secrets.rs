//! Variables whose values are in Cloudflare's Secrets Store.

use super::fake::{Bench, Script};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

/// A gateway whose deployments have a key from the store.
fn bench(value: Option<&str>) -> Bench {
    let bench = Bench::without_documents();
    bench.set_secret("STORED_KEY", value);
    bench.put("routes", &routes("", "").replace("${KEY}", "${STORED_KEY}"));
    bench
}

/// The key of each call.
fn keys(bench: &Bench) -> Vec<String> {
    let calls = bench.calls();
    calls.iter().map(|call| call.request.headers.get("authorization").unwrap().to_owned()).collect()
}

fn served(bench: &Bench, count: usize) {
    bench.script((0..count).map(|_| Script::json(200, ANSWER)));
}

#[test]
fn a_secret_of_the_store_is_the_value_of_a_variable_and_is_read_once_for_all() {
    let mut bench = bench(Some("sk-stored-0123456789"));
    served(&bench, 9);
    for (answer, _) in bench.chats_at_once(8, CHAT) {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    bench.chat(CHAT);
    assert!(keys(&bench).iter().all(|key| key == "Bearer sk-stored-0123456789"));
    assert_eq!(bench.secret_reads(), ["STORED_KEY"]);
}

#[test]
fn a_document_without_such_variables_reads_no_secret() {
    let mut bench = Bench::new(&routes("", ""));
    bench.set_secret("STORED_KEY", Some("sk-stored-0123456789"));
    // A variable of the environment comes first.
    bench.set_secret("KEY", Some("sk-stored-0123456789"));
    served(&bench, 2);
    bench.chat(CHAT);
    bench.pass(ms(60_000));
    bench.chat(CHAT);
    assert_eq!(keys(&bench), ["Bearer sk-up", "Bearer sk-up"]);
    assert!(bench.secret_reads().is_empty());
}

#[test]
fn another_value_in_the_store_is_used_after_the_next_look_at_the_document() {
    let mut bench = bench(Some("sk-one-0123456789"));
    served(&bench, 3);
    bench.chat(CHAT);
    bench.set_secret("STORED_KEY", Some("sk-two-0123456789"));
    bench.pass(ms(31_000));
    bench.chat(CHAT);
    bench.chat(CHAT);
    let expected = ["Bearer sk-one-0123456789", "Bearer sk-one-0123456789", "Bearer sk-two-0123456789"];
    assert_eq!(keys(&bench), expected);
    assert_eq!(bench.open_waits(), 0);
}

#[test]
fn a_store_that_does_not_answer_changes_nothing_and_is_asked_again_by_an_isolate_without_the_value() {
    let mut bench = bench(Some("sk-one-0123456789"));
    served(&bench, 5);
    bench.chat(CHAT);
    bench.set_secret("STORED_KEY", None);
    bench.pass(ms(31_000));
    bench.chat(CHAT);
    assert_eq!(bench.chat(CHAT).status, 200, "the known value stays");
    // A new isolate has no value, so the deployments are disabled.
    bench.new_isolate();
    assert_eq!(bench.chat(CHAT).status, 503);
    let log = bench.log().join("\n");
    assert!(log.contains("routes: the Secrets Store does not give STORED_KEY: the store is away"), "{log}");
    bench.set_secret("STORED_KEY", Some("sk-two-0123456789"));
    bench.pass(ms(31_000));
    bench.request("GET", "/healthz", "");
    bench.chat(CHAT);
    bench.chat(CHAT);
    assert_eq!(keys(&bench).last().map(String::as_str), Some("Bearer sk-two-0123456789"));
}
