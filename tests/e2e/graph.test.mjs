// `switchyard graph --gateway` draws the document that serves, with the state of its deployments.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startGateway } from "./gateway.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ADMIN_TOKEN = "admin-token-of-the-test";

let gateway;

before(async () => {
  const openai = (key) => ({ provider: "openai", api_key: key, model: "gpt-4o" });
  const routes = {
    version: 1,
    deployments: { drained: openai("${ONE}"), serving: openai("${ONE}"), unset: openai("${TWO}") },
    models: { chat: { targets: ["drained", "serving", "unset"] } },
  };
  gateway = await startGateway({ routes, vars: { ONE: "sk-one", ADMIN_TOKEN } });
});

after(() => gateway?.close());

test("a gateway's document is drawn with the live state of its deployments", async () => {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const url = `${gateway.url}/admin/api/deployments/drained/drain`;
  assert.equal((await fetch(url, { method: "POST", headers })).status, 200);

  const args = ["run", "--quiet", "--", "graph", "--gateway", gateway.url, "--json"];
  const env = { ...process.env, SWITCHYARD_ADMIN_TOKEN: ADMIN_TOKEN };
  const { stdout } = await promisify(execFile)("cargo", args, { cwd: ROOT, env });
  const { nodes, edges } = JSON.parse(stdout);
  const states = nodes.filter(({ kind }) => kind === "deployment").map(({ name, state }) => [name, state]);
  assert.deepEqual(Object.fromEntries(states), { drained: "drained", serving: "serving", unset: "disabled" });
  assert.deepEqual(edges.map(({ label }) => label), ["1", "2", "3"]);
});
