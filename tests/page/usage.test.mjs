// The view "Usage" in Chromium: what is left of budgets, what was used, and the issued keys, at a
// real gateway.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { root } from "../../scripts/setup.mjs";
import { eventually } from "../e2e/isolates.mjs";
import { assertAccessible, assertNoSidewaysScroll, withPage } from "./browser.mjs";
import { countClicks } from "./clicks.mjs";

const KEY = "sk-switchyard-local";
const NARROW = { width: 360, height: 740 };
const ADMIN = { authorization: "Bearer admin-local" };

/** The sample with these members of its client. */
function sampleWith(client, settings = {}) {
  const document = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
  Object.assign(document.clients.app, client);
  Object.assign(document.settings, settings);
  return document;
}

async function send(gateway, key = KEY) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "chat", max_tokens: 10, messages: [{ role: "user", content: "Hello" }] }),
  });
  await response.arrayBuffer();
  return response.status;
}

const usageOf = async (gateway) => (await gateway.fetch("/admin/api/usage", { headers: ADMIN })).json();
const usageToday = async (gateway) => {
  const { days } = await (await gateway.fetch("/admin/api/usage/days?days=1", { headers: ADMIN })).json();
  return days[0].rows;
};
/** Waits for the next day, in UTC, if it is about to begin: a test that is about one day. */
async function awaitSteadyDay() {
  const dayMs = 86_400_000;
  const leftMs = dayMs - (Date.now() % dayMs);
  if (leftMs < 60_000) await setTimeout(leftMs + 1_000);
}

const limitsOf = (page) => page.locator(".usage-limits").getByRole("listitem").allInnerTexts();

describe("the view Usage", () => {
  test("shows with one click that a budget is nearly spent, before all others", async () => {
    const limits = [{ requests: 6000, per: "minute" }, { usd: 0.001, per: "month" }, { usd: 1, per: "day" }, { concurrent: 7, models: ["embed"] }];
    await withPage({ routes: sampleWith({ limits }) }, async ({ page, gateway }) => {
      for (let n = 0; n < 10; n += 1) assert.equal(await send(gateway), 200);
      await eventually(
        "four fifths are reported as spent",
        async () => (await usageOf(gateway)).limits.some(({ meter, spent }) => meter === "usd/month" && spent >= 800),
        { withinMs: 30_000 },
      );
      const clicks = await countClicks(page);
      await page.getByRole("link", { name: "Usage", exact: true }).click();
      await page.getByText("1 nearly used up (80 % and more)").waitFor();
      assert.equal(await clicks(), 1);
      const [first, second] = await limitsOf(page);
      assert.match(first, /^app US dollars a month nearly used up\n\$0\.000\d+ of \$0\.001 spent \(8\d %\), .* left.*begins again in/);
      assert.doesNotMatch(second, /used up/);
      const meter = page.getByRole("meter", { name: "app: US dollars a month" });
      assert.match(await meter.getAttribute("aria-valuenow"), /^8\d$/);
      await page.getByText("One limit of which nothing is spent").click();
      await page.getByText("app 7 requests at the same time of embed").waitFor();
      await assertAccessible(page);
    });
  });

  test("adds up tokens and money by client, model and deployment", async () => {
    await withPage({ path: "#/usage" }, async ({ page, gateway }) => {
      await page.getByText("The routes document has no limits.").waitFor();
      await page.getByText("Nothing is counted yet.").waitFor();
      await assertAccessible(page);
      assert.equal(await send(gateway), 200);
      const counted = await eventually(
        "the hub has counted it",
        async () => /switchyard_cost_usd_total\{client="app".*\} (\S+)/.exec(await (await gateway.fetch("/admin/metrics", { headers: ADMIN })).text())?.[1],
        { withinMs: 30_000 },
      );
      const row = page.getByRole("row", { name: /^app/ });
      await row.waitFor({ timeout: 30_000 });
      const [requests, input, , output, cost, share] = await row.getByRole("cell").allInnerTexts();
      assert.deepEqual([requests, share.trim()], ["1", "100 %"]);
      assert.ok(Number(input) > 0 && Number(output) > 0);
      assert.equal(cost, `$${counted}`);
      await page.getByRole("link", { name: "Deployment" }).click();
      await page.getByRole("row", { name: /^openai/ }).waitFor();
      assert.equal(await page.evaluate(() => location.hash), "#/usage?by=deployment");
    });
  });

  test("shows what was used today, by the same grouping, and where to find longer times", { timeout: 150_000 }, async () => {
    await awaitSteadyDay();
    await withPage({ path: "#/usage" }, async ({ page, gateway }) => {
      const days = page.getByRole("region", { name: /^By day and / });
      await days.getByText(/Nothing was used on \w{3} \d+ \w{3}\. A request is shown here within two minutes\./).waitFor();
      await days.getByText(/The hub has kept days since \w{3} \d+ \w{3}: what was used before is not known by day\./).waitFor();
      await assertAccessible(page);
      for (let request = 0; request < 3; request += 1) assert.equal(await send(gateway), 200);
      const used = await eventually("the hub has the usage", async () => (await usageToday(gateway)).find(({ name, requests }) => name === "app" && requests === 3), { withinMs: 30_000 });
      await page.reload();
      const row = days.getByRole("row", { name: /so far/ });
      await row.waitFor();
      const cost = `$${(used.micro_usd / 1e6).toPrecision(2).replace(/0+$/, "")}`;
      const cell = `${cost}\n${used.input_tokens + used.output_tokens} tokens`;
      await days.getByRole("columnheader", { name: "app" }).waitFor();
      assert.deepEqual((await row.getByRole("cell").allInnerTexts()).map((text) => text.trim()), [cell, cell]);
      const chart = days.getByRole("img");
      assert.match(await chart.getAttribute("aria-label"), /^Cost on \w{3} \d+ \w{3}, by client\. Highest: \$0\.\d+ on /);
      await assertAccessible(page);
      await page.getByRole("link", { name: "Deployment" }).click();
      await days.getByRole("columnheader", { name: "openai" }).waitFor();
      await days.getByRole("link", { name: "35 days" }).focus();
      await page.keyboard.press("Enter");
      await days.getByRole("row", { name: /so far/ }).waitFor();
      assert.equal(await page.evaluate(() => location.hash), "#/usage?by=deployment&days=35");
      await page.getByRole("link", { name: "Model" }).click();
      await days.getByRole("columnheader", { name: "chat" }).waitFor();
      assert.equal(await page.evaluate(() => location.hash), "#/usage?by=model&days=35", "the days stay");
      await days.getByText("Longer than 35 days").click();
      await days.getByText("toStartOfInterval").waitFor();
      await assertAccessible(page);
    });
  });

  test("shows five weeks of many clients on a telephone in the dark, and says when the hub is away", async () => {
    await withPage({ viewport: NARROW, colorScheme: "dark" }, async ({ page, url }) => {
      const names = ["web-app", "batch", "search", "mobile", "an-internal-tool-with-a-long-name", "partner", "evaluation", ""];
      const row = (name, index, age) => ({
        name, requests: 10, refused: 0, input_tokens: 1000 * (age + 1), cached_input_tokens: 0, output_tokens: 50, reasoning_tokens: 0,
        images: 0, audio_ms: 0, characters: 0, micro_usd: (names.length - index) * 100_000,
      });
      const day = (age) => new Date(Date.UTC(2026, 10, 30 - age)).toISOString().slice(0, 10);
      const days = Array.from({ length: 35 }, (_, age) => ({ day: day(age), is_over: age > 0, rows: age === 4 ? [] : names.map((name, index) => row(name, index, age)) }));
      let isAway = false;
      await page.route("**/admin/api/usage/days*", (route) => (isAway ? route.abort() : route.fulfill({ json: { by: "client", days } })));
      await page.goto(`${url}#/usage?days=35`);
      const panel = page.getByRole("region", { name: /^By day and / });
      await panel.getByText("3 others").waitFor();
      assert.equal(await panel.getByRole("row").count(), 1 + 35 + 1, "the heads, the days, their sum");
      await panel.getByRole("row", { name: "Thu 26 Nov – – –" }).waitFor();
      const [sum] = await panel.getByRole("row", { name: /^35 days/ }).getByRole("cell").allInnerTexts();
      // 34 days of 0.8 + 0.7 + … + 0.1 dollars.
      assert.match(sum, /^\$122\.40\s+\d/);
      assert.match(await panel.getByRole("img").getAttribute("aria-label"), /^Cost of each day from Tue 27 Oct to Mon 30 Nov, by client\. Highest: \$3\.60 on Mon 30 Nov\./);
      assert.equal(await panel.locator(".usage-day").count(), 35);
      await assertAccessible(page);
      await assertNoSidewaysScroll(page);
      isAway = true;
      await panel.getByRole("link", { name: "14 days" }).click();
      await panel.getByText("What was used on each day cannot be read.").waitFor();
      assert.equal(await panel.getByRole("row").count(), 0, "nothing is claimed");
      await assertAccessible(page);
    });
  });

  test("says when ledgers do not answer, and fits a telephone in the dark", async () => {
    const limits = [{ tokens: 1000, per: "day", by: "metadata:team" }];
    await withPage({ routes: sampleWith({ limits }), viewport: NARROW, colorScheme: "dark" }, async ({ page, url }) => {
      const over = { client: "app", meter: `tokens/day/metadata:team=${"long-name-".repeat(9)}`, unit: "tokens", amount: 1000, per: "day", spent: 1200, leased: 0, free: 0, resets_in_ms: 7_200_000 };
      const held = { client: null, meter: "usd/month", unit: "micro_usd", amount: 500_000_000, per: "month", spent: 123_456_789, leased: 376_543_211, free: 0, resets_in_ms: 86_400_000 };
      await page.route("**/admin/api/usage", (route) => route.fulfill({ json: { limits: [held, over], is_complete: false } }));
      await page.goto(`${url}#/usage`);
      await page.getByText("Not all ledgers have answered").waitFor();
      const [first, second] = await limitsOf(page);
      assert.match(first, /team long-name-[^]* used up\n1,200 of 1,000 spent \(120 %\), 0 left; begins again in 2 h/);
      assert.match(second, /the gateway US dollars a month nothing free\n\$123\.46 of \$500\.00 spent \(25 %\), \$0 left, \$376\.54 held/);
      await assertAccessible(page);
      await assertNoSidewaysScroll(page);
      await page.unroute("**/admin/api/usage");
      await page.route("**/admin/metrics", (route) => route.abort());
      await page.goto(`${url}#/now`);
      await page.goto(`${url}#/usage`);
      await page.getByText("The counters cannot be read.").waitFor();
    });
  });
});

describe("the issued keys", () => {
  const routes = sampleWith({ allow_keys: true });

  test("are issued, shown once, rotated and revoked", async () => {
    await withPage({ routes, path: "#/usage/keys" }, async ({ page, gateway }) => {
      await page.getByText("No key is issued.").waitFor();
      await page.getByRole("button", { name: "Issue a key" }).click();
      const form = page.getByRole("dialog", { name: "Issue a key" });
      await form.getByLabel("Name: what the key is for").fill("billing job");
      await form.getByLabel("Owner (optional)").fill("Ada Ünal");
      await form.getByLabel("Models (optional)").fill("chat, no-such-model");
      await form.getByLabel("Reason, for the log of acts (optional)").fill("für die Abrechnung");
      await assertAccessible(page);
      await form.getByRole("button", { name: "Issue", exact: true }).click();
      await form.getByText("No key is issued.").waitFor();
      await form.getByLabel("Models (optional)").fill("chat, embed");
      await form.getByRole("button", { name: "Issue", exact: true }).click();
      const shown = page.getByRole("dialog", { name: "The new key" });
      const key = await shown.locator("code").innerText();
      assert.match(key, /^sk-sy-[\w-]{48}$/);
      await assertAccessible(page);
      for (let n = 0; n < 3; n += 1) await page.keyboard.press("Escape");
      assert.ok(await shown.isVisible(), "the only sight of the key does not end by a slip");
      await shown.getByRole("button", { name: "I have stored it" }).click();
      await page.getByText("key_1 is issued for app.").waitFor();
      assert.equal((await page.content()).includes(key), false, "the key is gone");
      assert.equal(await send(gateway, key), 200);

      await page.getByRole("button", { name: "Rotate billing job, key_1" }).click();
      const rotation = page.getByRole("dialog", { name: "Rotate billing job (key_1)?" });
      await rotation.getByLabel("The old key goes on for").selectOption("3600");
      await rotation.getByRole("button", { name: "Rotate" }).click();
      const next = await shown.locator("code").innerText();
      assert.notEqual(next, key);
      await shown.getByText("The old key, key_1, ends at").waitFor();
      await shown.getByRole("button", { name: "I have stored it" }).click();
      await page.getByText("key_2 takes the place of key_1.").waitFor();
      await page.getByText("replaced by key_2").waitFor();
      await page.getByText("ends in 1 h").or(page.getByText("ends in 59 min")).waitFor();
      assert.equal(await send(gateway, key), 200, "the old one goes on");
      await assertAccessible(page);

      await page.getByRole("button", { name: "Revoke billing job, key_2" }).click();
      const revocation = page.getByRole("dialog", { name: "Revoke billing job (key_2)?" });
      await revocation.getByText("within two minutes everywhere").waitFor();
      await page.keyboard.press("Escape");
      await revocation.waitFor({ state: "detached" });
      assert.equal(await send(gateway, next), 200, "nothing was done");
      await page.getByRole("button", { name: "Revoke billing job, key_2" }).click();
      await revocation.getByLabel("Reason, for the log of acts (optional)").fill("test ✓");
      await revocation.getByRole("button", { name: "Revoke" }).click();
      await page.getByText("key_2 is revoked: it ends everywhere within 2 minutes.").waitFor();
      assert.equal(await send(gateway, next), 401);
      const audit = await (await gateway.fetch("/admin/api/audit", { headers: ADMIN })).json();
      const acts = audit.entries.filter(({ result }) => result === "ok").map(({ what, subject, why }) => [what, subject, why]);
      assert.deepEqual(acts.filter(([what]) => what.startsWith("key.")).sort(), [
        ["key.issue", "key_1 of app", "für die Abrechnung"],
        ["key.revoke", "key_2 of app", "test ✓"],
        ["key.rotate", "key_2 of app", null],
      ]);

      await page.getByLabel("State").selectOption("revoked");
      await page.getByRole("row", { name: /key_2/ }).waitFor();
      assert.equal(await page.getByRole("row", { name: /key_1/ }).count(), 0);
      assert.equal(await page.evaluate(() => location.hash), "#/usage/keys?state=revoked");
    });
  });

  test("are not changed by who may only look", async () => {
    await withPage({ routes, token: "viewer-local", path: "#/usage/keys" }, async ({ page, gateway }) => {
      await page.getByRole("button", { name: "Issue a key" }).click();
      await page.getByLabel("Name: what the key is for").fill("x");
      await page.getByRole("button", { name: "Issue", exact: true }).click();
      await page.getByText("This needs ADMIN_TOKEN").waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      const listed = await gateway.fetch("/admin/api/keys", { headers: { authorization: "Bearer admin-local" } });
      assert.deepEqual((await listed.json()).keys, []);
    });
  });

  test("are issued for clients alone that allow it, and listed by a registry alone", async () => {
    await withPage({ path: "#/usage/keys" }, async ({ page }) => {
      await page.getByText("No client of the routes document lets keys be issued").waitFor();
      assert.ok(await page.getByRole("button", { name: "Issue a key" }).isDisabled());
      await assertAccessible(page);
    });
    await withPage({ routes, registry: false, path: "#/usage/keys" }, async ({ page }) => {
      await page.getByText("The keys cannot be listed.").waitFor();
      await assertAccessible(page);
    });
  });

  test("fit a telephone, with what was spent of their limits", async () => {
    const limits = [{ usd: 0.01, per: "day", by: "key" }];
    const document = sampleWith({ allow_keys: true, limits });
    await withPage({ routes: document, viewport: NARROW }, async ({ page, gateway, url }) => {
      const body = JSON.stringify({ client: "app", name: "a-job-with-a-rather-long-name ".repeat(3).trim(), owner: "ada.lovelace@subsidiary.example.com" });
      const { key } = await (await gateway.fetch("/admin/api/keys", { method: "POST", headers: ADMIN, body })).json();
      assert.equal(await send(gateway, key), 200);
      await eventually(
        "it is reported as spent, and the use is known",
        async () => {
          const { last_used } = await (await gateway.fetch("/admin/api/keys/key_1", { headers: ADMIN })).json();
          return last_used !== null && (await usageOf(gateway)).limits.some(({ meter, spent }) => meter === "usd/day/key=key_1" && spent > 0);
        },
        { withinMs: 40_000 },
      );
      await page.goto(`${url}#/usage/keys`);
      await page.getByText(/^\$0\.00008\d* of \$0\.01 US dollars a day \(0\.8 %\)$/).waitFor();
      await page.getByRole("cell", { name: /^\$0\.00008\d*\s*1 request$/ }).waitFor();
      await page.getByText("this hour").or(page.getByText("the last hour")).waitFor();
      await assertAccessible(page);
      await assertNoSidewaysScroll(page);
      await page.getByRole("button", { name: /^Revoke/ }).click();
      await page.getByRole("dialog").waitFor();
      await assertNoSidewaysScroll(page);
      await page.getByRole("button", { name: "Keep it" }).click();
    });
  });
});
