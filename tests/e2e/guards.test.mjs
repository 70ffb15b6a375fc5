// What is refused before any upstream is called, as OpenAI's SDK sees it.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import OpenAI from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, chat, fleet, HI } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const GUARDED_KEY = "sk-switchyard-guarded";
const NEAR_KEY = "sk-switchyard-near";
const clients = {
  app: { key: "${APP_KEY}" },
  guarded: {
    key: "${GUARDED_KEY}",
    operations: ["chat/*"],
    labels: { tier: "free" },
    metadata: { refuse: ["tier"] },
    request: { max_output_tokens: 100 },
    parameters: { deny: ["store", "tools:web_search*"] },
  },
  near: { key: "${NEAR_KEY}", addresses: ["203.0.113.0/24", "2001:db8::/32"] },
};
const rules = [
  {
    when: { body: { messages: { contains: "project falcon" } } },
    deny: { status: 429, code: "confidential", message: "Do not speak of that." },
  },
  { when: { label: { tier: "free" } }, use: "chat-eastus" },
];

let simulator, gateway;
before(async () => {
  simulator = await startSimulator();
  gateway = await startGateway(fleet(simulator, { clients, rules, vars: { GUARDED_KEY, NEAR_KEY } }));
});
afterEach(() => simulator.reset());
after(async () => {
  await gateway?.close();
  await simulator.close();
});

/** A client that counts its calls, and retries as it does by default. */
function connect(apiKey) {
  const calls = [];
  const counting = (...request) => {
    calls.push(request);
    return fetch(...request);
  };
  return { client: new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, fetch: counting }), calls };
}

/** The error of a call, which the SDK made once. */
async function refusal(apiKey, call) {
  const { client, calls } = connect(apiKey);
  const error = await call(client).then(
    () => assert.fail("it was served"),
    (error) => error,
  );
  assert.equal(calls.length, 1, "the SDK does not try again");
  assert.deepEqual([...simulator.calls("openai"), ...simulator.calls("eastus")], []);
  return error;
}

describe("a rule that refuses", () => {
  test("answers with its own error, which the SDK does not retry", async () => {
    const messages = [...HI, { role: "assistant", content: "yes?" }, { role: "user", content: "Project FALCON!" }];
    const error = await refusal(APP_KEY, (client) => client.chat.completions.create({ model: "chat", messages }));
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.deepEqual([error.status, error.code, error.error.message], [429, "confidential", "Do not speak of that."]);
  });

  test("finds words in the middle of a text that is left out of what Wasm holds", async () => {
    const filler = "nothing to see here. ".repeat(20_000);
    const long = (words) => ({ model: "chat", messages: [{ role: "user", content: `${filler}${words}${filler}` }] });
    await assertError(await chat(gateway, long("project falcon")), 429, "confidential");
    await assertServedBy(await chat(gateway, long("project eagle")), "openai/gpt-4o");
  });
});

describe("a guarded client", () => {
  const create = (more) => (client) =>
    client.chat.completions.create({ model: "chat", messages: HI, max_completion_tokens: 50, ...more });

  test("is served where its labels lead", async () => {
    const { client } = connect(GUARDED_KEY);
    const answer = await create({})(client);
    assert.equal(answer.choices[0].message.content, "hello from eastus/gpt-4o-eastus");
  });

  test("gets typed errors with their codes", async () => {
    const tools = [{ type: "web_search_preview" }];
    for (const [call, type, code] of [
      [(client) => client.embeddings.create({ model: "embed", input: "a" }), "PermissionDeniedError", "operation_not_allowed"],
      [(client) => client.files.list(), "PermissionDeniedError", "operation_not_allowed"],
      [create({ store: true }), "PermissionDeniedError", "parameter_not_allowed"],
      [create({ tools }), "PermissionDeniedError", "parameter_not_allowed"],
      [create({ max_completion_tokens: 101 }), "BadRequestError", "max_output_tokens_exceeded"],
    ]) {
      const error = await refusal(GUARDED_KEY, call);
      assert.deepEqual([error.constructor.name, error.code], [type, code]);
    }
  });

  test("may not state what only its label says", async () => {
    const headers = { authorization: `Bearer ${GUARDED_KEY}`, "cf-aig-metadata": '{"tier":"gold"}' };
    await assertError(await chat(gateway, { max_tokens: 1 }, { headers }), 403, "metadata_not_allowed");
  });
});

test("a client with a list of addresses is served from there alone", async () => {
  const from = (address) =>
    chat(gateway, {}, { headers: { authorization: `Bearer ${NEAR_KEY}`, "cf-connecting-ip": address } });
  for (const address of ["203.0.113.7", "2001:db8::1"]) await assertServedBy(await from(address), "openai/gpt-4o");
  await assertError(await from("198.51.100.1"), 403, "address_not_allowed");
});
