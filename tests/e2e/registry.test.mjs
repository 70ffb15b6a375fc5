// The admin API of the routes document in workerd: versions, lost races, rollback, the log, and what
// was written past it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
after(() => simulator.close());

const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";
const CHANGED = { models: { chat: { targets: ["azure-eastus"] } } };
const API = "/admin/api";

function withRegistry(use) {
  const { routes, vars } = fleet(simulator);
  const all = { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER };
  return withGateway({ routes, vars: all, registry: true }, (gateway) => {
    const call = (method, path, { body, headers, token = ADMIN } = {}) =>
      gateway.fetch(API + path, { method, body, headers: { authorization: `Bearer ${token}`, ...headers } });
    return use(gateway, call, routes);
  });
}

const deployment = async (gateway) => {
  const response = await chat(gateway);
  await response.body?.cancel();
  return response.headers.get("x-switchyard-deployment");
};

test("a change is made, recorded and taken back, and an eviction loses nothing", () =>
  withRegistry(async (gateway, call) => {
    assert.equal(await deployment(gateway), "openai");
    const document = await call("GET", "/routes/document");
    assert.equal(document.status, 200);
    const first = document.headers.get("etag");
    const text = await document.text();
    const changed = JSON.stringify(fleet(simulator, CHANGED).routes);
    const headers = { "if-match": first, "x-switchyard-why": "a test" };
    const put = await call("PUT", "/routes", { body: changed, headers });
    const answer = await put.json();
    assert.equal(put.status, 200, JSON.stringify(answer));
    assert.equal(answer.number, 2);
    assert.equal(await deployment(gateway), "azure-eastus");
    await gateway.evictRegistry();
    const history = await (await call("GET", "/routes/history", { token: VIEWER })).json();
    assert.deepEqual(
      history.versions.map(({ number, who, how, why }) => ({ number, who, how, why })),
      [
        { number: 2, who: "admin", how: "put", why: "a test" },
        { number: 1, who: "unknown", how: "found", why: null },
      ],
    );
    const stale = await call("PUT", "/routes", { body: text, headers });
    assert.equal(stale.status, 412);
    assert.match((await stale.json()).error.message, new RegExp(answer.version));
    const body = JSON.stringify({ version: history.versions[1].version, why: "back" });
    const back = await call("POST", "/routes/rollback", { body });
    assert.equal(back.status, 200, await back.clone().text());
    assert.equal(back.headers.get("etag"), first);
    assert.equal(await deployment(gateway), "openai");
    const log = await (await call("GET", "/audit", { headers: { accept: "application/x-ndjson" } })).text();
    const acts = log.trim().split("\n").map((line) => JSON.parse(line)).map(({ what, result }) => `${what} ${result}`);
    assert.deepEqual(acts, ["routes.found ok", "routes.put ok", "routes.put routes_changed", "routes.rollback ok"]);
  }));

test("of two changes with one If-Match exactly one wins", () =>
  withRegistry(async (gateway, call, routes) => {
    const document = await call("GET", "/routes/document");
    await document.body.cancel();
    const headers = { "if-match": document.headers.get("etag") };
    const texts = [1, 2, 3, 4].map((number) => JSON.stringify(fleet(simulator, CHANGED).routes) + " ".repeat(number));
    const answers = await Promise.all(texts.map((body) => call("PUT", "/routes", { body, headers })));
    const statuses = answers.map(({ status }) => status).sort();
    await Promise.all(answers.map(({ body }) => body.cancel()));
    assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses));
    assert.ok(statuses.slice(1).every((status) => status === 409 || status === 412), String(statuses));
    const { versions } = await (await call("GET", "/routes/history")).json();
    assert.equal(versions.length, 2);
  }));

test("a document of megabytes is kept and comes back as it was", () =>
  withRegistry(async (gateway, call, routes) => {
    const long = JSON.stringify({ ...routes, description: "é".repeat(1_200_000) });
    const put = await call("PUT", "/routes", { body: long, headers: { "if-match": "*" } });
    const { version } = await put.json();
    assert.equal(put.status, 200);
    const found = await (await call("GET", `/routes/history/${version}`)).json();
    assert.equal(found.document, long);
  }));

test("a viewer may not change anything", () =>
  withRegistry(async (gateway, call) => {
    const put = await call("PUT", "/routes", { body: "{}", headers: { "if-match": "*" }, token: VIEWER });
    assert.equal(put.status, 403);
    assert.equal((await put.json()).error.code, "admin_token_needed");
  }));
