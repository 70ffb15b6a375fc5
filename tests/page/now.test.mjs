// The view "Now" at a gateway with faults, a canary, a refused document, and without its object.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { largeRoutes } from "../../bench/large-routes.mjs";
import { root } from "../../scripts/setup.mjs";
import { assertAccessible, assertNoSidewaysScroll, chat, rowOf, setFault, withPage } from "./browser.mjs";
import { countClicks } from "./clicks.mjs";

test("a deployment that fails is shown as ejected, with its reason, in the table and in the graph", async () => {
  await withPage({}, async ({ page, gateway, simulator }) => {
    await rowOf(page, "openai").getByText("serving").waitFor();
    await setFault(simulator, "openai", "overloaded", { for_ms: 600_000 });
    for (let sent = 0; sent < 8; sent += 1) assert.equal(await chat(gateway), 200);
    await rowOf(page, "openai").getByText("ejected").waitFor();
    await rowOf(page, "openai").getByText(/failures in a row, the last: unavailable/i).waitFor();
    await page.getByText("1 ejected").waitFor();
    await page.getByRole("region", { name: "Graph of the routes" }).getByRole("link", { name: /^openai .*ejected/ }).waitFor();
    // What changed is said by a status that screen readers read out.
    await page.getByRole("status").filter({ hasText: "openai: ejected" }).waitFor();
  });
});

test("counters become figures: requests, their latency and their cost, and the share of a deployment", { timeout: 120_000 }, async () => {
  await withPage({}, async ({ page, gateway }) => {
    await page.getByText("Counters come in batches").waitFor();
    await page.waitForResponse(/admin\/metrics/);
    for (let sent = 0; sent < 12; sent += 1) await chat(gateway);
    const traffic = page.getByRole("region", { name: "Traffic" });
    await page.getByText("Averages of the last minute").waitFor({ timeout: 60_000 });
    const figure = (title) => traffic.locator("section").filter({ has: page.getByRole("heading", { name: title }) }).locator(".now-value").innerText();
    assert.match(await figure("Requests"), /^[\d.]+ \/s$/);
    assert.match(await figure("Latency"), /ms · [\d.]+ m?s$/);
    assert.match(await figure("Cost"), /^\$0\.\d+ \/min$/);
    assert.match(await rowOf(page, "openai").innerText(), /100 %/);
    assert.equal(await traffic.getByRole("img", { name: /Requests, the last 15 minutes: now/ }).locator("canvas").count(), 1);
  });
});

test("the deployment that is slow is found with one click", { timeout: 120_000 }, async (t) => {
  const document = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
  document.models.chat = { strategy: "round_robin", targets: ["openai", "azure-eastus", "azure-westeurope"] };
  await withPage({ routes: JSON.stringify(document) }, async ({ page, gateway, simulator }) => {
    assert.equal((await setFault(simulator, "westeurope", { slow_headers_ms: 1_200 })).status, 201);
    await page.getByText("Counters come in batches").waitFor();
    await page.waitForResponse(/admin\/metrics/);
    for (let sent = 0; sent < 12; sent += 1) assert.equal(await chat(gateway), 200);
    await rowOf(page, "azure-westeurope").getByText(/^\d.* s$/).first().waitFor({ timeout: 60_000 });
    const count = await countClicks(page);
    await page.getByRole("button", { name: "p95" }).click();
    const first = page.locator(".now-table tbody tr").first();
    await first.getByRole("link", { name: "azure-westeurope" }).waitFor();
    const clicks = await count();
    t.diagnostic(`clicks to find the deployment that is slow: ${clicks}`);
    assert.equal(clicks, 1);
    await assertAccessible(page);
  });
});

test("without the Durable Object, the page says whose view it shows, and that there are no counters", async () => {
  await withPage({ object: false }, async ({ page }) => {
    await page.getByRole("alert").filter({ hasText: "the view of one isolate" }).waitFor();
    await page.getByText("There are no current counters").waitFor();
    await rowOf(page, "openai").getByText("serving").waitFor();
  });
});

test("while the object of the region does not answer, the page says why and shows what the isolate knows", async () => {
  await withPage({}, async ({ page }) => {
    await page.route("**/admin/api/health", async (route) => {
      const health = await (await route.fetch()).json();
      const deployments = health.deployments.map((entry) => ({ ...entry, object: null }));
      await route.fulfill({ json: { ...health, trouble: "no answer within 2000 ms", deployments } });
    });
    await page.getByRole("alert").filter({ hasText: "does not answer: no answer within 2000 ms" }).waitFor();
    await rowOf(page, "openai").getByText("serving").waitFor();
  });
});

test("200 deployments are shown in parts: the graph of one model, and the rows that a filter leaves", async () => {
  const sample = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
  await withPage({ routes: largeRoutes(sample) }, async ({ page }) => {
    await rowOf(page, "deployment-199").waitFor();
    const graph = page.getByRole("region", { name: "Graph of the routes" });
    await page.getByLabel("Show").selectOption("team-42");
    await graph.getByRole("link", { name: /^deployment-42 / }).waitFor();
    assert.equal(await graph.getByRole("link").count(), 3);
    await page.getByLabel("Filter").fill("deployment-19");
    await rowOf(page, "deployment-42").waitFor({ state: "detached" });
    assert.equal(await page.getByRole("rowheader").filter({ hasText: "deployment-" }).count(), 11);
    await assertAccessible(page);
    await assertNoSidewaysScroll(page);
  });
});

test("a document that is refused, and one with warnings, lead to the view of routes", async () => {
  const sample = JSON.stringify({
    version: 1,
    settings: { refresh_seconds: 1 },
    clients: { app: { key: "${SWITCHYARD_KEY}" } },
    deployments: { one: { provider: "openai", endpoint: "${OPENAI_BASE_URL}", api_key: "${NOWHERE}", model: "m" } },
    models: { chat: { targets: ["one"] } },
  });
  await withPage({ routes: sample }, async ({ page, gateway }) => {
    await rowOf(page, "one").getByText("disabled").waitFor();
    await rowOf(page, "one").getByText(/NOWHERE is missing or invalid/).waitFor();
    await page.getByRole("status").filter({ hasText: /has (a warning|\d+ warnings): deployments\.one/ }).waitFor();
    await gateway.putRoutes("{");
    const refused = page.getByRole("alert").filter({ hasText: "is refused" });
    await refused.waitFor({ timeout: 30_000 });
    await refused.getByRole("link", { name: "See what is wrong" }).click();
    await page.getByRole("heading", { level: 1, name: "Routes" }).waitFor();
  });
});

test("a canary of the document that runs is said, with its share and its end", async () => {
  await withPage({}, async ({ page, gateway }) => {
    const authorization = "Bearer admin-local";
    const current = await gateway.fetch("/admin/api/routes/document", { headers: { authorization } });
    const changed = { ...(await current.json()), description: "another one" };
    const put = await gateway.fetch("/admin/api/routes?canary=20&minutes=10", {
      method: "PUT",
      headers: { authorization, "content-type": "application/json", "if-match": current.headers.get("etag") },
      body: JSON.stringify(changed),
    });
    assert.equal(put.status, 200, await put.text());
    await page.getByRole("status").filter({ hasText: /canary of the routes document serves 20 % .* in \d+ min/ }).waitFor({ timeout: 30_000 });
  });
});

test("a deployment that the document does not have is said to be none of its own", async () => {
  await withPage({ path: "#/now/nobody" }, async ({ page }) => {
    await page.getByRole("alert").filter({ hasText: "no deployment of this name" }).waitFor();
  });
});

test("it is accessible and fits windows of 360 and 1600 pixels, light and dark", { timeout: 120_000 }, async () => {
  await withPage({}, async ({ page, gateway, simulator }) => {
    const checkLooks = async () => {
      // Charts begin with the first figures.
      await page.locator("canvas").first().waitFor({ timeout: 45_000 });
      for (const width of [360, 1600]) {
        await page.setViewportSize({ width, height: 900 });
        for (const colorScheme of ["light", "dark"]) {
          await page.emulateMedia({ colorScheme });
          await assertAccessible(page);
          await assertNoSidewaysScroll(page);
        }
      }
    };
    await setFault(simulator, "openai", "overloaded", { for_ms: 600_000 });
    for (let sent = 0; sent < 8; sent += 1) await chat(gateway);
    await rowOf(page, "openai").getByText("ejected").waitFor();
    await page.getByRole("region", { name: "Graph of the routes" }).getByRole("link").first().waitFor();
    await checkLooks();
    await rowOf(page, "openai").getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: "openai" }).waitFor();
    await checkLooks();
  });
});

test("health is asked for once in five seconds, counters not more often, and nothing while nobody looks", async () => {
  await withPage({}, async ({ page }) => {
    const calls = [];
    page.on("request", (request) => calls.push(new URL(request.url()).pathname));
    const seen = (path) => calls.filter((call) => call === path).length;
    await page.waitForRequest(/admin\/api\/health/);
    await page.waitForRequest(/admin\/api\/health/);
    assert.ok(seen("/admin/metrics") <= seen("/admin/api/health"), calls.join(", "));
    assert.ok(calls.length <= 10, `${calls.length} calls: ${calls.join(", ")}`);
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    calls.length = 0;
    const other = page.waitForRequest(/admin\/api\/health/, { timeout: 7_000 }).then(() => true, () => false);
    assert.equal(await other, false, "no call while it is hidden");
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: false, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForRequest(/admin\/api\/health/);
  });
});
