// Stored responses: requests that continue one or ask for one reach the account that has it.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertTrail, eventsOf, fleet, trail } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const POOL = ["openai", "azure-eastus", "azure-westeurope"];
const UPSTREAMS = ["openai", "eastus", "westeurope"];
const UNKNOWN = "resp_00000000000000000000";
const OTHER_KEY = "sk-switchyard-other";

// East US has an `api-version` with the Responses API, West Europe has v1 paths.
function inGateway(use, { node = {}, ...more } = {}) {
  const models = { pool: { targets: POOL, retry: { attempts: 0 }, ...node } };
  const clients = {
    app: { key: "${APP_KEY}" },
    other: { key: "${OTHER_KEY}", models: ["chat-westeurope"] },
    nobody: { key: "${NOBODY_KEY}", models: ["nothing-*"] },
  };
  const vars = { OTHER_KEY, NOBODY_KEY: "sk-switchyard-nobody" };
  const { routes, ...rest } = fleet(simulator, { models, clients, vars, ...more });
  routes.deployments["azure-eastus"].api_version = "2025-04-01-preview";
  return withGateway({ routes, ...rest }, use);
}

const sdk = (gateway, apiKey = APP_KEY) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
const get = (gateway, path, { method = "GET", key = APP_KEY } = {}) =>
  gateway.fetch(path, { method, headers: { authorization: `Bearer ${key}` } });
const calls = () => UPSTREAMS.map((name) => simulator.calls(name).length);
const begin = { model: "pool", input: "hi" };

// Creates a response in East US, by a fault of OpenAI.
async function createInEastUs(gateway, body = {}) {
  await simulator.fault("openai", { fault: "overloaded", times: 1 });
  const { data, response } = await sdk(gateway).responses.create({ ...begin, ...body }).withResponse();
  assertTrail(response, [["openai", "unavailable"], ["azure-eastus", "200"]]);
  return data;
}

const follow = (gateway, previous_response_id, body = {}) =>
  sdk(gateway).responses.create({ ...begin, previous_response_id, ...body }).withResponse();

describe("previous_response_id", () => {
  test("goes to the deployment that created it", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      const { data, response } = await follow(gateway, id);
      assertTrail(response, [["azure-eastus", "200"]]);
      assert.equal(data.previous_response_id, id);
      const next = await follow(gateway, data.id);
      assertTrail(next.response, [["azure-eastus", "200"]]);
    }));

  test("goes there for streams, too", () =>
    inGateway(async (gateway) => {
      const idOf = async (stream) => {
        let id;
        for await (const event of stream) id ??= event.response?.id;
        return id;
      };
      const id = await idOf(await createInEastUs(gateway, { stream: true }));
      const { data, response } = await follow(gateway, id, { stream: true });
      assertTrail(response, [["azure-eastus", "200"]]);
      const next = await follow(gateway, await idOf(data));
      assertTrail(next.response, [["azure-eastus", "200"]]);
    }));

  test("is searched for by a gateway that has not seen it, and found at once the next time", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      await inGateway(async (fresh) => {
        assertTrail((await follow(fresh, id)).response, [["openai", "bad_request"], ["azure-eastus", "200"]]);
        assertTrail((await follow(fresh, id)).response, [["azure-eastus", "200"]]);
      });
    }));

  test("is searched for despite a `fallback_on` that does not name its error, and along `on` edges", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      for (const node of [
        { fallback_on: ["rate_limit"] },
        { targets: ["openai"], on: { context_window: "azure-westeurope", rate_limit: "azure-eastus" } },
      ]) {
        await inGateway(
          async (fresh) => {
            const { data, response } = await follow(fresh, id);
            assert.match(trail(response), /^openai=bad_request;.*azure-eastus=200;\d+$/);
            assert.equal(data.previous_response_id, id);
          },
          { node },
        );
      }
    }));

  test("that no account has gives the upstream's error", () =>
    inGateway(async (gateway) => {
      const error = await follow(gateway, UNKNOWN).catch((error) => error);
      assert.equal(error.status, 400);
      assert.deepEqual(
        [error.code, error.param, error.message],
        ["previous_response_not_found", "previous_response_id", `400 Previous response with id '${UNKNOWN}' not found.`],
      );
      assert.deepEqual(calls(), [1, 1, 1]);
    }));

  test("of a deployment that is down gives the error of that deployment", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      await simulator.fault("eastus", { fault: "overloaded" });
      assert.equal((await follow(gateway, id).catch((error) => error)).status, 503);
      await inGateway(async (fresh) => {
        assert.equal((await follow(fresh, id).catch((error) => error)).status, 503);
      });
    }));

  test("is searched for in each account once", () =>
    inGateway(
      async (gateway) => {
        const { response } = await follow(gateway, UNKNOWN).catch((error) => ({ response: error }));
        assert.equal(response.status, 400);
        assert.deepEqual(calls(), [1, 1, 0]);
      },
      { node: { targets: ["openai", "openai-instruct", "azure-eastus", "azure-eastus-embed"] } },
    ));
});

describe("a stored response", () => {
  test("is retrieved, listed and deleted in its account, also by a gateway that has not seen it", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      const first = await sdk(gateway).responses.create(begin);
      await inGateway(async (fresh) => {
        const found = await sdk(fresh).responses.retrieve(first.id).withResponse();
        assert.equal(found.data.output[0].content[0].text, "hello from openai/gpt-4o");
        assertTrail(found.response, [
          ["azure-eastus", "bad_request"],
          ["azure-westeurope", "bad_request"],
          ["openai", "200"],
        ]);
        assert.equal(found.response.headers.get("x-switchyard-model"), "responses/{id}");
        assertTrail((await sdk(fresh).responses.retrieve(first.id).withResponse()).response, [["openai", "200"]]);
      });
      const items = await sdk(gateway).responses.inputItems.list(id);
      assert.equal(items.data[0].content[0].text, "hi");
      const deleted = await sdk(gateway).responses.delete(id).withResponse();
      assertTrail(deleted.response, [["azure-eastus", "200"]]);
      assert.equal((await sdk(gateway).responses.retrieve(id).catch((error) => error)).status, 404);
      const urls = simulator.calls("eastus").map(({ method, url, body }) => [method, url, body]);
      const version = "?api-version=2025-04-01-preview";
      assert.deepEqual(urls.slice(-3), [
        ["GET", `/openai/responses/${id}/input_items${version}`, ""],
        ["DELETE", `/openai/responses/${id}${version}`, ""],
        ["GET", `/openai/responses/${id}${version}`, ""],
      ]);
    }));

  test("is cancelled while it runs in the background, which counts as no failure", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway, { background: true });
      assert.equal((await sdk(gateway).responses.cancel(id)).status, "cancelled");
      assert.equal((await sdk(gateway).responses.retrieve(id)).status, "cancelled");
      const [{ method, body }] = simulator.calls("eastus").slice(-2);
      assert.deepEqual([method, body], ["POST", ""]);
    }));

  test("is streamed again from a given event", () =>
    inGateway(async (gateway) => {
      let id;
      for await (const event of await createInEastUs(gateway, { stream: true })) id ??= event.response?.id;
      const response = await get(gateway, `/v1/responses/${id}?stream=true&starting_after=3`);
      assertTrail(response, [["azure-eastus", "200"]]);
      const events = eventsOf(await response.text());
      assert.equal(events[0].data.sequence_number, 4);
      assert.equal(events.at(-1).event, "response.completed");
    }));

  test("that failed is an answer", () =>
    inGateway(async (gateway) => {
      const error = { code: "server_error", message: "The model failed." };
      const body = { id: "resp_1", object: "response", status: "failed", error, output: [] };
      await simulator.fault("eastus", { fault: { status: 200, body } });
      assert.deepEqual(await sdk(gateway).responses.retrieve("resp_1"), { ...body, output_text: "" });
      assert.deepEqual(calls(), [0, 1, 0]);
    }));

  test("that no account has gives the upstream's error", () =>
    inGateway(async (gateway) => {
      const response = await get(gateway, `/v1/responses/${UNKNOWN}`);
      assert.match((await assertError(response, 404)).message, new RegExp(`^Response with id '${UNKNOWN}' not found`));
      assert.deepEqual(calls(), [1, 1, 1]);
    }));

  test("of a deployment that is down gives the error of that deployment", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      await simulator.fault("eastus", { fault: "overloaded" });
      await inGateway(async (fresh) => {
        const response = await get(fresh, `/v1/responses/${id}`);
        assert.equal(response.status, 503);
        assert.equal((await response.json()).error.code, "ServiceUnavailable");
      });
    }));

  test("cannot be read by a client whose models do not use its account", () =>
    inGateway(async (gateway) => {
      const { id } = await createInEastUs(gateway);
      const before = calls();
      await assertError(await get(gateway, `/v1/responses/${id}`, { key: OTHER_KEY }), 404);
      assert.deepEqual(calls(), [before[0], before[1], before[2] + 1]);
      const none = await get(gateway, `/v1/responses/${id}`, { key: "sk-switchyard-nobody" });
      await assertError(none, 404, "object_not_found");
      await assertError(await get(gateway, `/v1/responses/${id}`, { key: "sk-wrong" }), 401, "invalid_api_key");
    }));

  test("is found by every form of its path, and with the path prefix of a rule only in the rule's node", () =>
    inGateway(
      async (gateway) => {
        const { id } = await createInEastUs(gateway);
        for (const path of [`/responses/${id}`, `/openai/v1/responses/${id}`, `/openai/responses/${id}?api-version=2025-03-01-preview`]) {
          assertTrail(await get(gateway, path), [["azure-eastus", "200"]]);
        }
        assertTrail(await get(gateway, `/ai/eu/v1/responses/${id}`), [["azure-westeurope", "bad_request"]]);
      },
      { rules: [{ when: { path: "/ai/eu/*" }, use: "chat-westeurope" }] },
    ));

  test("needs a valid id and an allowed method", () =>
    inGateway(async (gateway) => {
      for (const id of ["a%20b", "a%2Fb", "%252e%252e", "x".repeat(129)]) {
        await assertError(await get(gateway, `/v1/responses/${id}`), 400, "invalid_object_path");
      }
      const response = await get(gateway, `/v1/responses/${UNKNOWN}`, { method: "PUT" });
      assert.equal(response.headers.get("allow"), "GET, HEAD, POST, DELETE");
      await assertError(response, 405, "method_not_allowed");
      assert.deepEqual(calls(), [0, 0, 0]);
    }));
});
