//! Every function that reads bytes of clients, upstreams, other isolates or operators, with what
//! must hold for any bytes. A target panics if a promise is broken.
//!
//! The native tests replay the seeds in `fuzz/seeds`, and the binaries in `fuzz/fuzz_targets` give
//! the same functions to the fuzzer.

mod answers;
mod bodies;
mod heads;
mod state;

pub use answers::{answer, choices, event, stream};
pub use bodies::{excerpt, form, json_body, json_rest, object_ids};
pub use heads::{content_type, headers, path, query};
pub use state::{document, glob, report, saved, shard_answer};

/// Reads any bytes.
pub type Target = fn(&[u8]);

/// All targets, by their names.
#[allow(dead_code, reason = "a binary for the fuzzer uses one of them")]
pub const TARGETS: [(&str, Target); 18] = [
    ("answer", answer),
    ("choices", choices),
    ("content_type", content_type),
    ("document", document),
    ("event", event),
    ("excerpt", excerpt),
    ("form", form),
    ("glob", glob),
    ("headers", headers),
    ("json_body", json_body),
    ("json_rest", json_rest),
    ("object_ids", object_ids),
    ("path", path),
    ("query", query),
    ("report", report),
    ("saved", saved),
    ("shard_answer", shard_answer),
    ("stream", stream),
];

/// Up to two numbers that control a target, and the rest.
fn controls(data: &[u8]) -> (usize, usize, &[u8]) {
    match data {
        [first, second, rest @ ..] => (usize::from(*first), usize::from(*second), rest),
        _ => (0, 0, &[]),
    }
}

/// The text before the first NUL, and the text after it.
fn two_texts(data: &[u8]) -> (String, String) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&data[..end]), text(data.get(end + 1..).unwrap_or_default()))
}
