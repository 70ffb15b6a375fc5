// Somebody who runs LiteLLM moves over: the lines of docs/moving-from-litellm.md, as they stand there,
// for a configuration file of LiteLLM, and the official SDKs with another address.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { ensurePythonSdk } from "../../scripts/venv.mjs";
import { COMPILES, ROOT, run, switchyard } from "./command-line.mjs";
import { HI } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

const ADMIN = "admin-token-of-the-test";
// What needs an account at Cloudflare: the test starts a gateway with these variables instead.
const DEPLOYMENT = /^npx wrangler (deploy|secret put [A-Z_]+)( +#.*)?$/;
const ADDRESS = /^export SWITCHYARD_(URL|ADMIN_TOKEN)=/;
const MASTER_KEY = "sk-litellm-master";

let [simulator, gateway, folder, guide] = [];
let [imported, moved] = []; // what the lines before and after the deployment printed

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

// The blocks of the guide: its commands before and after the deployment, and the code of a client.
async function blocksOfTheGuide() {
  const page = await readFile(join(ROOT, "docs/moving-from-litellm.md"), "utf8");
  const section = page.split("\n## ").find((text) => text.startsWith("In ten minutes\n"));
  const blocks = (language) => [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))];
  const lines = blocks("sh").flatMap(([, text]) => text.trim().split("\n"));
  const deployment = lines.findIndex((line) => line.startsWith("npx wrangler"));
  assert.ok(deployment > 0, "the guide deploys");
  const isRun = (line) => !DEPLOYMENT.test(line) && !ADDRESS.test(line);
  const [[, python]] = blocks("python");
  return {
    before: lines.slice(0, deployment).filter(isRun).join("\n"),
    after: lines.slice(deployment).filter(isRun).join("\n"),
    python,
  };
}

// Runs lines of the guide in the folder with the configuration file.
async function runLines(lines, env) {
  const ended = await run("bash", ["-euo", "pipefail", "-c", lines], { cwd: folder, env });
  assert.equal(ended.code, 0, `${lines}\n${ended.stdout}${ended.stderr}`);
  return ended;
}

before(async () => {
  simulator = await startSimulator();
  // cargo finds the checkout from here.
  await mkdir(join(ROOT, "target"), { recursive: true });
  folder = await mkdtemp(join(ROOT, "target/import-litellm-"));
  guide = await blocksOfTheGuide();
  await writeFile(join(folder, "litellm_config.yaml"), configuration());
  imported = await runLines(guide.before);
  const values = {
    AZURE_EASTUS_KEY: simulator.eastus.key,
    AZURE_WESTEUROPE_KEY: simulator.westeurope.key,
    LITELLM_MASTER_KEY: MASTER_KEY,
  };
  // Only what the report names is set. The key that stands in the file has a variable of its own.
  const [, list] = imported.stderr.split("Variables to set");
  const names = [...list.matchAll(/^ {2}([A-Z_0-9]+): /gm)].map(([, name]) => name);
  const vars = Object.fromEntries(names.map((name) => [name, values[name] ?? simulator.openai.key]));
  gateway = await startGateway({ vars: { ADMIN_TOKEN: ADMIN, ...vars }, registry: true });
  moved = await runLines(guide.after, { SWITCHYARD_URL: gateway.url, SWITCHYARD_ADMIN_TOKEN: ADMIN });
}, COMPILES);

after(async () => {
  await gateway?.close();
  await simulator.close();
  await rm(folder, { recursive: true });
});

async function answer(model, apiKey = MASTER_KEY) {
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });
  return (await client.chat.completions.create({ model, messages: HI })).choices[0].message.content;
}

test("the lines of the guide import, check and push, and all deployments serve", async () => {
  assert.match(imported.stdout, /my-routes\.json: good: 3 deployments, 3 models/);
  assert.match(imported.stdout, /client master, routes \w{12}\n/, "and explain says where a request goes");
  assert.match(moved.stdout, /^Version \w{12}, number 1, serves\./m);
  const states = [...moved.stdout.matchAll(/^\S+ +(serving|disabled|ejected|drained) /gm)].map(([, state]) => state);
  assert.deepEqual(states, ["serving", "serving", "serving"], moved.stdout);
});

test("the client of the guide gets an answer", async () => {
  const python = await ensurePythonSdk();
  const env = { SWITCHYARD_URL: gateway.url, LITELLM_MASTER_KEY: MASTER_KEY, NO_PROXY: "127.0.0.1" };
  const ended = await run(python, ["-IBc", guide.python], { env });
  assert.equal(ended.stdout, "hello from eastus/gpt-4o-eastus\n", ended.stderr);
});

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
  const { stdout } = await switchyard(["import", join(folder, "litellm_config.yaml"), "--json"]);
  const lost = JSON.parse(stdout).notes.filter(({ fate }) => fate === "no_equivalent").map(({ key }) => key);
  assert.deepEqual(lost, ["litellm_settings.cache"]);
  const document = await readFile(join(folder, "my-routes.json"), "utf8");
  assert.ok(!document.includes(simulator.openai.key));
});
