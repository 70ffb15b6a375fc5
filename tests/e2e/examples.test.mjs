// Every file of examples/ is a working document: each of its models answers, with simulated
// upstreams.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startSimulator } from "../../simulator/simulator.mjs";
import { withGateway } from "./gateway.mjs";
import { trail } from "./document.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLIENT_KEY = "sk-switchyard-example";

let simulator;
before(async () => (simulator = await startSimulator({ lenient: true })));
after(() => simulator.close());

const files = documents();

test("there are examples", () => assert.ok(files.length > 1, `no JSON files in ${ROOT}examples`));

for (const file of files) {
  test(`${file}: every model answers`, async () => {
    const document = JSON.parse(readFileSync(join(ROOT, file), "utf8"));
    const { routes, vars } = simulated(document);
    await withGateway({ routes, vars }, async (gateway) => {
      const models = Object.keys(routes.models);
      assert.ok(models.length > 0, "the example has no models");
      for (const model of models) {
        const isEmbedding = /embed/.test(model);
        const [operation, input] = isEmbedding
          ? ["embeddings", { input: "hi" }]
          : ["chat/completions", { messages: [{ role: "user", content: "hi" }] }];
        const response = await gateway.fetch(`/v1/${operation}`, {
          method: "POST",
          headers: { authorization: `Bearer ${CLIENT_KEY}`, "content-type": "application/json" },
          body: JSON.stringify({ model, ...input }),
        });
        const body = await response.text();
        const context = `${model}: trail ${trail(response)}: ${body}\n${gateway.logs.join("\n")}`;
        assert.equal(response.status, 200, context);
        const answer = JSON.parse(body);
        assert.match(answer.choices?.[0].message.content ?? answer.model, /\w+\/\S+/, context);
      }
    });
  });
}

function documents() {
  const folder = readdirSync(ROOT).includes("examples") ? readdirSync(join(ROOT, "examples")) : [];
  return ["routes.json", ...folder.filter((name) => name.endsWith(".json")).map((name) => `examples/${name}`)];
}

// The document with a simulated upstream for each deployment, and the values of its variables.
//
// References to variables stay in the document. Endpoints that are literal or missing are replaced,
// since they are real hosts. A client that may use every model is added.
function simulated(document) {
  const vars = {};
  const routes = structuredClone(document);
  for (const deployment of Object.values(routes.deployments)) {
    const upstream = simulator[upstreamOf(deployment)];
    if (deployment.via) {
      const { endpoint, key } = simulator.aiGateway;
      assign(deployment.via, "endpoint", endpoint, vars);
      assign(deployment.via, "token", key, vars);
      deployment.endpoint = deployment.provider === "azure" ? "https://simulated-eastus.openai.azure.com" : undefined;
    } else {
      assign(deployment, "endpoint", upstream.endpoint, vars);
    }
    vars[nameIn(deployment.api_key)] = upstream.key;
  }
  routes.clients = { ...document.clients, example: { key: "${EXAMPLE_CLIENT_KEY}" } };
  vars.EXAMPLE_CLIENT_KEY = CLIENT_KEY;
  for (const [, name] of JSON.stringify(document).matchAll(/\$\{(\w+)\}/g)) {
    vars[name] ??= /VERSION/.test(name) ? "2024-10-21" : `simulated-${name}`;
  }
  return { routes, vars };
}

function upstreamOf({ provider, region, endpoint = "", via }) {
  if (provider !== "azure") return "openai";
  return !via && /west|europe|eu\b|sweden|france/i.test(`${region} ${endpoint}`) ? "westeurope" : "eastus";
}

// Sets the variable that a field refers to, or the field itself if it refers to none.
function assign(object, field, value, vars) {
  const name = nameIn(object[field]);
  if (name) vars[name] = value;
  else object[field] = value;
}

function nameIn(text) {
  return /^\$\{(\w+)\}$/.exec(text ?? "")?.[1];
}
