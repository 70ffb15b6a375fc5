// Tests of the simulator, which the other tests depend on.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { AzureOpenAI, OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";

let simulator;
before(async () => (simulator = await startSimulator({ random: () => 0.5 })));
afterEach(() => simulator.reset());
after(() => simulator.close());

const CHAT = { model: "gpt-4o", messages: [{ role: "user", content: "hi" }] };
const AZURE_CHAT = "/openai/deployments/gpt-4o-eastus/chat/completions?api-version=2024-10-21";

function openaiCall(body = CHAT, { path = "/v1/chat/completions", key = simulator.openai.key, ...init } = {}) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return fetch(simulator.openai.url + path, { method: "POST", headers, body: JSON.stringify(body), ...init });
}

function azureCall(path, headers = { "api-key": simulator.eastus.key }, body = CHAT) {
  return fetch(simulator.eastus.url + path, { method: "POST", headers, body: JSON.stringify(body) });
}

describe("healthy upstreams", () => {
  test("OpenAI's own SDK reads answers, streams and tools of both providers", async () => {
    const azure = { endpoint: simulator.eastus.endpoint, apiKey: simulator.eastus.key, apiVersion: "2024-10-21" };
    const clients = [
      ["openai/gpt-4o", new OpenAI({ baseURL: simulator.openai.endpoint, apiKey: simulator.openai.key }), "gpt-4o"],
      ["eastus/gpt-4o-eastus", new AzureOpenAI(azure), "gpt-4o-eastus"],
    ];
    for (const [source, client, model] of clients) {
      const messages = [{ role: "user", content: "echo Grüße 👋" }];
      const plain = await client.chat.completions.create({ model, messages });
      assert.equal(plain.choices[0].message.content, `hello from ${source}: Grüße 👋`);
      let [text, usage] = ["", undefined];
      const options = { model, messages, stream: true, stream_options: { include_usage: true } };
      for await (const chunk of await client.chat.completions.create(options)) {
        text += chunk.choices[0]?.delta?.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, `hello from ${source}: Grüße 👋`);
      assert.equal(usage.total_tokens, plain.usage.total_tokens);
      const tools = [{ type: "function", function: { name: "f", parameters: { properties: { n: { type: "integer" } } } } }];
      const { message } = (await client.chat.completions.create({ model, messages, tools })).choices[0];
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { n: 1 });
    }
  });

  test("responses are stored by the account that made them, until they are deleted", async () => {
    const client = new OpenAI({ baseURL: simulator.openai.endpoint, apiKey: simulator.openai.key, maxRetries: 0 });
    const status = (call) => call.then(() => 200, (error) => [error.status, error.code]);
    const { id } = await client.responses.create({ model: "gpt-4o", input: "hi" });
    const follow = { model: "gpt-4o", input: "go on", previous_response_id: id };
    assert.equal((await client.responses.create(follow)).previous_response_id, id);
    assert.equal((await client.responses.retrieve(id)).id, id);
    const headers = { "api-key": simulator.eastus.key };
    const elsewhere = await fetch(`${simulator.eastus.url}/openai/v1/responses/${id}`, { headers });
    assert.equal((await elsewhere.json()).error.message, `Response with id '${id}' not found.`);
    const { id: unstored } = await client.responses.create({ model: "gpt-4o", input: "hi", store: false });
    assert.deepEqual(await status(client.responses.retrieve(unstored)), [404, null]);
    await client.responses.delete(id);
    assert.deepEqual(await status(client.responses.retrieve(id)), [404, null]);
    assert.deepEqual(await status(client.responses.create(follow)), [400, "previous_response_not_found"]);
  });

  test("Azure's stream begins with a chunk that has no choices", async () => {
    const body = await (await azureCall(AZURE_CHAT, undefined, { ...CHAT, stream: true })).text();
    const first = JSON.parse(body.slice("data: ".length, body.indexOf("\n")));
    assert.deepEqual(first.choices, []);
    assert.ok(first.prompt_filter_results);
  });

  const refused = [
    // [what, path, headers, status, code]
    ["a wrong key", AZURE_CHAT, { "api-key": "wrong" }, 401, "401"],
    ["an unknown deployment", AZURE_CHAT.replace("gpt-4o-eastus", "none"), undefined, 404, "DeploymentNotFound"],
    ["no api-version", AZURE_CHAT.split("?")[0], undefined, 404, "404"],
    ["an unknown api-version", `${AZURE_CHAT.split("?")[0]}?api-version=2031-01-01`, undefined, 404, "404"],
    ["Responses on an old version", "/openai/responses?api-version=2024-10-21", undefined, 404, "404"],
    ["moderations, which Azure lacks", "/openai/v1/moderations", undefined, 404, "404"],
  ];
  for (const [what, path, headers, status, code] of refused) {
    test(`Azure refuses ${what} with its own error`, async () => {
      const response = await azureCall(path, headers);
      assert.equal(response.status, status);
      assert.equal((await response.json()).error.code, code);
    });
  }

  test("Azure takes its key as bearer too, and any form of path", async () => {
    const bearer = { authorization: `Bearer ${simulator.eastus.key}` };
    const body = { ...CHAT, model: "gpt-4o-eastus" };
    for (const path of [AZURE_CHAT, "/openai/v1/chat/completions", "/openai/v1/responses"]) {
      assert.equal((await azureCall(path, bearer, body)).status, 200, path);
    }
  });

  test("OpenAI refuses a wrong key and an unknown model with its own errors", async () => {
    assert.equal((await (await openaiCall(CHAT, { key: "wrong" })).json()).error.code, "invalid_api_key");
    assert.equal((await (await openaiCall({ ...CHAT, model: "none" })).json()).error.code, "model_not_found");
  });

  test("the AI Gateway checks its own token and forwards to both providers", async () => {
    const base = `${simulator.aiGateway.endpoint}/v1/account/gateway`;
    const to = (path, headers) => fetch(base + path, { method: "POST", headers, body: JSON.stringify(CHAT) });
    const token = { "cf-aig-authorization": `Bearer ${simulator.aiGateway.key}` };
    const openai = await to("/openai/chat/completions", { ...token, authorization: `Bearer ${simulator.openai.key}` });
    assert.match(await openai.text(), /hello from openai\/gpt-4o/);
    const path = "/azure-openai/my-eastus/gpt-4o-eastus/chat/completions?api-version=2024-10-21";
    const azure = await to(path, { ...token, "api-key": simulator.eastus.key });
    assert.match(await azure.text(), /hello from eastus\/gpt-4o-eastus/);
    assert.equal((await to("/openai/chat/completions", {})).status, 401);
    assert.ok(simulator.calls("eastus").every(({ headers }) => !("cf-aig-authorization" in headers)));
  });
});

describe("faults", () => {
  test("apply for the given number of times, under the given conditions, and with the given probability", async () => {
    await simulator.fault("openai", { fault: "rate_limit", times: 1 });
    await simulator.fault("openai", { fault: "overloaded", when: { stream: true } });
    await simulator.fault("openai", { fault: "server_error", probability: 0.4 }); // the random number is 0.5
    const limited = await openaiCall();
    assert.equal(limited.status, 429);
    assert.equal(limited.headers.get("retry-after"), "20");
    assert.equal((await openaiCall()).status, 200);
    assert.equal((await openaiCall({ ...CHAT, stream: true })).status, 503);
    await simulator.fault("openai", { fault: "too_large", when: { contains: "this one" } });
    const marked = { ...CHAT, messages: [{ role: "user", content: "only this one" }] };
    assert.match((await (await openaiCall(marked)).json()).error.message, /Request too large/);
    assert.equal((await openaiCall()).status, 200);
  });

  test("a refused connection is refused by the system, and the port can be opened again", async () => {
    await simulator.fault("openai", { fault: { refuse: true } });
    await assert.rejects(openaiCall()); // an open keep-alive connection is closed
    await assert.rejects(openaiCall(), (error) => error.cause.code === "ECONNREFUSED");
    await simulator.reset();
    assert.equal((await openaiCall()).status, 200);
  });

  test("a reset comes before the headers", async () => {
    await simulator.fault("openai", { fault: { reset: true } });
    await assert.rejects(openaiCall());
    assert.equal(simulator.calls("openai")[0].outcome, "broken");
  });

  test("a cut is an error for the reader, an early end is not", async () => {
    const stream = () => openaiCall({ ...CHAT, stream: true }).then((response) => response.text());
    await simulator.fault("openai", { fault: { cut_after: 3 }, times: 1 });
    await assert.rejects(stream());
    await simulator.fault("openai", { fault: { end_after: 3 }, times: 1 });
    assert.equal((await stream()).match(/^data: /gm).length, 3);
    await simulator.fault("openai", { fault: { no_done: true }, times: 1 });
    assert.doesNotMatch(await stream(), /\[DONE\]/);
    assert.match(await stream(), /\[DONE\]/);
  });

  test("a silent upstream records that its caller left", async () => {
    await simulator.fault("openai", { fault: { silence: true } });
    const leaving = new AbortController();
    const call = openaiCall(CHAT, { signal: leaving.signal });
    await simulator.seen("openai", ({ body }) => body !== undefined);
    leaving.abort();
    await assert.rejects(call);
    await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
  });

  test("faults that change only the form of a stream do not change its content", async () => {
    await simulator.fault("openai", { fault: { crlf: true, comments: true, split: true } });
    const client = new OpenAI({ baseURL: simulator.openai.endpoint, apiKey: simulator.openai.key });
    const messages = [{ role: "user", content: "echo Grüße 👋" }];
    let text = "";
    for await (const chunk of await client.chat.completions.create({ model: "gpt-4o", messages, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    assert.equal(text, "hello from openai/gpt-4o: Grüße 👋");
  });

  test("the control port adds, lists and clears them, and refuses unknown keys", async () => {
    const control = (method, path, body) => fetch(simulator.control.url + path, { method, body: JSON.stringify(body) });
    assert.equal((await control("POST", "/faults", { upstream: "openai", fault: "quota" })).status, 201);
    assert.equal((await (await openaiCall()).json()).error.code, "insufficient_quota");
    assert.equal((await (await control("GET", "/calls?upstream=openai")).json()).openai.length, 1);
    assert.deepEqual((await (await control("GET", "/faults")).json()).openai[0].fault, { error: "quota" });
    const wrong = await (await control("POST", "/faults", { upstream: "openai", fault: { cut: 3 } })).json();
    assert.match(wrong.error, /unknown key "cut" in a fault; known: .*cut_after/);
    await control("DELETE", "/faults");
    assert.equal((await openaiCall()).status, 200);
    assert.match(await (await control("GET", "/")).text(), /slow_first_token_ms/);
  });
});
