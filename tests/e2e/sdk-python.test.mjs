// OpenAI's SDK for Python. The tests are in the folder python, and each one is reported as a test
// of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { ensurePythonSdk } from "../../scripts/venv.mjs";
import { APP_KEY, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";
import { ADMIN_TOKEN, ONCE } from "./isolates.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const LIMITED_KEY = "sk-switchyard-limited";
const RATE_KEY = "sk-switchyard-rate";
const QUOTA_KEY = "sk-switchyard-quota";

const POOL = ["openai", "azure-eastus", "azure-westeurope"];
const MODELS = {
  single: { targets: ["openai"], ...ONCE },
  pool: { targets: POOL, ...ONCE },
  held: { targets: POOL, commit: "complete", ...ONCE },
  impatient: { targets: ["openai"], timeout: { idle_ms: 200 }, ...ONCE },
};
const SETTINGS = { keepalive_ms: 100 };
const CLIENTS = {
  app: { key: "${APP_KEY}" },
  limited: { key: "${LIMITED_KEY}", models: ["embed"] },
  // One request comes back in a second.
  rate: { key: "${RATE_KEY}", limits: [{ requests: 60, per: "minute" }] },
  quota: { key: "${QUOTA_KEY}", limits: [{ requests: 2, per: "day" }] },
};

// The SDK would read keys, a base URL and a proxy from the environment.
const isForeign = (name) => /^(openai|azure_openai)_|_proxy$/i.test(name);

// Runs the Python tests in one process. `onPlan` gets the names of the tests before the first one
// runs, and `onResult` each result. Resolves with the exit code and the errors of the process.
async function runPython(python, settings, { onPlan, onResult, signal }) {
  // Isolated from the modules and settings of the user; no bytecode beside the tests; unbuffered.
  const child = spawn(python, ["-IBu", join(HERE, "python/main.py"), JSON.stringify(settings)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name))),
    signal,
  });
  let errors = "";
  child.stderr.on("data", (data) => (errors += data));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { plan, ...result } = JSON.parse(line);
    if (plan) onPlan(plan);
    else onResult(result);
  });
  const end = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  return { end, errors };
}

test("OpenAI's SDK for Python", { timeout: 120_000 }, async (suite) => {
  const python = await ensurePythonSdk();
  const simulator = await startSimulator();
  try {
    const vars = { ADMIN_TOKEN, LIMITED_KEY, RATE_KEY, QUOTA_KEY };
    const options = fleet(simulator, { models: MODELS, clients: CLIENTS, settings: SETTINGS, vars });
    await withGateway(options, async (gateway) => {
      const settings = {
        gateway: gateway.url,
        simulator: simulator.control.url,
        key: APP_KEY,
        limited_key: LIMITED_KEY,
        rate_key: RATE_KEY,
        quota_key: QUOTA_KEY,
        admin_token: ADMIN_TOKEN,
      };
      const waiting = new Map();
      const reports = [];
      const { end, errors } = await runPython(python, settings, {
        signal: suite.signal,
        onPlan(names) {
          for (const name of names) {
            const result = new Promise((resolve) => waiting.set(name, resolve));
            reports.push(suite.test(name, async () => {
              const failure = await result;
              assert.ok(failure === null, failure);
            }));
          }
        },
        onResult({ name, failure }) {
          waiting.get(name)(failure);
          waiting.delete(name);
        },
      });
      for (const fail of waiting.values()) fail(`the Python process ended with ${end} before this test did: ${errors}`);
      await Promise.all(reports);
      assert.equal(end, 0, errors);
      assert.ok(reports.length > 0);
      assert.deepEqual(gateway.logs.filter((line) => /uncaught|hung|trap|panic/i.test(line)), []);
    });
  } finally {
    await simulator.close();
  }
});
