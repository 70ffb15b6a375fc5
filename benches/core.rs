//! The time that the core takes for each step of a request. `cargo bench` runs all benchmarks,
//! `cargo bench -- plan` runs some. They run natively, so the numbers compare with each other and
//! not with those of the Worker. `tests/effort.rs` counts what each step allocates.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "benchmarks")]

use std::rc::Rc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use serde_json::json;
use switchyard::attempt::classify::{UnclassifiedResponse, classify};
use switchyard::attempt::success::{Success, fault_behind_success};
use switchyard::limits::isolate_limits::{Claim, IsolateLimits, Reserving};
use switchyard::limits::limit_ledger::LimitLedger;
use switchyard::limits::stored_ledger::{REPORT, StoredLedger};
use switchyard::request::excerpt::Excerpt;
use switchyard::request::json_body::{Edit, Peek, edit};
use switchyard::routes::graph::{Commit, Params};
use switchyard::stream::hold::Hold;
use switchyard::stream::protocol::Protocol;
use switchyard::stream::tail::Tail;
use switchyard::stream::usage_filter::UsageFilter;
use switchyard::usage::reported::Reported;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::limit::{LimitRate, LimitUnit, Period};
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::time::{Instant, Millis};
use way::Way;

use ledger_rows::LedgerRows;

#[path = "../tests/ledger_rows/mod.rs"]
mod ledger_rows;
mod way;

fn main() {
    divan::main();
}

/// The routes document that a benchmark uses.
#[derive(Debug, Clone, Copy)]
enum Routes {
    /// The document at the root of the repository.
    Sample,
    /// The document with 200 deployments and 500 rules.
    Large,
}

const ROUTES: [Routes; 2] = [Routes::Sample, Routes::Large];

impl Routes {
    fn way(self) -> Way {
        match self {
            Self::Sample => Way::new(way::SAMPLE),
            Self::Large => Way::new(&way::large()),
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
enum Content {
    OneKilobyte,
    ImageOfOneMebibyte,
    ShortMessagesOfTenMebibytes,
}

const CONTENTS: [Content; 3] =
    [Content::OneKilobyte, Content::ImageOfOneMebibyte, Content::ShortMessagesOfTenMebibytes];

impl Content {
    fn body(self) -> Vec<u8> {
        match self {
            Self::OneKilobyte => way::chat(1_000, 800),
            Self::ImageOfOneMebibyte => {
                let url = format!("data:image/png;base64,{}", "iVBORw0KGgo+/A8B".repeat(1 << 16));
                let parts = json!([{ "type": "image_url", "image_url": { "url": url } }]);
                let messages = json!([{ "role": "user", "content": parts }]);
                json!({ "messages": messages, "model": "chat", "max_tokens": 256 }).to_string().into_bytes()
            }
            Self::ShortMessagesOfTenMebibytes => way::chat(10 << 20, 100),
        }
    }
}

#[divan::bench(args = CONTENTS)]
fn peek(bencher: Bencher, content: Content) {
    let body = content.body();
    bencher.counter(BytesCount::new(body.len())).bench(|| Peek::of(black_box(&body)));
}

#[divan::bench(args = CONTENTS)]
fn excerpt(bencher: Bencher, content: Content) {
    let body = content.body();
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let show = |start, end| black_box(&body)[start..end].to_vec();
        let excerpt = Excerpt::read(body.len(), 64 * 1024, show);
        Peek::of(excerpt.as_ref().map_or(body.as_slice(), Excerpt::text))
    });
}

#[divan::bench(args = CONTENTS)]
fn splice(bencher: Bencher, content: Content) {
    let body = content.body();
    let peek = Peek::of(&body).unwrap();
    let changes = Edit { model: Some("gpt-4o"), params: &Params::default(), asks_for_usage: false };
    bencher.counter(BytesCount::new(body.len())).bench(|| edit(black_box(&body), &peek, &changes));
}

/// Finds the client and the operation of a request.
#[divan::bench(args = ROUTES)]
fn arrive(bencher: Bencher, routes: Routes) {
    let way = routes.way();
    bencher.bench_local(|| way.arrive().1);
}

/// From the facts to the entry node.
#[divan::bench(args = ROUTES)]
fn choose(bencher: Bencher, routes: Routes) {
    let mut way = routes.way();
    let graph = Rc::clone(&way.graph);
    let client = &graph.clients.as_ref().unwrap()[0];
    let facts = way.facts(&way.peek(), client, Operation::ChatCompletions);
    bencher.bench_local(|| way.choose(black_box(&facts), client));
}

/// From the entry node to the reply, with one attempt.
#[divan::bench(args = ROUTES)]
fn plan(bencher: Bencher, routes: Routes) {
    let mut way = routes.way();
    let graph = Rc::clone(&way.graph);
    let client = &graph.clients.as_ref().unwrap()[0];
    let facts = Rc::new(way.facts(&way.peek(), client, Operation::ChatCompletions));
    let node = way.choose(&facts, client);
    bencher.bench_local(|| {
        let (mut machine, dispatch) = way.start(black_box(&facts), &node);
        way.answered(&mut machine, &dispatch, &facts);
        way.reply(&mut machine, &node)
    });
}

/// All steps of a request.
#[divan::bench(args = ROUTES)]
fn whole(bencher: Bencher, routes: Routes) {
    let mut way = routes.way();
    bencher.bench_local(|| way.whole());
}

#[divan::bench]
fn classify_an_error(bencher: Bencher) {
    let error = json!({ "error": {
        "message": "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Used 29000.",
        "type": "tokens", "param": null, "code": "rate_limit_exceeded",
    } });
    let body = error.to_string().into_bytes();
    let headers = Headers::of([
        ("content-type", "application/json"),
        ("retry-after-ms", "1200"),
        ("x-request-id", "req_1"),
    ]);
    bencher.bench(|| {
        classify(&UnclassifiedResponse {
            status: 429,
            headers: &headers,
            body: black_box(&body),
            now: Instant::from_epoch_ms(1),
        })
    });
}

#[divan::bench]
fn classify_a_success(bencher: Bencher) {
    bencher.bench(|| {
        fault_behind_success(&Success {
            operation: Operation::ChatCompletions,
            status: 200,
            content_type: "application/json",
            body: black_box(way::ANSWER.as_bytes()),
            is_whole: true,
        })
    });
}

/// Reads the usage of an answer of 1 KB.
#[divan::bench]
fn usage_of_an_answer(bencher: Bencher) {
    bencher.bench(|| Reported::in_answer(Operation::ChatCompletions, black_box(way::ANSWER.as_bytes())));
}

/// A streamed answer in a thousand chunks.
fn chunks() -> Vec<Vec<u8>> {
    let event = |delta: serde_json::Value, reason: Option<&str>| {
        let choices = json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices });
        format!("data: {chunk}\n\n").into_bytes()
    };
    let mut chunks = vec![event(json!({ "role": "assistant", "content": "" }), None)];
    chunks.resize_with(999, || event(json!({ "content": " word" }), None));
    chunks.push(event(json!({}), Some("stop")));
    chunks.push(b"data: [DONE]\n\n".to_vec());
    chunks
}

/// Holds a stream until it is complete.
#[divan::bench]
fn hold_a_thousand_chunks(bencher: Bencher) {
    let chunks = chunks();
    bencher.counter(BytesCount::new(chunks.concat().len())).bench(|| {
        let mut hold = Hold::new(Protocol::of(Operation::ChatCompletions), Commit::Complete, 1 << 20);
        for chunk in black_box(&chunks) {
            hold.push(chunk);
        }
        hold.end()
    });
}

/// Watches a stream after its commit point.
#[divan::bench]
fn watch_a_thousand_chunks(bencher: Bencher) {
    let chunks = chunks();
    bencher.counter(BytesCount::new(chunks.concat().len())).bench(|| {
        let mut tail = Tail::new(Protocol::of(Operation::ChatCompletions));
        for chunk in black_box(&chunks) {
            tail.push(chunk);
        }
        tail.ending(false)
    });
}

/// Withholds the usage from a stream that has none.
#[divan::bench]
fn filter_a_thousand_chunks(bencher: Bencher) {
    let chunks = chunks();
    bencher.counter(BytesCount::new(chunks.concat().len())).bench(|| {
        let mut filter = UsageFilter::default();
        for chunk in black_box(&chunks) {
            black_box(filter.push(chunk));
        }
        filter.end()
    });
}

/// A report of an isolate to the ledger of a limit that so many isolates share, as its object
/// answers it.
#[divan::bench(args = [100, 1_000, 10_000])]
fn report_to_a_shared_ledger(bencher: Bencher, isolates: u64) {
    let ledger = StoredLedger::new(LedgerRows::default());
    let rate = json!({ "unit": "requests", "amount": 1_000_000_000, "per": "day" });
    let mut now = Instant::from_epoch_ms(1_800_000_000_000);
    let count = usize::try_from(isolates).unwrap();
    let mut numbers = vec![0_u64; count];
    let mut report = |isolate: usize| {
        now += Millis::new(10);
        let last = numbers[isolate];
        numbers[isolate] += 1;
        let report = json!({
            "holder": format!("{:x}", isolate + 1),
            "leases": if last == 0 { json!([]) } else { json!([{ "meter": "m", "number": last, "used": 9, "is_done": true }]) },
            "wishes": [{ "meter": "m", "rate": rate, "number": last + 1, "need": 0, "wanted": 10 }],
        });
        ledger.answer(REPORT, &report.to_string(), now)
    };
    for isolate in 0..count * 2 {
        let Ok(_) = report(isolate % count);
    }
    let mut isolate = 0;
    bencher.bench_local(|| {
        isolate = (isolate + 1) % count;
        report(isolate)
    });
}

/// Whether a request sends a report after it has reserved, in an isolate with so many meters: a
/// limit that is counted for each user has one for each.
#[divan::bench(args = [1, 100, 1_000, 10_000])]
fn whether_a_report_is_due(bencher: Bencher, meters: u64) {
    let now = Instant::from_epoch_ms(1_800_000_000_000);
    let rate = LimitRate { unit: LimitUnit::Requests, amount: 1_000, per: Some(Period::Day) };
    let claims = |meter: u64| [Claim { meter: format!("requests/day/user={meter}").into(), rate, amount: 1 }];
    let (mut limits, mut ledger) = (IsolateLimits::new(1), LimitLedger::default());
    for meter in 0..meters {
        let claims = claims(meter);
        while !matches!(limits.reserve(&claims, now), Reserving::Reserved(_)) {
            let answer = ledger.on_report(&limits.report(now), now).unwrap();
            limits.on_answer(&answer, now);
        }
    }
    let claims = claims(0);
    bencher.bench_local(|| black_box(&mut limits).is_due(&claims, now + Millis::new(7_000), now));
}
