// The frame of the page: signing in, who may look, and a gateway that is away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, assertNoSidewaysScroll, withPage } from "./browser.mjs";

const VIEWS = ["Now", "Requests", "Usage", "Routes", "Explain"];

const signIn = async (page, token) => {
  await page.getByLabel("Admin token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
};

test("without a token, the page asks for it, and says what is wrong with one that is not valid", async () => {
  await withPage({ token: null }, async ({ page }) => {
    await page.getByRole("heading", { name: "Switchyard" }).waitFor();
    await assertAccessible(page);
    assert.equal(await page.getByRole("alert").count(), 0, "nothing is wrong before the first attempt");
    await signIn(page, "guessed");
    await page.getByRole("alert").waitFor();
    await signIn(page, "admin-local");
    await page.getByRole("navigation", { name: "Views" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Admin token").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, "the token is forgotten");
  });
});

test("every view has its own address, title and heading, and the keyboard goes from one to the next", async () => {
  await withPage({}, async ({ page }) => {
    for (const [index, name] of VIEWS.entries()) {
      const link = page.getByRole("navigation").getByRole("link", { name });
      if (index > 0) {
        await link.focus();
        await page.keyboard.press("Enter");
      }
      await page.getByRole("heading", { level: 1, name }).waitFor();
      assert.equal(await link.getAttribute("aria-current"), "page");
      await page.waitForFunction((name) => document.title.startsWith(name), name);
      if (index > 0) assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
    }
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: VIEWS.at(-2) }).waitFor();
  });
});

test("a token that is no longer valid leads back to the form", async () => {
  await withPage({}, async ({ page }) => {
    await page.getByRole("heading", { level: 1, name: "Now" }).waitFor();
    await page.evaluate(() => sessionStorage.setItem("switchyard.token", "replaced"));
    await page.getByLabel("Admin token").waitFor();
    await signIn(page, "admin-local");
    await page.getByRole("heading", { level: 1, name: "Now" }).waitFor();
  });
});

test("while the gateway is away, the page says so, and goes on by itself when it is back", async () => {
  await withPage({}, async ({ page }) => {
    await page.getByRole("link", { name: "azure-eastus", exact: true }).waitFor();
    await page.context().setOffline(true);
    const away = page.getByRole("alert").filter({ hasText: "does not answer" });
    await away.waitFor();
    assert.equal(await page.getByRole("link", { name: "azure-eastus", exact: true }).isVisible(), true, "what was known stays");
    await page.context().setOffline(false);
    await away.waitFor({ state: "detached" });
  });
});

test("who signs in while the gateway is away is let in when it is back", async () => {
  await withPage({ token: null }, async ({ page }) => {
    await page.getByLabel("Admin token").waitFor();
    await page.context().setOffline(true);
    await signIn(page, "admin-local");
    await page.getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
    await page.context().setOffline(false);
    await page.getByRole("heading", { level: 1, name: "Now" }).waitFor();
  });
});

test("when the session of Cloudflare Access ends, the page says that a reload helps", async () => {
  await withPage({}, async ({ page }) => {
    await page.getByRole("heading", { level: 1, name: "Now" }).waitFor();
    const headers = { location: "/cdn-cgi/access/login" };
    await page.route("**/admin/api/health", (route) => route.fulfill({ status: 302, headers }));
    await page.getByRole("alert").filter({ hasText: "Reload this page" }).waitFor();
  });
});

test("the page has the headers that keep others from running anything in it", async () => {
  await withPage({}, async ({ gateway }) => {
    const { headers } = await gateway.fetch("/admin/");
    const policy = headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    const redirect = await gateway.fetch("/admin");
    assert.equal(redirect.headers.get("location"), "/admin/");
    assert.equal((await gateway.fetch("/admin/api/health")).status, 401, "the admin API answers below it");
  });
});

test("the form and the frame fit a narrow window", async () => {
  await withPage({ token: null, viewport: { width: 360, height: 700 }, colorScheme: "dark" }, async ({ page }) => {
    await page.getByLabel("Admin token").waitFor();
    await assertNoSidewaysScroll(page);
    await assertAccessible(page);
  });
});
