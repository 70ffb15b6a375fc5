// The counters on their way through isolates and objects to /admin/metrics, and from there to a real
// Prometheus, which answers the queries of the dashboard.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { parser } from "@prometheus-io/lezer-promql";
import { findPrometheus } from "../../scripts/prometheus.mjs";
import { root } from "../../scripts/setup.mjs";
import { HI, chat } from "./document.mjs";
import { ADMIN_TOKEN, admin, eventually, served, withIsolates } from "./isolates.mjs";

const prometheus = findPrometheus();
const skip = prometheus ? false : "Prometheus is not there; scripts/prometheus.mjs says how to get it";
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

// One attempt for each deployment, prices, and no limit of a test's own making.
const document = {
  cost: { input: 2.5, output: 10 },
  settings: { refresh_seconds: 3600 },
  models: {
    chat: { targets: ["openai", "azure-eastus"], retry: { attempts: 0 } },
    "chat-eastus": { targets: ["azure-eastus"], retry: { attempts: 0 } },
  },
};

const scrape = (isolate, accept = "text/plain") =>
  isolate.fetch("/admin/metrics", { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept } });

async function page(isolate) {
  const response = await scrape(isolate);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

// The samples of a page: [{name, labels, value}].
function samplesOf(text) {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name, labels, value] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? assert.fail(line);
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
      return { name, labels: Object.fromEntries(pairs), value: Number(value) };
    });
}

// The sum of the samples of a name whose labels have these values.
function sum(text, name, labels = {}) {
  const isMeant = (sample) =>
    sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value);
  return samplesOf(text).filter(isMeant).reduce((total, { value }) => total + value, 0);
}

// Sends requests of all kinds, and resolves with what they should add to the counters.
async function traffic(simulator, isolates) {
  const expected = { ok: 0, unavailable: 0, invalid_api_key: 0, fallbacks: 0, firstTokens: 0 };
  for (const isolate of isolates) {
    for (let request = 0; request < 4; request += 1) {
      await served(isolate);
      await served(isolate, { stream: true });
      expected.ok += 2;
      expected.firstTokens += 1;
    }
    await simulator.fault("openai", { fault: "overloaded", times: 2 });
    for (let request = 0; request < 2; request += 1) {
      assert.equal(await served(isolate), "azure-eastus");
      expected.ok += 1;
      expected.fallbacks += 1;
    }
    await simulator.fault("eastus", { fault: "overloaded", times: 1 });
    const failed = await chat(isolate, { model: "chat-eastus" });
    assert.equal(failed.status, 503, await failed.text());
    expected.unavailable += 1;
    const refused = await isolate.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: "Bearer sk-nobody", "content-type": "application/json" },
      body: JSON.stringify({ model: "chat", messages: HI }),
    });
    assert.equal(refused.status, 401, await refused.text());
    expected.invalid_api_key += 1;
  }
  return expected;
}

const add = (one, two) => Object.fromEntries(Object.keys(one).map((key) => [key, one[key] + two[key]]));

// Resolves with the page, once it has counted as much as expected.
async function counted(isolate, expected) {
  const all = expected.ok + expected.unavailable + expected.invalid_api_key;
  const isThere = async () => {
    const text = await page(isolate);
    return sum(text, "switchyard_requests_total") >= all && text;
  };
  const text = await eventually("the counters have arrived", isThere, { withinMs: 40_000, everyMs: 250 });
  const requests = (labels) => sum(text, "switchyard_requests_total", labels);
  assert.equal(requests(), all, text);
  assert.equal(requests({ client: "app", model: "chat", outcome: "ok" }), expected.ok);
  assert.equal(requests({ client: "app", model: "chat-eastus", outcome: "unavailable" }), expected.unavailable);
  assert.equal(requests({ client: "", model: "", outcome: "invalid_api_key" }), expected.invalid_api_key);
  assert.equal(sum(text, "switchyard_fallbacks_total", { model: "chat", result: "served" }), expected.fallbacks);
  assert.equal(sum(text, "switchyard_first_token_seconds_count"), expected.firstTokens);
  assert.equal(sum(text, "switchyard_request_duration_seconds_count"), all);
  const attempts = { deployment: "openai", outcome: "unavailable" };
  assert.equal(sum(text, "switchyard_attempts_total", attempts), expected.fallbacks);
  return text;
}

// Runs `promtool check metrics` on a page. It prints what it finds.
function lint(text) {
  const { status, stdout, stderr } = spawnSync(prometheus.promtool, ["check", "metrics"], { input: text });
  assert.deepEqual([status, `${stdout}${stderr}`], [0, ""]);
}

const dashboard = JSON.parse(readFileSync(join(root, "examples/grafana/switchyard.json"), "utf8"));
const targets = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

// A query with the variables of Grafana filled in: all values, and the last minute.
const filledIn = (expr) =>
  expr.replaceAll("$__rate_interval", "1m").replaceAll("$__range", "1m").replaceAll(/"\$(client|model|deployment)"/g, '".*"');

// The names of the metrics in a query. Fails if the query is not valid.
function metricsIn(query) {
  const names = [];
  parser.parse(query).iterate({
    enter: (node) => {
      assert.ok(!node.type.isError, `not a valid query: ${query}`);
      if (node.name === "Identifier" && node.node.parent?.name === "VectorSelector") {
        names.push(query.slice(node.from, node.to));
      }
    },
  });
  return names;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// Starts a Prometheus that scrapes the isolate every second, passes a function for queries to `use`,
// and stops it.
async function withPrometheus(isolate, use) {
  const folder = mkdtempSync(join(tmpdir(), "switchyard-prometheus-"));
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [
      {
        job_name: "switchyard",
        metrics_path: "/admin/metrics",
        authorization: { credentials: ADMIN_TOKEN },
        static_configs: [{ targets: [new URL(isolate.url).host] }],
      },
    ],
  };
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
  const at = `127.0.0.1:${await freePort()}`;
  const options = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${at}`];
  const child = spawn(prometheus.prometheus, options, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (data) => (log += data));
  const query = async (expr) => {
    const response = await fetch(`http://${at}/api/v1/query?${new URLSearchParams({ query: expr })}`);
    const { status, data, error } = await response.json();
    assert.equal(status, "success", `${error}: ${expr}`);
    return data.result;
  };
  try {
    const isUp = async () => (await query("up").catch(() => [])).some(({ value }) => value[1] === "1");
    await eventually("Prometheus scrapes the gateway", isUp, { withinMs: 20_000 });
    return await use(query);
  } catch (error) {
    error.message += `\nthe log of Prometheus:\n${log.split("\n").slice(-10).join("\n")}`;
    throw error;
  } finally {
    child.kill();
    await new Promise((resolve) => child.once("close", resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("/admin/metrics", { concurrency: 3 }, () => {
  test("shows all regions' requests exactly, also after objects were evicted", { timeout: 120_000 }, () =>
    withIsolates({ isolates: 2, ...document }, async ({ simulator, gateway }) => {
      const first = await traffic(simulator, gateway.isolates);
      const text = await counted(gateway.isolates[0], first);
      for (const object of ["default/enam", "default/hub"]) await gateway.evict(object);
      assert.equal(await page(gateway.isolates[1]), text, "an eviction changes nothing");
      const second = await traffic(simulator, gateway.isolates);
      await gateway.evict("default/hub");
      await counted(gateway.isolates[1], add(first, second));
    }));

  test("has a state for each deployment, and drains of their own", { timeout: 120_000 }, () =>
    withIsolates(document, async ({ simulator, gateway }) => {
      const [isolate] = gateway.isolates;
      const state = (text, name) => sum(text, "switchyard_deployment_state", { deployment: name, region: "enam" });
      await served(isolate);
      assert.equal(state(await page(isolate), "openai"), 0);
      await simulator.fault("openai", { fault: "overloaded" });
      await eventually("the deployment is out", async () => {
        await served(isolate);
        return state(await page(isolate), "openai") === 2;
      });
      assert.equal((await admin(isolate, "deployments/azure-westeurope/drain")).status, 200);
      const drained = { deployment: "azure-westeurope", region: "enam" };
      assert.equal(sum(await page(isolate), "switchyard_deployment_drained", drained), 1);
      const isCounted = async () =>
        sum(await page(isolate), "switchyard_ejections_total", { deployment: "openai", reason: "consecutive_failures" }) === 1;
      await eventually("the ejection is counted once", isCounted, { withinMs: 30_000, everyMs: 250 });
    }));

  test("has the format that the client accepts, for those with the token alone", () =>
    withIsolates(document, async ({ gateway }) => {
      const [isolate] = gateway.isolates;
      const open = await scrape(isolate, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");
      assert.equal(open.headers.get("content-type"), OPEN_METRICS);
      assert.match(await open.text(), /\n# EOF\n$/);
      const plain = await scrape(isolate, "*/*");
      assert.equal(plain.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
      assert.match(await plain.text(), /^# HELP switchyard_requests_total /);
      const refused = await isolate.fetch("/admin/metrics");
      assert.equal(refused.status, 401);
      assert.equal(refused.headers.get("www-authenticate"), "Bearer");
    }));

  test("is an error, not zeros, without the object", () =>
    withIsolates({ ...document, object: false }, async ({ gateway }) => {
      const response = await scrape(gateway.isolates[0]);
      assert.equal(response.status, 503);
      assert.equal((await response.json()).error.code, "metrics_unavailable");
    }));

  test("answers the queries of the dashboard in a real Prometheus, and promtool has no complaint", { skip, timeout: 120_000 }, () =>
    withIsolates(document, async ({ simulator, gateway }) => {
      const [isolate] = gateway.isolates;
      await withPrometheus(isolate, async (query) => {
        const first = await traffic(simulator, [isolate]);
        // Two attempts have failed in a row. Three more, and the deployment is ejected.
        await simulator.fault("openai", { fault: "overloaded", times: 3 });
        const more = { ok: 3, unavailable: 0, invalid_api_key: 0, fallbacks: 3, firstTokens: 0 };
        for (let request = 0; request < 3; request += 1) await served(isolate);
        const before = add(first, more);
        await counted(isolate, before);
        const samples = () => query("sum(switchyard_requests_total)");
        const isScraped = async () => Number((await samples())[0]?.value[1]) === before.ok + before.unavailable + before.invalid_api_key;
        await eventually("Prometheus has it", isScraped);
        await admin(isolate, "deployments/reset");
        const second = await traffic(simulator, [isolate]);
        lint(await counted(isolate, add(before, second)));
        await wait(2_500);
        for (const { title, expr } of targets) {
          const result = await query(filledIn(expr));
          assert.ok(result.length > 0, `no data for "${title}": ${expr}`);
          const isNumber = result.some(({ value }) => Number.isFinite(Number(value[1])));
          assert.ok(isNumber, `no number for "${title}": ${expr}`);
        }
        const rate = await query("sum(increase(switchyard_requests_total[1m]))");
        assert.ok(Number(rate[0].value[1]) > 0);
      });
    }));
});

// What was used on all known days, each amount of each name. The sum over days, as it may be
// midnight.
async function usageOfDays(isolate, by) {
  const response = await admin(isolate, `usage/days?days=35&by=${by}`, { method: "GET" });
  const { by: grouping, days } = await response.json();
  assert.deepEqual([response.status, grouping, days[0].is_over], [200, by, false]);
  const sums = new Map();
  for (const { name, ...amounts } of days.flatMap(({ rows }) => rows)) {
    const sum = sums.get(name) ?? {};
    for (const [what, amount] of Object.entries(amounts)) sum[what] = (sum[what] ?? 0) + amount;
    sums.set(name, sum);
  }
  return sums;
}

// The days have what the counters have: nothing is lost, and nothing counts twice.
async function assertDaysAreTotals(isolate) {
  const text = await page(isolate);
  for (const by of ["client", "model", "deployment"]) {
    const days = await usageOfDays(isolate, by);
    const names = new Set(samplesOf(text).flatMap(({ name, labels }) => (/^switchyard_(requests|tokens)_total$/.test(name) && by in labels ? [labels[by]] : [])));
    assert.deepEqual([...days.keys()].sort(), [...names].sort(), by);
    for (const [name, found] of days) {
      const labels = { [by]: name };
      const requests = by === "deployment" ? ["switchyard_attempts_total", { ...labels, outcome: "ok" }] : ["switchyard_requests_total", labels];
      const tokens = (type) => sum(text, "switchyard_tokens_total", { ...labels, type });
      const expected = [sum(text, ...requests), tokens("input"), tokens("output"), Math.round(sum(text, "switchyard_cost_usd_total", labels) * 1e6)];
      assert.deepEqual([found.requests, found.input_tokens, found.output_tokens, found.micro_usd], expected, `${by} ${name}`);
    }
  }
}

describe("/admin/api/usage/days", () => {
  test("has what was used, of all regions, once, also after the hub was evicted", { timeout: 120_000 }, () =>
    withIsolates({ isolates: 2, ...document }, async ({ simulator, gateway }) => {
      const [isolate] = gateway.isolates;
      assert.equal((await usageOfDays(isolate, "client")).size, 0, "the day has begun without usage");
      const first = await traffic(simulator, gateway.isolates);
      await counted(isolate, first);
      await assertDaysAreTotals(isolate);
      const app = (await usageOfDays(isolate, "client")).get("app");
      assert.deepEqual([app.requests, app.refused], [first.ok + first.unavailable, 0]);
      assert.ok(app.input_tokens > 0 && app.output_tokens > 0 && app.micro_usd > 0);
      for (const object of ["default/enam", "default/hub"]) await gateway.evict(object);
      await assertDaysAreTotals(isolate);
      const second = await traffic(simulator, gateway.isolates);
      await gateway.evict("default/hub");
      await counted(isolate, add(first, second));
      await assertDaysAreTotals(isolate);
    }));

  test("is an error, not an empty day, without the object", () =>
    withIsolates({ ...document, object: false }, async ({ gateway }) => {
      const response = await admin(gateway.isolates[0], "usage/days", { method: "GET" });
      assert.equal(response.status, 503);
      assert.equal((await response.json()).error.code, "metrics_unavailable");
    }));
});

describe("the dashboard", () => {
  test("has valid queries of metrics that exist", () =>
    withIsolates(document, async ({ gateway }) => {
      const text = await page(gateway.isolates[0]);
      const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
      assert.ok(targets.length > 20);
      for (const { title, expr } of targets) {
        const names = metricsIn(filledIn(expr));
        assert.ok(names.length > 0, title);
        for (const name of names) {
          const family = name.replace(/_(bucket|sum|count)$/, "");
          assert.ok(types.has(name) || types.get(family) === "histogram", `${name} in "${title}"`);
        }
      }
    }));

  test("notices a query that is not valid", () => {
    assert.throws(() => metricsIn("sum(rate(switchyard_requests_total[1m])"), /not a valid query/);
    assert.deepEqual(metricsIn("sum by (le) (rate(a_total{b=~\"c\"}[1m])) / d"), ["a_total", "d"]);
  });
});
