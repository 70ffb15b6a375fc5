// The commit point of answers, breaks after it, and clients that leave.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertServedBy, assertTrail, chat, connect, eventsOf, fleet, HI, readChatStream } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const timeout = { first_token_ms: 500, idle_ms: 500 };
const targets = ["openai", "azure-eastus"];
const models = {
  headers: { targets, timeout, commit: "headers" },
  first: { targets, timeout, commit: "first_token" },
  whole: { targets, timeout, commit: "complete" },
  held: { targets, commit: "complete" },
  patient: { targets, timeout: { first_token_ms: 60_000, idle_ms: 60_000, headers_ms: 60_000 } },
  eastus: { targets: ["azure-eastus"] },
};
const inGateway = (use, settings) => withGateway(fleet(simulator, { models, settings }), use);
const sdk = (gateway) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: APP_KEY, maxRetries: 0 });
const callsOf = (...names) => names.map((name) => simulator.calls(name).length);

const LONG = [{ role: "user", content: `echo ${"word ".repeat(1000)}` }];

const BREAKS = {
  "a cut": { cut_after: 3 }, // after the role and two words
  "an end without a finish": { end_after: 3 },
  "a stall": { stall_after: 3 },
  "an error event": { error_after: 3 },
};

describe("a stream that breaks after its first content ends with an error and not with a normal end", () => {
  for (const [what, fault] of Object.entries(BREAKS)) {
    for (const model of ["headers", "first"]) {
      test(`${what}, commit: ${models[model].commit}`, () =>
        inGateway(async (gateway) => {
          await simulator.fault("openai", { fault });
          const response = await chat(gateway, { model, stream: true });
          assert.equal(response.status, 200);
          const { text, done, errors } = readChatStream(await response.text());
          assert.equal(text, "hello from ");
          assert.equal(done, false, "no [DONE]");
          assert.ok(errors.length > 0, "an error event");
          assert.equal(typeof errors[0].data.error.message, "string");
          assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
        }));
    }

    test(`${what} of Azure`, () =>
      inGateway(async (gateway) => {
        await simulator.fault("eastus", { fault: later(fault, 1) }); // its first chunk is empty
        const { text, done, errors } = readChatStream(await (await chat(gateway, { model: "eastus", stream: true })).text());
        assert.deepEqual([text, done, errors.length > 0], ["hello from ", false, true]);
      }, { timeout }));

    test(`${what}: OpenAI's SDK throws`, () =>
      inGateway(async (gateway) => {
        await simulator.fault("openai", { fault });
        const stream = await sdk(gateway).chat.completions.create({ model: "first", messages: HI, stream: true });
        let text = "";
        await assert.rejects(async () => {
          for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
        });
        assert.equal(text, "hello from ");
      }));

    test(`${what} in the Responses API`, () =>
      inGateway(async (gateway) => {
        // The events before the second word: created, in_progress, item added, part added, first
        // word.
        await simulator.fault("openai", { fault: later(fault, 2) });
        const body = { model: "first", input: "hi", messages: undefined, store: false, stream: true };
        const response = await chat(gateway, body, { path: "/v1/responses" });
        assert.equal(response.status, 200);
        const events = eventsOf(await response.text());
        const types = events.map(({ data }) => data.type);
        assert.ok(types.includes("response.output_text.delta"), types.join());
        assert.ok(["error", "response.failed"].includes(types.at(-1)), types.join());
        assert.ok(!types.includes("response.completed"), types.join());
        assert.equal(events.at(-1).event, types.at(-1), "event and type agree");
      }));

    test(`${what} in the Responses API: OpenAI's SDK does not see a completed response`, () =>
      inGateway(async (gateway) => {
        await simulator.fault("openai", { fault: later(fault, 2) });
        const stream = sdk(gateway).responses.stream({ model: "first", input: "hi", store: false });
        const types = [];
        await assert.rejects(async () => {
          for await (const event of stream) types.push(event.type);
          await stream.finalResponse();
        });
        assert.ok(!types.includes("response.completed"), types.join());
      }));
  }
});

describe("a stream whose connection stays open after its last event ends like any other", () => {
  for (const model of ["headers", "first", "whole", "patient"]) {
    test(`with the limits of \`${model}\``, () =>
      inGateway(async (gateway) => {
        await simulator.fault("openai", { fault: { stay_open: true } });
        const { text, done, errors } = readChatStream(await (await chat(gateway, { model, stream: true })).text());
        assert.deepEqual({ text, done, errors }, { text: "hello from openai/gpt-4o", done: true, errors: [] });
        await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
        assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
      }));
  }

  test("a client that reads late gets all of it", () =>
    inGateway(async (gateway) => {
      await simulator.fault("openai", { fault: { stay_open: true } });
      const words = "word ".repeat(20_000);
      const messages = [{ role: "user", content: `echo ${words}` }];
      const response = await chat(gateway, { model: "patient", stream: true, messages });
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      const { text, done, errors } = readChatStream(await response.text());
      assert.deepEqual([text.trim().endsWith(words.trim()), done, errors], [true, true, []]);
    }));
});

describe("commit: headers", () => {
  test("the answer starts before the first content", () =>
    inGateway(async (gateway) => {
      await simulator.fault("openai", { fault: { slow_first_token_ms: 400 } });
      const response = await chat(gateway, { model: "headers", stream: true });
      assertTrail(response, [["openai", "200"]]);
      const { text, done } = readChatStream(await response.text());
      assert.deepEqual([text, done], ["hello from openai/gpt-4o", true]);
    }));

  test("an error status still causes a fallback", () =>
    inGateway(async (gateway) => {
      await simulator.fault("openai", { fault: "overloaded" });
      const response = await chat(gateway, { model: "headers", stream: true });
      assertTrail(response, [["openai", "unavailable"], ["azure-eastus", "200"]]);
      assert.equal(readChatStream(await response.text()).text, "hello from eastus/gpt-4o-eastus");
    }));

  test("a break before the first content gives an error event, since the answer is committed", () =>
    inGateway(async (gateway) => {
      await simulator.fault("openai", { fault: { cut_after: 1 } });
      const { done, errors } = readChatStream(await (await chat(gateway, { model: "headers", stream: true })).text());
      assert.deepEqual([done, errors.length > 0], [false, true]);
      assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
    }));
});

describe("commit: first_token", () => {
  test("content is sent at once, while the upstream still sends", () =>
    inGateway(async (gateway) => {
      await simulator.fault("openai", { fault: { stall_after: 3 } });
      const response = await chat(gateway, { model: "patient", stream: true });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes("from ")) text += (await reader.read()).value;
      assert.equal(simulator.calls("openai")[0].outcome, "open");
      await reader.cancel();
    }));

  test("`response.created` is not content: a stall after it causes a fallback", () =>
    inGateway(async (gateway) => {
      const text = "hello from westeurope/gpt-4o-westeurope";
      await simulator.fault("openai", { fault: { stall_after: 2 } });
      const body = { model: "responses", input: "hi", messages: undefined, store: false, stream: true };
      const mixed = { responses: { targets: ["openai", "azure-westeurope"], timeout } };
      await withGateway(fleet(simulator, { models: mixed }), async (other) => {
        const response = await chat(other, body, { path: "/v1/responses" });
        assertTrail(response, [["openai", "timeout"], ["azure-westeurope", "200"]]);
        const events = eventsOf(await response.text());
        assert.equal(events.filter(({ event }) => event === "response.created").length, 1);
        assert.equal(events.at(-1).data.response.output[0].content[0].text, text);
      });
    }));
});

describe("commit: complete", () => {
  for (const [what, fault] of [...Object.entries(BREAKS), ["a malformed chunk", { malformed_after: 3 }]]) {
    test(`after ${what} in mid-stream, the next deployment answers completely`, () =>
      inGateway(async (gateway) => {
        await simulator.fault("openai", { fault });
        const response = await chat(gateway, { model: "whole", stream: true });
        assert.equal(response.status, 200);
        const { text, done, errors } = readChatStream(await response.text());
        assert.deepEqual({ text, done, errors }, { text: "hello from eastus/gpt-4o-eastus", done: true, errors: [] });
        assert.deepEqual(callsOf("openai", "eastus"), [1, 1]);
      }));
  }

  for (const [what, fault] of [["cut off", { cut_after: 1 }], ["stalled", { stall_after: 1 }]]) {
    test(`after an answer that is not a stream and is ${what} in the middle, the next deployment answers`, () =>
      withGateway(
        fleet(simulator, { models: { whole: { ...models.whole, timeout: { total_ms: 700, idle_ms: 500 } } } }),
        async (gateway) => {
          await simulator.fault("openai", { fault });
          await assertServedBy(await chat(gateway, { model: "whole" }), "eastus/gpt-4o-eastus");
          assert.deepEqual(callsOf("openai", "eastus"), [1, 1]);
        },
      ));
  }

  test("comments keep the connection alive until the stream is complete", () =>
    inGateway(
      async (gateway) => {
        await simulator.fault("openai", { fault: { slow_first_token_ms: 1500 } });
        const body = await (await chat(gateway, { model: "held", stream: true })).text();
        assert.match(body, /^:/, "a comment comes first");
        assert.equal(readChatStream(body).text, "hello from openai/gpt-4o");
      },
      { keepalive_ms: 1000 },
    ));
});

describe("a client that leaves", () => {
  const cases = [
    // [what, fault, fields of the body, whether to wait for content]
    ["before the headers", { silence: true }, {}, false],
    ["before the first content of a stream", { stall_after: 1 }, { stream: true }, false],
    ["in the middle of a stream", { pause_ms: 30 }, { stream: true, messages: LONG }, true],
    ["in the middle of a stream that stalled", { stall_after: 3 }, { stream: true, model: "first" }, true],
  ];
  for (const [what, fault, body, waits] of cases) {
    test(`${what} cancels the upstream call, and no other deployment is called`, () =>
      inGateway(async (gateway) => {
        await simulator.fault("openai", { fault });
        const client = connect(gateway, { model: "patient", messages: HI, ...body });
        await simulator.seen("openai", (call) => call.body !== undefined);
        if (waits) await client.content;
        client.leave();
        // At once, or with the next byte, or after the idle timeout.
        await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
        assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
      }));
  }
});

test("usage reaches the client if it was requested, and the stream ends like that of the upstream", () =>
  inGateway(async (gateway) => {
    const body = { stream: true, stream_options: { include_usage: true } };
    const text = await (await chat(gateway, { model: "first", ...body })).text();
    const events = eventsOf(text);
    assert.ok(events.at(-2).data.usage.total_tokens > 0);
    assert.equal(new Set(events.slice(0, -1).map(({ data }) => data.id)).size, 1);
    assert.ok(text.endsWith("data: [DONE]\n\n"));
  }));

// The same fault, some chunks later.
function later(fault, chunks) {
  return Object.fromEntries(Object.entries(fault).map(([key, count]) => [key, count + chunks]));
}
