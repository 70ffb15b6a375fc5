// The data points that the Worker writes: SQL over them says what the clients saw.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MissingPython } from "../../scripts/venv.mjs";
import { QUERIES, runQueries } from "./analytics/engine.mjs";
import { expected } from "./analytics/expected.mjs";
import { requestOf, rowOf } from "./analytics/points.mjs";
import { assertSame } from "./analytics/same.mjs";
import { EMPTY } from "./analytics/table.mjs";
import { APP_KEY, chat, eventsOf } from "./document.mjs";
import { eventually, ONCE, withIsolates } from "./isolates.mjs";

const BATCH_KEY = "sk-switchyard-batch";
const CLIENT = "batch";
const CLIENTS = { app: { key: "${APP_KEY}" }, batch: { key: "${BATCH_KEY}", models: ["chat", "only"] } };
const MODELS = {
  chat: { targets: ["openai", "azure-eastus"], ...ONCE },
  only: { targets: ["azure-westeurope"], ...ONCE },
};
// In US dollars per million tokens, so in micro-dollars per token.
const COSTS = { openai: { input: 3, output: 12 }, "azure-eastus": { input: 2, output: 8 } };
const UPSTREAMS = {
  openai: ["openai", "gpt-4o"],
  "azure-eastus": ["azure", "gpt-4o-eastus"],
  "azure-westeurope": ["azure", "gpt-4o-westeurope"],
};
const STREAM = { stream: true, stream_options: { include_usage: true } };

// Sends a request, and resolves with what its client saw.
async function seen(gateway, client, body, { key = client === CLIENT ? BATCH_KEY : APP_KEY, ejected = "" } = {}) {
  const began = Date.now();
  const response = await chat(gateway, body, { headers: { authorization: `Bearer ${key}` } });
  const text = await response.text();
  const header = (name) => response.headers.get(`x-switchyard-${name}`) ?? "";
  const attempts = header("trail").split(", ").filter(Boolean).map((attempt) => attempt.split(/[=;]/));
  const failures = attempts.map(([, outcome]) => outcome).filter((outcome) => !/^\d+$/.test(outcome));
  const deployment = header("deployment");
  const [provider, upstream_model] = UPSTREAMS[deployment] ?? ["", ""];
  const isStream = body.stream === true && response.ok;
  const usage = isStream ? eventsOf(text).map(({ data }) => data?.usage).findLast(Boolean) : JSON.parse(text).usage;
  const { prompt_tokens = 0, completion_tokens = 0 } = usage ?? {};
  const cost = COSTS[deployment] ?? { input: 0, output: 0 };
  return {
    ...EMPTY,
    request_id: header("request-id"),
    client,
    model: header("model"),
    deployment,
    provider,
    upstream_model,
    operation: "chat/completions",
    outcome: response.ok ? "ok" : (failures.at(-1) ?? JSON.parse(text).error.code),
    trail: header("trail"),
    routes: header("routes"),
    first_failure: failures[0] ?? "",
    kind: body.stream ? "stream" : "whole",
    ejected,
    status: response.status,
    attempts: attempts.length,
    fallback: response.ok && attempts[0][0] !== deployment ? 1 : 0,
    input_tokens: prompt_tokens,
    output_tokens: completion_tokens,
    micro_dollars: prompt_tokens * cost.input + completion_tokens * cost.output,
    elapsed: Date.now() - began,
  };
}

// What only the gateway knows of a request is taken from its point, after a look at whether it can
// be true. The rest must be equal.
function merged(saw, point) {
  const { elapsed, ...request } = saw;
  const { duration_ms, first_token_ms, upstream_ms, backoff_ms, own_ms, colo, country, ai_gateway_log_id } = point;
  for (const ms of [duration_ms, first_token_ms, upstream_ms, own_ms]) assert.ok(ms >= 0 && ms <= elapsed, `${ms} of ${elapsed} ms`);
  if (request.kind === "whole") assert.equal(first_token_ms, 0);
  assert.equal(ai_gateway_log_id, "");
  const times = { duration_ms, first_token_ms, upstream_ms, backoff_ms, own_ms, colo, country, ai_gateway_log_id };
  const rest = { drill: "", reasoning_tokens: 0, images: 0, audio_seconds: 0, characters: 0, schema: 1, index: request.client };
  assert.deepEqual({ ...point }, { ...request, ...times, ...rest });
  return { ...request, ...times };
}

test("SQL over the points that the Worker writes says what the clients saw", (context) =>
  withIsolates({ intercept: true, models: MODELS, clients: CLIENTS, vars: { BATCH_KEY } }, async ({ simulator, gateway, options: { routes } }) => {
    const [isolate] = gateway.isolates;
    for (const [name, cost] of Object.entries(COSTS)) routes.deployments[name].cost = cost;
    await gateway.putRoutes(routes);
    await isolate.intercept({ metrics: true });

    const requests = [];
    const send = async (...request) => requests.push(await seen(isolate, ...request));
    await simulator.fault("openai", { fault: { slow_headers_ms: 50 }, times: 2 });
    for (let round = 0; round < 4; round += 1) {
      await send("app", { model: "chat" });
      await send(CLIENT, { model: "chat", ...STREAM });
      await send("app", { model: "only", messages: [{ role: "user", content: "word ".repeat(50) }] });
    }
    // A failure that another deployment hides, then one that ejects, then one that nobody hides.
    await simulator.fault("openai", { fault: "overloaded", times: 1 });
    await send(CLIENT, { model: "chat" });
    await simulator.fault("openai", { fault: "quota", times: 1 });
    await send("app", { model: "chat", ...STREAM }, { ejected: "openai" });
    await send("app", { model: "chat" });
    await simulator.fault("westeurope", { fault: "overloaded", times: 1 });
    await send(CLIENT, { model: "only" });
    // Requests that reach no deployment.
    await send("", { model: "chat" }, { key: "sk-wrong" });
    await send(CLIENT, { model: "embed" });
    await send("app", { model: "nothing" });

    const points = await eventually("every request has a point", async () => {
      const { points } = await isolate.intercept();
      return points.length >= requests.length && points;
    });
    assert.equal(points.length, requests.length);
    const byId = new Map(points.map(requestOf).map((point) => [point.request_id, point]));
    const at = Math.floor(Date.now() / 1000);
    const table = requests.map((saw) => ({ ...merged(saw, byId.get(saw.request_id)), at, weight: 1 }));

    const queries = new Map([...QUERIES].map(([name, sql]) => [name, sql.replace("'CLIENT'", `'${CLIENT}'`)]));
    let found;
    try {
      found = await runQueries(points.map((point) => rowOf(point, at, 1)), queries);
    } catch (error) {
      if (!(error instanceof MissingPython)) throw error;
      context.skip(`the points are right, their queries did not run: ${error.message}`);
      return;
    }
    const wanted = expected(table, Math.floor(Date.now() / 1000), CLIENT);
    for (const [name, result] of found) {
      assert.ok(result.length > 0, `${name} has an answer`);
      assertSame(result, wanted[name], name);
    }
  }));
