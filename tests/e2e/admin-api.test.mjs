// The description of the admin API, docs/admin-api.openapi.json: it is valid, and a real gateway
// answers as it says, without a field that it does not name.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import { startSimulator } from "../../simulator/simulator.mjs";
import { chat, fleet, HI } from "./document.mjs";
import { withGateway } from "./gateway.mjs";
import { eventually } from "./isolates.mjs";

const DESCRIPTION = JSON.parse(readFileSync(new URL("../../docs/admin-api.openapi.json", import.meta.url), "utf8"));
const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";
const TARGETS = ["openai", "azure-eastus", "azure-westeurope"];
// A model for each strategy, so that explanations have each kind of reason.
const STRATEGIES = ["priority", "weighted", "round_robin", "random", "latency", "least_busy", "cost", "nearest"];
const MODELS = Object.fromEntries(STRATEGIES.map((strategy) => [`by-${strategy}`, { strategy, targets: TARGETS }]));
const OPERATIONS = Object.entries(DESCRIPTION.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

let simulator;
before(async () => (simulator = await startSimulator()));
beforeEach(() => simulator.reset());
after(() => simulator.close());

/** A schema in which no object may have a field that is not described. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return schema.type === "object" && schema.properties ? { additionalProperties: false, ...members } : members;
}

const ajv = new Ajv({
  strict: true,
  strictTypes: false,
  allErrors: true,
  formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
});
ajv.addKeyword("components");
const components = closed(DESCRIPTION.components);
const compiled = new Map();

/** Asserts that a value is as a schema of the description says. */
function assertMatches(value, schema, what) {
  const key = JSON.stringify(schema);
  if (!compiled.has(key)) compiled.set(key, ajv.compile({ ...closed(schema), components }));
  const validate = compiled.get(key);
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 2000)}`);
}

const resolved = (part) => part.$ref.split("/").slice(1).reduce((found, key) => found[key], DESCRIPTION);
const described = (part) => (part?.$ref ? resolved(part) : part);
const filled = (path, values) => path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name]));

/** Calls of a gateway, each compared with the description. */
class DescribedGateway {
  seen = new Set();

  constructor(gateway) {
    this.gateway = gateway;
  }

  /** Sends a request, asserts that the answer is described, and returns it with its content. */
  async call(method, path, { values = {}, query = "", body, headers, token = ADMIN } = {}) {
    const operation = DESCRIPTION.paths[path][method.toLowerCase()];
    const init = { method, body, headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers } };
    const answer = await this.gateway.fetch(filled(path, values) + query, init);
    const what = `${method} ${path}: ${answer.status}`;
    const response = described(operation?.responses[answer.status] ?? operation?.responses.default) ?? DESCRIPTION.components.responses.Other;
    const type = answer.headers.get("content-type").split(";")[0];
    assert.ok(response.content[type], `${what}: no ${type} is described`);
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      assertMatches(answer.headers.get(name), described(header).schema, `${what}: ${name}`);
    }
    const text = await answer.text();
    const content = type === "application/json" ? JSON.parse(text) : text;
    assertMatches(content, response.content[type].schema, what);
    this.seen.add(`${method} ${path} ${answer.status === 200 ? type : `${answer.status} ${content.error.code}`}`);
    return { status: answer.status, headers: answer.headers, content };
  }
}

function withDescribed(options, use) {
  const { routes, vars } = fleet(simulator, { models: MODELS, cost: { input: 1, output: 2 } });
  Object.assign(routes.clients.app, { limits: [{ requests: 100_000, per: "day" }], allow_keys: true, imported_keys: true });
  const all = { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER };
  return withGateway({ routes, vars: all, ...options }, (gateway) => use(new DescribedGateway(gateway), routes));
}

test("the description is a valid OpenAPI document", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(DESCRIPTION));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  const used = JSON.stringify(DESCRIPTION);
  for (const [kind, parts] of Object.entries(DESCRIPTION.components)) {
    if (kind === "securitySchemes") continue;
    for (const name of Object.keys(parts)) {
      assert.ok(used.includes(`"#/components/${kind}/${name}"`), `${kind}/${name} is used`);
    }
  }
});

test("each path answers as it is described", () =>
  withDescribed({ registry: true }, async (api, routes) => {
    const { gateway } = api;
    // Failures, so that health and the records of requests have something to tell.
    await simulator.fault("openai", { fault: "overloaded", times: 20 });
    for (let time = 0; time < 8; time += 1) await (await chat(gateway)).text();
    await (await chat(gateway, { stream: true })).text();
    const nowhere = await chat(gateway, { model: "nowhere" });
    assert.equal(nowhere.status, 404, await nowhere.text());
    const health = await eventually("the object knows of the failures", async () => {
      const { content } = await api.call("GET", "/admin/api/health", { token: VIEWER });
      return content.deployments.some(({ object }) => object?.last_error) && content;
    });
    assert.ok(health.deployments.some(({ isolate }) => isolate.gate.reason), JSON.stringify(health));
    const records = await eventually("the hub has the records", async () => {
      const { content } = await api.call("GET", "/admin/api/requests");
      return content.some(({ attempts }) => attempts.length > 1) && content;
    });
    await api.call("GET", "/admin/api/requests/{id}", { values: { id: records[0].request_id } });
    await api.call("GET", "/admin/api/requests/{id}", { values: { id: "req_none" } });
    const usage = await api.call("GET", "/admin/api/usage", { token: VIEWER });
    assert.equal(usage.content.limits[0].meter, "requests/day");
    assert.equal(usage.content.is_complete, true);
    await api.call("GET", "/admin/api/usage", { query: "?client=app" });
    const { by, days } = (await api.call("GET", "/admin/api/usage/days", { token: VIEWER })).content;
    assert.deepEqual([by, days[0].is_over], ["client", false]);
    await api.call("GET", "/admin/api/usage/days", { query: "?days=35&by=deployment" });
    await api.call("GET", "/admin/api/usage/days", { query: "?days=36" });
    await api.call("GET", "/admin/metrics");
    await api.call("GET", "/admin/metrics", { headers: { accept: "application/openmetrics-text" } });

    const requests = [
      ...STRATEGIES.map((strategy) => ({ body: { model: `by-${strategy}`, messages: HI } })),
      { body: { model: "chat", messages: HI, tools: [{ type: "function" }] }, place: { country: "DE", colo: "FRA", latitude: 50.1, longitude: 8.7 } },
      { path: "/v1/models" },
      { path: "/healthz" },
      { path: "/v1/files" },
      { path: "/v1/nothing" },
      { body: { model: "nowhere" } },
    ];
    for (const request of requests) {
      const body = { path: "/v1/chat/completions", client: "app", ...request };
      assertMatches(body, { $ref: "#/components/schemas/ExplainRequest" }, "the request");
      const { status } = await api.call("POST", "/admin/api/explain", { body: JSON.stringify(body), token: VIEWER });
      assert.equal(status, 200);
    }
    await api.call("POST", "/admin/api/explain", { body: "[" });

    const name = "azure-eastus";
    for (const question of ["chat", "models"]) {
      const { content } = await api.call("POST", "/admin/api/deployments/{name}/ask", { values: { name }, query: `?question=${question}` });
      assert.deepEqual([content.status, content.error], [200, null], JSON.stringify(content));
    }
    await api.call("POST", "/admin/api/deployments/{name}/ask", { values: { name } });
    await api.call("POST", "/admin/api/deployments/{name}/ask", { values: { name: "azure-eastsu" }, query: "?question=chat" });
    for (const turn of ["drain", "enable", "reset"]) {
      const path = `/admin/api/deployments/{name}/${turn}`;
      await api.call("POST", path, { values: { name } });
      if (turn === "drain") await api.call("GET", "/admin/api/health");
      await api.call("POST", path, { values: { name: "azure-eastsu" } });
    }
    await api.call("POST", "/admin/api/deployments/reset");

    await api.call("GET", "/admin/api/routes", { token: VIEWER });
    const { headers } = await api.call("GET", "/admin/api/routes/document");
    const first = headers.get("etag");
    const document = JSON.stringify({ ...routes, models: { ...routes.models, chat: { targets: TARGETS.slice(1) } } });
    const check = (body) => api.call("POST", "/admin/api/routes/check", { body });
    assert.deepEqual((await check(document)).content.issues, []);
    assert.ok((await check("{}")).content.issues.length > 0);
    const put = (options) => api.call("PUT", "/admin/api/routes", { body: document, ...options });
    await put({});
    await put({ headers: { "if-match": first, "x-switchyard-why": "a test" } });
    await put({ headers: { "if-match": first } });
    await put({ headers: { "if-match": "*" }, query: "?why=again" });
    await put({ headers: { "if-match": "*" }, body: "{}" });
    await put({ headers: { "if-match": "*" }, body: " " });
    const { content: { versions } } = await api.call("GET", "/admin/api/routes/history", { token: VIEWER });
    assert.equal(versions.length, 2);
    for (const { version } of versions) await api.call("GET", "/admin/api/routes/history/{version}", { values: { version } });
    await api.call("GET", "/admin/api/routes/history/{version}", { values: { version: "000000000000" } });
    const back = { version: versions[1].version, why: "a test" };
    assertMatches(back, { $ref: "#/components/schemas/RollbackRequest" }, "the request");
    await api.call("POST", "/admin/api/routes/rollback", { body: JSON.stringify(back) });
    await api.call("POST", "/admin/api/routes/rollback", { body: JSON.stringify({ version: "000000000000" }) });
    await api.call("POST", "/admin/api/routes/rollback", { body: JSON.stringify(back), headers: { "if-match": "000000000000" } });
    await api.call("POST", "/admin/api/routes/rollback", { body: "{}" });

    const endCanary = (body) => api.call("POST", "/admin/api/routes/canary", { body: JSON.stringify(body) });
    await endCanary({ action: "promote" });
    await endCanary({});
    await put({ headers: { "if-match": "*" }, query: "?canary=5&minutes=10" });
    const { content: withCanary } = await api.call("GET", "/admin/api/routes", { token: VIEWER });
    assert.equal(withCanary.canary?.share, 5);
    await put({ headers: { "if-match": "*" } });
    await endCanary({ action: "take_back", why: "a test" });

    const body = (content) => ({ body: JSON.stringify(content) });
    const limits = [{ requests: 100, per: "day", models: ["chat"] }];
    const wanted = { client: "app", name: "a test", owner: "ada", models: ["chat"], limits, expires: "2100-01-31" };
    assertMatches(wanted, { $ref: "#/components/schemas/IssueKeyRequest" }, "the request");
    const { content: issued } = await api.call("POST", "/admin/api/keys", body(wanted));
    await api.call("POST", "/admin/api/keys", body({ ...wanted, client: "ap" }));
    await api.call("POST", "/admin/api/keys", body({}));
    const imported = { keys: [{ hash: "0".repeat(64), client: "app", name: "old" }] };
    assertMatches(imported, { $ref: "#/components/schemas/ImportKeysRequest" }, "the request");
    await api.call("POST", "/admin/api/keys/import", body(imported));
    const id = { values: { id: issued.id } };
    await api.call("POST", "/admin/api/keys/{id}/rotate", { ...id, ...body({ overlap_seconds: 60 }) });
    await api.call("GET", "/admin/api/keys", { token: VIEWER, query: "?limit=2" });
    await api.call("GET", "/admin/api/keys/{id}", { ...id, token: VIEWER });
    await api.call("GET", "/admin/api/keys/{id}", { values: { id: "key_99" } });
    await api.call("DELETE", "/admin/api/keys/{id}", id);

    const fault = { deployment: name, fault: "500", share: 20, seconds: 60, why: "a test" };
    assertMatches(fault, { $ref: "#/components/schemas/FaultRequest" }, "the request");
    const setFault = (body) => api.call("POST", "/admin/api/faults", { body: JSON.stringify(body) });
    await setFault(fault);
    await setFault({ deployment: name, fault: "503" });
    await setFault({ deployment: "azure-eastsu", fault: "500" });
    await api.call("GET", "/admin/api/faults", { token: VIEWER });
    await api.call("GET", "/admin/api/health");
    await api.call("DELETE", "/admin/api/faults/{name}", { values: { name } });
    await api.call("DELETE", "/admin/api/faults/{name}", { values: { name: "azure-eastsu" } });
    await api.call("DELETE", "/admin/api/faults");

    const { content: log } = await api.call("GET", "/admin/api/audit");
    const lines = await api.call("GET", "/admin/api/audit", { query: "?since=2", headers: { accept: "application/x-ndjson" } });
    const entries = lines.content.trim().split("\n").map((line) => JSON.parse(line));
    const before = log.entries.slice(2);
    // Acts are logged beside their requests, so the second answer may have more.
    assert.deepEqual(entries.slice(0, before.length), before);
    for (const entry of entries) assertMatches(entry, { $ref: "#/components/schemas/AuditEntry" }, "a line of the log");
    await api.call("GET", "/admin/api/audit", { query: "?before=x" });

    for (const { method, path, operation } of OPERATIONS) {
      const success = described(operation.responses[200]);
      for (const type of Object.keys(success.content)) assert.ok(api.seen.has(`${method} ${path} ${type}`), `${method} ${path} was called for ${type}`);
    }
    for (const expected of [
      "GET /admin/api/requests/{id} 404 request_not_found",
      "GET /admin/api/routes/history/{version} 404 version_not_found",
      "POST /admin/api/deployments/{name}/ask 400 invalid_json",
      "POST /admin/api/deployments/{name}/ask 404 deployment_not_found",
      "POST /admin/api/deployments/{name}/drain 404 deployment_not_found",
      "POST /admin/api/deployments/{name}/enable 404 deployment_not_found",
      "POST /admin/api/deployments/{name}/reset 404 deployment_not_found",
      "POST /admin/api/explain 400 invalid_json",
      "GET /admin/api/audit 400 invalid_json",
      "GET /admin/api/usage/days 400 invalid_json",
      "PUT /admin/api/routes 400 invalid_json",
      "PUT /admin/api/routes 412 routes_changed",
      "PUT /admin/api/routes 422 routes_refused",
      "PUT /admin/api/routes 428 if_match_needed",
      "POST /admin/api/routes/rollback 400 invalid_json",
      "POST /admin/api/routes/rollback 404 version_not_found",
      "POST /admin/api/routes/rollback 412 routes_changed",
    ]) {
      assert.ok(api.seen.has(expected), `${expected} was seen`);
    }
  }));

test("who has no role, or the wrong method, is refused as it is described", () =>
  withDescribed({ registry: true }, async (api) => {
    const values = { name: "openai", id: "req_1", version: "000000000000" };
    for (const { method, path, operation } of OPERATIONS) {
      const body = method === "GET" ? undefined : "{}";
      for (const token of [null, "another"]) {
        const { status, headers } = await api.call(method, path, { values, body, token });
        assert.deepEqual([status, headers.get("www-authenticate")], [401, "Bearer"], `${method} ${path}`);
      }
      const [roles] = Object.values(operation.security[0]);
      const { status } = await api.call(method, path, { values, body, token: VIEWER });
      assert.equal(status === 403, roles.includes("admin"), `${method} ${path}: ${status}`);
    }
    for (const path of Object.keys(DESCRIPTION.paths)) {
      const { status, headers } = await api.call("PATCH", path, { values });
      const methods = Object.keys(DESCRIPTION.paths[path]).map((method) => method.toUpperCase());
      const allowed = headers.get("allow").split(", ").filter((method) => method !== "HEAD");
      assert.deepEqual([status, allowed], [405, methods], path);
      if (!methods.includes("GET")) continue;
      const init = { headers: { authorization: `Bearer ${VIEWER}` } };
      const url = filled(path, values);
      const [get, head] = await Promise.all([api.gateway.fetch(url, init), api.gateway.fetch(url, { ...init, method: "HEAD" })]);
      assert.deepEqual([head.status, await head.text()], [get.status, ""], path);
      await get.text();
    }
  }));

test("without the Durable Objects, each path says what is missing, as it is described", () =>
  withDescribed({ registry: false, object: false }, async (api) => {
    const values = { name: "openai", id: "req_1", version: "000000000000" };
    for (const { method, path } of OPERATIONS) {
      const body = { "/admin/api/routes/rollback": '{"version":"000000000000"}' }[path];
      await api.call(method, path, { values, body, headers: { "if-match": "*" } });
    }
    const missing = [...api.seen].filter((seen) => / 503 /.test(seen)).map((seen) => seen.split(" ").slice(-1)[0]);
    const expected = ["metrics_unavailable", "records_unavailable", "registry_missing", "switch_not_shared"];
    assert.deepEqual([...new Set(missing)].sort(), expected);
  }));

test("the problem of a document in KV is described", () =>
  withDescribed({}, async (api) => {
    const trouble = (kind) =>
      eventually(`the trouble is ${kind}`, async () => {
        await (await chat(api.gateway)).text();
        const { content } = await api.call("GET", "/admin/api/routes");
        return content.trouble?.kind === kind;
      });
    await trouble(undefined);
    await api.gateway.putRoutes('{"version": 1, "modles": {}}');
    await trouble("refused");
    await api.gateway.deleteRoutes();
    await trouble("gone");
  }));
