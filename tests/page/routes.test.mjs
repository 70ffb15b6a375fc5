// The view "Routes" in Chromium, at a real gateway: editing with suggestions and problems in place,
// changes and canaries, versions, what a viewer sees, and what survives.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { assertAccessible, assertNoSidewaysScroll, chat, withPage } from "./browser.mjs";

const SAMPLE = readFileSync(join(root, "routes.json"), "utf8");
const CHAT = '"chat":         { "targets": ["openai", "azure-eastus", "azure-westeurope"] }';
const ADMIN = { authorization: "Bearer admin-local" };

const EAST_FIRST = SAMPLE.replace(CHAT, CHAT.replace('"openai", "azure-eastus"', '"azure-eastus", "openai"'));
// Nothing else can serve, so each of its requests fails.
const BROKEN_KEY = SAMPLE.replace(CHAT, '"chat": { "targets": ["openai"] }').replace(
  '"endpoint": "${OPENAI_BASE_URL}", "api_key": "${OPENAI_API_KEY}", "model": "gpt-4o",',
  '"endpoint": "${OPENAI_BASE_URL}", "api_key": "${WRONG_KEY}", "model": "gpt-4o",',
);

/** A person at the page, whose clicks are counted. */
class Person {
  clicks = 0;

  constructor(page) {
    this.page = page;
  }

  async click(locator, options) {
    this.clicks += 1;
    await locator.click(options);
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** Opens the editor, and waits until the gateway has checked its text. */
  async openRoutes() {
    await this.click(this.page.getByRole("link", { name: "Routes", exact: true }));
    await this.checked(/It can serve/);
  }

  checked(words) {
    return this.page.locator(".routes-check[aria-busy=false]").filter({ hasText: words }).waitFor();
  }

  /** Replaces the whole text, as somebody who pastes it. */
  async paste(text) {
    await this.click(this.page.locator(".routes-editor .cm-line").first());
    await this.page.keyboard.press("Control+a");
    await this.page.keyboard.insertText(text);
  }

  /** Confirms a dialog with the word on its button, and waits until it is closed. */
  async confirm(name, why) {
    const dialog = this.page.getByRole("dialog");
    if (why) await dialog.getByLabel(/Reason/).fill(why);
    await this.click(dialog.getByRole("button", { name, exact: true }));
    await dialog.waitFor({ state: "detached" });
  }
}

const put = (gateway, document, why) =>
  gateway.fetch(`/admin/api/routes?why=${encodeURIComponent(why)}`, { method: "PUT", body: document, headers: { ...ADMIN, "if-match": "*" } });
const document = async (gateway) => (await gateway.fetch("/admin/api/routes/document", { headers: ADMIN })).text();

/** What the editor has. Lines out of sight are not in the page, so the text comes from the draft. */
const edited = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("switchyard.routes.draft") ?? "{}").text);

describe("the view Routes", () => {
  test("a broken document shows its problem in the line", (t) =>
    withPage({}, async ({ page }) => {
      const person = new Person(page);
      await person.openRoutes();
      // The word after `"targets": [` of the node `chat`.
      const word = page.locator(".cm-line", { hasText: '"chat": ' }).getByText('"openai"', { exact: true });
      await person.click(word, { position: { x: 15, y: 5 }, clickCount: 2 });
      await page.keyboard.type("opnai");
      await person.checked(/1 problem\. It cannot serve/);
      const line = page.locator(".cm-line", { has: page.locator(".cm-lintRange-error") });
      assert.match(await line.innerText(), /^ {4}"chat": +\{ "targets": \["opnai", /);
      assert.equal(await page.locator(".cm-lintRange-error").innerText(), '"opnai"');
      const issue = page.locator(".routes-issue");
      assert.match(await issue.innerText(), /models\.chat\.targets\[0\][^]*Did you mean "openai"\?/);
      assert.ok(await page.getByRole("button", { name: /Start the canary/ }).isDisabled(), "it cannot be put into service");
      t.diagnostic(`clicks from the first view to the marked line: ${person.clicks}`);
      await page.keyboard.press("Control+Home");
      await person.click(person.button("Line 38"));
      assert.equal(await page.evaluate(() => getSelection().toString()), '"opnai"');
      await assertAccessible(page);
    }));

  test("a text that is no JSON is marked where it ends to be JSON, and warnings are no problems", () =>
    withPage({}, async ({ page }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(SAMPLE.replace('"version": 1,', '"version": 1'));
      await person.checked(/1 problem/);
      await page.getByText(/No JSON: expected `,` or `}` at line 5 column 3/).waitFor();
      await page.locator(".cm-lintRange-error").waitFor();
      await person.paste(SAMPLE.replace("120000", "120"));
      await person.checked(/It can serve, \d+ warnings?\./);
      await page.getByText("[seconds_as_milliseconds]").first().waitFor();
      await page.locator(".cm-lintRange-warning").first().waitFor();
      await assertAccessible(page);
    }));

  test("keys, values and names are suggested, and a hint says what a key means", () =>
    withPage({}, async ({ page }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste('{ "version": 1, "clients": {}, "deployments": { "east": {  } }, "models": { "chat": {  } } }');
      const options = page.locator(".cm-tooltip-autocomplete [role=option]");
      const before = async (text) => {
        await page.keyboard.press("Control+End");
        for (let count = 0; count < text.length; count += 1) await page.keyboard.press("ArrowLeft");
      };
      await before(" } } }");
      await page.keyboard.type('"targ');
      // With the pointer: Enter counts only once the list has been there for a moment.
      await person.click(options.filter({ hasText: "targets" }));
      await page.keyboard.type('"ea');
      await person.click(options.filter({ hasText: "east" }));
      await page.waitForFunction(() => document.querySelector(".cm-content").textContent.includes('"targets": ["east"]'));
      await page.locator(".cm-line span", { hasText: '"deployments"' }).first().hover();
      await page.locator(".routes-hint", { hasText: "The deployments, by name." }).waitFor();
      await assertAccessible(page);
    }));

  test("the keyboard alone gets into the editor, out of it, and to the problem", () =>
    withPage({ path: "#/routes" }, async ({ page }) => {
      const person = new Person(page);
      await person.checked(/It can serve/);
      const isIn = (selector) => page.evaluate((place) => document.activeElement?.closest(place) !== null, selector);
      const tabTo = async (selector) => {
        for (let count = 0; count < 40 && !(await isIn(selector)); count += 1) await page.keyboard.press("Tab");
        assert.ok(await isIn(selector), `Tab reaches ${selector}`);
      };
      await tabTo(".cm-content");
      await page.keyboard.type("x");
      await person.checked(/1 problem/);
      await tabTo(".routes-issue button");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.activeElement.matches(".cm-content"));
      await page.keyboard.press("Control+z");
      await person.checked(/It can serve/);
      await tabTo("#publish-why");
    }));

  test("a change is compared and saved for all requests, and the history has it with its reason", (t) =>
    withPage({}, async ({ page, gateway }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(EAST_FIRST);
      await person.checked(/It can serve/);
      await person.click(person.button("Difference"));
      await page.locator(".routes-difference .cm-changedLine").first().waitFor();
      await page.getByLabel(/Reason/).fill("east is nearer – “wirklich”");
      await person.click(page.getByLabel("all requests at once"));
      await person.click(person.button("Save …"));
      await person.confirm("Save");
      await page.getByText(/Version [0-9a-f]{12} serves here/).waitFor();
      assert.equal(await document(gateway), EAST_FIRST);
      t.diagnostic(`clicks to compare and save a change: ${person.clicks}`);
      await person.click(page.getByRole("link", { name: "History", exact: true }));
      const row = page.getByRole("row").filter({ hasText: "east is nearer" });
      assert.match(await row.innerText(), /^2\s[^]*serves[^]*admin[^]*saved[^]*“wirklich”/);
      await assertAccessible(page);
    }));

  test("an old version is looked at and brought back, and the log of acts says so", (t) =>
    withPage({}, async ({ page, gateway }) => {
      await document(gateway);
      assert.equal((await put(gateway, EAST_FIRST, "a mistake")).status, 200);
      const person = new Person(page);
      await person.openRoutes();
      await person.click(page.getByRole("link", { name: "History", exact: true }));
      await person.click(page.getByRole("row").filter({ hasText: "served when the history began" }).getByRole("link"));
      await page.locator(".routes-difference .cm-changedLine").first().waitFor();
      await assertAccessible(page);
      await person.click(person.button("Roll back to this version …"));
      await assertAccessible(page);
      await person.confirm("Roll back", "it was a mistake");
      await page.getByText(/serves again here/).waitFor();
      assert.equal(await document(gateway), SAMPLE);
      t.diagnostic(`clicks to bring an old version back: ${person.clicks}`);
      await person.click(page.getByRole("link", { name: "Log of acts" }));
      const row = page.getByRole("row").filter({ hasText: "it was a mistake" });
      assert.match(await row.innerText(), /admin\s+routes\.rollback\s[^]*\sok$/);
      await page.getByLabel("Only entries with").fill("rollback");
      await page.getByText(/^1 of \d+$/).waitFor();
      await assertAccessible(page);
    }));

  test("a change of somebody else in between is shown, and both come together", () =>
    withPage({}, async ({ page, gateway }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(EAST_FIRST);
      await person.checked(/It can serve/);
      const theirs = SAMPLE.replace('"deadline_ms": 120000', '"deadline_ms": 90000');
      assert.equal((await put(gateway, theirs, "shorter")).status, 200);
      await page.getByText("Somebody changed the routes meanwhile.").waitFor();
      await page.getByText(/by admin, .*“shorter”/).waitFor();
      assert.ok(await page.getByRole("button", { name: /Start the canary/ }).isDisabled());
      await person.click(person.button("Show their change"));
      await page.locator(".routes-meanwhile .cm-changedLine").first().waitFor();
      await person.click(person.button("Put both together"));
      await person.checked(/It can serve/);
      assert.equal(await edited(page), EAST_FIRST.replace('"deadline_ms": 120000', '"deadline_ms": 90000'));
      await person.click(page.getByLabel("all requests at once"));
      await person.click(person.button("Save …"));
      await person.confirm("Save");
      await page.getByText(/serves here/).waitFor();
      assert.equal(await document(gateway), EAST_FIRST.replace('"deadline_ms": 120000', '"deadline_ms": 90000'));
    }));

  test("an edit survives a reload, and can be discarded", () =>
    withPage({}, async ({ page }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(EAST_FIRST);
      await person.checked(/It can serve/);
      const dialogs = [];
      page.on("dialog", (dialog) => {
        dialogs.push(dialog.type());
        void dialog.accept();
      });
      await page.reload();
      assert.deepEqual(dialogs, ["beforeunload"], "leaving is warned of");
      await page.getByText("Edited, based on").waitFor();
      assert.equal(await edited(page), EAST_FIRST);
      await person.click(person.button("Discard the edit"));
      await page.getByText("The document that serves, version").waitFor();
      assert.equal(await edited(page), undefined);
      await page.locator(".cm-line", { hasText: CHAT.trim() }).waitFor();
    }));

  // Isolates report at most every five seconds, so it takes a while on a busy machine.
  test("put a change out as a canary and see it taken back", { timeout: 120_000 }, (t) =>
    withPage({ vars: { WRONG_KEY: "sk-not-of-this-account" } }, async ({ page, gateway }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(BROKEN_KEY);
      await person.checked(/It can serve/);
      await page.getByLabel(/Share/).fill("20");
      await person.click(person.button("Start the canary …"));
      await person.confirm("Start");
      await page.getByRole("heading", { name: "A canary runs" }).waitFor();
      const clicks = person.clicks;
      await assertAccessible(page);
      // Clients go on meanwhile.
      const statuses = [];
      const isOver = page.getByText("The canary was taken back").waitFor({ timeout: 60_000 }).then(() => true);
      for (let isEnd = false; !isEnd; ) {
        statuses.push(await chat(gateway));
        isEnd = await Promise.race([isOver, Promise.resolve(false)]);
      }
      await page.getByText(/by the gateway itself: more of its requests failed/).waitFor();
      const failed = statuses.filter((status) => status !== 200).length;
      assert.ok(failed > 0 && failed < statuses.length * 0.4, `${failed} of ${statuses.length}`);
      assert.equal(await document(gateway), SAMPLE);
      assert.equal(await edited(page), BROKEN_KEY, "the text is there to be mended");
      t.diagnostic(`clicks to put a canary out, and none to have it taken back: ${clicks}; it broke ${failed} of ${statuses.length} requests`);
      await assertAccessible(page);
    }));

  test("a canary shows both versions, and is promoted by hand", { timeout: 120_000 }, () =>
    withPage({ viewport: { width: 360, height: 800 } }, async ({ page, gateway }) => {
      await document(gateway);
      const started = await gateway.fetch("/admin/api/routes?canary=50&minutes=10", { method: "PUT", body: EAST_FIRST, headers: { ...ADMIN, "if-match": "*" } });
      assert.equal(started.status, 200);
      const person = new Person(page);
      await person.openRoutes();
      await page.getByRole("heading", { name: "A canary runs" }).waitFor();
      await page.getByText("A canary runs. It has to end first: see above.").waitFor();
      const row = page.locator(".routes-canary tbody tr", { hasText: /^new/ });
      for (let text = ""; !/^new\s+[1-9]/.test(text); text = await row.innerText()) assert.equal(await chat(gateway), 200);
      await assertNoSidewaysScroll(page);
      await assertAccessible(page);
      await person.click(person.button("Promote …"));
      await person.confirm("Promote", "it is good");
      await page.getByText("The canary took over").waitFor();
      assert.equal(await document(gateway), EAST_FIRST);
      const version = (await (await gateway.fetch("/admin/api/routes/document", { headers: ADMIN })).headers.get("etag")).replaceAll('"', "");
      await page.getByText(`The document that serves, version ${version}`).waitFor();
    }));

  test("a viewer sees everything and is offered no change", () =>
    withPage({ token: "viewer-local" }, async ({ page, gateway }) => {
      const calls = [];
      page.on("request", (request) => calls.push(new URL(request.url()).pathname));
      await document(gateway);
      assert.equal((await put(gateway, EAST_FIRST, "a test")).status, 200);
      const person = new Person(page);
      await person.openRoutes();
      await page.getByText(/You look as viewer, who may change nothing/).waitFor();
      assert.equal(await page.getByRole("button", { name: /Save|Start the canary/ }).count(), 0);
      await person.click(page.locator(".cm-line").nth(3));
      await page.keyboard.type("x");
      await page.keyboard.press("Backspace");
      assert.equal(await edited(page), undefined, "the editor is read-only");
      await person.click(page.getByRole("link", { name: "History", exact: true }));
      await person.click(page.getByRole("row").filter({ hasText: "served when" }).getByRole("link"));
      await page.locator(".routes-difference .cm-changedLine").first().waitFor();
      assert.equal(await page.getByRole("button", { name: /Roll back/ }).count(), 0);
      await person.click(page.getByRole("link", { name: "Log of acts" }));
      await page.getByRole("row").filter({ hasText: "routes.put" }).waitFor();
      assert.ok(!calls.includes("/admin/api/routes/check"), "a viewer may not ask for a check");
    }));

  test("without a registry, the document is there and each part says what is missing", () =>
    withPage({ registry: false }, async ({ page }) => {
      const person = new Person(page);
      await person.openRoutes();
      await person.paste(EAST_FIRST);
      await person.checked(/It can serve/);
      await person.click(person.button("Start the canary …"));
      await person.click(page.getByRole("dialog").getByRole("button", { name: "Start" }));
      await page.getByRole("dialog").getByRole("alert").filter({ hasText: "REGISTRY" }).waitFor();
      await page.keyboard.press("Escape");
      await person.click(page.getByRole("link", { name: "History", exact: true }));
      await page.getByRole("alert").filter({ hasText: "REGISTRY" }).first().waitFor();
    }));

  test("a document past the API that does not compile is shown with its problems", () =>
    withPage({ routes: SAMPLE.replace('"settings": {', '"settings": { "refresh_seconds": 1,'), path: "#/routes" }, async ({ page, gateway }) => {
      await document(gateway);
      await gateway.putRoutes('{ "version": 1, "deployments": {}, "models": {} }');
      const alert = page.getByRole("alert").filter({ hasText: "The document in KV does not compile" });
      await alert.getByText("deployments", { exact: true }).waitFor();
      await page.locator(".cm-line", { hasText: "refresh_seconds" }).waitFor();
      await assertAccessible(page);
    }));

  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing serious, and 360 pixels are enough, ${colorScheme}`, () =>
      withPage({ colorScheme, viewport: { width: 360, height: 800 } }, async ({ page, gateway }) => {
        await document(gateway);
        assert.equal((await put(gateway, EAST_FIRST, "a test with a rather long reason, as people write them at night")).status, 200);
        const person = new Person(page);
        await person.openRoutes();
        await assertAccessible(page);
        await assertNoSidewaysScroll(page);
        await person.paste(SAMPLE.replace('["openai", "azure-eastus", "azure-westeurope"]', '["opnai"]'));
        await person.checked(/problem/);
        await assertAccessible(page);
        await assertNoSidewaysScroll(page);
        await person.click(person.button("Difference"));
        await page.locator(".routes-difference .cm-changedLine").first().waitFor();
        await assertAccessible(page);
        await assertNoSidewaysScroll(page);
        for (const part of ["History", "Log of acts"]) {
          await person.click(page.getByRole("link", { name: part, exact: true }));
          await page.getByRole("row").nth(1).waitFor();
          await assertAccessible(page);
          await assertNoSidewaysScroll(page);
        }
      }));
  }
});
