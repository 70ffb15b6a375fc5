//! The cost of a healthy request in the core: allocations and allocated bytes, step by step,
//! against a budget. The budget changes only on purpose. A large document does not raise the cost.
//! The counts are those of one thread and do not depend on the machine, so the tests are not flaky.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::rc::Rc;

use allocation_counter::measure;
use way::Way;

#[allow(dead_code, reason = "the benchmarks use the rest")]
#[path = "../benches/way/mod.rs"]
mod way;

/// The most allocations and allocated bytes of each step, with the sample. A change that needs more
/// raises the number and gives the reason. A change that needs less lowers it.
const BUDGET: [(&str, u64, u64); 8] = [
    // The client and the operation: the parts of the path. The test itself makes one of the
    // allocations.
    ("arrive", 3, 140),
    // The positions of the members in the body, and the model.
    ("peek", 3, 750),
    // The texts of the facts.
    ("facts", 5, 40),
    ("choose", 0, 0),
    // The walk, the order of the targets of a node, and the trail. It has room for what the gateway
    // itself may find wrong during an attempt.
    ("start", 5, 1_410),
    // The URL, the headers, and the pieces of the edited body.
    ("call", 13, 1_160),
    ("answered", 2, 20),
    // The headers that the gateway adds.
    ("reply", 9, 420),
];

/// The additional cost of the facts with the large document, which has a rule that reads the body.
const MORE_FACTS: (u64, u64) = (3, 660);

/// Allocations and allocated bytes.
type Cost = (u64, u64);

fn cost<T>(step: impl FnOnce() -> T) -> (T, Cost) {
    let mut result = None;
    let counted = measure(|| result = Some(step()));
    (result.unwrap(), (counted.count_total, counted.bytes_total))
}

/// The cost of each step of one more request.
fn costs(document: &str) -> [(&'static str, Cost); 8] {
    let mut way = Way::new(document);
    let graph = Rc::clone(&way.graph);
    let client = graph.clients.iter().flatten().find(|client| client.name == "app").unwrap();
    let (operation, arrive) = cost(|| way.arrive().1);
    let (peek, peeked) = cost(|| way.peek());
    let (facts, gathered) = cost(|| way.facts(&peek, client, operation));
    let facts = Rc::new(facts);
    let (node, chosen) = cost(|| way.choose(&facts, client));
    assert_eq!(node.name, "chat");
    let ((mut machine, dispatch), started) = cost(|| way.start(&facts, &node));
    let (_, called) = cost(|| way.call(&dispatch, &facts, &peek));
    let ((), answered) = cost(|| way.answered(&mut machine, &dispatch, &facts));
    let (_, replied) = cost(|| way.reply(&mut machine, &node));
    [
        ("arrive", arrive),
        ("peek", peeked),
        ("facts", gathered),
        ("choose", chosen),
        ("start", started),
        ("call", called),
        ("answered", answered),
        ("reply", replied),
    ]
}

#[test]
fn a_request_keeps_to_its_budget() {
    let costs = costs(way::SAMPLE);
    for ((step, (count, bytes)), (name, most, most_bytes)) in costs.into_iter().zip(BUDGET) {
        assert_eq!(step, name);
        assert!(
            count <= most && bytes <= most_bytes,
            "{step} takes {count} allocations of {bytes} bytes: {costs:?}"
        );
        // A budget that is too wide does not detect a higher cost.
        assert!(
            count == most && most_bytes <= bytes + bytes / 4 + 16,
            "{step} takes less, {count} of {bytes} bytes: {costs:?}"
        );
    }
}

#[test]
fn a_request_costs_the_same_whatever_else_the_document_has() {
    let large = way::large();
    let graph = Way::new(&large).graph;
    assert_eq!((graph.deployments.len(), graph.rules.len()), (200, 500));
    for ((step, large), (_, sample)) in costs(&large).into_iter().zip(costs(way::SAMPLE)) {
        let more = if step == "facts" { MORE_FACTS } else { (0, 0) };
        assert!(
            large.0 <= sample.0 + more.0 && large.1 <= sample.1 + more.1,
            "{step} takes {large:?} allocations and bytes, and {sample:?} by the sample"
        );
    }
}
