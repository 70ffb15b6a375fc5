// A canary of a change in workerd: one that breaks is taken back by itself, one that does not takes
// over, and clients are harmed at most by its share.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startSimulator } from "../../simulator/simulator.mjs";
import { chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
after(() => simulator.close());

const ADMIN = "admin-token-of-the-test";
const API = "/admin/api";

// `change`: makes another document of the one that serves. `webhooks`: where alerts go.
function withCanary({ isolates = 1, change, webhooks = [] }, use) {
  const { routes, vars } = fleet(simulator);
  routes.settings.webhooks = webhooks;
  const all = { ...vars, ADMIN_TOKEN: ADMIN, WRONG_KEY: "sk-not-of-this-account" };
  return withGateway({ routes, vars: all, registry: true, isolates }, async (gateway) => {
    const call = async (method, path, { body, headers } = {}) => {
      const authorization = `Bearer ${ADMIN}`;
      const response = await gateway.fetch(API + path, { method, body, headers: { authorization, ...headers } });
      const text = await response.text();
      return { status: response.status, text, json: text.startsWith("{") ? JSON.parse(text) : undefined };
    };
    const start = async (query) => {
      const body = JSON.stringify(change(structuredClone(routes)));
      const started = await call("PUT", `/routes?${query}`, { body, headers: { "if-match": "*" } });
      assert.equal(started.status, 200, started.text);
      return started.json.canary.version;
    };
    const acts = async () => {
      const log = await call("GET", "/audit");
      return log.json.entries.map(({ who, what }) => `${who} ${what}`).filter((act) => act.includes("canary"));
    };
    const canary = async () => (await call("GET", "/routes")).json.canary;
    return use({ gateway, call, start, acts, canary });
  });
}

// Sends a chat request. Resolves with its status and the version that served it.
async function ask(gateway) {
  const response = await chat(gateway);
  await response.arrayBuffer();
  return { status: response.status, version: response.headers.get("x-switchyard-routes") };
}

async function until(what, isTrue, ms = 30_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(100)) if (await isTrue()) return;
  assert.fail(`in vain: ${what}`);
}

// A receiver of alerts, which takes none before the second one.
async function startReceiver() {
  const alerts = [];
  const server = createServer(async (request, response) => {
    alerts.push(await json(request));
    response.writeHead(alerts.length === 1 ? 503 : 204).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/alerts`, alerts, close: () => server.close() };
}

// A key that the upstream refuses.
function breakChat(routes) {
  routes.deployments.openai.api_key = "${WRONG_KEY}";
  routes.models.chat = { targets: ["openai"] };
  return routes;
}

function eastusFirst(routes) {
  routes.models.chat = { targets: ["azure-eastus", "openai"] };
  return routes;
}

describe("a canary", { concurrency: true }, () => {
  test("that breaks is taken back by itself, and harms its share alone", () =>
    withCanary({ change: breakChat }, async ({ gateway, call, start, acts, canary }) => {
      const version = await start("canary=20&minutes=10");
      const answers = [];
      await until("it is taken back", async () => {
        for (let count = 0; count < 5; count += 1) answers.push(await ask(gateway));
        return (await canary()) === null;
      });
      const failed = answers.filter(({ status }) => status !== 200);
      assert.ok(failed.length >= 2, String(failed.length));
      assert.ok(failed.every((answer) => answer.version === version), "the old version never fails");
      assert.ok(failed.length < answers.length * 0.4, `${failed.length} of ${answers.length}`);
      for (let count = 0; count < 40; count += 1) assert.equal((await ask(gateway)).status, 200);
      assert.deepEqual(await acts(), ["admin routes.canary.start", "gateway routes.canary.take_back"]);
      const history = await call("GET", "/routes/history");
      assert.equal(history.json.versions.length, 1);
      assert.ok(!(await gateway.kvKeys()).includes("routes.canary"));
    }));

  // The second try comes after 15 seconds.
  test("that is taken back by itself is reported to webhooks, without any further request", { timeout: 90_000 }, async () => {
    const receiver = await startReceiver();
    try {
      await withCanary({ change: breakChat, webhooks: [{ url: receiver.url }] }, async ({ gateway, start, canary }) => {
        const version = await start("canary=30&minutes=10");
        await until("it is taken back", async () => {
          for (let count = 0; count < 5; count += 1) await ask(gateway);
          return (await canary()) === null;
        });
        await until("it is reported twice", () => receiver.alerts.length === 2, 40_000);
        const [first, second] = receiver.alerts;
        assert.deepEqual(first, second);
        assert.deepEqual([first.type, first.data.routes.version], ["routes", version]);
        assert.match(first.data.routes.taken_back, /^more of its requests failed: of its \d+ requests, /);
      });
    } finally {
      receiver.close();
    }
  });

  test("serves in all isolates, and all follow when it is promoted", () =>
    withCanary({ isolates: 2, change: eastusFirst }, async ({ gateway, call, start, acts, canary }) => {
      for (const isolate of gateway.isolates) await ask(isolate);
      const version = await start("canary=50&minutes=10");
      for (const isolate of gateway.isolates) {
        const seen = new Set();
        await until("both versions serve", async () => seen.add((await ask(isolate)).version).size === 2);
      }
      // Isolates report what they count at most every five seconds, after a request.
      let seen;
      await until("both versions are counted", async () => {
        for (const isolate of gateway.isolates) await ask(isolate);
        seen = await canary();
        return seen.old.requests > 0 && seen.new.requests > 0;
      });
      assert.deepEqual([seen.share, seen.old.failed, seen.new.failed], [50, 0, 0]);
      const refused = await call("PUT", "/routes", { body: "{}", headers: { "if-match": "*" } });
      assert.ok([409, 422].includes(refused.status), refused.text);
      const body = JSON.stringify({ action: "promote", why: "a test" });
      const promoted = await call("POST", "/routes/canary", { body });
      assert.equal(promoted.status, 200, promoted.text);
      for (const isolate of gateway.isolates) {
        await until("the new version serves alone", async () => {
          for (let count = 0; count < 8; count += 1) if ((await ask(isolate)).version !== version) return false;
          return true;
        });
      }
      assert.deepEqual(await acts(), ["admin routes.canary.start", "admin routes.canary.take_over"]);
    }));

  // A canary lasts a minute at least.
  test("that is not worse takes over when its time is over, through an eviction of the registry", { timeout: 150_000 }, () =>
    withCanary({ change: eastusFirst }, async ({ gateway, call, start, acts, canary }) => {
      const version = await start("canary=50&minutes=1");
      for (let count = 0; count < 160; count += 1) assert.equal((await ask(gateway)).status, 200);
      // Isolates report after a request.
      await until("its requests are counted", async () => (await ask(gateway), (await canary()).new.requests >= 50));
      await gateway.evictRegistry();
      await until("it takes over", async () => (await ask(gateway), (await canary()) === null), 75_000);
      await until("it serves", async () => (await ask(gateway)).version === version);
      const { versions } = (await call("GET", "/routes/history")).json;
      assert.deepEqual([versions[0].version, versions[0].how], [version, "canary"]);
      assert.deepEqual(await acts(), ["admin routes.canary.start", "gateway routes.canary.take_over"]);
    }));
});
