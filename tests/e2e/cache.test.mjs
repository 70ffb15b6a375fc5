// Nodes that keep answers, in the Cache API of workerd.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, chat, fleet, HI } from "./document.mjs";
import { startGateway } from "./gateway.mjs";
import { eventually } from "./isolates.mjs";

const OTHER_KEY = "sk-switchyard-other";

let simulator;
let gateway;
before(async () => {
  simulator = await startSimulator();
  const cache = { ttl: 600 };
  gateway = await startGateway(
    fleet(simulator, {
      clients: { app: { key: "${APP_KEY}" }, other: { key: "${OTHER_KEY}" } },
      vars: { OTHER_KEY },
      models: {
        kept: { targets: ["openai", "azure-eastus"], cache },
        "kept-embed": { targets: ["openai-embed"], cache },
        flight: { targets: ["openai"], cache: { ...cache, single_flight: true } },
      },
    }),
  );
});
afterEach(() => simulator.reset());
after(async () => {
  await gateway?.close();
  await simulator.close();
});

const sdk = (apiKey = APP_KEY) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
const statusOf = (response) => response.headers.get("x-switchyard-cache");
const calls = () => simulator.calls("openai").length;

// Requests of different tests differ by their messages.
let number = 0;
const question = (text = "hi") => [{ role: "user", content: `${text} ${(number += 1)}` }];

// Sends a request until its answer was kept, which happens in the background. Returns the first
// answer and the first one that was kept.
async function untilKept(send) {
  const first = await send();
  assert.equal(statusOf(first.response), "MISS");
  const again = await eventually("an answer is kept", async () => {
    const next = await send();
    return statusOf(next.response) === "HIT" && next;
  });
  const before = calls();
  await send();
  assert.equal(calls(), before, "no deployment is asked");
  return [first, again];
}

describe("the official SDK", () => {
  test("gets a chat answer that was kept, with an id of its own", async () => {
    const messages = question();
    const [first, again] = await untilKept(() => sdk().chat.completions.create({ model: "kept", messages }).withResponse());
    assert.deepEqual({ ...again.data }, { ...first.data });
    assert.equal(again.response.headers.get("content-type"), "application/json");
    const id = again.response.headers.get("x-switchyard-request-id");
    assert.notEqual(id, first.response.headers.get("x-switchyard-request-id"));
    assert.equal(again.request_id, id);
    assert.match(again.response.headers.get("age"), /^\d+$/);
    for (const hidden of ["cache-control", "cf-cache-status", "x-switchyard-deployment", "x-switchyard-cached-at", "x-ratelimit-limit-requests"]) {
      assert.equal(again.response.headers.get(hidden), null, hidden);
    }
  });

  test("gets a stream that was kept, as a stream", async () => {
    const messages = question();
    const read = async () => {
      const options = { model: "kept", messages, stream: true, stream_options: { include_usage: true } };
      const { data, response } = await sdk().chat.completions.create(options).withResponse();
      const chunks = [];
      for await (const chunk of data) chunks.push(chunk);
      return { chunks, response };
    };
    const [first, again] = await untilKept(read);
    assert.deepEqual(again.chunks, first.chunks);
    assert.ok(again.chunks.at(-1).usage.total_tokens > 0);
    assert.match(again.response.headers.get("content-type"), /^text\/event-stream/);
  });

  test("gets a response, a streamed response and embeddings that were kept", async () => {
    const input = question()[0].content;
    const response = () => sdk().responses.create({ model: "kept", input, store: false }).withResponse();
    const [first, again] = await untilKept(response);
    assert.equal(again.data.output_text, first.data.output_text);
    const streamed = async () => {
      const { data, response } = await sdk().responses.create({ model: "kept", input, store: false, stream: true }).withResponse();
      const events = [];
      for await (const event of data) events.push(event);
      return { events, response };
    };
    const [events, eventsAgain] = await untilKept(streamed);
    assert.deepEqual(eventsAgain.events, events.events);
    assert.equal(eventsAgain.events.at(-1).type, "response.completed");
    const embeddings = () => sdk().embeddings.create({ model: "kept-embed", input }).withResponse();
    const [vector, vectorAgain] = await untilKept(embeddings);
    assert.deepEqual(vectorAgain.data.data, vector.data.data);
  });

  test("gets no answer of another client, and its response is not kept if it is stored", async () => {
    const messages = question();
    await untilKept(() => sdk().chat.completions.create({ model: "kept", messages }).withResponse());
    const other = await sdk(OTHER_KEY).chat.completions.create({ model: "kept", messages }).withResponse();
    assert.equal(statusOf(other.response), "MISS");
    const stored = await sdk().responses.create({ model: "kept", input: "hi" }).withResponse();
    assert.equal(statusOf(stored.response), "BYPASS");
  });
});

const ask = async (body, init) => {
  const response = await chat(gateway, { model: "kept", ...body }, init);
  return { response, text: await response.text() };
};

test("an answer is kept for as long as the client says, and a client can go past it", async () => {
  const messages = question();
  const brief = { headers: { "cf-aig-cache-ttl": "1" } };
  await untilKept(() => ask({ messages }, brief));
  const { response: skipped } = await ask({ messages }, { headers: { "cf-aig-skip-cache": "true" } });
  assert.equal(statusOf(skipped), "BYPASS");
  await eventually("its time is over", async () => statusOf((await ask({ messages }, brief)).response) === "MISS");
});

test("a stream that breaks is not kept", async () => {
  const messages = question();
  await simulator.fault("openai", { fault: { cut_after: 3 }, times: 1 });
  const { text } = await ask({ messages, stream: true });
  assert.match(text, /upstream_truncated/);
  const { response, text: next } = await ask({ messages, stream: true });
  assert.equal(statusOf(response), "MISS");
  assert.match(next, /\[DONE\]/);
});

test("a long body and a long answer are hashed and kept, up to a limit", async () => {
  const content = `echo ${"word ".repeat(40_000)}`;
  const messages = question(content);
  const [first, again] = await untilKept(() => ask({ messages }));
  assert.ok(first.text.length > 150_000);
  assert.equal(again.text, first.text);
  const almost = [{ role: "user", content: messages[0].content.replace(/word +(\d+)$/, "ward $1") }];
  assert.equal(statusOf((await ask({ messages: almost })).response), "MISS");
  const { response } = await ask({ messages: question("a".repeat(1_100_000)) });
  assert.equal(statusOf(response), "BYPASS");
});

for (const stream of [false, true]) {
  test(`equal requests at the same moment are asked once${stream ? ", as a stream" : ""}`, async () => {
    const messages = question();
    await simulator.fault("openai", { fault: { slow_headers_ms: 300 } });
    const before = calls();
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask({ model: "flight", messages, stream })));
    const statuses = answers.map(({ response }) => statusOf(response)).sort();
    assert.deepEqual(statuses, [...Array(7).fill("HIT"), "MISS"]);
    assert.equal(calls(), before + 1);
    for (const { text } of answers) assert.equal(text, answers[0].text);
  });
}

test("a node without a cache says nothing of one, and the log says what the others had", async () => {
  const plain = await chat(gateway, { messages: HI });
  assert.equal(statusOf(plain), null);
  await plain.text();
  const messages = question();
  await untilKept(() => ask({ messages }));
  const records = gateway.logs.flatMap((line) => (line.includes('"event":"request"') ? [JSON.parse(line.replace(/^\w+: /, ""))] : []));
  assert.equal(records.find(({ model }) => model === "chat").cache, undefined);
  const hit = records.findLast(({ cache }) => cache === "hit");
  assert.deepEqual([hit.attempts, hit.usage.output_tokens, hit.outcome, hit.deployment], [[], 0, "ok", undefined]);
});
