// The view "Explain" in Chromium, at a real gateway: a request that is typed, pasted or linked, its way
// in words and on the graph, and that no key gets into the address.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { assertAccessible, assertNoSidewaysScroll, chat, setFault, withPage } from "./browser.mjs";

const SAMPLE = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
const KEY = "sk-switchyard-local";
const MESSAGES = [{ role: "user", content: "Hello" }];

const link = (query) => `#/explain?${new URLSearchParams(query)}`;
const body = (model) => JSON.stringify({ model, messages: MESSAGES });
const attempts = (page) => page.locator(".explain-attempts > li > a").allInnerTexts();
const answered = (page) => page.locator(".explain-facts").first().waitFor();

describe("the view Explain", () => {
  test("a request of the form is explained in words and on the graph", (t) =>
    withPage({}, async ({ page, url }) => {
      let clicks = 0;
      const click = (locator) => ((clicks += 1), locator.click());
      await click(page.getByRole("link", { name: "Explain", exact: true }));
      await page.getByText("press Explain").waitFor();
      await assertAccessible(page);
      await page.getByLabel("Model").selectOption("chat-critical");
      await click(page.getByRole("button", { name: "Explain", exact: true }));
      await answered(page);
      t.diagnostic(`clicks from the first view to the way of a request: ${clicks}, and one choice of the model`);
      assert.match(await page.locator(".explain-facts").first().innerText(), /app[^]*chat\/completions[^]*chat-critical: no rule matches[^]*at most 6 attempts/);
      assert.deepEqual([...new Set(await attempts(page))], ["openai", "azure-eastus", "azure-westeurope", "openai-mini"]);
      assert.match(await page.locator(".explain-tree").innerText(), /chat-critical \(priority\)[^]*1\. chat \(priority\)[^]*1\. openai/);
      // On the graph, each deployment has the numbers of its attempts.
      const box = page.locator(".graph-box-deployment.graph-note-way", { hasText: "azure-westeurope" });
      assert.match(await box.locator(".graph-badge").innerText().catch(() => box.locator(".graph-badge text").textContent()), /\d/);
      assert.ok(page.url().startsWith(`${url}#/explain?path=`), "the address has the request");
      await assertAccessible(page);
      // The address is enough for a colleague.
      await page.reload();
      await answered(page);
      assert.equal(await page.getByLabel("Model").inputValue(), "chat-critical");
    }));

  test("what is sent is shown: address, headers by name, and the fields that change", () =>
    withPage({ path: link({ path: "/v1/chat/completions", client: "app", body: body("chat") }) }, async ({ page, simulator }) => {
      await answered(page);
      await page.getByText("What is sent").nth(1).click();
      const details = page.locator(".explain-attempts details[open]");
      const said = await details.innerText();
      assert.ok(said.includes(`POST ${simulator.eastus.endpoint}`), said);
      assert.match(said, /sets .*api-key/);
      assert.match(said, /first token [\d.]+ (s|min)/);
      assert.ok(!(await page.content()).includes(simulator.eastus.key), "no key of a provider is shown");
    }));

  test("a pasted curl command is explained, and its key is neither in the address nor on the screen", (t) =>
    withPage({}, async ({ page }) => {
      let clicks = 0;
      const click = (locator) => ((clicks += 1), locator.click());
      await click(page.getByRole("link", { name: "Explain", exact: true }));
      await click(page.getByText("Paste a curl command", { exact: true }));
      const sent = page.waitForRequest((request) => request.url().endsWith("/admin/api/explain"));
      await page.getByLabel("curl command").fill(`curl https://gateway.example.com/v1/chat/completions \\
        -H "Authorization: Bearer ${KEY}" -H 'x-team: search' \\
        -d $'{"model": "chat-cheap", "messages": [{"role": "user", "content": "It\\'s"}]}'`);
      await click(page.getByRole("button", { name: "Explain this command" }));
      await answered(page);
      t.diagnostic(`clicks from the first view to the way of a pasted command: ${clicks}`);
      assert.equal((await attempts(page))[0], "openai-mini", "the cheapest one");
      assert.match(await page.locator(".explain-facts").first().innerText(), /Client\s+app/);
      const { key, headers, body } = (await sent).postDataJSON();
      assert.deepEqual([key, headers, body.messages[0].content], [KEY, { "x-team": "search" }, "It's"]);
      await page.getByText("Not in the address: the key.").waitFor();
      assert.ok(!page.url().includes("switchyard-local") && page.url().includes("search"), page.url());
      assert.equal(await page.getByLabel("curl command").inputValue(), "");
      assert.equal(await page.getByLabel("Key", { exact: true }).getAttribute("type"), "password");
      const stored = await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));
      assert.ok(!stored.includes(KEY));
      await assertAccessible(page);
    }));

  test("a command that cannot be read says what to do", () =>
    withPage({ path: "#/explain" }, async ({ page }) => {
      await page.getByText("Paste a curl command", { exact: true }).click();
      await page.getByLabel("curl command").fill("curl https://g/v1/chat/completions -d @body.json");
      await page.getByRole("button", { name: "Explain this command" }).click();
      await page.getByRole("alert").filter({ hasText: "Paste its content in place of it" }).waitFor();
    }));

  test("a deployment that is left out is shown with the reason", () =>
    withPage({}, async ({ page, gateway, simulator }) => {
      await setFault(simulator, "openai", "overloaded", { for_ms: 60_000 });
      const isOut = async () => {
        const health = await gateway.fetch("/admin/api/health", { headers: { authorization: "Bearer admin-local" } });
        return (await health.json()).deployments.some(({ deployment, isolate }) => deployment === "openai" && isolate.gate.state === "open");
      };
      while (!(await isOut())) assert.equal(await chat(gateway), 200);
      await page.goto(page.url() + link({ path: "/v1/chat/completions", client: "app", body: body("chat") }));
      await answered(page);
      const target = page.locator(".explain-tree li", { hasText: "openai" }).last();
      assert.match(await target.innerText(), /openai (not tried|passed over at first): until .* UTC/);
      await assertAccessible(page);
    }));

  test("a rule that chooses the node, and one that refuses, are named with their conditions", () => {
    const rules = [
      { when: { header: { "x-team": "blocked" } }, deny: { status: 403, code: "team_blocked", message: "This team is blocked." } },
      { when: { path: "/v1/embeddings" }, use: "azure-only" },
    ];
    return withPage({ routes: { ...SAMPLE, rules }, path: link({ path: "/v1/embeddings", client: "app", body: '{"model":"chat","input":"x"}' }) }, async ({ page }) => {
      await answered(page);
      assert.match(await page.locator(".explain-facts").first().innerText(), /azure-only: rules\[1\] is the first that matches: path = \/v1\/embeddings/);
      await page.locator(".explain-form summary", { hasText: "Headers and place" }).click();
      await page.getByLabel("Headers", { exact: true }).fill("x-team: blocked");
      await page.getByRole("button", { name: "Explain", exact: true }).click();
      const alert = page.getByRole("alert").filter({ hasText: "403 team_blocked" });
      await alert.getByText("rules[0]").waitFor();
      await assertAccessible(page);
    });
  });

  test("an unknown model, a path without a model and a wrong body say what the client gets", () =>
    withPage({ path: link({ path: "/v1/chat/completions", client: "app", body: body("nowhere") }) }, async ({ page }) => {
      await page.getByRole("alert").filter({ hasText: "404 model_not_found" }).waitFor();
      await page.getByLabel("Path").fill("/v1/models");
      await page.getByLabel("Body").fill("");
      await page.getByRole("button", { name: "Explain", exact: true }).click();
      await page.getByText("The gateway itself answers:").waitFor();
      await page.getByLabel("Path").fill("v1/models");
      await page.getByRole("button", { name: "Explain", exact: true }).click();
      await page.getByRole("alert").filter({ hasText: 'The path begins with "/"' }).waitFor();
    }));

  test("a viewer may explain", () =>
    withPage({ token: "viewer-local", path: link({ path: "/v1/chat/completions", client: "app", body: body("chat") }) }, async ({ page }) => {
      await answered(page);
      assert.equal((await attempts(page))[0], "openai");
    }));

  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing serious, and 360 pixels are enough, ${colorScheme}`, () =>
      withPage({ colorScheme, viewport: { width: 360, height: 800 }, path: link({ path: "/v1/chat/completions", client: "app", body: body("chat-prod") }) }, async ({ page }) => {
        await answered(page);
        await page.getByText("What is sent").first().click();
        await assertAccessible(page);
        await assertNoSidewaysScroll(page);
      }));
  }
});
