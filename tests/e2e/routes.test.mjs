// The routes document in KV: changes take effect without a deploy, and an invalid document never
// does.

import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { after, afterEach, before, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, assertTrail, chat, fleet } from "./document.mjs";
import { startGateway, withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const OPENAI = "openai/gpt-4o";
const EASTUS = "eastus/gpt-4o-eastus";
const CHANGED = { models: { chat: { targets: ["azure-eastus"] } } };
const PATIENCE_MS = 10_000;
const EVERY_MS = 100; // refresh_seconds is 1, and refreshes happen during requests

// Sends requests until a response satisfies `isWanted`. Resolves with that response.
async function until(gateway, isWanted, body) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const response = await chat(gateway, body);
    if (await isWanted(response.clone())) return response;
    const last = `${response.status} ${await response.text()}`;
    assert.ok(Date.now() < end, `not within ${PATIENCE_MS} ms; last answer: ${last}\n${gateway.logs.join("\n")}`);
    await wait(EVERY_MS);
  }
}

const from = (upstream) => (response) => response.headers.get("x-switchyard-deployment") === upstream;
// A predicate: has the gateway logged a matching line since this call?
function logged(gateway, pattern) {
  const start = gateway.logs.length;
  return () => gateway.logs.slice(start).some((line) => pattern.test(line));
}

test("a change of the document takes effect, with another version", () =>
  withGateway(fleet(simulator), async (gateway) => {
    const before = await chat(gateway);
    await assertServedBy(before, OPENAI);
    await gateway.putRoutes(fleet(simulator, CHANGED).routes);
    const changed = await until(gateway, from("azure-eastus"));
    await assertServedBy(changed, EASTUS);
    const version = (response) => response.headers.get("x-switchyard-routes");
    assert.notEqual(version(changed), version(before));
  }));

const INVALID = {
  "text that is not JSON": "{",
  "a document with an unknown key": { version: 1, modles: {} },
  "a document whose targets do not exist": { version: 1, deployments: {}, models: { chat: { targets: ["nothing"] } } },
  "an empty document": "",
};
for (const [what, document] of Object.entries(INVALID)) {
  test(`${what} never takes effect: the last valid one stays in use, and the log says why`, () =>
    withGateway(fleet(simulator), async (gateway) => {
      await assertServedBy(await chat(gateway), OPENAI);
      await gateway.putRoutes(document);
      await assertServedBy(await until(gateway, logged(gateway, /routes/i)), OPENAI);
      await gateway.putRoutes(fleet(simulator, CHANGED).routes);
      await assertServedBy(await until(gateway, from("azure-eastus")), EASTUS);
    }));
}

test("if the document is deleted, the last valid one stays in use", () =>
  withGateway(fleet(simulator), async (gateway) => {
    await assertServedBy(await chat(gateway), OPENAI);
    await gateway.deleteRoutes();
    // Long enough for two refreshes. Nothing must change, so the test can only wait.
    const end = Date.now() + 2500;
    while (Date.now() < end) {
      await assertServedBy(await chat(gateway), OPENAI);
      await wait(EVERY_MS);
    }
  }));

for (const [what, damage] of [
  ["an invalid document", (gateway) => gateway.putRoutes("{")],
  ["no document", (gateway) => gateway.deleteRoutes()],
]) {
  test(`after a restart with ${what} in KV, the last valid one is used`, async () => {
    const kvPersist = await mkdtemp(join(tmpdir(), "switchyard-"));
    const { routes, vars } = fleet(simulator, CHANGED);
    try {
      await withGateway({ routes, vars, kvPersist }, async (gateway) => {
        await assertServedBy(await chat(gateway), EASTUS);
        // A refresh stores the last valid document in KV, before it is replaced here.
        await until(gateway, isBackedUp(gateway));
        await damage(gateway);
      });
      await withGateway({ vars, kvPersist }, async (gateway) => {
        for (let again = 0; again < 3; again += 1) await assertServedBy(await chat(gateway), EASTUS);
      });
    } finally {
      await rm(kvPersist, { recursive: true });
    }
  });
}

// A predicate: has the gateway stored the last valid document in KV, next to the document itself?
function isBackedUp(gateway) {
  return async () => (await gateway.kvKeys()).length > 1;
}

test("if the first document is invalid, the one in the Worker's build is used", () =>
  withGateway({ routes: "{", vars: { ...fleet(simulator).vars, SWITCHYARD_KEY: "k" } }, async (gateway) => {
    const response = await gateway.fetch("/v1/models", { headers: { authorization: "Bearer k" } });
    assert.equal(response.status, 200);
    const { data } = await response.json();
    const sample = JSON.parse(readFileSync(new URL("../../routes.json", import.meta.url), "utf8"));
    assert.deepEqual(data.map(({ id }) => id).sort(), Object.keys(sample.models).sort());
  }));

test("a variable that is missing disables that deployment alone", async () => {
  const { routes, vars } = fleet(simulator);
  const { OPENAI_API_KEY: _, ...rest } = vars;
  await withGateway({ routes, vars: rest }, async (gateway) => {
    const response = await chat(gateway);
    assertTrail(response, [["azure-eastus", "200"]]);
    await assertServedBy(response, EASTUS);
    await assertError(await chat(gateway, { model: "speak" }, { path: "/v1/audio/speech" }), 503, "no_eligible_deployment");
    const health = await gateway.fetch("/healthz");
    assert.equal(health.status, 200);
    await health.body?.cancel();
  });
  assert.deepEqual(simulator.calls("openai"), []);
});

test("requests that come together at the very start are all served", async () => {
  const gateway = await startGateway(fleet(simulator));
  try {
    const responses = await Promise.all(Array.from({ length: 20 }, () => chat(gateway)));
    for (const response of responses) await assertServedBy(response, OPENAI);
  } finally {
    await gateway.close();
  }
});

test("weights spread requests over deployments", () =>
  withGateway(
    fleet(simulator, {
      models: {
        split: { strategy: "weighted", targets: [{ use: "openai", weight: 70 }, { use: "azure-eastus", weight: 30 }] },
        none: { strategy: "weighted", targets: [{ use: "openai", weight: 0 }, { use: "azure-eastus", weight: 1 }] },
        turns: { strategy: "round_robin", targets: ["openai", "azure-eastus"] },
      },
    }),
    async (gateway) => {
      const count = async (model, times) => {
        const responses = await Promise.all(Array.from({ length: times }, () => chat(gateway, { model })));
        await Promise.all(responses.map((response) => response.body.cancel()));
        return responses.filter(from("openai")).length;
      };
      const share = await count("split", 200);
      assert.ok(share > 110 && share < 170, `${share} of 200 at weight 70`); // five standard deviations
      assert.equal(await count("none", 20), 0);
      assert.equal(await count("turns", 20), 10);
    },
  ));

test("a client whose key variable is missing cannot authenticate", async () => {
  const { routes, vars } = fleet(simulator);
  const { APP_KEY: _, ...rest } = vars;
  await withGateway({ routes, vars: rest }, async (gateway) => {
    for (const key of [APP_KEY, "", "${APP_KEY}"]) {
      await assertError(await chat(gateway, {}, { headers: { authorization: `Bearer ${key}` } }), 401, "invalid_api_key");
    }
  });
});
