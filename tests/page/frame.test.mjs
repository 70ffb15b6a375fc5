// The frame of the page: signing in, who may look, and a gateway that is away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, withPage } from "./browser.mjs";

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
  });
});

test("the address of the page redirects to it, and the admin API still answers below it", async () => {
  await withPage({}, async ({ gateway }) => {
    const redirect = await gateway.fetch("/admin");
    assert.equal(redirect.headers.get("location"), "/admin/");
    assert.equal((await gateway.fetch("/admin/api/health")).status, 401);
  });
});
