// Long request bodies: the edited body that each upstream receives, and fields at any position.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, assertTrail, fleet } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const KIB = 1024;
// Too short to eject a deployment.
const BUSY = { "retry-after-ms": "100" };
const ANSWER = JSON.stringify({ object: "chat.completion", choices: [{ message: { content: "hi" } }] });

// The requests that the upstreams received, in order. The first two upstreams answer 429.
const received = [];
let simulator;
let upstreams;
let gateway;

async function upstream(status, headers = {}) {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      received.push({ body: Buffer.concat(chunks), length: Number(request.headers["content-length"]) });
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(ANSWER);
    });
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

before(async () => {
  simulator = await startSimulator();
  upstreams = await Promise.all([upstream(429, BUSY), upstream(429, BUSY), upstream(200)]);
  const deployment = (index, more) => ({
    provider: "openai",
    endpoint: `http://127.0.0.1:${upstreams[index].address().port}/v1`,
    api_key: "${OPENAI_API_KEY}",
    ...more,
  });
  const models = {
    edited: { targets: ["longer", "shorter", "other"], retry: { attempts: 0 } },
    "as-it-is": { targets: ["same"] },
    pair: { targets: ["openai"] },
  };
  const rules = [{ when: { body: { user: "*, and nobody else" } }, use: "as-it-is" }];
  const { routes, vars } = fleet(simulator, { models, rules });
  const deployments = {
    ...routes.deployments,
    longer: deployment(0, { model: "a-model-with-a-much-longer-name" }),
    shorter: deployment(1, { model: "m" }),
    other: deployment(2, { model: "other", params: { drop: ["user"], rename: { max_tokens: "max_completion_tokens" }, set: { seed: 7 } } }),
    same: deployment(2, { model: "as-it-is" }),
  };
  gateway = await startGateway({ routes: { ...routes, deployments }, vars, intercept: true });
});
afterEach(async () => {
  received.length = 0;
  await simulator.reset();
  await gateway.isolates[0].intercept({ content_length: null });
});
after(async () => {
  await gateway?.close();
  await simulator.close();
  for (const server of upstreams) server.close();
});

// The edits for the first two deployments.
const edits = [
  (body) => body.replace("edited", "a-model-with-a-much-longer-name"),
  (body) => body.replace("edited", "m"),
];

const send = (body, to = gateway) =>
  to.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json" },
    body,
  });

describe("a long body", () => {
  const text = (bytes) => "Tell me more, über alles. ".repeat(Math.ceil(bytes / 27));
  const messages = (bytes) => JSON.stringify([{ role: "user", content: text(bytes) }]);
  const model = '"model":"edited"';
  const others = '"user":"u","max_tokens":9';
  // The edited fields are before, after or between the long ones.
  const shapes = {
    "before its messages": (bytes) => `{${model},${others},"messages":${messages(bytes)}}`,
    "after its messages": (bytes) => `{"messages":${messages(bytes)} , ${others}, ${model} }\n`,
    "between long fields": (bytes) => `{"input":"${text(bytes / 3)}",${model},"messages":${messages(bytes)},${others}}`,
    "on both sides": (bytes) => `{"user":"u",${model},"messages":${messages(bytes)},"max_tokens":9}`,
  };
  for (const [where, shape] of Object.entries(shapes)) {
    for (const bytes of [KIB, 63 * KIB, 64 * KIB, 66 * KIB, 1024 * KIB, 5000 * KIB]) {
      test(`of ${bytes / KIB} KiB with its model ${where} reaches each upstream with its edits`, async () => {
        const body = shape(bytes);
        const response = await send(body);
        assertTrail(response, [["longer", "rate_limit"], ["shorter", "rate_limit"], ["other", "200"]]);
        assert.equal(await response.text(), ANSWER);
        edits.forEach((edit, index) => {
          assert.ok(received[index].body.equals(Buffer.from(edit(body))), `the bytes of attempt ${index + 1}`);
        });
        const { user, max_tokens, ...rest } = JSON.parse(body);
        const last = { ...rest, max_completion_tokens: max_tokens, seed: 7, model: "other" };
        assert.deepEqual(JSON.parse(received[2].body.toString()), last);
        for (const { body, length } of received) assert.equal(length, body.length);
      });
    }
  }

  test("that needs no edit is sent on byte for byte", async () => {
    const body = `{ "model" : "as-it-is", "messages" : ${messages(200 * KIB)} }`;
    assert.equal(await (await send(body)).text(), ANSWER);
    assert.ok(received[0].body.equals(Buffer.from(body)));
  });
});

describe("in a long body", () => {
  const long = "x".repeat(200 * KIB);

  test("a rule matches a field up to its end", async () => {
    const body = `{"model":"edited","messages":[],"user":"${long}, and nobody else"}`;
    assert.equal(await (await send(body)).text(), ANSWER);
    assert.ok(received[0].body.equals(Buffer.from(body.replace("edited", "as-it-is"))));
  });

  test("a model's name is not confused with a longer one that begins like it", async () => {
    const error = await assertError(await send(`{"model":"edited${long}","messages":[]}`), 404);
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /'editedx+…'/);
    assert.equal(received.length, 0);
  });

  test("an error names its position", async () => {
    const start = `{"model":"edited","a":"${long}`;
    const broken = (...parts) => Buffer.concat([start, ...parts].map((part) => Buffer.from(part)));
    for (const [body, message] of [
      [broken([0xff], '"}'), new RegExp(`not valid Unicode at byte ${start.length}\\.`)],
      [broken("\n", '"}'), new RegExp(`control character .* at line 1 column ${start.length}\\.`)],
      [broken('"', " 1}"), new RegExp(`at line 1 column ${start.length + 3}`)],
      [broken('"', ""), /EOF while parsing an object at line 1/],
    ]) {
      assert.match((await assertError(await send(body), 400)).message, message);
    }
    const numbered = await assertError(await send(`{"a":"${long}","model":1}`), 400);
    assert.match(numbered.message, /`model` must be a string/);
  });
});

describe("bodies that do not arrive", () => {
  const MIB = KIB * KIB;
  const beginning = Buffer.from('{"model":"as-it-is","pad":"');

  // Sends the beginning of a body of 16 MiB, and waits. `status` is that of the answer, if there is one.
  function upload(bytes) {
    const { hostname, port } = new URL(gateway.url);
    const headers = { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json", "content-length": 16 * MIB };
    const sent = request({ hostname, port, path: "/v1/chat/completions", method: "POST", headers });
    sent.on("error", () => {});
    sent.write(Buffer.concat([beginning, Buffer.alloc(bytes - beginning.length, "x")]));
    const answer = new Promise((received) => sent.on("response", received));
    return { answer, end: () => sent.destroy() };
  }

  test("take no room for what they only state", async () => {
    const uploads = Array.from({ length: 16 }, () => upload(KIB));
    await new Promise((passed) => setTimeout(passed, 200));
    assert.equal((await send(`{"model":"as-it-is","messages":[],"pad":"${"x".repeat(5 * MIB)}"}`)).status, 200);
    for (const { end } of uploads) end();
  });

  test("hold a limited number of bytes together, and free them when their clients leave", async () => {
    const uploads = Array.from({ length: 8 }, () => upload(6 * MIB));
    const refused = await Promise.race(uploads.map(({ answer }) => answer));
    assert.equal(refused.statusCode, 503);
    assert.equal(refused.headers["retry-after"], "1");
    for (const { end } of uploads) end();
    const body = `{"model":"as-it-is","messages":[],"pad":"${"x".repeat(15 * MIB)}"}`;
    for (let tries = 0; ; tries += 1) {
      const { status } = await send(body);
      if (status === 200) break;
      assert.ok(status === 503 && tries < 50, `status ${status}`);
      await new Promise((passed) => setTimeout(passed, 100));
    }
  });
});

describe("a body with a wrong content-length, since a Worker in front has changed it,", () => {
  const body = `{"model":"edited","user":"u","max_tokens":9,"messages":[{"role":"user","content":"${"x".repeat(200 * KIB)}"}]}`;
  const differences = { "half of its length": -100 * KIB, "much less": -150 * KIB, "one byte less": -1, "one byte more": 1, "much more": 90 * KIB };
  for (const [what, bytes] of Object.entries(differences)) {
    test(`is sent on completely if the header has ${what}`, async () => {
      const [isolate] = gateway.isolates;
      await isolate.intercept({ content_length: body.length + bytes });
      const response = await send(body, isolate);
      assert.equal(await response.text(), ANSWER);
      assert.ok(received[0].body.equals(Buffer.from(edits[0](body))));
    });
  }
});

describe("a field after a text of any length", () => {
  const sendAfter = (text) => send(Buffer.concat([Buffer.from('{"messages":[{"role":"user","content":"'), text, Buffer.from('"}],"model":"pair"}')]));
  const lengths = [...Array(140).keys()];
  const text = (length, end) => Buffer.concat([Buffer.alloc(length, "x"), Buffer.from(end)]);

  test("is found after the end of the text, which escapes do not end", async () => {
    for (const length of lengths) {
      for (const end of ["", '\\"', "\\\\", "é", "\\u00e9"]) {
        const response = await sendAfter(text(length, end));
        assert.equal(response.status, 200, `${length} bytes and ${JSON.stringify(end)}`);
        await assertServedBy(response, "openai/gpt-4o");
      }
    }
  });

  test("is not found if the text has an invalid byte or escape: the body is refused", async () => {
    for (const length of lengths) {
      for (const [end, what] of [["\n", /control character/], [[0x1f], /control character/], [[0xff], /Unicode at byte/], ["\\x", /escape/]]) {
        const error = await assertError(await sendAfter(text(length, end)), 400);
        assert.match(error.message, what, `${length} bytes and ${JSON.stringify(end)}`);
      }
    }
  });
});
