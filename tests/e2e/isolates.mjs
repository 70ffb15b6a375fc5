// Runs a simulator and a gateway of several isolates for one test, with helpers for tests of
// health.

import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { startSimulator } from "../../simulator/simulator.mjs";
import { chat, fleet, readChatStream, trail } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

export const ADMIN_TOKEN = "admin-of-the-tests";
export const UPSTREAMS = ["openai", "eastus", "westeurope"];
export const NAMES = ["openai", "azure-eastus", "azure-westeurope"];
// Node settings without a second attempt at the same deployment, so that clients see each failure.
export const ONCE = { retry: { attempts: 0 } };

// Starts a simulator and a gateway, passes them to `use`, and closes both. The options are those of
// `fleet` and of `startGateway`.
export async function withIsolates({ isolates, object, ledger, intercept, kvPersist, vars, ...sections }, use) {
  const simulator = await startSimulator();
  try {
    const options = fleet(simulator, { vars: { ADMIN_TOKEN, ...vars }, ...sections });
    return await withGateway({ ...options, isolates, object, ledger, intercept, kvPersist }, (gateway) => use({ simulator, gateway, options }));
  } finally {
    await simulator.close();
  }
}

// Calls `look` repeatedly until its result is truthy, and resolves with that result. Fails after
// `withinMs` milliseconds.
export async function eventually(what, look, { withinMs = 8000, everyMs = 50 } = {}) {
  const until = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > until) assert.fail(`not within ${withinMs} ms: ${what}`);
    await wait(everyMs);
  }
}

// Sends a chat request, asserts that it is served, and returns the name of the deployment.
export async function served(isolate, body = {}, init) {
  const response = await chat(isolate, body, init);
  const text = await response.text();
  assert.equal(response.status, 200, `trail ${trail(response)}: ${text}`);
  const answer = body.stream ? readChatStream(text) : { done: true, text: JSON.parse(text).choices[0].message.content, errors: [] };
  assert.ok(answer.done && answer.errors.length === 0 && answer.text.startsWith("hello from "), `trail ${trail(response)}: ${text}`);
  return response.headers.get("x-switchyard-deployment");
}

// Sends `times` requests, one after the other. Returns how many each deployment served.
export async function servedBy(isolate, times, body) {
  const counts = Object.fromEntries(NAMES.map((name) => [name, 0]));
  for (let time = 0; time < times; time += 1) {
    const name = await served(isolate, body);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

// Starts `clients` clients for each isolate. Each sends one request after the other until `stop`
// returns true. Resolves with the number of requests.
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

// A `stop` function for `traffic` that returns true after `ms` milliseconds.
export function after(ms) {
  const until = Date.now() + ms;
  return () => Date.now() >= until;
}

// A fault: a 429 whose Retry-After is `ms` milliseconds.
export function rateLimit(ms, headers = {}) {
  return { error: "rate_limit", headers: { "retry-after": String(Math.ceil(ms / 1000)), "retry-after-ms": String(ms), ...headers } };
}

export function admin(isolate, path, { method = "POST", token = ADMIN_TOKEN } = {}) {
  return isolate.fetch(`/admin/api/${path}`, { method, headers: { authorization: `Bearer ${token}` } });
}

// The entry of a deployment in the answer of `GET /admin/api/health`: {isolate, object}.
export async function healthOf(isolate, name) {
  const response = await admin(isolate, "health", { method: "GET" });
  assert.equal(response.status, 200);
  const { deployments } = await response.json();
  return deployments.find(({ deployment }) => deployment === name);
}

// The state of the isolate's gate of a deployment: `closed`, `open`, `probation` or `drained`.
export async function gateOf(isolate, name) {
  return (await healthOf(isolate, name)).isolate.gate.state;
}
