// Edge cases: unusual answers of upstreams, unusual requests, and limits that are reached.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, HI, assertError, assertServedBy, assertTrail, chat, eventsOf, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const EASTUS = "eastus/gpt-4o-eastus";
const models = {
  pair: { targets: ["openai", "azure-eastus"] },
  lone: { targets: ["openai"], retry: { attempts: 0 } },
  whole: { targets: ["openai"], commit: "complete", retry: { attempts: 0 } },
};
const inGateway = (settings, use) => withGateway(fleet(simulator, { models, settings }), use);

// Asserts that the first deployment has this fault and the second one serves.
async function assertFallback(gateway, fault, outcome, body = {}) {
  await simulator.fault("openai", { fault });
  const response = await chat(gateway, { model: "pair", ...body });
  assertTrail(response, [["openai", outcome], ["azure-eastus", "200"]]);
  if (body.stream) assert.match(await response.text(), /\[DONE\]/);
  else await assertServedBy(response, EASTUS);
  await simulator.reset();
}

describe("a 200 that is not an answer is a failure", () => {
  const json = { "content-type": "application/json" };
  const odd = [
    ["no content", { status: 204 }, "truncated"],
    ["an empty body", { status: 200, body: "", headers: json }, "truncated"],
    ["a page", { status: 200, body: "<html>Sign in</html>", headers: { "content-type": "text/html" } }, "unavailable"],
    ["JSON that breaks off", { status: 200, body: '{"id":"x","choices":[', headers: json }, "truncated"],
    ["JSON of something else", { status: 200, body: { detail: "Not authenticated" } }, "unavailable"],
  ];
  for (const [what, fault, outcome] of odd) {
    test(what, () => inGateway({}, (gateway) => assertFallback(gateway, fault, outcome)));
  }
});

test("the content-length of a compressed answer is not used as the length of the answer", async () => {
  const content = "x".repeat(300_000);
  const answer = JSON.stringify({ object: "chat.completion", choices: [{ message: { content } }] });
  const zipped = gzipSync(answer);
  // The Worker reads pieces of 4,096 bytes. A comment in the gzip header makes the compressed
  // length a multiple of that.
  const padding = 4096 - ((zipped.length + 1) % 4096);
  const padded = Buffer.concat([zipped.subarray(0, 10), Buffer.alloc(padding, "p"), Buffer.from([0]), zipped.subarray(10)]);
  padded[3] |= 16; // FCOMMENT, RFC 1952
  assert.equal(padded.length % 4096, 0);
  const upstream = createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip", "content-length": padded.length });
      response.end(padded);
    });
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const endpoint = `http://127.0.0.1:${upstream.address().port}/v1`;
  const zipper = { provider: "openai", endpoint, api_key: "${OPENAI_API_KEY}", model: "m" };
  const { routes, vars } = fleet(simulator, { models: { zipped: { targets: ["zipper"] } } });
  try {
    await withGateway({ routes: { ...routes, deployments: { ...routes.deployments, zipper } }, vars }, async (gateway) => {
      assert.equal(await (await chat(gateway, { model: "zipped" })).text(), answer);
    });
  } finally {
    upstream.close();
  }
});

test("a status outside the range of HTTP becomes a 502 in OpenAI's shape", () =>
  inGateway({}, async (gateway) => {
    await simulator.fault("openai", { fault: { status: 999, body: { error: { message: "odd" } } } });
    const response = await chat(gateway, { model: "lone" });
    assert.equal(response.status, 502);
    assert.equal((await response.json()).error.message, "odd");
  }));

test("an error body that stalls does not delay the fallback", () =>
  inGateway({}, async (gateway) => {
    await assertFallback(gateway, { error: "overloaded", stall_after: 0 }, "unavailable");
  }));

describe("time limits", () => {
  test("a silent upstream leaves time for the next target, whatever the deadline", () =>
    inGateway({ deadline_ms: 3000 }, async (gateway) => {
      await assertFallback(gateway, { silence: true }, "timeout");
      await assertFallback(gateway, { silence: true }, "timeout", { stream: true });
    }));

  test("an error for a passed deadline tells the client not to retry", () =>
    inGateway({ deadline_ms: 300 }, async (gateway) => {
      await simulator.fault("openai", { fault: { silence: true } });
      const response = await chat(gateway, { model: "lone" });
      assert.equal(response.headers.get("x-should-retry"), "false");
      await assertError(response, 504, "deadline_exceeded");
    }));

  test("a committed stream over its total limit ends with an error event, and the upstream call is cancelled", () =>
    inGateway({ timeout: { total_ms: 1200 } }, async (gateway) => {
      await simulator.fault("openai", { fault: { pause_ms: 400 } });
      const long = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ");
      const messages = [{ role: "user", content: `echo ${long}` }];
      const response = await chat(gateway, { model: "lone", stream: true, messages });
      const events = eventsOf(await response.text());
      assert.equal(events.at(-1).data.error.code, "upstream_timeout");
      await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
    }));

  test("a request does not wait for a Retry-After while another target is left, even with a retry configured", () =>
    withGateway(
      fleet(simulator, {
        models: { patient: { targets: ["openai", "azure-eastus"], retry: { attempts: 2, max_wait_ms: 60_000 } } },
      }),
      async (gateway) => {
        await simulator.fault("openai", { fault: { error: "rate_limit", headers: { "retry-after-ms": "50000" } } });
        const response = await chat(gateway, { model: "patient" });
        assertTrail(response, [["openai", "rate_limit"], ["azure-eastus", "200"]]);
        assert.match(response.headers.get("server-timing"), /backoff;dur=0/);
      },
    ));
});

describe("a stream that is held until it is complete, after its first comment", () => {
  const held = async (gateway, fault) => {
    await simulator.fault("openai", { fault: { slow_headers_ms: 200, ...fault } });
    const response = await chat(gateway, { model: "whole", stream: true });
    assert.equal(response.status, 200);
    const text = await response.text();
    assert.match(text, /^: /, "a comment comes first");
    return eventsOf(text);
  };

  test("passes an upstream's error on unchanged", () =>
    inGateway({ keepalive_ms: 20 }, async (gateway) => {
      const events = await held(gateway, { error: "context_window" });
      assert.equal(events.length, 1);
      assert.equal(events[0].data.error.code, "context_length_exceeded");
      assert.equal(events[0].data.error.type, "invalid_request_error");
    }));

  test("rejects an answer that is not a stream", () =>
    inGateway({ keepalive_ms: 20 }, async (gateway) => {
      const body = { object: "chat.completion", choices: [{ message: { content: "plain" } }] };
      const events = await held(gateway, { status: 200, body });
      assert.deepEqual(events.map(({ data }) => data.error.code), ["upstream_not_a_stream"]);
    }));
});

describe("bodies", () => {
  const send = (gateway, body, headers = {}) =>
    gateway.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json", ...headers },
      body,
    });

  test("one larger than the buffer needs its model within the buffer, and the error says so", () =>
    inGateway({ buffer_bytes: 10_000 }, async (gateway) => {
      const messages = [{ role: "user", content: "x".repeat(20_000) }];
      await assertServedBy(await send(gateway, JSON.stringify({ model: "pair", messages })), "openai/gpt-4o");
      const error = await assertError(await send(gateway, JSON.stringify({ messages, model: "pair" })), 413, "request_too_large");
      assert.match(error.message, /Put "model" before/);
    }));

  test("a compressed one is refused with a message that names the encoding", () =>
    inGateway({}, async (gateway) => {
      const body = gzipSync(JSON.stringify({ model: "pair", messages: HI }));
      const error = await assertError(await send(gateway, body, { "content-encoding": "gzip" }), 415, "unsupported_encoding");
      assert.match(error.message, /gzip/);
    }));

  test("one with a wrong content-type is sent on as JSON", () =>
    inGateway({}, async (gateway) => {
      const body = JSON.stringify({ model: "pair", messages: HI });
      const type = { "content-type": "application/x-www-form-urlencoded" };
      await assertServedBy(await send(gateway, body, type), "openai/gpt-4o");
      assert.equal(simulator.calls("openai")[0].headers["content-type"], "application/json");
    }));
});

test("the path prefix of a rule may be the name of an unsupported operation", () =>
  withGateway(
    fleet(simulator, { rules: [{ when: { path: "/live/*" }, use: "chat-eastus" }] }),
    async (gateway) => {
      await assertServedBy(await chat(gateway, {}, { path: "/live/v1/chat/completions" }), EASTUS);
      await assertError(await chat(gateway, {}, { path: "/v1/realtime" }), 404, "operation_not_supported");
    },
  ));

test("organization ids in an upstream's error do not reach the client", () =>
  inGateway({}, async (gateway) => {
    const message = "Rate limit reached in organization org-Secret123 on tokens per min.";
    await simulator.fault("openai", { fault: { status: 429, body: { error: { message, type: "tokens", code: "rate_limit_exceeded" } } } });
    const text = await (await chat(gateway, { model: "lone" })).text();
    assert.match(text, /organization org-\*\*\* on tokens/);
  }));

test("a variable with a malformed value disables that deployment alone", async () => {
  const { routes, vars } = fleet(simulator, { models });
  await withGateway({ routes, vars: { ...vars, OPENAI_API_KEY: "two words" } }, async (gateway) => {
    const response = await chat(gateway, { model: "pair" });
    assertTrail(response, [["azure-eastus", "200"]]);
    assert.ok(gateway.logs.some((line) => line.includes("OPENAI_API_KEY") && !line.includes("two words")), gateway.logs.join("\n"));
  });
});
