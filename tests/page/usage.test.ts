// What is left of limits, what was used, and what the list of keys says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type IssuedKey, limitsOfKey, modelsIn, notesOf, shownKeys } from "../../page/src/keys/issued_key.ts";
import { readMetrics } from "../../page/src/now/metrics_text.ts";
import { limitsOf, unspentOf } from "../../page/src/usage/document_limits.ts";
import { amountText, byUrgency, levelOf, limitName, type LimitUsage, spentShare, usedUpAt, valueText } from "../../page/src/usage/limit_words.ts";
import { growth, ranked, sumOf, totalsOf } from "../../page/src/usage/usage_totals.ts";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 16); // the middle of a month of 30 days

function limit(more: Partial<LimitUsage> = {}): LimitUsage {
  const whole: LimitUsage = { client: "app", meter: "usd/month", unit: "micro_usd", amount: 100, per: "month", spent: 10, leased: 0, free: 90, resets_in_ms: 15 * DAY_MS, ...more };
  return { ...whole, free: more.free ?? whole.amount - whole.spent - whole.leased };
}

test("a limit is marked from four fifths on, and when nothing of it is free", () => {
  assert.equal(levelOf(limit({ spent: 79 })), "fine");
  assert.equal(levelOf(limit({ spent: 80 })), "near");
  assert.equal(levelOf(limit({ spent: 99 })), "near");
  assert.equal(levelOf(limit({ spent: 100 })), "over");
  assert.equal(levelOf(limit({ spent: 130, free: 0 })), "over");
  assert.equal(levelOf(limit({ spent: 10, leased: 90 })), "held");
  assert.equal(spentShare(limit({ amount: 0, spent: 0 })), 1, "a limit of nothing is used up");
});

test("the most urgent limits stand first: budgets before what comes back within the hour", () => {
  const limits = [
    limit({ client: "fine", spent: 70 }),
    limit({ client: "rate", meter: "requests/minute", unit: "requests", per: "minute", spent: 95, resets_in_ms: null }),
    limit({ client: "held", leased: 90 }),
    limit({ client: "near", spent: 81 }),
    limit({ client: "over", spent: 100 }),
  ];
  assert.deepEqual(byUrgency(limits).map(({ client }) => client), ["over", "near", "rate", "held", "fine"]);
});

test("the name of a meter is read as words", () => {
  const named = (meter: string, unit: LimitUsage["unit"], per: LimitUsage["per"]) => limitName(limit({ meter, unit, per }));
  assert.deepEqual(named("usd/month", "micro_usd", "month"), { what: "US dollars a month", by: undefined, models: "" });
  assert.deepEqual(named("tokens/day/metadata:team/chat-*,embed=pay=ments", "tokens", "day"), {
    what: "tokens a day",
    by: { key: "metadata:team", value: "pay=ments" },
    models: "chat-*,embed",
  });
  assert.deepEqual(named("requests/hour/chat/fast", "requests", "hour"), { what: "requests an hour", by: undefined, models: "chat/fast" });
  assert.deepEqual(named("concurrent/user=ada", "concurrent", null).by, { key: "user", value: "ada" });
  assert.equal(valueText({ key: "metadata:team", value: "payments" }), "team payments");
  assert.equal(valueText({ key: "metadata:team", value: "" }), "without a team");
  assert.equal(valueText({ key: "key", value: "" }), "the client's own key");
});

test("amounts are money or numbers", () => {
  assert.equal(amountText("micro_usd", 4_120_000), "$4.12");
  assert.equal(amountText("tokens", 2_000_000), "2,000,000");
});

test("a budget that is spent too fast says when it is used up, and another one nothing", () => {
  assert.equal(usedUpAt(limit({ spent: 75 }), NOW), NOW + 5 * DAY_MS, "three quarters in half of the month");
  assert.equal(usedUpAt(limit({ spent: 50 }), NOW), undefined, "it lasts exactly");
  assert.equal(usedUpAt(limit({ spent: 100 }), NOW), undefined, "it is used up already");
  assert.equal(usedUpAt(limit({ spent: 75, resets_in_ms: 30 * DAY_MS - 1000 }), NOW - 15 * DAY_MS + 1000), undefined, "the month has just begun");
  assert.equal(usedUpAt(limit({ per: "minute", resets_in_ms: null, spent: 75 }), NOW), undefined);
});

test("limits of the document of which nothing is spent are found by their meters", () => {
  const document = {
    clients: { app: { limits: [{ usd: 500, per: "month" }, { tokens: 2000000, per: "day", by: "metadata:team", models: ["chat-*"] }] }, web: {} },
    settings: { limits: [{ concurrent: 40 }] },
  };
  const all = limitsOf(document);
  assert.deepEqual(all.map(({ client, meter, text }) => [client, meter, text]), [
    ["app", "usd/month", "$500 a month"],
    ["app", "tokens/day/metadata:team/chat-*", "2,000,000 tokens a day for each metadata:team of chat-*"],
    [null, "concurrent", "40 requests at the same time"],
  ]);
  const used = [limit(), limit({ meter: "tokens/day/metadata:team/chat-*=payments" }), limit({ client: "web", meter: "concurrent" })];
  assert.deepEqual(unspentOf(all, used).map(({ client, meter }) => [client, meter]), [[null, "concurrent"]]);
});

const METRICS = `
switchyard_requests_total{client="app",model="chat",outcome="ok"} 9
switchyard_requests_total{client="app",model="chat",outcome="timeout"} 1
switchyard_requests_total{client="app",model="chat",outcome="insufficient_quota"} 2
switchyard_requests_total{client="",model="",outcome="invalid_api_key"} 3
switchyard_attempts_total{deployment="openai",outcome="ok"} 9
switchyard_attempts_total{deployment="openai",outcome="timeout"} 4
switchyard_tokens_total{client="app",model="chat",deployment="openai",type="input"} 162
switchyard_tokens_total{client="app",model="chat",deployment="openai",type="cached_input"} 100
switchyard_tokens_total{client="app",model="embed",deployment="mini",type="input"} 5
switchyard_cost_usd_total{client="app",model="chat",deployment="openai"} 0.000945
switchyard_cost_usd_total{client="app",model="embed",deployment="mini"} 1234567.1
`;

test("totals add up what the counters have, and money is exact", () => {
  const byClient = totalsOf(readMetrics(METRICS), "client");
  const { requests, refused, input, cached, microUsd } = byClient.get("app") ?? assert.fail("app is there");
  assert.deepEqual([requests, refused, input, cached, microUsd], [12, 2, 167, 100, 1_234_567_100_945]);
  assert.equal(byClient.get("")?.requests, 3);
  const byDeployment = totalsOf(readMetrics(METRICS), "deployment");
  assert.equal(byDeployment.get("openai")?.requests, 9, "those that it served");
  assert.deepEqual(ranked(byDeployment).map(([name]) => name), ["mini", "openai"]);
  assert.equal(sumOf(byDeployment.values()).microUsd, 1_234_567_100_945);
});

test("growth is what came since, and unknown after the counters began again", () => {
  const earlier = totalsOf(readMetrics(METRICS), "model");
  const later = totalsOf(readMetrics(METRICS.replace('outcome="ok"} 9', 'outcome="ok"} 19') + 'switchyard_requests_total{client="app",model="new",outcome="ok"} 2\n'), "model");
  const grown = growth(earlier, later) ?? assert.fail("nothing began again");
  assert.deepEqual([grown.get("chat")?.requests, grown.get("embed")?.input, grown.get("new")?.requests], [10, 0, 2]);
  assert.equal(growth(later, earlier), undefined);
});

const NO_USE = { requests: 0, tokens: 0, micro_usd: 0 };

function issued(more: Partial<IssuedKey> = {}): IssuedKey {
  return {
    id: "key_1", prefix: "sk-sy-abcd", client: "app", name: "ci", owner: null, models: null, state: "active",
    created: NOW - DAY_MS, created_by: "admin", expires: null, revoked: null, replaces: null, replaced_by: null,
    is_imported: false, last_used: NOW - 3_600_000, usage: { month: NO_USE, total: NO_USE }, is_written: true, ...more,
  };
}

test("a key warns of its end, of idleness and of what KV lacks, and one that is over warns of nothing", () => {
  assert.deepEqual(notesOf(issued(), NOW), []);
  assert.deepEqual(notesOf(issued({ expires: NOW + 3 * DAY_MS }), NOW), ["ends in 3 d"]);
  assert.deepEqual(notesOf(issued({ expires: NOW + 8 * DAY_MS }), NOW), []);
  assert.deepEqual(notesOf(issued({ last_used: null }), NOW), [], "it is a day old");
  assert.deepEqual(notesOf(issued({ last_used: null, created: NOW - 8 * DAY_MS }), NOW), ["never used"]);
  assert.deepEqual(notesOf(issued({ last_used: NOW - 91 * DAY_MS }), NOW), ["not used for 90 days"]);
  assert.deepEqual(notesOf(issued({ replaced_by: "key_2" }), NOW), ["replaced by key_2"]);
  assert.match(notesOf(issued({ is_written: false, state: "revoked" }), NOW).join(), /KV does not have/);
  assert.deepEqual(notesOf(issued({ state: "revoked", last_used: null, created: 0 }), NOW), []);
});

test("keys are found by any of their texts, active and new ones first", () => {
  const keys = [
    issued({ id: "key_1", state: "revoked" }),
    issued({ id: "key_2", created: NOW - 5 * DAY_MS, owner: "Ada" }),
    issued({ id: "key_3", client: "web", models: ["chat-*"] }),
  ];
  const ids = (filters: { client?: string; state?: string; text?: string }) => shownKeys(keys, { client: "", state: "", text: "", ...filters }).map(({ id }) => id);
  assert.deepEqual(ids({}), ["key_3", "key_2", "key_1"]);
  assert.deepEqual(ids({ text: "ada ci" }), ["key_2"]);
  assert.deepEqual(ids({ text: "chat-*" }), ["key_3"]);
  assert.deepEqual(ids({ state: "revoked" }), ["key_1"]);
  assert.deepEqual(ids({ client: "web" }), ["key_3"]);
});

test("the limits of a key are those that are counted for it", () => {
  const limits = [limit({ meter: "usd/month/key=key_1" }), limit({ meter: "usd/month/key/chat=key_1" }), limit({ meter: "usd/month/key=key_11" }), limit({ client: "web", meter: "usd/month/key=key_1" }), limit({ meter: "usd/month/user=key_1" })];
  assert.deepEqual(limitsOfKey(limits, issued()).map(({ meter }) => meter), ["usd/month/key=key_1", "usd/month/key/chat=key_1"]);
});

test("models are separated by commas or spaces, and none means all", () => {
  assert.deepEqual(modelsIn(" chat-*, embed  x,"), ["chat-*", "embed", "x"]);
  assert.equal(modelsIn(" , "), undefined);
});
