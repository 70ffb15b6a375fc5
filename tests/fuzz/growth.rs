//! No reader needs more than linear memory and linearly many allocations. Each target reads
//! repeated texts of two lengths. (What costs time alone is counted by the fuzzer: it reports slow
//! inputs.)

use allocation_counter::measure;

use super::targets::{TARGETS, Target};

/// Texts that were, or could be, expensive: what comes before, what is repeated, what comes after.
const SHAPES: [(&str, &str, &str); 26] = [
    ("{", "\"model\":\"m\",", "\"a\":1}"),
    ("{\"a\":", "[", ""),
    ("{\"a\":", "{\"a\":", ""),
    ("{\"model\":\"m\",\"a\":\"", "\\\"", "\"}"),
    ("{\"a\":\"", "\\ud800", "\"}"),
    ("{\"a\":[", "1e999,", "1]}"),
    ("{\"a\":\"", "\0", "\"}"),
    ("--b\r\n", "Content-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n", ""),
    ("--b\r\nContent-Disposition: form-data", "; name=\"x\"", "\r\n\r\n\r\n--b--"),
    ("--b\r\n", "\r\n--b ", "--b--"),
    ("--b\r\n", "X: y\r\n", ""),
    ("", "\r\n--", ""),
    ("", "data: x\n", "\n"),
    ("", "data: {\"choices\":[{\"index\":1}]}\n\n", "data: [DONE]\n\n"),
    ("", "event: error\n", "\n"),
    ("", "\r", ""),
    ("connection\n", "a,", "\n"),
    ("connection\na\n", "a\nb\n", ""),
    ("v1/", "files/", ""),
    ("", "%2F", ""),
    ("", "a=b&", ""),
    ("", "*a", "\0aaaa"),
    ("{\"v\":1,\"deployments\":{\"a\":{", "\"run\":1,", "\"n\":1}}}"),
    ("{\"v\":1,\"deployments\":{\"a\":{\"missing\":{", "\"responses\":1,", "\"x\":1}}}}"),
    ("{\"version\":1,\"models\":{\"m\":{\"targets\":[", "\"nobody\",", "\"x\"]}}}"),
    ("{\"version\":1,\"models\":{\"m\":{", "\"targest\":1,", "\"x\":1}}}"),
];

/// Control bytes that some targets read: pieces and cuts of several lengths.
const CONTROLS: [&[u8]; 3] = [&[], &[0, 255], &[63, 64]];

fn cost(target: Target, shape: (&str, &str, &str), controls: &[u8], times: usize) -> (u64, u64) {
    let (before, repeated, after) = shape;
    let text = [before, &repeated.repeat(times), after].concat();
    let data = [controls, text.as_bytes()].concat();
    let counted = measure(|| target(&data));
    (counted.count_total, counted.bytes_total)
}

#[test]
fn no_reader_grows_faster_than_its_input() {
    const TIMES: usize = 256;
    // Twice the input costs twice as much, a constant, and a buffer that doubles once more.
    let limit = |small: u64, slack: u64| small * 5 / 2 + slack;
    for (name, target) in TARGETS {
        for shape in SHAPES {
            for controls in CONTROLS {
                let small = cost(target, shape, controls, TIMES);
                let large = cost(target, shape, controls, 2 * TIMES);
                let is_linear = large.0 <= limit(small.0, 64) && large.1 <= limit(small.1, 64 * 1024);
                assert!(is_linear, "{name} {shape:?} {controls:?}: {small:?}, then {large:?}");
            }
        }
    }
}
