//! Which ids requests name and answers make, and what is left of a list.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn named(body: &str) -> Vec<String> {
    let mut ids = ids_named(body.as_bytes());
    ids.sort();
    ids
}

#[test]
fn every_id_that_a_parser_finds_in_a_request_is_found() {
    for (body, expected) in [
        (r#"{"previous_response_id":"resp_1"}"#, &["resp_1"][..]),
        (r#"{"previous_response_id" : null}"#, &[]),
        (r#"{"conversation":"conv_1"}"#, &["conv_1"]),
        (r#"{"conversation":{"id":"conv_1"}}"#, &["conv_1"]),
        (r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#, &["file-1"]),
        (r#"{"messages":[{"content":[{"file":{"file_id":"file-1"}}]}]}"#, &["file-1"]),
        (r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1","vs_2"]}]}"#, &["vs_1", "vs_2"]),
        (
            r#"{"tools":[{"container":{"type":"auto","file_ids":["file-1"]}},{"container":"cntr_1"}]}"#,
            &["cntr_1", "file-1"],
        ),
        (r#"{"tools":[{"environment":{"container_id":"cntr_1"}}]}"#, &["cntr_1"]),
        (r#"{"input_file_id":"file-1","endpoint":"/v1/embeddings"}"#, &["file-1"]),
        (r#"{"training_file":"file-1","validation_file":"file-2"}"#, &["file-1", "file-2"]),
        (r#"{"video":{"id":"video_1"}}"#, &["video_1"]),
        // Names and ids may be written with escapes, and names twice.
        (r#"{"file\u005fid":"file-1"}"#, &["file-1"]),
        (r#"{"file_id":"file\u002d1"}"#, &["file-1"]),
        (r#"{"file_id":"file-1","file_id":"file-2"}"#, &["file-1", "file-2"]),
        // What is around it does not hide it.
        (r#"{"a":"\"","file_id":"file-1"}"#, &["file-1"]),
        (r#"{"a":"\\","b":[[["{"]]],"file_id" :	"file-1"}"#, &["file-1"]),
        (r#"{"file_ids":[["file-1"],{"x":"y"},"file-2"]}"#, &["file-1", "file-2"]),
    ] {
        assert_eq!(named(body), expected, "{body}");
    }
}

#[test]
fn texts_that_are_no_ids_of_objects_are_left_alone() {
    for body in [
        r#"{"model":"m","user":"file-1","metadata":{"order_id":"file-1"}}"#,
        r#"{"messages":[{"role":"tool","tool_call_id":"call_1","content":"file-1"}]}"#,
        r#"{"input":[{"id":"msg_1","type":"message"},{"call_id":"call_1"},"file-1"]}"#,
        r#"{"input":[{"type":"code_interpreter_call","id":"ci_1","container_id":"cntr_1"}]}"#,
        r#"{"messages":[{"content":"\"file_id\":\"file-1\""}]}"#,
        r#"{"file_id":"","container":{"type":"auto"}}"#,
        r#"{"model":"m","metadata":{"thread_id":"abc","conversation":{"id":"42"}}}"#,
        r#"{"file_id":{"x":"file-1"}}"#,
    ] {
        assert_eq!(named(body), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn what_stands_in_the_place_of_an_id_counts_whatever_it_is() {
    for (body, expected) in [
        (r#"{"file_id":"two words"}"#, "two words"),
        (r#"{"file_id":" file-1"}"#, " file-1"),
        (r#"{"File_ID":"file-1"}"#, "file-1"),
        (r#"{"characters":[{"id":"char_1"}]}"#, "char_1"),
        (r#"{"input":[{"metadata":{},"file_id":"file-1"}]}"#, "file-1"),
    ] {
        assert_eq!(named(body), [expected], "{body}");
    }
}

#[test]
fn a_request_that_names_many_objects_is_read_no_further() {
    let ids: Vec<String> = (0..50_000).map(|number| format!("file-{number}")).collect();
    let body = serde_json::json!({ "file_ids": ids }).to_string();
    assert_eq!(named(&body).len(), MOST_NAMED + 1);
}

#[test]
fn what_was_made_is_read_where_only_the_provider_writes() {
    use Operation::{Batches, ChatCompletions, Files, FineTuning, Responses, Threads, Uploads};
    for (operation, answer, expected) in [
        (Files, r#"{"id":"file-1","object":"file"}"#, &["file-1"][..]),
        (Responses, r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"}]}"#, &["resp_1"]),
        (
            Responses,
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n",
            &["resp_1"],
        ),
        (
            ChatCompletions,
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[]}\n\ndata: {\"id\":\"x\"}\n\n",
            &["chatcmpl-1"],
        ),
        (
            Batches,
            r#"{"id":"batch_1","input_file_id":"file-0","output_file_id":"file-1","error_file_id":null}"#,
            &["batch_1", "file-1"],
        ),
        (Uploads, r#"{"id":"upload_1","file":{"id":"file-1"}}"#, &["upload_1", "file-1"]),
        (Threads, r#"{"id":"run_1","thread_id":"thread_1"}"#, &["run_1", "thread_1"]),
        (
            FineTuning,
            r#"{"id":"ftjob-1","fine_tuned_model":"ft:m:o::1","result_files":["file-1"]}"#,
            &["ftjob-1", "ft:m:o::1", "file-1"],
        ),
        // The client's own words come back in the answer.
        (Files, r#"{"metadata":{"id":"file-9"},"id":"file-1"}"#, &["file-1"]),
        (Batches, r#"{"id":"batch_1","metadata":{"output_file_id":"file-9","id":"file-8"}}"#, &["batch_1"]),
        (
            Responses,
            r#"{"id":"resp_1","metadata":{"type":"response.x"},"response":{"id":"resp_9"}}"#,
            &["resp_1"],
        ),
        // Cut off.
        (Responses, r#"{"id":"resp_1","output":[{"id":"msg"#, &["resp_1"]),
        (Responses, r#"{"metadata":{"id":"resp_9"#, &[]),
        (Files, r#"{"id":"a/b"}"#, &[]),
        (Files, r#"{"id":7}"#, &[]),
        (Files, "", &[]),
    ] {
        assert_eq!(ids_made(operation, true, answer.as_bytes()), expected, "{answer}");
    }
    let later = br#"{"id":"batch_1","output_file_id":"file-1"}"#;
    assert_eq!(ids_made(Batches, false, later), ["file-1"], "what a batch has made since");
}

#[test]
fn a_page_has_only_the_objects_that_are_left() {
    let page = json!({
        "object": "list", "data": [{ "id": "a", "n": 1 }, { "id": "b" }, { "id": "c" }],
        "first_id": "a", "last_id": "c", "has_more": true,
    });
    let page = ListPage::read(page.to_string().as_bytes()).unwrap();
    assert_eq!((page.ids().collect::<Vec<_>>(), page.next()), (vec!["a", "b", "c"], Some("c")));
    let left = page.clone().with_only(|id| id == "b");
    let json: Value = serde_json::from_slice(&left.json()).unwrap();
    assert_eq!(
        json,
        json!({ "object": "list", "data": [{ "id": "b" }], "first_id": "b", "last_id": "b", "has_more": true })
    );
    let none = page.with_only(|_| false);
    let json: Value = serde_json::from_slice(&none.json()).unwrap();
    assert!(none.is_empty() && json["last_id"].is_null() && !json.to_string().contains("\"a\""));
    for other in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"data":[{"name":"x"}]}"#, r#"{"data":["x"]}"#] {
        assert_eq!(ListPage::read(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn the_oldest_objects_are_forgotten_and_clients_are_distinguished() {
    let mut objects = MadeObjects::default();
    for number in 0..=MOST_KNOWN {
        objects.learn("app", &format!("file-{number}"));
    }
    assert!(!objects.knows("app", "file-0") && objects.knows("app", "file-1"));
    assert!(!objects.knows("ap", "pfile-1") && !objects.knows("web", "file-1"));
    objects.forget("app", "file-1");
    assert!(!objects.knows("app", "file-1"));
}

proptest! {
    /// Wherever it is put, and however deep.
    #[test]
    fn no_surroundings_hide_an_id(depth in 0_usize..40, before in r#"[a-z{}\[\]:,"\\ ]{0,20}"#, in_list: bool) {
        let mut body = json!({ "file_id": "file-1", "text": before });
        for level in 0..depth {
            body = if in_list { json!([before, body]) } else { json!({ before.clone(): level, "z": body }) };
        }
        let text = json!({ "a": before, "b": body, "c": before }).to_string();
        prop_assert_eq!(named(&text), ["file-1"]);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, text in r#"[{}\[\]":,a\\]{0,60}"#) {
        let _ = (ids_named(&bytes), ids_named(text.as_bytes()), ids_made(Operation::Files, true, &bytes));
        let _ = ListPage::read(&bytes);
    }
}
