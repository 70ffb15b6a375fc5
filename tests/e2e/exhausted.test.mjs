// The error that the client gets when no deployment serves, and the limits of attempts.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { assertError, assertServedBy, assertTrail, chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
afterEach(() => simulator.reset());
after(() => simulator.close());

const UPSTREAMS = ["openai", "eastus", "westeurope"];
const NAMES = ["openai", "azure-eastus", "azure-westeurope"];
const once = { retry: { attempts: 0 } };
const inGateway = (node, use, more) =>
  withGateway(fleet(simulator, { models: { pool: { targets: NAMES, ...once, ...node } }, ...more }), use);
const ask = (gateway, body = {}, init) => chat(gateway, { model: "pool", ...body }, init);
const everywhere = (spec) => Promise.all(UPSTREAMS.map((name) => simulator.fault(name, spec)));
const calls = () => UPSTREAMS.map((name) => simulator.calls(name).length);

describe("when every candidate failed", () => {
  test("by rate limits, the client gets a 429 with the soonest retry-after of the pool", () =>
    inGateway({}, async (gateway) => {
      const waits = { openai: 20, eastus: 9, westeurope: 22 };
      for (const [name, seconds] of Object.entries(waits)) {
        const headers = { "retry-after": String(seconds), "retry-after-ms": String(seconds * 1000) };
        await simulator.fault(name, { fault: { error: "rate_limit", headers } });
      }
      const response = await ask(gateway);
      assertTrail(response, NAMES.map((name) => [name, "rate_limit"]));
      assert.equal(response.status, 429);
      assert.equal(response.headers.get("retry-after"), "9");
      assert.equal(response.headers.get("retry-after-ms"), "9000");
      assert.equal(response.headers.get("x-should-retry"), "true");
      assert.ok((await response.json()).error.message);
      assert.deepEqual(calls(), [1, 1, 1]);
    }));

  test("for billing, x-should-retry is false", () =>
    inGateway({}, async (gateway) => {
      await everywhere({ fault: "quota" });
      const response = await ask(gateway);
      assert.equal(response.headers.get("x-should-retry"), "false");
      assert.equal(response.status, 429);
      assert.equal((await response.json()).error.code, "insufficient_quota");
    }));

  test("with HTML or empty errors, the client gets OpenAI's shape", () =>
    inGateway({}, async (gateway) => {
      for (const fault of ["bad_gateway", "empty_error"]) {
        await everywhere({ fault });
        const response = await ask(gateway);
        assert.ok(response.status >= 500, String(response.status));
        await assertError(response, response.status);
        await simulator.reset();
      }
    }));

  test("by refused connections, it is a 502 upstream_unreachable", () =>
    inGateway({}, async (gateway) => {
      await everywhere({ fault: { refuse: true } });
      const response = await ask(gateway);
      assertTrail(response, NAMES.map((name) => [name, "connection"]));
      await assertError(response, 502, "upstream_unreachable");
    }));

  test("by silence, it is a 504 upstream_timeout", () =>
    inGateway({ timeout: { headers_ms: 200 } }, async (gateway) => {
      await everywhere({ fault: { silence: true } });
      const response = await ask(gateway);
      assertTrail(response, NAMES.map((name) => [name, "timeout"]));
      await assertError(response, 504, "upstream_timeout");
    }));

  test("for wrong upstream keys, the client gets an error without the keys", () =>
    inGateway({}, async (gateway) => {
      await everywhere({ fault: "bad_key" });
      const response = await ask(gateway);
      assertTrail(response, NAMES.map((name) => [name, "auth"]));
      const text = await response.text();
      for (const name of UPSTREAMS) assert.ok(!text.includes(simulator[name].key));
      assert.ok(JSON.parse(text).error.message);
    }));

  test("before a stream began, the answer is an error with a status and not a stream", () =>
    inGateway({}, async (gateway) => {
      await everywhere({ fault: "overloaded" });
      await assertError(await ask(gateway, { stream: true }), 503);
    }));
});

describe("limits", () => {
  test("the deadline ends the request with a 504 deadline_exceeded", () =>
    inGateway({ deadline_ms: 300 }, async (gateway) => {
      await everywhere({ fault: { silence: true } });
      await assertError(await ask(gateway), 504, "deadline_exceeded");
      assert.deepEqual(calls(), [1, 1, 1], "each gets a share of the time");
      await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
    }));

  test("the client's timeout header caps the deadline", () =>
    inGateway({}, async (gateway) => {
      await everywhere({ fault: { silence: true } });
      const headers = { "x-stainless-timeout": "1", "x-stainless-read-timeout": "1" };
      await assertError(await ask(gateway, {}, { headers }), 504, "deadline_exceeded");
    }));

  test("`max_attempts` limits the attempts", () =>
    inGateway({ max_attempts: 2 }, async (gateway) => {
      await everywhere({ fault: "overloaded" });
      const response = await ask(gateway);
      assertTrail(response, [["openai", "unavailable"], ["azure-eastus", "unavailable"]]);
      await assertError(response, 503);
      assert.deepEqual(calls(), [1, 1, 0]);
    }));

  test("`fallback_on` allows a fallback for the classes and statuses that it names", () =>
    inGateway({ fallback_on: ["rate_limit", 500] }, async (gateway) => {
      await simulator.fault("openai", { fault: "rate_limit" });
      await simulator.fault("eastus", { fault: { status: 500 } });
      await assertServedBy(await ask(gateway), "westeurope/gpt-4o-westeurope");
    }));

  test("`fallback_on` prevents a fallback for other classes", () =>
    inGateway({ fallback_on: ["rate_limit", 500] }, async (gateway) => {
      await simulator.fault("openai", { fault: "overloaded" });
      const response = await ask(gateway);
      assertTrail(response, [["openai", "unavailable"]]);
      await assertError(response, 503);
    }));

  test("`retry` makes another attempt at the same deployment, after a Retry-After within `max_wait_ms`", () =>
    inGateway({ retry: { on: ["rate_limit"], attempts: 1, max_wait_ms: 1000 } }, async (gateway) => {
      const headers = { "retry-after": "1", "retry-after-ms": "50" };
      const fault = { fault: { error: "rate_limit", headers }, times: 1 };
      await simulator.fault("westeurope", fault);
      const response = await ask(gateway, { model: "chat-westeurope" });
      assertTrail(response, [["azure-westeurope", "rate_limit"], ["azure-westeurope", "200"]]);
      await assertServedBy(response, "westeurope/gpt-4o-westeurope");
      // There is no wait while another target is left.
      await simulator.fault("openai", fault);
      assertTrail(await ask(gateway), [["openai", "rate_limit"], ["azure-eastus", "200"]]);
    }));

  test("`retry` does not wait for a Retry-After longer than `max_wait_ms`", () =>
    inGateway({ retry: { on: ["rate_limit"], attempts: 1, max_wait_ms: 1000 } }, async (gateway) => {
      await simulator.fault("openai", { fault: "rate_limit", times: 1 }); // 20 s
      const response = await ask(gateway);
      assertTrail(response, [["openai", "rate_limit"], ["azure-eastus", "200"]]);
    }));

  test("`min_quality` and `require_tags` hold for fallbacks too, even if the request then fails", () =>
    inGateway({ require_tags: ["eu"] }, async (gateway) => {
      await assertServedBy(await ask(gateway), "westeurope/gpt-4o-westeurope");
      await simulator.fault("westeurope", { fault: "overloaded" });
      assert.equal((await ask(gateway)).status, 503);
      assert.deepEqual(calls().slice(0, 2), [0, 0]);
    }));

  test("a policy that excludes every deployment gives a 503 no_eligible_deployment", () =>
    inGateway({ min_quality: 9 }, async (gateway) => {
      await assertError(await ask(gateway), 503, "no_eligible_deployment");
      assert.deepEqual(calls(), [0, 0, 0]);
    }));

  test("an `on` edge sends a request that is too long to another node", () =>
    inGateway({ targets: ["openai"], on: { context_window: "chat-westeurope" } }, async (gateway) => {
      await simulator.fault("openai", { fault: "context_window" });
      const response = await ask(gateway);
      assertTrail(response, [["openai", "context_window"], ["azure-westeurope", "200"]]);
      await assertServedBy(response, "westeurope/gpt-4o-westeurope");
    }));
});

test("through AI Gateway, both providers are called by their paths there, with its token", async () => {
  const via = { account: "account", gateway: "gateway", token: "${CF_AIG_TOKEN}", endpoint: simulator.aiGateway.endpoint };
  const { routes, vars } = fleet(simulator, { vars: { CF_AIG_TOKEN: simulator.aiGateway.key } });
  Object.assign(routes.deployments.openai, { via, endpoint: undefined });
  Object.assign(routes.deployments["azure-eastus"], { via, endpoint: "https://res-eastus.openai.azure.com" });
  await withGateway({ routes, vars }, async (gateway) => {
    await assertServedBy(await chat(gateway), "openai/gpt-4o");
    await assertServedBy(await chat(gateway, { model: "chat-eastus" }), "eastus/gpt-4o-eastus");
  });
  const paths = simulator.calls("aiGateway").map(({ url }) => url);
  const tail = "/chat/completions?api-version=2024-10-21";
  assert.deepEqual(paths.map((path) => path.replace(/^\/v1\/account\/gateway/, "")), [
    "/openai/chat/completions",
    `/azure-openai/res-eastus/gpt-4o-eastus${tail}`,
  ]);
});
