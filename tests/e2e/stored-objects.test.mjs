// Files, batches and vector stores: created in the client's home account, and found in any account.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { OpenAI, toFile } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, assertTrail, chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const ACCOUNTS = ["eastus", "westeurope", "openai"];
const EU_KEY = "sk-switchyard-eu";
const NOBODY_KEY = "sk-switchyard-nobody";
const LINES = '{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{}}\n';
const BATCH = { endpoint: "/v1/chat/completions", completion_window: "24h" };

// The order of accounts is that of the deployments' names: East US (dated paths), West Europe (v1
// paths), OpenAI.
function inGateway(use, more = {}) {
  const clients = {
    app: { key: "${APP_KEY}", models: ["chat"] },
    eu: { key: "${EU_KEY}", models: ["chat-westeurope"] },
    nobody: { key: "${NOBODY_KEY}", models: ["nothing-*"] },
  };
  return withGateway(fleet(simulator, { clients, vars: { EU_KEY, NOBODY_KEY }, ...more }), use);
}

const sdk = (gateway, apiKey = APP_KEY) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
const call = (gateway, path, { key = APP_KEY, ...init } = {}) =>
  gateway.fetch(path, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });
const calls = () => ACCOUNTS.map((name) => simulator.calls(name).length);
const upload = async (gateway, text = LINES) =>
  sdk(gateway).files.create({ file: await toFile(Buffer.from(text), "in.jsonl"), purpose: "batch" }).withResponse();

// Uploads a file to West Europe, by a fault of East US.
async function uploadToWestEurope(gateway) {
  await simulator.fault("eastus", { fault: "overloaded", times: 1 });
  const { data, response } = await upload(gateway);
  assertTrail(response, [["azure-eastus", "unavailable"], ["azure-westeurope", "200"]]);
  return data;
}

describe("files", () => {
  test("are created, listed, read and deleted in the home account", () =>
    inGateway(async (gateway) => {
      const { data: file, response } = await upload(gateway);
      assertTrail(response, [["azure-eastus", "200"]]);
      assert.deepEqual([file.filename, file.bytes], ["in.jsonl", LINES.length]);
      assert.equal(response.headers.get("x-switchyard-model"), "files");
      const client = sdk(gateway);
      assert.equal((await client.files.retrieve(file.id)).id, file.id);
      assert.equal(await (await client.files.content(file.id)).text(), LINES);
      assert.deepEqual((await client.files.list()).data.map(({ id }) => id), [file.id]);
      assert.equal((await client.files.delete(file.id)).deleted, true);
      assert.deepEqual((await client.files.list()).data, []);
      assert.deepEqual(calls(), [6, 0, 0]);
      const version = "?api-version=2024-10-21";
      assert.equal(simulator.calls("eastus")[2].url, `/openai/files/${file.id}/content${version}`);
    }));

  test("in another account are found at once, and a gateway that has not seen them searches for them", () =>
    inGateway(async (gateway) => {
      const { id } = await uploadToWestEurope(gateway);
      assertTrail((await sdk(gateway).files.retrieve(id).withResponse()).response, [["azure-westeurope", "200"]]);
      await inGateway(async (fresh) => {
        const response = await call(fresh, `/v1/files/${id}/content`);
        assertTrail(response, [["azure-eastus", "bad_request"], ["azure-westeurope", "200"]]);
        assert.equal(await response.text(), LINES);
        assert.equal(response.headers.get("content-type"), "application/octet-stream");
        assertTrail(await call(fresh, `/openai/v1/files/${id}`), [["azure-westeurope", "200"]]);
      });
    }));

  test("that no account has give the upstream's error, which counts against no deployment", () =>
    inGateway(async (gateway) => {
      for (let round = 0; round < 8; round += 1) {
        const error = await sdk(gateway).files.retrieve("file-none").catch((error) => error);
        assert.deepEqual([error.status, error.param, error.message], [404, "id", "404 No such File object: file-none"]);
      }
      // This path does not exist.
      for (let round = 0; round < 8; round += 1) {
        assert.equal((await call(gateway, "/v1/files/file-none/nothing/here")).status, 404);
      }
      assert.deepEqual(calls(), [16, 16, 16]);
      assertTrail((await upload(gateway)).response, [["azure-eastus", "200"]]);
      await assertServedBy(await chat(gateway), "openai/gpt-4o");
    }));

  test("that are long are stored unchanged", () =>
    inGateway(async (gateway) => {
      const text = "é".repeat(300_000);
      const { data, response } = await upload(gateway, text);
      assertTrail(response, [["azure-eastus", "200"]]);
      assert.equal(await (await sdk(gateway).files.content(data.id)).text(), text);
    }));

  test("larger than the buffer are sent once", () =>
    inGateway(
      async (gateway) => {
        const text = "x".repeat(300_000);
        const { data, response } = await upload(gateway, text);
        assertTrail(response, [["azure-eastus", "200"]]);
        assert.equal(await (await sdk(gateway).files.content(data.id)).text(), text);
        await simulator.fault("eastus", { fault: "overloaded", times: 1 });
        const error = await upload(gateway, text).catch((error) => error);
        assert.equal(error.status, 503);
        assert.deepEqual(calls(), [3, 0, 0]);
      },
      { settings: { buffer_bytes: 65_536 } },
    ));

  test("are not created twice if the answer is lost", () =>
    inGateway(
      async (gateway) => {
        await simulator.fault("eastus", { fault: { silence: true }, times: 1 });
        assert.equal((await upload(gateway).catch((error) => error)).status, 504);
        assert.deepEqual(calls(), [1, 0, 0]);
      },
      { settings: { timeout: { headers_ms: 300 } } },
    ));
});

describe("batches and vector stores", () => {
  test("are created in the account of the file that they name", () =>
    inGateway(async (gateway) => {
      const { id } = await uploadToWestEurope(gateway);
      const created = await sdk(gateway).batches.create({ ...BATCH, input_file_id: id }).withResponse();
      assertTrail(created.response, [["azure-westeurope", "200"]]);
      const long = { name: "papers ".repeat(30_000), file_ids: [id] };
      assertTrail((await sdk(gateway).vectorStores.create(long).withResponse()).response, [["azure-westeurope", "200"]]);
      await inGateway(async (fresh) => {
        const searchTrail = [["azure-eastus", "bad_request"], ["azure-westeurope", "200"]];
        const batch = await sdk(fresh).batches.create({ ...BATCH, input_file_id: id }).withResponse();
        assertTrail(batch.response, searchTrail);
        assert.equal(batch.data.input_file_id, id);
        assertTrail((await sdk(fresh).batches.retrieve(created.data.id).withResponse()).response, searchTrail);
        const cancelled = await sdk(fresh).batches.cancel(created.data.id).withResponse();
        assertTrail(cancelled.response, [["azure-westeurope", "200"]]);
        assert.equal(cancelled.data.status, "cancelling");
        const store = await sdk(fresh).vectorStores.create({ name: "papers", file_ids: [id] }).withResponse();
        assertTrail(store.response, searchTrail);
        assert.equal((await sdk(fresh).vectorStores.retrieve(store.data.id)).name, "papers");
        await sdk(fresh).vectorStores.files.create(store.data.id, { file_id: id });
        assert.deepEqual((await sdk(fresh).vectorStores.files.list(store.data.id)).data.map((file) => file.id), [id]);
      });
      const [{ body, headers }] = simulator.calls("westeurope").slice(1);
      assert.deepEqual(JSON.parse(body), { ...BATCH, input_file_id: id });
      assert.equal(headers["content-type"], "application/json");
    }));

  test("that no account has, or whose file no account has, give the upstream's error", () =>
    inGateway(async (gateway) => {
      for (const [ask, message] of [
        [(client) => client.batches.retrieve("batch_0"), "404 No batch found with id 'batch_0'."],
        [(client) => client.vectorStores.retrieve("vs_0"), "404 No vector store found with id 'vs_0'."],
        [(client) => client.batches.create({ ...BATCH, input_file_id: "file-0" }), "404 No such File object: file-0"],
      ]) {
        const before = calls();
        const error = await ask(sdk(gateway)).catch((error) => error);
        assert.equal(error.message, message);
        assert.deepEqual(calls(), before.map((count) => count + 1));
      }
    }));
});

describe("access to stored objects", () => {
  test("a client without access gets nothing", () =>
    inGateway(async (gateway) => {
      const { data } = await upload(gateway);
      await assertError(await call(gateway, `/v1/files/${data.id}`, { key: EU_KEY }), 404);
      assert.deepEqual((await sdk(gateway, EU_KEY).files.list()).data, []);
      for (const path of ["/v1/files", `/v1/files/${data.id}`]) {
        await assertError(await call(gateway, path, { key: NOBODY_KEY }), 404, "object_not_found");
        await assertError(await call(gateway, path, { key: "sk-wrong" }), 401, "invalid_api_key");
      }
      assert.deepEqual(calls(), [1, 2, 0]);
    }));

  test("a rule chooses another home", () =>
    inGateway(
      async (gateway) => {
        assertTrail((await upload(gateway)).response, [["azure-westeurope", "200"]]);
        assertTrail(await call(gateway, "/v1/batches"), [["azure-eastus", "200"]]);
      },
      {
        clients: { app: { key: "${APP_KEY}" } },
        rules: [{ when: { operation: "files" }, use: "chat-westeurope" }],
      },
    ));

  test("invalid paths, unknown methods and unsupported stateful operations are refused", () =>
    inGateway(async (gateway) => {
      for (const path of ["/v1/files/a%2Fb", "/v1/files/%252e%252e", `/v1/files/${"x/".repeat(8)}`, `/v1/batches/${"x".repeat(129)}`]) {
        await assertError(await call(gateway, path), 400, "invalid_object_path");
      }
      await assertError(await call(gateway, "/v1/files", { method: "PUT" }), 405, "method_not_allowed");
      for (const init of [{}, { method: "POST" }]) {
        for (const path of ["/v1/realtime?model=gpt-realtime", "/openai/v1/realtime/client_secrets", "/v1/skills"]) {
          await assertError(await call(gateway, path, init), 404, "operation_not_supported");
        }
      }
      assert.deepEqual(calls(), [0, 0, 0]);
    }));
});

describe("a client that sees only what it has made", () => {
  const WEB_KEY = "sk-switchyard-web";
  const withOwn = (use, options = {}) => {
    const clients = {
      app: { key: "${APP_KEY}", models: ["chat"], objects: "own" },
      web: { key: "${WEB_KEY}", models: ["chat"], objects: "own" },
    };
    return withGateway({ ...fleet(simulator, { clients, vars: { WEB_KEY } }), ...options }, use);
  };
  const missing = (promise) => assert.rejects(promise, { status: 404, code: "object_not_found" });

  test("reads, lists, uses and deletes its own files and batches, in every isolate", () =>
    withOwn(
      async (gateway) => {
        const { data: file } = await upload(gateway);
        const [, other] = gateway.isolates;
        for (const isolate of [gateway, other]) {
          const [app, web] = [sdk(isolate), sdk(isolate, WEB_KEY)];
          assert.equal((await app.files.retrieve(file.id)).id, file.id);
          assert.equal(await (await app.files.content(file.id)).text(), LINES);
          assert.deepEqual((await app.files.list()).data.map(({ id }) => id), [file.id]);
          assert.deepEqual((await web.files.list()).data, []);
          await missing(web.files.retrieve(file.id));
          await missing(web.files.content(file.id));
          await missing(web.files.delete(file.id));
          await missing(web.batches.create({ ...BATCH, input_file_id: file.id }));
        }
        const batch = await sdk(other).batches.create({ ...BATCH, input_file_id: file.id, metadata: { id: "file-x" } });
        await missing(sdk(gateway, WEB_KEY).batches.cancel(batch.id));
        assert.equal((await sdk(gateway).batches.retrieve(batch.id)).id, batch.id);
        assert.equal((await sdk(gateway).files.delete(file.id)).deleted, true);
        assert.deepEqual((await sdk(other).files.list()).data, []);
      },
      { isolates: 2 },
    ));

  test("continues only its own responses, at once from every isolate", () =>
    withOwn(
      async (gateway) => {
        const [app, web] = [sdk(gateway), sdk(gateway, WEB_KEY)];
        for (const isolate of gateway.isolates) {
          const first = await app.responses.create({ model: "chat", input: "hi" });
          const next = { model: "chat", input: "and now?", previous_response_id: first.id };
          await missing(web.responses.create(next));
          await missing(web.responses.retrieve(first.id));
          const elsewhere = sdk(isolate);
          assert.equal((await elsewhere.responses.create(next)).previous_response_id, first.id);
          assert.equal((await elsewhere.responses.retrieve(first.id)).id, first.id);
        }
      },
      { isolates: 2 },
    ));
});
