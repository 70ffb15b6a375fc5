// What a request costs at the boundary to Wasm, counted; and what a trap of the Wasm costs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chat } from "./document.mjs";
import { inWeather, served } from "./weather.mjs";

// Nothing is looked for again during a test, and no object is told anything: each request does the same.
const alone = { between: true, object: false, settings: { refresh_seconds: 3600 } };

// The calls for one request: the least of several, since beside the first ones a new isolate does more.
async function crossings(isolate, body) {
  const seen = [];
  for (let request = 0; request < 5; request += 1) {
    const before = await isolate.between();
    await served(isolate, body);
    const now = await isolate.between();
    seen.push({ into: now.into_wasm - before.into_wasm, out: now.out_of_wasm - before.out_of_wasm });
  }
  return seen.sort((one, other) => one.into + one.out - other.into - other.out)[0];
}

describe("the boundary to Wasm", () => {
  // Who changes these numbers does so on purpose.
  const budget = { into: 7, out: 18 };

  test("is crossed so many times for an answer in one piece", () =>
    inWeather(alone, async ({ gateway }) => {
      assert.deepEqual(await crossings(gateway.isolates[0]), budget);
    }));

  test("is crossed no more often where there are many rules and nodes", () => {
    const names = Array.from({ length: 300 }, (_, index) => `chat-${index}`);
    const models = Object.fromEntries(names.map((name) => [name, { targets: ["openai", "azure-eastus"] }]));
    const rules = names.map((name) => ({ when: { header: { "x-team": name } }, use: name }));
    return inWeather({ ...alone, models, rules }, async ({ gateway }) => {
      assert.deepEqual(await crossings(gateway.isolates[0]), budget);
    });
  });

  test("is not crossed by long bodies: memory of Wasm never shrinks", () =>
    inWeather(alone, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const messages = [{ role: "user", content: "word ".repeat(800_000) }];
      await served(isolate);
      const { memory_bytes: before } = await isolate.between();
      await Promise.all(Array.from({ length: 8 }, () => served(isolate, { messages })));
      const { memory_bytes: after } = await isolate.between();
      assert.ok(after < before + 1_000_000, `${before} bytes before, ${after} after 8 bodies of 4 MB`);
    }));

  test("is not crossed for the chunks of a stream", () =>
    inWeather(alone, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const sum = ({ into, out }) => into + out;
      const saying = (content) => crossings(isolate, { stream: true, messages: [{ role: "user", content }] });
      const [short, long] = [sum(await saying("echo one")), sum(await saying(`echo ${"word ".repeat(1000)}`))];
      assert.ok(short < 150, `${short} for a short stream`);
      // What is read of it beside the pipe comes in large pieces.
      assert.ok(long < short + 250, `${short} for a short stream, ${long} for one of a thousand chunks`);
    }));
});

describe("a trap of the Wasm", () => {
  for (const [when, name] of [["arrives", "serve"], ["is answered", "answered"]]) {
    test(`when a request ${when} costs that one, at once, and no later one`, () =>
      inWeather(alone, async ({ gateway }) => {
        const [isolate] = gateway.isolates;
        await served(isolate);
        const { instances } = await isolate.between({ trap: name });
        const lost = await chat(isolate);
        assert.equal(lost.status, 500);
        await lost.text();
        await served(isolate);
        assert.equal((await isolate.between()).instances, instances + 1);
        assert.ok(gateway.logs.some((line) => line.includes("trapped: ")), "the log says so");
        assert.ok(!gateway.logs.some((line) => line.includes("hung")), "the runtime did not have to end it");
      }));
  }
});
