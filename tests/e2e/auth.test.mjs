// Authentication of clients, and the models that each may use.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, chat, fleet } from "./document.mjs";
import { startGateway, withGateway } from "./gateway.mjs";

const LIMITED_KEY = "sk-switchyard-limited";
const clients = {
  app: { key: "${APP_KEY}" },
  limited: { key: "${LIMITED_KEY}", models: ["chat-*", "embed"] },
  gone: { key: "${GONE_KEY}" },
};

let simulator, gateway;
before(async () => {
  simulator = await startSimulator();
  gateway = await startGateway(fleet(simulator, { clients, vars: { LIMITED_KEY } }));
});
afterEach(() => simulator.reset());
after(async () => {
  await gateway?.close();
  await simulator.close();
});

const withHeaders = (headers, body = {}) =>
  gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "chat", messages: [], ...body }),
  });

describe("a key", () => {
  test("is taken from `Authorization: Bearer` and from `api-key`", async () => {
    await assertServedBy(await withHeaders({ authorization: `Bearer ${APP_KEY}` }), "openai/gpt-4o");
    await assertServedBy(await withHeaders({ authorization: `bearer ${APP_KEY}` }), "openai/gpt-4o");
    await assertServedBy(await withHeaders({ "api-key": APP_KEY }), "openai/gpt-4o");
  });

  const unauthorized = {
    "no key": {},
    "a wrong key": { authorization: "Bearer wrong" },
    "an empty key": { authorization: "Bearer " },
    "the beginning of a key": { "api-key": APP_KEY.slice(0, -1) },
    "a key and more": { "api-key": `${APP_KEY}x` },
    "an upstream's key": { authorization: "Bearer sk-simulated-openai" },
    "basic authentication": { authorization: `Basic ${Buffer.from(`user:${APP_KEY}`).toString("base64")}` },
    "the name of a variable that is missing": { authorization: "Bearer ${GONE_KEY}" },
  };
  for (const [what, headers] of Object.entries(unauthorized)) {
    test(`${what} is a 401 that never reaches an upstream`, async () => {
      const response = await withHeaders(headers);
      assert.equal(response.headers.get("x-should-retry") ?? "false", "false");
      const error = await assertError(response, 401, "invalid_api_key");
      assert.ok(!error.message.includes(APP_KEY));
      assert.deepEqual(simulator.calls("openai"), []);
    });
  }

  test("is needed for the list of models too, and the list shows the models that it may use", async () => {
    await assertError(await gateway.fetch("/v1/models"), 401, "invalid_api_key");
    const list = await gateway.fetch("/v1/models", { headers: { "api-key": LIMITED_KEY } });
    const names = (await list.json()).data.map(({ id }) => id).sort();
    assert.deepEqual(names, ["chat-eastus", "chat-westeurope", "embed"]);
  });
});

describe("a client with a list of models", () => {
  const as = (body) => chat(gateway, body, { headers: { authorization: `Bearer ${LIMITED_KEY}` } });

  test("may use what its globs match", async () => {
    await assertServedBy(await as({ model: "chat-eastus" }), "eastus/gpt-4o-eastus");
  });

  test("gets for any other the 404 of one that does not exist", async () => {
    const answers = [];
    for (const model of ["chat", "tahc"]) {
      const error = await assertError(await as({ model }), 404, "model_not_found");
      answers.push(error.message.replace(`'${model}'`, "''"));
    }
    const [known, unknown] = answers.map((answer) => answer.replace(/ Did you mean '[^']+'\?/, ""));
    assert.equal(known, unknown);
    assert.deepEqual(simulator.calls("openai"), []);
  });

  test("gets a 404 by a deployment path too", async () => {
    const path = "/openai/deployments/chat/chat/completions?api-version=2024-10-21";
    const response = await chat(gateway, {}, { path, headers: { authorization: `Bearer ${LIMITED_KEY}` } });
    await assertError(response, 404, "model_not_found");
  });
});

test("without a `clients` section every call is a 401 that names the missing configuration", async () => {
  await withGateway(fleet(simulator, { clients: undefined }), async (open) => {
    for (const headers of [{}, { "api-key": "anything" }]) {
      const error = await assertError(await chat(open, {}, { headers }), 401, "invalid_api_key");
      assert.match(error.message, /clients/);
    }
    assert.deepEqual(simulator.calls("openai"), []);
  });
});
