//! What one client causes changes nothing for the others: the same requests of a bystander get the
//! same answers, and health knows the same, with and without the requests of that client.
//!
//! A random script of such requests runs against fakes, in rounds. Each round ends with the
//! requests of the bystander. Then these are repeated alone, at the same times.

mod disturbances;

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::health::AnswerKind;
use switchyard::health::reporter::Reporter;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Millis;

use super::fake::{Answer, Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, LIMITED, OVERLOADED, STREAM, routes};
use crate::times::ms;
use disturbances::{Conduct, Disturbance, any_disturbance};

/// A request for vectors, and its answer.
const EMBED: &str = r#"{"model":"m","input":"hi"}"#;
const VECTORS: &str = r#"{"object":"list","data":[{"index":0,"embedding":[1]}]}"#;

/// The most attempts that one request can make.
const MOST_ATTEMPTS: usize = 8;

/// Two deployments, and nodes with each commit point.
fn bench() -> Bench {
    let settings = r#", "buffer_bytes": 4096, "timeout": {"headers_ms": 30000, "total_ms": 120000}"#;
    let targets = r#""targets": ["first", "second"], "retry": {"attempts": 0}"#;
    let nodes = format!(
        r#""models": {{"whole": {{{targets}, "commit": "complete"}}, "early": {{{targets}, "commit": "headers"}}, "#
    );
    let mut bench =
        Bench::started(&routes(settings, "").replace(r#""models": {"m""#, &format!(r#"{nodes}"m""#)));
    // The usual times of the deployment are known after twenty answers.
    for body in [CHAT, STREAM].repeat(21) {
        bench.script([served(body)]);
        bench.chat(body);
    }
    bench
}

/// What a bystander gets, without what is different for each request.
type Got = (u16, String, Vec<String>);

fn got(answer: &Answer) -> Got {
    let names =
        ["x-switchyard-deployment", "x-switchyard-trail", "retry-after", "retry-after-ms", "x-should-retry"];
    (answer.status, answer.text(), names.map(|name| answer.header(name).to_owned()).to_vec())
}

/// Whether the bystander uses the operation of this name.
fn is_of_bystander(operation: &str) -> bool {
    ["chat/completions", "embeddings"].contains(&operation)
}

/// What health knows of the deployments, without counts of what they served, without the latest
/// error, which only people read, and without what is about other operations.
fn known(bench: &Bench) -> Vec<Value> {
    let routes = bench.isolate().current().unwrap();
    let mut known: Vec<Value> =
        bench.health().iter().map(|health| serde_json::to_value(health).unwrap()).collect();
    for (id, health) in known.iter_mut().enumerate() {
        let fields = health.as_object_mut().unwrap();
        for name in ["successes", "tokens_per_second", "last_error"] {
            fields.remove(name);
        }
        let missing = fields["missing"].as_array_mut().unwrap();
        missing.retain(|gate| gate[0].as_str().is_some_and(is_of_bystander));
        // It falls with time, so an answer in the usual time may raise it.
        for name in ["latency_ms", "first_token_ms"] {
            let is_usual = fields[name].as_f64().is_none_or(|latency_ms| latency_ms < 10.5);
            fields.insert(name.to_owned(), json!(is_usual));
        }
        let usual_ms = [AnswerKind::Whole, AnswerKind::Stream]
            .map(|kind| routes.health.borrow().percentile(id, kind, 0.95).map(Millis::get));
        fields.insert("usual_ms".to_owned(), json!(usual_ms));
    }
    known
}

/// What the next report would tell other isolates, in the same way.
fn reported(bench: &Bench) -> Vec<(String, Value)> {
    let routes = bench.isolate().current().unwrap();
    let health = &mut routes.health.borrow_mut();
    let report = Reporter::new(1).report(health, 1, bench.now(), &mut SplitMix64::new(1));
    let reported = report.deployments.into_iter().map(|(identity, batch)| {
        let mut batch = serde_json::to_value(batch).unwrap();
        let fields = batch.as_object_mut().unwrap();
        for name in ["successes", "answered", "answered_ms", "tokens_per_second"] {
            fields.remove(name);
        }
        for name in ["missing", "reasons"] {
            if let Some(operations) = fields.get_mut(name).and_then(Value::as_object_mut) {
                operations.retain(|operation, _| is_of_bystander(operation));
            }
        }
        fields.retain(|_, value| value.as_object().is_none_or(|object| !object.is_empty()));
        for name in ["latency", "first_token"] {
            if let Some(latency) = fields.get_mut(name) {
                *latency = json!(latency["mean_ms"].as_f64().map(|mean_ms| (mean_ms * 10.0).round()));
            }
        }
        (identity, batch)
    });
    // An answer without anything else is not reported here.
    reported.filter(|(_, batch)| batch.as_object().is_some_and(|fields| !fields.is_empty())).collect()
}

/// The usual answer to a chat request.
fn served(body: &str) -> Script {
    if body == STREAM {
        Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)])
    } else {
        Script::json(200, ANSWER)
    }
}

/// The bystander's requests.
fn bystand(bench: &mut Bench) -> Vec<Got> {
    [
        ("/v1/chat/completions", CHAT, served(CHAT)),
        ("/v1/chat/completions", STREAM, served(STREAM)),
        ("/v1/embeddings", EMBED, Script::json(200, VECTORS)),
    ]
    .map(|(path, body, script)| {
        bench.script([script]);
        let answer = bench.request("POST", path, body);
        bench.drop_scripts();
        got(&answer)
    })
    .to_vec()
}

/// What health knew after a round of disturbances, and what the bystander got then.
#[derive(Debug, PartialEq)]
struct Round {
    known: Vec<Value>,
    answers: Vec<Got>,
}

/// A round for each of the given steps, and what would be reported at the end.
type Seen = (Vec<Round>, Vec<(String, Value)>);

fn seen<T>(steps: &[T], mut step: impl FnMut(&mut Bench, &T)) -> Seen {
    let mut bench = bench();
    let mut round = |of| {
        step(&mut bench, of);
        Round { known: known(&bench), answers: bystand(&mut bench) }
    };
    let rounds = steps.iter().map(&mut round).collect();
    (rounds, reported(&bench))
}

/// Runs a script of rounds, with the disturbances and without. Both times each round ends at the
/// same time.
fn with_and_without(script: &[Vec<Disturbance>]) -> (Seen, Seen) {
    let mut ends = Vec::new();
    let with = seen(script, |bench, disturbances| {
        for disturbance in disturbances {
            act(bench, disturbance);
        }
        ends.push(bench.now());
    });
    let without = seen(&ends, |bench, end| bench.pass(*end - bench.now()));
    (with, without)
}

/// Does one disturbance, to its end.
fn act(bench: &mut Bench, disturbance: &Disturbance) {
    let next = disturbance.elsewhere.as_ref().unwrap_or(&disturbance.upstream);
    bench.script([disturbance.upstream.clone()]);
    bench.script(std::iter::repeat_n(next.clone(), MOST_ATTEMPTS));
    if let Some((name, value)) = &disturbance.header {
        bench.add_header(name, value);
    }
    let mut leaves = Millis::MAX;
    match disturbance.conduct {
        Conduct::Waits => {}
        Conduct::Leaves(after) => leaves = after,
        Conduct::ReadsSlowly(takes) => bench.slow_reading(takes),
        Conduct::UploadsSlowly(takes) => bench.slow_upload(takes),
        Conduct::UploadsRestSlowly(takes) => bench.slow_rest(takes),
        Conduct::BreaksUpload => bench.break_upload(),
        Conduct::BreaksRest(pieces) => bench.break_rest(pieces),
        Conduct::NeverUploads => bench.hang_upload(),
    }
    bench.request_until(disturbance.method, disturbance.path, &disturbance.body, leaves);
    bench.finish();
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "{disturbance:?}");
    bench.drop_scripts();
    bench.usual_clients();
}

#[test]
fn each_disturbance_changes_nothing_for_others_however_often_it_is_done() {
    for disturbances in disturbances::all().chunks(10) {
        let script: Vec<_> = disturbances.iter().map(|disturbance| vec![disturbance.clone(); 6]).collect();
        let ((with, reported_with), (without, reported)) = with_and_without(&script);
        for (disturbance, (with, without)) in disturbances.iter().zip(with.iter().zip(&without)) {
            assert_eq!(with, without, "{disturbance:?}");
        }
        assert_eq!(reported_with, reported, "{disturbances:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_client_causes_changes_nothing_for_others(
        script in prop::collection::vec(prop::collection::vec(any_disturbance(), 1..8), 1..4)
    ) {
        let (with, without) = with_and_without(&script);
        prop_assert_eq!(with, without);
    }
}

/// The counterpart: the comparison sees what a deployment does itself.
#[test]
fn what_a_deployment_does_itself_changes_what_others_get() {
    let broken = Script { steps: vec![Step::Break], says_length: false, ..Script::json(200, "") };
    let cut = vec![Step::Bytes(FIRST.to_owned()), Step::Break];
    let bad_key = r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    for (times, body, upstream) in [
        (5, CHAT, Script::json(500, OVERLOADED)),
        (1, CHAT, Script::json(429, LIMITED)),
        (1, CHAT, Script::json(401, bad_key)),
        (5, CHAT, Script { head_after: Some(ms(15_000)), ..Script::json(500, OVERLOADED) }),
        (5, CHAT, Script::silence()),
        (5, CHAT, broken),
        (5, STREAM, Script::events(cut)),
        (5, STREAM, Script::events(Vec::new())),
    ] {
        let disturbance = Disturbance { upstream, elsewhere: Some(served(body)), ..Disturbance::chat(body) };
        let ((with, reported_with), (without, reported)) =
            with_and_without(&[vec![disturbance.clone(); times]]);
        assert_ne!(with[0].answers, without[0].answers, "{disturbance:?}");
        assert_ne!(with[0].known, without[0].known, "{disturbance:?}");
        assert_ne!(reported_with, reported, "{disturbance:?}");
    }
}
