// `settings.usage: exact`: the provider is asked for the usage of streams, and clients see nothing
// of it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, chat, connect, eventsOf, fleet, HI, readChatStream } from "./document.mjs";
import { withGateway } from "./gateway.mjs";
import { served, withIsolates } from "./isolates.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const timeout = { first_token_ms: 500, idle_ms: 500 };
const models = {
  first: { targets: ["openai"], timeout },
  headers: { targets: ["openai"], timeout, commit: "headers" },
  held: { targets: ["openai"], timeout, commit: "complete" },
  eastus: { targets: ["azure-eastus"] },
};
const exact = (use, settings) => withGateway(fleet(simulator, { models, settings: { usage: "exact", ...settings } }), use);
const askedFor = () => JSON.parse(simulator.calls("openai").at(-1).body).stream_options;
const isUsage = ({ data }) => data?.choices?.length === 0 && data.usage;

describe("the official SDK", () => {
  const sdk = (gateway) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: APP_KEY, maxRetries: 0 });

  test("gets a stream without the usage that it did not ask for", () =>
    exact(async (gateway) => {
      for (const stream_options of [undefined, { include_usage: false, include_obfuscation: false }]) {
        const chunks = [];
        const options = { model: "first", messages: HI, stream: true, stream_options };
        for await (const chunk of await sdk(gateway).chat.completions.create(options)) chunks.push(chunk);
        assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? "").join(""), "hello from openai/gpt-4o");
        assert.ok(chunks.every(({ usage }) => !usage), "no chunk has usage");
        assert.deepEqual(askedFor(), { ...stream_options, include_usage: true });
      }
    }));

  test("gets the usage that it asked for", () =>
    exact(async (gateway) => {
      const chunks = [];
      const options = { model: "first", messages: HI, stream: true, stream_options: { include_usage: true } };
      for await (const chunk of await sdk(gateway).chat.completions.create(options)) chunks.push(chunk);
      assert.ok(chunks.at(-1).usage.total_tokens > 0);
    }));

  test("gets a stream of Azure with its first chunk, which has no choices either", () =>
    exact(async (gateway) => {
      const stream = sdk(gateway).chat.completions.stream({ model: "eastus", messages: HI });
      assert.equal(await stream.finalContent(), "hello from eastus/gpt-4o-eastus");
      const { data: first } = eventsOf(await (await chat(gateway, { model: "eastus", stream: true })).text())[0];
      assert.ok(first.prompt_filter_results);
    }));

  test("gets completions without the usage", () =>
    exact(async (gateway) => {
      const chunks = [];
      for await (const chunk of await sdk(gateway).completions.create({ model: "instruct", prompt: "hi", stream: true })) chunks.push(chunk);
      assert.match(chunks.map(({ choices }) => choices[0].text).join(""), /^hello from /);
    }));
});

describe("no client sees the chunk with the usage", () => {
  for (const fault of [{}, { crlf: true }, { split: true }, { crlf: true, split: true, comments: true }, { no_done: true }, { stay_open: true }]) {
    for (const model of ["first", "headers", "held"]) {
      test(`${JSON.stringify(fault)}, commit: ${models[model].commit ?? "first_token"}`, () =>
        exact(async (gateway) => {
          if (Object.keys(fault).length > 0) await simulator.fault("openai", { fault });
          const text = await (await chat(gateway, { model, stream: true })).text();
          const events = eventsOf(text);
          assert.ok(!events.some(isUsage) && !text.includes("prompt_tokens"), text);
          const { text: said, done, errors } = readChatStream(text);
          assert.deepEqual({ said, done, errors }, { said: "hello from openai/gpt-4o", done: !fault.no_done, errors: [] });
          assert.deepEqual(askedFor(), { include_usage: true });
        }));
    }
  }
});

describe("a filtered stream is served like any other", () => {
  for (const [what, fault] of Object.entries({ "a cut": { cut_after: 3 }, "an early end": { end_after: 3 }, "a stall": { stall_after: 3 } })) {
    test(`${what} is an error event`, () =>
      exact(async (gateway) => {
        await simulator.fault("openai", { fault });
        const { text, done, errors } = readChatStream(await (await chat(gateway, { model: "first", stream: true })).text());
        assert.deepEqual([text, done, errors.length > 0], ["hello from ", false, true]);
        assert.deepEqual(gateway.logs.filter((line) => line.includes("uncaught")), []);
      }));
  }

  test("a client that leaves ends the upstream call", () =>
    exact(async (gateway) => {
      await simulator.fault("openai", { fault: { pause_ms: 100 } });
      const messages = [{ role: "user", content: `echo ${"word ".repeat(500)}` }];
      const { content, leave } = connect(gateway, { model: "first", messages, stream: true });
      await content;
      leave();
      await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
    }));

  test("each event reaches the client when it comes", () =>
    exact(async (gateway) => {
      await simulator.fault("openai", { fault: { pause_ms: 100 } });
      const response = await chat(gateway, { model: "headers", stream: true });
      const arrivals = [];
      for await (const _ of response.body) arrivals.push(performance.now());
      assert.ok(arrivals.length > 4, `${arrivals.length} pieces`);
    }));

  test("a client that reads late gets all of it", () =>
    exact(async (gateway) => {
      const words = "word ".repeat(20_000);
      const messages = [{ role: "user", content: `echo ${words}` }];
      const response = await chat(gateway, { model: "headers", stream: true, messages });
      await wait(1_500);
      const { text, done, errors } = readChatStream(await response.text());
      assert.deepEqual([text.trim().endsWith(words.trim()), done, errors], [true, true, []]);
    }));

  test("a trap of the Wasm breaks it off, since its filter is gone", () =>
    withIsolates({ intercept: true, object: false, models, settings: { usage: "exact", refresh_seconds: 3600 } }, async ({ simulator, gateway }) => {
      const [isolate] = gateway.isolates;
      await served(isolate);
      await simulator.fault("openai", { fault: { pause_ms: 100 }, times: 1 });
      const messages = [{ role: "user", content: `echo ${"word ".repeat(50)}` }];
      const streaming = await chat(isolate, { model: "first", stream: true, messages });
      await isolate.intercept({ trap: "fetch" });
      await (await chat(isolate)).text();
      await assert.rejects(streaming.text());
      await served(isolate);
    }));
});

// An upstream that sends the bytes of `answer`, cut at its places.
async function upstreamOf(answer) {
  const server = createServer({ noDelay: true }, async (request, response) => {
    for await (const _ of request);
    response.writeHead(200, { "content-type": "text/event-stream" });
    let at = 0;
    for (const cut of [...answer.cuts, answer.bytes.length]) {
      await new Promise((written) => response.write(answer.bytes.subarray(at, cut), written));
      await wait(3);
      at = cut;
    }
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { endpoint: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close() };
}

test("what a client gets is what the provider sent without that chunk, byte for byte and for any cut", async () => {
  const chunk = (choices, more) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices, ...more })}\n\n`;
  const usage = chunk([], { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } });
  const before = [
    chunk([], { prompt_filter_results: [] }),
    ": keep-alive\n\n",
    chunk([{ index: 0, delta: { role: "assistant", content: 'Zürich "usage": {}' } }], { usage: null }),
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }], { usage: null }),
  ].join("");
  const answer = {};
  const upstream = await upstreamOf(answer);
  const routes = {
    version: 1,
    settings: { usage: "exact" },
    clients: { app: { key: "${APP_KEY}" } },
    deployments: { own: { provider: "openai", endpoint: upstream.endpoint, model: "m" } },
    models: { chat: { targets: ["own"] }, held: { targets: ["own"], commit: "complete" } },
  };
  const withLineEnds = (text, end) => Buffer.from(text.replaceAll("\n", end));
  try {
    await withGateway({ routes, vars: { APP_KEY } }, async (gateway) => {
      for (const end of ["\n", "\r\n"]) {
        const expected = withLineEnds(`${before}data: [DONE]\n\n`, end).toString();
        const from = withLineEnds(before, end).length;
        const inUsage = [1, 30, withLineEnds(usage, end).length - 1].map((cut) => [from + cut]);
        answer.bytes = withLineEnds(`${before}${usage}data: [DONE]\n\n`, end);
        const every = Array.from({ length: Math.floor(answer.bytes.length / 40) }, (_, index) => (index + 1) * 40);
        for (const cuts of [[], [from], ...inUsage, every]) {
          answer.cuts = cuts;
          for (const model of ["chat", "held"]) {
            assert.equal(await (await chat(gateway, { model, stream: true })).text(), expected, `${model}, cut at ${cuts}`);
          }
        }
      }
    });
  } finally {
    upstream.close();
  }
});
