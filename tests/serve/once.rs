//! Requests that must not be done twice.

use super::fake::{Bench, Script, Step};
use super::routes;

const BATCH: &str = r#"{"input_file_id":"file-1"}"#;
const MADE: &str = r#"{"id":"batch_1","object":"batch"}"#;

#[test]
fn an_unclear_outcome_is_repeated_only_if_the_document_asks_for_it() {
    let broken = || Script {
        steps: vec![Step::Bytes("{\"id\":".to_owned()), Step::Break],
        says_length: false,
        ..Script::json(200, "")
    };
    let truncated = || Script::json(200, "{\"id\":");
    let page = || Script { content_type: "text/html", ..Script::json(200, "<html>Log in</html>") };
    for (settings, first, calls) in [
        ("", broken(), 1),
        ("", truncated(), 1),
        ("", page(), 1),
        (r#", "retry": {"attempts": 1}"#, broken(), 1),
        (r#", "retry": {"attempts": 1, "on": ["rate_limit"]}"#, broken(), 1),
        (r#", "retry": {"attempts": 1, "on": ["connection"]}"#, broken(), 2),
        (r#", "retry": {"attempts": 1, "on": ["truncated"]}"#, truncated(), 2),
        (r#", "on": {"connection": "m"}"#, broken(), 2),
        (r#", "on": {"truncated": "m"}"#, truncated(), 2),
    ] {
        let mut bench = Bench::started(&routes(settings, ""));
        bench.script([first, Script::json(200, MADE)]);
        let answer = bench.request("POST", "/v1/batches", BATCH);
        assert_eq!(bench.calls().len(), calls, "{settings} {}", answer.text());
        if calls == 1 {
            assert!(answer.text().contains("upstream_outcome_unknown"), "{settings} {}", answer.text());
            assert_eq!((answer.status, answer.header("x-should-retry")), (502, "false"));
        } else {
            assert_eq!(answer.text(), MADE);
        }
    }
}
