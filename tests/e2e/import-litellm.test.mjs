// Somebody who runs LiteLLM moves over: import, check, publish, and the same SDK with another
// address.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { HI } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const MASTER_KEY = "sk-litellm-master";

let [simulator, gateway, folder, report] = [];

function configuration() {
  return `model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eastus
      api_base: ${simulator.eastus.endpoint}/
      api_key: os.environ/AZURE_EASTUS_KEY
      api_version: "2024-10-21"
      order: 1
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-westeurope
      api_base: ${simulator.westeurope.endpoint}
      api_key: os.environ/AZURE_WESTEUROPE_KEY
      api_version: v1
      order: 2
  - model_name: gpt-4o-openai
    litellm_params:
      model: openai/gpt-4o
      api_base: ${simulator.openai.endpoint}
      api_key: ${simulator.openai.key}
      temperature: 0.5
router_settings:
  num_retries: 0
  timeout: 8
  fallbacks: [{"gpt-4o": ["gpt-4o-openai"]}]
  model_group_alias: {"gpt-4": "gpt-4o"}
litellm_settings:
  cache: true
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
`;
}

before(async () => {
  simulator = await startSimulator();
  folder = await mkdtemp(join(tmpdir(), "import-litellm-"));
  const [file, output] = [join(folder, "litellm_config.yaml"), join(folder, "my-routes.json")];
  await writeFile(file, configuration());
  const switchyard = (...args) => promisify(execFile)("cargo", ["run", "--quiet", "--", ...args], { cwd: ROOT });
  report = JSON.parse((await switchyard("import", file, "--output", output, "--json")).stdout);
  assert.match((await switchyard("check", output)).stdout, /good: 3 deployments, 3 models/);
  const values = {
    AZURE_EASTUS_KEY: simulator.eastus.key,
    AZURE_WESTEUROPE_KEY: simulator.westeurope.key,
    LITELLM_MASTER_KEY: MASTER_KEY,
  };
  // Only what the report names is set. The key that stands in the file has a variable of its own.
  const vars = Object.keys(report.variables).map((name) => [name, values[name] ?? simulator.openai.key]);
  gateway = await startGateway({ routes: await readFile(output, "utf8"), vars: Object.fromEntries(vars) });
});

after(async () => {
  await gateway?.close();
  await simulator.close();
  await rm(folder, { recursive: true });
});

async function answer(model, apiKey = MASTER_KEY) {
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
  return (await client.chat.completions.create({ model, messages: HI })).choices[0].message.content;
}

test("models, aliases, the master key, orders and fallbacks stay what they are", async () => {
  assert.equal(await answer("gpt-4o"), "hello from eastus/gpt-4o-eastus");
  assert.equal(await answer("gpt-4"), "hello from eastus/gpt-4o-eastus");
  assert.equal(await answer("gpt-4o-openai"), "hello from openai/gpt-4o");
  await assert.rejects(answer("gpt-4o", "sk-other"), { status: 401 });

  // The second order follows the first, and then the fallback.
  await simulator.fault("eastus", { fault: "rate_limit" });
  assert.equal(await answer("gpt-4o"), "hello from westeurope/gpt-4o-westeurope");
  await simulator.fault("westeurope", { fault: "rate_limit" });
  assert.equal(await answer("gpt-4o"), "hello from openai/gpt-4o");
});

test("the report names what is lost, and no key stands in the document", async () => {
  const lost = report.notes.filter(({ fate }) => fate === "no_equivalent").map(({ key }) => key);
  assert.deepEqual(lost, ["litellm_settings.cache"]);
  const document = await readFile(join(folder, "my-routes.json"), "utf8");
  assert.ok(!document.includes(simulator.openai.key));
});
