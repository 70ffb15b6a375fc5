// The view "Requests" in Chromium: recent failures and fallbacks of a real gateway, one of them
// with its attempts, and what nobody has a record of.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../e2e/isolates.mjs";
import { assertAccessible, assertNoSidewaysScroll, setFault, withPage } from "./browser.mjs";
import { countClicks } from "./clicks.mjs";

const KEY = "sk-switchyard-local";
const NARROW = { width: 360, height: 740 };

/** A record of a hedge that was faster, at an older document. */
const HEDGED = {
  v: 1, event: "request", time: "2026-11-30T04:05:31.560Z", request_id: "req_hedged", outcome: "ok", status: 200, stream: true,
  client: "app", key: "key_17", operation: "chat/completions", model: "chat", fallback: true,
  attempts: [
    { deployment: "slow", outcome: "abandoned", at_ms: 0, ms: 900 },
    { deployment: "fast", outcome: "ok", status: 200, at_ms: 400, ms: 500 },
  ],
  ms: { total: 2000, upstream: 900, backoff: 0, own: 1 }, usage: { input_tokens: 9, output_tokens: 6, estimated: true }, micro_usd: 83,
  routes: "older", colo: "FRA", country: "DE", cf_aig_log_id: "01JLOG",
};

/** Sends a chat request. Resolves with its id and the deployment that served it. */
async function send(gateway, body = {}) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...body }),
  });
  await response.arrayBuffer();
  return { id: response.headers.get("x-switchyard-request-id"), served: response.headers.get("x-switchyard-deployment") };
}

/** Waits until the hub has the record, as other isolates see it. */
const listed = (gateway, id) =>
  eventually(
    `${id} is in the list`,
    async () => {
      const response = await gateway.fetch("/admin/api/requests", { headers: { authorization: "Bearer admin-local" } });
      return (await response.json()).some(({ request_id }) => request_id === id);
    },
    { withinMs: 20_000 },
  );

describe("the view Requests", () => {
  test("says why a request went to westeurope: one click, its id, and Enter", async () => {
    await withPage({}, async ({ page, gateway, simulator }) => {
      await setFault(simulator, "openai", "overloaded");
      await setFault(simulator, "eastus", { refuse: true });
      const { id, served } = await send(gateway);
      assert.equal(served, "azure-westeurope");
      const clicks = await countClicks(page);
      await page.getByRole("link", { name: "Requests", exact: true }).click();
      await page.getByLabel("Request id, or any text").fill(`x-switchyard-request-id: ${id}`);
      await page.keyboard.press("Enter");
      await page.getByText("Served by azure-westeurope, after openai and azure-eastus failed").waitFor();
      assert.equal(await clicks(), 1);
      const attempts = await page.getByRole("region", { name: "Attempts" }).getByRole("listitem").allInnerTexts();
      assert.equal(attempts.length, 3);
      assert.match(attempts[0], /openai was not available: unavailable \(status 503, server_is_overloaded\)[^]*at \d+ ms, for \d+ ms[^]*next target, azure-eastus/);
      assert.match(attempts[1], /azure-eastus could not be reached[^]*next target, azure-westeurope/);
      assert.match(attempts[2], /azure-westeurope served the client: ok \(status 200\)/);
      assert.match(await page.getByRole("main").innerText(), /The client got 200, the whole answer of azure-westeurope\./);
      await assertAccessible(page);
      const href = await page.getByRole("link", { name: "Explain this request now" }).getAttribute("href");
      const query = new URLSearchParams(href.split("?")[1]);
      assert.equal(href.split("?")[0], "#/explain");
      assert.deepEqual([query.get("path"), query.get("client"), JSON.parse(query.get("body")).model], ["/v1/chat/completions", "app", "chat"]);
    });
  });

  test("lists what failed and what fell back, and its filters stand in the address", async () => {
    await withPage({ path: "#/requests" }, async ({ page, gateway, simulator, url }) => {
      await page.getByRole("heading", { name: "No request failed lately" }).waitFor();
      await assertAccessible(page);
      await setFault(simulator, "openai", "overloaded");
      const fallback = await send(gateway);
      const failure = await send(gateway, { model: "openai-only" });
      const refused = await send(gateway, { model: "chta" });
      await listed(gateway, fallback.id);
      await listed(gateway, refused.id);
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.getByRole("link", { name: "Refused by the gateway: model_not_found" }).waitFor();
      assert.match(await page.getByRole("row").nth(3).innerText(), /Served by azure-eastus, after openai failed[^]*openai unavailable[^]*azure-eastus ok[^]*chat\s+app\s+200/);
      await assertAccessible(page);

      await page.getByLabel("Result").selectOption("failed");
      await page.getByLabel("Error class").selectOption("unavailable");
      await page.getByText("1 request of 3").waitFor();
      assert.equal(await page.evaluate(() => location.hash), "#/requests?result=failed&class=unavailable");
      await page.getByRole("link", { name: "Failed: openai did not serve it" }).click();
      await page.getByRole("heading", { name: failure.id }).waitFor();
      await page.getByText("No attempt followed").waitFor();
      await page.getByRole("link", { name: "All requests" }).click();
      await page.getByText("1 request of 3").waitFor();

      await page.goto(`${url}#/requests?text=azure-eastus`);
      await page.getByText("1 request of 3").waitFor();
      await page.getByLabel("Request id, or any text").fill("nothing is like this");
      await page.getByText("None of the recent requests is like that.").waitFor();
      await page.getByRole("link", { name: "Show all" }).click();
      await page.getByText("3 requests, the latest first").waitFor();
    });
  });

  test("says of an unknown id that successes are not kept, and where else to look", async () => {
    await withPage({ path: "#/requests" }, async ({ page, gateway, url }) => {
      const { id } = await send(gateway);
      await page.getByLabel("Request id, or any text").fill(id);
      await page.getByRole("button", { name: "Open" }).click();
      await page.getByRole("heading", { name: "The gateway has no record of this request" }).waitFor();
      const text = await page.getByRole("main").innerText();
      assert.match(text, /The first deployment served it/);
      assert.ok(text.includes(`blob1 = '${id}'`), "the query has the id");
      await assertAccessible(page);
      await page.goto(`${url}#/requests/${encodeURIComponent("x' OR 1 = 1")}`);
      await page.getByRole("heading", { name: "The gateway has no record of this request" }).waitFor();
      assert.equal(await page.getByText("In Analytics Engine").count(), 0, "no query with a text that is no id");
    });
  });

  test("shows a record as soon as the gateway has it", async () => {
    await withPage({ path: "#/requests/req_hedged" }, async ({ page }) => {
      await page.getByRole("heading", { name: "The gateway has no record of this request" }).waitFor();
      await page.route("**/admin/api/requests/req_hedged", (route) => route.fulfill({ json: HEDGED }));
      await page.getByText("Served by fast", { exact: true }).waitFor({ timeout: 30_000 });
    });
  });

  test("draws a hedge beside the attempt that it overtakes", async () => {
    await withPage({}, async ({ page, url }) => {
      await page.route("**/admin/api/requests/req_hedged", (route) => route.fulfill({ json: HEDGED }));
      await page.goto(`${url}#/requests/req_hedged`);
      await page.getByText("It had not answered after 400 ms, so fast was asked beside it (a hedge).").waitFor();
      const bars = await page.locator(".requests-bar span").evaluateAll((spans) => spans.map(({ style }) => [style.left, style.width]));
      assert.deepEqual(bars, [["0%", "45%"], ["20%", "25%"], ["45%", "55%"]]);
      const text = await page.getByRole("main").innerText();
      for (const fact of ["01JLOG", "FRA, client in DE", "key_17", "$0.000083", "9 input tokens, 6 output tokens (estimated)"]) assert.ok(text.includes(fact), fact);
      await page.getByText("Another routes document serves now").waitFor();
    });
  });

  test("fits a telephone in the dark, and is whole without the gateway", async () => {
    await withPage({ viewport: NARROW, colorScheme: "dark", path: "#/requests" }, async ({ page, gateway, simulator }) => {
      await setFault(simulator, "openai", "overloaded");
      const { id } = await send(gateway);
      await listed(gateway, id);
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.getByRole("link", { name: /^Served by azure-eastus/ }).waitFor();
      await assertAccessible(page);
      await assertNoSidewaysScroll(page);
      await page.route("**/admin/api/requests", (route) => route.abort());
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.getByText("This list is not up to date.").waitFor();
      await page.unroute("**/admin/api/requests");
      await page.getByRole("link", { name: /^Served by azure-eastus/ }).click();
      await page.getByRole("heading", { name: id }).waitFor();
      await assertAccessible(page);
      await assertNoSidewaysScroll(page);
    });
  });

  test("says that records are not available without the Durable Objects", async () => {
    await withPage({ object: false, path: "#/requests" }, async ({ page }) => {
      await page.getByText("There is no list.").waitFor();
      await assertAccessible(page);
    });
  });
});
