// Several isolates over one simulator, and what the tests of health ask of them.

import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { startSimulator } from "../../simulator/simulator.mjs";
import { chat, fleet, readChatStream, trail } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

export const ADMIN_TOKEN = "admin-of-the-tests";
export const UPSTREAMS = ["openai", "eastus", "westeurope"];
export const NAMES = ["openai", "azure-eastus", "azure-westeurope"];
// A pool whose clients see each failure: no second try of the same deployment.
export const ONCE = { retry: { attempts: 0 } };

// Starts a simulator and a gateway of its own for one test. Options are those of `fleet` and of `startGateway`.
export async function withIsolates({ isolates, object, intercept, kvPersist, vars, ...sections }, use) {
  const simulator = await startSimulator();
  try {
    const options = fleet(simulator, { vars: { ADMIN_TOKEN, ...vars }, ...sections });
    return await withGateway({ ...options, isolates, object, intercept, kvPersist }, (gateway) => use({ simulator, gateway, options }));
  } finally {
    await simulator.close();
  }
}

// Resolves with what `look` returns once that is true, asked again and again.
export async function eventually(what, look, { withinMs = 8000, everyMs = 50 } = {}) {
  const until = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > until) assert.fail(`not within ${withinMs} ms: ${what}`);
    await wait(everyMs);
  }
}

// A chat request that has to be served; the name of the deployment that did.
export async function served(isolate, body = {}, init) {
  const response = await chat(isolate, body, init);
  const text = await response.text();
  assert.equal(response.status, 200, `trail ${trail(response)}: ${text}`);
  const said = body.stream ? readChatStream(text) : { done: true, text: JSON.parse(text).choices[0].message.content, errors: [] };
  assert.ok(said.done && said.errors.length === 0 && said.text.startsWith("hello from "), `trail ${trail(response)}: ${text}`);
  return response.headers.get("x-switchyard-deployment");
}

// So many requests, one after the other. How many each deployment served.
export async function servedBy(isolate, times, body) {
  const counts = Object.fromEntries(NAMES.map((name) => [name, 0]));
  for (let time = 0; time < times; time += 1) {
    const name = await served(isolate, body);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

// Requests, one after the other until `stop` is true, from each of so many clients of each isolate. Resolves with their number.
export async function traffic(isolates, { clients = 1, pauseMs = 0, stop, bodies = [{}, { stream: true }] }) {
  let requests = 0;
  const client = async (isolate) => {
    while (!stop()) {
      await served(isolate, bodies[requests % bodies.length]);
      requests += 1;
      if (pauseMs > 0) await wait(pauseMs);
    }
  };
  await Promise.all(isolates.flatMap((isolate) => Array.from({ length: clients }, () => client(isolate))));
  return requests;
}

// `stop` for `traffic` that ends by the clock.
export function after(ms) {
  const until = Date.now() + ms;
  return () => Date.now() >= until;
}

// A 429 that ends then, in both providers' words.
export function rateLimit(ms, headers = {}) {
  return { error: "rate_limit", headers: { "retry-after": String(Math.ceil(ms / 1000)), "retry-after-ms": String(ms), ...headers } };
}

export function admin(isolate, path, { method = "POST", token = ADMIN_TOKEN } = {}) {
  return isolate.fetch(`/admin/api/${path}`, { method, headers: { authorization: `Bearer ${token}` } });
}

// What `GET /admin/api/health` says of a deployment: {isolate, object}.
export async function healthOf(isolate, name) {
  const response = await admin(isolate, "health", { method: "GET" });
  assert.equal(response.status, 200);
  const { deployments } = await response.json();
  return deployments.find(({ deployment }) => deployment === name);
}

// Where the isolate's own gate of a deployment stands: `closed`, `open`, `probation`, `drained`.
export async function gateOf(isolate, name) {
  return (await healthOf(isolate, name)).isolate.gate.state;
}
