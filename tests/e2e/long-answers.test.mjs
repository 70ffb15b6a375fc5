// Answers in one piece that are longer than what is held: they flow, and their end is read for the
// usage.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { APP_KEY } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const MIB = 1024 * 1024;
const ADMIN_TOKEN = "admin-of-the-tests";

// Each case has a deployment and a node of its own.
const CASES = [true, false].flatMap((statesLength) =>
  [["first_token", 0], ["first_token", 1_500], ["headers", 0]].map(([commit, pauseMs]) => ({ statesLength, commit, pauseMs })),
);

let upstream;
let gateway;
const answer = {};

before(async () => {
  upstream = createServer(async (request, response) => {
    for await (const _ of request);
    const body = Buffer.from(answer.text);
    response.writeHead(200, { "content-type": "application/json", ...(answer.statesLength && { "content-length": body.length }) });
    const half = body.length / 2;
    response.write(body.subarray(0, half));
    await wait(answer.pauseMs);
    if (answer.breaks) response.destroy();
    else response.end(body.subarray(half));
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const endpoint = `http://127.0.0.1:${upstream.address().port}/v1`;
  const each = (of) => Object.fromEntries(CASES.map((one, index) => of(one, index)));
  gateway = await startGateway({
    routes: {
      version: 1,
      clients: { app: { key: "${APP_KEY}" } },
      deployments: each((_, index) => [`own-${index}`, { provider: "openai", endpoint, model: "m" }]),
      models: each(({ commit }, index) => [`draw-${index}`, { targets: [`own-${index}`], commit, retry: { attempts: 0 } }]),
    },
    vars: { APP_KEY, ADMIN_TOKEN },
  });
});
after(async () => {
  await gateway.close();
  upstream.close();
});

const draw = (index) =>
  gateway.fetch("/v1/images/generations", {
    method: "POST",
    headers: { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ model: `draw-${index}`, prompt: "hi" }),
  });

const image = (bytes) =>
  JSON.stringify({ created: 1, data: [{ b64_json: "A".repeat(bytes) }], usage: { input_tokens: 10, output_tokens: 4_000, total_tokens: 4_010 } });

// The speed of writing that health has measured of a deployment, once nothing is under way.
async function speedAtRest(index) {
  for (;;) {
    const response = await gateway.fetch("/admin/api/health", { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    const { tasks, deployments } = await response.json();
    if (tasks === 1) return deployments.find(({ deployment }) => deployment === `own-${index}`).isolate.tokens_per_second;
    await wait(20);
  }
}

describe("a long answer in one piece", () => {
  for (const [index, { statesLength, commit, pauseMs }] of CASES.entries()) {
    test(`${statesLength ? "with" : "without"} its length, commit: ${commit}, with a pause of ${pauseMs} ms`, async () => {
      Object.assign(answer, { text: image(3 * MIB), statesLength, pauseMs, breaks: false });
      const began = performance.now();
      const text = await (await draw(index)).text();
      assert.ok(text === answer.text, "byte for byte");
      const speed = await speedAtRest(index);
      const least = 4_000 / ((performance.now() - began) / 1_000);
      assert.ok(speed >= least, `${speed} tokens a second, at least ${least}`);
    });
  }

  test("that breaks off is broken off", async () => {
    Object.assign(answer, { text: image(4 * MIB), statesLength: true, pauseMs: 200, breaks: true });
    await assert.rejects(draw(0).then((response) => response.text()));
    await speedAtRest(0);
    assert.deepEqual(gateway.logs.filter((line) => line.includes("uncaught")), []);
  });
});
