// The disruptions of a chaos run: faults of upstreams, evictions and failures of the Durable
// Object, valid and invalid routes documents.
//
// A run is a sequence of epochs. In most epochs one upstream is stable: it has no fault. A request
// that begins and ends in such an epoch must be answered. In an unstable epoch every upstream may
// fail. Before each epoch all faults are cleared and the health of all deployments is reset, so
// that earlier failures do not keep the stable upstream ejected.

import { setTimeout as wait } from "node:timers/promises";
import { admin, UPSTREAMS } from "../isolates.mjs";
import { answerDisturbers } from "./disturbers.mjs";

const OBJECTS = ["default/enam", "default/hub"];
const UNSTABLE_SHARE = 0.2; // of the epochs
const ERRORS = [
  "rate_limit", "slow_down", "quota", "overloaded", "server_error", "bad_gateway", "empty_error", "timeout", "bad_key", "forbidden",
  "deployment_not_found", "unsupported_operation",
];
// Faults in the middle of a stream. After the commit point the client sees them as an error event.
const LATE_FAULTS = ["cut_after", "end_after", "stall_after", "error_after"];

// The reasons for an ejection that an error explains, besides the count of its failures.
const REASONS = {
  rate_limit: ["rate_limited"],
  slow_down: ["rate_limited"],
  quota: ["quota"],
  bad_key: ["auth"],
  forbidden: ["auth", "blocked", "forbidden"],
  deployment_not_found: ["not_found"],
  unsupported_operation: ["not_found"],
};
const COUNTED = ["consecutive_failures", "failure_rate", "probe_failed"];

export const isLate = (fault = {}) => LATE_FAULTS.some((key) => fault[key] >= 2);

export class Disruptions {
  epochs = [];
  counts = { epochs: 0, "unstable epochs": 0, faults: 0, evictions: 0, "object failures": 0, documents: 0, "invalid documents": 0 };
  #random;
  #simulator;
  #gateway;
  #routes;
  #until;

  constructor(random, { simulator, gateway, routes, until }) {
    this.#random = random;
    this.#simulator = simulator;
    this.#gateway = gateway;
    this.#routes = routes;
    this.#until = until;
  }

  // Whether the faults of an upstream in the epoch that began at `startedAt` explain an ejection for
  // this reason. Undefined if that epoch is over.
  explains(startedAt, upstream, { kind }) {
    const epoch = this.epochs.at(-1);
    if (epoch?.startedAt !== startedAt || epoch.endedAt !== undefined) return undefined;
    const faults = epoch.faults.filter(({ name }) => name === upstream).map(({ fault }) => fault);
    const reasons = faults.flatMap(({ error, status }) => [...COUNTED, ...(REASONS[error] ?? []), ...(status === 429 ? ["rate_limited"] : [])]);
    return reasons.includes(kind);
  }

  // The upstream that has had no fault since `from`, if there is one.
  stableSince(from) {
    const epoch = this.epochs.at(-1);
    return epoch?.endedAt === undefined && epoch?.startedAt <= from ? epoch?.stable : undefined;
  }

  async run() {
    const random = this.#random;
    const others = Promise.all([this.#objects(random.fork()), this.#documents(random.fork())]);
    while (!this.#isOver()) await this.#epoch(random);
    await others;
    await this.#reset();
  }

  #isOver() {
    return Date.now() >= this.#until;
  }

  async #epoch(random) {
    await this.#reset();
    const stable = random.chance(UNSTABLE_SHARE) ? undefined : random.of(UPSTREAMS);
    const failing = UPSTREAMS.filter((name) => name !== stable);
    const epoch = { stable, startedAt: Date.now(), endedAt: undefined, faults: [] };
    this.epochs.push(epoch);
    this.counts.epochs += 1;
    if (!stable) this.counts["unstable epochs"] += 1;
    const until = Math.min(this.#until, Date.now() + random.between(4000, 10_000));
    while (Date.now() < until) {
      const [name, spec] = [random.of(failing), faultOf(random)];
      epoch.faults.push({ name, fault: spec.fault });
      await this.#simulator.fault(name, spec);
      this.counts.faults += 1;
      await wait(random.between(50, 800));
    }
    epoch.endedAt = Date.now();
  }

  // Clears all faults but the answers to disturbers, and resets the health of all deployments in
  // every isolate.
  async #reset() {
    await this.#simulator.reset();
    await answerDisturbers(this.#simulator);
    for (const isolate of this.#gateway.isolates) {
      await isolate.intercept({ object: null });
      await (await admin(isolate, "deployments/reset")).text();
    }
    // Requests in flight can still report failures after the first reset.
    await wait(1500);
    for (const isolate of this.#gateway.isolates) await (await admin(isolate, "deployments/reset")).text();
  }

  async #objects(random) {
    while (!this.#isOver()) {
      await wait(random.between(200, 1500));
      if (random.chance(0.6)) {
        await this.#gateway.evict(random.of(OBJECTS));
        this.counts.evictions += 1;
        continue;
      }
      const isolate = random.of(this.#gateway.isolates);
      const failures = ["hangs", "throws", { status: 500, text: "no" }, { status: 200, text: "{}" }, { fields: { v: 9 } }];
      await isolate.intercept({ object: random.of(failures) });
      this.counts["object failures"] += 1;
      await wait(random.between(200, 2500));
      await isolate.intercept({ object: null });
    }
  }

  async #documents(random) {
    while (!this.#isOver()) {
      await wait(random.between(500, 2500));
      if (random.chance(0.5)) {
        await this.#gateway.putRoutes(validDocument(random, this.#routes));
        this.counts.documents += 1;
      } else {
        await this.#gateway.putRoutes(random.of(invalidDocuments(this.#routes)));
        this.counts["invalid documents"] += 1;
      }
    }
    await this.#gateway.putRoutes(this.#routes);
  }
}

function faultOf(random) {
  const for_ms = random.between(100, 3000);
  const fault = random.of([
    () => ({ error: random.of(ERRORS) }),
    () => ({ error: random.of(ERRORS) }),
    () => rateLimited(random.between(50, 5000)),
    () => ({ error_body: true }),
    () => ({ reset: true }),
    () => ({ silence: true }),
    () => ({ refuse: true }),
    () => ({ redirect: true }),
    () => ({ slow_headers_ms: random.between(20, 2500) }),
    () => ({ slow_first_token_ms: random.between(20, 2500), pause_ms: random.between(1, 60) }),
    () => ({ malformed_after: 0 }),
    () => ({ [random.of(LATE_FAULTS)]: random.between(0, 5) }),
    () => ({ [random.of(LATE_FAULTS)]: random.between(2, 5), pause_ms: 5 }),
    () => ({ status: random.of([429, 500, 502, 503, 504, 529]), body: "<html>no</html>" }),
    () => ({ crlf: true, comments: true, split: true, cookie: true, no_done: true }),
  ])();
  if (fault.refuse) return { fault, for_ms };
  return { fault, for_ms, probability: random.of([0.3, 0.6, 1]), ...(random.chance(0.3) && { times: random.between(1, 20) }) };
}

function rateLimited(ms) {
  return { error: "rate_limit", headers: { "retry-after": String(Math.ceil(ms / 1000)), "retry-after-ms": String(ms) } };
}

// The same routes with some unused deployments added. They sort first, so the index of every other
// deployment changes.
function validDocument(random, routes) {
  const added = Array.from({ length: random.between(0, 3) }, (_, index) => `a-${index}-${random.between(0, 99)}`);
  const spare = Object.fromEntries(added.map((name) => [name, routes.deployments.openai]));
  return { ...routes, deployments: { ...spare, ...routes.deployments } };
}

function invalidDocuments(routes) {
  const { clients, ...closed } = routes;
  return [
    "",
    "{",
    "[]",
    JSON.stringify(routes).slice(0, 500),
    { ...routes, modles: {} },
    { ...closed, version: 7 },
    { ...routes, models: { chat: { targets: ["nobody"] } } },
    { ...routes, models: { chat: { targets: ["loop"] }, loop: { targets: ["chat"] } } },
    { ...routes, clients: { ...clients, leaked: { key: "sk-written-out" } }, deployments: {} },
  ];
}
