// Limits of clients: exact over several isolates, and understood by the official SDKs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import * as ai from "ai";
import OpenAI from "openai";
import { APP_KEY, chat } from "./document.mjs";
import { ADMIN_TOKEN, eventually, withIsolates } from "./isolates.mjs";

const COST = { input: 1, output: 10 };

const limited = (limits, options = {}) => ({
  clients: { app: { key: "${APP_KEY}", limits } },
  settings: { refresh_seconds: 3600 },
  ...options,
});

// With limits that refuse while the ledger does not answer, as it may be on a machine that is busy.
const closed = (limits) => limited(limits, { settings: { refresh_seconds: 3600, limits_unreachable: "fail_closed" } });

// Sends `count` requests to the isolates in turn, at most `atOnce` at the same time. Resolves with
// the number of answers by status.
async function burst(isolates, count, atOnce, body = {}) {
  const statuses = {};
  let next = 0;
  const work = async () => {
    while (next < count) {
      const isolate = isolates[next++ % isolates.length];
      const response = await chat(isolate, body);
      await response.text();
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return statuses;
}

describe("limits that eight isolates share", { concurrency: 2 }, () => {
  test("a quota is served to the last request, and not one more", () =>
    withIsolates({ isolates: 8, ...closed([{ requests: 100, per: "month" }]) }, async ({ simulator, gateway }) => {
      let { 200: served } = await burst(gateway.isolates, 240, 24);
      assert.ok(served >= 90 && served <= 100, `${served}: the rest is in leases of isolates`);
      // These leases come back after seconds, and then the last requests are served.
      await eventually("the whole limit is served", async () => {
        const { 200: more = 0 } = await burst(gateway.isolates, 8, 8);
        return (served += more) >= 100;
      }, { withinMs: 30_000, everyMs: 500 });
      const { 200: more = 0 } = await burst(gateway.isolates, 16, 8);
      assert.equal(served + more, 100);
      const calls = ["openai", "eastus", "westeurope"].flatMap((name) => simulator.calls(name));
      assert.equal(calls.length, 100, "what is refused is never sent");
    }));

  test("a budget in dollars is never exceeded by what was reserved", () =>
    withIsolates(
      {
        isolates: 8,
        cost: COST,
        ...limited([{ usd: 0.01, per: "month" }]),
      },
      async ({ gateway }) => {
        // A request may use 100 tokens of output, a thousandth of a dollar, and uses a part of that.
        const statuses = await burst(gateway.isolates, 240, 24, { max_tokens: 100 });
        assert.ok(statuses[200] > 10 && statuses[429] > 0, JSON.stringify(statuses));
        const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
        await eventually("the ledger knows what was used", async () => {
          const { limits } = await (await gateway.fetch("/admin/api/usage?client=app", { headers })).json();
          const [{ spent, leased, amount }] = limits;
          assert.ok(spent + leased <= amount, `${spent} and ${leased} of ${amount}`);
          return leased === 0 && spent > 0 && spent % statuses[200] === 0;
        }, { withinMs: 30_000, everyMs: 500 });
      },
    ));
});

describe("what clients see", { concurrency: 2 }, () => {
  const headersOf = (response) => Object.fromEntries(response.headers);

  test("a client has its own limits in the headers, and the time to wait when they are used up", () =>
    withIsolates(limited([{ requests: 2, per: "day" }]), async ({ gateway }) => {
      const first = headersOf(await chat(gateway));
      assert.equal(first["x-ratelimit-limit-requests"], "2");
      assert.equal(first["x-ratelimit-remaining-requests"], "1");
      assert.match(first["x-ratelimit-reset-requests"], /^(\d+h)?(\d+m)?\d+m?s$/);
      await chat(gateway);
      const refused = await chat(gateway);
      const { error } = await refused.json();
      assert.equal(refused.status, 429);
      assert.equal(error.code, "insufficient_quota");
      assert.equal(refused.headers.get("x-should-retry"), "false");
      const untilMidnight = 86_400 - (Date.now() / 1000) % 86_400;
      assert.ok(Math.abs(Number(refused.headers.get("retry-after")) - untilMidnight) < 5, error.message);
    }));

  test("without a binding to the ledgers, budgets are closed and rates are open", () =>
    withIsolates(
      {
        ledger: false,
        cost: COST,
        ...limited([{ requests: 2, per: "day" }]),
        clients: {
          app: { key: "${APP_KEY}", limits: [{ requests: 1, per: "day" }] },
          other: { key: "${OTHER_KEY}", limits: [{ usd: 1, per: "day" }] },
        },
        vars: { OTHER_KEY: "sk-other" },
      },
      async ({ gateway }) => {
        for (let request = 0; request < 3; request += 1) {
          assert.equal((await chat(gateway)).status, 200);
        }
        const refused = await chat(gateway, {}, { headers: { authorization: "Bearer sk-other" } });
        assert.equal(refused.status, 503);
        assert.equal((await refused.json()).error.code, "limits_unavailable");
      },
    ));
});

describe("SDKs", { concurrency: 2 }, () => {
  const SDKS = {
    "openai-node": (baseURL, maxRetries) => {
      const client = new OpenAI({ baseURL, apiKey: APP_KEY, maxRetries });
      return () => client.chat.completions.create({ model: "chat", messages: [{ role: "user", content: "hi" }] });
    },
    "the Vercel AI SDK": (baseURL, maxRetries) => {
      const model = createOpenAI({ baseURL, apiKey: APP_KEY }).chat("chat");
      return () => ai.generateText({ model, prompt: "hi", maxRetries });
    },
    LangChain: (baseURL, maxRetries) => {
      const model = new ChatOpenAI({ apiKey: APP_KEY, configuration: { baseURL }, model: "chat", maxRetries });
      return () => model.invoke("hi");
    },
  };

  for (const [name, connect] of Object.entries(SDKS)) {
    test(`${name} waits as long as a rate limit says, and is served`, () =>
      withIsolates(limited([{ requests: 60, per: "minute" }]), async ({ gateway }) => {
        assert.equal((await burst(gateway.isolates, 60, 20))[200], 60);
        await connect(`${gateway.url}/v1`, 3)();
      }));
  }

  test("openai-node does not repeat what a quota refuses", () =>
    withIsolates(limited([{ requests: 1, per: "day" }]), async ({ gateway }) => {
      let sent = 0;
      const client = new OpenAI({
        baseURL: `${gateway.url}/v1`,
        apiKey: APP_KEY,
        maxRetries: 3,
        fetch: (...request) => {
          sent += 1;
          return fetch(...request);
        },
      });
      const ask = () => client.chat.completions.create({ model: "chat", messages: [] });
      await ask();
      await assert.rejects(ask(), { status: 429, code: "insufficient_quota", type: "insufficient_quota" });
      assert.equal(sent, 2);
    }));
});
