// Drills in workerd: faults that a request asks for, with OpenAI's SDK as the client; faults for a
// time; scripts of `npm run drill`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { play, words } from "../../scripts/drill/play.mjs";
import { parseScript } from "../../scripts/drill/script.mjs";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

const EXAMPLES = fileURLToPath(new URL("../../examples/drills", import.meta.url));
const DRILL = fileURLToPath(new URL("../../scripts/drill.mjs", import.meta.url));

let simulator;
before(async () => (simulator = await startSimulator()));
after(() => simulator.close());

const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";
const SHORT = { settings: { timeout: { headers_ms: 3_000 } } };

const withDrills = (use, changes = SHORT) => {
  const { routes, vars } = fleet(simulator, changes);
  return withGateway({ routes, vars: { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER } }, (gateway) =>
    use(gateway, (faults, body = {}) =>
      chat(gateway, body, { headers: { "x-switchyard-fault": faults, "x-switchyard-admin-token": ADMIN } }),
    ),
  );
};

const sdk = (gateway, faults) =>
  new OpenAI({
    apiKey: APP_KEY,
    baseURL: `${gateway.url}/v1`,
    maxRetries: 0,
    defaultHeaders: { "x-switchyard-fault": faults, "x-switchyard-admin-token": ADMIN },
  });

const MESSAGES = [{ role: "user", content: "hi" }];

test("each fault leads to the next deployment, and the first one gets no call", () =>
  withDrills(async (gateway, drilled) => {
    for (const [fault, trail] of [
      ["429", /^openai=rate_limit;\d+;drill, azure-eastus=200;\d+$/],
      ["500", /^openai=unavailable;\d+;drill, azure-eastus=200;\d+$/],
      ["hang", /^openai=timeout;\d+;drill, azure-eastus=200;\d+$/],
      ["cut", /^openai=connection;\d+;drill, azure-eastus=200;\d+$/],
    ]) {
      const before = simulator.calls("openai").length;
      const response = await drilled(`openai=${fault}`);
      assert.equal(response.status, 200, fault);
      assert.match(response.headers.get("x-switchyard-trail"), trail);
      await response.body.cancel();
      assert.equal(simulator.calls("openai").length, before, fault);
    }
    const usual = await chat(gateway);
    assert.equal(usual.headers.get("x-switchyard-deployment"), "openai", "nothing was learned");
    await usual.body.cancel();
  }));

test("a stream that is cut raises an error in the SDK after its first part", () =>
  withDrills(async (gateway) => {
    const client = sdk(gateway, "openai=cut");
    const before = simulator.calls("openai").length;
    const of = {
      chat: async () => client.chat.completions.create({ model: "chat", messages: MESSAGES, stream: true }),
      response: async () => client.responses.create({ model: "chat", input: "hi", stream: true }),
    };
    for (const [kind, begin] of Object.entries(of)) {
      let text = "";
      await assert.rejects(async () => {
        for await (const event of await begin()) text += event.choices?.[0].delta.content ?? event.delta ?? "";
      }, /ended the stream before the answer was finished/);
      assert.equal(text, "Drill", kind);
    }
    assert.equal(simulator.calls("openai").length, before);
  }));

test("if all deployments are faulty the SDK raises the error that it knows from providers", () =>
  withDrills(async (gateway) => {
    const client = sdk(gateway, "openai=429, azure-eastus=429, azure-westeurope=500");
    const create = client.chat.completions.create({ model: "chat", messages: MESSAGES });
    await assert.rejects(create, (error) => error instanceof OpenAI.RateLimitError && error.code === "drill");
  }));

test("only the admin token allows a fault", () =>
  withDrills(async (gateway) => {
    for (const token of [undefined, VIEWER, APP_KEY]) {
      const headers = { "x-switchyard-fault": "openai=500", ...(token && { "x-switchyard-admin-token": token }) };
      const response = await chat(gateway, {}, { headers });
      assert.equal(response.status, 403);
      assert.equal((await response.json()).error.code, "fault_not_allowed");
    }
    const headers = { "x-switchyard-fault": "opanai=500", authorization: `Bearer ${ADMIN}` };
    const unknown = await chat(gateway, {}, { headers });
    assert.equal(unknown.status, 400);
    assert.match((await unknown.json()).error.message, /Did you mean 'openai'\?/);
  }));

// Ejections that are short enough for a test.
const QUICK = { settings: { ...SHORT.settings, health: { first_ejection_ms: 1_000, longest_ejection_ms: 1_000 } } };

const withFaults = (use, isolates = 1) => {
  const { routes, vars } = fleet(simulator, QUICK);
  const all = { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER };
  return withGateway({ routes, vars: all, registry: true, isolates }, (gateway) => {
    const call = async (method, path, body, token = ADMIN) => {
      const init = { method, headers: { authorization: `Bearer ${token}` }, body: body && JSON.stringify(body) };
      const response = await gateway.fetch(`/admin/api${path}`, init);
      return { status: response.status, ...(await response.json()) };
    };
    return use(gateway, call);
  });
};

const trailOf = async (gateway) => {
  const response = await chat(gateway);
  await response.body?.cancel();
  assert.equal(response.status, 200);
  return response.headers.get("x-switchyard-trail");
};

const until = async (isTrue, what) => {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(100)) if (await isTrue()) return;
  assert.fail(`not within 20 s: ${what}`);
};

test("a fault for a time reaches other isolates, is listed and logged, and ends by itself", () =>
  withFaults(async (gateway, call) => {
    const [, other] = gateway.isolates;
    await trailOf(other);
    const fault = { deployment: "openai", fault: "429", seconds: 8, why: "game day" };
    const set = await call("POST", "/faults", fault);
    assert.deepEqual([set.status, set.deployment, set.fault, set.share], [200, "openai", "429", 100]);
    const endsAt = Date.now() + 8_000;
    assert.match(await trailOf(gateway), /^openai=rate_limit;\d+;drill, azure-eastus=200/);
    await until(async () => (await trailOf(other)).includes("drill"), "the other isolate knows it");
    const { faults } = await call("GET", "/faults", undefined, VIEWER);
    assert.deepEqual(faults.map(({ deployment, why }) => [deployment, why]), [["openai", "game day"]]);
    const { deployments } = await call("GET", "/health");
    assert.equal(deployments.find(({ deployment }) => deployment === "openai").fault.fault, "429");
    await until(() => Date.now() > endsAt, "its end");
    assert.deepEqual((await call("GET", "/faults")).faults, []);
    await until(async () => (await trailOf(other)).startsWith("openai=200"), "the other isolate uses it again");
    const { entries } = await call("GET", "/audit");
    const acts = entries.filter(({ what }) => what.startsWith("fault."));
    assert.deepEqual(acts.map(({ what, subject, why }) => [what, subject, why]), [
      ["fault.start", "openai", "429 100 % 8 s game day"],
    ]);
  }, 2));

test("a viewer sees faults and cannot set or end them", () =>
  withFaults(async (gateway, call) => {
    const fault = { deployment: "openai", fault: "500" };
    assert.equal((await call("POST", "/faults", fault, VIEWER)).status, 403);
    assert.equal((await call("DELETE", "/faults", undefined, VIEWER)).status, 403);
    assert.deepEqual((await call("GET", "/faults", undefined, VIEWER)).faults, []);
    assert.match(await trailOf(gateway), /^openai=200/);
  }));

const STEPS = [
  { do: "traffic", name: "before", seconds: 2, per_second: 5, expect: { errors_at_most_percent: 0, served_by: ["openai"] } },
  { do: "fault", deployment: "openai", fault: "500", seconds: 60 },
  {
    do: "traffic",
    name: "during",
    seconds: 4,
    per_second: 10,
    expect: { errors_at_most_percent: 0, served_by: ["azure-eastus"], ejected: ["openai"] },
  },
  { do: "end", deployment: "openai" },
  { do: "traffic", name: "after", seconds: 6, per_second: 5, expect: { errors_at_most_percent: 0, serves_again: ["openai"] } },
];

test("a script is played, and its report says what clients saw", () =>
  withFaults(async (gateway, call) => {
    const script = parseScript(JSON.stringify({ name: "OpenAI is out", model: "chat", steps: STEPS }), "test");
    const lines = [];
    const to = { url: gateway.url, key: APP_KEY, adminToken: ADMIN };
    const report = await play(script, to, { onProgress: (line, isPassing) => isPassing || lines.push(line) });
    assert.deepEqual(report.expectations.filter(({ holds }) => !holds), []);
    assert.equal(report.passed, true);
    assert.deepEqual(report.steps.map(({ name, requests, errors }) => [name, requests, errors]), [
      ["before", 10, 0],
      ["during", 40, 0],
      ["after", 30, 0],
    ]);
    const [fault] = report.faults;
    assert.ok(fault.ejected_after_ms >= 0 && fault.served_again_after_ms >= 0, JSON.stringify(fault));
    assert.match(lines.join("\n"), /during: 40 requests, no errors; served by azure-eastus 40/);
    assert.match(words(report), /openai served again \d+\.\d s after the end of its fault/);
    assert.deepEqual((await call("GET", "/faults")).faults, []);
  }));

test("an expectation that does not hold is the exit code, and the report says which", () =>
  withFaults(async (gateway) => {
    const steps = [
      { do: "fault", deployment: "openai", fault: "500" },
      { do: "traffic", name: "during", seconds: 1, per_second: 4, expect: { served_by: ["openai"] } },
    ];
    const { code, stdout, stderr } = await run(gateway, { name: "wrong", model: "chat", steps });
    assert.equal(code, 1, stdout + stderr);
    assert.notEqual(stdout, "", stderr);
    const report = JSON.parse(stdout);
    assert.deepEqual(report.expectations, [
      { step: "during", holds: false, text: "served by openai: azure-eastus served too" },
    ]);
  }));

test("a drill that is interrupted ends its faults", () =>
  withFaults(async (gateway, call) => {
    const steps = [
      { do: "fault", deployment: "openai", fault: "429", seconds: 600 },
      { do: "traffic", name: "long", seconds: 600, per_second: 2 },
    ];
    const interrupt = async (child) => {
      await until(async () => (await call("GET", "/faults")).faults.length === 1, "the fault");
      child.kill("SIGINT");
    };
    const { code, stdout } = await run(gateway, { name: "long", model: "chat", steps }, interrupt);
    assert.deepEqual([code, JSON.parse(stdout).interrupted], [130, true]);
    assert.deepEqual((await call("GET", "/faults")).faults, []);
  }));

test("a script with mistakes names each of them with what to write", () => {
  const traffic = { do: "traffic", name: "a", seconds: 1, per_second: 1 };
  const script = { name: "n", model: "m", steps: [traffic] };
  for (const [text, problem] of [
    ["{", /this is not JSON/],
    ["[]", /the script: found \[\], expected an object/],
    [{ ...script, model: undefined }, /the script\.model: missing; write a text/],
    [{ ...script, steps: [] }, /there is no traffic; add \{"do": "traffic"/],
    [{ ...script, steps: [{ do: "sleep" }] }, /steps\[0\]\.do: found "sleep", expected "traffic", "fault", "end", "wait"/],
    [{ ...script, steps: [{ ...traffic, seconds: 0 }] }, /steps\[0\]\.seconds: found 0, expected a whole number from 1 to 3600/],
    [{ ...script, steps: [{ ...traffic, rate: 1 }] }, /steps\[0\]\.rate: there is no such member; known are "name"/],
    [{ ...script, steps: [traffic, { do: "end", deployment: "x" }] }, /steps\[1\]\.deployment: no earlier step has a fault of "x"/],
    [{ ...script, steps: [{ ...traffic, expect: { ejected: ["x"] } }] }, /steps\[0\]\.expect: no earlier step has a fault of "x"/],
    [{ ...script, steps: [{ do: "fault", deployment: "x", fault: "503" }, traffic] }, /found "503", expected one of "429"/],
    [{ ...script, steps: [traffic, traffic] }, /steps\[1\]\.name: an earlier step has the name "a"/],
  ]) {
    const given = typeof text === "string" ? text : JSON.stringify(text);
    assert.throws(() => parseScript(given, "drill.json"), problem, given);
  }
  for (const name of readdirSync(EXAMPLES)) parseScript(readFileSync(join(EXAMPLES, name), "utf8"), name);
});

// Runs `npm run drill` with this script. `meanwhile` gets the process.
async function run(gateway, script, meanwhile = () => {}) {
  const folder = mkdtempSync(join(tmpdir(), "drill-"));
  const path = join(folder, "script.json");
  writeFileSync(path, JSON.stringify(script));
  const env = { ...process.env, SWITCHYARD_KEY: APP_KEY, SWITCHYARD_ADMIN_TOKEN: ADMIN };
  const child = spawn(process.execPath, [DRILL, "--gateway", gateway.url, "--script", path, "--json"], { env });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  const ended = new Promise((resolve) => child.on("close", resolve));
  try {
    await meanwhile(child);
    return { code: await ended, stdout, stderr };
  } finally {
    child.kill();
    rmSync(folder, { recursive: true });
  }
}
