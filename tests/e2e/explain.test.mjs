// POST /admin/api/explain: what it names is what the gateway calls, and it calls nothing itself.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, chat, fleet, HI } from "./document.mjs";
import { startGateway } from "./gateway.mjs";
import { ADMIN_TOKEN } from "./isolates.mjs";

const RULES = [{ when: { header: { "x-tier": "gold" } }, use: "chat-small" }];
const MODELS = {
  "chat-small": { targets: ["azure-westeurope", "chat"] },
  "chat-near": { strategy: "nearest", targets: ["azure-eastus", "azure-westeurope"] },
};

let simulator, gateway;
before(async () => {
  simulator = await startSimulator();
  const options = fleet(simulator, { models: MODELS, rules: RULES, vars: { ADMIN_TOKEN } });
  options.routes.deployments["azure-westeurope"].capabilities = { tools: false };
  gateway = await startGateway(options);
});
beforeEach(() => simulator.reset());
after(async () => {
  await gateway?.close();
  await simulator.close();
});

const post = (body, token = ADMIN_TOKEN) =>
  gateway.fetch("/admin/api/explain", {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

const explain = async (request) => {
  const response = await post({ path: "/v1/chat/completions", client: "app", ...request });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
};

const body = (more = {}) => ({ model: "chat", messages: HI, ...more });
const attempts = ({ course }) => course.attempts.map(({ deployment }) => deployment);

describe("explain", () => {
  test("names what is called, in that order, and calls nothing", async () => {
    const explanation = await explain({ body: body() });
    assert.deepEqual(["openai", "eastus", "westeurope"].flatMap((name) => simulator.calls(name)), []);
    const served = await chat(gateway);
    assert.equal(served.headers.get("x-switchyard-deployment"), attempts(explanation)[0]);
    assert.deepEqual(attempts(explanation).slice(0, 3), ["openai", "azure-eastus", "azure-westeurope"]);
    assert.equal(explanation.calls[0].url, `${simulator.openai.endpoint}/chat/completions`);
    assert.equal(explanation.routes, served.headers.get("x-switchyard-routes"));
  });

  test("follows rules, capabilities and the place", async () => {
    const gold = await explain({ headers: { "X-Tier": "gold" }, body: body({ tools: [{ type: "function" }] }) });
    assert.deepEqual([gold.rule, gold.entry, attempts(gold)[0]], [0, "chat-small", "openai"]);
    const [first] = gold.course.tree[0].node.targets.filter(({ to }) => to === "azure-westeurope");
    assert.deepEqual(first.excluded, { kind: "capability", why: "its model does not take tools" });
    const near = await explain({ body: body({ model: "chat-near" }), place: { colo: "IAD" } });
    assert.equal(attempts(near)[0], "azure-eastus");
    const far = await explain({ body: body({ model: "chat-near" }), place: { colo: "FRA" } });
    assert.equal(attempts(far)[0], "azure-westeurope");
  });

  test("shows no secret", async () => {
    const text = await (await post({ path: "/v1/chat/completions", key: APP_KEY, body: body() })).text();
    for (const secret of [APP_KEY, ADMIN_TOKEN, simulator.openai.key, simulator.eastus.key, simulator.westeurope.key]) {
      assert.ok(!text.includes(secret), text);
    }
    assert.equal(JSON.parse(text).client, "app");
  });

  test("takes a body of several megabytes, and refuses what it cannot read", async () => {
    const long = await explain({ body: body({ user: "a".repeat(2_000_000) }) });
    assert.equal(attempts(long)[0], "openai");
    assert.ok(long.facts.input_tokens > 500_000);
    const wrong = await assertError(await post({ pth: "/" }), 400, "invalid_json");
    assert.match(wrong.message, /no key 'pth'/);
    await assertError(await post("{"), 400, "invalid_json");
    await assertError(await post({ path: "/" }, "wrong"), 401, "invalid_admin_token");
  });
});
