// The queries of examples/analytics, over tables of requests whose answers are known.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { MissingPython } from "../../scripts/venv.mjs";
import { faults } from "./analytics/dialect.mjs";
import { QUERIES, runQueries } from "./analytics/engine.mjs";
import { expected } from "./analytics/expected.mjs";
import { BLOBS, DOUBLES, pointOf, rowOf } from "./analytics/points.mjs";
import { assertSame } from "./analytics/same.mjs";
import { tableOfRequests } from "./analytics/table.mjs";

const CLIENT = "web-app";
const COLUMNS = ["timestamp", "_sample_interval", "index1", ...BLOBS.map((_, index) => `blob${index + 1}`), ...DOUBLES.map((_, index) => `double${index + 1}`)];
const now = () => Math.floor(Date.now() / 1000);
const rows = (table) => table.map((request) => rowOf(pointOf(request), request.at, request.weight));
const queries = new Map([...QUERIES].map(([name, sql]) => [name, sql.replace("'CLIENT'", `'${CLIENT}'`)]));

// Runs the queries, or skips the test if the machine has no Python for them.
async function answers(context, table) {
  try {
    return await runQueries(rows(table), queries);
  } catch (error) {
    if (!(error instanceof MissingPython)) throw error;
    context.skip(error.message);
    return undefined;
  }
}

describe("the queries of examples/analytics", () => {
  test("answer what the requests say, however they were sampled", async (context) => {
    const table = tableOfRequests(now());
    const found = await answers(context, table);
    if (!found) return;
    const wanted = expected(table, now(), CLIENT);
    assert.deepEqual([...QUERIES.keys()].sort(), Object.keys(wanted).sort());
    for (const [name, result] of found) {
      assert.ok(result.length > 1, `${name} has an answer`);
      assertSame(result, wanted[name], name);
    }
  });

  test("answer a table that was counted by hand", async (context) => {
    const at = now() - 600;
    const served = { client: CLIENT, model: "chat", kind: "whole", outcome: "ok", status: 200, attempts: 1 };
    const table = [
      { ...served, deployment: "a", duration_ms: 100, upstream_ms: 90, input_tokens: 10, cached_input_tokens: 5, output_tokens: 30, micro_dollars: 250_000, weight: 3 },
      { ...served, deployment: "b", duration_ms: 900, upstream_ms: 800, input_tokens: 30, output_tokens: 10, attempts: 2, fallback: 1, first_failure: "timeout", ejected: "a" },
      { ...served, deployment: "b", outcome: "timeout", status: 504, first_failure: "timeout", trail: "b:timeout:30000ms", request_id: "r3" },
      { client: "", outcome: "invalid_api_key", status: 401 },
    ].map((request) => ({ at, weight: 1, ...request }));
    const found = await answers(context, table);
    if (!found) return;
    const only = (name, ...columns) => found.get(name).map((row) => columns.map((column) => row[column]));
    assert.deepEqual(only("share-by-deployment", "deployment", "requests", "served", "tokens"), [["a", 3, 3, 120], ["b", 2, 1, 40]]);
    assert.deepEqual(only("latency-by-model", "model", "requests", "p50_ms", "p95_ms"), [["chat", 4, 100, 900]]);
    assert.deepEqual(only("fallback-rate", "requests", "fallbacks", "rate", "failed", "attempts_per_request"), [[5, 1, 0.2, 1, 1.2]]);
    assert.deepEqual(only("errors-by-class", "class", "requests", "hidden", "seen"), [["timeout", 2, 1, 1]]);
    assert.deepEqual(only("usage-by-client", "client", "requests", "input_tokens", "usd"), [["web-app", 5, 60, 0.75], ["", 1, 0, 0]]);
    assert.deepEqual(only("cache-share", "deployment", "share"), [["b", 0], ["a", 0.5]]);
    assert.deepEqual(only("slowest-deployments", "deployment", "p95_ms", "ms_per_token"), [["a", 90, 3]]);
    assert.deepEqual(only("ejections", "ejected", "ejections", "latest_class"), [["a", 1, "timeout"]]);
    assert.deepEqual(only("requests-by-hour", "requests", "failed", "refused", "tokens"), [[6, 1, 1, 160]]);
    assert.deepEqual(only("cost-by-deployment", "deployment", "usd", "usd_per_million_tokens"), [["a", 0.75, 6250], ["b", 0, 0]]);
    assert.deepEqual(only("failures-of-a-client", "request_id", "outcome", "trail"), [["r3", "timeout", "b:timeout:30000ms"]]);
    assert.deepEqual(found.get("first-token"), []);
  });

  test("use only what Analytics Engine understands, and count what a row stands for", () => {
    assert.equal(QUERIES.size, 12);
    for (const [name, sql] of QUERIES) assert.deepEqual(faults(sql, COLUMNS), [], name);
    const invented = "SELECT countIf(blob1 = 'x') AS n, quantileExactWeighted(0.5)(double1, 1) AS q, sum(double1) AS s, blob19 FROM switchyard JOIN other WHERE [1]";
    assert.deepEqual(faults(invented, COLUMNS), [
      "the function countIf",
      "the word blob19",
      "the word JOIN",
      "the word other",
      "the sign [",
      "the sign ]",
      "sum without _sample_interval",
      "another form of quantileExactWeighted(0.5)(double1, 1) AS",
      "no time range",
    ]);
  });

  test("and the documents agree about the columns", () => {
    const columnsOf = (path) => {
      const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
      return [...text.matchAll(/^\| `((?:index|blob|double)\d+)` \| (.+?) \|/gm)].map(([, column, meaning]) => `${column}: ${meaning}`);
    };
    const documented = columnsOf("docs/telemetry.md");
    assert.deepEqual(documented.map((column) => column.split(":")[0]), COLUMNS.slice(2));
    assert.deepEqual(columnsOf("examples/analytics/README.md"), documented);
  });
});
