// Upstreams that keep their connection open: after the last event of a stream that has no end marker,
// and in the middle of an answer in one piece.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { APP_KEY } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const IDLE_MS = 1_000;
// A stream ends a second after its limit. Machines that test are slow, an upstream that waits is slower.
const SOON_MS = 10_000;

const IMAGE = 'data: {"type":"image_generation.completed","b64_json":"AAAA"}\n\n';
const CHAT = { model: "headers", messages: [] };
const part = (bytes) => `{"data":[{"b64_json":"${"A".repeat(bytes)}`;

let upstream;
let gateway;
let answer;

before(async () => {
  upstream = createServer(async (request, response) => {
    for await (const _ of request);
    response.writeHead(200, { "content-type": answer.type });
    response.write(answer.begin);
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const endpoint = `http://127.0.0.1:${upstream.address().port}/v1`;
  const node = (commit) => ({ targets: ["own"], commit, retry: { attempts: 0 } });
  gateway = await startGateway({
    routes: {
      version: 1,
      settings: { timeout: { idle_ms: IDLE_MS } },
      clients: { app: { key: "${APP_KEY}" } },
      deployments: { own: { provider: "openai", endpoint, model: "m" } },
      models: { first: node("first_token"), headers: node("headers"), whole: node("complete") },
    },
    vars: { APP_KEY },
  });
});
after(async () => {
  await gateway.close();
  upstream.closeAllConnections();
  upstream.close();
});

const ask = (path, body) =>
  gateway.fetch(`/v1/${path}`, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${APP_KEY}`, ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(SOON_MS),
  });

describe("an image stream that stays open after an image ends cleanly", () => {
  for (const model of ["first", "headers", "whole"]) {
    test(model, async () => {
      answer = { type: "text/event-stream", begin: IMAGE };
      const response = await ask("images/generations", { model, prompt: "hi", stream: true });
      assert.equal(await response.text(), IMAGE);
    });
  }
});

describe("an answer in one piece that flows and stalls is broken off", () => {
  for (const [what, type, begin, path, body] of [
    ["speech", "audio/mpeg", "sound", "audio/speech", { model: "first", input: "hi", voice: "v" }],
    ["speech that is passed on at once", "audio/mpeg", "sound", "audio/speech", { model: "headers", input: "hi", voice: "v" }],
    ["the content of a file", "application/octet-stream", "bytes", "files/file-1/content", null],
    ["a large image", "application/json", part(2 << 20), "images/generations", { model: "first", prompt: "hi" }],
    ["a chat that is passed on at once", "application/json", '{"id":"x","choices":[', "chat/completions", CHAT],
  ]) {
    test(what, async () => {
      answer = { type, begin };
      const response = await ask(path, body);
      assert.equal(response.status, 200);
      await assert.rejects(response.text(), (error) => error.name !== "TimeoutError");
    });
  }
});
