// From the counters of the gateway to what the view "Now" shows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deploymentState, byUrgency, type HealthEntry } from "../../page/src/now/deployment_state.ts";
import { increases, readMetrics } from "../../page/src/now/metrics_text.ts";
import { percentile } from "../../page/src/now/percentile.ts";
import { StateChanges } from "../../page/src/now/state_changes.ts";
import { TrafficHistory } from "../../page/src/now/traffic_history.ts";
import { trafficBetween } from "../../page/src/now/traffic.ts";

const NOTHING = readMetrics("");

test("both formats of metrics are read, with escaped labels and without what is no sample", () => {
  const reading = readMetrics(
    '# HELP x y\n# TYPE x counter\nx_total{client="a\\"b\\\\c\\nd, e}",model=""} 12\nplain 3 1700000000\nbroken{\nnan_total NaN\n# EOF\n',
  );
  assert.deepEqual([...reading.values()], [
    { name: "x_total", labels: { client: 'a"b\\c\nd, e}', model: "" }, value: 12 },
    { name: "plain", labels: {}, value: 3 },
  ]);
});

test("a new series began at nothing, and a counter that fell began again", () => {
  const before = readMetrics('a{x="1"} 10\na{x="2"} 10\na{x="3"} 4\n');
  const after = readMetrics('a{x="1"} 15\na{x="2"} 3\na{x="3"} 4\na{x="4"} 7\n');
  assert.deepEqual(increases(before, after).map(({ labels, value }) => [labels["x"], value]), [["1", 5], ["2", 3], ["4", 7]]);
});

test("percentiles lie within their bucket, and beyond the last limit they are that limit", () => {
  const buckets = new Map([[0.1, 50], [0.5, 90], [1, 90], [Infinity, 100]]);
  assert.equal(percentile(buckets, 0.25), 0.05);
  assert.equal(percentile(buckets, 0.5), 0.1);
  assert.equal(percentile(buckets, 0.7), 0.1 + 0.4 * 0.5);
  assert.equal(percentile(buckets, 0.95), 1);
  assert.equal(percentile(new Map(), 0.5), undefined);
  assert.equal(percentile(new Map([[0.1, 0], [Infinity, 0]]), 0.5), undefined);
});

test("empty buckets below the others say where those begin", () => {
  const of = (counts: [string, number][]) =>
    readMetrics(counts.map(([le, count]) => `switchyard_request_duration_seconds_bucket{model="chat",le="${le}"} ${count}\n`).join(""));
  const slow = of([["1", 0], ["5", 0], ["7.5", 10], ["+Inf", 10]]);
  assert.equal(trafficBetween(NOTHING, slow, 10).p50, 6250);
  const slowest = of([["1", 3], ["7.5", 3], ["+Inf", 13]]);
  assert.equal(trafficBetween(of([["1", 3], ["7.5", 3], ["+Inf", 3]]), slowest, 10).p50, 7500);
});

test("requests, failures, fallbacks, money and the share of each deployment come from the differences", () => {
  const after = readMetrics(`
switchyard_requests_total{client="app",model="chat",outcome="ok"} 90
switchyard_requests_total{client="app",model="chat",outcome="unavailable"} 6
switchyard_requests_total{client="app",model="chat",outcome="client_left"} 4
switchyard_request_duration_seconds_bucket{model="chat",le="0.5"} 100
switchyard_request_duration_seconds_bucket{model="chat",le="+Inf"} 100
switchyard_attempts_total{deployment="a",outcome="ok"} 60
switchyard_attempts_total{deployment="a",outcome="unavailable"} 15
switchyard_attempts_total{deployment="a",outcome="abandoned"} 5
switchyard_attempts_total{deployment="b",outcome="ok"} 20
switchyard_attempt_duration_seconds_bucket{deployment="a",le="1"} 80
switchyard_attempt_duration_seconds_bucket{deployment="a",le="+Inf"} 80
switchyard_fallbacks_total{model="chat",result="served"} 9
switchyard_fallbacks_total{model="chat",result="failed"} 6
switchyard_tokens_total{client="app",model="chat",deployment="a",type="input"} 300
switchyard_tokens_total{client="app",model="chat",deployment="b",type="input"} 100
switchyard_images_total{client="app",model="chat",deployment="b"} 1000
switchyard_cost_usd_total{client="app",model="chat",deployment="a"} 0.1
switchyard_cost_usd_total{client="app",model="chat",deployment="b"} 0.2
`);
  const traffic = trafficBetween(NOTHING, after, 60);
  assert.equal(traffic.requests, 100);
  assert.equal(traffic.failed, 6, "a client that left is no failure");
  assert.equal(traffic.fallbacks, 15);
  assert.equal(traffic.cost, 300_000);
  assert.equal(traffic.p50, 250);
  assert.deepEqual(traffic.outcomes, [{ outcome: "unavailable", requests: 6 }, { outcome: "client_left", requests: 4 }]);
  const a = traffic.deployments.get("a")!;
  assert.equal(a.attempts, 80);
  assert.equal(a.share, 0.8);
  assert.equal(a.failed, 15, "an attempt that nobody waited for is no failure");
  assert.deepEqual([...a.failures], [["unavailable", 15]]);
  assert.equal(a.p50, 500);
  assert.deepEqual(traffic.served, [
    { model: "chat", deployment: "a", requests: 75 },
    { model: "chat", deployment: "b", requests: 25 },
  ], "tokens and images are not added up");
});

const requests = (count: number) => readMetrics(`switchyard_requests_total{client="app",model="chat",outcome="ok"} ${count}\n`);

test("the history has averages of half a minute, the last minute, and fifteen minutes in all", () => {
  const history = new TrafficHistory();
  assert.equal(history.current, undefined);
  // Counters move every ten seconds, as batches arrive.
  for (let at = 0; at <= 1_200_000; at += 5_000) history.add(at, requests(Math.floor(at / 10_000) * 100));
  assert.equal(history.current?.seconds, 60);
  assert.equal(history.current?.requests, 600);
  for (const { traffic } of history.points.slice(-20)) {
    assert.equal(traffic?.seconds, 30);
    assert.ok(Math.abs(traffic.requests / traffic.seconds - 10) < 4, `${traffic.requests} in half a minute`);
  }
  assert.equal(history.points.length, 180);
  assert.equal(history.points[0]!.at, 305_000);
});

test("a time without readings is a gap, and no average over it", () => {
  const history = new TrafficHistory();
  history.add(0, requests(0));
  history.add(20_000, requests(50));
  history.add(620_000, requests(5_000));
  assert.deepEqual(history.points.map(({ at, traffic }) => [at, traffic?.requests]), [[20_000, 50], [20_001, undefined]]);
  assert.equal(history.current, undefined);
  history.add(640_000, requests(5_010));
  assert.equal(history.current?.requests, 10);
});

test("a batch of twenty seconds is not taken for the traffic of five", () => {
  const history = new TrafficHistory();
  history.add(0, requests(0));
  for (const at of [5_000, 10_000, 15_000]) {
    history.add(at, requests(100));
    assert.equal(history.current, undefined);
    assert.equal(history.points.length, 0);
  }
  history.add(20_000, requests(100));
  assert.equal(history.current?.requests, 100);
  assert.equal(history.current.seconds, 20);
});

const view = (state: "closed" | "open" | "probation" | "drained" = "closed", rest = {}) => ({
  gate: { state, until: null, why: state === "open" ? "5 failures in a row" : null, ...rest },
  missing: [] as [string, never][], consecutive_failures: 0, latency_ms: null, first_token_ms: null,
  tokens_per_second: null, headroom: null, last_error: null,
});
const entry = (isolate: object = {}, object: object | null = null, rest: object = {}) =>
  ({ deployment: "a", fault: null, isolate: { ...view(), share: 1, in_flight: 0, leased: false, wanted: false, ...isolate }, object: object && { ...view(), identity: "a@1", lease: null, ...object }, ...rest }) as HealthEntry;

test("the state of a deployment is the worse one of what the isolate and the region know", () => {
  const both = (isolate: object, object: object | null, rest: object = {}) => {
    const { state, tone } = deploymentState(entry(isolate, object, rest), 1000);
    return `${state} ${tone}`;
  };
  assert.equal(both({}, null), "serving good");
  assert.equal(both({}, view("open", { until: 2000 })), "ejected bad");
  assert.equal(both(view("open"), {}), "ejected bad");
  assert.equal(both({ ...view("open"), leased: true }, view("open")), "ejected bad");
  assert.equal(both({ ...view("probation"), share: 0.2 }, {}), "probation warn");
  assert.equal(both(view("open"), view("drained")), "drained off");
  assert.equal(both({ missing: [["embeddings", view("open").gate]] }, null), "partial warn");
  assert.equal(both({}, {}, { credential: { keys: 2, in_use: null, refused: [1, 2] } }), "serving warn");
});

test("what is known beyond the state is said: the next probe, drills, keys, missing variables", () => {
  const ejected = deploymentState(entry({}, view("open", { until: 61_000 })), 1000);
  assert.equal(ejected.nextProbe, 61_000);
  assert.equal(ejected.why, "5 failures in a row");
  assert.equal(ejected.isProbing, false);
  assert.equal(deploymentState(entry({ ...view("open"), leased: true }), 1000).isProbing, true);
  assert.match(ejected.notes.join(), /the object of the region/);
  const noted = deploymentState(entry({}, {}, {
    fault: { fault: "500", share: 20, remaining_ms: 5000, why: "game day" },
    credential: { keys: 3, in_use: 2, refused: [1] },
  }), 1000);
  assert.deepEqual(noted.notes, ["drill: 500 for 20 % of the attempts (game day)", "key 1 of 3 is refused; key 2 is in use"]);
  const disabled = deploymentState(entry(), 1000, "AZURE_KEY");
  assert.equal(disabled.state, "disabled");
  assert.match(disabled.why!, /AZURE_KEY/);
  assert.equal(deploymentState(entry({ share: 0.4 }), 1000).why, "it gets 40 % of its usual traffic");
});

test("what needs somebody stands first", () => {
  const named = (deployment: string, isolate: object) => deploymentState({ ...entry(isolate), deployment }, 0);
  const sorted = byUrgency([named("b", {}), named("z", view("open")), named("d", view("drained")), named("a", {}), named("p", view("probation"))]);
  assert.deepEqual(sorted.map(({ name }) => name), ["z", "p", "d", "a", "b"]);
});

test("a change of state has a time only if this tab saw it", () => {
  const changes = new StateChanges();
  const at = (isolate: object) => [deploymentState(entry(isolate), 0)];
  assert.deepEqual(changes.note(1000, at({})), []);
  assert.deepEqual(changes.since("a"), { at: 1000, isAtLeast: true });
  assert.deepEqual(changes.note(2000, at({})), []);
  assert.deepEqual(changes.note(3000, at(view("open"))).map(({ state }) => state), ["ejected"]);
  assert.deepEqual(changes.since("a"), { at: 3000, isAtLeast: false });
  changes.note(4000, at({}));
  assert.deepEqual(changes.of("a").map(({ at, state }) => [at, state]), [[4000, "serving"], [3000, "ejected"]]);
  changes.note(5000, []);
  assert.equal(changes.since("a"), undefined);
});
