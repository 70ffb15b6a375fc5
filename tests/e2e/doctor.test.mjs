// `switchyard doctor` names what is wrong with an upstream, fault by fault.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startSimulator } from "../../simulator/simulator.mjs";
import { switchyard } from "./command-line.mjs";
import { withGateway } from "./gateway.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

let [simulator, folder] = [];

before(async () => {
  simulator = await startSimulator();
  folder = await mkdtemp(join(tmpdir(), "doctor-"));
});

beforeEach(() => simulator.reset());

after(async () => {
  await simulator?.close();
  await rm(folder, { recursive: true });
});

// Runs the command with a document of these deployments. No key may be printed.
async function doctor(deployments, ...args) {
  const file = join(folder, "routes.json");
  const models = { all: { targets: Object.keys(deployments) } };
  await writeFile(file, JSON.stringify({ version: 1, deployments, models }));
  const { openai, eastus, westeurope, aiGateway } = simulator;
  const keys = { OPENAI: openai.key, EASTUS: eastus.key, WESTEUROPE: westeurope.key, AIG: aiGateway.key, WRONG: "wrong-key-of-somebody" };
  const run = ["run", "--quiet", "--", "doctor", file, "--yes", "--json", ...args];
  const { code, stdout, stderr } = await new Promise((resolve) => {
    execFile("cargo", run, { cwd: ROOT, env: { ...process.env, ...keys } }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
  for (const key of Object.values(keys)) assert.ok(!`${stdout}${stderr}`.includes(key), key);
  assert.ok(stdout, stderr);
  const report = JSON.parse(stdout);
  assert.equal(code, report.good ? 0 : 1);
  return Object.fromEntries(report.deployments.map((found) => [found.deployment, found]));
}

function openai(keys) {
  return { provider: "openai", endpoint: simulator.openai.endpoint, api_key: "${OPENAI}", model: "gpt-4o", ...keys };
}

function azure(keys) {
  const { endpoint } = simulator.eastus;
  return { provider: "azure", endpoint, api_key: "${EASTUS}", deployment: "gpt-4o-eastus", api_version: "2024-10-21", ...keys };
}

function codes(found) {
  return Object.fromEntries(Object.entries(found).map(([name, { code }]) => [name, code]));
}

test("deployments that serve are well, whatever they are for", async () => {
  const found = await doctor({
    chat: openai(),
    embed: openai({ model: "text-embedding-3-small" }),
    image: openai({ model: "gpt-image-1" }),
    "azure-dated": azure(),
    "azure-v1": azure({ api_version: "v1" }),
    "azure-embed": azure({ deployment: "text-embedding-3-small-eastus" }),
    "azure-speech": azure({ deployment: "tts-1-eastus" }),
    "azure-images": azure({ deployment: "gpt-image-1-eastus", api_version: "v1" }),
  });
  assert.deepEqual(new Set(Object.values(codes(found))), new Set(["well"]));
  const asked = Object.fromEntries(Object.entries(found).map(([name, { asked }]) => [name, asked.split(" ")[0]]));
  assert.deepEqual(asked, {
    chat: "chat",
    embed: "embedding",
    image: "look-up",
    "azure-dated": "chat",
    "azure-v1": "chat",
    "azure-embed": "embedding",
    "azure-speech": "look-up",
    "azure-images": "look-up",
  });
});

test("what the document has wrong is named", async () => {
  const found = await doctor({
    key: openai({ api_key: "${WRONG}" }),
    model: openai({ model: "gpt-5o" }),
    image: openai({ model: "gpt-image-9" }),
    path: openai({ endpoint: simulator.openai.url }),
    "azure-key": azure({ api_key: "${WRONG}" }),
    "azure-deployment": azure({ deployment: "gpt-4o" }),
    "azure-version": azure({ api_version: "2021-01-01" }),
    unset: openai({ api_key: "${NOT_SET_ANYWHERE}" }),
  });
  assert.deepEqual(codes(found), {
    key: "invalid_api_key",
    model: "model_not_allowed",
    image: "model_not_found",
    path: "unknown_path",
    "azure-key": "key_of_another_resource",
    "azure-deployment": "deployment_not_found",
    "azure-version": "unknown_path",
    unset: "missing_variable",
  });
  assert.match(found["azure-key"].remedy, /the variable WRONG \(`api_key`\)/);
  assert.match(found["azure-version"].found, /2021-01-01/);
});

test("AI Gateway is distinguished from the provider behind it", async () => {
  const via = (token) => ({ account: "simulated", gateway: "main", endpoint: simulator.aiGateway.endpoint, token });
  const chat = (token, keys) => openai({ endpoint: undefined, via: via(token), ...keys });
  const found = await doctor({
    well: chat("${AIG}"),
    token: chat("${WRONG}"),
    key: chat("${AIG}", { api_key: "${WRONG}" }),
  });
  assert.deepEqual(codes(found), { well: "well", token: "ai_gateway_token", key: "invalid_api_key" });
});

test("each fault of a provider has its name", async () => {
  const faults = {
    openai: {
      rate_limit: "rate_limited",
      quota: "quota_exhausted",
      overloaded: "no_capacity",
      server_error: "provider_failed",
      content_filter: "content_filter",
      forbidden: "country_refused",
      bad_gateway: "page",
      empty_error: "provider_failed",
    },
    eastus: {
      rate_limit: "rate_limited",
      quota: "quota_exhausted",
      slow_down: "no_capacity",
      overloaded: "no_capacity",
      content_filter: "content_filter",
      unsupported_operation: "wrong_operation",
      timeout: "provider_slow",
      deployment_not_found: "deployment_not_found",
      forbidden: "role_missing",
    },
  };
  const rounds = Math.max(...Object.values(faults).map((named) => Object.keys(named).length));
  for (let round = 0; round < rounds; round += 1) {
    const expected = {};
    for (const [upstream, named] of Object.entries(faults)) {
      const [fault, code] = Object.entries(named)[round] ?? [];
      expected[upstream] = code ?? "well";
      if (fault) await simulator.fault(upstream, { fault });
    }
    assert.deepEqual(codes(await doctor({ openai: openai(), eastus: azure() })), expected);
    await simulator.reset();
  }
});

test("an upstream that does not answer is distinguished from one that cannot be reached", async () => {
  await simulator.fault("openai", { fault: { silence: true } });
  const host = "https://no-such-host.invalid/v1";
  const tls = simulator.eastus.url.replace("http:", "https:");
  const deployments = { silent: openai(), host: openai({ endpoint: host }), tls: azure({ endpoint: tls }) };
  const found = await doctor(deployments, "--timeout", "2");
  assert.deepEqual(codes(found), { silent: "no_answer_in_time", host: "unknown_host", tls: "no_secure_connection" });
});

test("the Worker asks with its own credentials, and the findings are about it", async () => {
  const firewall = createServer((request, response) => {
    const error = { code: "403", message: "Access denied due to Virtual Network/Firewall rules." };
    response.writeHead(403, { "content-type": "application/json" }).end(JSON.stringify({ error }));
  });
  await new Promise((resolve) => firewall.listen(0, "127.0.0.1", resolve));
  const behind = `http://127.0.0.1:${firewall.address().port}`;
  const deployments = {
    well: openai(),
    list: openai({ model: "gpt-image-1" }),
    keys: openai({ api_key: ["${OPENAI}", "${WRONG}"] }),
    "azure-well": azure(),
    "azure-key": azure({ api_key: "${WRONG}" }),
    "azure-deployment": azure({ deployment: "gpt-4o" }),
    quota: azure({ endpoint: simulator.westeurope.endpoint, api_key: "${WESTEUROPE}", deployment: "gpt-4o-westeurope" }),
    firewall: azure({ endpoint: "${BEHIND_ENDPOINT}" }),
    unset: openai({ api_key: "${NOT_SET_ANYWHERE}" }),
    nobody: openai({ endpoint: "http://127.0.0.1:1/v1" }),
  };
  const token = "token-of-the-administrator";
  const vars = {
    ADMIN_TOKEN: token,
    OPENAI: simulator.openai.key,
    EASTUS: simulator.eastus.key,
    WESTEUROPE: simulator.westeurope.key,
    WRONG: "wrong-key-of-somebody",
    BEHIND_ENDPOINT: behind,
  };
  const routes = { version: 1, deployments, models: { all: { targets: Object.keys(deployments) } } };
  await simulator.fault("westeurope", { fault: "quota", times: 50 });
  try {
    await withGateway({ routes, vars, registry: true }, async (gateway) => {
      const { code, stdout, stderr } = await switchyard(["doctor", "--yes", "--json", "--gateway", gateway.url], { token });
      for (const secret of Object.values(vars).filter((value) => value !== behind)) assert.ok(!`${stdout}${stderr}`.includes(secret), secret);
      assert.equal(code, 1, stderr);
      const report = JSON.parse(stdout);
      const found = report.deployments.map(({ deployment, key, code }) => [key ? `${deployment} ${key}` : deployment, code]);
      assert.deepEqual(Object.fromEntries(found), {
        well: "well",
        list: "well",
        "keys 1": "well",
        "keys 2": "invalid_api_key",
        "azure-well": "well",
        "azure-key": "key_of_another_resource",
        "azure-deployment": "deployment_not_found",
        quota: "quota_exhausted",
        firewall: "firewall",
        unset: "missing_variable",
        nobody: "no_connection",
      });
      const asked = ["openai", "eastus", "westeurope"].flatMap((name) => simulator.calls(name));
      assert.ok(asked.length >= 7 && asked.every(({ headers }) => !JSON.stringify(headers).includes(token)), "nothing of the administrator goes to a provider");
      const audit = await gateway.fetch("/admin/api/audit", { headers: { authorization: `Bearer ${token}` } });
      const acts = (await audit.json()).entries.filter(({ what }) => what === "deployment.ask");
      assert.ok(acts.some(({ subject, why, result }) => subject === "firewall" && why === "doctor" && result === "ok"), JSON.stringify(acts));
      const health = await gateway.fetch("/admin/api/health", { headers: { authorization: `Bearer ${token}` } });
      for (const { deployment, isolate } of (await health.json()).deployments) assert.equal(isolate.gate.state, "closed", deployment);
    });
  } finally {
    firewall.close();
  }
});
