// Counts calls into and out of Wasm for each request, and checks which requests fail when the Wasm
// traps.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chat } from "./document.mjs";
import { startGateway } from "./gateway.mjs";
import { ADMIN_TOKEN, eventually, healthOf, withIsolates, served } from "./isolates.mjs";

// No refresh of the routes document during a test, and no reports to the Durable Object. Each
// request then makes the same calls.
const isolated = { intercept: true, object: false, settings: { refresh_seconds: 3600 } };

// The number of calls for one request: the minimum of several requests, since a new isolate does
// additional work during the first ones.
async function crossings(isolate, body) {
  const counts = [];
  for (let request = 0; request < 5; request += 1) {
    const before = await isolate.intercept();
    await served(isolate, body);
    const now = await isolate.intercept();
    counts.push({ into: now.into_wasm - before.into_wasm, out: now.out_of_wasm - before.out_of_wasm });
  }
  return counts.sort((one, other) => one.into + one.out - other.into - other.out)[0];
}

describe("the boundary to Wasm", () => {
  // Change these numbers only on purpose. Calls into Wasm: the handler and the creation of its
  // promise (2), three runs of its future (3), an allocation for the request's head (1), the end of
  // the wait for the body, with an allocation for its bytes (2), and the end of the wait for the
  // answer, with allocations for its headers and its body (3). docs/benchmarks.md lists the calls
  // out of Wasm. Two of these are for the record of the request: whether it is traced, and its log
  // line.
  const budget = { into: 11, out: 23 };

  test("is crossed within the budget for an answer that is not a stream", () =>
    withIsolates(isolated, async ({ gateway }) => {
      assert.deepEqual(await crossings(gateway.isolates[0]), budget);
    }));

  test("is crossed no more often with many rules and nodes", () => {
    const names = Array.from({ length: 300 }, (_, index) => `chat-${index}`);
    const models = Object.fromEntries(names.map((name) => [name, { targets: ["openai", "azure-eastus"] }]));
    const rules = names.map((name) => ({ when: { header: { "x-team": name } }, use: name }));
    return withIsolates({ ...isolated, models, rules }, async ({ gateway }) => {
      assert.deepEqual(await crossings(gateway.isolates[0]), budget);
    });
  });

  test("is crossed no more often for an answer that was kept, and as often as ever for a node without a cache", () => {
    const models = { kept: { targets: ["openai"], cache: { ttl: 600 } } };
    return withIsolates({ ...isolated, models }, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const isKept = async () => {
        const response = await chat(isolate, { model: "kept" });
        await response.text();
        return response.headers.get("x-switchyard-cache") === "HIT";
      };
      await eventually("an answer is kept", isKept);
      const counts = [];
      for (let request = 0; request < 5; request += 1) {
        const before = await isolate.intercept();
        assert.ok(await isKept());
        const now = await isolate.intercept();
        counts.push({ into: now.into_wasm - before.into_wasm, out: now.out_of_wasm - before.out_of_wasm });
      }
      const [{ into, out }] = counts.sort((one, other) => one.into + one.out - other.into - other.out);
      assert.ok(into < budget.into && out <= budget.out, `${into} into Wasm, ${out} out of it`);
      assert.deepEqual(await crossings(isolate), budget);
    });
  });

  test("is not crossed by long bodies, since the memory of Wasm never shrinks", () =>
    withIsolates(isolated, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const messages = [{ role: "user", content: "word ".repeat(800_000) }];
      await served(isolate);
      const { memory_bytes: before } = await isolate.intercept();
      await Promise.all(Array.from({ length: 8 }, () => served(isolate, { messages })));
      const { memory_bytes: after } = await isolate.intercept();
      assert.ok(after < before + 1_000_000, `${before} bytes before, ${after} after 8 bodies of 4 MB`);
    }));

  test("is not crossed for the chunks of a stream", () =>
    withIsolates(isolated, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const sum = ({ into, out }) => into + out;
      const stream = (content) => crossings(isolate, { stream: true, messages: [{ role: "user", content }] });
      const [short, long] = [sum(await stream("echo one")), sum(await stream(`echo ${"word ".repeat(1000)}`))];
      assert.ok(short < 150, `${short} for a short stream`);
      // The gateway also reads the stream, in large pieces.
      assert.ok(long < short + 250, `${short} for a short stream, ${long} for one of a thousand chunks`);
    }));
});

// The calls into Wasm of one request, in their order, without those for memory management.
async function callsOf(isolate) {
  const before = await isolate.intercept();
  await served(isolate);
  const now = await isolate.intercept();
  const calls = now.recent.slice(before.into_wasm - now.into_wasm).filter((name) => !name.startsWith("__wbindgen_"));
  // The handler creates a promise, and its future runs in a microtask. A callback reports the end
  // of each wait, and the future continues in another microtask.
  const [handler, , microtask, callback] = calls;
  assert.deepEqual([handler, callback === microtask], ["fetch", false], calls.join());
  assert.deepEqual(calls.slice(2), [microtask, callback, microtask, callback, microtask], calls.join());
  return { handler, microtask, callback };
}

const HELD = { held: { targets: ["openai"], commit: "complete" } };

describe("a trap of the Wasm", () => {
  for (const where of ["handler", "callback", "microtask"]) {
    test(`in the ${where} fails requests that wait for an answer, but no stream that has begun and no later request`, () =>
      withIsolates({ ...isolated, models: HELD, settings: { ...isolated.settings, keepalive_ms: 100 } }, async ({ simulator, gateway }) => {
        const [isolate] = gateway.isolates;
        await served(isolate);
        const calls = await callsOf(isolate);
        // The first request waits for its answer, the second gets comments while its stream is held,
        // the third is in the middle of a stream, and the fourth one traps.
        await simulator.fault("openai", { fault: { silence: true }, times: 1 });
        const waiting = chat(isolate).then(({ status }) => status);
        await eventually("the first request waits", async () => (await healthOf(isolate, "openai")).isolate.in_flight === 1);
        await simulator.fault("openai", { fault: { stall_after: 2 }, times: 1 });
        const held = await chat(isolate, { model: "held", stream: true });
        await simulator.fault("openai", { fault: { pause_ms: 100 }, times: 1 });
        const messages = [{ role: "user", content: `echo ${"word ".repeat(10)}` }];
        const streaming = await chat(isolate, { stream: true, messages });

        const { instances } = await isolate.intercept({ trap: calls[where] });
        const lost = await chat(isolate, {}, { headers: { "cf-ray": "9a1b2c3d4e5f6071-FRA" } });
        assert.equal(lost.status, 500);
        await lost.text();
        assert.equal(await waiting, 500);
        const text = await streaming.text();
        assert.match(text, /\[DONE\]/, "the runtime completes it");
        await assert.rejects(held.text(), "a stream that gets comments is broken off");
        await served(isolate);
        assert.equal((await isolate.intercept()).instances, instances + 1);
        assert.ok(gateway.logs.some((line) => line.includes("unreachable")), "the log has the trap");
        const records = gateway.logs.filter((line) => line.startsWith("log: {")).map((line) => JSON.parse(line.slice(5)));
        const ofTrap = records.filter(({ reason }) => reason === "trap");
        assert.deepEqual(ofTrap.map(({ outcome, status, cf_ray }) => [outcome, status, cf_ray]), [
          ["internal_error", 500, undefined],
          ["internal_error", 500, "9a1b2c3d4e5f6071-FRA"],
        ]);
        assert.ok(!gateway.logs.some((line) => line.includes("hung")), "the runtime did not have to end it");
      }));
  }

  test("in the object fails its report at once, and the object starts again from its storage", () =>
    withIsolates({ intercept: true, settings: { refresh_seconds: 3600 } }, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      await served(isolate);
      const drain = (action) =>
        isolate.fetch(`/admin/api/deployments/openai/${action}`, { method: "POST", headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
      assert.equal((await drain("drain")).status, 200);
      const { instances } = await isolate.intercept({ trap: "deploymenthealth_fetch" });
      const began = Date.now();
      const lost = await drain("drain");
      assert.ok(lost.status >= 500, `${lost.status}`);
      assert.ok(Date.now() - began < 1500, "no request waited for the object");
      await lost.text();
      await served(isolate);
      assert.equal((await isolate.intercept()).instances, instances + 1);
      const { object } = await healthOf(isolate, "openai");
      assert.equal(object?.gate?.state, "drained", JSON.stringify(object));
    }));
});

test("only the handler and the class can be called from outside", async () => {
  const callers = `
    export default {
      async fetch(request, env) {
        const names = await request.json();
        const found = {};
        for (const name of names) {
          const call = async () => env.GATEWAY[name]();
          found[name] = await call().then(() => "called", (error) => error.message);
        }
        return Response.json(found);
      },
    };`;
  const gateway = await startGateway({ routes: {}, caller: callers });
  try {
    const names = ["start", "init", "serve", "arm", "settle", "free", "__wbg_reset_state", "__worker_init_state"];
    const found = await (await gateway.caller("/", { method: "POST", body: JSON.stringify(names) })).json();
    for (const name of names) assert.match(found[name], /does not implement the method/, name);
  } finally {
    await gateway.close();
  }
});
